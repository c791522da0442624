"""What an earlier signature lets us leave unread: stamps of files that were hashed for it, sealed to it.

The law of this file: a digest is reused only if the record is whole under a key
of this machine, belongs to exactly that bundle, and every field of the file's
stamp is what it was; in doubt the file is read. The record holds no digest:
those come from the bundle, whose signature the caller verified. Form::

    trustkit-record-1 SHA-256-OF-BUNDLE
    DEVICE INODE SIZE MTIME-NS CTIME-NS "name"        one line a file, sorted by name
    hmac-sha256 HEX                                   over every byte before this line
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from typing import cast

from trustkit import strictjson
from trustkit.artifact.files import Stamp, TreeFile
from trustkit.artifact.manifest import SINGLE, Manifest, Resource
from trustkit.artifact.names import check_name
from trustkit.digest import Digest
from trustkit.errors import FormatError, TrustkitError

MAX_BYTES = 1 << 30
"""Largest record that is read (bytes): two million files with long names."""
KEY_BYTES = 32
"""Length of the key that records are sealed with."""
SETTLED_NS = 2_000_000_000
"""A file touched later than this before the work began may be touched again without a trace (nanoseconds).

Two seconds is the coarsest clock of a file system in use; within one tick a second write leaves no mark.
"""

_HEAD = "trustkit-record-1"
_LINE = re.compile(r"(\d{1,20}) (\d{1,20}) (\d{1,20}) (-?\d{1,20}) (-?\d{1,20}) (\".*\")", re.ASCII)
_LAST = len("hmac-sha256 \n") + 64


def settled(files: Iterable[TreeFile], *, began_ns: int) -> dict[str, Stamp]:
    """Return the stamps that can be trusted to change when their file does.

    Args:
        files: What was hashed, as the walk saw it and as it still was afterwards.
        began_ns: When the walk began (nanoseconds since the epoch).
    """
    latest = began_ns - SETTLED_NS
    return {file.name: file.stamp for file in files if max(file.stamp.mtime_ns, file.stamp.ctime_ns) < latest}


def record_to_bytes(stamps: Mapping[str, Stamp], *, bundle: Digest, key: bytes) -> bytes:
    """Write stamps down and seal them to the bundle that the files were hashed for."""
    lines = [f"{_HEAD} {bundle.hex}\n"]
    for name, stamp in sorted(stamps.items()):
        numbers = f"{stamp.device} {stamp.inode} {stamp.size} {stamp.mtime_ns} {stamp.ctime_ns}"
        lines.append(f"{numbers} {json.dumps(name, ensure_ascii=False)}\n")
    body = "".join(lines).encode("utf-8")
    return body + f"hmac-sha256 {_mac(body, key)}\n".encode("ascii")


def parse_record(untrusted: bytes, *, bundle: Digest, key: bytes) -> dict[str, Stamp]:
    """Read a record of this machine about this bundle; nothing is parsed before the seal holds.

    Args:
        untrusted: Its bytes.
        bundle: SHA-256 of the bundle's bytes.
        key: What records of this machine are sealed with.

    Raises:
        FormatError: ``bad-signing-record``.
    """
    body, last = untrusted[:-_LAST], untrusted[-_LAST:]
    if not hmac.compare_digest(last, f"hmac-sha256 {_mac(body, key)}\n".encode("ascii")):
        raise _bad("it was altered, or made with another key")
    try:
        head, *lines, end = body.decode("utf-8").split("\n")
        found = dict(_entry(line) for line in lines) if head == f"{_HEAD} {bundle.hex}" else None
    except (UnicodeDecodeError, ValueError) as error:
        raise _bad(f"it cannot be read: {type(error).__name__}") from None
    except TrustkitError as error:
        raise _bad(error.message) from None
    if found is None:
        raise _bad("it is about another bundle")
    if end or len(found) != len(lines):
        raise _bad("it is cut, or names a file twice")
    return found


def unread(
    files: Iterable[TreeFile], stamps: Mapping[str, Stamp], earlier: Manifest
) -> dict[str, tuple[Resource, ...]]:
    """Return the parts that need not be hashed again, by file name.

    Args:
        files: The artifact as it is now.
        stamps: A record, as `parse_record` returned it.
        earlier: The manifest that the recorded bundle signs; verified.
    """
    same = {file.name: file.stamp for file in files if stamps.get(file.name) == file.stamp}
    found: dict[str, list[Resource]] = {}
    for part in earlier.resources:
        name = next(iter(stamps), SINGLE) if part.path == SINGLE and len(stamps) == 1 else part.path
        if name in same:
            found.setdefault(name, []).append(Resource(name, part.digest, part.start, part.end))
    return {name: tuple(parts) for name, parts in found.items() if _covers(parts, same[name])}


def _covers(parts: list[Resource], stamp: Stamp) -> bool:
    """Say whether signed ranges end where the file does; a whole file is one part."""
    ends = [part.end for part in parts if part.end is not None]
    return max(ends) == stamp.size if len(ends) == len(parts) else len(parts) == 1


def _entry(line: str) -> tuple[str, Stamp]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError("a line of it is none")
    name = cast("str", strictjson.parse(found[6].encode("utf-8"), max_bytes=4 * len(line), what="name"))
    return check_name(name), Stamp(*(int(number) for number in found.groups()[:5]))


def _mac(body: bytes, key: bytes) -> str:
    if len(key) != KEY_BYTES:
        raise ValueError(f"records are sealed with {KEY_BYTES} bytes")
    return hmac.digest(key, body, "sha256").hex()


def _bad(why: str) -> FormatError:
    return FormatError("bad-signing-record", f"the record of the earlier signature is not used: {why}")
