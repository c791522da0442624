"""What names a model by itself, wherever in a command it stands: calls, addresses, files of weights.

The law of this file: nothing here depends on which program is started, because
an image may call its programs anything.
"""

from __future__ import annotations

import re

from trustkit.workloads.calls import read_calls
from trustkit.workloads.grammar import (
    Named,
    answers_questions,
    ends_like_weights,
    from_scheme,
    is_pinned,
    is_service,
    named,
    weight_files,
)
from trustkit.workloads.line import Line, Word
from trustkit.workloads.values import MAX_SHOWN, Confidence

_REMOTE = re.compile(
    r"(?::[a-z0-9]{2,32}(?:,[^:\s]{1,512})?|[A-Za-z0-9][A-Za-z0-9_.-]{0,63}):[^\s:/0-9-][^\s:]{0,1023}"
)
"""``remote:bucket/key`` or ``:s3,provider=AWS:bucket``; a number after the colon is a port."""
_GIVEN = re.compile(
    r"(?:getenv|environ\.get)\(\s{0,8}[\"']([A-Za-z_]{1,64})[\"']\s{0,8},\s{0,8}[\"']([^\"'\s]{1,512})[\"']"
    r"|(?<![A-Za-z0-9_])([A-Za-z_]{1,64})[\"']?\s{0,8}[=:]\s{0,8}[\"']([^\"'\s]{1,512})[\"']"
)
"""``getenv("MODEL_ID", "org/name")``; ``model="org/name"``; ``"model": "org/name"``."""
_PULLED = re.compile(r"[\"'](?:name|model|from)[\"']\s{0,8}:\s{0,8}[\"']([^\"']{1,512})[\"']")
DOWNLOADS = "download"
"""What the names of programs say that fetch something."""
_STARTS = 3
"""Words within which a program stands that an interpreter starts."""
_INTERPRETERS = ("python", "sh", "bash", "node")
_LOOPBACK = re.compile(r"https?://(?:localhost|127\.[0-9.]{1,11}|\[::1\])(?:[:/]|$)", re.IGNORECASE)


def read_addresses(line: Line, taken: set[int]) -> None:
    """Note what speaks for itself, and storage addresses where a model is expected.

    Args:
        line: The command.
        taken: Positions of words that were read as values of model flags.
    """
    text = "\n".join([word.text for word in line.words])
    if "(" in text:
        read_code(line)
    if "/api/pull" in text or "/api/create" in text:
        _read_pulls(line)
    if DOWNLOADS in text:
        _read_fetched(line, taken)
    if ":" in text or "@" in text:  # every row of storage holds one of them
        _read_storage(line, taken)
        _read_remotes(line, taken)
    if "." not in text or line.notes.table.weights_pattern.search(text) is None:
        return
    for index, word in enumerate(line.words):
        if index not in taken and word.path:
            _read_weights(word, line)


def _is_one_word(word: Word, line: Line) -> bool:
    """A word with blanks outside a shell is read as a script of its own as well."""
    return line.in_shell or len(word.text.split()) == 1


def read_code(line: Line, *, runs: bool = True) -> None:
    """``python -c "...from_pretrained('org/name')"``: calls of the table whose argument names a model.

    Args:
        line: The command.
        runs: Whether a container runs it.
    """
    for word in line.words:
        if word.path and "(" in word.text:
            read_calls(word, line, runs=runs)


def read_file_of_code(text: str, path: str, line: Line) -> None:
    """A whole file of code: what it gives to names that are called like a model's, beside its calls.

    Args:
        text: The code, untrusted.
        path: Where it stands.
        line: A line without words, to write by.
    """
    table = line.notes.table
    for match in line.notes.find(_GIVEN, text):
        name, value = match[1] or match[3], match[2] or match[4]
        role = table.members.role(name).holds
        found = named(value, table)
        if role not in {"reference", "flag", "word", "variable"} or found is None:
            continue
        if found.strength in {"scheme", "hub"} and not is_service(value, table):
            line.notes.add(
                path, found, how="argument", confidence="likely", reason=f"code gives it to {name[:64]}"
            )


def _read_storage(line: Line, taken: set[int]) -> None:
    table = line.notes.table
    initializer = not table.initializers.isdisjoint(line.programs)
    downloads = not table.downloaders.isdisjoint(line.programs)
    for index, word in enumerate(line.words):
        if ":" not in word.text and "@" not in word.text:
            continue
        if not word.path or index in taken or not _is_one_word(word, line):
            continue
        for match in line.notes.find(table.storage_pattern, word.text):
            confidence = _storage(match[0], line, initializer=initializer, downloads=downloads)
            if confidence == "possible" and _is_written(index, match.start(), line):
                continue
            if confidence is not None and table.anywhere_pattern.match(match[0]) is None:
                line.notes.add(
                    word.path,
                    from_scheme(match[0], table),
                    how="argument",
                    confidence=confidence,
                    reason="storage address in a command",
                )


def _is_written(index: int, start: int, line: Line) -> bool:
    """Say whether the flag before an address says that it is written there, or that it is data."""
    own = line.words[index].text[:start]
    flag = own if own.strip("-") else line.words[index - 1].text if index else ""
    name = flag.lower().replace("_", "-")
    return any(part in name for part in line.notes.table.flags.quiet)


def _read_pulls(line: Line) -> None:
    """``curl .../api/pull -d '{"model": "llama3"}'``: a server is told to fetch a model."""
    if not any("/api/pull" in word.text or "/api/create" in word.text for word in line.words):
        return
    for word in line.words:
        for match in _PULLED.finditer(word.text) if word.path else ():
            found = named(match[1], line.notes.table, scheme="ollama", strict=True)
            if found is not None:
                line.notes.add(
                    word.path,
                    found,
                    how="argument",
                    confidence="certain",
                    reason="a server is told to fetch it",
                )


def _read_fetched(line: Line, taken: set[int]) -> None:
    """``python download_model.py org/name``: what a program is given that says that it downloads."""
    table, at = line.notes.table, line.program()
    names = [name for name in line.programs[at : at + _STARTS] if name != "-m"]
    names = names[1:2] if names[:1] and names[0].startswith(_INTERPRETERS) else names[:1]
    if not names or DOWNLOADS not in names[0] or any(part in names[0] for part in table.flags.quiet):
        return
    for index in range(line.programs.index(names[0], at) + 1, len(line.words)):
        word = line.words[index]
        found = None if index in taken or word.missing or not word.path else named(word.text, table)
        if found is not None and found.strength == "hub":
            line.notes.add(
                word.path,
                found,
                how="argument",
                confidence="likely",
                reason=f"argument of {names[0][:64]}",
            )


def _read_remotes(line: Line, taken: set[int]) -> None:
    """``rclone copy remote:bucket/key``: storage under a name that the program's configuration gives."""
    table = line.notes.table
    if table.remotes.isdisjoint(line.programs):
        return
    for index, word in enumerate(line.words):
        known = _REMOTE.fullmatch(word.text) is not None and table.scheme_of(word.text) is None
        if not known or index in taken or not word.path:
            continue
        text = word.text[:MAX_SHOWN]
        line.notes.add(
            word.path,
            Named(text, "rclone", is_pinned(text, "rclone"), "scheme"),
            how="argument",
            confidence="certain" if line.notes.expects else "likely",
            reason="a remote storage in a command",
        )


def _storage(address: str, line: Line, *, initializer: bool, downloads: bool) -> Confidence | None:
    if initializer or ends_like_weights(address, line.notes.table):
        return "certain"
    if _LOOPBACK.match(address) or line.notes.table.is_bare(address):
        return None  # reaches nothing but the pod itself, or nothing at all
    if downloads and line.notes.expects and not answers_questions(address):
        return "likely"
    if is_service(address, line.notes.table):
        return None
    hinted = any(hint in address.lower() for hint in line.notes.table.hints)
    if downloads and hinted:
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
