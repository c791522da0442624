"""Changing who may open, and ending it, from the command line."""

import json

import pytest


def trust(world):
    return ("--key", world.public(world.author), "--publisher-key", world.public(world.publisher))


def rewrapping(world, folder, *more):
    return ("rewrap", folder, "--opener", world.opener, *trust(world), *more)


def opening(world, folder, opener, output):
    return ("open", folder, "--opener", opener, *trust(world), "--output", output)


def key_of(cli, world, key):
    return cli("inspect", world.public(key), "--json").document["fingerprint"]


def test_somebody_new_opens_and_somebody_old_does_not(cli, world, sealed, tmp_path):
    ran = cli(
        *rewrapping(world, sealed, "--add", world.public(world.another)),
        *("--remove", world.public(world.opener)),
    )
    assert ran.status == 0
    assert ran.out.startswith("rewrapped: acme/tiny version 3\n")
    assert "1 recipient added, 1 removed" in ran.out
    assert key_of(cli, world, world.another) in ran.out
    assert "seal again" in ran.err
    assert cli(*opening(world, sealed, world.another, tmp_path / "one")).status == 0
    ran = cli(*opening(world, sealed, world.opener, tmp_path / "two"))
    assert (ran.status, ran.code) == (1, "no-matching-opener")


def test_what_programs_are_told(cli, world, sealed):
    ran = cli(*rewrapping(world, sealed, "--add", world.public(world.another), "--json"))
    found = ran.document
    assert (found["line"], found["version"], found["added"], found["removed"]) == ("acme/tiny", 3, 1, 0)
    assert found["recipients"] == cli("inspect", sealed / "recipients.json", "--json").document["recipients"]
    assert {"kind": "hpke-p256", "key": key_of(cli, world, world.another)} in found["recipients"]
    assert ran.err == ""


def test_a_key_id_names_who_goes(cli, world, sealed):
    key = key_of(cli, world, world.locked_opener)
    ran = cli(*rewrapping(world, sealed, "--remove", key, "--json"))
    assert [entry["key"] for entry in ran.document["recipients"]] == [key_of(cli, world, world.opener)]


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ((), 2, "no-changes"),
        (("--add", "opener"), 2, "duplicate-recipient"),
        (("--add", "another", "--add", "another"), 2, "bad-arguments"),
        (("--remove", "opener", "--remove", "opener"), 2, "bad-arguments"),
        (("--remove", "another"), 2, "not-a-recipient"),
        (("--remove", "opener", "--remove", "locked_opener"), 2, "no-recipients"),
        (("--remove", "sha256:00"), 2, "bad-arguments"),
        (("--add", "sha256:" + "0" * 64), 2, "no-such-file"),
        (("--remove", "sha256:" + "0" * 64), 2, "not-a-recipient"),
        (("--add", "author"), 2, "recipient-signs"),
        (("--add", "another", "--policy", "policy"), 2, "bad-arguments"),
    ],
)
def test_what_is_refused_changes_nothing(cli, world, sealed, snapshot, more, status, code):
    names = {name: world.public(getattr(world, name)) for name in ("opener", "another", "locked_opener")}
    names |= {"author": world.public(world.author), "policy": world.policy}
    before = snapshot(sealed)
    ran = cli(*rewrapping(world, sealed, *(names.get(word, word) for word in more), "--json"))
    assert (ran.status, ran.document["code"]) == (status, code)
    assert snapshot(sealed) == before


def test_whom_to_believe_has_no_default(cli, world, sealed):
    ran = cli("rewrap", sealed, "--opener", world.opener, "--add", world.public(world.another))
    assert (ran.status, ran.code) == (2, "no-authority")


def test_what_is_shredded_does_not_open(cli, world, sealed, tmp_path):
    ran = cli("shred", sealed)
    assert ran.status == 0
    assert ran.out.startswith(f"shredded: {sealed}: nobody can open it from here\n")
    assert "2 wrapped keys" in ran.out
    assert "not destroyed by this" in ran.err
    record = json.loads((sealed / "shredded.json").read_bytes())
    ran = cli(*opening(world, sealed, world.opener, tmp_path / "opened"))
    assert (ran.status, ran.code) == (1, "shredded")
    again = cli("shred", sealed, "--json").document
    assert (again["before"], again["recipients"], again["dek_id"]) == (True, [], None)
    assert json.loads((sealed / "shredded.json").read_bytes()) == record


def test_what_programs_are_told_of_shredding(cli, sealed):
    before = cli("inspect", sealed / "recipients.json", "--json").document
    found = cli("shred", sealed, "--json").document
    assert found["recipients"] == before["recipients"]
    assert found["record"] == str(sealed / "shredded.json")
    assert found["dek_id"] == json.loads((sealed / "shredded.json").read_bytes())["dek_id"]


def test_only_a_sealed_folder_is_shredded(cli, model, snapshot):
    before = snapshot(model)
    ran = cli("shred", model)
    assert (ran.status, ran.code) == (2, "not-sealed")
    assert snapshot(model) == before


@pytest.fixture
def words(tmp_path):
    """A file with a passphrase that is worth guessing."""
    path = tmp_path / "words"
    path.write_bytes(b"correct horse battery staple\nnot this\n")
    return path


def test_a_passphrase_opens_and_goes(cli, world, sealed, tmp_path, words):
    ran = cli(*rewrapping(world, sealed, "--add", f"passphrase:{words}", "--json"))
    assert "scrypt" in [entry["kind"] for entry in ran.document["recipients"]]
    assert cli(*opening(world, sealed, f"passphrase:{words}", tmp_path / "one")).status == 0
    (tmp_path / "other").write_text("something else entirely\n")
    ran = cli(*opening(world, sealed, f"passphrase:{tmp_path}/other", tmp_path / "two"))
    assert (ran.status, ran.code) == (1, "wrong-context")
    ran = cli(*opening(world, sealed, f"passphrase:{words}", words))
    assert (ran.status, ran.code) == (2, "output-is-input")
    ran = cli(*rewrapping(world, sealed, "--remove", f"passphrase:{words}", "--json"))
    assert {entry["kind"] for entry in ran.document["recipients"]} == {"hpke-x25519"}


def test_passphrases_that_are_refused(cli, world, sealed, tmp_path, words, snapshot):
    (tmp_path / "short").write_text("hunter2\n")
    before = snapshot(sealed)
    for word, status, code in (
        (f"passphrase:{tmp_path}/short", 2, "weak-passphrase"),
        (f"passphrase:{tmp_path}/absent", 2, "no-such-file"),
        ("passphrase:", 2, "bad-arguments"),
        (f"Passphrase:{words}", 2, "no-such-file"),
    ):
        ran = cli(*rewrapping(world, sealed, "--add", word))
        assert (ran.status, ran.code) == (status, code)
    ran = cli(
        *opening(world, sealed, f"passphrase:{words}", tmp_path / "out"),
        *("--opener-passphrase-file", words),
    )
    assert (ran.status, ran.code) == (2, "bad-arguments")
    ran = cli(*opening(world, sealed, f"passphrase:{words}", tmp_path / "out"))
    assert (ran.status, ran.code) == (1, "no-matching-opener")
    assert snapshot(sealed) == before


def test_a_hybrid_key_pair_from_beginning_to_end(cli, world, model, tmp_path, seal_words):
    key, secret = tmp_path / "hybrid.pem", world.passphrase
    made = cli(
        *("key", "generate", "--type", "mlkem768-x25519", "--output", key),
        *("--passphrase-file", secret, "--json"),
    ).document
    assert made["type"] == "mlkem768-x25519"
    public = tmp_path / "hybrid.pem.pub"
    shown = cli("inspect", public, "--json").document
    assert (shown["fingerprint"], shown["uses"]) == (made["fingerprint"], ["seal to"])
    assert cli("inspect", key, "--json").document["encrypted"] is True
    again = cli("key", "public", key, "--passphrase-file", secret, "--json").document
    assert (again["public_key"], again["fingerprint"]) == (public.read_text(), made["fingerprint"])
    words = (*seal_words(world, model, tmp_path / "sealed"), "--recipient", public, "--json")
    assert {"kind": "hpke-mlkem768-x25519", "key": made["fingerprint"]} in cli(*words).document["recipients"]
    ran = cli(
        *opening(world, tmp_path / "sealed", key, tmp_path / "opened"),
        *("--opener-passphrase-file", secret),
    )
    assert ran.status == 0
    ran = cli("key", "public", public)
    assert (ran.status, ran.code) == (2, "public-key-given")
    (tmp_path / "two").write_bytes(world.author.read_bytes() * 2)
    assert cli("key", "public", tmp_path / "two").code == "bad-key"
