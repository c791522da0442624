"""Disks that fail for real, and interrupts at every line."""

import contextlib
import importlib.util
import resource
import signal
import sys
from pathlib import Path

import pytest


@pytest.fixture
def refused():
    """Expect a refusal of exactly this class and code."""

    @contextlib.contextmanager
    def expect(kind, code):
        with pytest.raises(kind) as caught:
            yield caught
        assert type(caught.value) is kind
        assert caught.value.code == code

    return expect


@pytest.fixture
def full_disk():
    """Within it no file grows beyond so many bytes: a write that fails half-way, by the kernel's own hand."""

    @contextlib.contextmanager
    def within(limit):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)

    return within


@pytest.fixture
def interrupting():
    """Run something again and again, each time with Ctrl-C one line later; yield after every run.

    Lines of the named files are counted; the last run is the first that was not interrupted.
    """

    def run(work, *files):
        turn = 0
        while True:
            turn += 1
            left = turn

            def local(frame, event, argument):
                nonlocal left
                if event == "line":
                    left -= 1
                    if left == 0:
                        raise KeyboardInterrupt
                return local

            def trace(frame, event, argument):
                return local if frame.f_code.co_filename.endswith(files) else None

            before = sys.gettrace()
            sys.settrace(trace)
            try:
                work()
            except KeyboardInterrupt:
                interrupted = True
            else:
                interrupted = False
            finally:
                sys.settrace(before)
            yield turn
            if not interrupted:
                return

    return run


SIMULATORS = Path(__file__).parents[2] / "simulators"


def loaded(name):
    """Load a simulator by its path: test folders are no packages."""
    spec = importlib.util.spec_from_file_location(f"trustkit_tests_{name}", SIMULATORS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def evil():
    """The evil store as a module."""
    return loaded("evil_store")


@pytest.fixture(scope="session")
def certificates():
    """The forger of certificates as a module."""
    return loaded("certificates")
