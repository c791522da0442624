"""``trustkit key public``: the half of a key that everybody may have.

Both of our kinds are read, signing keys and private keys of recipients; what is
printed is the PEM text that policies, ``--key`` and ``--recipient`` take.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from trustkit.cli.answer import Answer
from trustkit.cli.parser import Parser
from trustkit.cli.passphrase import unlock
from trustkit.cli.terminal import Terminal
from trustkit.errors import FormatError, UsageError

_HYBRID = 2
"""PEM blocks in the key file of a hybrid recipient."""

STORY = """
Print the public half of a private key as PEM text: what verifiers put into a policy, or
what artifacts are sealed to. Signing keys and the private keys of recipients are read.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(STORY, "trustkit key public author.pem --passphrase-file secret.txt > author.pem.pub")
    parser.place("file", "the private key (PEM)")
    parser.one("--passphrase-file", "its first line opens the key; asked for on a terminal")


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Load the key and print its public half."""
    path: Path = arguments.file
    pem, fingerprint = unlock(
        lambda passphrase: _public_half(path, passphrase),
        arguments.passphrase_file,
        terminal,
        what=repr(str(path)),
    )
    return Answer(
        "public key",
        fingerprint,
        fields={"fingerprint": fingerprint},
        product=pem,
        product_name="public_key",
        audible=True,
    )


def _public_half(path: Path, passphrase: bytes | None) -> tuple[str, str]:
    """Return PEM text and fingerprint of the public half, whichever of our two kinds the key is of."""
    from trustkit.artifact.inputs import of_file, read_input
    from trustkit.sealing.hpke import opener_from_pem
    from trustkit.signing.key import MAX_KEY_BYTES, load_signer

    try:
        signer = load_signer(path, passphrase=passphrase)
        return signer.public_pem().decode("ascii"), str(signer.fingerprint)
    except UsageError as error:
        if error.code != "unsupported-key":
            raise
    except FormatError:
        if read_input(path, max_bytes=MAX_KEY_BYTES, what="key").count(b"-----BEGIN ") != _HYBRID:
            raise
    pem = read_input(path, max_bytes=MAX_KEY_BYTES, what="key")
    try:
        with of_file(path):
            opener = opener_from_pem(pem, passphrase=passphrase)
    except UsageError as error:
        if error.code != "unsupported-key":
            raise
        raise UsageError(
            "unsupported-key",
            f"{str(path)!r} is of no kind that is used here: EC keys on P-256, P-384 or P-521 sign, "
            "and X25519, P-256 or mlkem768-x25519 is sealed to",
        ) from None
    return opener.public_pem().decode("ascii"), str(opener.key_id)
