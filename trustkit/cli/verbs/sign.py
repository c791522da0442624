"""``trustkit sign``: hash an artifact and sign its manifest (OpenSSF Model Signing v1.0).

The bundle is the only file that is written, and it is never one of the inputs:
the workflow knows the key and the passphrase file, and refuses both as outputs.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted, size
from trustkit.cli.keys import given, refuse_unless, signer_from
from trustkit.cli.parser import Parser, text_of, whole
from trustkit.cli.terminal import Terminal

if TYPE_CHECKING:
    from trustkit.workflows import Signed

STORY = """
Sign a model or dataset: every file below PATH is hashed, and the list of names and
digests is signed with your private key. The bundle that is written (OpenSSF Model
Signing v1.0, readable by other implementations) lies in the folder as model.sig, or
beside a single file as FILE.sig, unless --bundle says otherwise.

Links, FIFOs, devices and names that mean two things are refused. An existing bundle
is replaced only with --overwrite, and nothing else is ever replaced.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit sign model/ --key author.pem --passphrase-file secret.txt",
        "trustkit sign weights.gguf --key author.pem --bundle weights.sig",
        "trustkit sign model/ --key author.pem --method shards --hash blake3",
        refused="a file changed while it was read",
    )
    parser.place("path", "the folder or file to sign")
    parser.one("--key", "private key (EC P-256, P-384 or P-521, PEM)", required=True)
    parser.one("--passphrase-file", "its first line opens the key; asked for on a terminal")
    parser.one("--bundle", "where the bundle goes")
    parser.one(
        "--method",
        "digests of files (default: what every verifier reads) or of shards",
        choices=("files", "shards"),
    )
    parser.one(
        "--hash", "hash of every file or shard (default: sha256)", choices=("sha256", "blake3", "blake2b")
    )
    parser.one(
        "--shard-size", "bytes in a shard (default: 1000000000)", metavar="BYTES", kind=whole(1, 2**63 - 1)
    )
    parser.many(
        "--ignore", "leave this name out, with all below it; the list is signed", metavar="NAME", kind=name_of
    )
    parser.switch("--allow-symlinks", "follow links that stay inside, and record that in the signature")
    parser.switch("--overwrite", "replace an existing bundle")


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Sign, and say what was written."""
    refuse_unless(
        arguments.shard_size is None or arguments.method == "shards", "--shard-size needs --method shards"
    )
    from trustkit import workflows
    from trustkit.artifact.manifest import DEFAULT_SHARD_SIZE

    signer = signer_from(arguments.key, arguments.passphrase_file, terminal)
    with terminal.progress("signing", arguments.path) as progress:
        signed = workflows.sign(
            arguments.path,
            signer,
            bundle=arguments.bundle,
            method=arguments.method or "files",
            algorithm=arguments.hash or "sha256",
            shard_size=arguments.shard_size or DEFAULT_SHARD_SIZE,
            allow_symlinks=arguments.allow_symlinks,
            ignore=arguments.ignore or (),
            overwrite=arguments.overwrite,
            inputs=given(arguments.key, arguments.passphrase_file),
            progress=progress,
        )
    return _answer(str(arguments.path), str(signer.fingerprint), signed)


def name_of(untrusted: str) -> str:
    """Take the name of a file or folder inside an artifact."""
    from trustkit.artifact.names import check_name
    from trustkit.errors import TrustkitError

    try:
        return check_name(text_of(untrusted).rstrip("/"))
    except TrustkitError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def _answer(path: str, fingerprint: str, signed: Signed) -> Answer:
    manifest = signed.manifest
    count = len(manifest.file_names)
    return Answer(
        "signed",
        path,
        rows=(
            ("bundle", str(signed.bundle)),
            ("manifest digest", str(manifest.manifest_digest)),
            ("root digest", str(manifest.root_digest)),
            ("signed with", fingerprint),
            ("covers", f"{counted(count, 'file')}, {size(signed.bytes)}"),
        ),
        fields={
            "bundle": str(signed.bundle),
            "manifest_digest": str(manifest.manifest_digest),
            "root_digest": str(manifest.root_digest),
            "signer": {"fingerprint": fingerprint},
            "method": manifest.method,
            "hash": manifest.algorithm,
            "ignore_paths": list(manifest.ignore_paths),
            "files": count,
            "bytes": signed.bytes,
        },
        warnings=signed.warnings,
    )
