"""What names a model by itself, wherever in a command it stands: calls, addresses, files of weights.

The law of this file: nothing here depends on which program is started, because
an image may call its programs anything.
"""

from __future__ import annotations

import re

from trustkit.workloads.grammar import ends_like_weights, from_scheme, named, weight_files
from trustkit.workloads.line import Line, Word
from trustkit.workloads.values import Confidence

_LOOPBACK = re.compile(r"https?://(?:localhost|127\.[0-9.]{1,11}|\[::1\])(?:[:/]|$)", re.IGNORECASE)


def read_addresses(line: Line, taken: set[int]) -> None:
    """Note what speaks for itself, and storage addresses where a model is expected.

    Args:
        line: The command.
        taken: Positions of words that were read as values of model flags.
    """
    read_code(line)
    _read_storage(line, taken)
    for index, word in enumerate(line.words):
        if index not in taken and word.path:
            _read_weights(word, line)


def _is_one_word(word: Word, line: Line) -> bool:
    """A word with blanks outside a shell is read as a script of its own as well."""
    return line.in_shell or len(word.text.split()) == 1


def read_code(line: Line) -> None:
    """``python -c "...from_pretrained('org/name')"``: calls of the table whose argument names a model."""
    for word in line.words:
        for match in (
            line.notes.table.code_pattern.finditer(word.text) if word.path and "(" in word.text else ()
        ):
            found = named(match[1], line.notes.table)
            if found is not None:
                line.notes.add(
                    word.path, found, how="argument", confidence="certain", reason="a call that loads a model"
                )


def _read_storage(line: Line, taken: set[int]) -> None:
    table = line.notes.table
    initializer = not table.initializers.isdisjoint(line.programs)
    downloads = not table.downloaders.isdisjoint(line.programs)
    for index, word in enumerate(line.words):
        if ":" not in word.text and "@" not in word.text:  # every row of storage holds one of them
            continue
        if not word.path or index in taken or not _is_one_word(word, line):
            continue
        for match in line.notes.find(table.storage_pattern, word.text):
            confidence = _storage(match[0], line, initializer=initializer, downloads=downloads)
            if confidence is not None and table.anywhere_pattern.match(match[0]) is None:
                line.notes.add(
                    word.path,
                    from_scheme(match[0], table),
                    how="argument",
                    confidence=confidence,
                    reason="storage address in a command",
                )


def _storage(address: str, line: Line, *, initializer: bool, downloads: bool) -> Confidence | None:
    if initializer or ends_like_weights(address, line.notes.table):
        return "certain"
    if _LOOPBACK.match(address):  # reaches nothing but the pod itself
        return "possible" if line.notes.expects else None
    hinted = any(hint in address.lower() for hint in line.notes.table.hints)
    if downloads and (hinted or line.notes.expects):
        return "likely"
    return "possible" if line.notes.expects else None


def _read_weights(word: Word, line: Line) -> None:
    """Files that only weights are called like: ``-m /models/x.gguf``, whoever reads them."""
    if word.missing and not word.guess and ends_like_weights(word.text, line.notes.table):
        line.notes.unresolved(word.path, word.text, f"a file of weights depends on {word.missing[:64]}")
        return
    for found in weight_files(word.text, line.notes.table):
        line.notes.add(
            word.path,
            found,
            how="argument",
            confidence="certain",
            reason="a file of weights in a command",
        )
