"""Every public name says what it is, and every file says what its law is."""

import ast


def public(node):
    return not node.name.startswith("_")


def undocumented(source):
    if not ast.get_docstring(source.tree):
        yield f"{source.path}:1 module"
    yield from _members(source, source.tree.body)


def _members(source, body):
    for node in body:
        if isinstance(node, ast.ClassDef) and public(node):
            if not ast.get_docstring(node):
                yield f"{source.at(node)} class {node.name}"
            yield from _members(source, node.body)
        elif (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and public(node) and not _borrowed(node)
        ):
            if not ast.get_docstring(node):
                yield f"{source.at(node)} {node.name}"
        elif isinstance(node, ast.If | ast.Try):
            yield from _members(source, node.body)


def _borrowed(node):
    """Overloads, setters and overrides are documented where the name first stands."""
    decorators = {ast.unparse(decorator).rsplit(".", 1)[-1] for decorator in node.decorator_list}
    return bool(decorators & {"overload", "setter", "override"})


def test_every_public_name_has_a_docstring(sources, demand_none):
    demand_none([place for source in sources for place in undocumented(source)])


def test_docstrings_open_with_a_sentence(sources, demand_none):
    offences = []
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text and not text.split("\n\n")[0].rstrip().endswith((".", ":", "…", "?")):
                    offences.append(f"{source.at(node)} {text.splitlines()[0]!r}")
    demand_none(offences)


def test_files_that_tell_a_law_are_the_rule(sources, demand_none):
    """A one-line docstring is enough for an `__init__.py`, not for a room's code of any size."""
    short = [
        source.path
        for source in sources
        if source.text.count("\n") > 60 and len((ast.get_docstring(source.tree) or "").splitlines()) < 3
    ]
    demand_none(short)
