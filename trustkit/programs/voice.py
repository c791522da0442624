"""What a program says: lines for people, or exactly one JSON document on stdout.

The law of this file: text that came from elsewhere is made harmless before it
reaches a terminal; a failure is one line on stderr in any case, with its code
last; and whoever cannot be told must not take silence for success, so what
cannot be written is exit 5.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from trustkit import strictjson
from trustkit.errors import Evidence, TrustkitError, UnavailableError

MAX_LINE = 4096
"""Longest text that is shown (characters); what is beyond is cut."""


def shown(untrusted: str) -> str:
    """Return one line that is safe for a terminal, of bearable length."""
    text = untrusted if len(untrusted) <= MAX_LINE else f"{untrusted[: MAX_LINE - 4]} ..."
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def harmless(untrusted: Evidence) -> Evidence:
    """Return evidence with every text in it made safe to show, names included."""
    if isinstance(untrusted, str):
        return shown(untrusted)
    if isinstance(untrusted, dict):
        return {shown(name): harmless(value) for name, value in untrusted.items()}
    return [harmless(value) for value in untrusted] if isinstance(untrusted, list) else untrusted


@dataclass(frozen=True, slots=True)
class Manner:
    """How one program words what it says, where it differs from the others.

    Attributes:
        answer: Makes a message safe for stdout, in lines or in the document.
        complaint: Makes a message one safe line for stderr.
        evidence: Makes evidence safe for the document.
        closed: What is said of a standard output that is closed.
    """

    answer: Callable[[str], str] = shown
    complaint: Callable[[str], str] = shown
    evidence: Callable[[Evidence], Evidence] = harmless
    closed: str = "standard output is closed, so nothing can be told"


PLAIN = Manner()


class Voice:
    """The streams of one run.

    Args:
        program: The program's name, which opens every complaint.
        out: Standard output, or None where it is closed.
        err: Standard error, or None where it is closed.
        as_json: Whether stdout holds one document and nothing else.
        manner: How things are worded.
    """

    def __init__(
        self, program: str, out: TextIO | None, err: TextIO | None, *, as_json: bool, manner: Manner = PLAIN
    ) -> None:
        self._program = program
        self._out = out
        self._err = err
        self._as_json = as_json
        self._manner = manner
        self._said = False

    def tell(self, line: str) -> None:
        """Say how far things are: on stdout for people, nowhere beside a document.

        Raises:
            UnavailableError: ``unwritable``.
        """
        if not self._as_json:
            self._write(f"{self._manner.answer(line)}\n")

    def answer(self, *, ok: bool, code: str, message: str, evidence: dict[str, Evidence]) -> None:
        """Say what came out: the message for people, or the document; raises as `tell` does."""
        self.tell(message)
        self._document(ok=ok, code=code, message=message, evidence=evidence)

    def succeed(self, message: str, evidence: dict[str, Evidence]) -> None:
        """Say the one good thing there is to say; raises as `tell` does."""
        self.answer(ok=True, code="", message=message, evidence=evidence)

    def fail(self, error: TrustkitError) -> int:
        """Say what went wrong and return its exit status."""
        return self.end(error.exit_code, error.code, error.message, error.evidence)

    def warn(self, error: TrustkitError) -> None:
        """Say on stderr what is wrong and does not end the process."""
        self._complain(f"warning: {error.message}", error.code)

    def note(self, message: str, code: str) -> None:
        """Say on stderr what goes on and is neither wrong nor an outcome."""
        self._complain(message, code)

    def end(self, status: int, code: str, message: str, evidence: dict[str, Evidence] | None = None) -> int:
        """Say in one line why the process ends and return its exit status."""
        try:
            self._document(ok=False, code=code, message=message, evidence=evidence or {})
        except UnavailableError as error:
            self._complain(error.message, error.code)
            status = error.exit_code
        self._complain(message, code)
        return status

    def _complain(self, message: str, code: str) -> None:
        if self._err is not None:
            self._err.write(f"{self._program}: {self._manner.complaint(message)} [{code}]\n")
            self._err.flush()

    def _document(self, *, ok: bool, code: str, message: str, evidence: dict[str, Evidence]) -> None:
        if self._as_json and not self._said:
            self._said = True
            document = {
                "ok": ok,
                "code": code,
                "message": self._manner.answer(message),
                "evidence": self._manner.evidence(evidence),
            }
            self._write(strictjson.to_bytes(document, indent=2).decode())

    def _write(self, text: str) -> None:
        if self._out is None:
            raise UnavailableError("unwritable", self._manner.closed)
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            # What is still buffered goes nowhere now, instead of failing again when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
            raise UnavailableError(
                "unwritable", f"cannot write to standard output: {error.strerror}"
            ) from None
