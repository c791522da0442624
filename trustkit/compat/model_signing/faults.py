"""What the interface raises: our own errors, each a `ValueError` as well, because the reference raises those.

The law of this file: code, message, evidence and class of the error tree stay
as they are, so that whoever knows trustkit sees a `TrustkitError`, and whoever
knows the reference catches what they always caught: `ValueError` for a refusal,
`FileNotFoundError` for a path that leads nowhere, `OSError` for what cannot be
read.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from trustkit.errors import (
    Evidence,
    FormatError,
    LimitError,
    TrustkitError,
    UnavailableError,
    UsageError,
    VerificationError,
)

_NOWHERE = frozenset(("no-such-file", "no-such-path"))


class UsageValueError(UsageError, ValueError):
    """The caller's mistake."""


class MissingFileError(UsageError, ValueError, FileNotFoundError):
    """A path that leads nowhere."""

    def __init__(self, code: str, message: str, **evidence: Evidence) -> None:
        super().__init__(code, message, **evidence)
        self.errno = errno.ENOENT


class FormatValueError(FormatError, ValueError):
    """Bytes that do not parse, or an entry that may not be in a model."""


class LimitValueError(LimitError, ValueError):
    """A stated cap was exceeded."""


class VerificationValueError(VerificationError, ValueError):
    """Evidence was examined and rejected: the model is not what was signed, or not by whom you named."""


class UnreadableError(UnavailableError, ValueError, OSError):
    """The system would not read or write."""


_TWINS: tuple[tuple[type[TrustkitError], type[TrustkitError]], ...] = (
    (UsageError, UsageValueError),
    (FormatError, FormatValueError),
    (LimitError, LimitValueError),
    (VerificationError, VerificationValueError),
    (UnavailableError, UnreadableError),
)


def not_here(what: str) -> TrustkitError:
    """Return the refusal of a way to sign or to verify that is not built yet.

    Args:
        what: The way, such as ``signing with Sigstore``.
    """
    return UsageValueError(
        "unsupported-method",
        f"{what} is not available here; use a key file or a certificate "
        "(use_elliptic_key_signer, use_certificate_signer and their verifiers), "
        "or keep the reference for this",
    )


@contextmanager
def as_value_errors() -> Iterator[None]:
    """Raise what is raised inside as the kind of error that users of the reference catch."""
    try:
        yield
    except TrustkitError as error:
        if isinstance(error, ValueError):
            raise
        raise _twin(error) from None


def _twin(error: TrustkitError) -> TrustkitError:
    if error.code in _NOWHERE and isinstance(error, UsageError):
        return MissingFileError(error.code, error.message, **error.evidence)
    for kind, twin in _TWINS:
        if isinstance(error, kind):
            return twin(error.code, error.message, **error.evidence)
    return error
