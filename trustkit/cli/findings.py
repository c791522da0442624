"""Findings in manifests as others read them: lines for people, JSON, SARIF, Markdown.

The law of this file: it renders and decides nothing. Texts of manifests are
untrusted: JSON escapes all but ASCII, and Markdown gets no markup of theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from urllib.parse import quote

from trustkit import strictjson
from trustkit.cli.escape import shown
from trustkit.version import __version__
from trustkit.workflows.checking import REMEDIES, Finding

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MAX_SHOWN = 200
"""Longest reference that a line or a table shows (characters)."""
_MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>()#+-.!|~&@:"})


def line_of(finding: Finding) -> str:
    """Write a finding as a compiler would: ``FILE:LINE: STATE: REFERENCE at DOCUMENT:PATH``."""
    code = f" [{finding.code}]" if finding.code else ""
    at = f"document {finding.subject.document}, {finding.path or 'the object'}"
    locked = f"; the lockfile has {finding.locked}" if finding.locked else ""
    return f"{finding.subject.file}:{finding.line}: {_word(finding)}: {_short(finding)}{code} in {at}{locked}"


def remedies_of(codes: Sequence[str]) -> list[str]:
    """Return what to do about each code, which stands before it where there are several."""
    return [f"{code}: {REMEDIES[code]}" if len(codes) > 1 else REMEDIES[code] for code in codes]


def document_of(finding: Finding) -> strictjson.Object:
    """Write a finding as JSON."""
    model = finding.model
    return {
        "file": finding.subject.file,
        "line": finding.line,
        "document": finding.subject.document,
        "object": finding.subject.title,
        "path": finding.path,
        "reference": finding.reference,
        "state": finding.state,
        "refused": finding.refused,
        "code": finding.code,
        "remedy": REMEDIES.get(finding.code, ""),
        "reason": finding.reason,
        "locked": finding.locked,
        "scheme": model.scheme if model else "",
        "how": model.how if model else "",
        "confidence": model.confidence if model else "",
    }


def sarif(findings: Sequence[Finding]) -> str:
    """Write what is not well as SARIF 2.1.0; what is allowed, or only possible, is a note."""
    codes = sorted(REMEDIES)
    rules = [
        {
            "id": code,
            "shortDescription": {"text": code.replace("-", " ")},
            "help": {"text": REMEDIES[code]},
            "defaultConfiguration": {"level": "error"},
        }
        for code in codes
    ]
    run = {
        "tool": {"driver": {"name": "trustkit", "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, codes) for finding in findings if finding.code],
    }
    document = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _result(finding: Finding, codes: Sequence[str]) -> strictjson.Object:
    subject = finding.subject
    identity = json.dumps([subject.file, subject.title, finding.path, finding.code, finding.reference])
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": "error" if finding.refused else "note",
        "message": {"text": _sentence(finding)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(subject.file)},
                    "region": {"startLine": finding.line},
                },
                "logicalLocations": [{"fullyQualifiedName": f"{subject.title}: {finding.path}"}],
            }
        ],
        "partialFingerprints": {"trustkit/v1": hashlib.sha256(identity.encode()).hexdigest()},
    }


def _sentence(finding: Finding) -> str:
    """Say what was found, why, and what to do: where nothing stands there, the reason is what was found."""
    why = f": {finding.reason}" if finding.reference else ""
    locked = f"; the lockfile has {finding.locked}" if finding.locked else ""
    return f"{_short(finding)}{why}{locked}; {REMEDIES[finding.code]}"


def markdown(findings: Sequence[Finding]) -> str:
    """Write all findings as one table."""
    rows = [
        f"| {_cell(f'{finding.subject.file}:{finding.line}')} | {_cell(finding.subject.title)} | "
        f"{_cell(_short(finding))} | {_cell(_word(finding))} | {_cell(REMEDIES.get(finding.code, ''))} |\n"
        for finding in findings
    ]
    return (
        "| Place | Object | Model | State | What to do |\n|---|---|---|---|---|\n" + "".join(rows)
        if rows
        else "No models are named.\n"
    )


def _word(finding: Finding) -> str:
    if finding.refused:
        return f"refused, {finding.state}"
    return f"{finding.state}, allowed" if finding.code else finding.state


def _short(finding: Finding) -> str:
    text = finding.reference or finding.reason
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _cell(untrusted: str) -> str:
    return shown(untrusted).replace("\n", " ").translate(_MARKUP)


def _uri(file: str) -> str:
    if file == "-":
        return "stdin"
    path = quote(file, safe="/", errors="surrogateescape")
    return f"file://{path}" if path.startswith("/") else path
