"""Where the command line speaks: one answer or one refusal, for people or for programs.

The law of this file: with ``--json`` stdout carries exactly one document,
whatever happens, and in any case nothing untrusted reaches a terminal unescaped.
Whoever cannot be told the result must not take silence for success: an answer
that cannot be written is exit 5. Colour and progress exist on a terminal only,
and never under ``NO_COLOR`` or ``TERM=dumb`` respectively.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from trustkit.cli.escape import harmless, line, shown
from trustkit.errors import EXIT_BUG, EXIT_TRUSTED, TrustkitError, UnavailableError, UsageError
from trustkit.records import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trustkit import strictjson
    from trustkit.cli.answer import Answer
    from trustkit.cli.progress import Meter

UNAVAILABLE = UnavailableError.exit_code
MAX_UNDISTURBED = 1 << 14
"""Longest text that is written without heeding signals (characters); every pipe holds that."""

_COLOURS = {"good": "32", "bad": "31", "odd": "33"}


class Terminal:
    """The streams of one run, and what the caller asked of them.

    Attributes:
        json: Whether the caller asked for a document; known before arguments are parsed.
        debug: Whether tracebacks are wanted.
        quiet: Whether success is silent but for warnings.
        spoken: Whether stdout has had its document, or a part of it; there is no second one.
        told: The exit status that goes with what was said, once all of it was.
        environ: The environment, for the programs that a verb starts.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        out: TextIO | None,
        err: TextIO | None,
        json: bool = False,
        debug: bool = False,
    ) -> None:
        self.json = json
        self.debug = debug
        self.quiet = False
        self.spoken = False
        self.told: int | None = None
        self.environ = environ
        self._out = out
        self._err = err
        self._plain = bool(environ.get("NO_COLOR"))
        self._dumb = environ.get("TERM") == "dumb"
        self._columns = environ.get("COLUMNS", "")

    @property
    def width(self) -> int:
        """Columns that help may use: ``COLUMNS``, else the terminal's, else 80; never above 100."""
        if self._columns.isascii() and self._columns.isdigit() and len(self._columns) < 5:
            columns = int(self._columns)
        else:
            try:
                columns = os.get_terminal_size(self._out.fileno()).columns if self._out else 80
            except (OSError, ValueError):
                columns = 80
        return max(40, min(columns or 80, 100))

    def say(self, answer: Answer) -> int:
        """Print the answer of a verb and return the exit status.

        Raises:
            UnavailableError: ``unwritable``.
        """
        for warning in answer.warnings:  # also where success is silent: something may have been lost
            self._complain(f"trustkit: warning: {line(warning)}", "odd")
        if answer.refusal is not None:
            return self._decline(answer, answer.refusal)
        if self.json:
            message = f"{answer.verdict}: {answer.message}"
            members = self._members(answer)
            members.update(ok=True, code="", message=line(message), evidence={})
            self._tell(self._document(members), EXIT_TRUSTED)
        elif answer.audible or not self.quiet:
            if answer.aside:
                self._complain(f"{shown(answer.verdict)}: {line(answer.message)}", "odd")
            self._tell(answer.product if answer.product is not None else self._text(answer), EXIT_TRUSTED)
        return EXIT_TRUSTED

    def _decline(self, answer: Answer, error: TrustkitError) -> int:
        """Print what an answer lists, and then that it is a refusal."""
        text = line(error.message)
        if self.json:
            members = self._members(answer)
            members.update(ok=False, code=error.code, message=text, evidence=harmless(error.evidence))
            self._tell(self._document(members), error.exit_code)
        elif answer.audible or not self.quiet:
            listed = self._text(replace(answer, aside=True))
            self._tell(listed if answer.product is None else answer.product, error.exit_code)
        self._complain(f"trustkit: {text} [{error.code}]", "bad")
        self.told = error.exit_code
        return error.exit_code

    def narrate(self, text: str) -> None:
        """Print one line of a long story at once; a document waits for the end, and quiet for nothing.

        Raises:
            UnavailableError: ``unwritable``.
        """
        if not self.json and not self.quiet:
            self._write(f"{text}\n")

    @property
    def colour(self) -> bool:
        """Whether stdout may be coloured."""
        return not self._plain and not self._dumb and _is_terminal(self._out)

    def refuse(self, error: TrustkitError) -> int:
        """Report a failure of the error tree and return its exit status."""
        self._trace()
        return self._report(error.code, error.message, error.evidence, error.exit_code)

    def confess(self, error: Exception) -> int:
        """Report a bug of ours: no details but its type, a traceback only for ``--debug``."""
        self._trace()
        kind = type(error).__name__
        advice = (
            "report it with the traceback above" if self.debug else "run it again with --debug and report it"
        )
        return self._report(
            "internal-error", f"a bug in trustkit ({kind}); {advice}", {"type": kind}, EXIT_BUG
        )

    def interactive(self) -> bool:
        """Say whether a person sits here who can be asked."""
        return _is_terminal(self._err) and os.isatty(0)

    def ask(self, what: str, *, flag: str = "--passphrase-file") -> bytes:
        """Ask for a passphrase without showing it.

        Raises:
            UsageError: ``passphrase-needed`` if the terminal was closed instead.
        """
        import getpass

        try:
            return getpass.getpass(f"{shown(what)}: ").encode("utf-8", "surrogateescape")
        except EOFError:
            raise UsageError("passphrase-needed", f"no passphrase was entered; give {flag}") from None

    def progress(self, verb: str, *paths: Path) -> Meter:
        """Return a context that shows how far the work on some paths is, to whoever watches a terminal."""
        from trustkit.cli.progress import Meter

        watched = not self.quiet and not self._dumb and _is_terminal(self._err)
        return Meter(self._err if watched else None, verb, paths, erase="\r" if self._plain else "\r\x1b[K")

    def _report(self, code: str, message: str, evidence: object, status: int) -> int:
        text = line(message)
        if self.json and not self.spoken:
            members: strictjson.Object = {
                "ok": False,
                "code": code,
                "message": text,
                "evidence": harmless(evidence),
            }
            try:
                self._tell(self._document(members), status)
            except UnavailableError as error:
                text, code, status = f"{error.message}; it was: {text}", error.code, UNAVAILABLE
        self._complain(f"trustkit: {text} [{code}]", "bad")
        self.told = status
        return status

    def _members(self, answer: Answer) -> strictjson.Object:
        """Return what an answer adds to the document; only its product is text of our own."""
        fields = harmless({**answer.fields, "warnings": list(answer.warnings)})
        found = fields if isinstance(fields, dict) else {}
        return found if answer.product is None else {**found, answer.product_name: answer.product}

    def _document(self, members: strictjson.Object) -> str:
        from trustkit import strictjson

        return strictjson.to_bytes(members, indent=2).decode("utf-8")

    def _text(self, answer: Answer) -> str:
        style = "odd" if answer.verdict.isupper() else "good"
        verdict = self._painted(shown(answer.verdict), style, self._out)
        wide = max((len(label) for label, _ in answer.rows), default=0)
        found = [] if answer.aside else [f"{verdict}: {line(answer.message)}"]
        found += [f"  {shown(label):<{wide}}  {shown(value)}" for label, value in answer.rows]
        found += [shown(text) for text in answer.lines]
        return "\n".join(found) + "\n"

    def _tell(self, text: str, status: int) -> None:
        """Write what stdout is for, once, together with the knowledge that it was written.

        Signals wait meanwhile, so that an interruption finds either nothing said or all of it; but not where
        a reader could make us wait: a text that no pipe holds may be interrupted half-way.
        """
        import signal

        waiting = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} if len(text) <= MAX_UNDISTURBED else set()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
        try:
            self.spoken = True
            self._write(text)
            self.told = status
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _write(self, text: str) -> None:
        """Write to stdout, and know that it has arrived."""
        if self._out is None:
            raise UnavailableError("unwritable", "standard output is closed, so the result cannot be told")
        try:
            raw = getattr(self._out, "buffer", None)
            if raw is not None and self.json:
                self._out.flush()
                raw.write(text.encode("utf-8"))
                raw.flush()
            else:
                self._out.write(text)
                self._out.flush()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is closed"
            raise UnavailableError("unwritable", f"standard output cannot be written: {reason}") from None

    def _complain(self, text: str, style: str) -> None:
        """Write one line to stderr; where that is impossible the exit status has to do."""
        if self._err is None:
            return
        head, colon, rest = text.partition(":")
        try:
            self._err.write(f"{self._painted(head, style, self._err)}{colon}{rest}\n")
            self._err.flush()
        except (OSError, ValueError):
            self._err = None

    def _trace(self) -> None:
        if self.debug and self._err is not None:
            import traceback

            trace = traceback.format_exc().splitlines()
            self._complain("\n".join(shown(text) for text in trace), "bad")

    def _painted(self, text: str, style: str, stream: TextIO | None) -> str:
        if self._plain or self._dumb or not _is_terminal(stream):
            return text
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m"


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
