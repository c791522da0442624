"""Locks: every file hashed, no index and no path inside, in step with each other and with pyproject.toml."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

LOCKS = ("run", "test", "check", "build", "core", "serve", "reference", "lock")
PIN = re.compile(
    r"([A-Za-z0-9._-]+)(?:\[[a-z0-9,_-]+\])?==([^\s;]+)(?: ; [^\\]+)?((?: --hash=sha256:[0-9a-f]{64})+)"
)


@pytest.fixture(scope="module")
def texts(root):
    return {name: (root / ".requirements" / f"{name}.txt").read_text(encoding="utf-8") for name in LOCKS}


@pytest.fixture(scope="module")
def pins(texts):
    """Map each lock to {distribution: its versions (several where markers choose)}."""
    found = {}
    for name, text in texts.items():
        found[name] = {}
        for line in requirement_lines(text):
            if matched := PIN.fullmatch(line):
                found[name].setdefault(canonicalize_name(matched[1]), set()).add(Version(matched[2]))
    return found


@pytest.fixture(scope="module")
def wanted(root):
    """Map each lock to the requirements of pyproject.toml that it must meet."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    own, groups = project["project"], project["dependency-groups"]
    extras = {
        name: [Requirement(text) for text in texts] for name, texts in own["optional-dependencies"].items()
    }

    def flat(extra):
        for requirement in extras[extra]:
            if canonicalize_name(requirement.name) == canonicalize_name(own["name"]):
                for inner in requirement.extras:
                    yield from flat(inner)
            else:
                yield requirement

    def meant(*names):
        return [requirement for extra in names for requirement in flat(extra)]

    tested = [requirement for requirement in meant(*extras) if requirement not in meant("demo")]
    return {
        "run": [Requirement(text) for text in (*own["dependencies"], *groups["build"])] + meant("demo"),
        **{name: [Requirement(text) for text in groups[name]] for name in ("check", "reference", "build")},
        "core": [Requirement(text) for text in own["dependencies"]],
        "serve": [Requirement(text) for text in own["dependencies"]] + meant("admission", "broker"),
        "test": [Requirement(text) for text in groups["test"]] + tested,  # what the demo can do without
        "lock": [Requirement("uv")],
    }


def requirement_lines(text):
    joined = re.sub(r"\s*\\\n\s+", " ", text)
    return [
        line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]


def test_the_folder_holds_the_locks_and_a_readme(root):
    names = {path.name for path in (root / ".requirements").iterdir()}
    assert names == {"README", *(f"{name}.txt" for name in LOCKS)}


def test_every_line_is_one_pinned_version_with_hashes(texts, demand_none):
    demand_none(
        f"{name}: {line[:80]}"
        for name, text in texts.items()
        for line in requirement_lines(text)
        if not PIN.fullmatch(line)
    )


def test_no_index_address_or_path_is_inside(texts, demand_none):
    words = (
        "http:",
        "https:",
        "file:",
        "git+",
        " @ ",
        "--index",
        "--extra-index",
        "--find-links",
        "-i ",
        "-f ",
        "-e ",
    )
    demand_none(
        f"{name}: {line[:80]}"
        for name, text in texts.items()
        for line in text.splitlines()
        if any(word in line for word in words) or re.search(r"(^|\s)[./~]\S*/", line)
    )


def test_the_locks_meet_pyproject(pins, wanted, demand_none):
    offences = []
    for name, requirements in wanted.items():
        locked = pins[name]
        for requirement in requirements:
            versions = locked.get(canonicalize_name(requirement.name), set())
            if not versions or not all(requirement.specifier.contains(version) for version in versions):
                offences.append(
                    f"{name}.txt does not meet {requirement}: it has {sorted(map(str, versions))}"
                )
    demand_none(offences)


def test_environments_that_share_a_folder_and_images_agree(pins, demand_none):
    images = ("build", "core", "serve")  # what is tested is what is shipped
    pairs = (("run", "test"), ("run", "check"), ("test", "check"), *(("run", name) for name in images))
    demand_none(
        f"{distribution}: {sorted(map(str, pins[a][distribution]))} in {a}.txt, otherwise in {b}.txt"
        for a, b in pairs
        for distribution in sorted(pins[a].keys() & pins[b].keys())
        if pins[a][distribution] != pins[b][distribution]
    )


def test_the_project_is_not_locked_by_itself(pins):
    assert not any({"model-trustkit", "trustkit"} & found.keys() for found in pins.values())
