"""How models are named: the files of the webhook and of the command line, read by one function."""

import pytest

from trustkit.errors import FormatError, UsageError
from trustkit.workflows.naming import digests_of, table_and_bases
from trustkit.workloads import table as tables
from trustkit.workloads.table import default_table

ROWS = (
    "version: trustkit.dev/workloads/v1\nkinds:\n  ml.example/Server: {serves: true, models: [spec.brain]}\n"
)
BASE = (
    "apiVersion: ml.example/v1\nkind: Base\nmetadata: {name: shared}\nspec: {model: {uri: 'hf://org/name'}}\n"
)


def test_without_files_it_is_the_table_of_the_package_and_no_bases():
    table, bases = table_and_bases(None, None)
    assert table is default_table()
    assert digests_of(table, bases) == {"table_digest": str(table.digest), "bases_digest": ""}


def test_rows_are_added_and_bases_are_read_with_the_table_that_has_them(tmp_path):
    rows, bases = tmp_path / "rows.yaml", tmp_path / "bases.yaml"
    rows.write_text(ROWS + '  ml.example/Base: {template: true, bases: ["spec.baseRefs.*.name"]}\n')
    bases.write_text(BASE)
    with pytest.raises(FormatError, match="of no kind that is merged"):
        table_and_bases(None, bases)
    table, found = table_and_bases(rows, bases)
    assert table.digest != default_table().digest
    assert set(found.seen_from("team")) == {"shared"}
    assert digests_of(table, found)["bases_digest"] == str(found.digest)


def test_the_table_of_the_package_is_built_for_nobody_who_brings_rows(tmp_path, monkeypatch):
    """Reading it takes longer than all else, and it is read once: for the rows to be added to."""
    rows, read = tmp_path / "rows.yaml", []
    rows.write_text(ROWS)
    real = tables.default_document

    def counted():
        read.append(1)
        return real()

    default_table.cache_clear()
    monkeypatch.setattr(tables, "default_document", counted)
    monkeypatch.setattr("trustkit.workloads.extension.default_document", counted)
    table_and_bases(rows, None)
    assert len(read) == 1


@pytest.mark.parametrize("which", ["table", "bases"])
def test_what_is_wrong_with_a_file_is_said(tmp_path, which):
    bad = tmp_path / "bad.yaml"
    files = {"table": None, "bases": None, which: bad}
    with pytest.raises(UsageError, match=rf"there is no {which} at .*bad\.yaml"):
        table_and_bases(**files)
    bad.write_text("{}")
    with pytest.raises(FormatError, match=rf"{which}") as caught:
        table_and_bases(**files)
    assert caught.value.code == f"bad-{which}"
