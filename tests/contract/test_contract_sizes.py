"""Rooms stay small enough to be read in one sitting, and are called by what they hold."""

import ast

MODULE_LINES = 300
FUNCTION_LINES = 40
POSITIONAL = 4
"""Most parameters that a caller may give by place; the rest are keyword-only."""

DRAWERS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "constants",
    "misc",
    "tools",
    "manager",
    "handlers",
}
SUFFIXES = ("Manager", "Processor", "Helper", "Utils", "Handler")


def lines_of(function):
    """Count a function's lines from its `def`, without its docstring: documents are not complexity."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno - first.lineno + 1) if documented else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_no_module_is_longer_than_three_hundred_lines(sources, demand_none):
    sizes = {source.path: source.text.count("\n") for source in sources}
    demand_none({path: size for path, size in sizes.items() if size > MODULE_LINES})


def test_no_function_is_longer_than_forty_lines(sources, demand_none):
    sizes = {f"{source.at(f)} {f.name}": lines_of(f) for source in sources for f in source.functions()}
    demand_none({place: size for place, size in sizes.items() if size > FUNCTION_LINES})


def test_no_call_needs_more_than_four_arguments_by_place(sources, demand_none):
    offences = {}
    for source in sources:
        for function in source.functions():
            names = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
            count = len(names) - (names[:1] in (["self"], ["cls"]))
            if count > POSITIONAL and not any("override" in ast.unparse(d) for d in function.decorator_list):
                offences[f"{source.at(function)} {function.name}"] = count
    demand_none(offences)


def test_no_file_is_a_drawer(sources, demand_none):
    offences = [s.path for s in sources if s.path.rsplit("/", 1)[-1].removesuffix(".py") in DRAWERS]
    demand_none(offences)


def test_no_class_is_named_after_nothing(sources, demand_none):
    offences = [
        f"{source.at(node)} {node.name}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(SUFFIXES)
    ]
    demand_none(offences)


def test_names_of_test_files_are_unique(root, demand_none):
    """Test folders are no packages: two files of one name would be one module."""
    names = [path.name for path in (root / "tests").rglob("test_*.py")]
    demand_none(sorted({name for name in names if names.count(name) > 1}))
