"""``trustkit kserve seal``: encrypt a signed artifact as KServe's confidential serving decrypts it.

For servers that have KServe's own initializer; `trustkit seal` makes the
better format, with a publisher, a version, and recipients that change.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted, size
from trustkit.cli.keys import given, jwe_key_from
from trustkit.cli.parser import Parser
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import policy_from_flags

if TYPE_CHECKING:
    from trustkit.workflows import Converted

STORY = """
Encrypt a signed artifact in KServe's confidential layout: each file a JWE (A256KW, A256GCM) named
NAME.jwe, and the author's bundle beside them. First it is verified, under --author-key or
--policy: what its author did not sign is not sealed.

A key to share: head -c 32 /dev/urandom | basenc --base64url | tr -d '=' > shared.jwk

KServe decrypts in place, in memory, and checks no signature; it passes plaintext through where a
JWE was expected. So verify what it wrote: model.sig lies beside it.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit kserve seal model/ --jwk shared.jwk --author-key author.pem.pub --output sealed/",
        refused="refused: its author did not sign it as it is",
    )
    parser.place("path", "the signed folder or file")
    parser.one("--jwk", "the key that KServe will have: a JWK, or its k alone", required=True)
    parser.one("--author-key", "public key of the author (PEM)")
    parser.one("--policy", "verification policy that says which authors to believe")
    parser.one("--bundle", "the author's bundle (default: PATH/model.sig, or FILE.sig beside a file)")
    parser.one("--output", "the folder to write; it must not exist", metavar="FOLDER", required=True)


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Verify, seal, and say what was written."""
    policy = policy_from_flags(arguments.policy, arguments.author_key, flag="--author-key")
    from trustkit import workflows

    key = jwe_key_from(arguments.jwk)
    with terminal.progress("sealing", arguments.path) as progress:
        done = workflows.seal_for_kserve(
            arguments.path,
            key,
            policy,
            output=arguments.output,
            bundle=arguments.bundle,
            inputs=given(arguments.jwk, arguments.author_key, arguments.policy, arguments.bundle),
            progress=progress,
        )
    return answer_of("sealed", done, label="sealed")


def answer_of(verdict: str, done: Converted, *, label: str) -> Answer:
    """Say what was converted, and whose it is."""
    manifest, signers = done.signed.manifest, done.signed.signers
    return Answer(
        verdict,
        str(done.output),
        rows=(
            ("manifest digest", str(manifest.manifest_digest)),
            *(("author", f"{signer.authority} ({signer.fingerprint})") for signer in signers),
            (label, f"{counted(done.files, 'file')}, {size(done.bytes)}"),
        ),
        fields={
            "output": str(done.output),
            "manifest_digest": str(manifest.manifest_digest),
            "root_digest": str(manifest.root_digest),
            "signers": [
                {"role": "author", "authority": signer.authority, "fingerprint": str(signer.fingerprint)}
                for signer in signers
            ],
            "files": done.files,
            "bytes": done.bytes,
        },
    )
