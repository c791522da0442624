"""Every outcome has its exit status, and is told once."""

import io
import json
import resource

import pytest

from trustkit.errors import DeniedError, UsageError
from trustkit.programs import ending
from trustkit.programs.voice import Voice


def ended(work, *, as_json=False, debug=False):
    out, err = io.StringIO(), io.StringIO()
    voice = Voice("program", out, err, as_json=as_json)
    status = ending.status_of(work, voice, debug=debug, interrupted="stopped half-way", extra="face")
    return status, out.getvalue(), err.getvalue()


def made_of(cause):
    """Wrap an exception as Python does what is raised in `__set_name__`."""
    error = RuntimeError("Error calling __set_name__")
    error.__cause__ = cause
    return error


def ring():
    """Make two exceptions that each name the other as their cause."""
    error = made_of(ValueError("a secret"))
    error.__cause__.__cause__ = error
    return error


def raising(error):
    def work():
        raise error

    return work


def test_a_run_that_ends_well_says_nothing_more():
    assert ended(lambda: 0) == (0, "", "")
    assert ended(lambda: 1, as_json=True) == (1, "", "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (DeniedError("no-grant", "no"), 1, "program: no [no-grant]\n"),
        (UsageError("bad-arguments", "what?"), 2, "program: what? [bad-arguments]\n"),
        (KeyboardInterrupt(), 130, "program: stopped half-way [interrupted]\n"),
        (made_of(KeyboardInterrupt()), 130, "program: stopped half-way [interrupted]\n"),
        (
            RuntimeError("a secret"),
            70,
            "program: a bug (RuntimeError); run with --debug and report it [internal-error]\n",
        ),
        (ring(), 70, "program: a bug (RuntimeError); run with --debug and report it [internal-error]\n"),
    ],
    ids=["refused", "usage", "interrupted", "made of an interruption", "bug", "a ring of causes"],
)
def test_every_failure_has_its_status_one_line_and_one_document(error, status, line):
    assert ended(raising(error)) == (status, "", line)
    found, out, err = ended(raising(error), as_json=True)
    assert (found, err) == (status, line)
    document = json.loads(out)
    assert (document["ok"], f"program: {document['message']} [{document['code']}]\n") == (False, line)
    assert "secret" not in out


def test_a_library_that_is_not_installed_names_the_extra_that_brings_it():
    for name, missing in (("fastapi", "fastapi"), ("uvicorn.protocols", "uvicorn")):
        status, out, err = ended(raising(ModuleNotFoundError("a secret", name=name)), debug=True)
        assert (status, out) == (2, "")
        how = "install it from the source of trustkit: pip install '.[face]'"
        assert err == f"program: the program needs {missing}; {how} [extra-needed]\n"
    _, out, _ = ended(raising(ModuleNotFoundError(name="fastapi")), as_json=True)
    assert json.loads(out)["evidence"] == {"module": "fastapi"}


@pytest.mark.parametrize("name", ["trustkit.broker.gone", "admission", None])
def test_a_part_of_our_own_that_is_missing_is_a_bug(name):
    assert ended(raising(ModuleNotFoundError("x", name=name)))[0] == 70
    with pytest.raises(ModuleNotFoundError):
        ended(raising(ModuleNotFoundError("x", name=name)), debug=True)


def test_a_bug_shows_itself_only_with_debug():
    with pytest.raises(RuntimeError, match="a secret"):
        ended(raising(RuntimeError("a secret")), debug=True)
    assert ended(raising(DeniedError("no-grant", "no")), debug=True)[0] == 1


def test_no_core_is_left(monkeypatch):
    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda *arguments: limits.append(arguments))
    ending.forbid_core_dumps()
    assert limits == [(resource.RLIMIT_CORE, (1, 1))]  # 0 would not hold for cores that go to a pipe


def test_a_limit_that_may_not_be_raised_is_lowered(monkeypatch):
    limits = []

    def setrlimit(kind, pair):
        if pair == (1, 1):
            raise ValueError("not allowed to raise maximum limit")
        limits.append(pair)

    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    ending.forbid_core_dumps()
    assert limits == [(0, 0)]
