"""Keys in AWS KMS from the command line: seal, open, rewrap and shred against moto's own server over TLS."""

import json
import sys

import pytest

from trustkit.digest import digest_of


@pytest.fixture
def fault(kms):
    return sys.modules[type(kms).__module__]


@pytest.fixture
def ours(kms):
    """The ARN of a key, and what a command calls it."""
    arn = kms.create_key()
    return arn, kms.name(arn)


@pytest.fixture
def sealed_to_kms(cli, world, ours, tmp_path, seal_words):
    """A folder sealed to a key in the service and to a key pair."""
    ran = cli(*seal_words(world, world.model, tmp_path / "folder"), "--recipient", ours[1])
    assert ran.status == 0, ran.err
    return tmp_path / "folder"


def trust(world):
    return ("--key", world.public(world.author), "--publisher-key", world.public(world.publisher))


def opening(world, folder, opener, output):
    return ("open", folder, "--opener", opener, *trust(world), "--output", output)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def named(arn):
    return {"kind": "awskms", "key": str(digest_of(arn.encode()))}


def test_what_is_sealed_to_a_service_opens_through_it(cli, world, kms, ours, tmp_path, seal_words):
    arn, name = ours
    words = list(seal_words(world, world.model, tmp_path / "sealed"))
    words[words.index("--recipient") + 1] = name  # the service alone
    found = cli(*words, "--json").document
    assert found["recipients"] == [named(arn)]
    ran = cli(*opening(world, tmp_path / "sealed", name, tmp_path / "opened"), "--json")
    assert ran.status == 0, ran.err
    opened = contents(tmp_path / "opened")
    assert opened == {name: raw for name, raw in contents(world.model).items() if name != "model.sig"}
    wrap, unwrap = kms.requests
    assert [operation for operation, _, _ in kms.requests] == ["Encrypt", "Decrypt"]
    assert (
        wrap[1]["EncryptionContext"]
        == unwrap[1]["EncryptionContext"]
        == {
            "format": "trustkit.dev/wrap/v1",
            "line": "acme/tiny",
            "version": "3",
            "dek_id": found["dek_id"],
            "publisher_key": found["publisher_key"],
            "manifest_digest": found["manifest_digest"],
            "key_commitment": wrap[1]["EncryptionContext"]["key_commitment"],
        }
    )
    assert wrap[1]["Plaintext"] not in json.dumps(found) + ran.out + ran.err


def test_a_service_that_refuses_is_heard_before_anything_is_sealed(
    cli, world, kms, ours, fault, tmp_path, seal_words, monkeypatch
):
    def forbidden(*_, **__):
        raise AssertionError("a file was sealed that nobody could open")

    monkeypatch.setattr("trustkit.storage.sealing_folder.seal_parts", forbidden)
    words = (*seal_words(world, world.model, tmp_path / "sealed"), "--recipient", ours[1])
    for said, status, code in (
        ("AccessDeniedException", 1, "kms-denied"),
        ("DisabledException", 1, "kms-key-disabled"),
        ("NotFoundException", 2, "no-such-kms-key"),
        ("KMSInternalException", 5, "kms-unavailable"),
    ):
        kms.always = fault.refusal(said)
        ran = cli(*words, "--json")
        assert (ran.status, ran.document["code"]) == (status, code)
        assert "POISON" not in ran.out + ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ("AccessDeniedException", 1, "kms-denied"),
        ("KMSInvalidStateException", 1, "kms-key-disabled"),
        ("InvalidCiphertextException", 1, "wrong-context"),
        ("KMSInternalException", 5, "kms-unavailable"),
    ],
)
def test_opening_that_the_service_refuses_leaves_nothing(
    cli, world, kms, ours, fault, sealed_to_kms, tmp_path, said, status, code
):
    kms.always = fault.refusal(said)
    ran = cli(*opening(world, sealed_to_kms, ours[1], tmp_path / "opened"), "--json")
    assert (ran.status, ran.document["code"]) == (status, code)
    assert not (tmp_path / "opened").exists()


def test_the_service_is_not_asked_about_what_was_not_verified(cli, world, kms, ours, sealed_to_kms, tmp_path):
    kms.heal()
    words = ("--key", world.public(world.stranger), "--output", tmp_path / "opened")
    ran = cli("open", sealed_to_kms, "--opener", ours[1], *words)
    assert (ran.status, ran.code) == (1, "wrong-signer")
    other = kms.create_key()
    ran = cli(*opening(world, sealed_to_kms, kms.name(other), tmp_path / "opened"))
    assert (ran.status, ran.code) == (1, "no-matching-opener")
    assert kms.requests == []


def test_a_key_in_a_service_comes_and_goes(cli, world, kms, ours, sealed, tmp_path):
    arn, name = ours
    before = {file: raw for file, raw in contents(sealed).items() if file != "recipients.json"}
    words = ("rewrap", sealed, *trust(world))
    found = cli(*words, "--opener", world.opener, "--add", name, "--json").document
    assert named(arn) in found["recipients"]
    assert cli(*opening(world, sealed, name, tmp_path / "one")).status == 0
    # By the service alone: out with the key pairs, and with it to another key of the service.
    other = kms.create_key()
    out = [word for key in (world.opener, world.locked_opener) for word in ("--remove", world.public(key))]
    found = cli(*words, "--opener", name, *out, "--remove", name, "--add", kms.name(other), "--json").document
    assert found["recipients"] == [named(other)]
    ran = cli(*opening(world, sealed, name, tmp_path / "two"))
    assert (ran.status, ran.code) == (1, "no-matching-opener")
    assert cli(*opening(world, sealed, kms.name(other), tmp_path / "three")).status == 0
    assert {file: raw for file, raw in contents(sealed).items() if file != "recipients.json"} == before


def test_who_goes_needs_no_service(cli, world, kms, ours, sealed_to_kms):
    kms.heal()
    words = ("rewrap", sealed_to_kms, *trust(world), "--opener", world.opener, "--remove", ours[1])
    assert cli(*words).status == 0
    assert kms.requests == []


def test_shredding_alone_leaves_the_key_and_says_so(cli, kms, ours, sealed_to_kms):
    ran = cli("shred", sealed_to_kms)
    assert ran.status == 0
    assert "1 key in AWS KMS" in ran.err
    assert kms.key(ours[0]).key_state == "Enabled"
    assert json.loads((sealed_to_kms / "shredded.json").read_bytes())["deletions"] == []


def test_shredding_has_the_key_deleted_and_records_both(cli, world, kms, ours, sealed_to_kms, tmp_path):
    arn, name = ours
    words = ("shred", sealed_to_kms, "--delete-key", name, "--pending-days", "7")
    ran = cli(*words)
    assert ran.status == 0, ran.err
    assert arn in ran.out
    assert "whatever else was wrapped" in ran.err
    assert "multi-Region" not in ran.err
    assert "in AWS KMS; see --delete-key" not in ran.err
    assert kms.key(arn).key_state == "PendingDeletion"
    operation, asked, _ = kms.requests[-1]
    assert (operation, asked["PendingWindowInDays"]) == ("ScheduleKeyDeletion", 7)
    raw = (sealed_to_kms / "shredded.json").read_bytes()
    [deletion] = json.loads(raw)["deletions"]
    assert deletion == {**named(arn), "name": arn, "state": "PendingDeletion", "time": deletion["time"]}
    assert not (sealed_to_kms / "recipients.json").exists()
    again = cli(*words, "--json").document
    assert (again["before"], again["deletions"][0]["name"], again["recorded"]) == (True, arn, [])
    assert [operation for operation, _, _ in kms.requests[-2:]] == ["ScheduleKeyDeletion", "DescribeKey"]
    assert (sealed_to_kms / "shredded.json").read_bytes() == raw
    ran = cli("shred", sealed_to_kms, "--delete-key", kms.name(kms.create_key()))
    assert (ran.status, ran.code) == (2, "not-a-recipient")


def test_what_a_record_says_is_no_answer_of_the_service(cli, kms, ours, sealed_to_kms):
    """Its owner took the deletion back, or somebody wrote the record: the service knows."""
    arn, name = ours
    assert cli("shred", sealed_to_kms, "--delete-key", name).status == 0
    kms.key(arn).key_state = "Enabled"
    kms.heal()
    ran = cli("shred", sealed_to_kms)
    assert kms.requests == []
    assert f"recorded before  {arn}, " in ran.out
    assert "not asked now" in ran.out
    assert "to be deleted" not in ran.out
    assert "signed by nobody" in ran.err
    found = cli("shred", sealed_to_kms, "--json").document
    assert (found["deletions"], found["recorded"][0]["name"]) == ([], arn)
    ran = cli("shred", sealed_to_kms, "--delete-key", name)
    assert ran.status == 0
    assert f"to be deleted  {arn}, " in ran.out
    assert kms.key(arn).key_state == "PendingDeletion"


def test_a_record_that_cannot_be_read_is_told(cli, sealed):
    (sealed / "shredded.json").write_text("{}")
    ran = cli("shred", sealed)
    assert ran.status == 0
    assert "shredded.json of a run before could not be read" in ran.err
    assert "could not be read" not in cli("shred", sealed).err


def test_the_second_that_is_refused_tells_of_the_first(
    cli, world, kms, fault, tmp_path, seal_words, snapshot
):
    arns = [kms.create_key(), kms.create_key()]
    words = list(seal_words(world, world.model, tmp_path / "folder"))
    assert cli(*words, *(word for arn in arns for word in ("--recipient", kms.name(arn)))).status == 0
    before = snapshot(tmp_path / "folder")
    kms.faults = [None, fault.refusal("AccessDeniedException")]
    words = [word for arn in arns for word in ("--delete-key", kms.name(arn))]
    ran = cli("shred", tmp_path / "folder", *words, "--json")
    assert (ran.status, ran.document["code"]) == (1, "kms-denied")
    assert f"already scheduled for deletion: {arns[0]}" in ran.document["message"]
    assert [kms.key(arn).key_state for arn in arns] == ["PendingDeletion", "Enabled"]
    assert snapshot(tmp_path / "folder") == before


def test_days_that_are_not_said_are_thirty(cli, kms, ours, sealed_to_kms):
    assert cli("shred", sealed_to_kms, "--delete-key", ours[1]).status == 0
    assert kms.requests[-1][1]["PendingWindowInDays"] == 30


@pytest.fixture
def both(kms):
    """The ARNs of a multi-Region key in one region and of its replica in another."""
    arn = kms.create_key(multi_region=True)
    return arn, kms.replicate_key(arn, "us-east-1")


def test_each_region_of_a_key_is_a_recipient_of_its_own(cli, world, kms, both, tmp_path, seal_words):
    """Sealed to both ARNs, it opens in either region, in each by its own key and its own service."""
    words = list(seal_words(world, world.model, tmp_path / "sealed"))
    words[words.index("--recipient") + 1] = kms.name(both[0])
    found = cli(*words, "--recipient", kms.name(both[1]), "--json").document
    assert found["recipients"] == [named(arn) for arn in both]
    for number, arn in enumerate(both):
        kms.heal()
        ran = cli(*opening(world, tmp_path / "sealed", kms.name(arn), tmp_path / f"opened-{number}"))
        assert ran.status == 0, ran.err
        [(operation, asked, headers)] = kms.requests
        assert (operation, asked["KeyId"]) == ("Decrypt", arn)
        assert f"/{arn.split(':')[3]}/kms/" in headers["authorization"]


def test_a_region_that_was_not_named_is_added_later(cli, world, kms, both, tmp_path, seal_words):
    words = list(seal_words(world, world.model, tmp_path / "sealed"))
    words[words.index("--recipient") + 1] = kms.name(both[0])
    assert cli(*words).status == 0
    kms.heal()
    there = opening(world, tmp_path / "sealed", kms.name(both[1]), tmp_path / "opened")
    ran = cli(*there, "--json")
    assert (ran.status, ran.document["code"]) == (1, "no-matching-opener")
    assert kms.requests == []
    words = ("rewrap", tmp_path / "sealed", *trust(world), "--opener", kms.name(both[0]))
    assert cli(*words, "--add", kms.name(both[1])).status == 0
    assert cli(*there).status == 0


def test_a_deleted_key_whose_replicas_live_is_told(cli, world, kms, both, tmp_path, seal_words):
    """What was wrapped for one region opens with the key of another: deletion of one alone ends nothing."""
    words = (*seal_words(world, world.model, tmp_path / "sealed"), "--recipient", kms.name(both[0]))
    assert cli(*words).status == 0
    path = tmp_path / "sealed" / "recipients.json"
    copy = path.read_text().replace(named(both[0])["key"], named(both[1])["key"])
    ran = cli("shred", tmp_path / "sealed", "--delete-key", kms.name(both[0]))
    assert ran.status == 0
    assert "multi-Region" in ran.err
    assert "whatever else was wrapped" not in ran.err
    assert kms.key(both[0]).key_state == "PendingReplicaDeletion"
    path.write_text(copy)  # kept by somebody, and given another name
    assert kms.key(both[1]).key_state == "Enabled"
    ran = cli(*opening(world, tmp_path / "sealed", kms.name(both[1]), tmp_path / "opened"))
    assert ran.status == 0, ran.err


def test_a_replica_keeps_a_key_without_a_date(cli, kms, ours, fault, sealed_to_kms):
    arn, name = ours
    kms.always = fault.Answer(json.dumps({"KeyId": arn, "KeyState": "PendingReplicaDeletion"}).encode())
    ran = cli("shred", sealed_to_kms, "--delete-key", name)
    assert ran.status == 0
    assert "when the service can (PendingReplicaDeletion)" in ran.out


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [("AccessDeniedException", 1, "kms-denied"), ("KMSInternalException", 5, "kms-unavailable")],
)
def test_a_service_that_keeps_its_key_keeps_the_folder(
    cli, kms, ours, fault, sealed_to_kms, snapshot, said, status, code
):
    before = snapshot(sealed_to_kms)
    kms.always = fault.refusal(said)
    ran = cli("shred", sealed_to_kms, "--delete-key", ours[1])
    assert (ran.status, ran.code) == (status, code)
    assert snapshot(sealed_to_kms) == before


def test_a_folder_cannot_have_somebody_elses_key_deleted(cli, kms, sealed_to_kms, snapshot):
    """The recipients document is signed by nobody: the key must be named here and there."""
    before, other = snapshot(sealed_to_kms), kms.create_key()
    kms.heal()
    ran = cli("shred", sealed_to_kms, "--delete-key", kms.name(other))
    assert (ran.status, ran.code) == (2, "not-a-recipient")
    assert kms.requests == []
    assert kms.key(other).key_state == "Enabled"
    assert snapshot(sealed_to_kms) == before


def test_words_that_are_refused(cli, world, kms, ours, sealed_to_kms, snapshot, tmp_path):
    before, (arn, name) = snapshot(sealed_to_kms), ours
    secret = ("--opener-passphrase-file", world.passphrase)
    for words, code in (
        (("shred", sealed_to_kms, "--pending-days", "7"), "bad-arguments"),
        (("shred", sealed_to_kms, "--delete-key", name, "--pending-days", "6"), "bad-arguments"),
        (("shred", sealed_to_kms, "--delete-key", name, "--pending-days", "31"), "bad-arguments"),
        (("shred", sealed_to_kms, "--delete-key", name, "--delete-key", name), "bad-arguments"),
        (("shred", sealed_to_kms, "--delete-key", world.public(world.opener)), "bad-arguments"),
        (("shred", sealed_to_kms, "--delete-key", "awskms:///alias/models"), "bad-arguments"),
        ((*opening(world, sealed_to_kms, name, tmp_path / "opened"), *secret), "bad-arguments"),
        (opening(world, sealed_to_kms, f"awskms:{arn}", tmp_path / "opened"), "bad-arguments"),
    ):
        ran = cli(*words)
        assert (ran.status, ran.code) == (2, code)
    assert snapshot(sealed_to_kms) == before


def test_a_key_in_a_service_is_no_file_that_an_output_could_be(cli, world, kms, ours, tmp_path, seal_words):
    words = (*seal_words(world, world.model, tmp_path / "sealed"), "--recipient", ours[1])
    assert cli(*words).status == 0
    assert not list(tmp_path.glob("aws*"))
