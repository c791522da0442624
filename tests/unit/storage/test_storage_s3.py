"""Objects over S3's protocol: pinned when listed, and refused when anything of the pin is another.

Against moto's server where that can do it; answers that no honest store gives come from a store that lies.
"""

import datetime as dt
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("s3fs", reason="model-trustkit[dask] is not installed")

from trustkit.digest import digest_of
from trustkit.errors import UnavailableError, UsageError, VerificationError
from trustkit.storage import object_pieces
from trustkit.storage.object_pieces import ObjectPiece, hash_objects
from trustkit.storage.s3 import S3, TRIES
from trustkit.storage.stores import MAX_OBJECT, Listed, Pin

pytestmark = pytest.mark.xdist_group("cluster")
WRITTEN = dt.datetime(2026, 11, 1, 12, 0, 0, 900_000, tzinfo=dt.UTC)
PIN = Pin(10, '"abc"', int(WRITTEN.timestamp()))


def keys(store, bucket, prefix, **how):
    return [listed.key for page in store.pages(bucket.name, prefix, **how) for listed in page]


def pin_of(store, bucket, key):
    [[listed]] = store.pages(bucket.name, key)
    return listed.pin


def test_a_listing_has_every_object_and_its_pin(bucket):
    bucket.fill("listed", {"b": b"12345", "a/x": b"", "é": b"1"})
    store = S3()
    assert keys(store, bucket, "listed/") == ["listed/a/x", "listed/b", "listed/é"]
    assert keys(store, bucket, "listed/", most=1) == keys(store, bucket, "listed/")
    pin = pin_of(store, bucket, "listed/b")
    assert (pin.size, pin.version) == (5, '"827ccb0eea8a706c4c34a16891f84e7b"')
    assert pin.written > 1_700_000_000


def test_ranges_are_read_as_asked(bucket):
    bucket.put("ranges", b"0123456789")
    store = S3()
    pin = pin_of(store, bucket, "ranges")
    assert store.read(bucket.name, "ranges", pin, start=0, end=10) == b"0123456789"
    assert store.read(bucket.name, "ranges", pin, start=3, end=5) == b"34"


def test_an_empty_object_is_read_too(bucket):
    bucket.put("nothing", b"")
    store = S3()
    assert store.read(bucket.name, "nothing", pin_of(store, bucket, "nothing"), start=0, end=0) == b""


@pytest.mark.parametrize("content", [b"9876543210", b"short", None])
def test_an_object_that_was_written_again_is_refused(content, bucket, refused):
    bucket.put("again", b"0123456789")
    store = S3()
    pin = pin_of(store, bucket, "again")
    if content is None:
        bucket.remove("again")
    else:
        bucket.put("again", content)
    with refused(VerificationError, "file-changed") as caught:
        store.read(bucket.name, "again", pin, start=2, end=10)
    assert caught.value.evidence == {"name": "again"}


def test_an_object_that_grew_behind_what_was_read_is_refused(bucket, refused):
    """Its ETag is forged here, as of a store that heeds no condition: the size in the answer tells."""
    bucket.put("growing", b"0123456789")
    store = S3()
    pin = pin_of(store, bucket, "growing")
    with refused(VerificationError, "file-changed"):
        store.read(bucket.name, "growing", pin._replace(size=9), start=2, end=5)


def test_the_same_bytes_written_at_another_time_are_another_object(bucket, refused):
    bucket.put("restored", b"0123456789")
    store = S3()
    pin = pin_of(store, bucket, "restored")
    with refused(VerificationError, "file-changed"):
        store.read(bucket.name, "restored", pin._replace(written=pin.written - 1), start=0, end=10)


def test_there_is_no_such_bucket(bucket, refused):
    with refused(UsageError, "no-such-path"):
        list(S3().pages("no-such-bucket", ""))


def test_small_objects_and_large_ones_are_hashed_in_blocks(bucket, monkeypatch):
    monkeypatch.setattr(object_pieces, "BLOCK", 7)
    store, contents = S3(), {"p/a": b"0123456789abcdef", "p/b": b"", "p/c": b"1234567", "p/d": b"x" * 100}
    pieces = []
    for key, content in contents.items():
        bucket.put(key, content)
        pieces.append(
            ObjectPiece("s3", bucket.name, key, pin_of(store, bucket, key), 0, len(content), "sha256")
        )
    pieces.append(pieces[0]._replace(start=3, end=12, algorithm="blake3"))
    expected = [digest_of(content).value for content in contents.values()]
    expected.append(digest_of(contents["p/a"][3:12], "blake3").value)
    assert hash_objects(pieces) == b"".join(expected)


def test_a_load_fails_as_its_first_object_does(bucket, refused):
    bucket.put("q/a", b"0123456789")
    pin = pin_of(S3(), bucket, "q/a")
    piece = ObjectPiece("s3", bucket.name, "q/a", pin, 0, 10, "sha256")
    with refused(VerificationError, "file-changed"):
        hash_objects([piece, piece._replace(pin=pin._replace(version='"other"')), piece])


@pytest.mark.parametrize("missing", ["s3fs", "aiohttp", "botocore.exceptions"])
def test_without_its_libraries_the_extra_is_named(missing, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, missing, None)
    with refused(UsageError, "extra-needed") as caught:
        S3()
    assert caught.value.message.endswith("pip install '.[dask]'")


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        ("https://minio.example:9000", True),
        ("http://localhost:9000", True),
        ("http://[::1]:9000/", True),
        ("http://minio.example:9000", False),
        ("http://127.0.0.1.evil.example", False),
    ],
)
def test_a_store_on_another_machine_has_tls(endpoint, allowed, bucket, monkeypatch, refused):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    def started():
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        return S3()

    try:
        with ThreadPoolExecutor(1) as pool:  # a thread of its own has a session of its own
            if allowed:
                assert pool.submit(started).result()
            else:
                with refused(UsageError, "store-unencrypted"):
                    pool.submit(started).result()
    finally:
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()


def test_a_session_that_cannot_be_had(bucket, monkeypatch, refused):
    import s3fs

    def broken(self):
        raise OSError("no configuration")

    monkeypatch.setattr(s3fs.S3FileSystem, "s3", property(broken))
    with refused(UnavailableError, "unreadable"):
        S3()


class Body:
    """What an answer brings; notes whether it was read, and whether its connection was given back."""

    def __init__(self, raw):
        self.raw = raw
        self.taken = self.closed = False

    async def read(self):
        self.taken = True
        if isinstance(self.raw, Exception):
            raise self.raw
        return self.raw

    def close(self):
        self.closed = True


class Liar:
    """In s3fs's place: a store that answers whatever a test wants, one answer after the other."""

    def __init__(self, loop, *answers):
        self.loop = loop
        self.answers = list(answers)
        self.asked = []

    def call_s3(self, method, **asked):
        self.asked.append((method, asked))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def lying(bucket):
    def tell(*answers):
        store = S3()
        store._fs = Liar(store._fs.loop, *answers)
        return store

    return tell


def answer(raw=b"01234", **members):
    whole = {
        "ETag": PIN.version,
        "LastModified": WRITTEN,
        "ContentRange": "bytes 0-4/10",
        "ContentLength": 5,
        "Body": Body(raw),
    }
    return {name: value for name, value in {**whole, **members}.items() if value is not None}


class RefusalError(OSError):
    """As s3fs raises it: an OSError, with botocore's answer behind it."""

    def __init__(self, status, code):
        super().__init__(5, "whatever the store says\x1b[2J")
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


def test_an_honest_answer_of_the_store_that_lies(lying):
    store = lying(answer())
    assert store.read("bucket", "key", PIN, start=0, end=5) == b"01234"
    assert store._fs.asked == [
        ("get_object", {"Bucket": "bucket", "Key": "key", "IfMatch": '"abc"', "Range": "bytes=0-4"})
    ]


@pytest.mark.parametrize(
    ("members", "kind", "code"),
    [
        ({"ETag": '"other"'}, VerificationError, "file-changed"),
        ({"ETag": None}, VerificationError, "file-changed"),
        ({"LastModified": WRITTEN + dt.timedelta(seconds=1)}, VerificationError, "file-changed"),
        ({"LastModified": None}, VerificationError, "file-changed"),
        ({"LastModified": "yesterday"}, VerificationError, "file-changed"),
        ({"ContentRange": "bytes 0-4/11"}, VerificationError, "file-changed"),
        ({"ContentRange": "bytes 1-5/10"}, VerificationError, "file-changed"),
        ({"ContentRange": None}, VerificationError, "file-changed"),
        ({"ContentLength": 6}, UnavailableError, "bad-answer"),
        ({"ContentLength": None}, UnavailableError, "bad-answer"),
    ],
)
def test_of_a_lying_answer_nothing_is_read(members, kind, code, lying, refused):
    lie = answer(**members)
    with refused(kind, code):
        lying(lie).read("bucket", "key", PIN, start=0, end=5)
    assert (lie["Body"].taken, lie["Body"].closed) == (False, True)


def test_an_object_that_is_empty_no_more(lying, refused):
    grown = answer(ContentRange=None, ContentLength=3)
    with refused(UnavailableError, "bad-answer"):
        lying(grown).read("bucket", "key", PIN._replace(size=0), start=0, end=0)


@pytest.mark.parametrize("fault", [OSError("reset"), TimeoutError("slow"), b"012", b"0123456"])
def test_a_read_that_fails_is_tried_again(fault, lying):
    store = lying(answer(fault), answer(fault), answer())
    assert store.read("bucket", "key", PIN, start=0, end=5) == b"01234"


def test_a_read_that_goes_on_failing_ends(lying, refused):
    store = lying(*[answer(OSError("reset"))] * (TRIES + 1))
    with refused(UnavailableError, "unreadable") as caught:
        store.read("bucket", "key", PIN, start=0, end=5)
    assert caught.value.message == "cannot read 'key': OSError"
    assert len(store._fs.asked) == TRIES


def test_a_right_that_is_lacking_is_not_asked_for_again(lying, refused):
    denied = PermissionError("Access Denied")
    denied.__cause__ = RefusalError(403, "AccessDenied")
    store = lying(denied)
    with refused(UnavailableError, "unreadable") as caught:
        store.read("bucket", "key", PIN, start=0, end=5)
    assert caught.value.message == "cannot read 'key': AccessDenied"


@pytest.mark.parametrize("status", [404, 412, 416])
def test_what_is_gone_has_changed(status, lying, refused):
    with refused(VerificationError, "file-changed"):
        lying(RefusalError(status, "NoSuchKey")).read("bucket", "key", PIN, start=0, end=5)


def row(**members):
    whole = {"Key": "key", "Size": 10, "ETag": PIN.version, "LastModified": WRITTEN}
    return {name: value for name, value in {**whole, **members}.items() if value is not None}


@pytest.mark.parametrize(
    "members",
    [
        *({"Key": None}, {"Key": 1}, {"Size": None}, {"Size": -1}, {"Size": "1"}, {"Size": MAX_OBJECT + 1}),
        *({"ETag": None}, {"ETag": ""}, {"ETag": "x" * 257}, {"ETag": 1}),
    ],
)
def test_a_row_that_is_none(members, lying, refused):
    with refused(UnavailableError, "bad-answer"):
        list(lying({"Contents": [row(**members)]}).pages("bucket", ""))


def test_a_row_without_a_time_has_none(lying):
    [[listed]] = lying({"Contents": [row(LastModified=None)]}).pages("bucket", "")
    assert listed == Listed("key", PIN._replace(written=0))


def test_pages_follow_each_other(lying):
    store = lying(
        {"Contents": [row(Key="a")], "IsTruncated": True, "NextContinuationToken": "x"},
        {"IsTruncated": True, "NextContinuationToken": "y"},
        {"Contents": [row(Key="b")], "IsTruncated": False},
    )
    assert [[listed.key for listed in page] for page in store.pages("bucket", "p")] == [["a"], [], ["b"]]
    assert [asked.get("ContinuationToken") for _, asked in store._fs.asked] == [None, "x", "y"]


@pytest.mark.parametrize("token", [None, 1, "x"])
def test_a_listing_that_leads_back_to_itself_ends(token, lying, refused):
    pages = [
        {"IsTruncated": True, "NextContinuationToken": "x"},
        {"IsTruncated": True, "NextContinuationToken": token},
    ]
    with refused(UnavailableError, "bad-answer"):
        list(lying(*pages).pages("bucket", "p"))


def test_a_listing_that_fails(lying, refused):
    with refused(UnavailableError, "unreadable") as caught:
        list(lying(RefusalError(500, "bad \x1b code")).pages("bucket", "p"))
    assert caught.value.message == "cannot read the listing of 'bucket': RefusalError"
