"""The life of a sidecar: a table of states, one writer, forward only.

    STARTING     arguments read; the pinned files are being held against their digests
    IDENTIFIED   our SVID is good under the pinned trust bundle
    VERIFIED     the signed documents are the pinned ones, by those the pinned policy believes
    KEYED        the broker released the key, and it fits the signed commitment
    OPENED       every byte lies in staging and is what the author signed
    READY        the folder has its name; /readyz answers 200 from here on
    FAILED       final; staging is wiped, the process ends with the code of what happened

A plain model has no key, so VERIFIED is followed by OPENED; so it is where the
published folder of a run before lies there and was checked, byte for byte. No
state comes twice, nothing leads out of READY or FAILED, and every state before
READY may fail. There is no way into READY but from OPENED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum


class State(Enum):
    """Where a sidecar is."""

    STARTING = "starting"
    IDENTIFIED = "identified"
    VERIFIED = "verified"
    KEYED = "keyed"
    OPENED = "opened"
    READY = "ready"
    FAILED = "failed"


NEXT: Mapping[State, frozenset[State]] = {
    State.STARTING: frozenset((State.IDENTIFIED, State.FAILED)),
    State.IDENTIFIED: frozenset((State.VERIFIED, State.FAILED)),
    State.VERIFIED: frozenset((State.KEYED, State.OPENED, State.FAILED)),
    State.KEYED: frozenset((State.OPENED, State.FAILED)),
    State.OPENED: frozenset((State.READY, State.FAILED)),
    State.READY: frozenset(),
    State.FAILED: frozenset(),
}
"""Which states may follow a state. The table is the machine; nothing else decides."""

Tell = Callable[[State, str], None]
"""Told of states entered, with a line about it for people."""


class Lifecycle:
    """One run's state. Written by one thread, read by any."""

    def __init__(self, tell: Tell) -> None:
        self._state = State.STARTING
        self._tell = tell

    @property
    def state(self) -> State:
        """Where the sidecar is now."""
        return self._state

    @property
    def ready(self) -> bool:
        """Whether the model may be used."""
        return self._state is State.READY

    def advance(self, to: State, line: str = "") -> None:
        """Enter a state that the table allows here.

        Raises:
            ValueError: The table does not allow it: a bug.
        """
        if to not in NEXT[self._state]:
            raise ValueError(f"{to.name} does not follow {self._state.name}")
        self._state = to
        if line:
            self._tell(to, line)

    def fail(self) -> None:
        """Enter FAILED, unless the life has ended already."""
        if State.FAILED in NEXT[self._state]:
            self.advance(State.FAILED)
