"""README's table of limits is the code's: every cap it lists has that value where the row says it stands."""

import importlib
import re

import pytest

ROW = re.compile(r"^\| (.+?) \| (\d+)(?: (bytes|KiB|MiB|levels|ms))? \| `([\w.]+)` \|$", re.MULTILINE)
UNITS = {None: 1, "bytes": 1, "levels": 1, "KiB": 1 << 10, "MiB": 1 << 20, "ms": 0.001}


@pytest.fixture(scope="module")
def rows(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    section = text.split("\n### Limits\n", 1)[1].split("\n### ", 1)[0]
    found = ROW.findall(section)
    assert len(found) == sum(line.startswith("| ") for line in section.splitlines()) - 1, (
        "a row is unreadable"
    )
    return found


def test_every_limit_is_what_the_code_says(rows, demand_none):
    offences = []
    for what, number, unit, place in rows:
        module, name = place.rsplit(".", 1)
        value = getattr(importlib.import_module(module), name)
        if value != pytest.approx(int(number) * UNITS[unit or None], rel=1e-12):
            offences.append(f"{what}: README says {number} {unit}, {place} is {value}")
    demand_none(offences)


def test_the_agreed_limits_are_listed(rows):
    """The architecture settles these; a lower or higher one is another product."""
    listed = {what: (int(number), unit) for what, number, unit, _ in rows}
    assert listed["bundle, command line"] == (256, "MiB")
    assert listed["bundle, webhook (default of `document_max_bytes`)"] == (32, "MiB")
    assert listed["JSON nesting"] == (64, "levels")
    assert listed["signatures in an envelope"] == (32, "")
    assert listed["resources in a manifest"] == (2_000_000, "")
    assert listed["file name"] == (4096, "bytes")
    assert listed["folders above a file"] == (300, "levels")
    assert listed["recipients of a sealed artifact"] == (1000, "")
    assert listed["AdmissionReview"] == (6, "MiB")
    assert listed["evaluation of rules, time"] == (200, "ms")
    assert listed["evaluation of rules, memory"] == (64, "MiB")
