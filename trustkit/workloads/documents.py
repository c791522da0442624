"""Texts that are documents themselves: YAML or JSON in a member, scripts, files of a ConfigMap.

The law of this file: reading is bounded for all documents of one object together,
because the parser is slow; what is longer, or is no document where the kind says that
one stands, is unresolved.
"""

from __future__ import annotations

import re

from trustkit import strictjson
from trustkit.errors import TrustkitError
from trustkit.strictjson import Object, Value
from trustkit.workloads.addresses import read_code, read_file_of_code
from trustkit.workloads.around import Around
from trustkit.workloads.commands import read_script
from trustkit.workloads.kinds import Kind, selected
from trustkit.workloads.line import Line, Word
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import spelled
from trustkit.workloads.scan import Member, Scan
from trustkit.workloads.values import MAX_STRING
from trustkit.workloads.variables import Variables

MAX_DOCUMENTS = 2_000
"""Most lines and marks of structure of all YAML documents in one object: some 45 microseconds each."""

_MARKS = ("\n", ":", ",", "[", "{", "- ")
_SCRIPTS = re.compile(r"#! ?/\S{0,64}?(?:/env )?(?:ba|da|z|k)?sh\b")
_JSON = ("{", "[")


def read_documents(untrusted: Object, kind: Kind, scan: Scan, notes: Notes) -> None:
    """Walk the documents that stand in texts of an object.

    Args:
        untrusted: The object.
        kind: Its row, which says where documents stand.
        scan: The walk that goes on in them.
        notes: Where to write.
    """
    reader = Reader(notes)
    for place, text in selected(untrusted, kind.documents):
        at = spelled(place)
        value = reader.read(text, at, sure=not kind.template)
        if value is not None:
            scan.walk(value, f"{at}#", Around())


def read_scripts(untrusted: Object, kind: Kind, notes: Notes) -> None:
    """Note what command lines and files of code name that stand in texts of an object.

    Args:
        untrusted: The object.
        kind: Its row, which says where they stand.
        notes: Where to write.
    """
    for place, text in selected(untrusted, kind.scripts):
        _read_script(text, spelled(place), notes)
    for place, text in selected(untrusted, kind.documents) if kind.template else ():
        name = "" if isinstance(place, str) else str(place[1])
        if looks_like_script(name, text):
            _read_script(text, spelled(place), notes)
        elif looks_like_code(name):
            line = Line([Word(text, spelled(place))], notes, Variables())
            read_code(line, runs=False)
            read_file_of_code(text, spelled(place), line)


def read_lines(members: list[Member], notes: Notes) -> None:
    """Note what command lines name that are texts of members called so: ``cmd: llama-server -hf org/name``.

    Args:
        members: What the walk found.
        notes: Where to write.
    """
    for member in members:
        if member.holds == "line" and " " in member.text:
            _read_script(member.text, spelled((member.above, member.key)), notes)


def _read_script(text: str, at: str, notes: Notes) -> None:
    if len(text) > MAX_STRING:
        notes.unresolved(at, "", f"a script of more than {MAX_STRING} characters")
    else:
        read_script(text, at, Variables(), notes)


class Reader:
    """Reads the documents of one object."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._left = MAX_DOCUMENTS

    def read(self, text: str, place: str, *, sure: bool) -> Value:
        """Return the document in a text; None if there is none.

        Args:
            text: The text, untrusted.
            place: Where it stands.
            sure: Whether it must be one.
        """
        if not sure and not looks_like_document(text):
            return None
        json = text.lstrip().startswith(_JSON)
        self._left -= 0 if json else sum(map(text.count, _MARKS))
        if len(text) > MAX_STRING or self._left < 0:
            self._notes.unresolved(place, "", "the documents in this object are too long to be read")
            return None
        self._notes.check()
        try:
            raw = text.encode("utf-8", "surrogatepass")
            if json:
                value = strictjson.parse(raw, max_bytes=4 * MAX_STRING, what="document", max_depth=32)
            else:
                value = _yaml(raw)
        except TrustkitError:
            value = None
        if sure and not isinstance(value, dict | list):
            self._notes.unresolved(place, text, "this should be a document, and cannot be read as one")
        return value if isinstance(value, dict | list) else None


def looks_like_document(text: str) -> bool:
    """Say whether a text may be YAML or JSON: more than one line of members, or brackets."""
    return text.lstrip().startswith(_JSON) or ("\n" in text.strip() and ":" in text)


def looks_like_script(name: str, text: str) -> bool:
    """Say whether a file is a script of a shell, by its name or its first line."""
    return name.endswith((".sh", ".bash")) or _SCRIPTS.match(text[:128]) is not None


def looks_like_code(name: str) -> bool:
    """Say whether a file is code of a language that loads models, by its name."""
    return name.endswith((".py", ".ipynb"))


def _yaml(raw: bytes) -> Value:
    from trustkit.verifying.strictyaml import parse_yaml  # loading it takes longer than most objects

    return parse_yaml(raw)
