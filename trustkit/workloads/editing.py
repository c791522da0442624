"""References of our own are rewritten in the text of a manifest, and nothing else in it is touched.

1. A text is found by where the parser saw it, and changed there: comments, order and quoting stay.
2. What was written is parsed again; unless exactly the texts that were meant have changed, to exactly
   what was meant, nothing is handed out.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable

from trustkit import strictjson
from trustkit.errors import FormatError
from trustkit.strictjson import Value
from trustkit.workloads.grammar import own_references
from trustkit.workloads.nodes import Node, nodes_of
from trustkit.workloads.table import default_table

Pin = Callable[[str], str]
"""Returns what a reference becomes; itself where it stays."""


def repinned(text: str, pin: Pin) -> str:
    """Return a text in which every reference of our own is what *pin* makes of it."""
    done, parts = 0, []
    for start, end, reference in own_references(text, default_table()):
        parts += [text[done:start], pin(reference)]
        done = end
    return "".join([*parts, text[done:]])


def edited(
    untrusted: bytes, file: str, documents: Iterable[Node], *, places: Iterable[Node], pin: Pin
) -> bytes:
    """Return a file of manifests with the references in some of its texts rewritten.

    Args:
        untrusted: The file.
        file: Its name, for messages.
        documents: Its nodes, as they were read from it.
        places: The texts among them.
        pin: What a reference becomes.

    Raises:
        FormatError: ``not-editable``: a reference is written so that it cannot be changed in place.
    """
    mark = codecs.BOM_UTF8 if untrusted.startswith(codecs.BOM_UTF8) else b""
    text = untrusted.decode("utf-8-sig")
    chosen = {node.span: node for node in places}
    done, parts = 0, []
    for start, end in sorted(chosen):
        parts += [text[done:start], repinned(text[start:end], pin)]
        done = end
    result = mark + "".join([*parts, text[done:]]).encode()
    ids = {id(node) for node in chosen.values()}
    expected = [_expected(node, ids, pin) for node in documents]
    found = [node.value for node in nodes_of(result, file)]
    if strictjson.to_bytes(found) != strictjson.to_bytes(expected):  # in Python 1 == True
        raise FormatError(
            "not-editable",
            f"a reference in {file!r} is written in a way that cannot be changed in place; "
            "write it on one line, without escapes",
            file=file,
        )
    return result


def _expected(node: Node, chosen: set[int], pin: Pin) -> Value:
    if isinstance(node.members, dict):
        return {key: _expected(child, chosen, pin) for key, child in node.members.items()}
    if isinstance(node.members, list):
        return [_expected(child, chosen, pin) for child in node.members]
    if isinstance(node.value, str) and id(node.origin or node) in chosen:
        return repinned(node.value, pin)
    return node.value
