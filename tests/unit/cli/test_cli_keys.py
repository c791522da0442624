"""Key pairs: two files or none, never over another, and the public half of either kind."""

import os
import stat
import subprocess

import pytest

from trustkit.sealing.hpke import opener_from_pem, recipient_from_pem
from trustkit.signing.key import load_signer
from trustkit.verifying.keys import public_key_from_pem

PASSPHRASE = b"correct horse"


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
@pytest.mark.parametrize("locked", [True, False])
def test_a_signing_key_pair(cli, world, tmp_path, kind, locked):
    path = tmp_path / "key.pem"
    words = ("--passphrase-file", world.passphrase) if locked else ()
    document = cli("key", "generate", "--output", path, "--type", kind, *words, "--json").document
    assert (document["type"], document["encrypted"]) == (kind, locked)
    assert bool(document["warnings"]) == (not locked)
    signer = load_signer(path, passphrase=b"correct horse" if locked else None)
    public = public_key_from_pem((tmp_path / "key.pem.pub").read_bytes(), what="it")
    assert document["fingerprint"] == str(signer.fingerprint) == str(public.fingerprint)
    assert document["private_key"] == str(path)
    assert document["public_key"] == f"{path}.pub"


@pytest.mark.parametrize("locked", [True, False])
def test_a_recipients_key_pair(cli, world, tmp_path, locked):
    path = tmp_path / "key.pem"
    words = ("--passphrase-file", world.passphrase) if locked else ()
    document = cli("key", "generate", "--output", path, "--type", "x25519", *words, "--json").document
    opener = opener_from_pem(path.read_bytes(), passphrase=b"correct horse" if locked else None)
    recipient = recipient_from_pem((tmp_path / "key.pem.pub").read_bytes())
    assert document["fingerprint"] == str(opener.key_id) == str(recipient.key_id)


def test_the_private_half_is_its_owners_alone(program, tmp_path):
    ran = program("key", "generate", "--output", tmp_path / "key.pem")
    assert ran.status == 0
    assert "is not encrypted" in ran.err
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert not stat.S_IMODE((tmp_path / "key.pem.pub").stat().st_mode) & 0o022
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.pem", "key.pem.pub"]


@pytest.mark.parametrize("taken", ["key.pem", "key.pem.pub"])
@pytest.mark.parametrize("kind", ["file", "folder", "dangling link", "fifo"])
def test_nothing_is_ever_replaced(cli, tmp_path, snapshot, taken, kind):
    path = tmp_path / taken
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "elsewhere")
    before = snapshot(tmp_path)
    ran = cli("key", "generate", "--output", tmp_path / "key.pem")
    assert (ran.status, ran.code) == (2, "output-exists")
    assert "--overwrite" not in ran.err
    assert snapshot(tmp_path) == before


def test_the_passphrase_is_no_output(cli, tmp_path, snapshot):
    (tmp_path / "secret.pub").write_text("pass\n")
    before = snapshot(tmp_path)
    for output in (tmp_path / "secret", tmp_path / "secret.pub"):
        ran = cli("key", "generate", "--output", output, "--passphrase-file", tmp_path / "secret.pub")
        assert (ran.status, ran.code) == (2, "output-is-input")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("output", "status", "code"),
    [
        ("absent/key.pem", 2, "no-such-folder"),
        ("file/key.pem", 2, "no-such-folder"),
        ("x" * 253, 2, "bad-arguments"),
    ],
)
def test_a_place_that_will_not_do(cli, tmp_path, output, status, code):
    (tmp_path / "file").touch()
    ran = cli("key", "generate", "--output", tmp_path / output)
    assert (ran.status, ran.code) == (status, code)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_half_a_pair_is_taken_back(cli, tmp_path, monkeypatch):
    """The second file fails as it does when the disk is full just then."""
    from trustkit.errors import UnavailableError
    from trustkit.storage import local

    write, seen = local.write_new, []

    def full_at_the_second(target, content, **options):
        seen.append(target)
        if len(seen) == 2:
            raise UnavailableError("unwritable", "the disk is full")
        write(target, content, **options)

    monkeypatch.setattr(local, "write_new", full_at_the_second)
    ran = cli("key", "generate", "--output", tmp_path / "key.pem")
    assert (ran.status, ran.code) == (5, "unwritable")
    assert [path.name for path in seen] == ["key.pem", "key.pem.pub"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("after", ["key.pem", "key.pem.pub"])
def test_an_interruption_between_the_files_takes_both_back(cli, tmp_path, monkeypatch, after):
    from trustkit.storage import local

    write = local.write_new

    def interrupted(target, content, **options):
        write(target, content, **options)
        if target.name == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(local, "write_new", interrupted)
    assert cli("key", "generate", "--output", tmp_path / "key.pem").status == 130
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_somebody_elses(cli, tmp_path, monkeypatch):
    from trustkit.storage import local

    write = local.write_new

    def overtaken(target, content, **options):
        if target.name == "key.pem.pub":
            target.write_text("of somebody else")
        write(target, content, **options)

    monkeypatch.setattr(local, "write_new", overtaken)
    ran = cli("key", "generate", "--output", tmp_path / "key.pem")
    assert (ran.status, ran.code) == (2, "output-exists")
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem.pub"]
    assert (tmp_path / "key.pem.pub").read_text() == "of somebody else"


def test_a_full_disk_leaves_no_half_key(program, tmp_path):
    """On a file system of one page, mounted where that is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        ran = program("key", "generate", "--output", disk / "key.pem")
        assert (ran.status, ran.code) == (5, "unwritable")
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_the_public_half_of_either_kind(cli, world):
    for key, words in (
        (world.author, ()),
        (world.locked, ("--passphrase-file", world.passphrase)),
        (world.opener, ()),
        (world.locked_opener, ("--passphrase-file", world.passphrase)),
    ):
        ran = cli("key", "public", key, *words)
        assert (ran.status, ran.err) == (0, "")
        assert ran.out == world.public(key).read_text()
        assert cli("key", "public", key, *words, "--quiet").out == ran.out
        document = cli("key", "public", key, *words, "--json").document
        assert document["public_key"] == ran.out
        assert document["fingerprint"].startswith("sha256:")
        assert "PRIVATE" not in str(document)


def test_keys_that_cannot_be_used(cli, world, tmp_path):
    rsa = tmp_path / "rsa.pem"
    made = subprocess.run(["openssl", "genrsa", "-out", rsa, "2048"], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("there is no openssl here")
    assert cli("key", "public", rsa).code == "unsupported-key"


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("locked",), 2, "passphrase-needed"),
        (("locked_opener",), 2, "passphrase-needed"),
        (("author", "--passphrase-file", "passphrase"), 2, "passphrase-unused"),
        (("opener", "--passphrase-file", "passphrase"), 2, "passphrase-unused"),
        (("locked", "--passphrase-file", "guess"), 2, "wrong-passphrase"),
        (("locked_opener", "--passphrase-file", "guess"), 2, "wrong-passphrase"),
        (("locked", "--passphrase-file", "policy"), 2, "bad-passphrase"),
        (("policy",), 3, "bad-key"),
        (("author.pem.pub",), 2, "public-key-given"),
        (("opener.pem.pub",), 2, "public-key-given"),
        (("model",), 2, "special-file"),
    ],
)
def test_private_keys_that_do_not_open(cli, world, words, status, code):
    named = [world.folder / word if word.endswith(".pub") else getattr(world, word, word) for word in words]
    ran = cli("key", "public", *named, "--json")
    assert (ran.status, ran.document["code"]) == (status, code)
    assert "correct horse" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("sign ABSENT --key LOCKED", "no-such-path"),
        ("sign ABSENT --key LOCKED --add", "no-such-path"),
        (
            "seal ABSENT --key LOCKED --author-key PUBLIC --recipient TO --line a/b --version 1 --output OUT",
            "no-such-path",
        ),
        ("open ABSENT --opener OPENER --key PUBLIC --output OUT", "no-such-folder"),
        ("open FILE --opener OPENER --key PUBLIC --output OUT", "no-such-folder"),
        ("rewrap ABSENT --opener OPENER --key PUBLIC --add TO", "no-such-folder"),
    ],
)
def test_what_is_not_there_is_told_before_a_passphrase_is_asked_for(cli, world, tmp_path, words, code):
    places = {
        "ABSENT": tmp_path / "absent",
        "FILE": world.policy,
        "LOCKED": world.locked,
        "OPENER": world.locked_opener,
        "PUBLIC": world.public(world.author),
        "TO": world.public(world.opener),
        "OUT": tmp_path / "out",
    }
    ran = cli(*(places.get(word, word) for word in words.split()))
    assert (ran.status, ran.code) == (2, code)


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbf" + PASSPHRASE, b"\xef\xbb\xbf" + PASSPHRASE + b"\r\nmore"])
def test_a_byte_order_mark_is_no_part_of_a_passphrase(cli, world, tmp_path, raw):
    (tmp_path / "words").write_bytes(raw)
    assert cli("key", "public", world.locked, "--passphrase-file", tmp_path / "words").status == 0


@pytest.mark.parametrize("raw", [PASSPHRASE + b" \n", b"\t" + PASSPHRASE])
def test_a_blank_that_nobody_sees_is_told(cli, world, tmp_path, raw):
    (tmp_path / "words").write_bytes(raw)
    ran = cli("key", "public", world.locked, "--passphrase-file", tmp_path / "words")
    assert (ran.status, ran.code) == (2, "wrong-passphrase")
    assert "begins or ends with a blank, which counts" in ran.err
    assert PASSPHRASE.decode() not in ran.err


def test_a_file_given_as_a_sealed_folder_is_said_to_be_one(cli, world, tmp_path):
    ran = cli(
        *("open", world.sealed / "descriptor.sigstore.json", "--opener", world.opener),
        *("--key", world.public(world.author), "--output", tmp_path / "out"),
    )
    assert ran.code == "no-such-folder"
    assert "is a file; name the folder" in ran.err
