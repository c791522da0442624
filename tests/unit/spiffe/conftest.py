"""A forger of certificates, and servers and clients made from what it forges; the time is the real one."""

import importlib.util
import sys
import time
from pathlib import Path

import pytest

from trustkit.spiffe.svid import svid_from_pem

SIMULATORS = Path(__file__).parents[2] / "simulators"


@pytest.fixture(scope="session")
def certificates():
    """The forger as a module: test folders are no packages, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location(
        "trustkit_tests_certificates", SIMULATORS / "certificates.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def now():
    """TLS libraries read the real clock, so certificates must be made for it."""
    return float(int(time.time()))


@pytest.fixture(scope="session")
def issuer(certificates, now):
    """The CA of demo.test."""
    return certificates.Issuer(now)


@pytest.fixture(scope="session")
def svid_of(now):
    """Make an SVID of the three files."""

    def make(files):
        return svid_from_pem(files["svid.pem"], files["svid_key.pem"], files["bundle.pem"], now=now)

    return make
