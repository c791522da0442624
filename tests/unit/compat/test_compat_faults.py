"""Errors are ours and the reference's at once."""

import errno

import pytest

from trustkit import errors
from trustkit.compat.model_signing.faults import as_value_errors, not_here


@pytest.mark.parametrize(
    ("raised", "kinds"),
    [
        (errors.UsageError("bad-arguments", "x"), (errors.UsageError, ValueError)),
        (errors.UsageError("no-such-file", "x"), (errors.UsageError, ValueError, FileNotFoundError)),
        (errors.UsageError("no-such-path", "x"), (errors.UsageError, ValueError, FileNotFoundError)),
        (errors.FormatError("bad-json", "x"), (errors.FormatError, ValueError)),
        (errors.LimitError("too-large", "x"), (errors.LimitError, ValueError)),
        (errors.VerificationError("wrong-signer", "x"), (errors.VerificationError, ValueError)),
        (errors.UnavailableError("unreadable", "x"), (errors.UnavailableError, ValueError, OSError)),
    ],
)
def test_each_is_both(raised, kinds):
    raised.evidence = {"name": "a"}
    with pytest.raises(errors.TrustkitError) as caught, as_value_errors():
        raise raised
    error = caught.value
    assert all(isinstance(error, kind) for kind in kinds)
    assert (error.code, error.message, error.exit_code) == (raised.code, "x", raised.exit_code)
    assert str(error) == f"x [{raised.code}]"
    assert error.evidence["name"] == "a"
    assert error.__cause__ is None


def test_what_is_both_already_passes_and_so_do_strangers():
    first = not_here("this")
    with pytest.raises(ValueError, match="this is not available here") as caught, as_value_errors():
        raise first
    assert caught.value is first
    with pytest.raises(KeyError), as_value_errors():
        raise KeyError("x")


def test_a_class_that_the_interface_never_meets_stays_what_it_is():
    raised = errors.DeniedError("denied", "x")
    with pytest.raises(errors.DeniedError) as caught, as_value_errors():
        raise raised
    assert caught.value is raised


def test_a_missing_file_has_the_number_of_one():
    with pytest.raises(FileNotFoundError) as caught, as_value_errors():
        raise errors.UsageError("no-such-file", "there is no key at 'x'", path="x")
    assert caught.value.errno == errno.ENOENT
