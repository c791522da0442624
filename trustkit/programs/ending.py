"""How a program ends: every outcome is told once, has its exit status, and leaves no secret behind.

The law of this file: an error of ours ends with the status of its class, an
interruption with 130, a library that is not installed with 2 and the name of
the extra that brings it, and what nobody foresaw with 70 and its class alone,
for an exception's text may quote what it must not (architecture, section 5).
"""

from __future__ import annotations

import resource
from collections.abc import Callable

from trustkit.errors import EXIT_BUG, EXIT_INTERRUPTED, TrustkitError, extra_needed, is_interruption
from trustkit.programs.voice import Voice

_OURS = frozenset(("trustkit", "admission"))
"""What no extra brings: our own packages."""


def status_of(work: Callable[[], int], voice: Voice, *, debug: bool, interrupted: str, extra: str) -> int:
    """Do the work, say why it failed where it does, and return the exit status.

    Args:
        work: The whole run; returns its exit status.
        voice: Hears of every failure.
        debug: Whether a bug is raised as it is, with its traceback.
        interrupted: What is said of an interruption: how far things were.
        extra: The extra of our distribution that brings the libraries the program needs.
    """
    try:
        return work()
    except TrustkitError as error:
        return voice.fail(error)
    except (Exception, KeyboardInterrupt) as error:
        if is_interruption(error):
            return voice.end(EXIT_INTERRUPTED, "interrupted", interrupted)
        if missing := _missing(error):
            return voice.fail(extra_needed("the program", missing, extra))
        if debug:
            raise
        why = f"a bug ({type(error).__name__}); run with --debug and report it"
        return voice.end(EXIT_BUG, "internal-error", why)


def _missing(error: BaseException) -> str:
    """Return the library that is not installed, if that is what went wrong; a part of our own is a bug."""
    name = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    library = name.partition(".")[0]
    return "" if library in _OURS else library


def forbid_core_dumps() -> None:
    """Keep keys, and what they opened, out of core files; children inherit it."""
    # 1 and not 0: a core that is piped to a program ignores every limit but this one (core(5)).
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except ValueError:  # a lower limit, which nobody may raise, came from whoever started us
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
