"""KServe's layout from the command line: there and back, and what is refused on the way."""

import base64
import json

import pytest

SHARED = base64.urlsafe_b64encode(bytes(range(200, 232))).rstrip(b"=").decode()


@pytest.fixture
def shared(tmp_path):
    """The file of a shared key."""
    path = tmp_path / "shared.jwk"
    path.write_text(json.dumps({"kty": "oct", "k": SHARED}))
    return path


def sealing(world, shared, output, *more):
    author = world.public(world.author)
    return ("kserve", "seal", world.model, "--jwk", shared, "--author-key", author, "--output", output, *more)


def opening(world, shared, folder, output, *more):
    author = world.public(world.author)
    return ("kserve", "open", folder, "--jwk", shared, "--key", author, "--output", output, *more)


@pytest.fixture
def folder(cli, world, shared, tmp_path):
    assert cli(*sealing(world, shared, tmp_path / "folder")).status == 0
    return tmp_path / "folder"


def test_there_and_back(cli, world, shared, tmp_path):
    ran = cli(*sealing(world, shared, tmp_path / "sealed"))
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"sealed: {tmp_path / 'sealed'}\n")
    assert "3 files" in ran.out
    ran = cli(*opening(world, shared, tmp_path / "sealed", tmp_path / "opened"))
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"trusted: {tmp_path / 'opened'}\n")
    for name in ("weights.bin", "config.json", "nested/tokenizer.json"):
        assert (tmp_path / "opened" / name).read_bytes() == (world.model / name).read_bytes()
        assert (tmp_path / "sealed" / f"{name}.jwe").read_bytes().startswith(b"eyJ")


def test_what_programs_are_told(cli, world, shared, folder, tmp_path):
    sealed = cli(*sealing(world, shared, tmp_path / "sealed", "--json")).document
    opened = cli(*opening(world, shared, folder, tmp_path / "opened", "--json")).document
    verified = cli("verify", world.model, "--key", world.public(world.author), "--json").document
    for name in ("manifest_digest", "root_digest", "files", "bytes", "signers"):
        assert sealed[name] == opened[name]
    assert opened["manifest_digest"] == verified["manifest_digest"]
    assert opened["signers"][0]["fingerprint"] == verified["signer"]["fingerprint"]
    assert SHARED not in json.dumps([sealed, opened])


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"--key": None}, 2, "no-authority"),
        ({"--key": "stranger"}, 1, "wrong-signer"),
        ({"--policy": "policy"}, 2, "bad-arguments"),
        ({"--key": None, "--policy": "policy"}, 1, "line-not-in-policy"),
        ({"--jwk": "another"}, 1, "wrong-context"),
        ({"--jwk": "stranger"}, 3, "bad-jwk"),
        ({"--jwk": "absent"}, 2, "no-such-file"),
        ({"--bundle": "absent"}, 2, "no-such-file"),
        ({"--output": "another"}, 2, "output-exists"),
    ],
)
def test_opening_that_is_refused(cli, world, shared, folder, tmp_path, change, status, code):
    (tmp_path / "another").write_text("A" * 43)
    named = {"stranger": world.public(world.stranger), "policy": world.policy}
    named |= {"another": tmp_path / "another", "absent": tmp_path / "absent"}
    words = list(opening(world, shared, folder, tmp_path / "opened"))
    for flag, value in change.items():
        if flag in words:
            place = words.index(flag)
            words[place : place + 2] = []
        words += [flag, named[value]] if value else []
    before = sorted(path.name for path in tmp_path.iterdir())
    ran = cli(*words, "--json")
    assert (ran.status, ran.document["code"]) == (status, code)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_plaintext_is_not_passed_through(cli, world, shared, folder, tmp_path):
    (folder / "weights.bin.jwe").unlink()
    (folder / "weights.bin").write_bytes((world.model / "weights.bin").read_bytes())
    ran = cli(*opening(world, shared, folder, tmp_path / "opened"))
    assert (ran.status, ran.code) == (1, "not-encrypted")


def test_a_file_that_is_missing_is_evidence(cli, world, shared, folder, tmp_path):
    """As `verify` has it: nobody could answer later, so to try again helps nobody."""
    (folder / "weights.bin.jwe").unlink()
    ran = cli(*opening(world, shared, folder, tmp_path / "opened"))
    assert (ran.status, ran.code) == (1, "file-missing")
    assert f"'weights.bin' is signed but missing in '{folder}'" in ran.err
    assert not (tmp_path / "opened").exists()


def test_sealing_that_is_refused(cli, world, shared, model, tmp_path):
    words = list(sealing(world, shared, tmp_path / "sealed"))
    words[2] = model
    (model / "config.json").write_text("[]")
    ran = cli(*words)
    assert (ran.status, ran.code) == (1, "digest-mismatch")
    assert not (tmp_path / "sealed").exists()
    ran = cli(*words[:-1], shared)
    assert (ran.status, ran.code) == (2, "output-is-input")
