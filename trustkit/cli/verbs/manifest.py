"""``trustkit manifest``: what a signature covers, read without verifying it.

The manifest obeys every rule a verified one obeys, so that it can be shown and
compared; but nobody was asked who signed it, and the answer says so first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from trustkit.cli.answer import Answer
from trustkit.cli.claims import claimed, digests_of, of_manifest, statement_in
from trustkit.cli.parser import Parser
from trustkit.cli.terminal import Terminal
from trustkit.records import replace

STORY = """
List the files and digests that an artifact's signature covers, and the two digests over
the whole list: the manifest digest, which pins and policies name, and the root digest of
OpenSSF Model Signing, which covers no names.

Nothing is verified, neither the signature nor a single byte; use trustkit verify for that.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit manifest model/",
        "trustkit manifest model/ --digest --json",
        done="shown, and nothing verified",
        refused="there is no signature, or it contradicts itself",
    )
    parser.place("path", "the signed folder or file")
    parser.one("--bundle", "where the bundle lies (default: PATH/model.sig, or FILE.sig beside a file)")
    parser.switch("--digest", "only the two digests over the manifest, one a line on stdout")


def run(arguments: argparse.Namespace, _terminal: Terminal) -> Answer:
    """Read the bundle and list what it claims."""
    from trustkit.attest.bundle import parse_bundle
    from trustkit.attest.predicates.digests import in_words_of_today
    from trustkit.attest.predicates.model_signature import parse_manifest
    from trustkit.workflows.reading import about_bundle

    source, raw = _bundle_of(arguments.path, arguments.bundle)
    with about_bundle(source):
        manifest = parse_manifest(in_words_of_today(statement_in(parse_bundle(raw))))
    rows, fields = digests_of(manifest) if arguments.digest else of_manifest(manifest)
    fields["bundle"] = str(source)
    if arguments.digest:
        lines = (f"manifest {manifest.manifest_digest}", f"root {manifest.root_digest}")
        answer = claimed(f"digests of the manifest in {str(source)!r}", (), fields, lines=lines)
        return replace(answer, aside=True)
    fields["resources"] = [
        {"name": resource.name, "digest": str(resource.digest)} for resource in manifest.resources
    ]
    resources = (f"{resource.digest}  {resource.name}" for resource in manifest.resources)
    return claimed(
        f"what the bundle {str(source)!r} claims; nobody was asked who signed it",
        rows,
        fields,
        lines=resources,
    )


def _bundle_of(path: Path, bundle: Path | None) -> tuple[Path, bytes]:
    import os

    from trustkit import workflows
    from trustkit.errors import UsageError
    from trustkit.workflows.reading import bundle_at, unsigned

    if not os.path.lexists(path):
        raise UsageError("no-such-path", f"there is nothing at {str(path)!r}", path=str(path))
    source = bundle or workflows.default_bundle(path)
    if bundle is None and not os.path.lexists(source):
        raise unsigned(path, source)
    return source, bundle_at(source, named=bundle is not None)
