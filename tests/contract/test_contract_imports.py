"""Who may import whom: the contracts of pyproject.toml, complete and without circles."""

import ast
import subprocess
import sys
import tomllib

import grimp
import pytest

OUTSIDE_THE_LAYERS = {"trustkit.version", "trustkit.__main__"}


@pytest.fixture(scope="module")
def layers(root):
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    [contract] = [c for c in settings["contracts"] if c["type"] == "layers"]
    return [{name.strip() for name in layer.split("|")} for layer in contract["layers"]]


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("trustkit", "admission", cache_dir=None)


def test_the_contracts_of_import_linter_hold(root):
    command = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_room_has_a_layer_and_every_layer_a_room(layers, graph):
    rooms = {"admission"} | graph.find_children("trustkit")
    assert rooms - OUTSIDE_THE_LAYERS == set().union(*layers)


def test_nothing_imports_upwards_or_sideways_even_lazily(layers, graph, demand_none):
    floor = {room: number for number, layer in enumerate(layers) for room in layer}

    def room_of(module):
        return module.split(".")[0] if module.startswith("admission") else ".".join(module.split(".")[:2])

    offences = [
        f"{importer} imports {imported}"
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if (a := room_of(importer)) in floor
        and (b := room_of(imported)) in floor
        and a != b
        and floor[b] <= floor[a]
    ]
    demand_none(offences)


def test_no_modules_import_each_other_in_a_circle(graph, demand_none):
    """Take away what imports nothing left, and what nothing left imports; what remains is a circle."""
    left = {
        module: set(graph.find_modules_directly_imported_by(module)) - {module} for module in graph.modules
    }
    while True:
        imported = set().union(*left.values()) if left else set()
        free = {module for module, below in left.items() if not below & left.keys() or module not in imported}
        if not free:
            break
        left = {module: below for module, below in left.items() if module not in free}
    demand_none(sorted(left))


def test_no_private_name_is_imported_from_another_file(sources, demand_none):
    offences = [
        f"{source.at(node)} imports {module}.{name}"
        for source in sources
        for node, module, name in source.imports()
        if module.split(".")[0] in {"trustkit", "admission"}
        and (name or "").startswith("_")
        and not (name or "").startswith("__")
    ]
    demand_none(offences)


def test_proofs_are_made_in_the_verifying_room_alone(sources, demand_none):
    """With `proven` any code could call anything verified; it stays where verification is."""
    demand_none(
        f"{source.at(node)} takes {module}.{name}"
        for source in sources
        if not source.within("trustkit/verifying/*")
        for node, module, name in source.imports()
        if module.startswith("trustkit.verifying") and name in {"proven", "demand", "_PROOF"}
    )


def test_the_library_does_not_import_itself_relatively(sources, demand_none):
    offences = [
        source.at(node)
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    demand_none(offences)
