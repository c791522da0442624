"""Composition root of ``trustkit``: the one place where failures become exit statuses.

The law of this file: nothing is imported here that takes time, because Ctrl-C
may come at any moment and must end in 130 and one line, without a traceback and
without leftovers. Every other exception becomes one line, its code and the exit
status of its class; what nobody foresaw is a bug and exits 70 (architecture, 5).
"""

from __future__ import annotations

import gc
import io
import os
import sys
import warnings

TYPE_CHECKING = False  # what typing calls by this name; loading typing takes longer than reading this file
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trustkit.cli.terminal import Terminal

EXIT_UNAVAILABLE = 5
EXIT_INTERRUPTED = 130
_MOMENT_SECONDS = 0.005
_ALLOCATIONS = 50_000
"""So many more objects made than freed start a search for circles; while we load, there are none to find."""
_INTERRUPTED = "interrupted; nothing is left half-written"
_DEMO_INTERRUPTED = "interrupted; the demo's folder may be incomplete, run it again with --overwrite"


def run() -> None:
    """Start from the command line and leave with the exit status."""
    gc.set_threshold(_ALLOCATIONS)
    argv = sys.argv[1:]
    seen: list[Terminal] = []
    try:
        _heed_signals()
        _occupy_streams()
        warnings.simplefilter("ignore", UserWarning, append=True)  # of certificates: refusals say it
        status = _attend(argv, os.environ, seen)
    except KeyboardInterrupt:
        _ignore_signals()
        status = _interrupted(argv, seen)
    status = _settled(status)
    gc.freeze()  # what we made goes with the process, and nobody needs to search it for circles once more
    sys.exit(status)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit status.

    Args:
        argv: Arguments without the program's name.
        environ: The environment.
    """
    seen: list[Terminal] = []
    try:
        return _attend(argv, environ, seen)
    except KeyboardInterrupt:
        return _interrupted(argv, seen)


def _attend(argv: Sequence[str], environ: Mapping[str, str], seen: list[Terminal]) -> int:
    """Run one command; *seen* gets the terminal, which knows what was said if we are interrupted."""
    from trustkit.cli.dispatch import flags_of
    from trustkit.cli.terminal import Terminal

    flags = flags_of(argv)
    seen.append(
        Terminal(environ, out=sys.stdout, err=sys.stderr, json="--json" in flags, debug="--debug" in flags)
    )
    return _answer(argv, seen[0])


def _answer(argv: Sequence[str], terminal: Terminal) -> int:
    from trustkit.errors import TrustkitError, UnavailableError, is_interruption

    try:
        from trustkit.cli.dispatch import perform

        return terminal.say(perform(argv, terminal))
    except TrustkitError as error:
        return terminal.refuse(error)
    except MemoryError:
        return terminal.refuse(
            UnavailableError("out-of-memory", "there is not enough memory for this; nothing was written")
        )
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return terminal.refuse(
            UnavailableError("system-error", f"the system refused: {reason}", errno=error.errno)
        )
    except Exception as error:  # noqa: BLE001 - a bug still owes one line, one document and exit 70
        if is_interruption(error):
            raise KeyboardInterrupt from None
        return terminal.confess(error)


def _interrupted(argv: Sequence[str], seen: list[Terminal]) -> int:
    """Say that we stopped, unless the outcome was told already, by means that are surely loaded."""
    told = seen[0].told if seen else None
    if told is not None:
        return told
    words = list(argv)
    message = _DEMO_INTERRUPTED if words[:1] == ["demo"] else _INTERRUPTED
    flags = words[: words.index("--")] if "--" in words else words
    spoken = bool(seen) and seen[0].spoken
    for stream, text in (
        (sys.stdout, _document(message) if "--json" in flags and not spoken else ""),
        (sys.stderr, f"trustkit: {message} [interrupted]\n"),
    ):
        try:
            if stream is not None:
                stream.write(text)
                stream.flush()
        except (OSError, ValueError):
            continue
    return EXIT_INTERRUPTED


def _document(message: str) -> str:
    """Write the document of an interruption without the modules that write documents."""
    return (
        f'{{\n  "code": "interrupted",\n  "evidence": {{}},\n  "message": "{message}",\n  "ok": false\n}}\n'
    )


def _heed_signals() -> None:
    """Let an interruption, a termination or a lost terminal unwind the work, so that nothing is left behind.

    The first signal unwinds; a second is swallowed, so that the impatient do not interrupt the cleaning up;
    from the third on it is meant. What the caller made us ignore (``nohup``) stays ignored.
    """
    import signal

    seen: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        seen.append(number)
        if len(seen) != 2:
            raise KeyboardInterrupt

    def interrupt_again(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    def unraised(lost: sys.UnraisableHookArgs) -> None:
        """Python drops what is raised in a callback of its own; an interruption must not get lost there."""
        if lost.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _MOMENT_SECONDS)
        else:
            sys.__unraisablehook__(lost)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    signal.signal(signal.SIGALRM, interrupt_again)
    sys.unraisablehook = unraised


def _ignore_signals() -> None:
    """From here on there is nothing to take back."""
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _occupy_streams() -> None:
    """Give the numbers of closed streams to the null device, so that no file of ours becomes "stderr"."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            try:
                stream.reconfigure(errors="backslashreplace")
            except OSError:
                continue  # it flushes, and whoever writes will meet the same error


def _settled(status: int) -> int:
    """Leave nothing for the interpreter to fail at: no late signal, no unwritten text."""
    _ignore_signals()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1 if stream is sys.stdout else 2)
            status = status or EXIT_UNAVAILABLE
    return status
