"""Signing and verifying from the command line: what is said, to people and to programs."""

import os

import pytest

from trustkit import strictjson


def signing(world, path, *more):
    return ("sign", path, "--key", world.author, *more)


def trusting(world, path, *more):
    return ("verify", path, "--key", world.public(world.author), *more)


@pytest.fixture
def fresh(model):
    """An unsigned model."""
    (model / "model.sig").unlink()
    return model


def test_what_signing_says(cli, world, fresh):
    ran = cli(*signing(world, fresh))
    assert (ran.status, ran.err) == (0, "")
    first, *rows = ran.out.splitlines()
    assert first == f"signed: {fresh}"
    assert [row.split("  ")[1] for row in rows] == [
        "bundle",
        "manifest digest",
        "root digest",
        "signed with",
        "key hint",
        "covers",
    ]
    assert "3 files, 16.4 kB" in rows[-1]


def test_what_signing_tells_programs(cli, world, fresh):
    document = cli(*signing(world, fresh, "--json")).document
    assert document["bundle"] == str(fresh / "model.sig")
    assert (document["files"], document["bytes"]) == (3, 16388)
    assert (document["method"], document["hash"], document["ignore_paths"]) == (
        "files",
        "sha256",
        ["model.claims.jsonl", "model.sig"],
    )
    verified = cli(*trusting(world, fresh, "--json")).document
    for name in ("manifest_digest", "root_digest"):
        assert document[name] == verified[name]
    assert verified["signer"] == {"authority": "key", **document["signer"]}


def test_what_verifying_says(cli, world):
    ran = cli(*trusting(world, world.model))
    assert (ran.status, ran.err) == (0, "")
    first, *rows = ran.out.splitlines()
    assert first == f"trusted: {world.model}"
    assert [row.split("  ")[1] for row in rows] == [
        "signed by",
        "key hint",
        "manifest digest",
        "root digest",
        "compared",
    ]


def test_what_verifying_tells_programs(cli, world):
    document = cli(*trusting(world, world.model, "--json")).document
    assert document["bundle"] == str(world.model / "model.sig")
    assert (document["files"], document["files_signed"], document["bytes"]) == (3, 3, 16388)
    assert document["signers"] == [document["signer"]]
    for name in ("manifest_digest", "root_digest", "bundle_digest", "policy_digest"):
        assert document[name].startswith("sha256:")
    for name in ("ignored", "unsigned", "skipped", "warnings"):
        assert document[name] == []


def test_verifying_holds_nothing_open_afterwards(cli, world, open_in):
    for words in (trusting(world, world.model), trusting(world, world.model, "--only", "none")):
        cli(*words)
    assert open_in(world.model) == []


def test_a_policy_names_its_authorities(cli, world):
    document = cli("verify", world.model, "--policy", world.policy, "--json").document
    assert document["signer"]["authority"] == "author"


@pytest.mark.parametrize("hash_name", ["sha256", "blake3", "blake2b"])
@pytest.mark.parametrize("method", [("files",), ("shards", "--shard-size", "1000")])
def test_every_way_of_hashing_verifies(cli, world, fresh, hash_name, method):
    signed = cli(*signing(world, fresh, "--hash", hash_name, "--method", *method, "--json")).document
    assert (signed["hash"], signed["method"]) == (hash_name, method[0])
    verified = cli(*trusting(world, fresh, "--json")).document
    assert verified["manifest_digest"] == signed["manifest_digest"]


def test_a_shard_size_without_shards_is_a_mistake(cli, world, fresh):
    ran = cli(*signing(world, fresh, "--shard-size", "1000"))
    assert (ran.status, ran.code) == (2, "bad-arguments")
    assert not (fresh / "model.sig").exists()


def test_a_single_file(cli, world, tmp_path):
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"GGUF")
    assert cli(*signing(world, path)).status == 0
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["weights.gguf", "weights.gguf.sig"]
    document = cli(*trusting(world, path, "--json")).document
    assert (document["files"], document["bundle"]) == (1, f"{path}.sig")
    assert cli(*signing(world, path, "--bundle", tmp_path / "other.sig")).status == 0
    assert cli(*trusting(world, path, "--bundle", tmp_path / "other.sig")).status == 0


def test_a_bundle_is_replaced_only_when_told(cli, world, model):
    old = (model / "model.sig").read_bytes()
    ran = cli(*signing(world, model))
    assert (ran.status, ran.code) == (2, "output-exists")
    assert (model / "model.sig").read_bytes() == old
    assert cli(*signing(world, model, "--overwrite")).status == 0
    assert (model / "model.sig").read_bytes() != old


def test_signatures_of_others_that_are_replaced_are_said(cli, world, model, tmp_path):
    gone = "1 signature of another key went with the replaced bundle; `sign --add` by them adds theirs again"
    over = ("sign", model, "--key", world.stranger, "--overwrite")
    assert cli("sign", model, "--key", world.stranger, "--add").err == ""
    again = ("--previous", model / "model.sig", "--state-dir", tmp_path / "state", "--overwrite")
    ran = cli(*signing(world, model, *again, "--json"))
    assert (ran.status, ran.document["warnings"][-1]) == (0, gone)
    ran = cli(*over)
    assert (ran.status, ran.err) == (0, f"trustkit: warning: {gone}\n")
    ran = cli(*over)
    assert (ran.status, ran.err) == (0, "")


def test_what_is_left_out_is_said(cli, world, fresh):
    (fresh / "cache").mkdir()
    (fresh / "cache/x").touch()
    (fresh / "notes.txt").touch()
    signed = cli(*signing(world, fresh, "--ignore", "cache/", "--ignore", "notes.txt", "--json")).document
    assert signed["ignore_paths"] == ["cache", "model.claims.jsonl", "model.sig", "notes.txt"]
    ran = cli(*trusting(world, fresh))
    assert "ignored          cache, notes.txt (left out by the signer)" in ran.out
    assert cli(*trusting(world, fresh, "--json")).document["ignored"] == ["cache", "notes.txt"]


def test_what_nobody_signed_is_tolerated_aloud(cli, world, model):
    for number in range(5):
        (model / f"extra-{number}").touch()
    ran = cli(*trusting(world, model))
    assert (ran.status, ran.code) == (1, "unsigned-file")
    ran = cli(*trusting(world, model, "--ignore-unsigned"))
    assert ran.status == 0
    assert "extra-0, extra-1, extra-2 and 2 more (tolerated, signed by nobody)" in ran.out
    document = cli(*trusting(world, model, "--ignore-unsigned", "--json")).document
    assert document["unsigned"] == [f"extra-{number}" for number in range(5)]


def test_only_some_files_and_which_not(cli, world, model):
    (model / "config.json").write_text("changed")
    assert cli(*trusting(world, model)).code == "digest-mismatch"
    ran = cli(*trusting(world, model, "--only", "*.bin"))
    assert ran.out.startswith(f"trusted: {model}, but only 1 of 3 files compared\n")
    assert "  1 of 3 files, 16.4 kB\n" in ran.out
    assert "config.json, nested/tokenizer.json (left out by --only)" in ran.out
    document = cli(*trusting(world, model, "--only", "*.bin", "--only", "nested/*", "--json")).document
    assert (document["files"], document["files_signed"], document["skipped"]) == (2, 3, ["config.json"])
    assert document["message"] == f"trusted: {model}, but only 2 of 3 files compared"
    ran = cli(*trusting(world, model, "--only", "nothing"))
    assert (ran.status, ran.code) == (2, "nothing-selected")


def test_only_that_leaves_nothing_out_is_a_verify_of_the_whole(cli, world):
    whole, all_named = (cli(*trusting(world, world.model, *more)) for more in ((), ("--only", "*")))
    assert (all_named.status, all_named.out) == (0, whole.out)


def test_hard_links_are_legal_and_said_aloud(cli, world, model, tmp_path):
    os.link(model / "weights.bin", tmp_path / "elsewhere")
    for words in (trusting(world, model), signing(world, model, "--overwrite")):
        ran = cli(*words)
        assert ran.status == 0
        assert ran.err.startswith("trustkit: warning: 'weights.bin' has other hard links")
        assert len(cli(*words, "--json").document["warnings"]) == 1
        quiet = cli(*words, "--quiet")
        assert (quiet.status, quiet.out, quiet.err) == (0, "", ran.err)


def test_links_are_followed_only_when_told(cli, world, fresh):
    (fresh / "link.json").symlink_to("config.json")
    ran = cli(*signing(world, fresh))
    assert (ran.status, ran.code) == (3, "symlink")
    assert "--allow-symlinks" in ran.err
    assert cli(*signing(world, fresh, "--allow-symlinks")).status == 0
    assert cli(*trusting(world, fresh)).status == 0


def test_who_verifies_is_not_told_to_allow_links(cli, world, model):
    (model / "link.json").symlink_to("config.json")
    ran = cli(*trusting(world, model))
    assert (ran.status, ran.code) == (1, "symlink")
    assert "'link.json' is a symbolic link, and its signer allowed none; copy the folder with `cp" in ran.err


def test_a_sealed_folder_is_to_be_opened(cli, world):
    ran = cli(*trusting(world, world.sealed))
    assert (ran.status, ran.code) == (1, "file-missing")
    assert "this is a sealed folder; use `trustkit open`" in ran.err


def test_a_public_key_signs_nothing(cli, world, fresh):
    key = world.public(world.author)
    ran = cli("sign", fresh, "--key", key)
    assert (ran.status, ran.code) == (2, "public-key-given")
    assert f"{str(key)!r} is a public key; give the private one" in ran.err


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ((), 2, "no-authority"),
        (("--key", "stranger"), 1, "wrong-signer"),
        (("--key", "private"), 2, "private-key-given"),
        (("--key", "policy"), 2, "bad-public-key"),
        (("--key", "absent"), 2, "no-such-file"),
        (("--policy", "absent"), 2, "no-such-file"),
        (("--policy", "stranger"), 2, "bad-policy"),
        (("--policy", "policy", "--key", "author"), 2, "bad-arguments"),
        (("--key", "author", "--bundle", "absent"), 2, "no-such-file"),
        (("--key", "author", "--bundle", "policy"), 3, "bad-json"),
        (("--key", "author", "--bundle", "folder"), 2, "special-file"),
    ],
)
def test_trust_that_is_none(cli, world, tmp_path, more, status, code):
    named = {
        "author": world.public(world.author),
        "stranger": world.public(world.stranger),
        "private": world.author,
        "policy": world.policy,
        "folder": tmp_path,
        "absent": tmp_path / "absent",
    }
    ran = cli("verify", world.model, *(named.get(word, word) for word in more), "--json")
    assert (ran.status, ran.document["code"]) == (status, code)


def test_every_way_to_say_whom_to_believe_is_named(cli, world):
    told = cli("verify", world.model).err
    assert all(flag in told for flag in ("--key", "--ca", "--policy"))
    assert "--ca" not in cli("open", world.model, "--opener", world.opener, "--output", "opened").err


def test_an_unsigned_model(cli, world, fresh, tmp_path):
    ran = cli(*trusting(world, fresh))
    assert (ran.status, ran.code) == (1, "unsigned")
    ran = cli(*trusting(world, tmp_path / "absent"))
    assert (ran.status, ran.code) == (2, "no-such-path")


def test_keys_inside_the_model_are_not_published(cli, world, fresh):
    inside = fresh / "author.pem"
    inside.write_bytes(world.author.read_bytes())
    ran = cli("sign", fresh, "--key", inside)
    assert (ran.status, ran.code) == (2, "key-inside-model")
    secret = fresh / "passphrase"
    secret.write_bytes(world.passphrase.read_bytes())
    inside.unlink()
    ran = cli("sign", fresh, "--key", world.locked, "--passphrase-file", secret)
    assert (ran.status, ran.code) == (2, "key-inside-model")
    assert not (fresh / "model.sig").exists()


def test_a_locked_key_signs_with_its_passphrase(cli, world, fresh):
    ran = cli("sign", fresh, "--key", world.locked)
    assert (ran.status, ran.code) == (2, "passphrase-needed")
    assert cli("sign", fresh, "--key", world.locked, "--passphrase-file", world.passphrase).status == 0
    assert cli("verify", fresh, "--key", world.public(world.locked)).status == 0


def test_what_a_policy_says(cli, world):
    ran = cli("policy", "check", world.policy)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("valid: policy 'ours'\n")
    assert "in files beside it, so webhook and broker refuse it" in ran.out
    document = cli("policy", "check", world.policy, "--json").document
    assert (document["threshold"], document["lines"], document["name"]) == (1, ["acme/tiny"], "ours")
    assert document["key_files"] == ["author.pem.pub", "publisher.pem.pub"]
    assert [authority["roles"] for authority in document["authorities"]] == [["author"], ["publisher"]]
    verified = cli("verify", world.model, "--policy", world.policy, "--json").document
    assert document["policy_digest"] == verified["policy_digest"]


@pytest.mark.parametrize("change", ["spec: {}", "", "a: &a [*a]", "- 1", "\x00", "threshold: 9"])
def test_a_policy_that_is_none(cli, world, tmp_path, change):
    broken = tmp_path / "policy.yaml"
    broken.write_text(change)
    ran = cli("policy", "check", broken, "--json")
    assert (ran.status, ran.document["code"]) == (2, "bad-policy")


@pytest.mark.parametrize("file", ["absent.pub", "", "../../../../../dev/zero", "."])
def test_a_policy_whose_key_file_is_none(cli, world, tmp_path, file):
    broken = tmp_path / "policy.yaml"
    broken.write_text(world.policy.read_text().replace("author.pem.pub", repr(file)))
    assert cli("policy", "check", broken).status == 2


def test_a_policy_without_lines_says_so(cli, world, tmp_path):
    author = strictjson.to_bytes(world.public(world.author).read_text()).decode()
    lone = tmp_path / "policy.yaml"
    lone.write_text(
        "apiVersion: trustkit.dev/v1alpha1\nkind: VerificationPolicy\nmetadata: {name: lone}\n"
        "spec:\n  authorities:\n"
        f"    - name: me\n      roles: [author, publisher]\n      key: {{pem: {author}}}\n"
    )
    ran = cli("policy", "check", lone)
    assert "none: it verifies signatures, and no sealed artifact" in ran.out
    assert "all in the policy itself" in ran.out
    assert "author and publisher" in ran.out


def test_a_key_given_as_a_policy_is_told_where_it_belongs(cli, world):
    ran = cli("verify", world.model, "--policy", world.public(world.author))
    assert (ran.status, ran.code) == (2, "bad-policy")
    assert "give it with --key" in ran.err


def test_signing_again_reads_what_changed(cli, world, fresh, tmp_path):
    """The record is begun with ``--state-dir`` alone; its default place is below the user's home."""
    for path in (fresh, *fresh.rglob("*")):
        os.utime(path, (1, 1))
    state = tmp_path / "state"
    first = cli(*signing(world, fresh, "--state-dir", state, "--json")).document
    assert first["unread_files"] == 0
    assert sorted(path.name.split("-")[0] for path in state.iterdir()) == ["records.key", "signed"]
    again = ("--previous", fresh / "model.sig", "--overwrite")
    ran = cli(*signing(world, fresh, *again, "--json"), environ={"XDG_STATE_HOME": str(tmp_path)})
    assert "nothing was recorded" in ran.document["warnings"][0]
    assert (tmp_path / "trustkit/records.key").is_file()
    ran = cli(*signing(world, fresh, *again), environ={"HOME": str(tmp_path / "home"), "XDG_STATE_HOME": "x"})
    assert (tmp_path / "home/.local/state/trustkit/records.key").is_file()
    assert "not read again" not in ran.out
    assert cli(*signing(world, fresh, *again)).code == "no-state-folder"
    assert cli(*trusting(world, fresh)).status == 0


def test_signing_tells_what_was_not_read(cli, world, fresh, tmp_path, monkeypatch):
    from trustkit.cli.verbs import sign

    monkeypatch.setattr(sign.time, "time", lambda: 4e9)  # long after the files were made
    state = ("--state-dir", tmp_path / "state")
    cli(*signing(world, fresh, *state))
    ran = cli(*signing(world, fresh, *state, "--previous", fresh / "model.sig", "--overwrite"))
    assert "  not read again   3 files\n" in ran.out
    assert ran.err == ""


def test_signing_tells_what_would_have_been_faster(cli, world, fresh, monkeypatch):
    from trustkit.workflows import timed

    monkeypatch.setattr(timed, "savings", lambda *_: {"--method auto": 2.04, "--hash blake3": 3.5})
    ran = cli(*signing(world, fresh))
    assert (
        "  faster           --method auto: about 2.0 s less; --hash blake3: about 3.5 s less"
        " (not every verifier reads it)\n"
    ) in ran.out
    assert cli(*signing(world, fresh, "--json", "--overwrite")).document["faster"] == {
        "--method auto": 2.0,
        "--hash blake3": 3.5,
    }


def test_a_folder_is_no_place_for_a_bundle(cli, world, model, snapshot):
    before = snapshot(model)
    for more, code in (((), "output-exists"), (("--overwrite",), "not-replaceable")):
        ran = cli("sign", model, "--key", world.author, "--bundle", model / "nested", *more)
        assert (ran.status, ran.code) == (2, code)
        assert "is a folder; name a file, in it or elsewhere" in ran.err
    assert snapshot(model) == before


def test_a_pattern_to_ignore_is_told_to_be_a_name(cli, world, model):
    ran = cli("sign", model, "--key", world.author, "--overwrite", "--ignore", "*.bin")
    assert "no '*.bin' to ignore (a name is taken as it is, and no pattern)" in ran.err
    ran = cli("sign", model, "--key", world.author, "--overwrite", "--ignore", "absent.bin")
    assert "no 'absent.bin' to ignore;" in ran.err


def test_an_empty_folder_is_named(cli, world, tmp_path):
    (tmp_path / "void").mkdir()
    ran = cli("sign", tmp_path / "void", "--key", world.author)
    assert (ran.status, ran.code) == (3, "empty-model")
    assert f"'{tmp_path / 'void'}': there is no file to sign here" in ran.err
