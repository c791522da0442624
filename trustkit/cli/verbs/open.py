"""``trustkit open``: decrypt a sealed artifact, and hold every byte against its author's signature.

Opening proves who may read, not who wrote: so the trust flags are those of
``verify``, and the verdict is the same word.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted, size
from trustkit.cli.keys import demand_there, given
from trustkit.cli.parser import Parser
from trustkit.cli.recipients import files_of, opener_flags, opener_of
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import anybody_warnings, policy_from_flags, trust_flags

if TYPE_CHECKING:
    from trustkit.workflows import Opened

STORY = """
Decrypt a sealed artifact. The publisher's descriptor and the author's bundle are verified first,
then every segment is authenticated before a byte of it is used, and every file is held against
what its author signed. The folder appears at once when all of it is right; on any failure
nothing is left.

Whom to believe: --key is the author's public key, and the publisher's too unless
--publisher-key names another; or --policy.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit open sealed/ --opener cluster.pem --policy policy.yaml --output model/",
        "trustkit open sealed/ --opener cluster.pem --key author.pem.pub \\",
        "    --publisher-key publisher.pem.pub --output model/",
        done="trusted, and the folder is there",
        refused="refused: tampered with, of another signer, or not sealed to this opener; nothing is left",
    )
    parser.place("folder", "the sealed folder")
    opener_flags(parser)
    trust_flags(parser)
    parser.one("--output", "the folder to write; it must not exist", metavar="FOLDER", required=True)


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Verify, open, and say what was published."""
    demand_there(arguments.folder, folder=True)
    policy = policy_from_flags(arguments.policy, arguments.key, arguments.publisher_key)
    from trustkit import workflows

    opener = opener_of(arguments.opener, arguments.opener_passphrase_file, terminal)
    with terminal.progress("opening", arguments.folder) as progress:
        opened = workflows.open_sealed(
            arguments.folder,
            [opener],
            policy,
            output=arguments.output,
            inputs=given(
                arguments.opener_passphrase_file,
                arguments.key,
                arguments.publisher_key,
                arguments.policy,
                more=files_of([arguments.opener]),
            ),
            progress=progress,
        )
    signed = opened.signed
    return _answer(opened, anybody_warnings(policy, (*signed.author.signers, *signed.publishers)))


def _answer(opened: Opened, warnings: list[str]) -> Answer:
    descriptor, author = opened.signed.descriptor, opened.signed.author
    signers = [
        {
            "role": role,
            "authority": signer.authority,
            "fingerprint": str(signer.fingerprint),
            "key_hint": signer.hint,
        }
        for role, found in (("author", author.signers), ("publisher", opened.signed.publishers))
        for signer in found
    ]
    manifest = author.manifest
    return Answer(
        "trusted",
        f"{descriptor.line} version {descriptor.version}",
        rows=(
            ("output", str(opened.output)),
            *((signer["role"], f"{signer['authority']} ({signer['fingerprint']})") for signer in signers),
            ("manifest digest", str(manifest.manifest_digest)),
            ("root digest", str(manifest.root_digest)),
            ("opened", f"{counted(opened.files, 'file')}, {size(opened.bytes)}"),
        ),
        fields={
            "output": str(opened.output),
            "line": descriptor.line,
            "version": descriptor.version,
            "manifest_digest": str(manifest.manifest_digest),
            "root_digest": str(manifest.root_digest),
            "descriptor_digest": str(opened.signed.descriptor_digest),
            "policy_digest": str(opened.signed.policy_digest),
            "signer": dict(signers[0]),
            "signers": [dict(signer) for signer in signers],
            "files": opened.files,
            "bytes": opened.bytes,
        },
        warnings=warnings,
    )
