"""The keys that a broker opens with: files that are read at start, and keys in services that are asked later.

The law of this file: a key in a service costs a start nothing but its library;
that the service answers is not demanded, since a broker has to come up while it
is down. What a service says of the broker's own rights, credentials or keys is
its operator's business: the operator is told, the asker hears that he may come
again, never that he was refused. No service is asked once the time of a request
is over, and none keeps a thread for longer than half of that, nor does what has
to find credentials for it before. Who asks is told to no service: it sees the
context of the wrapped key, and the broker's own name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from trustkit.artifact.inputs import first_line, of_file, read_input
from trustkit.broker.config import Config, OpenerConfig
from trustkit.digest import Digest
from trustkit.errors import DeniedError, TrustkitError, UnavailableError, UsageError
from trustkit.programs.deadline import Deadline
from trustkit.sealing.awskms import KmsKey, KmsOpener
from trustkit.sealing.awskms_client import ANSWER_SECONDS, KmsClient, demand_library
from trustkit.sealing.recipients import Opener, opener_from_pem
from trustkit.signing.key import refuse_public

SHARE = 2
"""Into how many parts the time of a request is split, of which a service may take one."""

_KEY_MAX_BYTES = 64 * 1024


def openers_from(config: Config, *, monotonic: Callable[[], float]) -> tuple[Opener, ...]:
    """Load the keys in files, and prepare for those in services.

    Args:
        config: The broker's; ``limits.deadline_seconds`` bounds what a service may take.
        monotonic: A monotonic clock (seconds).

    Raises:
        UsageError: ``bad-config``, a key twice; ``extra-needed``; or as a key file or passphrase is refused.
        FormatError, UnavailableError: A key file does not parse, or cannot be read.
    """
    seconds = min(ANSWER_SECONDS, config.limits.deadline_seconds / SHARE)
    openers = tuple(
        _from_service(opener, seconds, monotonic) if isinstance(opener, KmsKey) else _from_file(opener)
        for opener in config.openers
    )
    if len({opener.key_id for opener in openers}) != len(openers):
        raise UsageError("bad-config", "the configuration is not valid: config.openers names one key twice")
    return openers


def in_time(
    openers: Sequence[Opener], deadline: Deadline, alarm: Callable[[TrustkitError], None]
) -> tuple[Opener, ...]:
    """Return these openers for one request.

    Args:
        openers: Those of the broker.
        deadline: Of the request; once it is over, none is used any more.
        alarm: Told what the operator must look at.
    """
    return tuple(_InTime(opener, deadline, alarm) for opener in openers)


def demand_apart(
    openers: Sequence[Opener], signed: Collection[Digest], alarm: Callable[[TrustkitError], None]
) -> None:
    """Use none of these openers where one of them is a key that signed what is to be opened.

    Whoever leaks one of its uses leaks the other, and a start sees no key that a root certifies.

    Args:
        openers: Those of the broker.
        signed: The keys of publisher and authors, as they were proven.
        alarm: Told what the operator must look at.

    Raises:
        UnavailableError: ``opener-failed``.
    """
    for index, opener in enumerate(openers):
        if opener.key_id in signed:
            alarm(
                UsageError(
                    "recipient-signs",
                    f"config.openers[{index}] is a key that signed the model that was asked for, and opens "
                    "none; open with a pair of its own, of `trustkit key generate --type x25519`",
                    field=f"config.openers[{index}]",
                )
            )
            raise _failed()


def _failed() -> UnavailableError:
    return UnavailableError(
        "opener-failed",
        "the broker cannot use its key for this model; its operator has been told, try again later",
    )


@dataclass(frozen=True, slots=True)
class _InTime:
    opener: Opener
    deadline: Deadline
    alarm: Callable[[TrustkitError], None]

    @property
    def kind(self) -> str:
        return self.opener.kind

    @property
    def key_id(self) -> Digest:
        return self.opener.key_id

    def unwrap(self, untrusted_wrapped: bytes, info: bytes) -> bytearray:
        self.deadline.check()
        try:
            return self.opener.unwrap(untrusted_wrapped, info)
        except UnavailableError as error:
            self.alarm(error)
            raise
        except (DeniedError, UsageError) as error:
            self.alarm(error)
            raise _failed() from None


def _from_service(key: KmsKey, seconds: float, monotonic: Callable[[], float]) -> Opener:
    demand_library()
    # Once: who asks for a release asks again, and knows better than we how long to go on.
    return KmsOpener(key, KmsClient(key, monotonic=monotonic, attempts=1, seconds=seconds))


def _from_file(config: OpenerConfig) -> Opener:
    passphrase = None if config.passphrase_file is None else _passphrase(config.passphrase_file)
    pem = read_input(config.file, max_bytes=_KEY_MAX_BYTES, what="opener")
    refuse_public(pem, repr(str(config.file)))
    with of_file(config.file):
        return opener_from_pem(pem, passphrase=passphrase)


def _passphrase(path: Path) -> bytes:
    """The first line of a file, without its end, as the command line reads it."""
    raw = read_input(path, max_bytes=_KEY_MAX_BYTES, what="passphrase file")
    passphrase = first_line(raw)
    if not passphrase:
        raise UsageError(
            "empty-passphrase", f"the first line of {str(path)!r} is empty, and protects nothing"
        )
    return passphrase
