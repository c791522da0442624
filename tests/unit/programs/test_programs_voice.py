"""What the program says when streams are closed or full, and when text is hostile."""

import io
import json
import os

import pytest

from trustkit.errors import DeniedError, UnavailableError
from trustkit.programs.voice import MAX_LINE, Manner, Voice, harmless, shown

PROGRAM = "trustkit-broker"


def voice_on(as_json=False):
    out, err = io.StringIO(), io.StringIO()
    return Voice(PROGRAM, out, err, as_json=as_json), out, err


def test_lines_for_people():
    voice, out, err = voice_on()
    voice.tell("a")
    voice.succeed("b", {"c": 1})
    assert voice.fail(DeniedError("no-grant", "no")) == 1
    assert out.getvalue() == "a\nb\n"
    assert err.getvalue() == "trustkit-broker: no [no-grant]\n"


def test_one_document_for_machines():
    voice, out, err = voice_on(as_json=True)
    voice.tell("a")
    voice.succeed("b", {"c": [1, {"d\x1b": "\x1b"}, None]})
    voice.succeed("again", {})
    voice.warn(DeniedError("no-grant", "no"))
    assert voice.end(5, "x", "y") == 5
    document = json.loads(out.getvalue())
    assert document == {
        "ok": True,
        "code": "",
        "message": "b",
        "evidence": {"c": [1, {"d\\x1b": "\\x1b"}, None]},
    }
    assert err.getvalue().splitlines() == [
        "trustkit-broker: warning: no [no-grant]",
        "trustkit-broker: y [x]",
    ]


def test_a_closed_stdout_is_unavailable():
    err = io.StringIO()
    voice = Voice(PROGRAM, None, err, as_json=False)
    with pytest.raises(UnavailableError) as caught:
        voice.tell("a")
    assert caught.value.code == "unwritable"
    assert Voice(PROGRAM, None, err, as_json=True).end(1, "a", "b") == 5
    assert err.getvalue().splitlines()[-1] == "trustkit-broker: b [a]"


def test_closed_streams_are_survived():
    assert Voice(PROGRAM, None, None, as_json=False).end(1, "a", "b") == 1


def test_a_pipe_nobody_reads_is_unavailable_once():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        with pytest.raises(UnavailableError):
            Voice(PROGRAM, out, None, as_json=False).tell("a")
        out.write("what is still buffered goes nowhere")


def test_text_is_spelled_out_and_cut():
    assert shown("a\n\x1b[31m\u202e\udcffb") == "a\\n\\x1b[31m\\u202e\\udcffb"
    assert shown("x" * 5000).endswith("x ...")
    assert len(shown("x" * 5000)) == 4096
    assert shown("x" * MAX_LINE) == "x" * MAX_LINE


def test_evidence_is_harmless_however_deep():
    assert harmless({"a\n": ["\x1b", {"b": "\u202e"}, 5, None, True]}) == {
        "a\\n": ["\\x1b", {"b": "\\u202e"}, 5, None, True]
    }


def test_an_answer_is_said_once_whether_good_or_bad():
    voice, out, _ = voice_on(as_json=True)
    voice.answer(ok=False, code="no-grant", message="no", evidence={})
    voice.succeed("again", {})
    assert json.loads(out.getvalue()) == {"ok": False, "code": "no-grant", "message": "no", "evidence": {}}
    voice, out, err = voice_on()
    voice.answer(ok=False, code="no-grant", message="no", evidence={})
    assert (out.getvalue(), err.getvalue()) == ("no\n", "")


def test_a_program_may_have_a_manner_of_its_own():
    manner = Manner(str.upper, str.title, lambda _: "hidden", "gone")
    out, err = io.StringIO(), io.StringIO()
    Voice(PROGRAM, out, err, as_json=True, manner=manner).succeed("well done", {"a": 1})
    assert json.loads(out.getvalue()) == {
        "ok": True,
        "code": "",
        "message": "WELL DONE",
        "evidence": "hidden",
    }
    with pytest.raises(UnavailableError, match="gone"):
        Voice(PROGRAM, None, err, as_json=False, manner=manner).tell("a")
    Voice(PROGRAM, None, err, as_json=False, manner=manner).warn(DeniedError("no-grant", "no key"))
    assert err.getvalue() == "trustkit-broker: Warning: No Key [no-grant]\n"
