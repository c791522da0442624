"""``trustkit seal``: encrypt a signed artifact, so that its bytes may lie anywhere.

The publisher's private key signs what is written; whom to believe as the author
is a question of its own, and has no default either.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted, size
from trustkit.cli.keys import demand_there, given, signer_from
from trustkit.cli.kinds import not_sealed
from trustkit.cli.parser import Parser, text_of, whole
from trustkit.cli.recipients import files_of, recipients_from, word_of
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import policy_from_flags
from trustkit.errors import UsageError

if TYPE_CHECKING:
    from trustkit.sealing.parties import Recipient
    from trustkit.signing.key import Signer
    from trustkit.verifying.policy import VerificationPolicy
    from trustkit.workflows import Sealed

STORY = """
Encrypt a signed artifact for recipients. First it is verified, under --author-key or --policy:
what its author did not sign is not sealed. Then every file becomes ciphertext (FLOE, AES-256-GCM),
and you, the publisher, sign a descriptor that names the line, its version, every piece of
ciphertext and the author's manifest.

The folder that is written appears at once when all is done: descriptor.sigstore.json,
recipients.json, model.sig and blobs/. It holds no plaintext and may be stored anywhere.
"""

_WHOSE = "--key is your own, the publisher's, and the public key of the author is --author-key"


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit seal model/ --key publisher.pem --author-key author.pem.pub --recipient cluster.pem.pub \\",
        "    --line acme/tiny-llm --version 3 --output sealed/",
        refused="refused: its author did not sign it as it is",
    )
    parser.place("path", "the signed folder or file")
    parser.one("--key", "your private key, the publisher's (PEM)", required=True, twice=_WHOSE)
    parser.one("--passphrase-file", "its first line opens the key; asked for on a terminal")
    parser.many(
        "--recipient",
        "whom to seal to: public key (PEM), passphrase:FILE or awskms:///ARN",
        kind=word_of,
        files=True,
        required=True,
    )
    parser.one("--author-key", "public key of the author (PEM)")
    parser.one("--policy", "verification policy that says which authors to believe")
    parser.one("--line", "model line, such as acme/tiny-llm", metavar="LINE", kind=line_of, required=True)
    parser.one(
        "--version", "version of the line, from 1", metavar="N", kind=whole(1, 2**53 - 1), required=True
    )
    parser.one("--bundle", "the author's bundle (default: PATH/model.sig, or FILE.sig beside a file)")
    parser.one("--output", "the folder to write; it must not exist", metavar="FOLDER", required=True)


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Verify, seal, and say what was written."""
    demand_there(arguments.path)
    policy = policy_from_flags(arguments.policy, arguments.author_key, flag="--author-key")
    from trustkit import workflows

    recipients = recipients_from(arguments.recipient, flag="--recipient")
    signer = _publisher(arguments, terminal)
    if arguments.policy is not None:
        _refuse_stranger(policy, signer)
    with (
        not_sealed(arguments.path, "seal what it opens to, or change who opens it with `trustkit rewrap`"),
        terminal.progress("sealing", arguments.path) as progress,
    ):
        sealed = workflows.seal(
            arguments.path,
            signer,
            output=arguments.output,
            line=arguments.line,
            version=arguments.version,
            recipients=recipients,
            policy=policy,
            bundle=arguments.bundle,
            inputs=given(
                arguments.key,
                arguments.passphrase_file,
                arguments.author_key,
                arguments.policy,
                arguments.bundle,
                more=files_of(arguments.recipient),
            ),
            progress=progress,
        )
    return _answer(sealed, recipients)


def _publisher(arguments: argparse.Namespace, terminal: Terminal) -> Signer:
    try:
        return signer_from(arguments.key, arguments.passphrase_file, terminal)
    except UsageError as error:
        if error.code != "public-key-given":
            raise
        raise UsageError(error.code, f"{error.message}: {_WHOSE}") from None


def _refuse_stranger(policy: VerificationPolicy, signer: Signer) -> None:
    """Refuse to publish under a policy that would not let the outcome be opened."""
    publishers = {key.fingerprint for key in policy.keys_of("publisher")}
    if signer.fingerprint not in publishers:
        raise UsageError(
            "not-a-publisher",
            "the policy names no publisher with this key, so what it seals would be refused; "
            "add the key to the policy as publisher, or seal with another",
        )


def line_of(untrusted: str) -> str:
    """Take the name of a model line."""
    from trustkit.errors import FormatError
    from trustkit.sealing.descriptor import check_line

    try:
        return check_line(text_of(untrusted))
    except FormatError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def _answer(sealed: Sealed, recipients: Sequence[Recipient]) -> Answer:
    descriptor = sealed.descriptor
    return Answer(
        "sealed",
        f"{descriptor.line} version {descriptor.version}",
        rows=(
            ("output", str(sealed.output)),
            ("manifest digest", str(sealed.manifest_digest)),
            ("descriptor digest", str(sealed.descriptor_digest)),
            ("publisher key", str(descriptor.publisher_key)),
            *(("recipient", f"{recipient.kind} {recipient.key_id}") for recipient in recipients),
            ("files", f"{counted(sealed.files, 'file')}, {size(sealed.bytes)}"),
        ),
        fields={
            "output": str(sealed.output),
            "line": descriptor.line,
            "version": descriptor.version,
            "manifest_digest": str(sealed.manifest_digest),
            "descriptor_digest": str(sealed.descriptor_digest),
            "publisher_key": str(descriptor.publisher_key),
            "dek_id": descriptor.dek_id,
            "recipients": [
                {"kind": recipient.kind, "key": str(recipient.key_id)} for recipient in recipients
            ],
            "files": sealed.files,
            "bytes": sealed.bytes,
        },
    )
