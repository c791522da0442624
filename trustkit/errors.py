"""Every exception trustkit raises on purpose, and the exit code each one becomes.

    TrustkitError(code, message, **evidence)
     |- UsageError         2   the caller's mistake: configuration, flags, reference
     |- FormatError        3   bytes do not parse, or break the format's rules
     |- LimitError         4   a stated cap was exceeded (caps are checked before parsing)
     |- VerificationError  1   evidence was examined and rejected
     |- ScreeningError     1   content was refused
     |- DeniedError        1   a rule or the broker said no
     |- SealError          1   tampered, truncated, no matching opener, wrong context
     |- UnavailableError   5   the world did not answer; only this may ever be retried

The law of this file: *refused* is not *could not tell*. A class says which of
the two happened and who has to act; the kebab-case ``code`` says what happened
and never changes; the message says what to do next; ``evidence`` holds typed,
non-secret fields for machines. No secret, token or payload enters any of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

Evidence = str | int | float | bool | None | list["Evidence"] | dict[str, "Evidence"]

EXIT_TRUSTED = 0
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

_SHORTEST_WORD, _LONGEST_WORD = 3, 64


class TrustkitError(Exception):
    """The base of the tree: a stable code, one line for people, fields for machines.

    Args:
        code: Stable kebab-case identifier, used in logs, JSON, metrics and admission messages.
        message: One line: what happened and what to do. Untrusted text in it is escaped where it is shown.
        evidence: Typed fields, never secret; untrusted unless the raiser verified them.
    """

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(self, code: str, message: str, **evidence: Evidence) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.evidence: dict[str, Evidence] = evidence

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class UsageError(TrustkitError):
    """The caller's mistake: a flag, a configuration value, a reference. Exit 2."""

    exit_code = 2


class FormatError(TrustkitError):
    """Bytes do not parse, or break a rule of their format. Exit 3."""

    exit_code = 3


class LimitError(TrustkitError):
    """A stated cap was exceeded before anything was parsed or allocated. Exit 4."""

    exit_code = 4


class VerificationError(TrustkitError):
    """Evidence was examined and rejected: signature, identity, manifest, time. Exit 1."""

    exit_code = 1


class ScreeningError(TrustkitError):
    """The content itself was refused. Exit 1."""

    exit_code = 1


class DeniedError(TrustkitError):
    """A rule or the broker said no. Exit 1."""

    exit_code = 1


class SealError(TrustkitError):
    """Sealed bytes were tampered with, truncated, or no opener fits. Exit 1."""

    exit_code = 1


class UnavailableError(TrustkitError):
    """The world did not answer: disk, network, service. A retry may help. Exit 5."""

    exit_code = 5


def is_interruption(error: BaseException | None) -> bool:
    """Say whether an exception is a `KeyboardInterrupt`, or was made of one.

    Up to Python 3.11, what is raised in ``__set_name__``, while a class is made, comes as a `RuntimeError`.
    """
    seen: set[int] = set()  # whoever raises may have made a ring of causes
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__
    return False


def extra_needed(what: str, module: str | None, extras: str) -> UsageError:
    """Build the error of a library that is not installed; no registry has us, so ours come from the source.

    Args:
        what: Who needs it.
        module: The library.
        extras: The extras of our distribution that bring it.
    """
    return UsageError(
        "extra-needed",
        f"{what} needs {module}; install it from the source of trustkit: pip install '.[{extras}]'",
        module=module,
    )


def nearest(untrusted: str, known: Collection[str]) -> str | None:
    """Return which of the words that there are was meant by one that there is not, for its message; or None.

    It may be shortened, or misspelt.
    """
    from difflib import get_close_matches  # takes long to load, and only a mistake needs it

    asked = untrusted[:_LONGEST_WORD]
    begun = [word for word in known if word.startswith(asked)] if len(asked) >= _SHORTEST_WORD else []
    ended = [word for word in known if asked.endswith(f"-{word}")]  # --author-key is --key elsewhere
    near = next((one for one in (begun, ended) if len(one) == 1), None)
    near = near or get_close_matches(asked, sorted(known), n=1)
    return near[0] if near else None
