"""Records of decisions: numbered, indexed, whole, and honest about their price."""

import re

import pytest

SECTIONS = ["Context", "Options", "Decision", "What got worse"]
STATES = ("Accepted, in the code", "Accepted, partly in the code", "Accepted, not built yet", "Superseded by")


@pytest.fixture(scope="module")
def records(root):
    folder = root / "trustkit/design/adr"
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("[0-9]*.md"))}


def test_numbers_run_without_gaps(records):
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    assert all(text.startswith(f"# {name[:4]}. ") for name, text in records.items())


def test_every_record_has_its_sections_and_says_what_got_worse(records, demand_none):
    offences = []
    for name, text in records.items():
        sections = dict(re.findall(r"^## (.+)\n\n((?:(?!^## ).*\n)+)", text, re.MULTILINE))
        if [title for title in sections if title != "Where to look"] != SECTIONS:
            offences.append(f"{name}: {list(sections)}")
        elif len(sections["What got worse"].split()) < 8:
            offences.append(f"{name}: what got worse?")
    demand_none(offences)


def test_every_record_has_a_state(records, demand_none):
    demand_none(
        name
        for name, text in records.items()
        if not re.match(rf"\*({'|'.join(STATES)})", text.splitlines()[2])
    )


def test_the_index_lists_every_record_by_its_title_and_state(records, root, demand_none):
    index = (root / "trustkit/design/adr/README.md").read_text(encoding="utf-8")
    offences = []
    for name, text in records.items():
        title = text.splitlines()[0].split(". ", 1)[1]
        state = text.splitlines()[2].strip("*").split(". ")[0].removeprefix("Accepted, ")
        if f"| [{name[:4]}]({name}) | {title} | {state} |" not in index:
            offences.append(name)
    demand_none(offences)


def test_places_that_records_name_exist(records, root, demand_none):
    place = re.compile(r"`((?:trustkit|admission|policies|tests)/[\w./-]*)`")
    demand_none(
        f"{name} names {found}"
        for name, text in records.items()
        if "not built yet" not in text.splitlines()[2]
        for found in place.findall(text)
        if not (root / found).exists()
    )
