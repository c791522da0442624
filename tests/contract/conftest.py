"""What the contract tests look at: the files of the house, parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("trustkit", "admission")


@dataclass(frozen=True)
class Source:
    """A Python file of the product: its path from the root, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    def within(self, *patterns: str) -> bool:
        """Say whether the file matches one of these shell patterns (`*` crosses folders)."""
        return any(fnmatch(self.path, pattern) for pattern in patterns)

    def at(self, node: ast.AST) -> str:
        """Name a place for a person."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield every function and method, nested ones included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def imports(self) -> Iterator[tuple[ast.AST, str, str | None]]:
        """Yield (node, module, name) for every import, lazy ones included; name is None for plain imports."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node, node.module or "", alias.name) for alias in node.names)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> tuple[Source, ...]:
    """Every Python file that ships."""
    found = []
    for package in PRODUCT:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("trustkit/design/"):
                text = path.read_text(encoding="utf-8")
                found.append(Source(name, text, ast.parse(text, name)))
    assert len(found) > 40, "the house has been moved"
    return tuple(found)


@pytest.fixture(scope="session")
def is_test():
    """Say whether a pytest node id names a test that exists; nothing is run, parameters are cut off."""

    def defined(node):
        path, _, name = node.partition("::")
        if not (ROOT / path).is_file():
            return False
        body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        for part in name.split("[", 1)[0].split("::"):
            found = [node for node in body if getattr(node, "name", None) == part]
            if not found:
                return False
            body = found[0].body
        return name.split("::")[-1].startswith("test_")

    return defined


@pytest.fixture(scope="session")
def demand_none():
    """Fail with one line an offence, whole: a gate should say all that is wrong at once."""

    def demand(offences):
        listed = (
            [f"{place}: {what}" for place, what in offences.items()]
            if isinstance(offences, dict)
            else list(offences)
        )
        if listed:
            pytest.fail(f"{len(listed)} against the contract:\n  " + "\n  ".join(listed), pytrace=False)

    return demand
