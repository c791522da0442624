"""Objects of Google's kind: pinned by their generation, and refused when anything of the pin is another.

The store is `tests/simulators/gcs.py`, which gcsfs itself writes to and reads from here.
"""

import sys

import pytest

pytest.importorskip("gcsfs", reason="model-trustkit[gs] is not installed")

from trustkit.digest import digest_of
from trustkit.errors import UnavailableError, UsageError, VerificationError
from trustkit.storage import gs, object_pieces
from trustkit.storage.addresses import parse_address
from trustkit.storage.gs import GS, PAUSES
from trustkit.storage.object_pieces import ObjectPiece, hash_objects
from trustkit.storage.objects import list_objects, scan_objects
from trustkit.storage.stores import MAX_OBJECT

pytestmark = pytest.mark.xdist_group("cluster")
ODD = ["a b", "é", "50%", "x%2Fy", "q?r#s&t=u+v", "~'(!)*:@;,$"]


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(gs, "PAUSES", (0.0,) * len(PAUSES))


@pytest.fixture
def store(cloud):
    return GS()


@pytest.fixture
def ten(cloud, store):
    """An object of ten bytes, and its pin."""
    cloud.put("ten", b"0123456789")
    return pin_of(store, cloud, "ten")


def pin_of(store, cloud, key):
    [[listed]] = store.pages(cloud.name, key)
    return listed.pin


def keys(store, cloud, prefix, **how):
    return [listed.key for page in store.pages(cloud.name, prefix, **how) for listed in page]


def reads(cloud):
    return [query for path, query, _ in cloud.asked if query.get("alt") == "media"]


def test_the_simulator_is_a_bucket_to_gcsfs_too(cloud):
    """Written, listed, described and read by the client alone, as by anybody's program."""
    from gcsfs.core import GCSFileSystem

    fs = GCSFileSystem(use_listings_cache=False)
    fs.pipe_file(f"{cloud.name}/by client/é", b"0123456789")
    assert cloud.objects["by client/é"].content == b"0123456789"
    assert fs.find(f"{cloud.name}/by client") == [f"{cloud.name}/by client/é"]
    assert fs.info(f"{cloud.name}/by client/é")["size"] == 10
    assert fs.cat_file(f"{cloud.name}/by client/é", start=2, end=5) == b"234"
    with pytest.raises(FileNotFoundError):
        fs.cat_file(f"{cloud.name}/by client/none")


def test_a_listing_has_every_object_and_its_pin(cloud, store):
    cloud.fill("listed", {"b": b"123456789", "a/x": b"", "é": b"1"})
    assert keys(store, cloud, "listed/") == ["listed/a/x", "listed/b", "listed/é"]
    cloud.page = 1
    assert keys(store, cloud, "listed/") == ["listed/a/x", "listed/b", "listed/é"]
    pin = pin_of(store, cloud, "listed/b")
    assert (pin.size, pin.version) == (9, f"{cloud.objects['listed/b'].generation}/4waSgw==")
    assert pin.written > 1_700_000_000


def test_pages_may_be_empty_before_the_object_that_is_meant(cloud, store, monkeypatch):
    cloud.put("late", b"x")
    honest = cloud.listed
    monkeypatch.setattr(
        cloud, "listed", lambda query: honest(query) if "pageToken" in query else {"nextPageToken": "a"}
    )
    found = list_objects(store, parse_address(f"gs://{cloud.name}/late"))
    assert found.single


@pytest.mark.parametrize("name", ODD)
def test_every_name_that_may_be_signed_is_asked_for_as_it_is(name, cloud, store):
    cloud.put(f"odd/{name}", name.encode())
    assert keys(store, cloud, f"odd/{name}") == [f"odd/{name}"]
    size = len(name.encode())
    pin = pin_of(store, cloud, f"odd/{name}")
    assert store.read(cloud.name, f"odd/{name}", pin, start=0, end=size) == name.encode()


def test_ranges_are_read_as_asked_and_under_their_generation(cloud, store, ten):
    assert store.read(cloud.name, "ten", ten, start=0, end=10) == b"0123456789"
    assert store.read(cloud.name, "ten", ten, start=3, end=5) == b"34"
    assert {query["ifGenerationMatch"] for query in reads(cloud)[-2:]} == {ten.version.split("/")[0]}


def test_an_empty_object_is_read_too(cloud, store):
    cloud.put("nothing", b"")
    assert store.read(cloud.name, "nothing", pin_of(store, cloud, "nothing"), start=0, end=0) == b""


def test_what_is_stored_compressed_is_read_as_it_is_stored(cloud, store):
    cloud.put("zipped", b"no gzip at all, whatever it is called", encoding="gzip")
    pin = pin_of(store, cloud, "zipped")
    assert store.read(cloud.name, "zipped", pin, start=3, end=7) == b"gzip"


@pytest.mark.parametrize("content", [b"9876543210", b"0123456789", b"short", None])
@pytest.mark.parametrize("heedless", [False, True])
def test_an_object_that_was_written_again_is_refused(content, heedless, cloud, store, ten, refused):
    """Also the same bytes, and also of a store that heeds no condition: its headers tell."""
    if content is None:
        cloud.remove("ten")
    else:
        cloud.put("ten", content)
    cloud.heedless = heedless
    with refused(VerificationError, "file-changed") as caught:
        store.read(cloud.name, "ten", ten, start=2, end=5)
    assert caught.value.evidence == {"name": "ten"}


@pytest.mark.parametrize(
    ("headers", "kind", "code"),
    [
        ({"X-Goog-Generation": "1"}, VerificationError, "file-changed"),
        ({"X-Goog-Generation": None}, VerificationError, "file-changed"),
        ({"X-Goog-Hash": "md5=x, crc32c=AAAAAA=="}, VerificationError, "file-changed"),
        ({"Content-Range": "bytes 0-4/11"}, VerificationError, "file-changed"),
        ({"Content-Range": "bytes 1-5/10"}, VerificationError, "file-changed"),
        ({"Content-Range": None}, VerificationError, "file-changed"),
        ({"Content-Length": "6"}, UnavailableError, "bad-answer"),
        ({"Content-Length": None, "Connection": "close"}, UnavailableError, "bad-answer"),
    ],
    ids=str,
)
def test_a_lying_answer_is_refused(headers, kind, code, cloud, store, ten, refused):
    cloud.headers = headers
    with refused(kind, code):
        store.read(cloud.name, "ten", ten, start=0, end=5)


def test_an_answer_without_a_checksum_is_still_held_to_its_generation(cloud, store, ten):
    cloud.headers = {"X-Goog-Hash": None}
    assert store.read(cloud.name, "ten", ten, start=0, end=5) == b"01234"


def test_a_size_that_the_listing_lied_about_is_refused(cloud, store, ten, refused):
    with refused(VerificationError, "file-changed"):
        store.read(cloud.name, "ten", ten._replace(size=9), start=0, end=5)
    with refused(VerificationError, "file-changed"):
        store.read(cloud.name, "ten", ten._replace(size=20), start=10, end=15)


def test_a_body_that_is_cut_is_asked_for_again_and_then_given_up(cloud, store, ten, refused):
    cloud.cut, before = 3, len(reads(cloud))
    with refused(UnavailableError, "unreadable") as caught:
        store.read(cloud.name, "ten", ten, start=0, end=5)
    assert caught.value.message == "cannot read 'ten': ClientPayloadError"
    assert len(reads(cloud)) - before == len(PAUSES) + 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_passes_is_waited_for(status, cloud, store, ten):
    cloud.statuses = [status] * len(PAUSES)
    assert store.read(cloud.name, "ten", ten, start=0, end=5) == b"01234"
    cloud.statuses = [status]
    assert "ten" in keys(store, cloud, "ten")


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (403, 1), (400, 1), (503, len(PAUSES) + 1)])
def test_what_does_not_pass_is_said_in_one_word(status, asked, cloud, store, ten, refused):
    cloud.statuses = [status] * asked
    with refused(UnavailableError, "unreadable") as caught:
        store.read(cloud.name, "ten", ten, start=0, end=5)
    assert caught.value.message == f"cannot read 'ten': HTTP{status}"
    assert cloud.statuses == []
    cloud.statuses = [status] * asked
    with refused(UnavailableError, "unreadable") as caught:
        keys(store, cloud, "ten")
    assert caught.value.message == f"cannot read the listing of {cloud.name!r}: HTTP{status}"


@pytest.mark.parametrize("status", [404, 412, 416])
def test_what_is_gone_has_changed(status, cloud, store, ten, refused):
    cloud.statuses = [status]
    with refused(VerificationError, "file-changed"):
        store.read(cloud.name, "ten", ten, start=0, end=5)


def test_no_redirect_is_followed(cloud, store, ten, refused):
    """Not even to where the object would be: whoever sends there gets no token and gives no bytes."""
    cloud.redirect = f"{cloud.endpoint}/elsewhere"
    with refused(UnavailableError, "bad-answer"):
        store.read(cloud.name, "ten", ten, start=0, end=5)
    assert not [path for path, *_ in cloud.asked if path == "/elsewhere"]


def test_there_is_no_such_bucket(store, refused):
    with refused(UsageError, "no-such-path"):
        list(store.pages("no-such-bucket", ""))


def test_a_store_that_is_not_there_is_unreadable(cloud, monkeypatch, refused):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    with refused(UnavailableError, "unreadable"):
        list(GS().pages("models", ""))


@pytest.mark.parametrize(
    "row",
    [
        *({"name": None}, {"name": ""}, {"name": 1}, {"size": None}, {"size": 10}, {"size": "-1"}),
        *({"size": "1e3"}, {"size": str(MAX_OBJECT + 1)}, {"size": "01"}, {"generation": None}),
        *({"generation": 7}, {"generation": "7/x"}, {"generation": "0"}, {"crc32c": None}),
        *({"crc32c": "AAAA"}, {"crc32c": "AAAAAA==/x"}),
    ],
    ids=str,
)
def test_a_row_that_is_none(row, cloud, store, ten, refused):
    cloud.rows = row
    with refused(UnavailableError, "bad-answer"):
        keys(store, cloud, "ten")


@pytest.mark.parametrize("created", [None, "yesterday", "2026-11-30T12:00:00", "1960-01-01T00:00:00Z", 5])
def test_a_row_without_a_time_has_none(created, cloud, store, ten):
    cloud.rows = {"timeCreated": created}
    assert pin_of(store, cloud, "ten") == ten._replace(written=0)


@pytest.mark.parametrize(
    "listing",
    [{"items": {}}, {"items": [7]}, {"items": None}, {"nextPageToken": 1}, {"nextPageToken": ""}],
    ids=str,
)
def test_a_page_that_is_none(listing, cloud, store, ten, refused):
    cloud.listing = listing
    with refused(UnavailableError, "bad-answer"):
        keys(store, cloud, "ten")


def test_a_listing_that_leads_back_to_itself_ends(cloud, store, ten, refused):
    cloud.listing = {"nextPageToken": "again"}
    with refused(UnavailableError, "bad-answer"):
        keys(store, cloud, "ten")


@pytest.mark.parametrize("listing", [[], "text", None])
def test_a_listing_that_is_no_object(listing, cloud, store, monkeypatch, refused):
    monkeypatch.setattr(cloud, "listed", lambda query: listing)
    with refused(UnavailableError, "bad-answer"):
        keys(store, cloud, "")


@pytest.mark.parametrize("raw", [b"{", b'{"a":1,"a":2}', b""])
def test_a_listing_that_is_no_json(raw, cloud, store, monkeypatch, refused):
    monkeypatch.setattr(cloud, "listed", lambda query: raw)
    with refused(UnavailableError, "bad-answer"):
        keys(store, cloud, "")


def test_a_listing_beyond_its_cap_is_not_read_to_its_end(cloud, store, ten, monkeypatch, refused):
    monkeypatch.setattr(gs, "MAX_LISTING", 100)
    with refused(UnavailableError, "bad-answer") as caught:
        keys(store, cloud, "ten")
    assert caught.value.message == "the store answered with more than was asked for"


def test_a_listing_in_an_encoding_is_refused(cloud, store, monkeypatch, refused):
    cloud.listing_headers = {"Content-Encoding": "gzip"}
    with refused(UnavailableError, "bad-answer") as caught:
        keys(store, cloud, "")
    assert "encoding" in caught.value.message


def test_small_objects_and_large_ones_are_hashed_in_blocks(cloud, store, monkeypatch):
    monkeypatch.setattr(object_pieces, "BLOCK", 7)
    contents = {"p/a": b"0123456789abcdef", "p/b": b"", "p/c": b"1234567", "p/d": b"x" * 100}
    pieces = []
    for key, content in contents.items():
        cloud.put(key, content)
        pin = pin_of(store, cloud, key)
        pieces.append(ObjectPiece("gs", cloud.name, key, pin, 0, len(content), "sha256"))
    expected = [digest_of(content).value for content in contents.values()]
    assert hash_objects(pieces) == b"".join(expected)


@pytest.mark.parametrize("change", ["hidden", "written", "added"])
def test_what_changed_in_the_listing_is_noticed_at_the_end(change, cloud, store, refused):
    place = parse_address(cloud.fill("listing", {"a": b"1", "b": b"2"}))
    tree = scan_objects(store, list_objects(store, place))
    tree.check_unchanged()
    if change == "hidden":
        cloud.hidden = {"listing/b"}
    else:
        cloud.put("listing/b" if change == "written" else "listing/c", b"2")
    try:
        with refused(VerificationError, "file-changed"):
            tree.check_unchanged()
    finally:
        cloud.objects.pop("listing/c", None)


@pytest.mark.parametrize("missing", ["gcsfs.core", "gcsfs.retry", "aiohttp", "google.auth.exceptions"])
def test_without_its_libraries_the_extras_are_named(missing, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, missing, None)
    with refused(UsageError, "extra-needed") as caught:
        GS()
    assert caught.value.message == (
        f"gs:// needs {missing}; install it from the source of trustkit: pip install '.[dask,gs]'"
    )


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        ("https://gcs.example", True),
        ("http://localhost:9000", True),
        ("http://[::1]:9000", True),
        ("gcs.example", False),
        ("http://gcs.example:9000", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.1:9000@evil.example", False),
    ],
)
def test_a_store_on_another_machine_has_tls(endpoint, allowed, cloud, monkeypatch, refused):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
    if allowed:
        assert GS()
    else:
        with refused(UsageError, "store-unencrypted"):
            GS()


def test_what_was_checked_is_what_is_asked(cloud, store, ten, monkeypatch):
    """gcsfs looks into the environment for each request; another endpoint there is too late."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://gcs.example")
    assert store.read(cloud.name, "ten", ten, start=0, end=5) == b"01234"


def test_a_token_is_shown_with_every_question(cloud, store, ten):
    """The simulator demands it; without, nothing above would have been read."""
    store.read(cloud.name, "ten", ten, start=0, end=5)
    headers = {name.lower(): value for name, value in cloud.asked[-1][2].items()}
    assert headers["authorization"].startswith("Bearer ")


def test_only_the_right_to_read_is_asked_for(store):
    assert store._fs.credentials.scope == "https://www.googleapis.com/auth/devstorage.read_only"


def test_credentials_that_cannot_be_had(cloud, monkeypatch, refused):
    from gcsfs import core

    def broken(*_, **__):
        raise ValueError("a secret")

    monkeypatch.setattr(core, "GoogleCredentials", broken)
    core.GCSFileSystem.clear_instance_cache()
    with refused(UnavailableError, "unreadable") as caught:
        GS()
    assert caught.value.message == "cannot read the store: ValueError"


def test_credentials_that_expire_are_no_bytes(store, cloud, ten, monkeypatch, refused):
    from google.auth.exceptions import RefreshError

    def expired(_):
        raise RefreshError("a secret")

    monkeypatch.setattr(store._fs.credentials, "apply", expired)
    with refused(UnavailableError, "unreadable") as caught:
        store.read(cloud.name, "ten", ten, start=0, end=5)
    assert caught.value.message == "cannot read 'ten': RefreshError"
