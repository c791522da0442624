"""A row of the threat model without a test that exists is a wish, and fails here."""

import re

import pytest

NODE = re.compile(r"`(tests/[\w./-]+\.py)::([\w.:\[\]-]+)`")


@pytest.fixture(scope="module")
def rows(root):
    """Return the rows of the tables under `## Threats`, as lists of cells."""
    text = (root / "trustkit/design/threat-model.md").read_text(encoding="utf-8")
    threats = text.split("\n## Threats", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in threats.splitlines() if line.startswith("| ")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if not line.startswith("| Id ")
    ]


def test_every_row_names_tests_that_exist(rows, is_test, demand_none):
    offences = []
    for identity, *_, shown in rows:
        nodes = NODE.findall(shown)
        if not nodes:
            offences.append(f"{identity} names no test")
        offences += [
            f"{identity} names {file}::{name}" for file, name in nodes if not is_test(f"{file}::{name}")
        ]
    demand_none(offences)


def test_rows_are_numbered_and_whole(rows):
    assert len(rows) >= 18, "the table lost rows, or is no longer found"
    assert [row[0] for row in rows] == [f"T{number:02d}" for number in range(1, len(rows) + 1)]
    assert {len(row) for row in rows} == {7}
    assert {letter for row in rows for letter in row[1]} == set("STRIDE")


def test_a_name_that_is_nowhere_would_be_noticed(is_test):
    here = "tests/contract/test_contract_threats.py"
    assert is_test(f"{here}::test_rows_are_numbered_and_whole")
    assert not is_test(f"{here}::test_that_nobody_wrote")
    assert not is_test("tests/contract/test_gone.py::test_rows_are_numbered_and_whole")
