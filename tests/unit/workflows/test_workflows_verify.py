"""Verifying: closed world, exit classes, and a proof that hands out what was compared and nothing else."""

import gc
import os

import pytest

from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.bundle import Bundle, PublicKeyHint, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import statement_of
from trustkit.attest.statement import statement_to_bytes
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, UsageError, VerificationError
from trustkit.workflows import sign, verify

FILES = ["config.json", "model.safetensors", "tokenizer/empty.txt", "tokenizer/vocab.txt"]


def read(verified, name):
    descriptor = verified.open(name)
    try:
        return os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)


@pytest.fixture
def write_bundle(signer):
    """Sign a manifest that `sign` would never write, as another tool might."""

    def write(path, resources, *, ignored=(), **manifest):
        parts = tuple(Resource(name, digest_of(raw), *span) for name, raw, *span in resources)
        statement = statement_of(Manifest(parts, **manifest), "model")
        statement.predicate["serialization"]["ignore_paths"] = list(ignored)
        payload = statement_to_bytes(statement)
        signature = Signature(signer.sign(pae(PAYLOAD_TYPE, payload)))
        envelope = Envelope(payload, PAYLOAD_TYPE, (signature,))
        path.write_bytes(bundle_to_bytes(Bundle(envelope, PublicKeyHint(signer.hint))))
        return path

    return write


def test_the_proof_opens_what_was_compared(signed, policy):
    verified = verify(signed, policy)
    assert verified.files == tuple(FILES)
    assert read(verified, "tokenizer/vocab.txt") == b"a\nb\n"
    assert verified.bytes == sum((signed / name).stat().st_size for name in verified.files)
    assert (verified.ignored, verified.unsigned, verified.skipped) == ((), (), ())
    verified.close()


def test_the_proof_lets_go(signed, policy, open_in):
    verified = verify(signed, policy)
    assert open_in(signed)
    del verified
    gc.collect()
    assert open_in(signed) == []


def test_a_file_that_changes_after_it_was_compared(signed, policy, refused):
    verified = verify(signed, policy)
    (signed / "config.json").write_text("changed after the check")
    with refused(VerificationError, "file-changed"):
        verified.open("config.json")
    verified.close()


def test_no_model(signed, policy, refused):
    with refused(UsageError, "no-such-path"):
        verify(signed / "absent", policy)


def test_no_bundle_where_one_belongs(model, policy, refused):
    with refused(VerificationError, "unsigned"):
        verify(model, policy)
    (model / "model.sig").symlink_to("gone")
    with refused(VerificationError, "unsigned"):
        verify(model, policy)
    with refused(VerificationError, "unsigned"):
        verify(model / "config.json", policy)


def test_no_bundle_where_the_caller_said(signed, policy, refused):
    with refused(UsageError, "no-such-file"):
        verify(signed, policy, bundle=signed / "absent.sig")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_bundle_that_is_no_file(make, model, policy, refused):
    make(model / "model.sig")
    with refused(FormatError, "special-file"):
        verify(model, policy)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 100, b"\xff", b'{"a":1,"a":1}'])
def test_a_bundle_that_does_not_parse(raw, signed, policy, refused):
    (signed / "model.sig").write_bytes(raw)
    with pytest.raises((FormatError, LimitError)):
        verify(signed, policy)


def test_a_bundle_over_the_cap(signed, policy, refused):
    with (signed / "model.sig").open("ab") as file:
        file.truncate((256 << 20) + 1)
    with refused(LimitError, "too-large"):
        verify(signed, policy)


# The closed world.


def add_fifo(folder):
    os.mkfifo(folder / "pipe")


def add_link(folder):
    (folder / "link").symlink_to("config.json")


def add_unsafe_name(folder):
    (folder / os.fsdecode(b"\xff")).touch()


def add_twin(folder):
    (folder / "CONFIG.json").write_bytes((folder / "config.json").read_bytes())


def hide_in_our_name(folder):
    (folder / "model.claims.jsonl").mkdir()
    (folder / "model.claims.jsonl" / "evil.py").touch()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda folder: (folder / "extra").touch(), "unsigned-file"),
        (lambda folder: (folder / "tokenizer" / ".hidden").touch(), "unsigned-file"),
        (lambda folder: (folder / "tokenizer" / "model.sig").touch(), "unsigned-file"),
        (lambda folder: (folder / "model.sig.bak").touch(), "unsigned-file"),
        (hide_in_our_name, "unsigned-file"),
        (lambda folder: (folder / "config.json").unlink(), "file-missing"),
        (lambda folder: (folder / "tokenizer").rename(folder / "tok"), "file-missing"),
        (lambda folder: (folder / "tokenizer" / "empty.txt").write_text("x"), "digest-mismatch"),
        (lambda folder: (folder / "config.json").write_text(""), "digest-mismatch"),
        (add_fifo, "special-file"),
        (add_link, "symlink"),
        (add_unsafe_name, "unsafe-name"),
        (add_twin, "name-twins"),
    ],
)
def test_what_differs_is_refused_as_evidence(act, code, signed, policy, refused):
    act(signed)
    with refused(VerificationError, code):
        verify(signed, policy)


def test_empty_folders_are_no_content(signed, policy):
    (signed / "new" / "folder").mkdir(parents=True)
    verify(signed, policy).close()


def test_a_signed_name_that_the_ignore_list_hides(model, write_bundle, policy, refused):
    """Signed and ignored at once: it would count as signed, and never be looked at."""
    write_bundle(
        model / "model.sig",
        [("tokenizer/vocab.txt", b"a\nb\n"), ("config.json", (model / "config.json").read_bytes())],
        ignored=["tokenizer", "model.safetensors", "model.sig"],
    )
    for how in ({}, {"ignore_unsigned": True}, {"only": ["config.json"]}):
        with refused(FormatError, "ignored-resource"):
            verify(model, policy, **how)


@pytest.mark.parametrize("ignored", ["token", "tokenizer/vocab", "okenizer", "config"])
def test_ignoring_is_of_whole_components(ignored, model, write_bundle, policy, refused):
    write_bundle(
        model / "model.sig",
        [("model.safetensors", (model / "model.safetensors").read_bytes())],
        ignored=[ignored, "model.sig"],
    )
    with refused(VerificationError, "unsigned-file") as caught:
        verify(model, policy)
    assert caught.value.evidence["unsigned"] == ["config.json", "tokenizer/empty.txt", "tokenizer/vocab.txt"]


def test_a_single_file_as_the_reference_signs_it(model, write_bundle, policy, refused):
    raw = (model / "config.json").read_bytes()
    bundle = write_bundle(model.parent / "x.sig", [(".", raw)])
    verified = verify(model / "config.json", policy, bundle=bundle)
    assert verified.files == ("config.json",)
    assert read(verified, "config.json") == raw
    verified.close()
    (model.parent / "empty").mkdir()
    for folder in (model, model.parent / "empty"):
        with refused(VerificationError, "file-missing"):
            verify(folder, policy, bundle=bundle)
    write_bundle(bundle, [(".", raw, 0, len(raw))], method="shards", shard_size=1 << 20)
    verify(model / "config.json", policy, bundle=bundle).close()


@pytest.mark.parametrize(
    "spans", [[(0, 5), (5, 9)], [(0, 6), (6, 11)], [(0, 5)], [(0, 5), (5, 10), (10, 11)]]
)
def test_shards_that_do_not_end_where_the_file_does(spans, model, write_bundle, policy, refused):
    (model.parent / "f").write_bytes(b"0123456789")
    bundle = write_bundle(
        model.parent / "x.sig",
        [("f", b"0123456789"[start:end], start, end) for start, end in spans],
        method="shards",
        shard_size=spans[0][1],
    )
    with refused(VerificationError, "digest-mismatch"):
        verify(model.parent / "f", policy, bundle=bundle)


# Part of the world, when the caller asks for it.


def test_unsigned_files_may_be_tolerated_and_are_never_handed_out(signed, policy, refused):
    (signed / "extra").touch()
    (signed / "sub").mkdir()
    (signed / "sub" / "more").touch()
    verified = verify(signed, policy, ignore_unsigned=True)
    assert verified.unsigned == ("extra", "sub/more")
    for name in ("extra", "sub/more", "model.sig", "absent", "../model/config.json", "/etc/passwd", ""):
        with refused(UsageError, "not-verified"):
            verified.open(name)
    assert read(verified, "config.json")
    verified.close()
    add_fifo(signed)
    with refused(VerificationError, "special-file"):
        verify(signed, policy, ignore_unsigned=True)


def test_only_some_names(signed, policy, refused):
    (signed / "extra").touch()
    (signed / "config.json").write_text("changed")
    verified = verify(signed, policy, only=["tokenizer/*"], ignore_unsigned=True)
    assert verified.files == ("tokenizer/empty.txt", "tokenizer/vocab.txt")
    assert verified.skipped == ("config.json", "model.safetensors")
    for name in ("config.json", "model.safetensors", "extra"):
        with refused(UsageError, "not-verified"):
            verified.open(name)
    verified.close()
    with refused(VerificationError, "unsigned-file"):
        verify(signed, policy, only=["tokenizer/*"])
    with refused(VerificationError, "digest-mismatch"):
        verify(signed, policy, only=["tokenizer/*", "config.*"], ignore_unsigned=True)
    for only in (["extra"], ["absent"], ["TOKENIZER/*"], [""]):
        with refused(UsageError, "nothing-selected"):
            verify(signed, policy, only=only, ignore_unsigned=True)


def test_bundles_of_other_places_are_entries_like_any(signed, signer, policy, refused):
    sign(signed, signer, bundle=signed / "second.sig")
    verify(signed, policy, bundle=signed / "second.sig").close()
    with refused(VerificationError, "unsigned-file"):
        verify(signed, policy)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_was_git_s_file_when_signed_must_be_one(make, model, signer, policy, refused):
    (model / ".gitattributes").write_bytes(b"*.bin filter=lfs")
    sign(model, signer)
    verify(model, policy).close()
    (model / ".gitattributes").unlink()
    verify(model, policy).close()
    make(model / ".gitattributes")
    with refused(VerificationError, "unsigned-file"):
        verify(model, policy)


def test_an_ignored_folder_that_becomes_a_pipe(model, signer, policy, refused):
    (model / "cache").mkdir()
    sign(model, signer, ignore=["cache"])
    verify(model, policy).close()
    (model / "cache").rmdir()
    os.mkfifo(model / "cache")
    with refused(VerificationError, "special-file"):
        verify(model, policy)
