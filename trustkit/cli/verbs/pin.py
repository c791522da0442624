"""``trustkit pin``: manifests name the very bytes that somebody signed; only those places change.

A reference gets the digest of what the caller says it means, once its signature was verified.
"""

from __future__ import annotations

import argparse
import difflib
import stat
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted
from trustkit.cli.naming import naming_flags
from trustkit.cli.parser import Parser, path_of, text_of
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import policy_from_flags, trust_flags
from trustkit.errors import UsageError, VerificationError
from trustkit.records import replace

if TYPE_CHECKING:
    from trustkit.digest import Digest
    from trustkit.strictjson import Value
    from trustkit.workflows.pinning import Pinned

STORY = """
Say with --from what a reference means: a signed folder or file, a sealed folder, or a bundle alone.
Its signatures are verified, and every byte that was signed is held against what lies there: of a sealed
folder the ciphertext, of a bundle that is named itself nothing. Then its manifest digest is written behind
that reference in every manifest that names it (trust:// references), and into the lockfile (all of them).
Comments, order and quoting stay as they are; a second run changes nothing. Nothing is guessed, and
nothing is fetched.
"""
LOCK = Path("model.lock")


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit pin deploy/ --from trust://store/acme/tiny-llm=./sealed --policy policy.yaml --diff",
        "trustkit pin deploy/ --from s3://models/tiny-llm=tiny-llm.sig --key author.pem.pub",
        done="pinned and locked, or so already",
        refused="refused: not signed by whom you named, or not what was signed; nothing is written",
    )
    parser.places("path", "a file of manifests, or a folder of them")
    parser.many(
        "--from",
        "what a reference means: a signed folder or file, a sealed folder, or a bundle alone, of which only"
        " the signature is verified",
        metavar="REFERENCE=PATH",
        kind=_meaning_of,
        required=True,
    )
    trust_flags(parser)
    parser.one("--lock", "lockfile to write (default: model.lock)")
    naming_flags(parser)
    parser.many(
        "--exclude", "leave out what matches this shell pattern in folders", metavar="GLOB", kind=text_of
    )
    parser.switch("--diff", "show what changes")
    parser.switch("--dry-run", "write nothing")


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Verify what references mean, change manifests, and write them."""
    from trustkit.artifact.inputs import of_file, read_input, status_of
    from trustkit.cli.manifests import content_of, files_in
    from trustkit.workflows.naming import exempted_by, table_and_bases, told_of
    from trustkit.workflows.pinning import pin_manifests, proven_digest
    from trustkit.workloads import lock

    meanings = _meanings(arguments)
    policy = policy_from_flags(arguments.policy, arguments.key, arguments.publisher_key)
    target: Path = arguments.lock or LOCK
    there = status_of(target) is not None
    before = read_input(target, max_bytes=lock.MAX_BYTES, what="lockfile") if there else b""
    with of_file(target):
        locked = lock.parse_lock(before) if there else lock.Lock({})
    table, bases = table_and_bases(arguments.table, arguments.bases)
    files = {
        str(path): content_of(path)
        for path in files_in(arguments.path, arguments.exclude or ())
        if path != target
    }
    with terminal.progress("verifying", *set(meanings.values())) as progress:

        @cache  # several references may mean one folder, which is hashed once
        def proven(path: Path) -> Digest:
            with of_file(path):
                return proven_digest(path, policy, progress=progress)

        pinned = pin_manifests(
            files, [*meanings], lambda it: proven(meanings[it]), lock=locked, table=table, given=bases
        )
    new = lock.to_bytes(pinned.lock)
    after = {**({str(target): new} if new != before else {}), **pinned.files}  # the lockfile first
    old = {**files, str(target): before}
    if not arguments.dry_run:
        for name, content in after.items():
            _write(Path(name), old[name], content)
    known = told_of(table, bases)
    answer = _answer(pinned, old, after, known, diff=arguments.diff, written=not arguments.dry_run)
    return replace(answer, warnings=[*exempted_by(table, arguments.table), *answer.warnings])


def _meanings(arguments: argparse.Namespace) -> dict[str, Path]:
    from trustkit.artifact.inputs import STANDARD_INPUT

    if STANDARD_INPUT in map(str, arguments.path):
        raise UsageError("bad-arguments", "standard input cannot be changed; name files or folders")
    found: dict[str, Path] = {}
    for reference, path in vars(arguments)["from"]:
        if reference in found:
            raise UsageError("bad-arguments", f"--from says twice what {reference!r} means")
        found[reference] = path
    return found


def _write(path: Path, before: bytes, content: bytes) -> None:
    """Replace a file in one step, unless somebody else changed it meanwhile."""
    from trustkit.artifact.inputs import status_of
    from trustkit.cli.manifests import content_of
    from trustkit.storage.local import write_new

    def unchanged() -> None:
        if content_of(path) != before:
            raise VerificationError("file-changed", f"{str(path)!r} changed meanwhile; run it again")

    status = status_of(path)
    if status is None:
        write_new(path, content)
    else:
        mode = stat.S_IMODE(status.st_mode)
        write_new(path.resolve(), content, overwrite=True, mode=mode, exact=True, check=unchanged)


def _answer(
    pinned: Pinned,
    old: Mapping[str, bytes],
    after: Mapping[str, bytes],
    known: Mapping[str, Value],
    *,
    diff: bool,
    written: bool,
) -> Answer:
    from trustkit.cli.findings import document_of, line_of, remedies_of

    changed = sorted(after)
    what = f"{counted(pinned.references, 'reference')} in {counted(len(after), 'changed file')}"
    left = counted(len(pinned.left), "finding")
    remedies = remedies_of(sorted({finding.code for finding in pinned.left}))
    return Answer(
        "pinned" if written else "would pin",
        what if changed else f"{counted(pinned.references, 'reference')}; nothing changes",
        rows=[("written" if written else "to write", name) for name in changed],
        lines=[*(_diffs(old, after) if diff else ()), *map(line_of, pinned.left), *remedies],
        fields={
            "references": pinned.references,
            "changed": list(changed),
            "written": written,
            **known,
            "left": [document_of(finding) for finding in pinned.left],
            **({"diff": "\n".join(_diffs(old, after))} if diff else {}),
        },
        warnings=[f"{left} left that trustkit check --lock refuses; the list says where, and what to do"]
        if pinned.left
        else [],
    )


def _diffs(old: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted(after):
        first, second = (raw.decode("utf-8-sig").splitlines() for raw in (old[name], after[name]))
        yield from difflib.unified_diff(first, second, fromfile=name, tofile=name, n=2, lineterm="")


def _meaning_of(untrusted: str) -> tuple[str, Path]:
    reference, equals, path = text_of(untrusted).rpartition("=")
    if not equals or not reference or "@sha256:" in reference:
        raise argparse.ArgumentTypeError("is REFERENCE=PATH, the reference without a digest")
    if "://" in path and "://" not in reference:
        raise argparse.ArgumentTypeError("is REFERENCE=PATH in this order: what manifests name comes first")
    return reference, path_of(path)
