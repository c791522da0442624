"""A listing as a tree: the names and rules of a folder, whatever a store says there is."""

from dataclasses import dataclass, field

import pytest

from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError, VerificationError
from trustkit.storage import objects
from trustkit.storage.addresses import parse_address
from trustkit.storage.objects import list_objects, scan_objects
from trustkit.storage.stores import Listed, Pin

MODEL = parse_address("s3://models/acme/tiny")
FOLDER = parse_address("s3://models/acme/tiny/")
BUCKET = parse_address("s3://models")


@dataclass
class Shelf:
    """A store in memory, in the place of S3's pages; breakable by what is put on it."""

    pins: dict = field(default_factory=dict)
    page: int = 2
    strays: tuple = ()

    def put(self, key, size=1, version='"1"', written=1):
        self.pins[key] = Pin(size, version, written)

    def pages(self, bucket, prefix, *, most=1000):
        found = [Listed(*item) for item in sorted(self.pins.items()) if item[0].startswith(prefix)]
        found += [Listed(key, Pin(1, '"1"', 1)) for key in self.strays]
        yield from (found[start : start + self.page] for start in range(0, max(len(found), 1), self.page))


@pytest.fixture
def shelf():
    found = Shelf()
    for name in ("b", "a/x", "a/y/z", "é", "a.b"):
        found.put(f"acme/tiny/{name}", size=len(name), written=7)
    found.put("acme/tinyother/x")
    return found


def names(tree):
    return list(tree.files.names)


def scanned(store, address=MODEL, **how):
    return scan_objects(store, list_objects(store, address), **how)


@pytest.mark.parametrize("address", [MODEL, FOLDER])
def test_a_folder_is_what_lies_below_it(address, shelf):
    tree = scanned(shelf, address)
    assert (names(tree), tree.single) == (["a.b", "a/x", "a/y/z", "b", "é"], False)
    assert [file.stamp.size for file in tree.files] == [3, 3, 5, 1, 1]


def test_a_whole_bucket_is_a_folder(shelf):
    assert names(scanned(shelf, BUCKET))[-2:] == ["acme/tiny/é", "acme/tinyother/x"]


def test_one_object_is_a_single_file(shelf):
    tree = scanned(shelf, parse_address("s3://models/acme/tiny/a/x"))
    assert (names(tree), tree.single) == (["x"], True)


def test_nothing_is_there(shelf, refused):
    for text in ("s3://models/acme/tin", "s3://models/acme/tiny/a/x/", "s3://models/none"):
        with refused(UsageError, "no-such-path"):
            list_objects(shelf, parse_address(text))


def test_an_object_and_a_folder_of_one_name_are_refused(shelf, refused):
    shelf.put("acme/tiny")
    with refused(FormatError, "name-twins"):
        list_objects(shelf, MODEL)
    assert len(list_objects(shelf, FOLDER).entries) == 5


@pytest.mark.parametrize("key", ["acme/tiny/", "acme/tiny/sub/", "acme/tiny/sub/deep/"])
def test_the_empty_objects_that_stand_for_folders_are_none(key, shelf):
    before = list_objects(shelf, MODEL)
    shelf.put(key, size=0)
    assert list_objects(shelf, MODEL) == before


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("", 1), ("sub/", 1), ("/", 0), ("sub//", 0), ("../", 0), ("..", 1), ("sub//x", 1), ("./x", 1)),
        *(("/x", 1), ("x\ny", 1), ("x\\y", 1), ("x\x1b[2J", 1), ("x\ud800", 1)),
    ],
)
def test_keys_that_are_no_names_are_refused(name, size, shelf, refused):
    shelf.put(f"acme/tiny/{name}", size=size)
    with refused(FormatError, "unsafe-name"):
        list_objects(shelf, MODEL)


@pytest.mark.parametrize("name", ["B", "A/other", "b/inside", "e\u0301", "A.B/x"])
def test_keys_that_are_one_name_elsewhere_are_refused(name, shelf, refused):
    shelf.put(f"acme/tiny/{name}")
    with refused(FormatError, "name-twins"):
        scanned(shelf)


@pytest.mark.parametrize(
    ("name", "code"), [("x" * 4097, "name-too-long"), ("/".join("x" * 301), "name-too-deep")]
)
def test_caps_on_names(name, code, shelf, refused):
    shelf.put(f"acme/tiny/{name}")
    with refused(LimitError, code):
        list_objects(shelf, MODEL)


def test_a_cap_on_objects_ends_the_listing(shelf, refused):
    assert len(list_objects(shelf, MODEL, max_files=5).entries) == 5
    with refused(LimitError, "too-many-files"):
        list_objects(shelf, MODEL, max_files=4)


def test_a_cap_on_pages_ends_it_too(shelf, refused, monkeypatch):
    monkeypatch.setattr(objects, "MAX_PAGES", 2)
    with refused(LimitError, "too-many-files"):
        list_objects(shelf, MODEL)


def test_objects_of_elsewhere_are_no_answer(shelf, refused):
    shelf.strays = ("other/secret",)
    with refused(UnavailableError, "bad-answer"):
        list_objects(shelf, MODEL)


def test_an_object_listed_twice_is_refused(shelf, refused):
    shelf.strays = ("acme/tiny/b",)
    with refused(FormatError, "duplicate-name"):
        scanned(shelf)


def test_what_is_ignored_is_named_once_and_left_out(shelf):
    tree = scanned(shelf, ignore=("a", "b", "none", "a/y"))
    assert (names(tree), tree.ignored) == (["a.b", "é"], ["a", "b"])
    assert tree.ignores("a/y/z")


@pytest.mark.parametrize(
    ("hidden", "ignore"), [("model.sig", ()), ("model.claims.jsonl", ()), (".gitignore", (".gitignore",))]
)
def test_nothing_hides_below_a_name_that_is_for_a_file(hidden, ignore, shelf, refused):
    shelf.put(f"acme/tiny/{hidden}/x")
    with refused(FormatError, "special-file"):
        scanned(shelf, ignore=ignore)


def test_its_files_are_not_here(shelf, refused):
    tree = scanned(shelf)
    with refused(UsageError, "not-here"):
        tree.open(tree.files[0])
    tree.close()


def added(shelf):
    shelf.put("acme/tiny/new")


def removed(shelf):
    del shelf.pins["acme/tiny/é"]


def all_removed(shelf):
    shelf.pins = {}


def grown(shelf):
    shelf.put("acme/tiny/b", size=2, written=7)


def rewritten(shelf):
    shelf.put("acme/tiny/b", size=1, version='"2"', written=7)


def restored(shelf):
    shelf.put("acme/tiny/b", size=1, written=8)


def hostile(shelf):
    shelf.put("acme/tiny/../x")


def crowded(shelf):
    for number in range(10):
        shelf.put(f"acme/tiny/{number}")


@pytest.mark.parametrize(
    "change",
    [added, removed, all_removed, grown, rewritten, restored, hostile, crowded],
    ids=lambda f: f.__name__,
)
def test_a_store_that_changed_meanwhile_is_noticed_at_the_end(change, shelf, refused):
    tree = scanned(shelf, max_files=8)
    tree.check_unchanged()
    change(shelf)
    with refused(VerificationError, "file-changed"):
        tree.check_unchanged()
