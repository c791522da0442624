"""The front door: the names that stability.md promises, nothing defined there, and quick to open."""

import ast
import re
import subprocess
import sys

import pytest

import trustkit

HEAVY = (
    "cryptography",
    "fastapi",
    "uvicorn",
    "yaml",
    "wasmtime",
    "numpy",
    "pyarrow",
    "asyncio",
    "ssl",
    "importlib.metadata",
)


@pytest.fixture(scope="module")
def promised(root):
    text = (root / "trustkit/design/stability.md").read_text(encoding="utf-8")
    [block] = re.findall(r"<!-- front door -->\n+```\n(.*?)\n```", text, re.DOTALL)
    return block.split()


def test_the_door_holds_what_stability_promises(promised):
    assert sorted(trustkit.__all__) == sorted(promised)
    assert len(trustkit.__all__) <= 30


def test_every_name_opens(demand_none):
    demand_none(name for name in trustkit.__all__ if not hasattr(trustkit, name))


def test_names_come_from_rooms_of_ours(demand_none):
    things = {name: getattr(trustkit, name) for name in trustkit.__all__}
    demand_none(
        f"{name} is from {thing.__module__}"
        for name, thing in things.items()
        if hasattr(thing, "__module__") and not thing.__module__.startswith("trustkit.")
    )


def test_nothing_is_defined_at_the_door(root, demand_none):
    tree = ast.parse((root / "trustkit/__init__.py").read_text(encoding="utf-8"))
    demand_none(
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name not in {"__getattr__", "__dir__"}
    )


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError):
        trustkit.no_such_name  # noqa: B018 - asking is the test


@pytest.mark.parametrize("module", ["trustkit", "trustkit.cli.main"])
def test_opening_the_door_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
