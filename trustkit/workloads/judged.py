"""The arguments of a call that loads a model: which of them names it, and whether all of that is known.

1. The first argument by place names a model, and so does one whose keyword is called like a model's.
2. Any other one does where it looks like a reference, unless a row says that its keyword says how.
3. Where neither is there, the first argument names it, whatever it looks like.
4. Of some calls the first argument by place is a task, and the second one the model.
5. Some calls load a model of their own where neither 1 nor 2 is there: which one is not known here.
6. A keyword of which a flag of the table says that it holds JSON is read as that JSON.
"""

from __future__ import annotations

import ast
import json
import re
from typing import NamedTuple

from trustkit.workloads import embedded
from trustkit.workloads.called import Aliases, Called
from trustkit.workloads.expressions import arguments, called_in
from trustkit.workloads.given import CONSTANT, Given, Value
from trustkit.workloads.grammar import Named, is_service, named
from trustkit.workloads.line import Line, Word
from trustkit.workloads.rows import flag_name
from trustkit.workloads.table import Table

KEYWORD = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})\s{0,8}=(?!=)\s{0,64}")
"""The keyword of an argument."""
_SURE = frozenset(("reference", "flag", "word", "variable"))
_SHAPES = frozenset(("scheme", "hub", "image"))
_PARTS = ("token", "processor", "extractor", "revision")
"""What keywords say whose model is only part of one."""
_OF_PAIRS = re.compile(r"[({\s]*(?:\{|dict\()")
_SPEAKS = re.compile(r"model|path|repo|checkpoint|draft|adapter|lora|weights|\*\*")
"""What members say that hold a model, in a value that is made of pairs."""
_TEXT = re.compile(r"'[^'\\]*'|\"[^\"\\]*\"")
_WARNS = re.compile(r"\\|[0-9][A-Za-z_]")
"""What the language warns of, outside of texts: nobody should see that because of a text of others."""
_WHY = "a call that loads a model"


class Call(NamedTuple):
    """The arguments of a call.

    Attributes:
        sure: Those that name a model.
        others: Those that may, with their keywords.
        documents: Those that hold JSON.
        has_model: Whether one of the first ones names the model itself, and not its words.
    """

    sure: list[str]
    others: list[tuple[str, str]]
    documents: list[str]
    has_model: bool


def sorted_arguments(untrusted: list[str], table: Table, row: str) -> Call:
    """Say which arguments of a call name a model, and which may.

    Args:
        untrusted: The arguments, as `expressions.arguments` yields them.
        table: The rows to read them by.
        row: Of the call.
    """
    code, sure, others, documents, has_model = table.code, [], [], [], False
    for number, argument in enumerate(untrusted):
        keyword = KEYWORD.match(argument)
        name = "" if keyword is None else keyword[1]
        value = argument if keyword is None else argument[keyword.end() :]
        if not value or CONSTANT.fullmatch(value):
            continue
        if row in code.files and (name == "filename" or (keyword is None and number == 1)):
            continue
        by_place = keyword is None and (number == code.place(row) or value.startswith("*"))
        if flag_name(name) in table.json_flags:
            documents.append(value)
        elif by_place or (name and table.members.role(name).holds in _SURE):
            sure.append(value)
            has_model = has_model or by_place or not any(part in name.lower() for part in _PARTS)
        elif flag_name(name) not in code.keywords:
            others.append((name, value))
    return Call(sure, others, documents, has_model)


class Judge:
    """What the calls of one text of code load.

    Args:
        word: The text, untrusted.
        line: The command that it belongs to.
        aliases: What its names stand for.
        runs: Whether a container runs it: then what cannot be read matters.
    """

    def __init__(self, word: Word, line: Line, aliases: Aliases, *, runs: bool) -> None:
        self._line = line
        self._aliases = aliases
        self._runs = runs
        self.given = Given(word, line, self._is_judged)
        self._texts: dict[str, Named | None] = {}
        self._noted: dict[tuple[str, bool], bool] = {}
        self._shaped: dict[tuple[str, str, bool], tuple[bool, bool]] = {}

    def _is_judged(self, untrusted: str) -> bool:
        """Say whether an expression is nothing but a call of the table, which is judged where it stands."""
        chain, at = called_in(untrusted)
        row = self._aliases.row(chain) if chain else ""
        if not row or self._may_be_another(chain):
            return False
        return sorted_arguments(list(arguments(untrusted, at)), self._line.notes.table, row).has_model

    def _may_be_another(self, chain: str) -> bool:
        """Say whether the text itself says what is called: then it may return anything."""
        given, names = self.given.bindings, {chain.partition(".")[0], chain.rpartition(".")[2]}
        own = self._aliases.defined | given.plain.keys() | given.others.keys()
        return given.anything or not own.isdisjoint(names)

    def read(self, called: Called) -> str | None:
        """Note what a call loads; return an argument that may name a model and cannot be read."""
        table = self._line.notes.table
        call = sorted_arguments(self.given.arguments(called.end), table, called.row)
        by_itself = called.row in table.code.defaults
        unread = None
        for value in call.sure:
            known = self._note(value, strict=by_itself)
            unread = unread if known else value
        for value in call.documents:
            unread = unread if self._read_document(value) else value
        found = bool(call.sure) and (call.has_model or not by_itself)
        is_task = called.row in table.code.tasks
        for name, value in call.others:
            noted, known = self._note_if_shaped(name, value, alone=not call.sure)
            found = found or noted
            if not known and not noted and ((not call.sure and not is_task) or self._speaks(name)):
                unread = unread or value
        if found or unread is not None:
            return unread
        if by_itself:
            return ""
        if call.others and not is_task:
            self._note(call.others[0][1], strict=False)
        return None

    def _note(self, value: str, *, strict: bool) -> bool:
        """Note what an argument names that names a model; return whether all of it is known.

        Args:
            value: The argument.
            strict: Whether any text in its place is a model: ``auto`` too.
        """
        if (value, strict) not in self._noted:
            values, known = self.given.values(value)
            for each in values:
                self._line.notes.check()
                found = self._named(each.text)
                if found is None and strict and each.starts:
                    found = named(each.text, self._line.notes.table, strict=True)
                if found is not None and (each.starts or found.strength in _SHAPES or _is_path(found)):
                    self._add(each, found)
            self._noted[value, strict] = known
        return self._noted[value, strict]

    def _read_document(self, value: str) -> bool:
        """Note the models of a value that is JSON, or what becomes that; return whether it can be read."""
        values, known = self.given.values(value)
        if not self._runs:
            return self._note_if_shaped("", value, alone=True)[1]
        if known and values:
            for each in values:
                embedded.read(
                    each.text,
                    each.path,
                    self._line.notes,
                    how="argument",
                    reason=f"JSON of {_WHY}",
                    whole=True,
                )
            return True
        self._note_if_shaped("", value, alone=True)
        if _WARNS.search(_TEXT.sub("", value)) is not None:
            return False
        try:
            text = json.dumps(ast.literal_eval(value))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return False
        embedded.read(
            text, self.given.word.path, self._line.notes, how="argument", reason=f"JSON of {_WHY}", whole=True
        )
        return True

    def _note_if_shaped(self, name: str, value: str, *, alone: bool) -> tuple[bool, bool]:
        """Note what looks like a reference in another argument; return whether any does, and all is known.

        Args:
            name: Its keyword.
            value: The argument.
            alone: Whether no other argument surely names a model: then a folder may be it.
        """
        if (name, value, alone) in self._shaped:
            return self._shaped[name, value, alone]
        table = self._line.notes.table
        values, known = self.given.values(value)
        paths = alone or not self._is_a_setting(name)
        pairs = (
            _OF_PAIRS.match(value) is not None and _SPEAKS.search(value) is None and not self._speaks(name)
        )
        noted = False
        for each in values:
            self._line.notes.check()
            found = self._named(each.text)
            if found is None or is_service(each.text, table) or (pairs and found.strength != "scheme"):
                continue
            if found.strength in _SHAPES or (paths and _is_path(found)):
                self._add(each, found)
                noted = True
        self._shaped[name, value, alone] = noted, known
        return noted, known

    def _named(self, text: str) -> Named | None:
        if text not in self._texts:
            self._texts[text] = named(text, self._line.notes.table)
        return self._texts[text]

    def _speaks(self, name: str) -> bool:
        """Say whether a keyword speaks of models, so that what it holds must be known."""
        role = self._line.notes.table.members.role(name)
        return bool(name) and (role.hint or bool(role.holds)) and not self._is_a_setting(name)

    def _is_a_setting(self, name: str) -> bool:
        """Say whether a keyword is called like a flag that holds no model, or a place to write to."""
        table, flag = self._line.notes.table, flag_name(name)
        quiet = any(part in flag for part in table.flags.quiet)
        return quiet or flag in table.flags.names or table.takes_value(flag) is not None

    def _add(self, value: Value, found: Named) -> None:
        self._line.notes.add(value.path, found, how="argument", confidence="certain", reason=_WHY)


def _is_path(found: Named) -> bool:
    return found.strength == "path" and ("/" in found.reference or found.scheme == "path")
