"""What an answer of a store must look like before one byte of its body is taken.

The law of this file: the framing is stated once and exactly, or the answer is
refused; a range is the range that was asked for, to the byte. No redirect is
followed, no encoding undone, no second value of a header overlooked (threats
G01, G04, G05, G07). Pure.
"""

from __future__ import annotations

import re
from email.message import Message

from trustkit.errors import DeniedError, SealError, TrustkitError, UnavailableError, VerificationError
from trustkit.storage.local import truncated

_NUMBER = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_UNSATISFIED = re.compile(r"bytes \*/([0-9]{1,18})")
_RETRY = re.compile(r"[0-9]{1,9}")
_REFUSALS = frozenset((401, 403, 407, 451))
_ABSENT = frozenset((404, 410))


def body_length(headers: Message, name: str) -> int:
    """Return how long a body is (bytes), said once and in one way.

    Raises:
        UnavailableError: ``bad-answer``.
    """
    if headers.defects:
        raise bad_answer(name, "its headers do not parse")
    if headers.get_all("Transfer-Encoding"):
        raise bad_answer(name, "it has a transfer encoding; a length is needed")
    encodings = [str(value).strip().lower() for value in headers.get_all("Content-Encoding", [])]
    if encodings not in ([], ["identity"]):
        raise bad_answer(name, "it is encoded, which nobody asked for")
    lengths = [str(value).strip() for value in headers.get_all("Content-Length", [])]
    if len(lengths) != 1 or _NUMBER.fullmatch(lengths[0]) is None:
        raise bad_answer(name, "it does not state one length")
    return int(lengths[0])


def check_range(headers: Message, name: str, start: int, length: int) -> int:
    """Check that a partial answer is the range asked for, and return the blob's total length (bytes).

    Raises:
        SealError: ``truncated``: the blob ends before the range does.
        UnavailableError: ``bad-answer`` or ``bad-range``.
    """
    said = body_length(headers, name)
    ranges = [str(value).strip() for value in headers.get_all("Content-Range", [])]
    found = _RANGE.fullmatch(ranges[0]) if len(ranges) == 1 else None
    if found is None:
        raise _bad_range(name, "it does not say which range it is")
    first, last, total = int(found[1]), int(found[2]), int(found[3])
    if first != start or not first <= last < total:
        raise _bad_range(name, "it is another range than was asked for")
    if total < start + length:
        raise truncated(name, start + length)
    if last != start + length - 1 or said != length:
        raise _bad_range(name, "it is longer or shorter than was asked for")
    return total


def refused(status: int, headers: Message, name: str, *, needed: int = 0) -> TrustkitError:
    """Build the error for an answer with another status than the one that was hoped for.

    Args:
        status: The status code.
        headers: The answer's headers.
        name: What was asked for.
        needed: Up to which byte, where a range was asked for.
    """
    if status in _ABSENT:
        return UnavailableError("not-found", f"the store has no {name!r}", name=name)
    if status in _REFUSALS:
        return DeniedError(
            "store-refused", f"the store does not let us read {name!r}", name=name, status=status
        )
    if 300 <= status < 400:
        return VerificationError(
            "store-redirects",
            f"the store sends us elsewhere for {name!r}; redirects are not followed",
            name=name,
        )
    if status == 416 and needed:
        return _unsatisfied(headers, name, needed)
    if status in {200, 206}:
        return _bad_range(name, "it is not the kind of answer that was asked for")
    return UnavailableError(
        "store-failed",
        f"the store answered {status} for {name!r}; try again",
        name=name,
        status=status,
        retry_after_seconds=_retry_after(headers),
    )


def bad_answer(name: str, why: str) -> UnavailableError:
    """Build the error for an answer that breaks the protocol."""
    return UnavailableError("bad-answer", f"the store's answer for {name!r} is refused: {why}", name=name)


def _bad_range(name: str, why: str) -> UnavailableError:
    return UnavailableError("bad-range", f"the store's answer for {name!r} is refused: {why}", name=name)


def _unsatisfied(headers: Message, name: str, needed: int) -> SealError | UnavailableError:
    found = _UNSATISFIED.fullmatch(str(headers.get("Content-Range", "")).strip())
    if found is not None and int(found[1]) < needed:
        return truncated(name, needed)
    return _bad_range(name, "it says that there is no such range")


def _retry_after(headers: Message) -> int | None:
    """Read the seconds the store asks us to wait; a date, or nonsense, is no reason to wait."""
    said = str(headers.get("Retry-After", "")).strip()
    return int(said) if _RETRY.fullmatch(said) else None
