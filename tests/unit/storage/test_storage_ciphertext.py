"""Sealed bytes against a descriptor, without a key: what was signed, whole, or nothing."""

import threading
import time
from types import SimpleNamespace

import pytest

from trustkit.digest import digest_of
from trustkit.errors import SealError, UnavailableError
from trustkit.sealing.descriptor import Part
from trustkit.sealing.documents import blob_name
from trustkit.storage import ciphertext
from trustkit.storage.ciphertext import check_ciphertext
from trustkit.storage.local import LocalSource

CHUNK = 1 << 20


def part_of(name, raw):
    return Part(name, len(raw), len(raw), digest_of(raw), digest_of(raw[:74]))


@pytest.fixture
def blobs(tmp_path):
    """Two blobs in a folder, one longer than what is read at once."""
    raws = {"large": bytes(range(256)) * 4096 * 2 + b"x", "small": b"small"}
    parts = [part_of(name, raw) for name, raw in raws.items()]
    (tmp_path / "blobs").mkdir()
    for part in parts:
        (tmp_path / blob_name(part.blob)).write_bytes(raws[part.name])
    return SimpleNamespace(folder=tmp_path, descriptor=SimpleNamespace(parts=parts), parts=parts)


@pytest.mark.parametrize("workers", [1, 4])
def test_what_was_signed_is_there_to_the_last_byte(blobs, workers):
    told = []
    check_ciphertext(LocalSource(blobs.folder), blobs.descriptor, workers=workers, progress=told.append)
    assert sum(told) == 2 * CHUNK + 1 + 5
    check_ciphertext(LocalSource(blobs.folder), blobs.descriptor, workers=workers)


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda raw: raw[:-1] + b"y", "tampered"),
        (lambda raw: raw[:-1], "truncated"),
        (lambda raw: raw + b"y", "trailing-bytes"),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_anything_else_is_refused(blobs, harm, code, number):
    blob = blobs.folder / blob_name(blobs.parts[number].blob)
    blob.write_bytes(harm(blob.read_bytes()))
    with pytest.raises(SealError) as caught:
        check_ciphertext(LocalSource(blobs.folder), blobs.descriptor, workers=2)
    assert caught.value.code == code
    assert repr(blobs.parts[number].name) in caught.value.message


def test_one_failure_ends_all_reading(blobs):
    """The large part is read on only once the thread of the small one has failed and gone."""
    reads, begun, failed = [], threading.Event(), threading.Event()

    class Source(LocalSource):
        def read_range(self, name, start, into):
            if name == blob_name(blobs.parts[1].blob):
                begun.wait(30)
                failed.set()
                raise UnavailableError("unreadable", "the disk is gone")
            reads.append(start)
            begun.set()
            failed.wait(30)
            while sum(thread.name.startswith("trustkit-lane-") for thread in threading.enumerate()) > 1:
                time.sleep(0.001)
            super().read_range(name, start, into)

    with pytest.raises(UnavailableError):
        check_ciphertext(Source(blobs.folder), blobs.descriptor, workers=2)
    assert reads == [0]
    assert ciphertext._CHUNK == CHUNK
