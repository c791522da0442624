"""The OMS predicate ``https://model_signing/signature/v1.0``: a manifest as signed JSON.

Pure. Writes OMS v1.0 exactly; reads what its writers wrote: shard sizes as
integral floats, the hash of shards spelled ``sha256-sharded-SIZE``, names with
colons, the single-file model as ``.`` or basename, resources in any order, no
ignore list. What it refuses when it reads it also refuses to write, so that
nobody signs what nobody could verify. Source: OMS v1.0, sections 5 and 6, and
the predicate schema; each writer's habits: trustkit/attest/FORMAT.md, section 4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from trustkit import strictjson
from trustkit.artifact.manifest import SINGLE, Manifest, Method, Resources
from trustkit.artifact.names import Names, check_distinct, check_name, check_names, in_order
from trustkit.attest.predicates.reference import Compat, suffix_for
from trustkit.attest.rows import Columns, Rows, rows_of
from trustkit.attest.statement import Statement, Subject
from trustkit.digest import SIZES, Algorithm, digest_from_hex
from trustkit.errors import FormatError, LimitError, VerificationError

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
MAX_RESOURCES = 2_000_000
"""Most resources in one manifest."""
MAX_IGNORES = 10_000
"""Most ignored paths."""


def statement_of(manifest: Manifest, name: str, *, compat: Compat | None = None) -> Statement:
    """Build the OMS statement for a manifest; *name* is informational only, *compat* whose reader it is for.

    Raises:
        FormatError: The manifest contradicts itself, and so could never be verified.
    """
    parts = manifest.columns
    _check_coherent(parts, manifest.shard_size, manifest.ignore_paths)
    serialization: strictjson.Object = {
        "method": manifest.method,
        "hash_type": manifest.algorithm,
        "allow_symlinks": manifest.allow_symlinks,
        "ignore_paths": list(manifest.ignore_paths),
    }
    if manifest.method == "shards":
        serialization["shard_size"] = manifest.shard_size
    spelled = f"{manifest.algorithm}{suffix_for(compat, manifest)}"

    def pieces() -> Iterator[Columns]:
        for names, digests in parts.lines():
            yield {"algorithm": [spelled] * len(names), "digest": digests, "name": list(names)}

    subject = Subject(name, {"sha256": manifest.root_digest.hex})
    predicate: strictjson.Object = {"serialization": serialization}
    return Statement((subject,), PREDICATE_TYPE, predicate, Rows(len(parts), pieces))


def parse_manifest(statement: Statement, *, unlisted: Sequence[str] = ()) -> Manifest:
    """Read the manifest out of an OMS statement.

    Args:
        statement: Parsed, and verified by the caller; its names are checked here all the same.
        unlisted: What a document without an ignore list left out all the same; for old bundles alone.
            A path that such a document signs is not left out.

    Raises:
        VerificationError: ``wrong-predicate-type`` or ``root-digest-mismatch``.
        FormatError: A rule of the predicate is broken, a name is unsafe, or is not distinct.
        LimitError: ``too-many-resources``, ``too-many-ignores``, ``name-too-long``, ``name-too-deep``.
    """
    if statement.predicate_type != PREDICATE_TYPE:
        raise VerificationError(
            "wrong-predicate-type",
            "this is a signed statement, but not a model signature",
            found=statement.predicate_type[:256],
        )
    if len(statement.subjects) != 1:
        raise FormatError("bad-subject", "a model signature has exactly one subject")
    fields = strictjson.Fields(statement.predicate, "predicate")
    entries = statement.resources or fields.take("resources", list)
    serialization = fields.take("serialization", dict)
    fields.done()
    if len(entries) > MAX_RESOURCES:
        raise LimitError("too-many-resources", f"more than {MAX_RESOURCES} resources", limit=MAX_RESOURCES)
    if not entries:
        raise FormatError("empty-manifest", "the signed manifest lists no file")
    manifest = _manifest(entries, serialization, unlisted)
    root = statement.subjects[0].digests.get("sha256")
    if root is None:
        raise FormatError("bad-subject", "the subject of a model signature needs a sha256 digest")
    if not digest_from_hex("sha256", root).matches(manifest.root_digest):
        raise VerificationError(
            "root-digest-mismatch", "the signed root digest does not fit the signed resources"
        )
    return manifest


def _manifest(
    entries: Rows | list[strictjson.Value], untrusted: strictjson.Object, unlisted: Sequence[str]
) -> Manifest:
    fields = strictjson.Fields(untrusted, "serialization")
    method = _method(fields.take("method", str))
    hash_type = fields.take("hash_type", str)
    allow_symlinks = fields.take("allow_symlinks", bool)
    shard_size = _shard_size(fields, method)
    listed = fields.maybe("ignore_paths", list)
    fields.done()
    suffix = (
        "" if shard_size is None else f"-sharded-{shard_size}"
    )  # what the reference calls a hash of shards
    algorithm = _algorithm(hash_type.removesuffix(suffix))
    resources = _Reader(method, algorithm, frozenset((algorithm, f"{algorithm}{suffix}"))).read(entries)
    if listed is None:
        ignores = tuple(path for path in unlisted if not _ignored(resources.paths(), {path}))
    else:
        ignores = _ignores(listed)
    _check_coherent(resources, shard_size, ignores)
    return Manifest(
        resources=resources,
        method=method,
        algorithm=algorithm,
        shard_size=shard_size,
        allow_symlinks=allow_symlinks,
        ignore_paths=ignores,
    )


def _method(untrusted: str) -> Method:
    if untrusted == "files":
        return "files"
    if untrusted == "shards":
        return "shards"
    raise FormatError("bad-method", "the serialization method must be files or shards")


def _algorithm(untrusted: str) -> Algorithm:
    for known in SIZES:
        if untrusted == known:
            return known
    raise FormatError("unknown-algorithm", "the hash type must be sha256, blake2b or blake3")


def _shard_size(fields: strictjson.Fields, method: Method) -> int | None:
    if method == "files":
        if fields.has("shard_size"):
            raise FormatError("bad-shard-size", "a files manifest has no shard size")
        return None
    # The reference writes 1000000000.0, because its JSON travels through a protobuf Struct.
    untrusted = fields.raw("shard_size")
    if not isinstance(untrusted, int | float) or isinstance(untrusted, bool) or untrusted % 1:
        raise FormatError("bad-shard-size", "a shards manifest needs a shard size, a whole number of bytes")
    if not 0 < untrusted < 2**63:
        raise FormatError("bad-shard-size", "the shard size must be positive, and below 2^63 bytes")
    return int(untrusted)


def _ignores(untrusted: list[strictjson.Value]) -> tuple[str, ...]:
    if len(untrusted) > MAX_IGNORES:
        raise LimitError("too-many-ignores", f"more than {MAX_IGNORES} ignored paths", limit=MAX_IGNORES)
    return tuple(_ignore(entry) for entry in untrusted)


def _ignore(untrusted: strictjson.Value) -> str:
    """Read one ignored path; writers record it as it was typed, so ``./`` and a last slash mean nothing."""
    if not isinstance(untrusted, str):
        raise FormatError("bad-field", "serialization.ignore_paths must hold strings")
    if untrusted.startswith("/"):
        return check_name(untrusted)  # which refuses it
    return check_name("/".join(part for part in untrusted.split("/") if part not in {"", "."}))


class _Reader:
    """Reads resources into columns: many that are plainly right at once, any other one by one."""

    def __init__(self, method: Method, algorithm: Algorithm, spellings: frozenset[str]) -> None:
        self._ranged = method == "shards"
        self._algorithm = algorithm
        self._spellings = spellings
        self._values = bytearray()

    def read(self, untrusted: Rows | list[strictjson.Value]) -> Resources:
        if isinstance(untrusted, Rows) and "name" in untrusted.kept:
            names = untrusted.kept["name"]  # as they are, where they are: no copy
            for columns in untrusted.pieces():
                if not self._many(columns):
                    self._each(rows_of(columns))
        else:
            names = Names(self._each(untrusted))
        return Resources(self._algorithm, names, bytes(self._values), ranged=self._ranged)

    def _each(self, untrusted: Iterable[strictjson.Value]) -> list[str]:
        names = []
        for entry in untrusted:
            fields = strictjson.Fields(entry, "resources[]")  # not `done`: in-toto descriptors are open
            name = fields.take("name", str)
            if fields.take("algorithm", str) not in self._spellings:
                raise FormatError("algorithm-mismatch", "a resource uses another hash than the manifest says")
            self._values += digest_from_hex(self._algorithm, fields.take("digest", str)).value
            path = _path(name) if self._ranged else name
            if path != SINGLE:
                check_name(path)
            names.append(name)
        return names

    def _many(self, columns: Columns) -> bool:
        """Read rows that lack nothing, are of the right hash, and have digests; say whether they are such."""
        names, digests = columns.get("name"), columns.get("digest")
        if names is None or digests is None or not self._spellings.issuperset(columns.get("algorithm", " ")):
            return False
        text = "".join(digests)
        values = _bytes_of(text)
        if set(map(len, digests)) != {2 * SIZES[self._algorithm]} or values.hex() != text:
            return False
        paths = [_path(name) for name in names] if self._ranged else names
        if SINGLE in paths:
            return False
        check_names(paths)
        self._values += values
        return True


def _bytes_of(untrusted: str) -> bytes:
    """Read hexadecimal digits, capital ones too; return nothing where they are none."""
    try:
        return bytes.fromhex(untrusted)
    except ValueError:
        return b""


def _path(untrusted: str) -> str:
    """Take the path off ``path:start:end``, from the right: a path may have colons of its own."""
    path, _, last = untrusted.rpartition(":")
    path, _, first = path.rpartition(":")
    if not path or not _number(first) or not _number(last) or int(last) < int(first):
        raise FormatError("bad-shard-name", "a shard is named path:start:end, with its start before its end")
    return path


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18 and (text == "0" or text[0] != "0")


def _check_coherent(resources: Resources, shard_size: int | None, ignores: Sequence[str]) -> None:
    """Check what no single resource shows: names are distinct, shards tile, nothing is signed and ignored."""
    paths = resources.paths()
    if shard_size is not None:
        paths = list(_check_ranges(resources, shard_size))
    if SINGLE in paths and any(path != SINGLE for path in paths):
        raise FormatError("unsafe-name", "only a single-file model may be named '.'")
    check_distinct(paths)
    hidden = _ignored(paths, ignores)
    if hidden is not None:
        raise FormatError(
            "ignored-resource",
            f"{hidden!r} is signed, and lies under an ignored path of the same manifest",
            name=hidden,
        )


def _check_ranges(resources: Resources, shard_size: int) -> Iterable[str]:
    """Shards of one file must tile it from zero: a gap would be unsigned bytes, an overlap two answers."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for name in resources.names:
        path, first, last = name.rsplit(":", 2)
        ranges.setdefault(path, []).append((int(first), int(last)))
    for path, parts in ranges.items():
        parts.sort()
        if len(set(parts)) != len(parts):
            raise FormatError("duplicate-name", "the manifest lists one resource twice")
        position = 0
        for start, end in parts:
            if start != position or (start == end and len(parts) > 1):
                raise FormatError("bad-shards", f"the shards of {path!r} leave a gap or overlap")
            position = end
        sizes = {end - start for start, end in parts[:-1]}
        if sizes - {shard_size} or parts[-1][1] - parts[-1][0] > shard_size:
            raise FormatError("bad-shard-size", f"the shards of {path!r} are not of the signed shard size")
    return ranges


def _ignored(paths: Sequence[str], ignores: Iterable[str]) -> str | None:
    """Return a path that lies at or under one of the ignored ones, or None."""
    ordered = paths if in_order(paths) else sorted(paths)
    for ignored in ignores:
        for start in (ignored, f"{ignored}/"):
            place = bisect_left(ordered, start)
            if place < len(ordered) and (
                ordered[place] == ignored or ordered[place].startswith(f"{ignored}/")
            ):
                return ordered[place]
    return None
