"""``trustkit sign``: hash an artifact and sign its manifest (OpenSSF Model Signing v1.0).

The bundle is the only file that is written, and it is never one of the inputs:
the workflow knows the key and the passphrase file, and refuses both as outputs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trustkit.cli.answer import Answer, counted, size
from trustkit.cli.clusters import artifact_of, cluster_of, demand_cluster, take_cluster
from trustkit.cli.keys import certified_by, demand_there, given, refuse_unless, signer_from
from trustkit.cli.kinds import demand_unsealed
from trustkit.cli.parser import Parser, text_of, whole
from trustkit.cli.terminal import Terminal

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from trustkit.artifact.hashing import Progress
    from trustkit.signing.key import Signer
    from trustkit.workflows import Signed
    from trustkit.workflows.resigning import Again

STORY = """
Sign a model or dataset: every file below PATH is hashed, and the list of names and
digests is signed with your private key. The bundle that is written (OpenSSF Model
Signing v1.0, readable by other implementations) lies in the folder as model.sig, or
beside a single file as FILE.sig, unless --bundle says otherwise.

Links, FIFOs, devices and names that mean two things are refused. An existing bundle
is replaced only with --overwrite, and nothing else is ever replaced. With --add the bundle
that lies there gets one signature more, for policies that ask for several signers.

With --previous only what changed since an earlier signature of yours is read: this machine
keeps a sealed record of the files' stamps, and in doubt a file is read again. A record is begun
by --state-dir, or by the first --previous, which therefore reads everything.
"""

_OF_STATEMENTS = ("method", "hash", "shard_size", "ignore", "compat", "overwrite")
_OF_FOLDERS = ("allow_symlinks", "previous", "state_dir")


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit sign model/ --key author.pem --passphrase-file secret.txt",
        "trustkit sign weights.gguf --key author.pem --bundle weights.sig",
        "trustkit sign model/ --key author.pem --method shards --hash blake3",
        "trustkit sign model/ --key ml.pem --certificate ml.crt --chain intermediate.pem",
        "trustkit sign model/ --key second.pem --add",
        "trustkit sign s3://bucket/model --key author.pem --bundle model.sig --cluster dask://host:8786",
        "trustkit sign gs://bucket/model --key author.pem --bundle model.sig --cluster dask://host:8786",
        "trustkit sign model/ --key author.pem --previous model/model.sig --overwrite",
        refused="refused: a file changed; the certificate, --previous or what --add found is no good",
    )
    parser.place("path", "the folder or file to sign", kind=artifact_of)
    parser.one("--key", "private key (EC P-256, P-384 or P-521, PEM)", required=True)
    parser.one("--passphrase-file", "its first line opens the key; asked for on a terminal")
    parser.one("--certificate", "certificate of the key (PEM); the bundle then names whom it names")
    parser.one("--chain", "the certificates between it and the root (PEM)")
    parser.switch("--add", "add a signature to the bundle that lies there, if it describes PATH as it is")
    parser.one("--bundle", "where the bundle goes")
    _take_hashing(parser)
    parser.one(
        "--previous",
        "an earlier bundle of the same key: what it covers and did not change is not read, where signing it"
        " left a record on this machine",
    )
    parser.one(
        "--state-dir",
        "where the record for the next --previous is kept (with --previous: $XDG_STATE_HOME/trustkit)",
        metavar="DIR",
    )
    take_cluster(parser)
    parser.switch("--allow-symlinks", "follow links that stay inside, and record that in the signature")
    parser.switch("--overwrite", "replace an existing bundle")


def _take_hashing(parser: Parser) -> None:
    """Add the flags that say what is hashed and how; all of it is signed."""
    parser.one(
        "--method",
        "digests of files (default: what every verifier reads), of shards, or auto: shards of 256 MiB where"
        " a file is larger",
        choices=("files", "shards", "auto"),
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
    parser.one(
        "--compat", "write what this version of model-signing reads (a single file as '.')", choices=("1.1",)
    )


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Sign, and say what was written."""
    from trustkit.artifact.inputs import of_file

    refuse_unless(
        arguments.shard_size is None or arguments.method == "shards", "--shard-size needs --method shards"
    )
    refuse_unless(arguments.chain is None or arguments.certificate, "--chain needs --certificate")
    demand_cluster(arguments.path, arguments.cluster, arguments.bundle)
    demand_there(arguments.path)
    if isinstance(arguments.path, Path):
        demand_unsealed(arguments.path)
    if arguments.add:
        return _added(arguments, terminal)
    in_store = isinstance(arguments.path, str)
    if in_store:
        _refuse_flags(arguments, _OF_FOLDERS, "in a store there is no such thing as a link or a stamp")
    signer, identity = _signer(arguments, terminal)
    with (
        of_file(Path(arguments.path), codes=("empty-model",)),
        cluster_of(arguments.cluster, debug=terminal.debug) as executor,
        terminal.progress("signing", *(() if in_store else (arguments.path,))) as progress,
    ):
        if in_store and executor is not None:
            signed = _signed_there(arguments, signer, executor, progress)
        else:
            again = _again(arguments, terminal)
            signed = _signed(arguments, signer, executor=executor, progress=progress, again=again)
    return _answer(str(arguments.path), signer, identity, signed)


def _signed(
    arguments: argparse.Namespace,
    signer: Signer,
    *,
    executor: Executor | None,
    progress: Progress | None,
    again: Again | None,
) -> Signed:
    from trustkit import workflows

    return workflows.sign(
        arguments.path,
        signer,
        allow_symlinks=arguments.allow_symlinks,
        again=again,
        workers=executor,
        now=time.time,
        progress=progress,
        **_common(arguments),
    )


def _signed_there(
    arguments: argparse.Namespace, signer: Signer, executor: Executor, progress: Progress | None
) -> Signed:
    from trustkit.workflows.objects import sign_objects

    return sign_objects(
        arguments.path, signer, executor=executor, now=time.time, progress=progress, **_common(arguments)
    )


def _common(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what is asked for alike wherever the artifact lies."""
    from trustkit.artifact.manifest import DEFAULT_SHARD_SIZE

    return {
        "bundle": arguments.bundle,
        "method": arguments.method or "files",
        "algorithm": arguments.hash or "sha256",
        "shard_size": arguments.shard_size or DEFAULT_SHARD_SIZE,
        "ignore": arguments.ignore or (),
        "compat": arguments.compat,
        "overwrite": arguments.overwrite,
        "inputs": _inputs(arguments),
    }


def _refuse_flags(arguments: argparse.Namespace, names: Sequence[str], why: str) -> None:
    for name in names:
        refuse_unless(not getattr(arguments, name), f"{why}; leave --{name.replace('_', '-')} out")


def _added(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Add a signature; what the bundle says was said when it was made."""
    from trustkit import workflows

    _refuse_flags(arguments, (*_OF_STATEMENTS, *_OF_FOLDERS), "--add signs what the bundle says")
    refuse_unless(arguments.cluster is None, "--add hashes on this machine; leave --cluster out")
    signer, identity = _signer(arguments, terminal)
    with terminal.progress("verifying", arguments.path) as progress:
        signed = workflows.add_signature(
            arguments.path,
            signer,
            bundle=arguments.bundle,
            inputs=_inputs(arguments),
            progress=progress,
        )
    return _answer(str(arguments.path), signer, identity, signed)


def _signer(arguments: argparse.Namespace, terminal: Terminal) -> tuple[Signer, str | None]:
    """Return the signer, and whom its certificate names; a certificate that is no good ends it here."""
    from trustkit.verifying.presenting import check_signer

    key = signer_from(arguments.key, arguments.passphrase_file, terminal)
    signer = certified_by(key, arguments.certificate, arguments.chain)
    return signer, check_signer(signer.material, at=time.time())


def _again(arguments: argparse.Namespace, terminal: Terminal) -> Again | None:
    """Return what is asked of the memory of this machine; nothing is kept unless it was asked for."""
    if arguments.previous is None and arguments.state_dir is None:
        return None
    from trustkit.cli.state import state_folder
    from trustkit.workflows.resigning import Again

    return Again(arguments.state_dir or state_folder(terminal.environ), arguments.previous)


def _inputs(arguments: argparse.Namespace) -> tuple[Path, ...]:
    return given(arguments.key, arguments.passphrase_file, arguments.certificate, arguments.chain)


def name_of(untrusted: str) -> str:
    """Take the name of a file or folder inside an artifact."""
    from trustkit.artifact.names import check_name
    from trustkit.errors import TrustkitError

    try:
        return check_name(text_of(untrusted).rstrip("/"))
    except TrustkitError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def _answer(path: str, signer: Signer, identity: str | None, signed: Signed) -> Answer:
    from trustkit.digest import digest_of

    fingerprint, hint = str(signer.fingerprint), digest_of(signer.public_pem()).hex
    manifest = signed.manifest
    count = manifest.file_count
    return Answer(
        "signed",
        path,
        rows=(
            ("bundle", str(signed.bundle)),
            ("manifest digest", str(manifest.manifest_digest)),
            ("root digest", str(manifest.root_digest)),
            ("signed with", fingerprint),
            ("key hint", hint) if identity is None else ("certified as", identity),
            *((("signatures", f"{signed.signatures} in the bundle now"),) if signed.signatures > 1 else ()),
            ("covers", f"{counted(count, 'file')}, {size(signed.bytes)}"),
            *((("not read again", counted(signed.unread, "file")),) if signed.unread else ()),
            *((("faster", _savings(signed.faster)),) if signed.faster else ()),
        ),
        fields={
            "bundle": str(signed.bundle),
            "manifest_digest": str(manifest.manifest_digest),
            "root_digest": str(manifest.root_digest),
            "signer": {"fingerprint": fingerprint, "key_hint": hint, "identity": identity},
            "signatures": signed.signatures,
            "method": manifest.method,
            "hash": manifest.algorithm,
            "ignore_paths": list(manifest.ignore_paths),
            "files": count,
            "bytes": signed.bytes,
            "unread_files": signed.unread,
            "faster": {flag: round(seconds, 1) for flag, seconds in signed.faster.items()},
        },
        warnings=signed.warnings,
    )


def _savings(faster: Mapping[str, float]) -> str:
    """Say what other flags would have saved; the default stays what every verifier reads."""
    told = "; ".join(f"{flag}: about {seconds:.1f} s less" for flag, seconds in faster.items())
    return f"{told} (not every verifier reads it)"
