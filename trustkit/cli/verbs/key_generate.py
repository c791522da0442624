"""``trustkit key generate``: a new key pair in two files, or in none.

The private key is 0600 from its first byte, and neither file ever replaces
another: an overwritten key is a key that is lost.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer
from trustkit.cli.keys import given
from trustkit.cli.parser import Parser, path_of
from trustkit.cli.passphrase import choose_passphrase
from trustkit.cli.terminal import Terminal
from trustkit.errors import TrustkitError, UsageError

if TYPE_CHECKING:
    from trustkit.digest import Digest

SIGNING = ("p256", "p384", "p521")
KINDS = (*SIGNING, "x25519", "mlkem768-x25519")
"""What a key pair can be."""

STORY = """
Make a key pair: the private key in FILE, which only its owner can read, and the public key
beside it in FILE.pub, for everybody. Neither ever replaces a file.

Signing keys are EC keys (p256, p384, p521). The key pair of a recipient that artifacts are
sealed to is x25519, or mlkem768-x25519, which a quantum computer does not open either. The
passphrase comes from a file or is asked for on a terminal; without one the private key is
written unencrypted, and a warning says so.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit key generate --output author.pem --passphrase-file secret.txt",
        "trustkit key generate --output cluster.pem --type x25519",
    )
    parser.one("--output", "where the private key goes; the public key goes to FILE.pub", required=True)
    parser.one("--type", "kind of key (default: p256)", choices=KINDS)
    parser.one("--passphrase-file", "its first line encrypts the private key")


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Make the pair and write both files."""
    from trustkit.artifact.outputs import check_output

    private, public = arguments.output, _public_of(arguments.output)
    inputs = given(arguments.passphrase_file)
    for target in (private, public):
        check_output(target, inputs=inputs, overwrite=None)
    kind = arguments.type or "p256"
    passphrase = choose_passphrase(arguments.passphrase_file, terminal)
    private_pem, public_pem = _pair(kind, passphrase)
    _write(private, private_pem, public, public_pem)
    fingerprint = str(_fingerprint(kind, public_pem))
    return Answer(
        "generated",
        f"{kind} key pair",
        rows=(("private key", str(private)), ("public key", str(public)), ("fingerprint", fingerprint)),
        fields={
            "private_key": str(private),
            "public_key": str(public),
            "type": kind,
            "encrypted": passphrase is not None,
            "fingerprint": fingerprint,
        },
        warnings=()
        if passphrase is not None
        else (
            f"{str(private)!r} is not encrypted: who reads it can use it; --passphrase-file prevents that",
        ),
    )


def _public_of(private: Path) -> Path:
    try:
        return path_of(f"{private}.pub")
    except argparse.ArgumentTypeError:
        raise UsageError("bad-arguments", "the name of --output is too long to append .pub to it") from None


def _pair(kind: str, passphrase: bytes | None) -> tuple[bytes, bytes]:
    if kind not in SIGNING:
        from trustkit.sealing.hpke import generate_opener

        return generate_opener("x25519" if kind == "x25519" else "mlkem768-x25519", passphrase=passphrase)
    from trustkit.signing.key import generate_key

    return generate_key(kind, passphrase=passphrase)


def _write(private: Path, private_pem: bytes, public: Path, public_pem: bytes) -> None:
    """Write both files or none: half a pair is in the way, and a lone private key is a secret left lying."""
    from trustkit.storage.local import write_new

    try:
        write_new(private, private_pem, mode=0o600)
        write_new(public, public_pem)
    except BaseException:
        _take_back(private, private_pem)
        _take_back(public, public_pem)
        raise


def _take_back(path: Path, content: bytes) -> None:
    """Remove a file if it is the one just written: what somebody else put there meanwhile is not ours."""
    from trustkit.artifact.inputs import read_input

    try:
        ours = read_input(path, max_bytes=len(content), what="key") == content
    except TrustkitError:
        return
    if ours:
        path.unlink()


def _fingerprint(kind: str, public_pem: bytes) -> Digest:
    if kind not in SIGNING:
        from trustkit.sealing.hpke import recipient_from_pem

        return recipient_from_pem(public_pem).key_id
    from trustkit.verifying.keys import public_key_from_pem

    return public_key_from_pem(public_pem, what="the key").fingerprint
