"""Names: what is accepted stays inside its folder on any disk, and no two accepted names meet."""

import os
import tempfile
import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trustkit.artifact.names import check_distinct, check_name, check_names
from trustkit.artifact.tree import scan
from trustkit.digest import SIZES, Digest, digest_of, parse_digest
from trustkit.errors import FormatError, LimitError, TrustkitError

PIECES = st.lists(
    st.sampled_from(
        ["a", "B", ".", "..", "/", "//", "\\", "\0", "\n", " ", ":", "é", "\u202e", "\ud800", "CON"]
    )
    | st.text(max_size=2),
    max_size=8,
).map("".join)
FOLDING = [
    *("a", "A", "k", "\N{KELVIN SIGN}", "é", "e\u0301", "É", "ß", "ss", "ẞ", "ﬁ", "fi", "\u200d"),
    *("\N{GREEK SMALL LETTER SIGMA}", "\N{GREEK SMALL LETTER FINAL SIGMA}"),
]
TWINS = st.lists(
    st.lists(st.sampled_from(FOLDING), min_size=1, max_size=2).map("".join), min_size=1, max_size=3
).map("/".join)
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def accepted(name):
    try:
        return check_name(name) == name
    except (FormatError, LimitError):
        return False


@settings(max_examples=1000)
@given(PIECES)
@example("a/../b")
@example("a/\n")
def test_an_accepted_name_means_the_same_everywhere(name):
    if not accepted(name):
        return
    assert os.path.normpath(f"/model/{name}") == f"/model/{name}"
    assert PurePosixPath(name).as_posix() == name
    assert not PurePosixPath(name).is_absolute()
    assert PureWindowsPath(name).parts == PurePosixPath(name).parts or ":" in name
    assert not {unicodedata.category(character) for character in name} & {"Cc", "Cs", "Zl", "Zp"}
    assert name.encode().decode() == name


@settings(max_examples=1000)
@given(PIECES)
def test_a_name_is_refused_for_a_reason(name):
    """Every rule is stated here once more, by other means; nothing else is refused."""
    reasons = (
        any(part in {"", ".", ".."} for part in name.split("/"))
        or "\\" in name
        or any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name)
        or any(unicodedata.bidirectional(character) in TURNING for character in name)
    )
    assert accepted(name) == (not reasons)


@settings(max_examples=300, deadline=None)
@given(PIECES)
def test_a_name_on_a_disk_is_judged_as_in_a_document(name):
    """What a file system can hold under a name, the walk finds under that name or refuses."""
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:
        return
    if not raw or b"\0" in raw or b"/" in raw or raw in {b".", b".."}:
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + raw)).touch()
        try:
            with scan(Path(folder)) as tree:
                assert [file.name for file in tree.files] == [name]
                found = True
        except TrustkitError:
            found = False
    assert found == accepted(name)


@settings(max_examples=1000)
@given(st.lists(TWINS, max_size=6))
def test_accepted_names_stay_apart_on_file_systems_that_fold(names):
    def fold(text):
        plain = "".join(character for character in text if character != "\u200d")
        return unicodedata.normalize("NFKD", unicodedata.normalize("NFD", plain).casefold())

    try:
        check_distinct(names)
    except FormatError as error:
        refused = error.code
    else:
        refused = None
    files = [tuple(fold(part) for part in name.split("/")) for name in names]
    above = {tuple(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    folders = [tuple(map(fold, folder)) for folder in above]
    distinct = len({*files, *folders}) == len(files) + len(folders)
    assert (refused is None) == distinct
    assert (refused == "duplicate-name") <= (len(set(names)) < len(names))


@given(st.sampled_from(sorted(SIZES)), st.data())
def test_a_digest_is_written_one_way(algorithm, data):
    size = SIZES[algorithm]
    digest = Digest(algorithm, data.draw(st.binary(min_size=size, max_size=size)))
    assert parse_digest(str(digest)) == digest
    place = data.draw(st.integers(0, len(str(digest)) - 1))
    other = data.draw(st.characters())
    changed = str(digest)[:place] + other + str(digest)[place + 1 :]
    try:
        assert str(parse_digest(changed)) == changed
    except FormatError:
        assert changed != str(digest)


@given(st.lists(st.binary(max_size=5), max_size=5), st.sampled_from(sorted(SIZES)))
def test_a_digest_is_of_the_bytes_and_not_of_the_chunks(chunks, algorithm):
    assert digest_of(b"".join(chunks), algorithm) == digest_of(bytearray(b"".join(chunks)), algorithm)


@settings(max_examples=1000, deadline=None)
@given(st.lists(PIECES, max_size=4))
def test_many_names_are_judged_as_each_of_them_is(names):
    try:
        check_names(names)
    except TrustkitError as error:
        code = error.code
    else:
        code = None
    codes = []
    for name in names:
        try:
            check_name(name)
        except TrustkitError as error:
            codes.append(error.code)
    assert code == (codes[0] if codes else None)
