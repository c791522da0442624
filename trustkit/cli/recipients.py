"""Recipients and openers by the words of a command: whom to seal to, whom to leave out, who opens.

    FILE               a public key (to seal to), or a private one (to open with)
    passphrase:FILE    the first line of a file, for people
    awskms:///ARN      a key in AWS KMS, for both; `trustkit.sealing.awskms` says all of the form
    sha256:HEX         the key ID that `trustkit inspect` shows, to leave somebody out

The law of this file: a word is a path or begins with a scheme that stands above;
nothing is guessed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.keys import opener_from, refuse_unless
from trustkit.cli.parser import Parser, path_of, text_of
from trustkit.cli.passphrase import read_passphrase
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import read_key

if TYPE_CHECKING:
    from trustkit.digest import Digest
    from trustkit.sealing.awskms import Call, KmsKey
    from trustkit.sealing.parties import Destroyer, Opener, Recipient

_ID = "sha256:"
_WORDS = "passphrase:"
_AWSKMS = "awskms:"


def opener_flags(parser: Parser) -> None:
    """Let a command say who opens a sealed folder."""
    parser.one(
        "--opener",
        "private key that it was sealed to (PEM), passphrase:FILE or awskms:///ARN",
        kind=word_of,
        files=True,
        required=True,
    )
    parser.one("--opener-passphrase-file", "its first line opens that key; asked for on a terminal")


def word_of(untrusted: str) -> str:
    """Take a word that names a recipient or an opener; what is no scheme must be a path."""
    if untrusted.startswith(_AWSKMS):
        return service_of(untrusted)
    word = text_of(untrusted)
    path_of(word.removeprefix(_WORDS))
    return word


def service_of(untrusted: str) -> str:
    """Take a word that names a key in a service."""
    from trustkit.errors import UsageError
    from trustkit.sealing.awskms import parse_key

    try:
        parse_key(untrusted)
    except UsageError as error:
        raise argparse.ArgumentTypeError(error.message) from None
    return untrusted


def id_of(untrusted: str) -> str:
    """Take a word that names a recipient who is there: as `word_of`, or a key ID."""
    from trustkit.digest import parse_digest
    from trustkit.errors import FormatError

    word = word_of(untrusted)
    if word.startswith(_ID):
        try:
            parse_digest(word)
        except FormatError as error:
            raise argparse.ArgumentTypeError(error.message) from None
    return word


def files_of(words: Sequence[str]) -> tuple[Path, ...]:
    """Return the files that words name, so that no output can be one of them."""
    return tuple(Path(word.removeprefix(_WORDS)) for word in words if not word.startswith(_AWSKMS))


def recipients_from(words: Sequence[str], *, flag: str) -> list[Recipient]:
    """Make the recipients that words name."""
    refuse_unless(len(set(words)) == len(words), f"one {flag} is given twice")
    return [_recipient(word) for word in words]


def keys_from(words: Sequence[str], *, flag: str) -> list[Digest]:
    """Return the key IDs of the recipients that words name."""
    from trustkit.digest import parse_digest

    refuse_unless(len(set(words)) == len(words), f"one {flag} is given twice")
    return [parse_digest(word) if word.startswith(_ID) else _recipient(word).key_id for word in words]


def destroyers_from(words: Sequence[str], *, flag: str) -> list[Destroyer]:
    """Make what has the keys deleted that words name."""
    from trustkit.sealing.awskms import KmsDestroyer

    refuse_unless(len(set(words)) == len(words), f"one {flag} is given twice")
    return [KmsDestroyer(*_key_and_service(word), now=time.time) for word in words]


def opener_of(word: str, passphrase_file: Path | None, terminal: Terminal) -> Opener:
    """Make the opener that a word names."""
    if not word.startswith((_WORDS, _AWSKMS)):
        return opener_from(Path(word), passphrase_file, terminal)
    refuse_unless(
        passphrase_file is None, "--opener-passphrase-file opens a key file; --opener is no key file"
    )
    if word.startswith(_AWSKMS):
        from trustkit.sealing.awskms import KmsOpener

        return KmsOpener(*_key_and_service(word))
    from trustkit.sealing.passphrase import PassphraseOpener

    return PassphraseOpener(read_passphrase(Path(word.removeprefix(_WORDS))))


def _key_and_service(word: str) -> tuple[KmsKey, Call]:
    """Return the key that a word names, and its service, which is connected to when it is first asked."""
    from trustkit.sealing.awskms import parse_key
    from trustkit.sealing.awskms_client import KmsClient

    key = parse_key(word)
    return key, KmsClient(key, monotonic=time.monotonic)


def _recipient(word: str) -> Recipient:
    if word.startswith(_AWSKMS):
        from trustkit.sealing.awskms import KmsRecipient

        return KmsRecipient(*_key_and_service(word))
    if word.startswith(_WORDS):
        from trustkit.sealing.passphrase import PassphraseRecipient

        passphrase = read_passphrase(Path(word.removeprefix(_WORDS)))
        return PassphraseRecipient(passphrase, entropy=os.urandom)
    from trustkit.artifact.inputs import of_file
    from trustkit.sealing.recipients import recipient_from_pem

    with of_file(Path(word)):
        return recipient_from_pem(read_key(Path(word)))
