"""``model.lock``: which bytes a reference means, for references that cannot say it themselves.

    {"version": "trustkit.dev/lock/v1",
     "models": [{"reference": "s3://models/llama", "digest": "sha256:…"},
                {"reference": "/mnt/models", "digest": "sha256:…", "object": "apps/Deployment team/web"}]}

The law of this file: a digest is the manifest digest (architecture, section 11). A
path or a bare name means another model in every object, so its entry names the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trustkit import strictjson
from trustkit.digest import Digest, parse_digest
from trustkit.errors import FormatError

VERSION = "trustkit.dev/lock/v1"
MAX_BYTES = 4 << 20
"""Longest lockfile that is read (bytes)."""
_EVERYWHERE = frozenset(
    {"trust", "hf", "modelscope", "ollama", "ngc", "kaggle", "oci"}
    | {"s3", "gs", "azure", "tos", "oss", "obs", "cos", "https"}
)
"""Schemes whose references mean the same in every object; all others mean something only inside theirs."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The entries of a lockfile: digests by reference and object, the object empty where none is named."""

    entries: Mapping[tuple[str, str], Digest]

    def digest_of(self, reference: str, scheme: str, title: str) -> Digest | None:
        """Return what a reference means in an object, or None where nobody locked it.

        Args:
            reference: The reference, without a digest of its own.
            scheme: Its scheme.
            title: The object that names it: ``apps/Deployment team/web``.
        """
        found = self.entries.get((reference, title))
        if found is None and is_global(reference, scheme):
            found = self.entries.get((reference, ""))
        return found


def is_global(reference: str, scheme: str) -> bool:
    """Say whether a reference means the same in every object: it has an address of its own."""
    return scheme in _EVERYWHERE and "/" in reference


def parse_lock(untrusted: bytes) -> Lock:
    """Parse a lockfile.

    Raises:
        FormatError: ``bad-lock``, or what is wrong with a member.
        LimitError: It is too large.
    """
    top = strictjson.Fields(
        strictjson.parse_object(untrusted, max_bytes=MAX_BYTES, what="lockfile"), "lockfile"
    )
    if top.take("version", str) != VERSION:
        raise FormatError("bad-lock", f"a lockfile has the version {VERSION}")
    entries: dict[tuple[str, str], Digest] = {}
    for number, row in enumerate(top.take("models", list)):
        where = f"models[{number}]"
        fields = strictjson.Fields(row, where)
        key = (fields.take("reference", str), fields.maybe("object", str) or "")
        digest = parse_digest(fields.take("digest", str))
        fields.done()
        if digest.algorithm != "sha256" or not key[0] or key in entries:
            raise FormatError(
                "bad-lock", f"{where} must lock a reference to one sha256, once for each object; mend it"
            )
        entries[key] = digest
    top.done()
    return Lock(entries)


def to_bytes(lock: Lock) -> bytes:
    """Write a lockfile: the same entries give the same bytes."""
    models: list[strictjson.Value] = [
        {"reference": reference, "digest": str(digest), **({"object": title} if title else {})}
        for (reference, title), digest in sorted(lock.entries.items(), key=lambda entry: entry[0])
    ]
    return strictjson.to_bytes({"version": VERSION, "models": models}, indent=2)
