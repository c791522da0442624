"""Variables of a container: what its own ``env`` defines, what of it is known, and what is indirect.

Kubernetes expands ``$(NAME)`` in arguments and values from variables of the
same container; a name it does not know stays as text. A value that comes from
a ConfigMap, a Secret or a field is *indirect*: we cannot read it, and say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from trustkit.strictjson import Object, Value
from trustkit.workloads.notes import Notes
from trustkit.workloads.pairs import PAIR, Pairs
from trustkit.workloads.places import spot
from trustkit.workloads.values import MAX_STRING

_OFTEN = 256
"""Variables between two looks at the clock."""
LETTERS = 256
"""Characters of expanded text that count as one word: a short word may name a long variable many times."""
_TAME_FIELDS = re.compile(
    r"status\.(?:pod|host)IPs?|metadata\.(?:name|namespace|uid)|spec\.(?:nodeName|serviceAccountName)"
)
_CODE_VARIABLES = frozenset(("BASH_ENV", "SHELLOPTS", "BASHOPTS"))
_CODE_PREFIX = "BASH_FUNC_"


class Variables:
    """What a container's own ``env`` defines.

    Attributes:
        lists: Where each list stands, with the number of its first entry.
        telling: Those whose name or value may say something of models or devices, or hold options of a
            program; not all of them where a name is defined twice, see `read`.
        again: Whether a name is defined twice.
        indirect: Names whose value lies elsewhere, with where it lies.
        partial: Those of them of which only a part lies elsewhere, with that part as it is written.
        tame: Those of them that can be no flag and no more than one word, such as the pod's address.
        open_ended: Whether ``envFrom`` may define or change any name.
        waiting: A list of which nothing says anything, until somebody asks for its names.
    """

    __slots__ = (
        "_known",
        "_places",
        "again",
        "indirect",
        "lists",
        "open_ended",
        "partial",
        "tame",
        "telling",
        "waiting",
    )

    def __init__(
        self,
        known: dict[str, str] | None = None,
        places: dict[str, int] | None = None,
        *,
        open_ended: bool = False,
    ) -> None:
        self._known: dict[str, str] = known or {}
        self._places: dict[str, int] = places or {}
        self.lists: list[tuple[int, str]] = []
        self.telling: list[str] = []
        self.again = False
        self.indirect: dict[str, str] = {}
        self.partial: dict[str, str] = {}
        self.tame: set[str] = set()
        self.open_ended = open_ended
        self.waiting: Pairs | None = None

    @property
    def known(self) -> dict[str, str]:
        """Literal values by name, already expanded."""
        self._fill()
        return self._known

    @property
    def places(self) -> dict[str, int]:
        """Where each name is defined, counted through all lists; `place_of` spells it."""
        self._fill()
        return self._places

    def _fill(self) -> None:
        if self.waiting is not None:
            names, values, _ = self.waiting
            self.waiting = None
            self._known.update(zip(names, values, strict=True))
            self._places.update(zip(names, range(len(names)), strict=True))

    @property
    def read(self) -> Iterable[str]:
        """The names that are worth a look, in their order."""
        return self.places if self.again else self.telling

    def place_of(self, name: str) -> str:
        """Spell the place where a name is defined."""
        number = self.places[name]
        first, start = next(found for found in reversed(self.lists) if found[0] <= number)
        return f"{start}[{number - first}].value"

    @property
    def runs_code(self) -> bool:
        """Whether one of them makes a shell run something before its script."""
        return any(name in _CODE_VARIABLES or name.startswith(_CODE_PREFIX) for name in self.places)

    def expand(self, text: str) -> tuple[str, tuple[str, ...]]:
        """Expand ``$(NAME)`` as the kubelet does; return the text and the names that stayed unknown.

        A name is whatever stands before the next closing bracket; ``$$`` is a dollar sign that names nothing.
        """
        if "$" not in text:
            return text, ()
        missing: list[str] = []
        parts: list[str] = []
        at, room = 0, MAX_STRING  # a word may name a long variable thousands of times
        last = text.rfind(")")
        while (dollar := text.find("$", at)) >= 0:
            parts.append(text[at:dollar])
            at = dollar + 2
            if text.startswith("(", dollar + 1) and at <= last:
                end = text.index(")", at)
                name, at = text[at:end], end + 1
                known = self.known.get(name)
                room -= len(known or "")
                if known is not None and room >= 0:
                    parts.append(known)
                    continue
                missing.append(name)
            kept = text[dollar:at]
            parts.append("$" if kept == "$$" else kept)
        return "".join(parts) + text[at:], tuple(missing)


def variables_of(
    container: Object, path: str, notes: Notes, *, lists: tuple[str, ...] = ("env",)
) -> Variables:
    """Read the names a container defines; malformed entries define nothing.

    Args:
        container: The container, untrusted.
        path: Where it stands.
        notes: Where the work is counted.
        lists: Its members that hold variables.

    Raises:
        LimitError: ``too-many-words``: together they expand to more than is read.
    """
    found = Variables(open_ended=bool(container.get("envFrom")))
    first = 0
    for member in lists:
        entries = container.get(member)
        if isinstance(entries, list):
            notes.spend(len(entries))
            found.lists.append((first, spot(path, member)))
            pairs = notes.lists.pairs_of(entries) if first == 0 else None
            if pairs is not None and _is_dull(pairs, notes):
                found.waiting = pairs
            else:
                _define_all(entries, first, found, notes)
            first += len(entries)
    return found


def _is_dull(pairs: Pairs, notes: Notes) -> bool:
    """Say whether a list holds only short texts, and no text and no name that may say something."""
    text = pairs.text
    if "$" in text or "." in text or ":" in text or "--" in text:
        return False
    if len(text) >= LETTERS and max(map(len, pairs.values)) >= LETTERS:
        return False
    names = tuple(pairs.names)
    if names in notes.lists.dull:
        return True
    telling, _ = notes.table.telling_variables
    width, tails = notes.table.telling_tails
    if not (telling.isdisjoint(names) and tails.isdisjoint([name[width:] for name in names])):
        return False
    notes.lists.dull.add(names)
    return True


def _define_all(entries: list[Value], first: int, found: Variables, notes: Notes) -> None:
    """Take every entry. Most of them are a short text under a name that says nothing, and taken at once."""
    names, endings = notes.table.telling_variables
    width, tails = notes.table.telling_tails
    places, known = found.places, found.known
    for number, entry in enumerate(entries, first):
        if number % _OFTEN == 0:
            notes.check()
        if not isinstance(entry, dict):
            continue
        name, value = entry.get("name"), entry.get("value")
        if not isinstance(name, str):
            continue
        if (
            not isinstance(value, str)
            or len(value) >= LETTERS
            or "$" in value
            or name in places
            or (len(entry) > PAIR)
        ):
            _define(entry, number, found, notes)
            continue
        places[name] = number
        known[name] = value
        ends = name[width:] in tails and name.endswith(endings)
        if ends or "." in value or ":" in value or "--" in value or name in names:
            found.telling.append(name)


def _define(entry: Object, place: int, found: Variables, notes: Notes) -> None:
    """Take one entry; it replaces an earlier one of its name."""
    notes.check()
    name, value = str(entry["name"]), entry.get("value")
    found.telling.append(name)
    if name in found.places:
        found.again = True
        found.known.pop(name, None)
        found.indirect.pop(name, None)
        found.partial.pop(name, None)
        found.tame.discard(name)
    found.places[name] = place
    source = entry.get("valueFrom")
    if source:
        found.indirect[name] = _source(source)
        if _is_tame(source):
            found.tame.add(name)
    elif isinstance(value, str) and len(value) < LETTERS and "$" not in value:
        found.known[name] = value
    elif isinstance(value, str) and len(value) <= MAX_STRING:
        expanded, missing = found.expand(value)
        notes.spend(len(expanded) // LETTERS)
        if missing:
            found.indirect[name] = f"the undefined variable {missing[0]}"
            found.partial[name] = expanded
        else:
            found.known[name] = expanded
    elif value is None and "value" not in entry:
        found.known[name] = ""
    else:
        found.indirect[name] = "a value that is no short text"


def _source(source: Value) -> str:
    if isinstance(source, dict):
        for key, what in (
            ("configMapKeyRef", "a ConfigMap"),
            ("secretKeyRef", "a Secret"),
            ("fieldRef", "a field"),
        ):
            if key in source:
                return what
    return "another place"


def _is_tame(source: Value) -> bool:
    """Say whether a field of the pod holds an address, a name or a number: one word, and no flag."""
    if not isinstance(source, dict) or len(source) != 1:
        return False
    fields = source.get("fieldRef")
    path = fields.get("fieldPath") if isinstance(fields, dict) else None
    return "resourceFieldRef" in source or (isinstance(path, str) and bool(_TAME_FIELDS.fullmatch(path)))
