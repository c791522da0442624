"""The chain of a decision record: what a line is, where a chain ends, whether one holds. Pure, no files.

A line is deterministic JSON and a line feed, shown here in two:

    {"entry":{…},"previous":"sha256:…","sequence":7,
     "time":1790000000.5,"torn":null,"version":"trustkit.dev/record/v1"}

    1. ``sequence`` counts from 0; ``previous`` is the SHA-256 of the line before, without its line feed, and
       null in the first: a line that is changed, taken out, added or moved breaks the chain.
    2. What a crash or a full disk left behind the last whole line stays where it is: the next line names the
       SHA-256 of it, closed by a line feed, as ``torn``. So nothing is lost, and nothing slipped in there
       can be changed again.

The chain shows tampering to whoever keeps a later digest elsewhere; it is evidence, never authority. Lines
that were cut off at the end are missed only that way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trustkit import strictjson
from trustkit.digest import Digest, digest_of, parse_digest
from trustkit.errors import FormatError, LimitError, VerificationError
from trustkit.strictjson import Fields, Object, Value

VERSION = "trustkit.dev/record/v1"
MAX_LINE_BYTES = 1 << 20
"""Longest line (bytes)."""
MAX_TORN_BYTES = 4 * MAX_LINE_BYTES
"""Most bytes between two lines, or behind the last (bytes): several torn lines."""

_START = b'{"entry":{'
"""How a line starts, whole or torn."""


@dataclass(frozen=True, slots=True)
class Link:
    """A whole line, as far as the chain needs it: its number, what it names, and its own digest."""

    sequence: int
    previous: Digest | None
    torn: Digest | None
    digest: Digest


@dataclass(frozen=True, slots=True)
class End:
    """Where a chain ends, and so how it goes on.

    Attributes:
        last: The last whole line, if there is one.
        closing: What must be written before the next line.
        torn: What the next line must say was left behind the last one.
    """

    last: Link | None = None
    closing: bytes = b""
    torn: Digest | None = None


def line_after(end: End, entry: Object, time: float) -> tuple[bytes, Link]:
    """Build the line that follows, without its line feed.

    Raises:
        LimitError: ``too-large`` or ``too-deep``: it could not be read again.
    """
    record: Object = {
        "entry": entry,
        "previous": None if end.last is None else str(end.last.digest),
        "sequence": 0 if end.last is None else end.last.sequence + 1,
        "time": time,
        "torn": None if end.torn is None else str(end.torn),
        "version": VERSION,
    }
    line = strictjson.to_bytes(record)
    return line, _parsed(line)


def verify_records(lines: Iterable[bytes]) -> int:
    """Verify a chain from its first line, and return how many decisions it holds.

    Args:
        lines: Of a record, each with its line feed, as a file opened for bytes gives them; untrusted.

    Raises:
        VerificationError: ``record-broken``, with the number of the first line that does not follow.
    """
    last: Link | None = None
    behind = bytearray()
    for number, line in enumerate(lines, 1):
        link = _link_of(line.removesuffix(b"\n"))
        if link is None:
            behind += line
            if len(behind) > MAX_TORN_BYTES:
                raise _broken(number)
            continue
        sequence, previous = (0, None) if last is None else (last.sequence + 1, last.digest)
        torn = digest_of(behind) if behind else None
        if (link.sequence, link.previous, link.torn) != (sequence, previous, torn):
            raise _broken(number)
        last, behind = link, bytearray()
    return 0 if last is None else last.sequence + 1


def _broken(number: int) -> VerificationError:
    return VerificationError(
        "record-broken", f"line {number} of the record does not follow from the lines before it", line=number
    )


def end_of(tail: bytes, *, whole: bool) -> End | None:
    """Find the end of the chain in the last bytes of a file; None where they do not hold it.

    Args:
        tail: The bytes.
        whole: Whether they are the whole file; otherwise the first line may be cut.
    """
    pieces = tail.split(b"\n")
    for index in range(len(pieces) - 1, -1 if whole else 0, -1):
        link = _link_of(pieces[index])
        if link is not None and index == len(pieces) - 1:
            return End(link, b"\n")  # whole, but for its line feed: the chain goes on behind it
        if link is not None:
            return _behind(link, b"\n".join(pieces[index + 1 :]))
    # No line ever became whole: ours if each starts like one, or is the zeros a crash leaves of a last block.
    ours = all(_START.startswith(piece[: len(_START)]) or not piece.strip(b"\0") for piece in pieces)
    return _behind(None, tail) if whole and ours else None


def _behind(last: Link | None, left: bytes) -> End:
    if not left:
        return End(last)
    closing = b"" if left.endswith(b"\n") else b"\n"
    return End(last, closing, digest_of(left + closing))


def _link_of(untrusted: bytes) -> Link | None:
    """Read a line, or return None where it is not a whole one."""
    if not untrusted.startswith(_START):
        return None
    try:
        return _parsed(untrusted)
    except (FormatError, LimitError):
        return None


def _parsed(untrusted: bytes) -> Link:
    value = strictjson.parse_object(untrusted, max_bytes=MAX_LINE_BYTES, what="line of the record")
    fields = Fields(value, "record")
    fields.take("entry", dict)
    time, sequence = fields.raw("time"), fields.take("sequence", int)
    previous, torn = fields.raw("previous"), fields.raw("torn")
    if fields.take("version", str) != VERSION or sequence < 0 or type(time) not in (int, float):
        raise FormatError("bad-record", f"a line of a record has a number, a time and the version {VERSION}")
    fields.done()
    return Link(sequence, _digest(previous), _digest(torn), digest_of(untrusted))


def _digest(untrusted: Value) -> Digest | None:
    if untrusted is None:
        return None
    if not isinstance(untrusted, str):
        raise FormatError("bad-record", "a line of a record names digests, or null")
    return parse_digest(untrusted)
