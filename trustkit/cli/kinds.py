"""Which kind a file is of, by its content, and which flag takes it: advice for whoever gave the wrong one.

The law of this file: it is asked only once a command was refused, so it decides nothing. Nothing of what
stands in a file is shown, and no more than its beginning is read.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.errors import UsageError, VerificationError

if TYPE_CHECKING:
    from trustkit.errors import TrustkitError

LOOK = 1 << 20
"""How much of a file is looked at (bytes)."""

PUBLIC, PRIVATE, CERTIFICATE = "public key", "private key", "certificate"
POLICY, LOCK, BUNDLE, DESCRIPTOR = "trust policy", "lockfile", "bundle", "publisher's descriptor"
RECIPIENTS, RECORD, SHARED = "recipients document", "record of a shredding", "shared key (JWK)"
TABLE, OBJECTS, PASSPHRASE = "table of rows", "file of Kubernetes objects", "passphrase"
_UTF16 = "text in UTF-16, to be saved as UTF-8"
_CONFIG, _SAFETENSORS, _GGUF, _ZIP = (
    "model's config.json",
    "model file (safetensors)",
    "model file (GGUF)",
    "ZIP archive, such as a PyTorch checkpoint",
)
_MODELS = frozenset((_CONFIG, _SAFETENSORS, _GGUF, _ZIP))

TAKES = {
    "--key": PUBLIC,
    "--publisher-key": PUBLIC,
    "--author-key": PUBLIC,
    "--recipient": PUBLIC,
    "--opener": PRIVATE,
    "--ca": CERTIFICATE,
    "--certificate": CERTIFICATE,
    "--chain": CERTIFICATE,
    "--policy": POLICY,
    "--lock": LOCK,
    "--bundle": BUNDLE,
    "--previous": BUNDLE,
    "--from": BUNDLE,
    "--jwk": SHARED,
    "--table": TABLE,
    "--bases": OBJECTS,
    "--passphrase-file": PASSPHRASE,
    "--opener-passphrase-file": PASSPHRASE,
}
"""What the flags take that name a file, whatever the verb."""
TAKES_THERE = {
    "sign": {"--key": PRIVATE},
    "seal": {"--key": PRIVATE},
    "rewrap": {"--add": PUBLIC, "--remove": PUBLIC},
    "policy check": {"file": POLICY},
    "key public": {"file": PRIVATE},
}
"""What they, or a word by position, take in one verb."""

# Blanks alone, and no ends of lines: what is hostile must not make this slow.
_MEMBER = rb"(?m)(?:^|[{,])[ \t]*\"?%s\"?[ \t]*:[ \t]*[\"']?%s\b"
# A document may hold keys of its own, so documents come first, and in them keys are mostly indented.
_IN_TEXT = (
    (POLICY, _MEMBER % (rb"kind", rb"VerificationPolicy")),
    (TABLE, _MEMBER % (rb"version", rb"trustkit\.dev/workloads/v1")),
    (LOCK, rb"\"version\"\s*:\s*\"trustkit\.dev/lock/v1\""),
    (RECORD, rb"\"version\"\s*:\s*\"trustkit\.dev/shredded/v1\""),
    (RECIPIENTS, rb"\"version\"\s*:\s*\"trustkit\.dev/recipients/v1\""),
    (BUNDLE, rb"\"mediaType\"\s*:\s*\"application/vnd\.dev\.sigstore\.bundle"),
    (OBJECTS, _MEMBER % (rb"apiVersion", rb"[a-z0-9./-]+")),
    (PRIVATE, rb"(?m)^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----"),
    (PUBLIC, rb"(?m)^-----BEGIN PUBLIC KEY-----"),
    (CERTIFICATE, rb"(?m)^-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----"),
    (SHARED, rb"^\s*\{[^{}]*\"kty\"\s*:"),
    (_CONFIG, rb"^\s*\{(?s:.*)\"(?:model_type|architectures|_name_or_path)\"\s*:"),
)
_PAYLOAD = rb"\"payload\"\s*:\s*\"([A-Za-z0-9+/]*)"
_SEALED = b"trustkit.dev/sealed/v1"
_SAID = frozenset(("private-key-given", "public-key-given"))
_OF_CONTENT = _SAID | {"certificate-key-mismatch", "wrong-predicate-type", "wrong-signer", "bad-certificate"}
"""Codes of what is wrong with a file whose name the message may lack."""


def kind_of(untrusted: bytes) -> str | None:
    """Return what a file is, by how it begins, or None where that is nothing we know."""
    if untrusted.startswith(b"GGUF"):
        return _GGUF
    if untrusted.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _UTF16
    if untrusted.startswith(b"PK\x03\x04"):
        return _ZIP
    if untrusted[8:9] == b"{" and 0 < int.from_bytes(untrusted[:8], "little") < 1 << 32:
        return _SAFETENSORS
    found = next(_kinds_in(untrusted), None)
    return DESCRIPTOR if found == BUNDLE and _is_descriptor(untrusted) else found


def _kinds_in(untrusted: bytes) -> Iterator[str]:
    """Yield all kinds that a text has the marks of."""
    return (kind for kind, look in _IN_TEXT if re.search(look, untrusted))


def _is_descriptor(untrusted: bytes) -> bool:
    payload = re.search(_PAYLOAD, untrusted)
    whole = payload[1][: len(payload[1]) // 4 * 4] if payload else b""
    return _SEALED in base64.b64decode(whole)


@contextmanager
def not_sealed(path: Path, advice: str) -> Iterator[None]:
    """Say of a folder that is refused that it looks like what ``trustkit seal`` makes, where it does."""
    try:
        yield
    except VerificationError as error:
        if not _is_sealed(path):
            raise
        raise VerificationError(
            error.code, f"{error.message}; this is a sealed folder; {advice}", **error.evidence
        ) from None


def demand_unsealed(path: Path) -> None:
    """Refuse to sign a sealed folder: the signature in it is its author's, and would be lost.

    Raises:
        UsageError: ``sealed-folder``.
    """
    if _is_sealed(path):
        raise UsageError(
            "sealed-folder",
            f"{str(path)!r} is a sealed folder, and the signature in it its author's; sign what it opens to",
            path=str(path),
        )


def _is_sealed(path: Path) -> bool:
    from trustkit.artifact.inputs import is_file, is_folder
    from trustkit.artifact.leaving_out import SIGNATURE

    if not is_file(path / SIGNATURE):
        return False  # known before anything of sealing is loaded
    from trustkit.sealing.documents import BLOBS, DESCRIPTOR

    return is_file(path / DESCRIPTOR) and is_folder(path / BLOBS)


def otherwise(error: TrustkitError, verb: str, arguments: Mapping[str, object]) -> TrustkitError:
    """Return what a command was refused with, or in its place that a flag was given a file of another kind.

    Args:
        error: What was raised; its code stays.
        verb: The verb.
        arguments: Their values by what argparse calls them.
    """
    takes = {**TAKES, **TAKES_THERE.get(verb, {})}
    for flag, path in _files(takes, arguments):
        if str(path) not in error.message and error.code not in _OF_CONTENT:
            continue
        beginning = _beginning(path)
        found = kind_of(beginning)
        marks = {found, *_kinds_in(beginning)} - ({BUNDLE} if found == DESCRIPTOR else set())
        if found is None or takes[flag] in marks:
            continue
        others = [
            other
            for other, kind in takes.items()
            if kind == found and other != flag and other.startswith("--") and _dest(other) in arguments
        ]
        if error.code in _SAID and (not others or found == PRIVATE or others[0] in error.message):
            continue  # it says how to get the other half, or whose key each flag takes
        name = flag if flag.startswith("--") else verb
        advice = f"; give it with {' or '.join(others)}" if others else ""
        if flag == "--from" and found in _MODELS:
            advice = ", or what has its signature beside it; sign it first"
        message = f"{str(path)!r} is a {found}, and {name} takes a {takes[flag]}{advice}"
        return type(error)(error.code, message, **{"file": str(path), **error.evidence})
    return error


def _dest(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _files(takes: Mapping[str, str], arguments: Mapping[str, object]) -> Iterator[tuple[str, Path]]:
    """Yield the flags that were given a file, and the file."""
    for flag in takes:
        value = arguments.get(_dest(flag))
        for one in value if isinstance(value, list) else [value]:
            place = one[-1] if isinstance(one, tuple) else one
            if isinstance(place, str | Path):
                yield flag, Path(place)


def _beginning(path: Path) -> bytes:
    """Return how a regular file begins; nothing where that cannot be told."""
    from trustkit.artifact.inputs import read_beginning
    from trustkit.errors import TrustkitError

    with suppress(TrustkitError):  # advice must not fail
        return read_beginning(path, most=LOOK)
    return b""
