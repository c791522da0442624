"""Two servers in one process until SIGTERM: the webhook over TLS, health in the clear.

HTTP/1.1 only, because the API server speaks nothing else through a Service
(facts: admission, 0.1); connections are kept longer than the API server does.
Whoever can reach a port may connect: so each of them is behind a
`trustkit.spiffe.door`, where all that a peer may take is bounded, and a
newcomer gets the place of whoever has kept us waiting longest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from admission.app import Limits, health_app, webhook_app
from admission.config import Config
from admission.decide import Judge
from admission.tls import RenewedContext
from trustkit.errors import TrustkitError
from trustkit.spiffe import listening
from trustkit.spiffe.door import Door, keep_open
from trustkit.spiffe.listening import address_of, bound

KEEP_ALIVE_SECONDS = 120.0
"""Above the API server's idle time of 90 s: a new TLS connection costs three times a kept one."""
MAX_CONNECTIONS = 512
"""Most connections of the webhook, handshakes and idle ones included."""
HEALTH_LIMITS = listening.Limits(connections=64, arrival_seconds=5.0, idle_seconds=2.0)
"""The plain port is open to all of the cluster: nobody keeps a place there by saying nothing."""
_DOOR_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the composition root hands down.

    Attributes:
        clock: A monotonic clock.
        now: The time (seconds since the epoch), for certificates.
        announce: Told both addresses once requests are accepted: the webhook's and the health port's.
        alarm: Told what is wrong and does not end the process.
    """

    clock: Callable[[], float]
    now: Callable[[], float]
    announce: Callable[[str, str], None]
    alarm: Callable[[TrustkitError], None]


def serve(judge: Judge, config: Config, surroundings: Surroundings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        UsageError: ``bad-tls``: the certificate, key or client CA cannot be used.
        UnavailableError: ``cannot-listen``.
    """
    limits = Limits(config.deadline_seconds, config.body_timeout_seconds, config.workers, config.queue)
    renewed = RenewedContext(config.tls, surroundings.alarm, now=surroundings.now)
    app = webhook_app(judge, limits, clock=surroundings.clock, alarm=surroundings.alarm)
    webhook = Door(app, renewed.current, webhook_limits(config.body_timeout_seconds))
    health = Door(health_app(lambda: webhook.open), _in_the_clear, HEALTH_LIMITS)
    with (
        contextlib.closing(bound(config.listen)) as listener,
        contextlib.closing(bound(config.health_listen)) as plain,
    ):
        keep_open(
            [(webhook, listener), (health, plain)],
            lambda: surroundings.announce(address_of(listener), address_of(plain)),
        )


def webhook_limits(body_timeout_seconds: float) -> listening.Limits:
    """Return what callers of the webhook may take; a late body hears why from the application, before us."""
    return listening.Limits(
        connections=MAX_CONNECTIONS,
        arrival_seconds=body_timeout_seconds + _DOOR_SECONDS,
        idle_seconds=KEEP_ALIVE_SECONDS,
    )


def _in_the_clear() -> None:
    """Return the TLS context of a port that has none."""
