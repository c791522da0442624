"""Checking and deciding where a program does not run: everything, but for what is only there where it does.

The law of this file: an SVID is issued to a program where it runs, so whoever checks
a configuration elsewhere has none. He may leave it out, in words; then all that was
not checked for want of it is said with the answer, and never called valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trustkit.errors import Evidence, TrustkitError
from trustkit.programs.helping import HelpParser
from trustkit.programs.voice import Voice

FLAG = "--without-svid"

_MISSING = frozenset(("no-such-file", "no-svid"))


def add_without_svid(verb: HelpParser, does: str = "check all but our own SVID") -> None:
    """Let a verb leave our own SVID out; *does* is what it does then."""
    says = f"{does}, which is only there where the program runs; say what that leaves out"
    verb.add_argument(FLAG, action="store_true", help=says)


@contextmanager
def missing_svid_told(directory: Path, does: str = "checks all else") -> Iterator[None]:
    """Say of a file that is missing in the SVID directory why that may be, and what our flag does.

    Raises:
        TrustkitError: As it came, with that.
    """
    try:
        yield
    except TrustkitError as error:
        if error.code not in _MISSING or str(directory) not in error.message:
            raise
        why = f"it is only there where the program runs; {FLAG} {does}"
        raise type(error)(error.code, f"{error.message}; {why}", **error.evidence) from None


def tell(voice: Voice, what: str, evidence: dict[str, Evidence], unchecked: Sequence[str] = ()) -> None:
    """Say that a configuration is valid, or what of it was not checked.

    Args:
        voice: Where to.
        what: What was checked: ``the configuration is`` or ``the arguments are``.
        evidence: What was found.
        unchecked: What was left out; said, and in the evidence.

    Raises:
        UnavailableError: ``unwritable``.
    """
    if unchecked:
        said = f"{what} valid as far as was checked; NOT checked: {', '.join(unchecked)}"
        voice.succeed(said, {**evidence, "unchecked": list(unchecked)})
    else:
        voice.succeed(f"{what} valid", evidence)
