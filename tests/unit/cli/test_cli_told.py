"""What is said to whoever errs: which file, which of two mistakes, and what to do instead."""

import json
import shutil
import time
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from trustkit.sealing.shredded import text_of

NOW = float(int(time.time()))
ML = "email:ml@example.com"


@pytest.fixture
def unsigned(world, tmp_path):
    """A model that nobody signed."""
    folder = shutil.copytree(world.model, tmp_path / "unsigned")
    (folder / "model.sig").unlink()
    return folder


@pytest.fixture
def trusting(world):
    return ("--key", world.public(world.author))


@pytest.fixture
def rsa_key(tmp_path):
    key = rsa.generate_private_key(65537, 2048)
    path = tmp_path / "rsa.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


# -- what was named is not what was meant -----------------------------------------------------------------


def test_a_signature_is_not_what_was_signed(cli, model, trusting):
    where = model / "model.sig"
    said = f"{str(where)!r} is a signature itself; verify what it signs, the folder {str(model)!r} [unsigned]"
    for ran in (cli("verify", where, *trusting), cli("manifest", where)):
        assert (ran.status, ran.code) == (1, "unsigned")
        assert ran.err.endswith(f"; {said}\n")


def test_a_signature_beside_a_file_is_not_what_was_signed(cli, world, tmp_path, trusting):
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    assert cli("sign", tmp_path / "a.gguf", "--key", world.author).status == 0
    ran = cli("verify", tmp_path / "a.gguf.sig", *trusting)
    assert f"is a signature itself; verify what it signs, {str(tmp_path / 'a.gguf')!r}" in ran.err
    (tmp_path / "a.gguf").rename(tmp_path / "b.gguf")
    assert "is a signature itself" not in cli("verify", tmp_path / "a.gguf.sig", *trusting).err


def test_a_file_of_a_signed_folder_is_verified_with_the_folder(cli, model, trusting):
    ran = cli("verify", model / "weights.bin", *trusting)
    assert (ran.status, ran.code) == (1, "unsigned")
    assert f"{str(model / 'model.sig')!r} may cover it; verify the folder {str(model)!r}" in ran.err
    assert "with --only 'weights.bin'" in ran.err
    assert cli("verify", model, *trusting, "--only", "weights.bin").status == 0


def test_nobody_signed_it_is_said_where_nothing_else_can_be_meant(cli, unsigned, trusting):
    for path in (unsigned, unsigned / "weights.bin"):
        ran = cli("verify", path, *trusting)
        assert (ran.status, ran.code) == (1, "unsigned")
        assert "name its bundle with --bundle, or ask its author to sign it" in ran.err


@pytest.mark.parametrize("scheme", ["https", "http", "hf", "trust"])
def test_an_address_that_nothing_reads_is_not_told_to_need_a_cluster(cli, trusting, scheme):
    ran = cli("verify", f"{scheme}://models.example/m", *trusting)
    assert (ran.status, ran.code) == (2, "bad-address")
    assert "--cluster" not in ran.err
    assert "brought to this machine first" in ran.err
    assert "--cluster" in cli("verify", "s3://bucket/m", *trusting).err


@pytest.mark.parametrize("twice", [True, False])
def test_whose_keys_seal_takes_is_said(cli, world, seal_words, model, tmp_path, twice):
    words = list(seal_words(world, model, tmp_path / "out"))
    public = world.public(world.author)
    if twice:
        words += ["--key", public]
    else:
        words[words.index("--key") + 1] = public
    ran = cli(*words)
    assert (ran.status, ran.code) == (2, "bad-arguments" if twice else "public-key-given")
    assert "--key is your own, the publisher's, and the public key of the author is --author-key" in ran.err


@pytest.mark.parametrize("verb", ["verify", "open", "rewrap"])
def test_the_flag_of_the_author_is_found_under_its_other_name(cli, verb):
    assert "there is no flag '--author-key', did you mean '--key'?" in cli(verb, "x", "--author-key", "k").err


def test_a_line_that_the_policy_does_not_have_is_the_callers_mistake(cli, world, model, tmp_path):
    words = ("seal", model, "--key", world.publisher, "--policy", world.policy, "--version", "3")
    more = ("--recipient", world.public(world.opener), "--output", tmp_path / "out", "--line", "acme/other")
    ran = cli(*words, *more)
    assert (ran.status, ran.code) == (2, "line-not-in-policy")


def test_a_public_key_in_place_of_roots_is_said(cli, world, model):
    ran = cli("verify", model, "--ca", world.public(world.author))
    assert (ran.status, ran.code) == (2, "public-key-given")
    assert "is a public key, and --ca takes a certificate; give it with --key" in ran.err
    assert str(world.public(world.author)) in ran.err


def test_a_certificate_in_place_of_a_private_key_is_said(cli, forger, unsigned, tmp_path):
    (tmp_path / "root.pem").write_bytes(forger.Issuer(NOW, uris=()).pem)
    for words, said in (
        (
            ("sign", unsigned, "--key", tmp_path / "root.pem"),
            "--key takes a private key; give it with --certi",
        ),
        (
            ("key", "public", tmp_path / "root.pem"),
            "is a certificate; give the private key that goes with it",
        ),
    ):
        ran = cli(*words)
        assert (ran.status, ran.code) == (2, "public-key-given")
        assert said in ran.err


def test_a_key_of_a_kind_that_nobody_uses_is_told_which_there_are(cli, rsa_key):
    ran = cli("key", "public", rsa_key)
    assert (ran.status, ran.code) == (2, "unsupported-key")
    assert f"{str(rsa_key)!r} is of no kind that is used here" in ran.err
    assert "P-384" in ran.err
    assert "opener" not in ran.err


def test_the_name_of_a_kms_key_is_explained_whole(cli, world, model):
    arn = "arn:aws:kms:eu-central-1:111122223333"
    for name in ("key/abc", "alias/models"):
        ran = cli(
            *("rewrap", model, "--opener", world.opener, *("--key", "k"), "--add", f"awskms:///{arn}:{name}")
        )
        assert ran.status == 2
        assert "ID is a UUID, or mrk- and 32 hexadecimal digits; an alias could be moved" in ran.err


# -- files by name ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"{", b"{}", b"[" * 100, b'{"a":1,"a":1}'])
@pytest.mark.parametrize("named", [True, False])
def test_a_bundle_that_does_not_parse_is_named(cli, world, model, unsigned, trusting, tmp_path, raw, named):
    broken = tmp_path / "broken.sig" if named else model / "model.sig"
    broken.write_bytes(raw)
    more = ("--bundle", broken) if named else ()
    again = ("--previous", broken, "--state-dir", tmp_path / "state")
    for words in (
        ("verify", model, *trusting, *more),
        ("manifest", model, *more),
        ("inspect", broken),
        ("sign", unsigned, "--key", world.author, *again),
    ):
        ran = cli(*words)
        assert ran.status in {3, 4}
        assert ran.err.count(str(broken)) == 1, ran.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name: publisher", "name: author"), "two authorities have the same name, 'author'; rename one"),
        (("publisher.pem.pub", "author.pem.pub"), "'author' and 'publisher' hold the same key; merge their"),
    ],
)
def test_two_authorities_that_are_one_are_named(cli, world, tmp_path, change, said):
    for key in (world.author, world.publisher):
        shutil.copy(world.public(key), tmp_path)
    policy = tmp_path / "policy.yaml"
    policy.write_text(world.policy.read_text().replace(*change))
    ran = cli("policy", "check", policy)
    assert (ran.status, ran.code) == (2, "bad-policy")
    assert said in ran.err
    assert ran.err.count(str(policy)) == 1


# -- inspect ----------------------------------------------------------------------------------------------


def test_several_signatures_are_counted_as_they_are(cli, world, model):
    added = cli("sign", model, "--key", world.stranger, "--add")
    assert "  signatures       2 in the bundle now\n" in added.out
    assert cli("sign", model, "--key", world.publisher, "--add", "--json").document["signatures"] == 3
    said = "3 signatures, the first by a public key; the bundle does not say whose the others are\n"
    assert said in cli("inspect", model / "model.sig").out


def test_a_certificate_and_a_key_are_two_signatures_and_one_certificate(cli, world, unsigned, ca):
    sign = ("sign", unsigned, "--key", ca / "ml.pem", "--certificate", ca / "ml.crt")
    assert cli(*sign, "--chain", ca / "int.pem", "--json").document["signatures"] == 1
    assert cli("sign", unsigned, "--key", world.author, "--add").status == 0
    out = cli("inspect", unsigned / "model.sig").out
    assert "2 signatures, the first by a certificate; the bundle does not say whose the others are\n" in out
    assert (out.count("\n  certificate "), out.count("\n  in its chain ")) == (1, 1)


def test_the_record_of_a_shredding_is_shown(cli, world, sealed):
    document = cli("inspect", sealed / "recipients.json", "--json").document
    assert cli("shred", sealed).status == 0
    ran = cli("inspect", sealed / "shredded.json")
    assert ran.status == 0
    record = json.loads((sealed / "shredded.json").read_bytes())
    for part in ("UNVERIFIED: the record of a shredding", record["time"], record["descriptor"]):
        assert part in ran.out
    assert ran.out.count("was sealed to") == 2
    shown = cli("inspect", sealed / "shredded.json", "--json").document
    assert (shown["kind"], shown["verified"], shown["time"]) == ("shredded", False, record["time"])
    assert shown["recipients"] == document["recipients"] == record["recipients"]


def test_what_a_record_lists_of_services_is_shown(cli, world, sealed, tmp_path):
    assert cli("shred", sealed).status == 0
    record = json.loads((sealed / "shredded.json").read_bytes())
    deletion = {"kind": "awskms", "key": record["descriptor"], "name": "arn:x", "state": "PendingDeletion"}
    record.update(deletions=[deletion, {**deletion, "time": text_of(0)}], dek_id=None, recipients=None)
    (tmp_path / "record.json").write_text(json.dumps(record))
    out = cli("inspect", tmp_path / "record.json").out
    assert "awskms arn:x, PendingDeletion\n" in out
    assert "awskms arn:x, PendingDeletion until 1970-01-01T00:00:00Z\n" in out
    assert "data key     unknown" in out


@pytest.mark.parametrize("raw", [b"a: b\n", b'{"models": []}', b""])
def test_what_is_none_of_ours_is_named(cli, tmp_path, raw):
    path = tmp_path / "it"
    path.write_bytes(raw)
    ran = cli("inspect", path)
    assert (ran.status, ran.code) == (3, "unknown-document")
    assert f"{str(path)!r} is no bundle, recipients document, certificate or key" in ran.err


# -- certificates -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca(forger, tmp_path_factory):
    """A root, an intermediate, and a signer; another root; an expired signer and one under an expired one."""
    folder = tmp_path_factory.mktemp("told-ca")
    root = forger.Issuer(NOW, name="Acme Root", uris=())
    between = forger.Issuer(NOW, name="Acme Int", parent=root, uris=())
    old = forger.Issuer(NOW, name="Acme Old", parent=root, uris=(), not_after=-60)
    made = {"roots.pem": root.pem, "int.pem": between.pem, "old.pem": old.pem}
    made["others.pem"] = forger.Issuer(NOW, name="Others", uris=()).pem
    for name, issuer, how in (
        ("ml", between, {}),
        ("direct", root, {}),
        ("expired", between, {"not_after": -60}),
        ("early", between, {"not_before": 600}),
        ("under-old", old, {}),
    ):
        leaf, key = issuer.leaf(uris=(), emails=("ml@example.com",), subject="ml", extended=None, **how)
        made |= {f"{name}.pem": forger.key_pem(key), f"{name}.crt": forger.pem(leaf)}
    for name, raw in made.items():
        (folder / name).write_bytes(raw)
    return folder


@pytest.fixture
def certified(cli, ca, unsigned):
    """Sign with a certificate."""

    def run(name, *more):
        return cli("sign", unsigned, "--key", ca / f"{name}.pem", "--certificate", ca / f"{name}.crt", *more)

    return run


@pytest.mark.parametrize("chain", [None, "roots.pem", "others.pem"])
def test_a_chain_that_lacks_the_issuer_is_said_when_signing_and_when_verifying(
    cli, ca, certified, unsigned, chain
):
    more = () if chain is None else ("--chain", ca / chain)
    ran = certified("ml", *more)
    said = (
        "trustkit: warning: the signer's certificate was issued by 'CN=Acme Int', which --chain does not hold"
    )
    assert (ran.status, ran.err.startswith(said)) == (0, True), ran.err
    ran = cli("verify", unsigned, "--ca", ca / "roots.pem", "--identity", ML, "--json")
    document = ran.document
    assert (ran.status, document["code"]) == (1, "certificate-untrusted")
    assert "was issued by 'CN=Acme Int', which is no root here, and the bundle does not bring it" in ran.err
    assert (document["evidence"]["issuer"], document["evidence"]["reason"]) == ("'CN=Acme Int'", "")


def test_a_chain_that_leads_on_is_not_complained_of(cli, ca, certified, unsigned, tmp_path):
    """Whether an issuer at the end of it is a root is known to whoever verifies, and to nobody here."""
    whole = tmp_path / "whole.pem"
    whole.write_bytes((ca / "int.pem").read_bytes() + (ca / "roots.pem").read_bytes())
    for name, chain in (("ml", ca / "int.pem"), ("ml", whole), ("direct", ca / "roots.pem")):
        assert "--chain" not in certified(name, "--chain", chain, "--overwrite").err
        assert cli("verify", unsigned, "--ca", ca / "roots.pem", "--identity", ML).status == 0
    (unsigned / "model.sig").unlink()
    assert certified("ml", "--chain", ca / "int.pem", "--json").document["warnings"] == []


def test_roots_of_others_are_not_told_to_be_a_gap_in_the_chain(
    cli, ca, certified, unsigned, forger, tmp_path
):
    certified("ml", "--chain", ca / "int.pem")
    ran = cli("verify", unsigned, "--ca", ca / "others.pem", "--identity", ML)
    assert "'CN=Acme Int' was issued by 'CN=Acme Root', which is no root here" in ran.err
    (tmp_path / "twin.pem").write_bytes(forger.Issuer(NOW, name="Acme Root", uris=()).pem)
    ran = cli("verify", unsigned, "--ca", tmp_path / "twin.pem", "--identity", ML)
    assert (ran.status, ran.code) == (1, "certificate-untrusted")
    assert "which is no root here" not in ran.err


@pytest.mark.parametrize(
    ("name", "chain", "code", "said"),
    [
        ("expired", "int.pem", "certificate-expired", "your certificate was valid until "),
        ("early", "int.pem", "certificate-not-yet-valid", "your certificate is valid from "),
        (
            "under-old",
            "old.pem",
            "certificate-expired",
            "'CN=Acme Old' above your certificate was valid until ",
        ),
    ],
)
def test_who_signs_with_a_certificate_of_another_time_hears_which_it_is(
    ca, certified, unsigned, name, chain, code, said
):
    ran = certified(name, "--chain", ca / chain)
    assert (ran.status, ran.code) == (1, code)
    assert ran.err.startswith(f"trustkit: {said}")
    assert ("get a new one from its issuer" in ran.err) == (code == "certificate-expired")
    assert "signed anew" not in ran.err
    assert not (unsigned / "model.sig").exists()


def test_whom_a_certificate_names_and_who_was_asked_for_is_said(cli, ca, certified, unsigned):
    certified("ml", "--chain", ca / "int.pem")
    ran = cli("verify", unsigned, "--ca", ca / "roots.pem", "--identity", "email:eve@example.com", "--json")
    assert (ran.status, ran.document["code"]) == (1, "identity-mismatch")
    assert (
        f"but names {ML!r}, 'cn:ml', and under its root only 'email:eve@example.com' is believed" in ran.err
    )
    assert "'ca'" not in ran.err
    evidence = ran.document["evidence"]
    assert (evidence["identities"], evidence["believed"]) == ([ML, "cn:ml"], ["email:eve@example.com"])


# -- signing again, and with others -----------------------------------------------------------------------


def test_an_earlier_bundle_of_another_key_is_told_from_a_forgery(cli, world, model, tmp_path):
    state = ("--state-dir", tmp_path / "state")
    again = ("--previous", model / "model.sig", "--overwrite", *state)
    ran = cli("sign", model, "--key", world.stranger, *again)
    assert (ran.status, ran.code) == (1, "wrong-signer")
    assert (
        f"the earlier bundle {str(model / 'model.sig')!r} is not believed: it was not signed with this"
        in ran.err
    )
    assert ran.err.endswith("; sign without --previous [wrong-signer]\n")


def test_a_second_signer_is_told_of_add(cli, world, model):
    ran = cli("sign", model, "--key", world.stranger)
    assert (ran.status, ran.code) == (2, "output-exists")
    assert "add your signature to it with --add, replace it with --overwrite" in ran.err


def test_what_is_lost_is_said_to_whoever_wants_quiet(cli, world, model, tmp_path):
    assert cli("sign", model, "--key", world.stranger, "--add", "--quiet").err == ""
    ran = cli("sign", model, "--key", world.author, "--overwrite", "--quiet")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.startswith("trustkit: warning: 1 signature of another key went with the replaced bundle")
    ran = cli("key", "generate", "--output", tmp_path / "new.pem", "--quiet")
    assert (ran.status, ran.out) == (0, "")
    assert "is not encrypted: who reads it can use it" in ran.err


# -- one rule for what is no file -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "FOLDER"),
        ("policy", "check", "FOLDER"),
        ("verify", "MODEL", "--policy", "FOLDER"),
        ("verify", "MODEL", "--key", "FOLDER"),
        ("verify", "MODEL", "--ca", "FOLDER"),
        ("verify", "MODEL", "--key", "PUBLIC", "--bundle", "FOLDER"),
        ("manifest", "MODEL", "--bundle", "FOLDER"),
        ("check", "MODEL", "--lock", "FOLDER"),
        ("pin", "MODEL", "--from", "MODEL", "--key", "PUBLIC", "--lock", "FOLDER"),
        ("sign", "MODEL", "--key", "FOLDER"),
        ("key", "public", "FOLDER"),
    ],
)
def test_a_folder_where_a_file_was_to_be_named_is_the_callers_mistake(cli, world, model, tmp_path, words):
    places = {"MODEL": model, "FOLDER": tmp_path, "PUBLIC": world.public(world.author)}
    more = (
        f"x={model}" if before == "--from" else places.get(word, word) for before, word in pairwise(words)
    )
    ran = cli(words[0], *more)
    assert (ran.status, ran.code) == (2, "special-file")
    assert f"{str(tmp_path)!r} is a folder; name a file" in ran.err


def test_a_folder_in_the_place_of_a_bundle_that_nobody_named_is_not(cli, unsigned, trusting):
    (unsigned / "model.sig").mkdir()
    for words in (("verify", unsigned, *trusting), ("manifest", unsigned)):
        ran = cli(*words)
        assert (ran.status, ran.code) == (3, "special-file")
        assert "is not a regular file, and a bundle belongs there" in ran.err
