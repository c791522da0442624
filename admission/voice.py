"""What the webhook's process says, in the words that its answers to the API server are made of.

The law of this file: a person and the API server read the same message, line
ends included, and the document carries a response exactly as it would be sent.
"""

from __future__ import annotations

from typing import TextIO

from admission.review import shown
from trustkit.errors import Evidence
from trustkit.programs.voice import Manner, Voice

PROGRAM = "trustkit-admission"


def voice_on(out: TextIO | None, err: TextIO | None, *, as_json: bool) -> Voice:
    """Return the voice of one run on these streams; None where one is closed."""
    manner = Manner(answer=shown, complaint=_line, evidence=_as_it_is)
    return Voice(PROGRAM, out, err, as_json=as_json, manner=manner)


def _line(untrusted: str) -> str:
    return shown(untrusted).replace("\n", " ")


def _as_it_is(evidence: Evidence) -> Evidence:
    return evidence
