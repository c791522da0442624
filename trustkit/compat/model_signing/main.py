"""Composition root of the reference's command line: arguments in, one line and an exit status out.

The law of this file: as in the reference every failure is exit 1, but for words
that cannot be read and methods that are not built, which are exit 2 as there;
an interruption is 130, as everywhere in trustkit. Nothing heavy is imported
before it is known what is to be done.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from trustkit.errors import EXIT_INTERRUPTED, EXIT_TRUSTED, TrustkitError, UsageError, is_interruption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustkit.programs.voice import Voice

EXIT_FAILED = 1
EXIT_USAGE = UsageError.exit_code


def run() -> None:
    """Start from the command line and leave with the exit status."""
    warnings.simplefilter("ignore", UserWarning, append=True)  # of certificates: refusals say it
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    try:
        return _attend(argv)
    except TrustkitError as error:
        _voice().fail(error)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it must not look like success
        if is_interruption(error):
            return _voice().end(EXIT_INTERRUPTED, "interrupted", "interrupted; nothing is left half-written")
        _voice().end(EXIT_FAILED, "internal-error", f"a bug in trustkit ({type(error).__name__}); report it")
    return EXIT_FAILED


def _attend(argv: Sequence[str]) -> int:
    from trustkit.compat.model_signing.command import perform, read

    try:
        command = read(argv)
    except UsageError as error:
        _voice().fail(error)
        return EXIT_USAGE
    _tell(command if isinstance(command, str) else perform(command))
    return EXIT_TRUSTED


def _tell(text: str) -> None:
    """Write text of ours to stdout, and know that it has arrived; the voice, slow to load, says why not."""
    try:
        if sys.stdout is not None:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
            return
    except OSError:
        pass
    _voice().tell("")


def _voice() -> Voice:
    """Return what makes text harmless that may quote others."""
    from trustkit.programs.voice import Voice

    return Voice("model_signing", sys.stdout, sys.stderr, as_json=False)
