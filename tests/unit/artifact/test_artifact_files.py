"""Files in columns: what was put in comes out, rare or not, in the order of names."""

import dataclasses

import pytest

from trustkit.artifact.files import Files, Stamp, TreeFile

STAMP = Stamp(7, 2**64 - 1, 3, 4_000_000_000_000_000_000, 5)


def plain(name, **stamp):
    return TreeFile(name, 0, name, dataclasses.replace(STAMP, **stamp))


FOUND = [
    plain("b", size=1),
    TreeFile("c", 0, "real/c", STAMP),
    plain("a-", size=2, inode=9),
    TreeFile("a", 1, "blob", STAMP),
    TreeFile("z/h", 0, "z/h", STAMP, links=2),
    plain("z/old", mtime_ns=-1, size=2**40),
    TreeFile("a/linked", 0, "a/linked", STAMP, links=3),
]


@pytest.fixture
def files():
    found = Files()
    for file in FOUND:
        found.append(file)
    return found


def test_columns_are_the_files_they_were_made_of(files):
    assert (list(files), len(files)) == (FOUND, len(FOUND))
    assert (files[0], files[-1], files[1:3], files[::-1]) == (FOUND[0], FOUND[-1], FOUND[1:3], FOUND[::-1])
    assert list(files.sizes()) == [file.stamp.size for file in FOUND]
    assert list(files.names) == [file.name for file in FOUND]
    with pytest.raises(IndexError):
        files[len(FOUND)]


def test_sorted_by_name(files):
    files.sort()
    ordered = sorted(FOUND, key=lambda file: file.name)
    assert list(files) == ordered
    assert list(files.sizes()) == [file.stamp.size for file in ordered]
    assert [file.name for file in files.linked()] == ["a/linked", "z/h"]
    files.sort()
    assert list(files) == ordered


def test_found_by_name_whatever_was_guessed(files):
    files.sort()
    for place, file in enumerate(files):
        for guess in (0, place, place + 1, len(files), len(files) + 5):
            assert files.find(file.name, guess) == place
    for name in ("", "0", "a/", "zz"):
        assert files.find(name) is None
    assert Files().find("a") is None


def test_known_by_identity(files):
    assert files.holds(7, 9)
    assert files.holds(7, 2**64 - 1)
    assert not files.holds(8, 9)
    assert not files.holds(7, 10)
    assert not Files().holds(7, 9)
