"""The descriptor: what a publisher signs about the ciphertext of one version of a line.

Pure values. A `Descriptor` that exists obeys the arithmetic of the format:
every length follows from FLOE, parts are sorted, no blob serves twice. It says
nothing about names, signatures or policies; those are checked where they are
read (`trustkit.attest.predicates.sealed`) and believed (`trustkit.verifying.sealed`).

Keys and parts are bound to it by two documents that never travel, the wrap
context and the AAD of a part. Both are canonical JSON in the sense of RFC 8785:
ASCII member names in order, no spaces, whole numbers below 2^53. FORMAT.md, section 5.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from trustkit import strictjson
from trustkit.digest import Digest
from trustkit.errors import FormatError
from trustkit.sealing import floe
from trustkit.sealing.keys import check_dek_id

PREDICATE_TYPE = "https://trustkit.dev/sealed/v1"
SUITE_FLOE_AES256GCM = 1
"""The one suite of version 1: FLOE with AES-256-GCM and HKDF-Expand-SHA384."""
MAX_NUMBER = (1 << 53) - 1
"""Largest version or length: what every JSON reader represents exactly."""
MAX_LINE = 255
"""Longest name of a line (characters)."""

_WRAP = "trustkit.dev/wrap/v1"
_PART = "trustkit.dev/sealed-part/v1"
_SEGMENT = r"[a-z0-9][a-z0-9._-]*"
_LINE = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


def check_line(untrusted: str) -> str:
    """Return the name of a model line unchanged if it is well-formed, such as ``acme/tiny-llm``.

    Raises:
        FormatError: ``bad-line``.
    """
    if len(untrusted) > MAX_LINE or _LINE.fullmatch(untrusted) is None:
        raise FormatError(
            "bad-line",
            "a line is lower-case names of letters, digits, '.', '_' and '-' between single slashes, "
            f"at most {MAX_LINE} characters, such as acme/tiny-llm",
        )
    return untrusted


def check_version(untrusted: int) -> int:
    """Return the version of an artifact unchanged if it is one.

    Raises:
        FormatError: ``bad-version``.
    """
    if not 1 <= untrusted <= MAX_NUMBER:
        raise FormatError("bad-version", f"a version is a whole number from 1 to {MAX_NUMBER}")
    return untrusted


@dataclass(frozen=True, slots=True)
class WrapContext:
    """What a wrapped key is bound to: it unwraps in this context and in no other (HPKE's info).

    Serialised as ``{"dek_id":…,"format":"trustkit.dev/wrap/v1","key_commitment":…,"line":…,
    "manifest_digest":…,"publisher_key":…,"version":…}``.
    """

    line: str
    version: int
    dek_id: str
    publisher_key: Digest
    manifest_digest: Digest
    key_commitment: Digest

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return strictjson.to_bytes(
            {
                "format": _WRAP,
                "line": self.line,
                "version": self.version,
                "dek_id": self.dek_id,
                "publisher_key": str(self.publisher_key),
                "manifest_digest": str(self.manifest_digest),
                "key_commitment": self.key_commitment.hex,
            }
        )


@dataclass(frozen=True, slots=True)
class Part:
    """One sealed file.

    Attributes:
        name: Of the plaintext file.
        plaintext_length: Bytes of the file.
        ciphertext_length: Bytes of the blob, header included.
        blob: SHA-256 of the whole ciphertext; also the blob's name.
        header: SHA-256 of its first 74 bytes.
    """

    name: str
    plaintext_length: int
    ciphertext_length: int
    blob: Digest
    header: Digest


@dataclass(frozen=True)
class Descriptor:
    """One sealed version of a line: its parts, its key's commitment, and the manifest it must open to.

    Attributes:
        line: The line it is a version of.
        version: From 1, counted by the publisher.
        suite: How parts are sealed.
        segment_length: FLOE segment, overhead included (bytes).
        dek_id: Name of the data key.
        key_commitment: What only that key fits.
        publisher_key: Fingerprint of the publisher's key (SHA-256 of the DER SubjectPublicKeyInfo).
        manifest_digest: The author's manifest.
        parts: Sorted by name, each name and each blob once.

    Raises:
        FormatError: ``bad-line``, ``bad-version``, ``unknown-suite``, ``bad-segment-length``, ``bad-dek-id``,
            ``bad-digest``, ``no-parts``, ``bad-part-order``, ``bad-part-length``, ``duplicate-blob``.
    """

    line: str
    version: int
    suite: int
    segment_length: int
    dek_id: str
    key_commitment: Digest
    publisher_key: Digest
    manifest_digest: Digest
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        check_line(self.line)
        check_version(self.version)
        check_dek_id(self.dek_id)
        if self.suite != SUITE_FLOE_AES256GCM:
            raise FormatError(
                "unknown-suite", "the artifact is sealed in a way that this version of trustkit cannot open"
            )
        self._check_digests()
        self._check_parts(floe.Parameters(self.segment_length))

    @property
    def parameters(self) -> floe.Parameters:
        """The FLOE parameters of every part."""
        return floe.Parameters(self.segment_length)

    @property
    def context(self) -> WrapContext:
        """What its wrapped keys are bound to."""
        return WrapContext(
            line=self.line,
            version=self.version,
            dek_id=self.dek_id,
            publisher_key=self.publisher_key,
            manifest_digest=self.manifest_digest,
            key_commitment=self.key_commitment,
        )

    def part(self, name: str) -> Part:
        """Return the part of a file.

        Raises:
            KeyError: No part has this name; whoever asks has compared names before.
        """
        return self._by_name[name]

    def aad_of(self, part: Part) -> bytes:
        """Return what the ciphertext of a part is bound to: canonical JSON, see FORMAT.md, section 5."""
        return part_aad(
            part.name,
            part.plaintext_length,
            line=self.line,
            version=self.version,
            dek_id=self.dek_id,
            manifest_digest=self.manifest_digest,
        )

    @cached_property
    def _by_name(self) -> dict[str, Part]:
        return {part.name: part for part in self.parts}

    def _check_digests(self) -> None:
        every = [self.key_commitment, self.publisher_key, self.manifest_digest]
        every += [digest for part in self.parts for digest in (part.blob, part.header)]
        if any(digest.algorithm != "sha256" for digest in every):
            raise FormatError("bad-digest", "every digest of a descriptor is a sha256")

    def _check_parts(self, parameters: floe.Parameters) -> None:
        if not self.parts:
            raise FormatError("no-parts", "the descriptor lists no part, and so seals nothing")
        names = [part.name for part in self.parts]
        if any(first >= second for first, second in pairwise(names)):
            raise FormatError("bad-part-order", "the parts are not sorted by name, each name once")
        if len({part.blob for part in self.parts}) != len(self.parts):
            raise FormatError("duplicate-blob", "two parts name one blob; it can belong to one of them only")
        for part in self.parts:
            if not 0 <= part.plaintext_length <= MAX_NUMBER:
                raise FormatError("bad-part-length", f"the length of {part.name!r} is out of range")
            if part.ciphertext_length != floe.ciphertext_length(part.plaintext_length, parameters):
                raise FormatError(
                    "bad-part-length", f"the two lengths of {part.name!r} do not belong together"
                )


def part_aad(
    name: str, plaintext_length: int, *, line: str, version: int, dek_id: str, manifest_digest: Digest
) -> bytes:
    """Return the AAD of a part before there is a descriptor: the sealer needs it first.

    Serialised as ``{"dek_id":…,"format":"trustkit.dev/sealed-part/v1","line":…,"manifest_digest":…,
    "name":…,"plaintext_length":…,"version":…}``.
    """
    return strictjson.to_bytes(
        {
            "format": _PART,
            "line": line,
            "version": version,
            "dek_id": dek_id,
            "manifest_digest": str(manifest_digest),
            "name": name,
            "plaintext_length": plaintext_length,
        }
    )
