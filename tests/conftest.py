"""What several rooms of tests share: the estate of real programs, and the forger of certificates."""

import importlib.util
import sys
from pathlib import Path

import pytest


def simulator(name):
    """Load a simulator as a module: test folders are no packages, so it is found by its path."""
    path = Path(__file__).parent / "simulators" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"trustkit_tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def estates():
    """The simulator of an estate, as a module."""
    return simulator("estate")


@pytest.fixture(scope="session")
def forger():
    """The forger of certificates, as a module."""
    return simulator("certificates")


@pytest.fixture(scope="session")
def estate(estates, tmp_path_factory):
    """One estate for the whole run; what a test breaks, it first makes for itself."""
    return estates.Estate(tmp_path_factory.mktemp("estate"))


@pytest.fixture(scope="session")
def model(estate):
    """A sealed model that nobody spoils."""
    return estate.sealed("acme/tiny-llm/1")


@pytest.fixture(scope="session")
def broker(estate):
    """The address of a broker that grants /sidecar the line."""
    process, address = estate.broker()
    with process:
        yield address


@pytest.fixture(scope="session")
def store(estate):
    """The address of a store that serves the estate's root to the trust domain."""
    process, address = estate.store()
    with process:
        yield address
