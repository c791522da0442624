"""One pass each way: what is read once is sealed, or opened, and hashed, by any number of threads."""

import os
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from trustkit.artifact.hashing import manifest_of
from trustkit.artifact.tree import scan
from trustkit.digest import digest_of
from trustkit.errors import SealError, UnavailableError, VerificationError
from trustkit.sealing.descriptor import SUITE_FLOE_AES256GCM, Descriptor
from trustkit.sealing.documents import blob_name
from trustkit.sealing.floe import HEADER_LENGTH, Parameters
from trustkit.sealing.keys import commitment, generate_dek
from trustkit.storage import delivery
from trustkit.storage.delivery import deliver_plain, deliver_sealed
from trustkit.storage.local import LocalSource
from trustkit.storage.sealing_folder import Terms, seal_parts
from trustkit.storage.staging import Staging

SEGMENT = 4096
WHOLE = SEGMENT - 32
PARAMETERS = Parameters(segment_length=SEGMENT)
LINE, VERSION, DEK_ID = "acme/tiny", 1, "00" * 16
LENGTHS = {
    "large.bin": 100 * WHOLE + 7,
    "exact.bin": 8 * WHOLE,
    "one.bin": WHOLE,
    "empty": 0,
    "sub/x": 1,
}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "plain"
    for name, length in LENGTHS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.urandom(length))
    return folder


@pytest.fixture(params=["files", "shards"])
def manifest(model, request):
    with scan(model) as tree:
        return manifest_of(tree, method=request.param, shard_size=3 * WHOLE + 100)


@pytest.fixture
def dek():
    with generate_dek(os.urandom) as key:
        yield key


def seal(model, manifest, target, dek, *, workers=3, progress=None):
    """Seal and publish; return the descriptor."""
    terms = Terms(LINE, VERSION, DEK_ID, manifest.manifest_digest, PARAMETERS)
    with scan(model) as tree, Staging(target, token="0" * 32) as staging:
        parts = seal_parts(
            tree,
            manifest,
            staging,
            terms=terms,
            dek=dek,
            entropy=os.urandom,
            workers=workers,
            progress=progress,
        )
        staging.publish(file_mode=0o644, folder_mode=0o755)
    return Descriptor(
        line=LINE,
        version=VERSION,
        suite=SUITE_FLOE_AES256GCM,
        segment_length=SEGMENT,
        dek_id=DEK_ID,
        key_commitment=commitment(dek, DEK_ID),
        publisher_key=digest_of(b"publisher"),
        manifest_digest=manifest.manifest_digest,
        parts=parts,
    )


@pytest.fixture
def sealed(model, manifest, dek, tmp_path):
    descriptor = seal(model, manifest, tmp_path / "sealed", dek)
    return SimpleNamespace(folder=tmp_path / "sealed", descriptor=descriptor, manifest=manifest, dek=dek)


class Counting(LocalSource):
    """A source that counts how often each range was asked for, and how many bytes."""

    def __init__(self, folder):
        super().__init__(folder)
        self.asked, self.lock = Counter(), threading.Lock()

    def read_range(self, name, start, into):
        with self.lock:
            self.asked[name, start, len(into)] += 1
        super().read_range(name, start, into)


def deliver(sealed, target, *, workers=3, source=None, **options):
    with Staging(target, token="1" * 32) as staging:
        found = source or LocalSource(sealed.folder)
        try:
            size = deliver_sealed(
                found,
                sealed.descriptor,
                sealed.manifest,
                staging,
                dek=sealed.dek,
                workers=workers,
                **options,
            )
        finally:
            found.close()
        staging.publish(file_mode=0o644, folder_mode=0o755)
    return size


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("range_bytes", [1, SEGMENT, 3 * SEGMENT, 1 << 20])
def test_what_was_sealed_is_delivered(sealed, model, tmp_path, workers, range_bytes):
    told = []
    size = deliver(sealed, tmp_path / "out", workers=workers, range_bytes=range_bytes, progress=told.append)
    assert contents(tmp_path / "out") == contents(model)
    assert size == sum(told) == sum(LENGTHS.values())


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_byte_of_ciphertext_is_asked_for_once(sealed, tmp_path, workers):
    source = Counting(sealed.folder)
    deliver(sealed, tmp_path / "out", workers=workers, source=source, range_bytes=3 * SEGMENT)
    assert set(source.asked.values()) == {1}
    for part in sealed.descriptor.parts:
        blob = blob_name(part.blob)
        mine = sorted((start, size) for name, start, size in source.asked if name == blob)
        assert mine[0] == (0, HEADER_LENGTH)
        assert sum(size for _, size in mine) == part.ciphertext_length
        assert max(size for _, size in mine) <= 3 * SEGMENT


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_every_byte_of_plaintext_is_read_once(model, manifest, dek, tmp_path, monkeypatch, workers):
    """Sealing verifies: the bytes that are hashed are those that were sealed, so they are read only once."""
    read, preadv = Counter(), os.preadv

    def counted(descriptor, buffers, offset):
        count = preadv(descriptor, buffers, offset)
        read[str(Path(f"/proc/self/fd/{descriptor}").readlink())] += count
        return count

    monkeypatch.setattr(os, "preadv", counted)
    told = []
    seal(model, manifest, tmp_path / "sealed", dek, workers=workers, progress=told.append)
    assert read == {str(model / name): length for name, length in LENGTHS.items() if length}
    assert sum(told) == sum(LENGTHS.values())


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("name", [name for name, length in LENGTHS.items() if length])
def test_what_the_author_did_not_sign_is_not_sealed(model, manifest, dek, tmp_path, workers, name):
    raw = bytearray((model / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (model / name).write_bytes(raw)
    with pytest.raises(VerificationError) as caught:
        seal(model, manifest, tmp_path / "sealed", dek, workers=workers)
    assert caught.value.code == "digest-mismatch"
    assert caught.value.evidence == {"mismatched": [name]}
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("segment", [0, 1, 57, 100])
def test_a_bad_segment_anywhere_ends_every_thread(sealed, tmp_path, workers, segment):
    blob = sealed.folder / blob_name(sealed.descriptor.part("large.bin").blob)
    raw = bytearray(blob.read_bytes())
    raw[HEADER_LENGTH + segment * SEGMENT + 20] ^= 1
    blob.write_bytes(raw)
    with pytest.raises(SealError) as caught:
        deliver(sealed, tmp_path / "out", workers=workers, range_bytes=2 * SEGMENT)
    assert caught.value.code == "tampered"
    assert not (tmp_path / "out").exists()
    assert not any(thread.name.startswith("trustkit-lane") for thread in threading.enumerate())


@pytest.mark.parametrize("workers", [1, 3])
def test_a_right_cipher_over_wrong_bytes_is_refused(model, manifest, dek, tmp_path, workers):
    """Whoever may open can forge tags; the author's digest is what he cannot."""
    other = tmp_path / "other"
    for name in LENGTHS:
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_bytes((model / name).read_bytes())
    raw = bytearray((other / "large.bin").read_bytes())
    raw[-1] ^= 1
    (other / "large.bin").write_bytes(raw)
    with scan(other) as tree:
        forged = manifest_of(tree)
    descriptor = seal(other, forged, tmp_path / "sealed", dek)
    world = SimpleNamespace(folder=tmp_path / "sealed", descriptor=descriptor, manifest=manifest, dek=dek)
    with pytest.raises(VerificationError) as caught:
        deliver(world, tmp_path / "out", workers=workers, range_bytes=SEGMENT)
    assert caught.value.code == "digest-mismatch"
    assert not (tmp_path / "out").exists()


class Failing(LocalSource):
    """A source that is gone after so many ranges."""

    def __init__(self, folder, after):
        super().__init__(folder)
        self.left = after

    def read_range(self, name, start, into):
        self.left -= 1
        if self.left < 0:
            raise UnavailableError("unreadable", "the disk is gone")
        super().read_range(name, start, into)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_source_that_fails_at_any_range_leaves_nothing(sealed, tmp_path, workers):
    for after in (*range(12), 40, 60):
        with pytest.raises(UnavailableError):
            deliver(
                sealed,
                tmp_path / "out",
                workers=workers,
                source=Failing(sealed.folder, after),
                range_bytes=2 * SEGMENT,
            )
        assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "sealed"]
    assert not any(thread.name.startswith("trustkit-lane") for thread in threading.enumerate())


@pytest.mark.parametrize("workers", [1, 3])
def test_a_disk_that_is_full_at_any_byte(sealed, model, manifest, dek, tmp_path, full_disk, workers):
    """Opening as well as sealing: the kernel takes so many bytes of a file and no more."""
    for limit in (0, 1, HEADER_LENGTH, SEGMENT - 1, 40 * SEGMENT, 100 * WHOLE):
        for work in (
            lambda: deliver(sealed, tmp_path / "out", workers=workers, range_bytes=SEGMENT),
            lambda: seal(model, manifest, tmp_path / "again", dek, workers=workers),
        ):
            with full_disk(limit), pytest.raises(UnavailableError) as caught:
                work()
            assert caught.value.code == "unwritable"
            assert sorted(path.name for path in tmp_path.iterdir()) == ["plain", "sealed"]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_plain_file_is_shared_as_well(model, manifest, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(delivery, "RANGE", 10_000)
    source, told = Counting(model), []
    with Staging(tmp_path / "out", token="1" * 32) as staging:
        size = deliver_plain(
            source, manifest, staging, max_bytes=1 << 20, workers=workers, progress=told.append
        )
        staging.publish(file_mode=0o644, folder_mode=0o755)
    source.close()
    assert contents(tmp_path / "out") == contents(model)
    assert size == sum(told) == sum(LENGTHS.values())
    assert set(source.asked.values()) == {1}


def test_a_file_that_shrinks_while_it_is_sealed_is_refused(model, manifest, dek, tmp_path):
    def shrink(size):
        os.truncate(model / "large.bin", WHOLE)

    with pytest.raises(VerificationError) as caught:
        seal(model, manifest, tmp_path / "sealed", dek, workers=1, progress=shrink)
    assert caught.value.code == "file-changed"
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_a_file_that_cannot_be_read_is_told(model, manifest, dek, tmp_path, monkeypatch):
    def fails(descriptor, buffers, offset):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fails)
    with pytest.raises(UnavailableError) as caught:
        seal(model, manifest, tmp_path / "sealed", dek)
    assert caught.value.code == "unreadable"


def test_no_descriptor_stays_open(sealed, model, manifest, dek, tmp_path, open_in):
    before = open_in(tmp_path)
    deliver(sealed, tmp_path / "out", range_bytes=SEGMENT)
    with pytest.raises(UnavailableError):
        deliver(sealed, tmp_path / "more", source=Failing(sealed.folder, 20), range_bytes=SEGMENT)
    (model / "large.bin").write_bytes(bytes(LENGTHS["large.bin"]))
    with pytest.raises(VerificationError):
        seal(model, manifest, tmp_path / "again", dek)
    assert open_in(tmp_path) == before
