"""What a file inside an artifact may be called.

One rule for every name, whether read from a disk to be signed or from a
document that claims to be signed: a relative POSIX path that means the same
everywhere and cannot leave its folder or paint over a terminal. Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from trustkit.errors import FormatError, LimitError

MAX_BYTES = 4096
"""Longest name (bytes of UTF-8)."""
MAX_LEVELS = 300
"""Deepest folder nesting (components)."""

_CONTROL = frozenset(
    chr(code)
    for code in (
        *range(0x20),  # C0
        *range(0x7F, 0xA0),  # DEL and C1
        *range(0x2028, 0x202F),  # line and paragraph separator; embeddings and overrides of direction
        *range(0x2066, 0x206A),  # isolates of direction: with these a name reads as another
    )
)
_DOTS = frozenset(("", ".", ".."))


def check_name(untrusted: str) -> str:
    """Return the name unchanged if it is a safe relative POSIX path.

    Raises:
        FormatError: ``unsafe-name``: empty, absolute, dot or empty components, control
            characters, backslashes, or text that is not Unicode.
        LimitError: ``name-too-long`` or ``name-too-deep``.
    """
    try:
        size = len(untrusted.encode("utf-8"))
    except UnicodeEncodeError:
        raise _unsafe(untrusted, "is not valid UTF-8") from None
    if size > MAX_BYTES:
        raise LimitError("name-too-long", f"a file name is longer than {MAX_BYTES} bytes", limit=MAX_BYTES)
    plain = untrusted.isascii() and untrusted.isprintable()  # nearly every name, decided at once
    if not plain and not _CONTROL.isdisjoint(untrusted):
        raise _unsafe(untrusted, "contains a control character")
    if "\\" in untrusted:
        raise _unsafe(untrusted, "contains a backslash")
    components = untrusted.split("/")
    if not _DOTS.isdisjoint(components):
        raise _unsafe(untrusted, "is not a plain relative path")
    if len(components) > MAX_LEVELS:
        raise LimitError("name-too-deep", f"a file lies deeper than {MAX_LEVELS} folders", limit=MAX_LEVELS)
    return untrusted


def check_distinct(names: Iterable[str]) -> None:
    """Refuse names that become one on a file system that folds case or normalizes Unicode.

    Folders count: ``A/x`` and ``a/y`` end in one folder there, and ``a`` and ``A/x`` cannot both exist.

    Raises:
        FormatError: ``duplicate-name``, or ``name-twins`` with both names as evidence.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    entered: set[str] = set()
    for name in names:
        key = folded(name)
        if key in files:
            raise _duplicate(name) if files[key] == name else _twins(files[key], name)
        files[key] = name
        above = name.rpartition("/")[0]
        while above and above not in entered:  # each folder once, however many files lie in it
            entered.add(above)
            twin = folders.setdefault(folded(above), above)
            if twin != above:
                raise _twins(twin, above)
            above = above.rpartition("/")[0]
    both = min(files.keys() & folders.keys(), default=None)
    if both is not None:
        raise _twins(files[both], f"{folders[both]}/")


def folded(name: str) -> str:
    """Return what the name becomes under canonical normalization and case folding, less what nobody sees."""
    if name.isascii():
        return name.lower()
    seen = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", seen).casefold())


def _unsafe(untrusted: str, why: str) -> FormatError:
    shown = untrusted[:200].encode("unicode_escape", "backslashreplace").decode("ascii")
    return FormatError("unsafe-name", f"the file name '{shown}' {why}; rename the file", name=shown)


def _duplicate(name: str) -> FormatError:
    return FormatError("duplicate-name", f"{name!r} is listed twice", name=name)


def _twins(twin: str, name: str) -> FormatError:
    return FormatError(
        "name-twins",
        f"{twin!r} and {name!r} are one name where case or Unicode is folded; rename one of them",
        name=name,
        twin=twin,
    )
