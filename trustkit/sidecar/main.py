"""Composition root of ``trustkit-sidecar``: bring one model and stay, check the arguments, or answer a probe.

The only place of this face that sees arguments, clocks, chance, signals and
process limits. The first SIGTERM or SIGINT ends the work where it stands and
staging is wiped; later ones do not interrupt the wiping. After READY a signal
ends the process with 0. Failures are one line on stderr and the exit status of
their class; no environment variable is read (architecture, sections 5 and 10).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from trustkit.errors import EXIT_TRUSTED
from trustkit.programs.ending import forbid_core_dumps, status_of
from trustkit.programs.voice import Voice
from trustkit.sidecar.config import PROGRAM, Config, Question, load
from trustkit.sidecar.lifecycle import Lifecycle, State

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_NUDGE_SECONDS = 0.02


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit status.

    Args:
        argv: Arguments without the program's name.
    """
    voice = Voice(PROGRAM, sys.stdout, sys.stderr, as_json="--json" in argv)

    def work() -> int:
        forbid_core_dumps()  # of the key and the opened model
        config = load(argv)
        if isinstance(config, Question):
            return _ask(config, voice)
        return _check(config, voice) if config.verb == "check-config" else _run(config, voice)

    return status_of(
        work,
        voice,
        debug="--debug" in argv,
        interrupted="stopped before anything was published",
        extra="sidecar",
    )


def run() -> None:
    """Start from the command line."""
    warnings.simplefilter("ignore", UserWarning, append=True)  # of certificates: refusals say it
    sys.exit(main(sys.argv[1:]))


def _check(config: Config, voice: Voice) -> int:
    from trustkit.programs.checking import missing_svid_told, tell
    from trustkit.sidecar.output import demand_place
    from trustkit.sidecar.pins import beliefs_of, demand_peers

    beliefs = beliefs_of(config, now=time.time, alarm=voice.warn)
    found, unchecked = {"reference": str(config.reference)}, []
    if config.without_svid:
        unchecked = [
            f"the SVID in {str(config.svid_directory)!r}",
            "whether the trust bundle vouches for it",
            "whether store and broker are of its trust domain",
            f"whether a model can be published at {str(config.output)!r}",
        ]
    else:
        with missing_svid_told(config.svid_directory):
            identity = beliefs.source.current().spiffe_id
        demand_peers(config, identity)
        demand_place(config.output)
        found["spiffe_id"] = str(identity)
    tell(voice, "the arguments are", {**found}, unchecked)
    return EXIT_TRUSTED


def _ask(question: Question, voice: Voice) -> int:
    from trustkit.sidecar.output import demand_published

    demand_published(question.output)
    voice.succeed(f"a model is published at {question.output}", {"output": str(question.output)})
    return EXIT_TRUSTED


def _run(config: Config, voice: Voice) -> int:
    from trustkit.sidecar.fetch import fetch
    from trustkit.sidecar.health import Health
    from trustkit.sidecar.store import open_store
    from trustkit.sidecar.world import World

    lifecycle = Lifecycle(lambda _, line: voice.tell(line))
    with _Stop().installed() as stop, Health(config.health, ready=lambda: lifecycle.ready) as health:
        world = World(
            now=time.time,
            monotonic=time.monotonic,
            sleep=stop.sleep,
            chance=_chance,
            entropy=os.urandom,
            unbroken=stop.held,
            on_stop=stop.let_go_of,
            alarm=voice.warn,
            note=lambda line, code: None if stop.came else voice.note(line, code),
        )
        try:
            voice.tell(f"{PROGRAM}: listening on {health.address}")
            published = fetch(config, world, lifecycle, open_store=open_store)
            voice.succeed(
                f"published {config.output}: {published.files} files, {published.bytes} bytes",
                {
                    "manifest_digest": str(config.manifest_digest),
                    "output": str(config.output),
                    "files": published.files,
                    "bytes": published.bytes,
                },
            )
            while True:
                signal.pause()
        except KeyboardInterrupt:
            if lifecycle.state is State.READY:
                return EXIT_TRUSTED
            raise
        finally:
            lifecycle.fail()


class _Stop:
    """SIGTERM and SIGINT as one exception in the main thread, once, and never inside a held block.

    The kernel may give a signal to any thread, and the main thread can be on its way into a wait when it
    comes: so a thread of its own learns of every signal from the interpreter's wake-up pipe, and nudges the
    main thread until that has heard. It is also this thread that tells the others: a handler runs in the
    middle of whatever the main thread does, and must not wait for a lock which that may hold.
    """

    def __init__(self) -> None:
        self._held = False
        self._pending = False
        self._stopped = False
        self._over = False
        self._untold = (
            threading.Lock()
        )  # no Event: a signal that comes inside one can leave it locked for ever
        self._untold.acquire()
        self._open: list[Callable[[], None]] = []

    @contextmanager
    def installed(self) -> Iterator[_Stop]:
        """Catch the signals while the block runs."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        nudger = threading.Thread(target=self._nudge, args=(reading,), name="stop", daemon=True)
        nudger.start()
        wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._arrived) for number in _SIGNALS}
        try:
            yield self
        finally:
            self._held = self._over = True  # nothing is left to interrupt
            signal.set_wakeup_fd(wakeup)
            os.close(writing)
            nudger.join()
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reading)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the end of the block."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending:
            self._stop()

    def sleep(self, seconds: float) -> None:
        """Wait, in any thread.

        Raises:
            KeyboardInterrupt: A signal came.
        """
        if self._untold.acquire(timeout=seconds):
            self._untold.release()
            raise KeyboardInterrupt

    @property
    def came(self) -> bool:
        """Whether a signal has ended the work: what fails from then on is not waited for."""
        return self._stopped

    def let_go_of(self, close: Callable[[], None]) -> None:
        """Remember what ends the waiting of other threads."""
        self._open.append(close)

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        if self._held:
            self._pending = True
        else:
            self._stop()

    def _stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            raise KeyboardInterrupt

    def _nudge(self, reading: int) -> None:
        if not os.read(reading, 1):
            return  # it is over, and no signal came
        while not self._stopped and not self._over:
            if not self._pending:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            time.sleep(_NUDGE_SECONDS)
        self._untold.release()
        for close in self._open:
            close()


def _chance() -> float:
    return int.from_bytes(os.urandom(4)) / (1 << 32)
