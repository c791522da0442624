"""Codes are promises: each is a literal, is kebab-case, and is explained in trustkit/design/codes.md."""

import ast
import re

import pytest

from trustkit import errors

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.TrustkitError)
}
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| (.+) \|$", re.MULTILINE)
RULE_CODE = re.compile(r'"code":\s*"([^"]*)"')


def constructions(source):
    """Yield (node, class name, first argument) of every error that is built, raised at once or not."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rsplit(".", 1)[-1]
            if name in CLASSES and not (name == "TrustkitError" and source.path == "trustkit/errors.py"):
                yield node, name, node.args[0] if node.args else None


def literals(argument):
    """Return the codes an argument can be; None where the reader cannot see them."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    if isinstance(argument, ast.IfExp):
        both = (literals(argument.body), literals(argument.orelse))
        return None if None in both else both[0] + both[1]
    if isinstance(argument, ast.Attribute) and argument.attr == "code":
        return []  # another error's code, passed on
    return None


@pytest.fixture(scope="module")
def raised(sources):
    """Map (code, class) to the first place and message."""
    found = {}
    for source in sources:
        for node, name, argument in constructions(source):
            message = node.args[1] if len(node.args) > 1 else None
            for code in literals(argument) or []:
                found.setdefault(
                    (code, name), f"{source.at(node)}: {ast.unparse(message) if message else ''}"
                )
    return found


@pytest.fixture(scope="module")
def documented(root):
    """Map (code, class or `rule`) to the text of its row."""
    text = (root / "trustkit/design/codes.md").read_text(encoding="utf-8")
    return {
        (code, kind.strip().split(" ")[0]): meaning
        for code, kinds, meaning in ROW.findall(text)
        for kind in kinds.split(",")
    }


def test_every_error_is_built_with_a_literal_code(sources, demand_none):
    demand_none(
        f"{source.at(node)} {name}({ast.unparse(argument) if argument else ''}, …)"
        for source in sources
        for node, name, argument in constructions(source)
        if literals(argument) is None
    )


def test_codes_are_kebab_case(raised, demand_none):
    demand_none(f"{place} {code!r}" for (code, _), place in raised.items() if not KEBAB.fullmatch(code))


def test_every_error_code_is_explained(raised, documented, demand_none):
    missing = sorted(raised.keys() - documented.keys())
    demand_none(
        f"| `{code}` | {kind} {CLASSES[kind].exit_code} | … |    {raised[code, kind]}"
        for code, kind in missing
    )


def test_no_explained_error_code_is_dead(raised, documented, demand_none):
    demand_none(
        f"{code} {kind}" for code, kind in sorted(documented.keys() - raised.keys()) if kind in CLASSES
    )


def test_exit_codes_in_the_table_are_the_classes_own(root, demand_none):
    text = (root / "trustkit/design/codes.md").read_text(encoding="utf-8")
    demand_none(
        f"{code}: {kind.strip()}"
        for code, kinds, _ in ROW.findall(text)
        for kind in kinds.split(",")
        if (name := kind.strip().split(" ")[0]) in CLASSES
        and kind.strip() != f"{name} {CLASSES[name].exit_code}"
    )


def test_codes_are_listed_once_and_in_order(root):
    text = (root / "trustkit/design/codes.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        codes = [code for code, _, _ in ROW.findall(section)]
        assert codes == sorted(set(codes)), section.splitlines()[0]


def violations(source):
    """Yield (node, code) of every violation that the product itself reports, beside those of the rules."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] in {
            "Violation",
            "denial",
        }:
            yield from ((node, code) for code in literals(node.args[0] if node.args else None) or [])


def test_every_code_of_a_rule_is_explained_and_none_is_dead(root, documented, demand_none):
    written = {
        code
        for path in (root / "policies").rglob("*.rego")
        if not path.stem.endswith("_test")
        for code in RULE_CODE.findall(path.read_text(encoding="utf-8"))
    }
    listed = {code for code, kind in documented if kind == "rule"}
    demand_none(f"{code} {'is not explained' if code in written else 'is dead'}" for code in written ^ listed)


def test_every_violation_of_the_webhook_is_explained_and_none_is_dead(sources, documented, demand_none):
    written = {code: source.at(node) for source in sources for node, code in violations(source)}
    listed = {code for code, kind in documented if kind == "webhook"}
    demand_none(f"{code} {written.get(code, 'is dead')}" for code in sorted(written.keys() ^ listed))
