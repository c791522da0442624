"""Comparison of bytes with a verified manifest: a closed world, nothing handed out that was not compared."""

import base64
import hashlib
import json
import os
from contextlib import closing
from functools import partial

import pytest

from trustkit.artifact import walk
from trustkit.artifact.tree import scan
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, UsageError, VerificationError
from trustkit.verifying import compare
from trustkit.verifying.compare import Verified, match_tree, verify_scanned, verify_tree
from trustkit.verifying.listing import listing_of
from trustkit.verifying.policy import policy_from_keys
from trustkit.verifying.verify import verify_manifest

CONTENT = {"config.json": b"{}", "empty": b"", "s/weights.bin": bytes(range(256)) * 9, "s/t/u": b"deep"}


@pytest.fixture
def folder(tmp_path):
    """A model on a disk."""
    root = tmp_path / "model"
    for name, content in CONTENT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture(scope="module")
def proof(alice, bundled):
    """Sign a payload as Alice and verify it."""
    return lambda payload: verify_manifest(bundled(payload, alice), policy_from_keys(alice.pem))


@pytest.fixture(scope="module")
def signed(proof, oms_payload):
    """A verified manifest over {name: content}."""
    return lambda files=CONTENT, **serialization: proof(oms_payload(files, **serialization))


@pytest.fixture(scope="module")
def sharded(proof):
    """A verified manifest in shards: {name: (content, size)}, written by hand."""

    def make(files, size, **more):
        resources = [
            {
                "name": f"{name}:{start}:{min(start + size, len(content))}",
                "algorithm": "sha256",
                "digest": hashlib.sha256(content[start : start + size]).hexdigest(),
            }
            for name, content in files.items()
            for start in range(0, max(len(content), 1), size)
        ]
        root = hashlib.sha256(b"".join(bytes.fromhex(entry["digest"]) for entry in resources)).hexdigest()
        said = {
            "method": "shards",
            "hash_type": "sha256",
            "allow_symlinks": False,
            "shard_size": size,
            **more,
        }
        return proof(
            json.dumps(
                {
                    "_type": "https://in-toto.io/Statement/v1",
                    "subject": [{"name": "model", "digest": {"sha256": root}}],
                    "predicateType": "https://model_signing/signature/v1.0",
                    "predicate": {"resources": resources, "serialization": said},
                }
            ).encode()
        )

    return make


@pytest.fixture
def open_descriptors(open_in, tmp_path):
    return lambda: set(open_in(tmp_path))


def refused(path, manifest, code, kind=VerificationError, **how):
    with pytest.raises(kind) as caught:
        verify_tree(path, manifest, **how)
    assert caught.value.code == code
    return caught.value


def content_of(verified, name):
    descriptor = verified.open(name)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


# -- what is verified ----------------------------------------------------------------------------------


def test_a_folder_that_is_what_was_signed(folder, signed):
    verified = verify_tree(folder, signed())
    assert verified.files == tuple(CONTENT)
    assert verified.bytes == sum(map(len, CONTENT.values()))
    assert (verified.ignored, verified.unsigned, verified.skipped) == ((), (), ())
    assert {name: content_of(verified, name) for name in CONTENT} == CONTENT
    verified.close()


@pytest.mark.parametrize("size", [1, 7, 256, 2304, 5000])
def test_a_folder_in_shards(folder, sharded, size):
    verified = verify_tree(folder, sharded(CONTENT, size))
    assert (set(verified.files), verified.bytes) == (set(CONTENT), sum(map(len, CONTENT.values())))
    verified.close()


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_progress_counts_every_byte_once(folder, signed, workers):
    seen = []
    verify_tree(folder, signed(), workers=workers, progress=seen.append).close()
    assert sum(seen) == sum(map(len, CONTENT.values()))


@pytest.mark.parametrize("name", [".", "weights.bin"])
def test_a_single_file_by_either_name(folder, signed, name):
    verified = verify_tree(folder / "s/weights.bin", signed({name: CONTENT["s/weights.bin"]}))
    assert verified.files == ("weights.bin",)
    assert content_of(verified, "weights.bin") == CONTENT["s/weights.bin"]
    verified.close()


@pytest.mark.parametrize("name", [".", "weights.bin"])
def test_a_single_file_in_shards(folder, sharded, name):
    verified = verify_tree(folder / "s/weights.bin", sharded({name: CONTENT["s/weights.bin"]}, 1000))
    assert (verified.files, verified.bytes) == (("weights.bin",), 2304)
    verified.close()


def test_a_single_file_under_another_name_is_another_artifact(folder, signed):
    error = refused(folder / "config.json", signed({"weights.bin": b"{}"}), "file-missing")
    assert error.evidence == {"missing": ["weights.bin"], "unsigned": ["config.json"]}


def test_a_folder_is_no_single_file(folder, signed):
    refused(folder, signed({".": b"{}"}), "file-missing")


def test_what_the_signed_list_ignores_is_reported_and_never_handed_out(folder, signed):
    (folder / "cache").mkdir()
    (folder / "cache/x").write_bytes(b"anything")
    (folder / "model.sig").write_bytes(b"anything")
    verified = verify_tree(folder, signed(ignore_paths=["cache", "model.sig", "absent"]))
    assert verified.ignored == ("cache", "model.sig")
    for name in ("cache/x", "cache", "model.sig", "absent", "../model/config.json", ""):
        with pytest.raises(UsageError) as caught:
            verified.open(name)
        assert caught.value.code == "not-verified"
    verified.close()


def test_what_an_old_bundle_leaves_out_is_reported_and_never_handed_out(folder, alice, bundled, oms_payload):
    pem = base64.b64encode(alice.pem).decode()
    bundle = bundled(
        oms_payload(CONTENT, ignore_paths=None), alice, material={"publicKey": {"rawBytes": pem}}
    )
    (folder / ".git").mkdir()
    (folder / ".git/hook").write_bytes(b"#!/bin/sh")
    verified = verify_tree(folder, verify_manifest(bundle, policy_from_keys(alice.pem)))
    assert verified.ignored == (".git",)
    assert verified.files == tuple(CONTENT)
    with pytest.raises(UsageError) as caught:
        verified.open(".git/hook")
    assert caught.value.code == "not-verified"
    verified.close()
    (folder / "s/.git").mkdir()
    (folder / "s/.git/hook").write_bytes(b"#!/bin/sh")
    refused(folder, verify_manifest(bundle, policy_from_keys(alice.pem)), "unsigned-file")


def test_the_bundle_under_verification_is_left_out(folder, signed):
    (folder / "my.sig").write_bytes(b"bundle")
    verified = verify_tree(folder, signed(), skip=frozenset(("my.sig",)))
    assert verified.files == tuple(CONTENT)
    assert verified.ignored == ()
    verified.close()
    refused(folder, signed(), "unsigned-file")


def test_a_bundle_cannot_take_the_place_of_a_signed_file(folder, signed):
    refused(folder, signed(), "file-missing", skip=frozenset(("config.json",)))


def test_links_are_followed_where_the_author_said_so(folder, signed):
    (folder / "alias").symlink_to("config.json")
    refused(folder, signed({**CONTENT, "alias": b"{}"}), "symlink")
    verified = verify_tree(folder, signed({**CONTENT, "alias": b"{}"}, allow_symlinks=True))
    assert content_of(verified, "alias") == b"{}"
    verified.close()


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
        lambda path: path.write_bytes(path.read_bytes() + b"!"),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
    ],
)
@pytest.mark.parametrize("size", [None, 7, 5000])
def test_other_bytes_are_refused(folder, signed, sharded, damage, size):
    damage(folder / "s/weights.bin")
    manifest = signed() if size is None else sharded(CONTENT, size)
    error = refused(folder, manifest, "digest-mismatch")
    assert error.evidence == {"mismatched": ["s/weights.bin"]}
    assert "'s/weights.bin' differs from" in error.message


def test_every_file_that_differs_is_counted_and_some_are_named(tmp_path, signed):
    files = {f"f{number:02}": b"x" for number in range(30)}
    for name in files:
        (tmp_path / name).write_bytes(b"y")
    error = refused(tmp_path, signed(files), "digest-mismatch")
    assert "'f00' and 29 more differ from" in error.message
    assert len(error.evidence["mismatched"]) == 20


def test_a_removed_file(folder, signed):
    (folder / "empty").unlink()
    error = refused(folder, signed(), "file-missing")
    assert error.evidence == {"missing": ["empty"], "unsigned": []}
    assert error.message.startswith("'empty' is signed but missing; ")
    (folder / "config.json").unlink()
    assert (
        "'config.json' and 1 more are signed but missing" in refused(folder, signed(), "file-missing").message
    )


def test_an_added_file(folder, signed):
    (folder / "extra.py").write_bytes(b"import os")
    error = refused(folder, signed(), "unsigned-file")
    assert error.evidence == {"missing": [], "unsigned": ["extra.py"]}
    assert error.message.startswith("'extra.py' was never signed; ")
    (folder / "s/more.py").write_bytes(b"import os")
    assert "'extra.py' and 1 more were never signed" in refused(folder, signed(), "unsigned-file").message


def test_a_renamed_file(folder, signed):
    (folder / "config.json").rename(folder / "config.jsn")
    error = refused(folder, signed(), "file-missing")
    assert error.evidence == {"missing": ["config.json"], "unsigned": ["config.jsn"]}
    assert "'config.json' is signed but missing and 'config.jsn' was never signed" in error.message


def test_an_empty_file_that_a_writer_left_out_is_unsigned(folder, sharded):
    """model-signing leaves empty files out of shards; an empty `__init__.py` is not nothing."""
    manifest = sharded({name: content for name, content in CONTENT.items() if content}, 100)
    assert refused(folder, manifest, "unsigned-file").evidence["unsigned"] == ["empty"]


@pytest.mark.parametrize(
    ("add", "code"),
    [
        (lambda folder: (folder / "link").symlink_to("config.json"), "symlink"),
        (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "symlink"),
        (lambda folder: os.mkfifo(folder / "pipe"), "special-file"),
        (lambda folder: (folder / "CONFIG.json").write_bytes(b""), "name-twins"),
        (lambda folder: (folder / "a\\b").write_bytes(b""), "unsafe-name"),
        (lambda folder: (folder / "a\nb").write_bytes(b""), "unsafe-name"),
        (lambda folder: os.close(os.open(os.fsencode(folder) + b"/\xff", os.O_CREAT)), "unsafe-name"),
    ],
)
def test_an_entry_that_nobody_could_have_signed_is_a_refusal_and_no_matter_of_form(folder, signed, add, code):
    add(folder)
    assert refused(folder, signed(), code).exit_code == 1


def test_a_link_out_of_the_tree_is_refused_even_where_links_are_allowed(folder, signed, tmp_path):
    (tmp_path / "outside").write_bytes(b"{}")
    (folder / "alias").symlink_to(tmp_path / "outside")
    refused(folder, signed({**CONTENT, "alias": b"{}"}, allow_symlinks=True), "link-escapes")


def test_there_must_be_something(tmp_path, signed):
    refused(tmp_path / "absent", signed(), "no-such-path", UsageError)
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", signed(), "special-file")


# -- tolerance that the caller asks for ----------------------------------------------------------------


def test_unsigned_files_may_be_tolerated_and_are_reported_and_never_handed_out(folder, signed):
    (folder / "extra.py").write_bytes(b"import os")
    (folder / "s/more.py").write_bytes(b"import os")
    verified = verify_tree(folder, signed(), ignore_unsigned=True)
    assert verified.unsigned == ("extra.py", "s/more.py")
    assert verified.files == tuple(CONTENT)
    with pytest.raises(UsageError) as caught:
        verified.open("extra.py")
    assert caught.value.code == "not-verified"
    verified.close()


def test_tolerating_unsigned_files_tolerates_nothing_else(folder, signed):
    (folder / "extra.py").write_bytes(b"import os")
    (folder / "empty").unlink()
    error = refused(folder, signed(), "file-missing", ignore_unsigned=True)
    assert error.evidence == {"missing": ["empty"], "unsigned": []}
    (folder / "empty").write_bytes(b"no more")
    refused(folder, signed(), "digest-mismatch", ignore_unsigned=True)
    (folder / "empty").unlink()
    (folder / "empty").symlink_to("config.json")
    refused(folder, signed(), "symlink", ignore_unsigned=True)


def test_a_selection_compares_and_hands_out_what_was_selected(folder, signed):
    (folder / "config.json").write_bytes(b"changed, and not selected")
    verified = verify_tree(folder, signed(), only=("s/*", "s/t/*"))
    assert verified.files == ("s/weights.bin", "s/t/u")
    assert verified.skipped == ("config.json", "empty")
    assert verified.bytes == 2308
    with pytest.raises(UsageError) as caught:
        verified.open("config.json")
    assert caught.value.code == "not-verified"
    verified.close()
    refused(folder, signed(), "digest-mismatch", only=("*.json",))


def test_what_was_not_selected_need_not_be_there(folder, signed):
    (folder / "config.json").unlink()
    verify_tree(folder, signed(), only=("s/*",)).close()
    refused(folder, signed(), "file-missing", only=("*.json",))


def test_a_selection_still_refuses_what_nobody_signed(folder, signed):
    (folder / "extra.py").write_bytes(b"import os")
    refused(folder, signed(), "unsigned-file", only=("s/*",))
    verify_tree(folder, signed(), only=("s/*",), ignore_unsigned=True).close()


@pytest.mark.parametrize("only", [("nothing",), ("S/*",), ("",), ("[",), ("extra.py",)])
def test_a_selection_of_nothing_proves_nothing(folder, signed, only):
    assert refused(folder, signed(), "nothing-selected", UsageError, only=only).exit_code == 2


# -- descriptors ---------------------------------------------------------------------------------------


def test_a_file_that_changed_since_it_was_compared_is_not_handed_out(folder, signed):
    verified = verify_tree(folder, signed())
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(VerificationError) as caught:
        verified.open("config.json")
    assert caught.value.code == "file-changed"
    assert content_of(verified, "empty") == b""
    verified.close()


def test_a_folder_that_was_swapped_after_the_comparison_is_not_opened(folder, signed, tmp_path):
    """The root stays open: another folder at its path is another folder."""
    verified = verify_tree(folder, signed())
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    (folder / "config.json").write_bytes(b"evil")
    assert content_of(verified, "config.json") == b"{}"
    verified.close()


def test_nothing_stays_open(folder, signed, open_descriptors):
    before = open_descriptors()
    verified = verify_tree(folder, signed())
    assert open_descriptors() > before
    verified.close()
    assert open_descriptors() == before
    (folder / "config.json").write_bytes(b"[]")
    refused(folder, signed(), "digest-mismatch")
    (folder / "extra").write_bytes(b"")
    refused(folder, signed(), "unsigned-file")
    refused(folder, signed({".": b""}), "file-missing")
    refused(folder, signed(), "nothing-selected", UsageError, only=("x",))
    assert open_descriptors() == before


def test_the_proof_is_the_one_it_was_given(folder, signed):
    manifest = signed()
    with pytest.raises(TypeError):
        Verified(manifest, None, (), 0, (), (), ())
    verified = verify_tree(folder, manifest)
    assert verified.signed is manifest
    assert verified.signed.manifest.resources[0].digest == digest_of(b"{}")
    verified.close()


def test_a_refused_form_below_the_root_keeps_its_evidence(folder, signed):
    (folder / "link").symlink_to("config.json")
    error = refused(folder, signed(), "symlink")
    assert not isinstance(error, FormatError)
    assert error.evidence["name"] == "link"
    assert "cp -rL" in error.message
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    assert "cp -rL" not in refused(folder, signed(), "special-file").message


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "added").touch(),
        lambda folder: (folder / "empty").unlink(),
        lambda folder: (folder / "config.json").write_bytes(b"[]"),
    ],
)
def test_nothing_changes_while_it_is_hashed(folder, signed, open_descriptors, change):
    before = open_descriptors()
    changes = iter((change,))

    def progress(_count):
        for late in changes:
            late(folder)

    refused(folder, signed(), "file-changed", progress=progress, workers=1)
    assert open_descriptors() == before


def test_a_cap_on_names_stays_a_cap(folder, signed):
    deep = folder.joinpath(*["d"] * 301)
    deep.mkdir(parents=True)
    (deep / "file").touch()
    refused(folder, signed(), "name-too-deep", LimitError)


class TestHowFarAnUnknownFolderIsWalked:
    @pytest.fixture(autouse=True)
    def little_room(self, monkeypatch):
        monkeypatch.setattr(compare, "_ROOM", 3)

    def test_a_few_unsigned_files_are_named(self, folder, signed):
        for name in "xyz":
            (folder / name).touch()
        assert refused(folder, signed(), "unsigned-file").evidence["unsigned"] == ["x", "y", "z"]

    @pytest.mark.parametrize("make", ["touch", "mkdir"])
    def test_far_more_than_were_signed_are_not_all_looked_at(self, folder, signed, make):
        for number in range(8):
            getattr(folder / f"x{number}", make)()
        error = refused(folder, signed(), "unsigned-file")
        assert error.evidence == {"unsigned": []}
        assert "more than were signed" in error.message

    def test_unless_the_caller_wants_to_know_them(self, folder, signed):
        for number in range(8):
            (folder / f"x{number}").touch()
        assert len(verify_tree(folder, signed(), ignore_unsigned=True).unsigned) == 8

    def test_any_other_cap_stays_a_cap(self, folder, signed, monkeypatch):
        for number in range(8):
            (folder / f"x{number}").touch()
        monkeypatch.setattr(compare, "MAX_FILES", 5)
        refused(folder, signed(), "too-many-files", LimitError)
        monkeypatch.setattr(compare, "MAX_FILES", 100)
        monkeypatch.setattr(walk, "MAX_LINKED_FOLDERS", 0)
        (folder / "link").symlink_to("s")
        refused(folder, signed(allow_symlinks=True), "too-many-links", LimitError, ignore_unsigned=True)

    def test_a_cap_of_another_kind_that_happens_to_be_as_large_stays_a_cap(self, folder, signed, monkeypatch):
        most = len(CONTENT) + compare._ROOM
        monkeypatch.setattr(walk, "MAX_LINKED_FOLDERS", most)
        for number in range(most + 1):
            (folder / f"link{number}").symlink_to("s")
        said = signed(allow_symlinks=True)
        error = refused(folder, said, "too-many-links", LimitError, ignore_unsigned=True)
        assert error.evidence["limit"] == most

    def test_nor_by_whoever_hashes_later(self, folder, signed, monkeypatch):
        monkeypatch.setattr(compare, "MAX_FILES", 1000)
        for number in range(8):
            (folder / f"x{number}").touch()
        with pytest.raises(VerificationError) as caught:
            match_tree(folder, signed())
        assert caught.value.evidence == {"unsigned": []}


def test_so_many_more_files_than_were_signed_are_looked_at():
    assert compare._ROOM == 10_000


class TestNamesAndLengthsAlone:
    def test_the_open_tree_is_handed_out(self, folder, signed):
        with match_tree(folder, signed()) as tree:
            assert list(tree.files.names) == sorted(CONTENT)

    def test_other_bytes_of_the_same_length_are_for_who_hashes_them(self, folder, signed):
        (folder / "config.json").write_bytes(b"[]")
        match_tree(folder, signed()).close()

    @pytest.mark.parametrize(
        ("damage", "code"),
        [
            (lambda folder: (folder / "extra").touch(), "unsigned-file"),
            (lambda folder: (folder / "config.json").unlink(), "file-missing"),
            (lambda folder: (folder / "config.json").write_bytes(b"long"), "digest-mismatch"),
            (lambda folder: (folder / "link").symlink_to("empty"), "symlink"),
        ],
    )
    def test_what_does_not_match_is_refused_and_nothing_stays_open(
        self, folder, sharded, open_descriptors, damage, code
    ):
        before = open_descriptors()
        damage(folder)
        with pytest.raises(VerificationError) as caught:
            match_tree(folder, sharded(CONTENT, 1000))
        assert caught.value.code == code
        assert open_descriptors() == before

    def test_the_bundle_under_verification_is_left_out(self, folder, signed):
        (folder / "model.sig").touch()
        match_tree(folder, signed(), skip=frozenset({"model.sig"})).close()


def test_a_proof_says_who_signed_what(folder, signed):
    verified = verify_tree(folder, signed())
    assert repr(verified) == f"<Verified {verified.signed.manifest_digest} by key: 4 files>"
    verified.close()


def test_units_of_a_comparison_are_a_sequence(folder, signed, sharded):
    for manifest in (signed().manifest, sharded({name: CONTENT[name] for name in CONTENT}, 1000).manifest):
        with scan(folder) as tree:
            units = listing_of(tree, manifest, (), ignore_unsigned=False).units
            assert list(units) == [units[number] for number in range(len(units))] == units[:]
            assert [unit.size for unit in units] == list(units.sizes)
            assert units[-2:] == list(units)[-2:]


def test_unsigned_files_are_tolerated_for_those_alone_who_say_so(folder, signed):
    (folder / "extra").write_bytes(b"x")
    with pytest.raises(VerificationError, match=r"\[unsigned-file\]"):
        verify_scanned(partial(scan, folder), signed())
    with closing(verify_scanned(partial(scan, folder), signed(), ignore_unsigned=True)) as verified:
        assert verified.unsigned == ("extra",)


def test_an_engine_hashes_in_place_of_our_threads(folder, signed):
    """It is told of every unit in its order, and believed in what it found."""
    asked = []

    def engine(tree, units, *, algorithm, workers, progress):
        asked.append((tree.files.names[0], len(units), algorithm, workers, progress))
        return b"".join(hashlib.sha256(CONTENT[unit.file.name]).digest() for unit in units)

    with closing(verify_tree(folder, signed(), workers=7, engine=engine)):
        assert asked == [("config.json", len(CONTENT), "sha256", 7, None)]
    with pytest.raises(VerificationError, match=r"\[digest-mismatch\]"):
        verify_tree(folder, signed(), engine=lambda *_, **__: bytes(32 * len(CONTENT)))
