"""What a file inside an artifact may be called.

One rule for every name, whether read from a disk to be signed or from a
document that claims to be signed: a relative POSIX path that means the same
everywhere and cannot leave its folder or paint over a terminal. Pure.
"""

from __future__ import annotations

import itertools
import operator
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

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
_LINE = "\n"
_BELOW = "\0"
_AT_ONCE = 4096


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


def check_names(untrusted: Sequence[str]) -> None:
    """Check many names as `check_name` would, nearly all of them at once.

    Raises:
        FormatError, LimitError: As `check_name`, for the first that is refused.
    """
    lines = "\n".join(untrusted)
    # Between slashes, what is empty or dots stands out, wherever in a name it is.
    components = f"/{lines.replace(_LINE, '/')}/"
    plain = (
        lines.isascii()
        and "\\" not in lines
        and lines.replace(_LINE, "").isprintable()
        and lines.count(_LINE) + 1 == len(untrusted)
        and max(map(len, untrusted)) <= 2 * MAX_LEVELS  # a level is two characters at least
        and not any(dots in components for dots in ("//", "/./", "/../"))
    )
    if not plain:
        for name in untrusted:
            check_name(name)


class Names(Sequence[str]):
    """Many checked names in one text: half the memory of a list; each is made when it is asked for."""

    __slots__ = ("_ends", "_text")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._text = bytearray()
        self._ends = array("Q")
        for name in names:
            self.append(name)

    def append(self, name: str) -> None:
        """Add a name; one with an end of line in it was never checked."""
        if _LINE in name:
            raise ValueError("these names were not checked")
        self._text += name.encode("utf-8")
        self._ends.append(len(self._text))
        self._text += b"\n"

    def extend(self, names: Sequence[str]) -> None:
        """Add several names."""
        lines = _LINE.join(names)
        if not lines.isascii() or lines.count(_LINE) + 1 != len(names):
            for name in names:
                self.append(name)
            return
        sums = itertools.accumulate(map(len, names), initial=len(self._text))
        self._ends.extend(map(operator.add, itertools.islice(sums, 1, None), itertools.count()))
        self._text += lines.encode("ascii") + b"\n"

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or _LINE in name:
            return False
        line = name.encode("utf-8", "surrogatepass") + b"\n"
        return self._text.startswith(line) or b"\n" + line in self._text

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self[start : start + _AT_ONCE]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, int):
            place = range(len(self._ends))[index]
            return self._text[self._ends[place - 1] + 1 if place else 0 : self._ends[place]].decode("utf-8")
        places = range(len(self._ends))[index]
        if not places or places.step != 1:
            return [self[place] for place in places]
        start = self._ends[places[0] - 1] + 1 if places[0] else 0
        return self._text[start : self._ends[places[-1]]].decode("utf-8").split(_LINE)


def check_distinct(names: Iterable[str]) -> None:
    """Refuse names that become one on a file system that folds case or normalizes Unicode.

    Folders count: ``A/x`` and ``a/y`` end in one folder there, and ``a`` and ``A/x`` cannot both exist.
    Sorted as folded, with all of a folder behind its name, whatever clashes lies side by side: so a million
    names need neither sets of them nor one of their folders, which may be longer than all names together.

    Raises:
        FormatError: ``duplicate-name``, or ``name-twins`` with both names as evidence.
    """
    listed = names if isinstance(names, Sequence) else list(names)
    if not _clash_free(_keys(listed)):
        keys = [key for some, _ in _keys(listed) for key in some]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        pieces = (order[start : start + _AT_ONCE] for start in range(0, len(order), _AT_ONCE))
        _clash_free(
            ([keys[place] for place in piece], [listed[place] for place in piece]) for piece in pieces
        )


def in_order(names: Sequence[str]) -> bool:
    """Say whether they are sorted, in code points."""
    last = ""
    for start in range(0, len(names), _AT_ONCE):
        some = [last, *names[start : start + _AT_ONCE]]
        if not all(map(operator.le, some, some[1:])):
            return False
        last = some[-1]
    return True


def _clash_free(pieces: Iterable[tuple[list[str], list[str]]]) -> bool:
    """Refuse clashing names among sorted keys; say whether these were sorted, as most writers leave them."""
    last_key = last = ""
    for some_keys, some in pieces:
        keys, names = [last_key, *some_keys], [last, *some]
        if not _rising(keys) and not _each_clash_free(keys, names):
            return False
        folders = [name.rpartition("/")[0] for name in names]
        for place, changed in enumerate(map(operator.ne, folders, folders[1:])):
            if changed and folders[place] and folders[place + 1]:
                _check_folders(folders[place], folders[place + 1])
        last_key, last = keys[-1], names[-1]
    return True


def _rising(keys: list[str]) -> bool:
    """Say whether each key is above the last and not below it as in a folder: then no file clashes."""
    later = keys[1:]
    below = map(str.startswith, later, [f"{key}{_BELOW}" for key in keys])
    return all(map(operator.lt, keys, later)) and not any(below)


def _each_clash_free(keys: list[str], names: list[str]) -> bool:
    last_key, last = keys[0], names[0]
    for key, name in zip(keys[1:], names[1:], strict=True):
        if key < last_key:
            return False
        if last and key.startswith(last_key) and (key == last_key or key[len(last_key)] == _BELOW):
            raise _clash(last, name)
        last_key, last = key, name
    return True


def folded(name: str) -> str:
    """Return what the name becomes under canonical normalization and case folding, less what nobody sees."""
    if name.isascii():
        return name.lower()
    hidden = {character for character in set(name) if unicodedata.category(character) == "Cf"}
    seen = "".join(character for character in name if character not in hidden) if hidden else name
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", seen).casefold())


def _keys(names: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield what names become when folded, slashes the lowest of all characters in that, and the names."""
    for start in range(0, len(names), _AT_ONCE):
        some = list(names[start : start + _AT_ONCE])
        # At once, for speed; an end of line joins nothing, and stays.
        keys = folded(_LINE.join(some)).replace("/", _BELOW).split(_LINE)
        if len(keys) != len(some):
            keys = [folded(name).replace("/", _BELOW) for name in some]
        yield keys, some


def _check_folders(one: str, other: str) -> None:
    """Refuse folders of which one, at some level, is the other's twin."""
    components, others = one.split("/"), other.split("/")
    for level, (first, second) in enumerate(zip(components, others, strict=False)):
        if first != second:
            if folded(first) == folded(second):
                raise _twins("/".join(components[: level + 1]), "/".join(others[: level + 1]))
            return


def _clash(file: str, name: str) -> FormatError:
    if file == name:
        return FormatError("duplicate-name", f"{name!r} is listed twice", name=name)
    levels = file.count("/") + 1
    folder = "/".join(name.split("/")[:levels])
    return _twins(file, name if folder == name else f"{folder}/")


def _unsafe(untrusted: str, why: str) -> FormatError:
    shown = untrusted[:200].encode("unicode_escape", "backslashreplace").decode("ascii")
    return FormatError("unsafe-name", f"the file name '{shown}' {why}; rename the file", name=shown)


def _twins(twin: str, name: str) -> FormatError:
    return FormatError(
        "name-twins",
        f"{twin!r} and {name!r} are one name where case or Unicode is folded; rename one of them",
        name=name,
        twin=twin,
    )
