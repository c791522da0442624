"""Children of one process that has loaded everything else: each runs pytest once, on one mutant, and is gone.

The law of this file: a child works in a copy of the tree, in a process group of its own, with a cap on its
memory and a limit on its time, and says what it found through a pipe. One that hangs is killed with
whatever it started. The parent never loads a module of the tree.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType

import pytest

MAX_MEMORY = 6 << 30
"""Most address space of a child (bytes): a loop that gathers is stopped before the machine is."""
ARGUMENTS = ("-x", "-q", "--tb=no", "--hypothesis-seed=0", "--hypothesis-profile=mutation")
_PLUGINS = (
    "-p",
    "_hypothesis_pytestplugin",
    "-p",
    "pytest_timeout",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "-p",
    "no:cacheprovider",
    "-o",
    "timeout=0",
)
_FORK = get_context("fork")


class Child:
    """A running child; `result` once its `pipe` is ready, or `stop` it."""

    def __init__(self, root: Path, task: Callable[[], object]) -> None:
        self.pipe, theirs = _FORK.Pipe(duplex=False)
        self.started = time.monotonic()
        self._process = _FORK.Process(target=_enter, args=(root, task, theirs))
        self._process.start()
        theirs.close()

    def result(self) -> object:
        """Return what the task returned, the text of what it raised, or the status of a child that died."""
        try:
            return self.pipe.recv()
        except EOFError:
            self._process.join()
            return self._process.exitcode
        finally:
            self.stop()

    def stop(self) -> None:
        """Kill the child and all that it started."""
        if not self.pipe.closed:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.join()
            self.pipe.close()


def _enter(root: Path, task: Callable[[], object], pipe: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    os.chdir(root)
    sys.path.insert(0, str(root))
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(root)}
    try:
        pipe.send(task())
    except BaseException:  # noqa: BLE001 - the parent says what it was, and nothing else is left to do here
        pipe.send(traceback.format_exc())
    os._exit(0)


@dataclass
class Run:
    """What pytest found.

    Attributes:
        status: Its exit status.
        failed: The first test, file or step that failed; empty where none did.
        seconds: How long each test took.
        touched: Lines that each test ran, by file; only where they were asked for.
        loaded: Names of modules of others that were loaded.
    """

    status: int = 0
    failed: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    touched: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)


class _Watching:
    """A pytest plugin: keeps the chosen tests, in their order, or all, and notes what becomes of them."""

    def __init__(self, run: Run, chosen: Iterable[str]) -> None:
        self._run = run
        self._order = {name: place for place, name in enumerate(chosen)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        if self._order:
            kept = [item for item in items if item.nodeid in self._order]
            items[:] = sorted(kept, key=lambda item: self._order[item.nodeid])

    def pytest_collectreport(self, report):
        if report.failed and not self._run.failed:
            self._run.failed = report.nodeid

    def pytest_runtest_logreport(self, report):
        self._run.seconds[report.nodeid] = self._run.seconds.get(report.nodeid, 0) + report.duration
        if report.failed and not self._run.failed:
            self._run.failed = report.nodeid


class _Tracing:
    """A pytest plugin: which lines of some files each test runs, in functions, with its fixtures'."""

    def __init__(self, root: Path, files: Iterable[str], run: Run) -> None:
        self._files = {str(root / name): (name, partial(self._line, name)) for name in files}
        self._run = run
        self._now: dict[str, set[int]] = {}
        self._fixtures: dict[int, dict[str, set[int]]] = {}
        threading.settrace(self._call)

    def _call(self, frame, _event, _argument):
        known = self._files.get(frame.f_code.co_filename)
        if known is None or not frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # a module or a class body
            return None
        self._now.setdefault(known[0], set()).add(frame.f_code.co_firstlineno)
        return known[1]

    def _line(self, name, frame, event, _argument):
        if event == "line":
            self._now.setdefault(name, set()).add(frame.f_lineno)
        return self._files[frame.f_code.co_filename][1]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._now = {}
        sys.settrace(self._call)  # anew: a test that exhausts the stack, in whatever frame, ends all tracing
        result = yield
        made = getattr(item, "_fixtureinfo", None)
        definitions = [one for several in made.name2fixturedefs.values() for one in several] if made else []
        for earlier in (self._fixtures.get(id(one), {}) for one in definitions):
            _join(self._now, earlier)
        self._run.touched[item.nodeid] = self._now
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        """Keep what a fixture runs apart: it is made once, and whoever asks for it rests on it."""
        outer, self._now = self._now, {}
        try:
            return (yield)
        finally:
            self._fixtures[id(fixturedef)] = self._now
            _join(outer, self._now)
            self._now = outer


def _join(into, other):
    for name, lines in other.items():
        into.setdefault(name, set()).update(lines)


class Mutated(MetaPathFinder, Loader):
    """Loads one module from a mutant, and no other."""

    def __init__(self, name: str, path: Path, compiled: Callable[[str], CodeType]) -> None:
        self._name, self._path, self._code = name, path, compiled(str(path))
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self)

    def exec_module(self, module):
        exec(self._code, module.__dict__)


def run_tests(stages: Iterable[list[str]], *, before: Callable[[], object] | None = None) -> Run:
    """Run tests in this process, which must be a child's, until one fails.

    Args:
        stages: Tests in their order. To collect a file takes longer than to run most tests in it, so the
            files of a stage are read only if nobody failed in those before.
        before: What to do first.
    """
    if before is not None:
        before()
    run = Run()
    for tests in stages:
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        run.status = int(pytest.main([*_PLUGINS, *ARGUMENTS, *files], [_Watching(run, tests)]))
        if run.status != 0:
            break
    return run


def record(root: Path, tests: Iterable[str], files: Iterable[str]) -> Run:
    """Run every test once and note which lines of the files it runs, and what it loads."""
    run = Run()
    tracing = _Tracing(root, files, run)
    run.status = int(pytest.main([*_PLUGINS, *ARGUMENTS, *tests], [_Watching(run, ()), tracing]))
    sys.settrace(None)
    run.loaded = [name for name, module in sorted(sys.modules.items()) if _of_others(module, root)]
    return run


def _of_others(module: object, root: Path) -> bool:
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return (
        isinstance(origin, str)
        and not origin.startswith(f"{root}{os.sep}")
        and module is not sys.modules["__main__"]
    )
