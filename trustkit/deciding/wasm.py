"""Compiled rules, run inside the process: a bundle of OPA's, its module, a pool of instances.

The law of this file: rules get facts and nothing else, and they get it for a
bounded time in bounded memory. A bundle is read member by member within caps
and never unpacked to a disk; one that holds more than a module, data and
sources, or whose module wants something of its host, is refused when it is
loaded. What goes wrong later (a trap, the deadline, the memory cap, an
undefined answer) is an exception, and `decide` makes a denial of it.

Tar is read here, and not by the standard library: a bundle needs the plainest
form of it, and a reader of twenty lines has no pax headers, links, sparse
files or negative offsets to be surprised by (CVE-2025-8194 class).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from opapywasm import (
    UNDEFINED,
    OpaEntrypointError,
    OpaPoolTimeoutError,
    OpaWasmError,
    OpaWasmPolicy,
    PolicyConfig,
)

from trustkit import strictjson
from trustkit.artifact.inputs import read_input
from trustkit.digest import Digest, digest_of
from trustkit.errors import DeniedError, FormatError, LimitError, UnavailableError, UsageError
from trustkit.strictjson import Fields, Object, Value

MAX_BYTES = 16 << 20
"""Largest bundle, packed or unpacked (bytes)."""
MAX_MEMBERS = 4_096
"""Most members of a bundle."""
MAX_FACTS_BYTES = 1 << 20
"""Largest facts that rules are asked about (bytes)."""
MAX_ANSWER_BYTES = 4 << 20
"""Largest answer that is read (bytes)."""
MAX_MEMORY_BYTES = 64 << 20
"""Most memory of one instance (bytes)."""
DEADLINE_SECONDS = 0.2
"""Longest evaluation."""
QUEUE_SECONDS = 1.0
"""Longest wait for an instance that is free."""

BUNDLE = "rules.tar.gz"
_HERE = Path(__file__).parent
_PAGE = 64 << 10
_BLOCK = 512
_OCTAL = re.compile(rb"[0-7]+")
_CONTENT = frozenset((".manifest", "data.json", "policy.wasm"))


def packaged_bundle(package: Path = _HERE) -> bytes:
    """Return the rules of this version: beside this file in a wheel, in ``policies`` in a checkout.

    Raises:
        UsageError: ``no-such-file``.
    """
    beside, checkout = package / "compiled" / BUNDLE, package.parent.parent / "policies" / "compiled" / BUNDLE
    path = beside if beside.exists() else checkout
    return read_input(path, max_bytes=MAX_BYTES, what="compiled rules")


class WasmEngine:
    """Rules that were loaded; safe to use from several threads."""

    def __init__(self, policy: OpaWasmPolicy, digest: Digest) -> None:
        self._policy = policy
        self._digest = digest

    @classmethod
    def load(cls, bundle: bytes, *, instances: int = 4) -> WasmEngine:
        """Load a bundle that ``opa build -t wasm`` made, or ``policies/compile``.

        Args:
            bundle: A gzip of a tar; the operator's, or the one of this version.
            instances: How many evaluations may run at once.

        Raises:
            FormatError: ``bad-rules``: it is no such bundle, or its rules need built-ins of the host.
            LimitError: ``too-large`` or ``too-many-members``.
        """
        members = _members(_unpacked(bundle))
        data = _document(members, "data.json")
        config = PolicyConfig(
            pool_size=instances,
            borrow_timeout_seconds=QUEUE_SECONDS,
            max_input_bytes=MAX_FACTS_BYTES,
            max_data_bytes=MAX_BYTES,
            max_result_bytes=MAX_ANSWER_BYTES,
            max_cstring_scan_bytes=MAX_ANSWER_BYTES + 1,
            parse_raw_json_input=False,  # it is our own, deterministic JSON
            max_memory_pages=MAX_MEMORY_BYTES // _PAGE,
            eval_timeout_seconds=DEADLINE_SECONDS,
        )
        try:
            policy = OpaWasmPolicy.from_wasm_bytes(members["policy.wasm"], config)
        except OpaWasmError as error:
            raise _bad(f"its module cannot be used ({type(error).__name__})") from None
        try:
            _demand(policy, _entrypoints(members))
            policy.set_data(data)
        except BaseException:
            policy.close()
            raise
        return cls(policy, digest_of(bundle))

    @property
    def digest(self) -> Digest:
        """SHA-256 of the bundle, recorded with every decision."""
        return self._digest

    def evaluate(self, entrypoint: str, facts: Object, /) -> Value:
        """Return what an entry point says of these facts.

        Raises:
            LimitError: ``too-large``.
            UsageError: ``bad-rules``: there is no such entry point.
            DeniedError: ``no-decision``: undefined.
            UnavailableError: ``no-decision``: busy, late, out of memory, or trapped.
        """
        raw = strictjson.to_bytes(facts)
        if len(raw) > MAX_FACTS_BYTES:
            raise LimitError(
                "too-large",
                f"the facts about this are larger than {MAX_FACTS_BYTES} bytes; split it",
                limit=MAX_FACTS_BYTES,
                size=len(raw),
            )
        try:
            answer = self._policy.evaluate(raw, entrypoint)
        except OpaEntrypointError:
            raise UsageError("bad-rules", f"the rules have no entry point {entrypoint}") from None
        except OpaPoolTimeoutError:
            raise UnavailableError("no-decision", "the rules are busy; try again") from None
        except OpaWasmError as error:
            # Its text may quote the facts; its class says late, out of memory or trapped well enough.
            raise UnavailableError(
                "no-decision", f"the rules did not answer within their limits ({type(error).__name__})"
            ) from None
        if answer is UNDEFINED:
            raise DeniedError("no-decision", "the rules say nothing about this")
        return answer

    def close(self) -> None:
        """Free the instances; evaluations that run are finished, later ones fail."""
        self._policy.close()


def _demand(policy: OpaWasmPolicy, entrypoints: frozenset[str]) -> None:
    if policy.builtins:
        wanted = ", ".join(sorted(policy.builtins))[:200]
        raise _bad(f"its rules call built-ins of the host, and there are none: {wanted}")
    if entrypoints != policy.entrypoints.keys():
        raise _bad("its manifest and its module name different entry points")


def _entrypoints(members: dict[str, bytes]) -> frozenset[str]:
    """Read which entry points the manifest promises."""
    entries = _document(members, ".manifest").get("wasm")
    if not isinstance(entries, list):
        raise _bad("its manifest names no module")
    found = set()
    for entry in entries:
        fields = Fields(entry, "bundle.manifest.wasm")
        if fields.take("module", str) != "/policy.wasm":
            raise _bad("its manifest names another module than policy.wasm")
        found.add(fields.take("entrypoint", str))
    return frozenset(found)


def _document(members: dict[str, bytes], name: str) -> Object:
    return strictjson.parse_object(members[name], max_bytes=MAX_BYTES, what=f"bundle's {name}")


def _unpacked(bundle: bytes) -> bytes:
    """Inflate within the cap; exactly one gzip member, whole, with nothing behind it."""
    if len(bundle) > MAX_BYTES:
        raise _large()
    inflater = zlib.decompressobj(wbits=31)
    try:
        raw = inflater.decompress(bundle, MAX_BYTES + 1)
    except zlib.error:
        raise _bad("it is not a gzip") from None
    if len(raw) > MAX_BYTES:
        raise _large()
    if not inflater.eof or inflater.unused_data:
        raise _bad("it is cut short, or something follows it")
    return raw


def _members(raw: bytes) -> dict[str, bytes]:
    """Return the members that count, by name; sources are passed over, anything else is refused."""
    found: dict[str, bytes] = {}
    for count, (name, content) in enumerate(_files(raw)):
        if count >= MAX_MEMBERS:
            raise LimitError(
                "too-many-members", f"the bundle has more than {MAX_MEMBERS} members", limit=MAX_MEMBERS
            )
        plain = name.removeprefix("/")
        if plain in found:
            raise _bad("it holds a member twice")
        if plain in _CONTENT:
            found[plain] = content
        elif not plain.endswith(".rego"):
            raise _bad("it holds something that is neither a module, nor data, nor a source")
    if found.keys() != _CONTENT:
        raise _bad("it lacks its manifest, its data or its module")
    return found


def _files(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Read a ustar archive of regular files (POSIX.1-1988); ends at the first empty block."""
    at = 0
    while header := raw[at : at + _BLOCK].rstrip(b"\0"):
        header = header.ljust(_BLOCK, b"\0")
        start, size = at + _BLOCK, _number(header[124:136])
        total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
        if total != _number(header[148:156]) or header[257:262] != b"ustar" or header[156:157] not in b"0\0":
            raise _bad("it is not a plain tar of regular files")
        if start + size > len(raw):
            raise _bad("its tar is cut short")
        name, prefix = (part.partition(b"\0")[0] for part in (header[:100], header[345:500]))
        yield (prefix + b"/" + name if prefix else name).decode("ascii", "replace"), raw[start : start + size]
        at = start + -(-size // _BLOCK) * _BLOCK


def _number(field: bytes) -> int:
    text = field.strip(b" \0")
    if _OCTAL.fullmatch(text) is None:
        raise _bad("it is not a plain tar of regular files")
    return int(text, 8)


def _large() -> LimitError:
    return LimitError("too-large", f"the bundle of rules is larger than {MAX_BYTES} bytes", limit=MAX_BYTES)


def _bad(why: str) -> FormatError:
    return FormatError("bad-rules", f"this is no bundle of compiled rules: {why}")
