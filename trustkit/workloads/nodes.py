"""YAML as Kubernetes reads it, with the line of every value; JSON is a part of it.

The law of this file: what Kubernetes would read is read, and what could be read in
two ways is refused. A policy forbids anchors and tags; manifests may have them:

    1. Anchors, aliases and merge keys are followed; what they expand to is counted before it is read.
    2. ``!!str`` makes a text and ``!!binary`` is decoded; any other tag is read past, so that the
       text under it is still seen.
    3. Numbers, booleans and null are JSON's; all else that is plain is a text. A key is a text.
    4. A key that stands twice, an alias of what holds it, and bytes that are not UTF-8 are refused.

Documents are built from the parser's events and without recursion, so every cap
stops the reading where it is passed.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from trustkit.errors import FormatError, LimitError
from trustkit.strictjson import Value
from trustkit.workloads.places import spot

MAX_BYTES = 16 << 20
"""Longest file of manifests that is read (bytes)."""
MAX_VALUES = 500_000
"""Most values of one document, with what its aliases stand for."""
MAX_LEVELS = 100
"""Deepest nesting of one document (levels)."""

_TAG = "tag:yaml.org,2002:"
_BINARY = f"{_TAG}binary"
_PLAIN = frozenset(f"{_TAG}{name}" for name in ("null", "bool", "int", "float"))
_WORDS: dict[str, Value] = {"": None, "~": None, "null": None, "true": True, "false": False}
_INT = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_RENDER = "; a template is rendered first (helm template), and its output checked"
_OF_DOCUMENTS = frozenset(("apiVersion", "kind", "metadata"))
_UNQUOTED = (None, "")
_LONGEST_NUMBER = 64


@dataclass(slots=True)
class Node:
    """A value, and where it stands in its file.

    Attributes:
        value: As JSON; shared where aliases share it, so nobody may change it.
        line: Where it starts, from 1.
        weight: How many values it is.
        members: The nodes of an object or a list.
        span: Where a text starts and ends in the file (characters).
        origin: What an alias stands for.
    """

    value: Value
    line: int
    weight: int = 1
    members: dict[str, Node] | list[Node] | None = None
    span: tuple[int, int] = (0, 0)
    origin: Node | None = None

    def text_at(self, path: str) -> Node | None:
        """Return the node of the text that a path of the extractor leads to, or None."""
        node, rest = self._reached(path)
        return None if rest or not isinstance(node.value, str) else node.origin or node

    def line_of(self, path: str) -> int:
        """Return the line of what a path of the extractor leads to, or of the last step that is there."""
        return self._reached(path)[0].line

    def lost_of(self, path: str) -> str:
        """Return what is left of a path of the extractor where it leads nowhere any more; mostly nothing."""
        return self._reached(path)[1]

    def _reached(self, path: str) -> tuple[Node, str]:
        node, rest = self, path.partition("#")[0]
        while rest:
            found = node._step(rest)
            if found is None:
                break
            node, rest = found
        return node, rest

    def _step(self, rest: str) -> tuple[Node, str] | None:
        pairs = enumerate(self.members) if isinstance(self.members, list) else (self.members or {}).items()
        for key, child in pairs:
            step = spot("", key)
            after = rest.removeprefix(".").removeprefix(step)
            if rest.removeprefix(".").startswith(step) and after[:1] in {"", ".", "["}:
                return child, after
        return None


def nodes_of(untrusted: bytes, file: str, *, loader: Any = None) -> Iterator[Node]:
    """Yield the documents of a file.

    Raises:
        FormatError: ``bad-manifest``.
        LimitError: ``too-large``, ``too-many-values`` or ``too-deep``.
    """
    if len(untrusted) > MAX_BYTES:
        raise LimitError("too-large", f"{file!r} is larger than {MAX_BYTES} bytes; split it", limit=MAX_BYTES)
    try:
        text = untrusted.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("bad-manifest", f"{file!r} is not UTF-8") from None
    advice = _RENDER if "{{" in text else ""
    composer = _Composer(file, advice)
    try:
        for event in yaml.parse(text, Loader=loader or getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            composer.take(event)
            if isinstance(event, yaml.DocumentEndEvent):
                yield from composer.finished()
    except yaml.YAMLError as error:
        raise _unread(untrusted, file, advice, error) from None


def _unread(untrusted: bytes, file: str, advice: str, error: yaml.YAMLError) -> FormatError:
    from trustkit.verifying.strictyaml import fault_in  # only a mistake needs it

    fault = fault_in(untrusted, error)
    return FormatError("bad-manifest", f"{file!r} is not YAML{fault}{advice}", file=file, line=fault.line)


@dataclass(slots=True)
class _Open:
    """A list or an object that has not ended yet."""

    line: int
    anchor: str | None
    members: dict[str, Node] | list[Node]
    weight: int = 1
    key: str | None = None
    merges: bool = False
    merged: list[Node] = field(default_factory=list)


class _Composer:
    """Builds one document after the other from events."""

    def __init__(self, file: str, advice: str) -> None:
        self._file = file
        self._advice = advice
        self._root: Node | None = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def finished(self) -> Iterator[Node]:
        """Yield the document that has ended, and start another."""
        root, self._root, self._anchors = self._root, None, {}
        if root is not None and root.value is not None:
            yield root

    def take(self, event: Any) -> None:
        """Take the next event."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            found = self._anchors.get(name)
            if found is None:
                raise self._refused(line, f"the alias {name[:64]!r} stands for nothing before it")
            self._add(
                Node(found.value, line, found.weight, found.members, origin=found.origin or found), line
            )
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._stack) >= MAX_LEVELS:
                raise LimitError(
                    "too-deep", f"{self._file!r} nests deeper than {MAX_LEVELS} levels", limit=MAX_LEVELS
                )
            mapping = isinstance(event, yaml.MappingStartEvent)
            self._stack.append(_Open(line, event.anchor, {} if mapping else []))
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()

    def _scalar(self, event: Any, line: int) -> None:
        text = event.value
        here = self._stack[-1] if self._stack else None
        if here is not None and isinstance(here.members, dict) and here.key is None and not here.merges:
            if event.tag is None and event.style in _UNQUOTED and text == "<<":
                here.merges = True
                return
            if text in here.members:
                apart = "; put '---' between two documents" if text in _OF_DOCUMENTS else ""
                raise self._refused(line, f"the key {text[:64]!r} stands twice{apart}")
            self._checked(text, line)
            here.key = text
            if event.anchor is not None:
                self._anchors[event.anchor] = Node(text, line)
            return
        span = event.start_mark.index, event.end_mark.index
        node = Node(self._value(event, line), line, span=span)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._add(node, line)

    def _value(self, event: Any, line: int) -> Value:
        text: str = event.value
        if event.tag == _BINARY:
            try:
                return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
            except ValueError:
                raise self._refused(line, "what is tagged !!binary is not base64") from None
        if event.tag in _PLAIN or (event.tag is None and event.style in _UNQUOTED):
            return _plain(text)
        return self._checked(text, line)

    def _checked(self, text: str, line: int) -> str:
        """A text without lone surrogates, which the slower parser lets escapes spell."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self._refused(line, "a lone surrogate is no text") from None
        return text

    def _close(self) -> None:
        done = self._stack.pop()
        if isinstance(done.members, dict):
            for node in done.merged:
                self._merge(done.members, node)
            value: Value = {key: node.value for key, node in done.members.items()}
        else:
            value = [node.value for node in done.members]
        node = Node(value, done.line, done.weight, done.members)
        if done.anchor is not None:
            self._anchors[done.anchor] = node
        self._add(node, done.line)

    def _merge(self, members: dict[str, Node], node: Node) -> None:
        """``<<: *base``, or a list of such: what is there already stays."""
        for source in node.members if isinstance(node.members, list) else [node]:
            if not isinstance(source.members, dict):
                raise self._refused(source.line, "a merge key takes objects")
            for key, child in source.members.items():
                members.setdefault(key, child)

    def _add(self, node: Node, line: int) -> None:
        if not self._stack:
            self._root = node
            return
        here = self._stack[-1]
        here.weight += node.weight
        if here.weight > MAX_VALUES:
            raise LimitError(
                "too-many-values",
                f"{self._file!r} holds more than {MAX_VALUES} values in one document; split it",
                limit=MAX_VALUES,
            )
        if isinstance(here.members, list):
            here.members.append(node)
        elif here.merges:
            here.merges = False
            here.merged.append(node)
        elif here.key is None:
            if not isinstance(node.value, str) or node.value in here.members:
                raise self._refused(line, "a key must be a text, and stand once")
            here.key = node.value
        else:
            here.members[here.key] = node
            here.key = None

    def _refused(self, line: int, why: str) -> FormatError:
        message = f"{self._file!r} is not read, in line {line}: {why}{self._advice}"
        return FormatError("bad-manifest", message, file=self._file, line=line)


def _plain(text: str) -> Value:
    """What JSON would make of an unquoted word; what it would not read is a text."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER and (text[0].isdigit() or text[0] == "-"):
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
    return text
