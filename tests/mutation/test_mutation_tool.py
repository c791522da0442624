"""The mutation tool on toys: what it changes, what it leaves alone, and who is killed."""

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def mutants():
    spec = importlib.util.spec_from_file_location("trustkit_tests_mutants", HERE / "mutants.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def changes(mutants):
    """List the changes of a text, with their operators."""

    def listed(text):
        return [(mutant.operator, mutant.change) for mutant in mutants.mutants_of("toy.py", text)]

    return listed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b", [("statement", "a < b → pass"), ("comparison", "a < b → a <= b")]),
        ("x = a is not b", [("comparison", "a is not b → a is b")]),
        ("x = a not in b", [("membership", "a not in b → a in b")]),
        ("x = not a", [("not", "not a → a")]),
        ("x = True", [("constant", "True → False")]),
        ("x = 7", [("constant", "7 → 8")]),
        ("x = -a", [("arithmetic", "-a → a")]),
        ("x = a - b", [("arithmetic", "a - b → a + b")]),
        ("x = a << b", [("arithmetic", "a << b → a >> b")]),
        ("x = a[b:c]", [("slice", "b:c → :c"), ("slice", "b:c → b:")]),
        ("a.x = b", [("statement", "a.x = b → pass")]),
        ("x += a", [("statement", "x += a → pass")]),
        ("if a: pass", [("condition", "a → not a")]),
        ("if a == b: pass", [("comparison", "a == b → a != b")]),
        ("x = [a for a in b if c]", [("condition", "c → not c")]),
        (
            "x = a and b",
            [("and-or", "a and b → a or b"), ("operand", "a and b → b"), ("operand", "a and b → a")],
        ),
        ("while a:\n    break", [("condition", "a → not a"), ("statement", "break → continue")]),
        ("def f():\n    return a", [("return", "return a → return None")]),
        ("def f():\n    raise Error(7)", [("raise", "raise Error(7) → pass")]),
        ("def f(a=7): pass", [("constant", "7 → 8")]),
    ],
)
def test_each_operator_makes_its_change(changes, text, expected):
    assert changes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""A document about 7."""',
        "x: Literal[7] = a",
        "def f(a: T[7]) -> T[not 7]: pass",
        "class C:\n    __slots__ = (7,)",
        "@dataclass(frozen=True)\nclass C: pass",
        "if TYPE_CHECKING:\n    x = 7",
        "x = FormatError('code', 'text', limit=7 + 7)",
        "Either = One | Other",
        "x = isinstance(a, int | float)",
        "x = 'text' + a",
        "def f():\n    return None",
    ],
)
def test_what_decides_nothing_is_left_alone(changes, text):
    assert changes(text) == []


def test_the_same_change_twice_in_a_function_has_two_keys_that_no_line_moves(mutants):
    text = "class C:\n    def f(self):\n        return [7, 7]\n"
    keys = [mutant.key for mutant in mutants.mutants_of("toy.py", text)]
    assert keys[1:] == [
        ("toy.py", "C.f", "constant", "7 → 8"),
        ("toy.py", "C.f", "constant", "7 → 8 #2"),
    ]
    assert keys == [mutant.key for mutant in mutants.mutants_of("toy.py", "\n\n" + text)]


def test_a_mutant_is_the_module_with_that_change_alone(mutants):
    text = "def f(a):\n    if a < 7:\n        return 1\n    return 2\n"
    names = {}
    for mutant in mutants.mutants_of("toy.py", text):
        if mutant.change == "a < 7 → a <= 7":
            exec(mutant.compiled("toy.py"), names)
            assert ast.unparse(mutant.tree) == text.replace("<", "<=").rstrip()
    assert [names["f"](number) for number in (6, 7, 8)] == [1, 1, 2]


TOY = '''
"""A gate."""

LIMIT = 18


def allowed(age):
    if age < 0:
        raise ValueError("unborn")
    return age >= LIMIT


def halved(number):
    while number > 1:
        number //= 2
    return number


def untested(number):
    return number + 1
'''
TESTS = """
import pytest
from toy.gate import LIMIT, allowed, halved


def test_a_stack_that_ends_does_not_end_the_recording():
    def deeper():
        deeper()

    with pytest.raises(RecursionError):
        deeper()


def test_the_limit():
    assert LIMIT == 18


def test_a_grown_up_is_allowed_and_a_child_is_not():
    assert allowed(18)
    assert not allowed(17)
    with pytest.raises(ValueError):
        allowed(-2)


def test_halves():
    assert halved(8) == 1
"""


@pytest.fixture
def toy(tmp_path):
    """A tree with a module, its tests, and no reason yet."""
    tree = tmp_path / "tree"
    (tree / "toy").mkdir(parents=True)
    (tree / "toy/__init__.py").touch()
    (tree / "toy/gate.py").write_text(TOY)
    (tree / "test_toy.py").write_text(TESTS)
    return tree


def run(toy, *more):
    report = toy.parent / "report.json"
    words = [
        "--root",
        toy,
        "--modules",
        "toy/*.py",
        "--tests",
        "test_toy.py",
        "--slack",
        "1",
        "--json",
        report,
    ]
    equivalent = toy.parent / "equivalent.toml"
    done = subprocess.run(
        [sys.executable, HERE / "mutate.py", *words, "--equivalent", equivalent, *more],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return done, json.loads(report.read_text()) if report.exists() else None


def test_the_killed_the_hung_and_the_survivors_are_told_apart(toy):
    (toy.parent / "equivalent.toml").write_text(
        '[[equivalent]]\nfile = "toy/gate.py"\nwhere = "allowed"\noperator = "comparison"\n'
        'change = "age < 0 → age <= 0"\nreason = "a toy"\n'
        '[[equivalent]]\nfile = "toy/gate.py"\nwhere = "gone"\noperator = "raise"\n'
        'change = "raise → pass"\nreason = "of old"\n'
    )
    done, report = run(toy, "--least", "99")
    assert done.returncode == 1, done.stderr
    outcomes = {(mutant["where"], mutant["change"]): mutant for mutant in report["mutants"]}
    by = {key: mutant["by"] for key, mutant in outcomes.items() if mutant["outcome"] == "killed"}
    assert by["", "18 → 19"].startswith("test_toy.py::test_")
    assert by["allowed", "age >= LIMIT → age > LIMIT"].endswith(
        "test_a_grown_up_is_allowed_and_a_child_is_not"
    )
    assert [key for key, mutant in outcomes.items() if mutant["outcome"] == "timeout"] == [
        ("halved", "number //= 2 → pass")
    ]
    assert [key for key, mutant in outcomes.items() if mutant["outcome"] == "survived"] == [
        ("allowed", "age < 0 → age <= 0"),
        ("allowed", "0 → 1"),
        ("untested", "return number + 1 → return None"),
        ("untested", "number + 1 → number - 1"),
        ("untested", "1 → 2"),
    ]
    assert report["files"]["toy/gate.py"] == {"mutants": 16, "killed": 10, "timeout": 1, "survived": 5}
    assert "4 survivors have no reason" in done.stdout
    assert "reason is stale: toy/gate.py | gone" in done.stdout
    assert "age <= 0" not in done.stdout
    assert (toy / "toy/gate.py").read_text() == TOY


def test_enough_killed_is_a_good_end_and_a_sample_is_the_same_each_time(toy):
    picked = []
    for _ in range(2):
        done, report = run(toy, "--sample", "5", "--seed", "3", "--least", "0")
        assert done.returncode == 0, done.stderr
        picked.append([(mutant["where"], mutant["change"]) for mutant in report["mutants"]])
    assert picked[0] == picked[1]
    assert len(picked[0]) == 5


def test_nothing_is_measured_where_the_tests_fail_of_themselves(toy):
    (toy / "test_toy.py").write_text(TESTS.replace("== 18", "== 19"))
    done, report = run(toy)
    assert (done.returncode, report) == (2, None)
    assert "nothing was measured: the tests do not pass unchanged" in done.stderr
    assert "test_the_limit" in done.stderr
