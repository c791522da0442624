"""Sealing and opening from the command line."""

import hashlib
import os
import socket
from contextlib import closing

import pytest


def opening(world, folder, output, *more):
    return (
        *("open", folder, "--opener", world.opener, "--key", world.public(world.author)),
        *("--publisher-key", world.public(world.publisher), "--output", output, *more),
    )


def contents(folder, *, without=()):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in without
    }


def test_what_was_sealed_opens(cli, world, sealed, tmp_path):
    ran = cli(*opening(world, sealed, tmp_path / "opened"))
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("trusted: acme/tiny version 3\n")
    for label in ("author  ", "publisher  ", "manifest digest", "root digest", "3 files, 16.4 kB"):
        assert label in ran.out
    assert contents(tmp_path / "opened") == contents(world.model, without={"model.sig"})


def test_a_blob_that_is_missing_is_evidence(cli, world, sealed, tmp_path):
    """As `verify` has it: nobody could answer later, so to try again helps nobody."""
    blob = min((sealed / "blobs").iterdir())
    blob.unlink()
    document = cli(*opening(world, sealed, tmp_path / "opened", "--json")).document
    assert (document["code"], document["evidence"]) == ("file-missing", {"missing": [f"blobs/{blob.name}"]})
    ran = cli(*opening(world, sealed, tmp_path / "opened"))
    assert (ran.status, ran.code) == (1, "file-missing")
    assert not (tmp_path / "opened").exists()
    blob.mkdir()
    assert cli(*opening(world, sealed, tmp_path / "opened")).code == "special-file"


def test_a_blob_that_cannot_be_read_is_none(cli, world, sealed, tmp_path):
    """It is there, and nobody can tell what is in it: a socket, which the system opens for nobody."""
    blob = min((sealed / "blobs").iterdir())
    blob.unlink()
    folder = os.open(blob.parent, os.O_RDONLY | os.O_DIRECTORY)
    with closing(socket.socket(socket.AF_UNIX)) as unix:
        unix.bind(f"/proc/self/fd/{folder}/{blob.name}")  # the whole path is too long for a socket
        os.close(folder)
        ran = cli(*opening(world, sealed, tmp_path / "opened"))
    assert (ran.status, ran.code) == (5, "unreadable")


def test_what_programs_are_told(cli, world, tmp_path, seal_words):
    sealed = cli(*seal_words(world, world.model, tmp_path / "sealed"), "--json").document
    opened = cli(*opening(world, tmp_path / "sealed", tmp_path / "opened", "--json")).document
    verified = cli("verify", world.model, "--key", world.public(world.author), "--json").document
    for name in ("line", "version", "manifest_digest", "files", "bytes"):
        assert sealed[name] == opened[name]
    assert (opened["manifest_digest"], opened["root_digest"]) == (
        verified["manifest_digest"],
        verified["root_digest"],
    )
    assert [signer["role"] for signer in opened["signers"]] == ["author", "publisher"]
    assert opened["signer"] == {
        "role": "author",
        "authority": "author-key",
        "fingerprint": verified["signer"]["fingerprint"],
        "key_hint": verified["signer"]["key_hint"],
    }
    assert opened["signers"][1]["fingerprint"] == sealed["publisher_key"]
    assert (sealed["output"], opened["output"]) == (str(tmp_path / "sealed"), str(tmp_path / "opened"))
    assert sealed["recipients"][0]["kind"] == "hpke-x25519"


def test_what_a_sidecar_must_insist_on_is_said(cli, world, tmp_path, seal_words):
    """Its --descriptor-digest: the digest that whoever verifies the folder finds, as the webhook does."""
    told = cli(*seal_words(world, world.model, tmp_path / "sealed"), "--json").document["descriptor_digest"]
    written = (tmp_path / "sealed/descriptor.sigstore.json").read_bytes()
    assert told == f"sha256:{hashlib.sha256(written).hexdigest()}"
    opened = cli(*opening(world, tmp_path / "sealed", tmp_path / "opened", "--json")).document
    assert opened["descriptor_digest"] == told
    ran = cli(*seal_words(world, world.model, tmp_path / "again"))
    written = (tmp_path / "again/descriptor.sigstore.json").read_bytes()
    assert f"  descriptor digest  sha256:{hashlib.sha256(written).hexdigest()}\n" in ran.out


def test_a_policy_instead_of_keys(cli, world, tmp_path, seal_words):
    words = list(seal_words(world, world.model, tmp_path / "sealed"))
    place = words.index("--author-key")
    words[place : place + 2] = ["--policy", world.policy]
    assert cli(*words).status == 0
    words = ("open", tmp_path / "sealed", "--opener", world.opener, "--policy", world.policy)
    assert cli(*words, "--output", tmp_path / "opened").status == 0


def test_locked_keys_on_both_sides(cli, world, tmp_path):
    secret = world.passphrase
    ran = cli(
        *("seal", world.model, "--key", world.locked, "--passphrase-file", secret),
        *("--author-key", world.public(world.author)),
        *("--recipient", world.public(world.locked_opener), "--recipient", world.public(world.opener)),
        *("--line", "acme/tiny", "--version", "1", "--output", tmp_path / "sealed"),
    )
    assert ran.status == 0, ran.err
    assert ran.out.count("hpke-x25519") == 2
    words = ("--key", world.public(world.author), "--publisher-key", world.public(world.locked))
    opener = ("--opener", world.locked_opener)
    ran = cli("open", tmp_path / "sealed", *opener, *words, "--output", tmp_path / "opened")
    assert (ran.status, ran.code) == (2, "passphrase-needed")
    assert "--opener-passphrase-file" in ran.err
    more = ("--opener-passphrase-file", secret, "--output", tmp_path / "opened")
    assert cli("open", tmp_path / "sealed", *opener, *words, *more).status == 0


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"--author-key": None}, 2, "no-authority"),
        ({"--author-key": "stranger"}, 1, "wrong-signer"),
        ({"--policy": "policy"}, 2, "bad-arguments"),
        ({"--author-key": None, "--policy": "policy", "--key": "author_private"}, 2, "not-a-publisher"),
        ({"--recipient": "author"}, 2, "recipient-signs"),
        ({"--recipient": "publisher"}, 2, "recipient-signs"),
        ({"--key": "author"}, 2, "public-key-given"),
        ({"--recipient": "author_private"}, 2, "private-key-given"),
        ({"--recipient": "locked"}, 2, "unsupported-key"),
        ({"--recipient": "policy"}, 2, "bad-public-key"),
        ({"--key": "opener_private"}, 2, "unsupported-key"),
        ({"--bundle": "absent"}, 2, "no-such-file"),
    ],
)
def test_sealing_that_is_refused(cli, world, tmp_path, seal_words, change, status, code):
    named = {
        "stranger": world.public(world.stranger),
        "policy": world.policy,
        "author": world.public(world.author),
        "publisher": world.public(world.publisher),
        "author_private": world.author,
        "locked": world.public(world.locked),
        "opener_private": world.opener,
        "absent": tmp_path / "absent",
    }
    words = list(seal_words(world, world.model, tmp_path / "sealed"))
    for flag, value in change.items():
        if flag in words:
            place = words.index(flag)
            words[place : place + 2] = []
        words += [flag, named[value]] if value else []
    ran = cli(*words, "--json")
    assert (ran.status, ran.document["code"]) == (status, code)
    assert list(tmp_path.iterdir()) == []


def test_one_recipient_twice_is_a_mistake(cli, world, tmp_path, seal_words):
    words = (*seal_words(world, world.model, tmp_path / "sealed"), "--recipient", world.public(world.opener))
    ran = cli(*words)
    assert (ran.status, ran.code) == (2, "bad-arguments")
    copy = tmp_path / "copy.pub"
    copy.write_bytes(world.public(world.opener).read_bytes())
    ran = cli(*words[:-1], copy)
    assert (ran.status, ran.code) == (2, "duplicate-recipient")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"--key": None, "--publisher-key": None}, 2, "no-authority"),
        ({"--key": None}, 2, "no-authority"),
        ({"--publisher-key": None}, 1, "wrong-signer"),
        ({"--key": "stranger"}, 1, "wrong-signer"),
        ({"--policy": "policy"}, 2, "bad-arguments"),
        ({"--opener": "locked_opener"}, 2, "passphrase-needed"),
        ({"--opener": "author"}, 1, "no-matching-opener"),
        ({"--opener": "locked_private"}, 2, "passphrase-needed"),
        ({"--opener": "stranger_private"}, 2, "unsupported-key"),
        ({"--opener": "policy"}, 3, "bad-key"),
        ({"--opener": "stranger"}, 2, "public-key-given"),
        ({"--opener": "absent"}, 2, "no-such-file"),
    ],
)
def test_opening_that_is_refused(cli, world, sealed, tmp_path, change, status, code):
    named = {
        "stranger": world.public(world.stranger),
        "policy": world.policy,
        "author": world.author,
        "locked_opener": world.locked_opener,
        "locked_private": world.locked,
        "stranger_private": world.stranger,
        "absent": tmp_path / "absent",
    }
    words = list(opening(world, sealed, tmp_path / "opened"))
    for flag, value in change.items():
        if flag in words:
            place = words.index(flag)
            words[place : place + 2] = []
        words += [flag, named[value]] if value else []
    ran = cli(*words, "--json")
    assert (ran.status, ran.document["code"]) == (status, code)
    assert [path.name for path in tmp_path.iterdir()] == ["sealed"]


def test_a_flipped_bit_opens_nothing(cli, world, sealed, tmp_path):
    blob = max((sealed / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    raw = bytearray(blob.read_bytes())
    raw[-1] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(raw)
    ran = cli(*opening(world, sealed, tmp_path / "opened", "--json"))
    assert (ran.status, ran.document["code"]) == (1, "tampered")
    assert [path.name for path in tmp_path.iterdir()] == ["sealed"]
