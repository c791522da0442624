"""What lies at the top of the repository, and what no file of it may name."""

import os
import re
import tomllib
from pathlib import Path

import pytest

VISIBLE = {
    "LICENSE",
    "Makefile",
    "README.md",
    "admission",
    "charts",
    "policies",
    "pyproject.toml",
    "tests",
    "trustkit",
}
MADE = {"demo", "dist"}
"""Visible folders that a run may leave, and that git ignores."""
SKIPPED = re.compile(
    r"\.git|\.venv.*|\.cache|\..*_cache|\.hypothesis|__pycache__|dist|demo|\.demo|.*\.egg-info"
)

NEIGHBOUR = "../" + "shared"
MACHINE = re.compile(
    r"(?<![\w.}\]-])/(" + "|".join(("work/(main|" + "shared)", "root/", r"home/\w+/", r"Users/\w+/")) + ")"
)
INDEXES = tuple(
    ".".join(words)
    for words in (("files", "pythonhosted", "org"), ("proxy", "golang", "org"), ("pypi", "org/simple"))
)


@pytest.fixture(scope="module")
def texts(root):
    """Map every file that git would carry to its text; binary files are left out."""
    found = {}
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not SKIPPED.fullmatch(name))
        for path in (Path(folder, name) for name in files):
            try:
                found[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
    return found


def test_the_visible_top_level_is_exactly_the_agreed_set(root):
    seen = {path.name for path in root.iterdir() if not path.name.startswith(".")}
    assert seen - MADE == VISIBLE


def test_only_one_line_of_the_ci_script_looks_beside_the_repository(texts, demand_none):
    named = [
        (path, number)
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if NEIGHBOUR in line
    ]
    demand_none(f"{path}:{number}" for path, number in named if path != ".ci/run")
    assert len(named) <= 1


def test_no_file_names_a_path_of_somebody_s_machine(texts, demand_none):
    demand_none(
        f"{path}:{number} {line.strip()[:80]}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE.search(line)
    )


def test_no_file_names_the_address_of_an_index(texts, demand_none):
    demand_none(f"{path}: {index}" for path, text in texts.items() for index in INDEXES if index in text)


def test_the_licence_is_whole_and_named(root):
    text = (root / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])


def test_documents_name_the_distribution_that_is_ours(texts, demand_none):
    """`trustkit` on PyPI belongs to somebody else: nobody may be sent there."""
    wrong = re.compile(r"pip3? install (--?[\w=-]+ )*['\"]?trustkit\b")
    demand_none(
        path for path, text in texts.items() if path.endswith((".md", ".toml")) and wrong.search(text)
    )


def test_links_between_documents_lead_somewhere(root, texts, demand_none):
    link = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|<img[^>]+src=\"([^\"]+)\"")
    offences = []
    for path, text in texts.items():
        if not path.endswith(".md"):
            continue
        for pair in link.findall(text):
            target = pair[0] or pair[1]
            if "://" not in target and not (root / path).parent.joinpath(target).exists():
                offences.append(f"{path} links to {target}")
    demand_none(offences)
