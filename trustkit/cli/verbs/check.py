"""``trustkit check``: every model that manifests name, before they reach a cluster.

What is refused here would be denied by the webhook; nothing is fetched.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted
from trustkit.cli.naming import naming_flags
from trustkit.cli.parser import Parser, text_of
from trustkit.cli.terminal import Terminal
from trustkit.errors import DeniedError, UsageError
from trustkit.programs.helping import unknown_value
from trustkit.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trustkit.strictjson import Value
    from trustkit.workflows.checking import Finding
    from trustkit.workloads.manifests import Subject

STORY = """
List every model that Kubernetes manifests name, in whatever kind and by whatever means, and refuse
those that can be moved or that cannot be read. Files, folders (their .yaml, .yml and .json files)
and - for standard input; many documents in a file, lists, and what helm and kustomize print.

A folder, or standard input, in which there is no Kubernetes object is an error (no-manifests): the path
may be misspelt, or the renderer have failed. A file that was named itself may hold none.

With --lock a reference has to be in the lockfile, and one that carries a manifest digest has to carry
that one. What is only possibly a model is listed and refuses nothing, as in the webhook.
"""
FORMATS = ("text", "sarif", "markdown")
CODES = (
    "lock-mismatch",
    "not-locked",
    "not-pinned",
    "reserved-annotation",
    "unknown-kind",
    "unread-object",
    "unresolved-gpu",
    "unresolved-model",
)
"""What a manifest is refused for."""
EMPTY = "no-manifests"
"""What a folder, or standard input, is refused for in which there is none; may be allowed as well."""
_NOTHING = (
    "there is no Kubernetes object in what was checked; look at the path, and what --exclude leaves out"
)


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit check deploy/",
        "helm template chart | trustkit check -",
        "trustkit check deploy/ --lock model.lock --format sarif > models.sarif",
        done="every model is pinned or locked",
        refused="refused: a model can be moved, is not the locked one, or cannot be read",
    )
    parser.places("path", "a file of manifests, a folder of them, or - for standard input")
    parser.one("--format", "how to print what was found (default: text)", choices=FORMATS)
    parser.one("--lock", "lockfile that says which manifest digest a reference means")
    naming_flags(parser)
    parser.many(
        "--allow",
        f"list this and do not refuse it: {', '.join((*CODES, EMPTY))}",
        metavar="CODE",
        kind=_code_of,
    )
    parser.many(
        "--exclude", "leave out what matches this shell pattern in folders", metavar="GLOB", kind=text_of
    )


def run(arguments: argparse.Namespace, _terminal: Terminal) -> Answer:
    """Read all manifests, ask the extractor, and list what it says."""
    if arguments.json and arguments.format is not None:
        raise UsageError("bad-arguments", "--json is a format itself; leave out --format or --json")
    from trustkit.artifact.inputs import of_file, read_input
    from trustkit.cli.manifests import files_in
    from trustkit.workflows.checking import check_manifests
    from trustkit.workflows.naming import exempted_by, table_and_bases, told_of
    from trustkit.workloads import lock

    locked = None
    table, bases = table_and_bases(arguments.table, arguments.bases)
    if arguments.lock is not None:
        with of_file(arguments.lock):
            locked = lock.parse_lock(read_input(arguments.lock, max_bytes=lock.MAX_BYTES, what="lockfile"))
    files = files_in(arguments.path, arguments.exclude or ())
    found = {file: list(_subjects(file)) for file in files}
    subjects = list(itertools.chain.from_iterable(found.values()))
    if EMPTY not in (arguments.allow or ()):
        _demand_manifests(arguments.path, found)
    findings = list(
        check_manifests(subjects, table=table, given=bases, lock=locked, allowed=arguments.allow or ())
    )
    read = {"files": len(files), "objects": len(subjects)}
    known = told_of(table, bases)
    answer = _answer(findings, read, known, arguments.format)
    return replace(answer, warnings=[*exempted_by(table, arguments.table), *answer.warnings])


def _demand_manifests(paths: Sequence[Path], found: Mapping[Path, Sequence[Subject]]) -> None:
    """Refuse a folder, or standard input, with nothing in it: a pipeline would take it for checked."""
    from trustkit.artifact.inputs import STANDARD_INPUT, is_folder

    for path in paths:
        if str(path) == STANDARD_INPUT:
            objects, where, look = len(found[path]), "on standard input", "look at what should print it"
        elif is_folder(path):
            files = [file for file in found if path in file.parents]
            objects = sum(len(found[file]) for file in files)
            where = (
                f"in the folder {str(path)!r} ({counted(len(files), 'file')} ending in .yaml, .yml or .json)"
            )
            look = "look at the path and at --exclude, or render it first"
        else:
            continue
        if not objects:
            raise UsageError(
                "no-manifests",
                f"there is no Kubernetes object {where}; {look}, or say --allow {EMPTY}",
                path=str(path),
            )


def _subjects(file: Path) -> Iterator[Subject]:
    from trustkit.cli.manifests import content_of
    from trustkit.workloads.manifests import subjects_of

    yield from subjects_of(content_of(file), str(file))


def _answer(
    findings: Sequence[Finding], read: Mapping[str, int], known: Mapping[str, Value], form: str | None
) -> Answer:
    from trustkit.cli.findings import document_of, line_of, markdown, remedies_of, sarif

    refused = [finding for finding in findings if finding.refused]
    references = sum(finding.model is not None for finding in findings)
    noun = "model reference" if references == len(findings) else "finding"
    what = (
        f"{counted(len(findings), noun)} in {counted(read['objects'], 'object')} "
        f"of {counted(read['files'], 'file')}"
    )
    counts = {**read, "references": references, "refused": len(refused)}
    codes = sorted({finding.code for finding in refused})
    remedies = remedies_of(codes)
    several = len(codes) > 1
    refusal = DeniedError(
        "manifests-refused",
        f"{len(refused)} of {what} cannot stay as {'it is' if len(refused) == 1 else 'they are'} "
        f"({', '.join(codes)}); "
        f"{'the list says what to do about each' if several else ''.join(remedies)}",
        codes=list(codes),
        **counts,
    )
    product = {"sarif": sarif, "markdown": markdown}.get(form or "")
    return Answer(
        "checked",
        f"{what}; none is refused",
        lines=[*map(line_of, findings), *(remedies if several else ())],
        fields={**counts, **known, "findings": [document_of(finding) for finding in findings]},
        warnings=[] if read["objects"] else [_NOTHING],
        product=None if product is None else product(findings),
        product_name=form or "",
        audible=product is not None,
        refusal=refusal if refused else None,
    )


def _code_of(untrusted: str) -> str:
    if untrusted not in (*CODES, EMPTY):
        raise argparse.ArgumentTypeError(unknown_value(untrusted, (*CODES, EMPTY)))
    return untrusted
