"""``trustkit verify``: who signed an artifact, and whether every byte is what was signed.

Success names everything that was *not* covered: what the signer left out, what
nobody signed and the caller tolerated, what ``--only`` skipped.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trustkit import strictjson
from trustkit.cli.answer import Answer, Row, counted, size, some
from trustkit.cli.clusters import artifact_of, cluster_of, demand_cluster, take_cluster
from trustkit.cli.kinds import not_sealed
from trustkit.cli.parser import Parser, text_of
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import anybody_warnings, policy_from_flags

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from trustkit.artifact.hashing import Progress
    from trustkit.verifying.compare import Verified
    from trustkit.verifying.policy import VerificationPolicy

STORY = """
Verify a model or dataset before anything loads it: the signature must be made by
somebody you name, every signed file must be there with every byte as it was signed,
and nothing may lie there that was not signed.

Whom to believe is said by --key (one public key), --ca (the roots of your certificate
authority, with --identity for whom of its people) or --policy (authorities, roles and a
threshold); there is no default.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit verify model/ --key author.pem.pub",
        "trustkit verify model/ --ca roots.pem --identity email:ml@example.com",
        "trustkit verify model/ --policy policy.yaml --json",
        "trustkit verify model/ --key author.pem.pub --only '*.safetensors'",
        "trustkit verify s3://bucket/model --bundle model.sig --key author.pub --cluster dask://host:8786",
        "trustkit verify gs://bucket/model --bundle model.sig --key author.pub --cluster dask://host:8786",
        done="trusted; nothing else means that",
        refused="refused: not signed by whom you named, or not what was signed",
    )
    parser.place("path", "the folder or file to verify", kind=artifact_of)
    parser.one("--key", "public key of the author (PEM)")
    parser.one("--ca", "roots that the author's certificate must lead to (PEM)")
    parser.many(
        "--identity",
        "whom the certificate must name, exactly: uri:, dns:, email: or cn: and the name; without it --ca"
        " believes whoever its roots certified, and says so",
        metavar="NAME",
        kind=text_of,
    )
    parser.one("--policy", "verification policy (YAML or JSON)")
    parser.one("--bundle", "where the bundle lies (default: PATH/model.sig, or FILE.sig beside a file)")
    parser.many(
        "--only", "compare only files whose names match this shell pattern", metavar="GLOB", kind=text_of
    )
    take_cluster(parser)
    parser.switch("--ignore-unsigned", "tolerate files that nobody signed, and list them")


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Verify, and say who is to be believed for what."""
    from trustkit.workflows import default_bundle

    policy = policy_from_flags(
        arguments.policy,
        arguments.key,
        roots=arguments.ca,
        ca=True,
        identities=arguments.identity or (),
    )
    demand_cluster(arguments.path, arguments.cluster, arguments.bundle)
    # Of a part, or of what lies elsewhere, nobody knows the size beforehand.
    whole = () if arguments.only or isinstance(arguments.path, str) else (arguments.path,)
    with (
        cluster_of(arguments.cluster, debug=terminal.debug) as executor,
        terminal.progress("verifying", *whole) as progress,
    ):
        verified = _verified(arguments, policy, executor, progress)
    try:
        return _answer(
            arguments.path,
            arguments.bundle or default_bundle(arguments.path),
            verified,
            anybody_warnings(policy, verified.signed.signers, ca=arguments.ca is not None),
        )
    finally:
        verified.close()


def _verified(
    arguments: argparse.Namespace,
    policy: VerificationPolicy,
    executor: Executor | None,
    progress: Progress | None,
) -> Verified:
    asked: dict[str, Any] = {
        "bundle": arguments.bundle,
        "only": arguments.only or (),
        "ignore_unsigned": arguments.ignore_unsigned,
        "now": time.time,
        "progress": progress,
    }
    if isinstance(arguments.path, str) and executor is not None:
        from trustkit.workflows.objects import verify_objects

        return verify_objects(arguments.path, policy, executor=executor, **asked)
    from trustkit import workflows

    with not_sealed(arguments.path, "use `trustkit open`"):
        return workflows.verify(arguments.path, policy, workers=executor, **asked)


def _answer(path: Path | str, bundle: Path, verified: Verified, warnings: list[str]) -> Answer:
    manifest = verified.signed.manifest
    signers: list[strictjson.Object] = [
        {
            "authority": signer.authority,
            "fingerprint": str(signer.fingerprint),
            "key_hint": signer.hint,
            "identity": signer.identity,
        }
        for signer in verified.signed.signers
    ]
    return Answer(
        "trusted",
        f"{path}, but only {_compared(verified)} compared" if verified.skipped else str(path),
        rows=[
            *(row for signer in signers for row in _rows_of(signer)),
            ("manifest digest", str(manifest.manifest_digest)),
            ("root digest", str(manifest.root_digest)),
            ("compared", f"{_compared(verified)}, {size(verified.bytes)}"),
            *_left_out(verified),
        ],
        fields={
            "manifest_digest": str(manifest.manifest_digest),
            "root_digest": str(manifest.root_digest),
            "signer": signers[0],
            "signers": [dict(signer) for signer in signers],
            "bundle": str(bundle),
            "bundle_digest": str(verified.signed.bundle_digest),
            "policy_digest": str(verified.signed.policy_digest),
            "files": len(verified.files),
            "files_signed": len(verified.files) + len(verified.skipped),
            "bytes": verified.bytes,
            "ignored": list(verified.ignored),
            "unsigned": list(verified.unsigned),
            "skipped": list(verified.skipped),
        },
        warnings=[*warnings, *_warnings(verified)],
    )


def _compared(verified: Verified) -> str:
    part = f"{len(verified.files)} of " if verified.skipped else ""
    return part + counted(len(verified.files) + len(verified.skipped), "file")


def _rows_of(signer: strictjson.Object) -> list[Row]:
    """Say who signed; of a bare key also what bundles call it, which is all that `inspect` can show."""
    named = f"{signer['identity']}, " if signer["identity"] is not None else ""
    who = ("signed by", f"{signer['authority']} ({named}{signer['fingerprint']})")
    return [who] if named else [who, ("key hint", f"{signer['key_hint']}")]


def _warnings(verified: Verified) -> list[str]:
    from trustkit.artifact.tree import hard_linked

    linked = sorted(set(hard_linked(verified.tree)) & set(verified.files))
    if not linked:
        return []
    count = counted(len(linked), "such file")
    return [f"{linked[0]!r} has other hard links, through which it can still be changed ({count})"]


def _left_out(verified: Verified) -> list[Row]:
    found = (
        ("ignored", verified.ignored, "left out by the signer"),
        ("unsigned", verified.unsigned, "tolerated, signed by nobody"),
        ("not compared", verified.skipped, "left out by --only"),
    )
    return [(label, f"{some(names)} ({why})") for label, names, why in found if names]
