"""What the process says: harmless lines, one document, and no silence that looks like success."""

import io
import json

import pytest

from admission.voice import voice_on
from trustkit.errors import UnavailableError, VerificationError


class Full(io.StringIO):
    """A stream that cannot be written, with a descriptor of its own."""

    def __init__(self, file):
        super().__init__()
        self._file = file

    def write(self, text):
        raise OSError(28, "No space left on device")

    def fileno(self):
        return self._file.fileno()


def answered(voice):
    voice.answer(ok=True, code="", message="fine\nand\x1b[2J well", evidence={"a": 1})


def test_lines_for_people_are_harmless():
    out, err = io.StringIO(), io.StringIO()
    answered(voice_on(out, err, as_json=False))
    assert (out.getvalue(), err.getvalue()) == ("fine\nand?[2J well\n", "")


def test_a_document_is_written_once():
    out, err = io.StringIO(), io.StringIO()
    voice = voice_on(out, err, as_json=True)
    answered(voice)
    assert voice.fail(VerificationError("a-b", "no\nreally", x=1)) == 1
    assert json.loads(out.getvalue()) == {
        "ok": True, "code": "", "message": "fine\nand?[2J well", "evidence": {"a": 1},
    }  # fmt: skip
    assert err.getvalue() == "trustkit-admission: no really [a-b]\n"


def test_a_failure_is_a_line_and_a_document():
    out, err = io.StringIO(), io.StringIO()
    assert voice_on(out, err, as_json=True).fail(UnavailableError("a-b", "no", x=1)) == 5
    assert json.loads(out.getvalue()) == {"ok": False, "code": "a-b", "message": "no", "evidence": {"x": 1}}
    assert err.getvalue() == "trustkit-admission: no [a-b]\n"


def test_a_warning_ends_nothing():
    out, err = io.StringIO(), io.StringIO()
    voice = voice_on(out, err, as_json=True)
    voice.warn(VerificationError("a-b", "careful"))
    assert (out.getvalue(), err.getvalue()) == ("", "trustkit-admission: warning: careful [a-b]\n")


@pytest.mark.parametrize("as_json", [True, False])
def test_what_cannot_be_written_is_no_success(tmp_path, as_json):
    err = io.StringIO()
    with (tmp_path / "out").open("w") as file:
        voice = voice_on(Full(file), err, as_json=as_json)
        with pytest.raises(UnavailableError) as caught:
            answered(voice)
        assert caught.value.code == "unwritable"
        assert voice.fail(caught.value) == 5


def test_a_failure_that_cannot_be_told_is_exit_five(tmp_path):
    err = io.StringIO()
    with (tmp_path / "out").open("w") as file:
        assert voice_on(Full(file), err, as_json=True).fail(VerificationError("a-b", "no")) == 5
    assert [line.rpartition(" ")[2] for line in err.getvalue().splitlines()] == ["[unwritable]", "[a-b]"]


def test_closed_streams_are_borne():
    with pytest.raises(UnavailableError):
        answered(voice_on(None, None, as_json=False))
    assert voice_on(None, None, as_json=True).fail(VerificationError("a-b", "no")) == 5
    assert voice_on(io.StringIO(), None, as_json=False).fail(VerificationError("a-b", "no")) == 1
