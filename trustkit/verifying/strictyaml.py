"""YAML read as JSON: one reading of every document, and no bomb in any.

The law of this file: what could be read in two ways is refused. It is loaded only
where a document is YAML, because the library takes longer to load than a small
model to verify.
"""

from __future__ import annotations

import re
from typing import NamedTuple, cast

import yaml

from trustkit import strictjson
from trustkit.errors import FormatError, LimitError

MAX_MARKS = 24_000
"""Most line ends and marks of structure in a document: the library takes some 45 microseconds for each."""
_MARKS = (b"\n", b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9", *map(bytes, zip(b",:[]{}?")))
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_HARMLESS = re.compile(r"""'(?:<[a-z ]+>|[^\w\\'"]|\\[tnr])'""")


def parse_yaml(untrusted: bytes, *, what: str = "policy") -> strictjson.Value:
    """Parse a policy, or a document that is read as strictly; its size was checked by the caller.

    Args:
        untrusted: The document.
        what: Its name in messages.

    Raises:
        FormatError: ``bad-policy``.
        LimitError: ``too-many-values``.
    """
    check_marks(untrusted, what)
    try:
        value = yaml.load(untrusted.decode("utf-8"), Loader=StrictLoader)  # noqa: S506 - a SafeLoader, stricter
        strictjson.to_bytes(value)  # lone surrogates, which YAML's escapes can spell, are no text
    except (yaml.YAMLError, ValueError) as error:
        raise FormatError(
            "bad-policy", f"not a document that is read here{fault_in(untrusted, error)}"
        ) from None
    return cast("strictjson.Value", value)


class Fault(NamedTuple):
    """Where and why a document is no YAML that is read: line and column from 1, or 0 where nobody knows.

    As a text it follows what was tried: `` in line 3, column 5: mapping values are not allowed here``.
    """

    line: int
    column: int
    why: str

    def __str__(self) -> str:
        place = f" in line {self.line}, column {self.column}" if self.line else ""
        return f"{place}: {self.why}"


def fault_in(untrusted: bytes, error: Exception) -> Fault:
    """Say what is wrong with a document in the library's words, and in none of the document's own.

    A document may hold secrets, and a library quotes what it stumbles over: of what it quotes only marks of
    structure are left.

    Args:
        untrusted: The document.
        error: What reading it raised: a YAMLError or ValueError.
    """
    if isinstance(error, UnicodeDecodeError):
        return _fault_at(untrusted[: error.start], "it is not UTF-8")
    if isinstance(error, yaml.reader.ReaderError):
        text = untrusted.decode("utf-8", "replace")
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        why = "it has a character that YAML does not allow"
        return _fault_at(text[: found.start()].encode(), why) if found else Fault(0, 0, why)
    if isinstance(error, UnicodeEncodeError):
        return Fault(0, 0, "a lone surrogate is no text")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Fault(0, 0, "a number in it is too large or too long")
    mark = error.problem_mark
    return Fault(mark.line + 1, mark.column + 1, _problem_of(error, mark.line))


def _fault_at(before: bytes, why: str) -> Fault:
    text = before.decode()
    return Fault(text.count("\n") + 1, len(text) - text.rfind("\n"), why)


def _problem_of(error: yaml.MarkedYAMLError, line: int) -> str:
    """Return the problem without what it quotes, and where that began which did not end."""
    said = str(error.problem)
    if said.startswith("but "):  # "but found another document": its first half is in the context
        return f"{error.context}, {said}"
    said = _QUOTED.sub(lambda found: found[0] if _HARMLESS.fullmatch(found[0]) else "(not shown)", said)
    began = error.context_mark
    if began is None or began.line >= line:
        return said
    return f"{said} (of what begins in line {began.line + 1})"


def check_marks(untrusted: bytes, what: str) -> None:
    """Refuse a document that would be read for minutes, before it is read.

    Args:
        untrusted: The document.
        what: Its name in messages.

    Raises:
        LimitError: ``too-many-values``.
    """
    if sum(map(untrusted.count, _MARKS)) > MAX_MARKS:
        raise LimitError(
            "too-many-values",
            f"the {what} has more than {MAX_MARKS} lines, colons, commas and brackets; split it",
            limit=MAX_MARKS,
        )


class _StrictError(yaml.MarkedYAMLError):
    """Legal YAML that is refused because it could be read in two ways, or grows when it is read."""


_TEXT = "tag:yaml.org,2002:str"


class StrictLoader(yaml.SafeLoader):
    """SafeLoader that reads YAML as JSON: no aliases, no tags, no duplicate keys, no bombs.

    Numbers are JSON's; what YAML 1.1 would make of ``no``, ``0x10``, ``1:30`` or a date is a text.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - yaml's own attribute

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases, anchors, tags and what nests too deep, then compose as usual."""
        event = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave it out
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            raise _StrictError(problem="anchors, aliases and tags are refused", problem_mark=event.start_mark)
        within = isinstance(event, yaml.CollectionStartEvent)
        if within and self._depth >= strictjson.MAX_DEPTH:
            raise _StrictError(problem="it nests too deep", problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:  # noqa: FBT001,FBT002 - yaml's signature
        """Refuse duplicate and non-text keys, then construct as usual."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag != _TEXT:
                raise _StrictError(problem="a key that is no text", problem_mark=key.start_mark)
            if key.value in seen:
                why = f"a key that is there already, in line {seen[key.value]}; leave one out"
                raise _StrictError(problem=why, problem_mark=key.start_mark)
            seen[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


for _tag, _form, _first in (
    ("tag:yaml.org,2002:null", r"(?:null|~|)\Z", ["n", "~", ""]),
    ("tag:yaml.org,2002:bool", r"(?:true|false)\Z", ["t", "f"]),
    ("tag:yaml.org,2002:int", r"-?(?:0|[1-9][0-9]*)\Z", list("-0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z",
        list("-0123456789"),
    ),
):
    StrictLoader.add_implicit_resolver(_tag, re.compile(_form), _first)
