"""The checked list of paths: which place of a schema can name a model, which may, which cannot.

A section is a kind (``[group/Kind]``; a ``+`` behind it stands for its newer members), a class that many
kinds embed (``[@PodSpec]``), or every kind (``[*]``). A line is a path as `schemas` spells it, its verdict,
and why. ``(a|b)`` stands for two lines, ``*`` for any name of a member, and ``.**`` at the end for everything
below. Verdicts:

    weights:WORD  A text here names a model, and the extractor reports it; WORD says how it looks (`mutants`).
    may           Some program may read it as a model: an address of one is reported, or is unresolved.
    cannot        No program does: a harmless text is not reported.
    asks          It asks for an accelerator: who asks and names no model is unresolved.
    open          There is no schema below; the lines that follow say what we know to lie there.
    @Class        A class lies here.
"""

import itertools
import re
from dataclasses import dataclass

BELOW = ".**"
EVERY = "*"
WHOLE = {"metadata", "status"}
"""What may be named as a whole at the top of a kind; anywhere else a new member must be judged."""
SPLIT = re.compile(r"[.\[{]")


@dataclass(frozen=True)
class Line:
    """One line, with its alternatives written out.

    Attributes:
        at: Its place in the list.
        below: Whether it lies where there is no schema, so that none can have it.
    """

    section: str
    path: str
    verdict: str
    why: str
    at: str
    below: bool

    @property
    def exact(self):
        """Whether it names one path."""
        return "*" not in self.path

    @property
    def pattern(self):
        """What compares paths of a schema with it."""
        stem = self.path.removesuffix(BELOW)
        rest = r"[.\[{].*" if stem != self.path else ""
        return re.compile(r"[^.\[\]{}]+".join(map(re.escape, stem.split("*"))) + rest)

    @property
    def faults(self):
        """What makes it hide more than it says."""
        verdict, _, word = self.verdict.partition(":")
        stem = self.path.removesuffix(BELOW)
        if verdict not in {"weights", "may", "cannot", "asks", "open"} and verdict[:1] != "@":
            yield f"{self.at}: there is no verdict {self.verdict!r}"
        if not self.why and verdict[:1] != "@":
            yield f"{self.at}: it does not say why"
        if not self.exact and verdict != "cannot" and word != "volume":
            yield f"{self.at}: a pattern names what cannot carry weights, or a volume"
        if stem != self.path and not SPLIT.search(stem) and self.section[0] != "@" and stem not in WHOLE:
            yield f"{self.at}: it would hide a new member of {stem}"


def lines_of(files):
    """Yield the lines of the list, a mapping of names of files to what they hold."""
    for name, text in files.items():
        sections, opened = [""], []
        for number, raw in enumerate(text.splitlines(), 1):
            row = raw.partition("#")[0].split(None, 2)
            if row and row[0].startswith("["):
                sections, opened = alternatives(row[0].strip("[]")), []
                continue
            path, verdict, why = [*row, "", "", ""][:3]
            for one in alternatives(path) if row else ():
                below = any(one.startswith(place) for place in opened)
                at = f"{name}:{number}"
                yield from (Line(section, one, verdict, why, at, below) for section in sections)
                if verdict == "open":
                    opened.append(one.removesuffix("{?}"))


def alternatives(path):
    """Write out ``(a|b)``."""
    parts = re.split(r"\(([^)]*)\)", path)
    choices = [part.split("|") if number % 2 else [part] for number, part in enumerate(parts)]
    return ["".join(words) for words in itertools.product(*choices)]


class List:
    """The list, by section."""

    def __init__(self, files):
        self.lines = list(lines_of(files))
        self.sections = {}
        for line in self.lines:
            self.sections.setdefault(line.section, []).append(line)

    @property
    def kinds(self):
        """The kinds that have a section."""
        return [name for name in self.sections if name[0] not in {"@", EVERY}]

    @property
    def members(self):
        """The members that each class starts with."""
        classes = {name: lines for name, lines in self.sections.items() if name.startswith("@")}
        return {name: {SPLIT.split(line.path)[0] for line in lines} for name, lines in classes.items()}

    def unlisted(self, found):
        """Return the paths that no line names, that two name, or of which a line says what they are not."""
        faults = []
        for section, paths in found.items():
            rows = [(line, line.pattern) for line in self._rows(section)]
            for path, name in paths.items():
                lines = [line for line, pattern in rows if pattern.fullmatch(path)]
                named = ", ".join(line.at for line in lines) or "no line"
                if len(lines) != 1:
                    faults.append(f"{section} {path} {name}: named by {named}")
                elif name != (lines[0].verdict if lines[0].verdict[0] == "@" else ""):
                    faults.append(f"{section} {path} {name}: {named} says {lines[0].verdict}")
        return faults

    def idle(self, found):
        """Return the lines of what was walked that name nothing in it."""
        walked = [(section, paths) for section, paths in found.items() if section in self.sections]
        everywhere = {path for section, paths in found.items() if section[0] != "@" for path in paths}
        return [
            f"{line.at} {line.section} {line.path}: no schema has it"
            for section, paths in (*walked, (EVERY, everywhere))
            for line in self.sections.get(section, ())
            if not line.below and not any(map(line.pattern.fullmatch, paths))
        ]

    def places(self, section, found=None, prefix="", *, brief=()):
        """Yield each line of a kind, and of the classes in it, with a path that it stands for.

        Args:
            section: The kind.
            found: What a walk found; without it, lines that name more than one path are left out.
            prefix: Where the section lies.
            brief: Classes of which only what names models is wanted.
        """
        for line in self._rows(section):
            if section in brief and line.verdict in {"cannot", "may"}:
                continue
            paths = [line.path] if line.exact else []
            if found is not None and not line.below:
                paths = list(filter(line.pattern.fullmatch, found[section]))
            for path in paths:
                whole = f"{prefix}.{path}" if prefix else path
                if line.verdict.startswith("@"):
                    yield from self.places(line.verdict, found, whole, brief=brief)
                elif line.verdict != "open":
                    yield line, whole

    def _rows(self, section):
        everywhere = () if section[0] == "@" else self.sections.get(EVERY, ())
        return [*everywhere, *self.sections.get(section, ())]
