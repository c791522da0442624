"""Every small change of a module that a test should notice: which there are, and how each is made.

The law of this file: syntax in, syntax out. The same text gives the same mutants in
the same order, and a mutant is known by what it changes and where, never by a line
number. Left alone is what decides nothing: documents, annotations, decorators,
``__slots__``, what is imported for types alone, and what an error says.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import CodeType

_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_MEMBERSHIPS = {ast.In: ast.NotIn, ast.NotIn: ast.In}
_ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
}
_UNREAD = {"annotation", "returns", "decorator_list", "type_comment", "ctx"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_CONDITIONS = (ast.If, ast.While, ast.IfExp, ast.comprehension)
_TYPES = {"bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"}
_SHOWN = 150


@dataclass(frozen=True)
class Mutant:
    """One change of one module.

    Attributes:
        file: Path from the root of the tree.
        where: Qualified name of the function or class; empty at the top of the module.
        operator: Kind of the change.
        change: Source text before and after; a number where a function has the same change twice.
        lines: Of the statement, or of its head, where there are statements inside.
        called: Whether those lines run when a function is called, and not when the module is loaded.
        place: Parent node, name of the field, and index where that is a list.
        node: What is put there.
        tree: The module's, in which it is put.
    """

    file: str
    where: str
    operator: str
    change: str
    lines: range
    called: bool
    place: tuple[ast.AST, str, int | None]
    node: ast.AST
    tree: ast.Module

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What reasons are kept under."""
        return self.file, self.where, self.operator, self.change

    def compiled(self, filename: str) -> CodeType:
        """Make the change and compile the module. The tree is spoilt: once in a process, which then ends."""
        parent, field, index = self.place
        if index is None:
            setattr(parent, field, self.node)
        else:
            getattr(parent, field)[index] = self.node
        return compile(ast.fix_missing_locations(self.tree), filename, "exec", dont_inherit=True)


@dataclass(frozen=True)
class _Scope:
    """Where the walk is."""

    where: str = ""
    lines: range = range(0)
    called: bool = False


def mutants_of(file: str, text: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its text."""
    tree = ast.parse(text, file)
    seen: Counter[tuple[str, str, str, str]] = Counter()
    found = []
    for place, before, scope in _places(tree, _Scope()):
        for operator, after in _changes(place, before):
            change = f"{_text(before)} → {_text(after)}"
            made = Mutant(file, scope.where, operator, change, scope.lines, scope.called, place, after, tree)
            seen[made.key] += 1
            number = seen[made.key]
            found.append(made if number == 1 else replace(made, change=f"{change} #{number}"))
    return found


def _text(node: ast.AST) -> str:
    line = " ".join(ast.unparse(node).split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _places(
    parent: ast.AST, scope: _Scope
) -> Iterator[tuple[tuple[ast.AST, str, int | None], ast.AST, _Scope]]:
    """Yield every node that may be changed, with what holds it."""
    for field, value in ast.iter_fields(parent):
        if field in _UNREAD or _says_only(parent, field):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(node, ast.AST) and not _decides_nothing(node):
                within = _entered(scope, parent, field, node)
                yield (parent, field, index), node, within
                yield from _places(node, within)


def _entered(scope: _Scope, parent: ast.AST, field: str, node: ast.AST) -> _Scope:
    if isinstance(parent, _FUNCTIONS) and field == "body":
        scope = replace(scope, called=True)
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        scope = replace(
            scope, where=f"{scope.where}.{node.name}".lstrip("."), called=isinstance(node, _FUNCTIONS)
        )
    if isinstance(node, ast.stmt):
        body = getattr(node, "body", None)
        last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        scope = replace(scope, lines=range(first, (last or first) + 1))
    return scope


def _named(node: ast.AST) -> str:
    """Return the last name of what is called or asked, or nothing."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _says_only(parent: ast.AST, field: str) -> bool:
    """Say whether a field holds only what an error tells a person, or the members of a `Literal`."""
    if isinstance(parent, ast.Raise):
        return True
    if isinstance(parent, ast.Call) and field != "func":
        return _named(parent.func).endswith("Error")
    return isinstance(parent, ast.Subscript) and field == "slice" and _named(parent.value) == "Literal"


def _decides_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return _named(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.Assign) and _named(node.targets[0]) == "__slots__"


def _changes(place: tuple[ast.AST, str, int | None], node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield (operator, changed node) for all that can be done to one node."""
    parent, field, _ = place
    if isinstance(node, ast.stmt):
        yield from _statements(node)
    elif isinstance(node, ast.Compare):
        yield from _compared(node)
    elif isinstance(node, ast.BoolOp):
        yield "and-or", _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        for index in range(len(node.values)):
            kept = [*node.values[:index], *node.values[index + 1 :]]
            yield "operand", kept[0] if len(kept) == 1 else _with(node, values=kept)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield "not" if isinstance(node.op, ast.Not) else "arithmetic", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC and not _of_types(node):
        yield "arithmetic", _with(node, op=_ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.Slice):
        yield from (("slice", _with(node, **{end: None})) for end in ("lower", "upper") if getattr(node, end))
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        flipped = isinstance(node.value, bool)
        yield "constant", ast.Constant((not node.value) if flipped else node.value + 1)
    if isinstance(parent, _CONDITIONS) and field in {"test", "ifs"} and not _turned_otherwise(node):
        yield "condition", ast.UnaryOp(ast.Not(), node)


def _statements(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Raise):
        yield "raise", ast.Pass()
    elif isinstance(node, ast.Expr | ast.AugAssign | ast.Delete):
        yield "statement", ast.Pass()
    elif isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name | ast.Tuple | ast.List):
        yield "statement", ast.Pass()  # of an attribute or an item: a name would only be missing
    elif isinstance(node, ast.Break | ast.Continue):
        yield "statement", ast.Continue() if isinstance(node, ast.Break) else ast.Break()
    elif isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
        yield "return", ast.Return(ast.Constant(None))


def _compared(node: ast.Compare) -> Iterator[tuple[str, ast.AST]]:
    for index, op in enumerate(node.ops):
        kind = "membership" if type(op) in _MEMBERSHIPS else "comparison"
        other = (_MEMBERSHIPS | _COMPARISONS)[type(op)]()
        yield kind, _with(node, ops=[*node.ops[:index], other, *node.ops[index + 1 :]])


def _with(node: ast.AST, **fields: object) -> ast.AST:
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def _of_types(node: ast.BinOp) -> bool:
    """Say whether an operator joins types, or text that is written out."""
    sides = (node.left, node.right)
    if isinstance(node.op, ast.BitOr):
        return any(_named(side) in _TYPES or _named(side)[:1].isupper() for side in sides)
    texts = any(isinstance(s, ast.Constant) and isinstance(s.value, str | bytes) for s in sides)
    return texts or any(isinstance(side, ast.JoinedStr) for side in sides)


def _turned_otherwise(node: ast.AST) -> bool:
    """Say whether another operator turns this condition round."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return not isinstance(node.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
