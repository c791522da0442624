"""Who may open is changed, or ended, without a touch to what was signed."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from trustkit import workflows
from trustkit.digest import digest_of
from trustkit.errors import (
    DeniedError,
    FormatError,
    LimitError,
    SealError,
    UnavailableError,
    UsageError,
    VerificationError,
)
from trustkit.sealing.documents import DESCRIPTOR, RECIPIENTS, SHREDDED
from trustkit.sealing.parties import Deletion
from trustkit.sealing.recipients import generate_opener, opener_from_pem, recipient_from_pem, recipients_of
from trustkit.sealing.shredded import MAX_BYTES as RECORD_MAX_BYTES
from trustkit.sealing.shredded import MAX_DELETIONS, Record
from trustkit.signing.key import generate_key
from trustkit.storage.held import hold
from trustkit.verifying.policy import policy_from_keys


@pytest.fixture(scope="module")
def parties():
    """Pairs of recipient and opener."""
    found = {}
    for name, kind in (("cluster", "x25519"), ("partner", "p256"), ("stranger", "x25519")):
        private, public = generate_opener(kind, passphrase=None)
        found[name] = (recipient_from_pem(public), opener_from_pem(private, passphrase=None))
    return found


@pytest.fixture
def sealed(signed, signer, policy, parties, tmp_path):
    """A sealed folder for the cluster; author and publisher have one key."""
    workflows.seal(
        signed,
        signer,
        output=tmp_path / "sealed",
        line="acme/tiny",
        version=1,
        recipients=[parties["cluster"][0]],
        policy=policy,
    )
    return tmp_path / "sealed"


@pytest.fixture
def opens(policy, tmp_path):
    """Say whether an opener opens a folder, byte for byte."""

    def opens(folder, opener):
        output = tmp_path / "opened"
        try:
            workflows.open_sealed(folder, [opener], policy, output=output)
        except SealError:
            return False
        for path in output.rglob("*"):
            path.chmod(0o755)
        shutil.rmtree(output)
        return True

    return opens


def test_somebody_is_added_and_somebody_removed(sealed, policy, parties, picture, opens):
    before = picture(sealed)
    (cluster, opener), (partner, partners) = parties["cluster"], parties["partner"]
    done = workflows.rewrap(sealed, [opener], policy, add=[partner])
    assert done.recipients == recipients_of((sealed / RECIPIENTS).read_bytes())
    assert {key for _, key in done.recipients} == {cluster.key_id, partner.key_id}
    assert (done.descriptor.line, done.descriptor.version) == ("acme/tiny", 1)
    assert opens(sealed, opener)
    assert opens(sealed, partners)
    workflows.rewrap(sealed, [partners], policy, remove=[cluster.key_id])
    assert not opens(sealed, opener)
    assert opens(sealed, partners)
    after = picture(sealed)
    assert before.pop(RECIPIENTS) != after.pop(RECIPIENTS)
    assert before == after


def test_what_is_refused_changes_nothing(sealed, policy, keys, parties, picture, refused, tmp_path):
    (cluster, opener), (partner, partners) = parties["cluster"], parties["partner"]
    stranger, before = parties["stranger"][1], picture(sealed)
    public = generate_key("p256", passphrase=None)[1]
    signing = recipient_from_pem((keys / "author.pub").read_bytes())
    others = policy_from_keys(public)
    for kind, code, openers, believed, options in (
        (UsageError, "no-changes", [opener], policy, {}),
        (VerificationError, "wrong-signer", [opener], others, {"add": [partner]}),
        (SealError, "no-matching-opener", [stranger, partners], policy, {"add": [partner]}),
        (UsageError, "no-recipients", [opener], policy, {"remove": [cluster.key_id]}),
        (UsageError, "not-a-recipient", [opener], policy, {"remove": [partner.key_id]}),
        (UsageError, "duplicate-recipient", [opener], policy, {"add": [cluster]}),
        (UsageError, "recipient-signs", [opener], policy, {"add": [signing]}),
    ):
        with refused(kind, code):
            workflows.rewrap(sealed, openers, believed, **options)
        assert picture(sealed) == before
    with hold(sealed), refused(UnavailableError, "folder-held"):
        workflows.rewrap(sealed, [opener], policy, add=[partner])
    with refused(UsageError, "no-such-folder"):
        workflows.rewrap(tmp_path / "absent", [opener], policy, add=[partner])
    assert picture(sealed) == before


def test_a_full_disk_keeps_the_old_document(sealed, policy, parties, picture, monkeypatch, refused):
    before = picture(sealed)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with refused(UnavailableError, "unwritable"):
            workflows.rewrap(sealed, [parties["cluster"][1]], policy, add=[parties["partner"][0]])
    assert picture(sealed) == before


def test_a_link_in_place_of_the_document_is_not_followed(sealed, policy, parties, refused, tmp_path):
    (tmp_path / "elsewhere").write_bytes((sealed / RECIPIENTS).read_bytes())
    (sealed / RECIPIENTS).unlink()
    (sealed / RECIPIENTS).symlink_to(tmp_path / "elsewhere")
    for work in (
        lambda: workflows.rewrap(sealed, [parties["cluster"][1]], policy, add=[parties["partner"][0]]),
        lambda: workflows.shred(sealed),
    ):
        with refused(FormatError, "symlink"):
            work()
    assert (tmp_path / "elsewhere").read_bytes()


def test_shredding_leaves_a_record_and_nothing_to_open(sealed, policy, parties, picture, refused, tmp_path):
    before = picture(sealed)
    opener = parties["cluster"][1]
    done = workflows.shred(sealed, now=lambda: 1_800_000_000)
    assert not done.before
    assert done.recipients == recipients_of(before[RECIPIENTS])
    record = json.loads(done.record.read_bytes())
    assert done.record == sealed / SHREDDED
    assert record["time"] == "2027-01-15T08:00:00Z"
    assert record["descriptor"] == str(digest_of(before[DESCRIPTOR]))
    assert record["recipients_document"] == str(digest_of(before[RECIPIENTS]))
    assert record["dek_id"] == done.dek_id == json.loads(before[RECIPIENTS])["dek_id"]
    after = picture(sealed)
    assert after.pop(SHREDDED)
    assert before.pop(RECIPIENTS)
    assert before == after
    with refused(SealError, "shredded"):
        workflows.open_sealed(sealed, [opener], policy, output=tmp_path / "opened")
    with refused(SealError, "shredded"):
        workflows.rewrap(sealed, [opener], policy, add=[parties["partner"][0]])
    again = workflows.shred(sealed)
    assert (again.before, again.recipients, again.dek_id) == (True, (), None)
    assert json.loads(done.record.read_bytes()) == record


def test_what_does_not_parse_is_shredded_all_the_same(sealed):
    (sealed / RECIPIENTS).write_bytes(b"garbage with a wrapped key in it")
    done = workflows.shred(sealed)
    assert (done.dek_id, done.recipients, done.before) == (None, (), False)
    assert json.loads(done.record.read_bytes())["recipients"] is None
    assert not (sealed / RECIPIENTS).exists()


def test_what_was_cut_short_is_finished(sealed):
    """A record is there, and the keys as well: they are destroyed, and the record is about them."""
    (sealed / SHREDDED).write_bytes(b"{}")
    done = workflows.shred(sealed)
    assert not done.before
    assert json.loads(done.record.read_bytes())["dek_id"] == done.dek_id
    assert not (sealed / RECIPIENTS).exists()


@pytest.mark.parametrize("name", [DESCRIPTOR, RECIPIENTS])
def test_only_a_sealed_folder_is_shredded(sealed, picture, refused, name):
    (sealed / name).unlink()
    before = picture(sealed)
    with refused(UsageError, "not-sealed"):
        workflows.shred(sealed)
    assert picture(sealed) == before


def test_a_document_that_is_too_large_is_told(sealed, monkeypatch, refused):
    monkeypatch.setattr("trustkit.attest.bundle.MAX_BYTES", 10)
    with refused(LimitError, "too-large"):
        workflows.shred(sealed)
    assert (sealed / RECIPIENTS).exists()


def test_a_source_that_cannot_tell_is_not_taken_for_no(sealed, monkeypatch, refused):
    def cannot(*_, **__):
        raise UnavailableError("unreadable", "the disk is gone")

    monkeypatch.setattr("trustkit.storage.local.LocalSource.length", cannot)
    with refused(UnavailableError, "unreadable"):
        workflows.shred(sealed)
    monkeypatch.setattr("trustkit.storage.local.LocalSource.document", cannot)
    with refused(UnavailableError, "unreadable"):
        workflows.shred(sealed)
    assert (sealed / RECIPIENTS).exists()


class Destroyed:
    """A key of a service, and how often its deletion was asked for."""

    kind = "awskms"

    def __init__(self, name, error=None):
        self.name, self.error, self.key_id, self.asked = name, error, digest_of(name.encode()), []

    def schedule_deletion(self, days):
        self.asked.append(days)
        if self.error is not None:
            raise self.error
        return Deletion(self.kind, self.key_id, self.name, "PendingDeletion", 1_900_000_000)


@pytest.fixture
def with_services(sealed):
    """The sealed folder, whose document names two keys of services as well; and the keys."""
    keys = Destroyed("arn:one"), Destroyed("arn:two")
    document = json.loads((sealed / RECIPIENTS).read_bytes())
    document["recipients"] += [{"kind": key.kind, "key": str(key.key_id), "wrapped": "AAAA"} for key in keys]
    (sealed / RECIPIENTS).write_text(json.dumps(document))
    return sealed, *keys


ONE, TWO = (
    Deletion("awskms", digest_of(name.encode()), name, "PendingDeletion", 1_900_000_000)
    for name in ("arn:one", "arn:two")
)


def recorded(folder):
    return [entry["name"] for entry in json.loads((folder / SHREDDED).read_bytes())["deletions"]]


def test_services_are_asked_first_and_one_that_refuses_keeps_everything(with_services, picture, refused):
    folder, one, two = with_services
    two.error, before = DeniedError("kms-denied", "no"), picture(folder)
    with refused(DeniedError, "kms-denied"):
        workflows.shred(folder, destroyers=[one, two], pending_days=7)
    assert picture(folder) == before
    assert (one.asked, two.asked) == ([7], [7])
    one.asked, two.asked = [], []
    two.error = None
    done = workflows.shred(folder, destroyers=[one, two], pending_days=7)
    assert [deletion.name for deletion in done.deletions] == recorded(folder) == ["arn:one", "arn:two"]
    assert (one.asked, two.asked) == ([7], [7])


def test_a_run_that_was_cut_short_forgets_no_deletion(with_services, monkeypatch):
    """The first run asked one service and recorded it, and could not destroy; the next asks the other."""
    folder, one, two = with_services

    def cut(*_, **__):
        raise UnavailableError("unwritable", "the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr("trustkit.storage.held.destroy", cut)
        with pytest.raises(UnavailableError):
            workflows.shred(folder, destroyers=[one])
    assert recorded(folder) == ["arn:one"]
    assert (folder / RECIPIENTS).exists()
    done = workflows.shred(folder, destroyers=[two])
    assert (done.deletions, done.recorded, done.forgotten) == ((TWO,), (ONE,), False)
    assert recorded(folder) == ["arn:one", "arn:two"]
    again = workflows.shred(folder, destroyers=[one, two])
    assert (again.before, again.deletions, again.recorded) == (True, (ONE, TWO), ())
    assert (one.asked, two.asked) == ([30, 30], [30, 30])


def test_a_record_too_large_to_be_ours_tells_nothing(with_services, refused):
    folder, one, _ = with_services
    (folder / SHREDDED).write_bytes(b" " * (RECORD_MAX_BYTES + 1))
    done = workflows.shred(folder, destroyers=[one])
    assert (done.deletions, done.recorded, done.forgotten) == ((ONE,), (), True)
    (folder / SHREDDED).write_bytes(b" " * (RECORD_MAX_BYTES + 1))
    with refused(UsageError, "not-a-recipient"):
        workflows.shred(folder, destroyers=[one])


def test_a_key_that_the_document_does_not_name_is_not_asked_for(with_services, picture, refused):
    folder, one, _ = with_services
    before, other = picture(folder), Destroyed("arn:other")
    with refused(UsageError, "not-a-recipient"):
        workflows.shred(folder, destroyers=[one, other])
    assert one.asked == other.asked == []
    assert picture(folder) == before


@pytest.mark.parametrize(
    ("error", "told", "unknown"),
    [
        (DeniedError("kms-denied", "no", key="k"), "already scheduled for deletion: arn:one;", []),
        (UsageError("no-such-kms-key", "no"), "already scheduled for deletion: arn:one;", []),
        (
            UnavailableError("kms-unavailable", "late"),
            "perhaps scheduled for deletion: arn:two;",
            ["arn:two"],
        ),
    ],
)
def test_who_is_refused_is_told_what_is_scheduled_already(with_services, picture, error, told, unknown):
    folder, one, two = with_services
    two.error, before = error, picture(folder)
    with pytest.raises(type(error)) as caught:
        workflows.shred(folder, destroyers=[one, two])
    found = caught.value
    assert found.code == error.code
    assert found.message.startswith(error.message + "; ")
    assert told in found.message
    assert found.evidence == {**error.evidence, "scheduled": ["arn:one"], "unknown": unknown}
    assert picture(folder) == before


def test_a_refusal_of_the_first_says_that_nothing_is_scheduled(with_services):
    folder, one, two = with_services
    one.error = DeniedError("kms-denied", "no")
    with pytest.raises(DeniedError) as caught:
        workflows.shred(folder, destroyers=[one, two])
    assert "scheduled" not in caught.value.message
    assert caught.value.evidence == {"scheduled": [], "unknown": []}
    assert two.asked == []


def forged(folder, *deletions):
    """Leave a record of the right form, and take the recipients document away to somewhere else."""
    record = Record(0, digest_of(b"d"), digest_of(b"r"), None, None, deletions)
    (folder / SHREDDED).write_bytes(record.to_bytes())
    (folder / RECIPIENTS).unlink()


def test_a_record_speaks_for_no_service(with_services):
    """Anybody can write one that says that a key is to be deleted, and keep the wrapped keys."""
    folder, one, two = with_services
    forged(folder, replace(ONE, name="arn:nothing", at=5), TWO)
    done = workflows.shred(folder)
    assert (done.before, done.deletions, done.recorded) == (
        True,
        (),
        (replace(ONE, name="arn:nothing", at=5), TWO),
    )
    before = (folder / SHREDDED).read_bytes()
    done = workflows.shred(folder, destroyers=[one], pending_days=9)
    assert one.asked == [9]
    assert (done.before, done.deletions, done.recorded) == (True, (ONE,), (TWO,))
    assert recorded(folder) == ["arn:two", "arn:one"]
    assert json.loads(before)["time"] == json.loads((folder / SHREDDED).read_bytes())["time"]
    two.error, before = DeniedError("kms-denied", "no"), (folder / SHREDDED).read_bytes()
    with pytest.raises(DeniedError):
        workflows.shred(folder, destroyers=[two])
    assert (folder / SHREDDED).read_bytes() == before


def test_no_record_is_left_that_the_next_run_cannot_read(with_services):
    """What somebody wrote into it is carried along as long as there is room."""
    folder, one, two = with_services
    many = [
        replace(ONE, key_id=digest_of(b"%d" % number), name="\x01" * 256) for number in range(MAX_DELETIONS)
    ]
    (folder / SHREDDED).write_bytes(
        Record(0, digest_of(b"d"), digest_of(b"r"), None, None, (*many,)).to_bytes()
    )
    done = workflows.shred(folder, destroyers=[one, two])
    assert (done.deletions, done.recorded, done.forgotten) == ((ONE, TWO), (*many[:-2],), True)
    done = workflows.shred(folder, destroyers=[two])
    assert (done.deletions, done.recorded, done.forgotten) == ((TWO,), (*many[:-2], ONE), False)


def test_one_key_by_two_addresses_is_one_key(with_services):
    folder, one, _ = with_services
    done = workflows.shred(folder, destroyers=[one, Destroyed("arn:one")])
    assert done.deletions == (ONE,)
    assert recorded(folder) == ["arn:one"]
