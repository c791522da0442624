"""Signing again: what did not change is not read, and whatever is in doubt is."""

import dataclasses
import time

import pytest

from trustkit.artifact import hashing, incremental
from trustkit.errors import UsageError, VerificationError
from trustkit.storage.state import KEY
from trustkit.workflows import sign, verify
from trustkit.workflows.resigning import Again

LATER = 10.0
"""Seconds between the making of the model and the first signature, by the caller's clock."""


def later():
    return time.time() + LATER


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were opened for hashing since this was cleared."""
    names = []
    real = hashing.hash_values

    def hash_values(tree, units, **how):
        names.extend(unit.file.name for unit in units)
        return real(tree, units, **how)

    monkeypatch.setattr(hashing, "hash_values", hash_values)
    return names


@pytest.fixture
def begun(model, signer, state, read):
    """A model that was signed with a record; nothing is counted as read yet."""
    sign(model, signer, again=Again(state), now=later)
    read.clear()
    return model


def resign(model, signer, state, **how):
    again = Again(state, model / "model.sig", how.pop("policy", None))
    return sign(model, signer, again=again, overwrite=True, now=later, **how)


def test_nothing_changed(begun, signer, state, policy, read):
    before = (begun / "model.sig").read_bytes()
    made = resign(begun, signer, state)
    assert (read, made.unread, made.warnings) == ([], 4, ())
    after = (begun / "model.sig").read_bytes()
    assert before != after  # a signature of its own, over the same payload
    verify(begun, policy).close()
    assert resign(begun, signer, state).unread == 4


def test_what_changed_is_read_and_nothing_else(begun, signer, state, policy, read):
    (begun / "config.json").write_bytes(b"{}")
    (begun / "new").write_bytes(b"new")
    (begun / "tokenizer/vocab.txt").unlink()
    made = resign(begun, signer, state)
    assert (sorted(read), made.unread) == (["config.json", "new"], 2)
    assert made.manifest == sign(begun, signer, overwrite=True).manifest
    verify(begun, policy).close()


@pytest.mark.parametrize("how", [{"method": "shards", "shard_size": 1000}, {"algorithm": "blake3"}])
def test_other_ways_of_hashing(begun, signer, state, policy, read, how):
    made = resign(begun, signer, state, **how)
    assert made.unread == 0
    assert "in another way" in made.warnings[0]
    assert resign(begun, signer, state, **how).unread == 4
    verify(begun, policy).close()
    assert resign(begun, signer, state).unread == 0


def test_a_single_file_in_the_words_of_the_reference(model, signer, state, tmp_path):
    path = model / "config.json"
    for unread in (0, 1):
        again = Again(state, tmp_path / "bundle" if unread else None)
        made = sign(
            path, signer, bundle=tmp_path / "bundle", compat="1.1", again=again, overwrite=True, now=later
        )
        assert made.unread == unread
        assert made.manifest.resources[0].name == "."


def test_what_was_touched_a_moment_before_signing_is_read_again(model, signer, state, read):
    sign(model, signer, again=Again(state))
    read.clear()
    made = resign(model, signer, state)
    assert (len(read), made.unread) == (4, 0)
    assert resign(model, signer, state).unread == 4


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(incremental.Stamp)])
def test_a_file_of_which_one_field_differs_is_read(begun, signer, state, read, field, monkeypatch):
    """The record is forged with its own key: each field alone makes the file be read again."""
    real = incremental.parse_record

    def forged(raw, **how):
        found = real(raw, **how)
        found["config.json"] = dataclasses.replace(
            found["config.json"], **{field: getattr(found["config.json"], field) + 1}
        )
        return found

    monkeypatch.setattr(incremental, "parse_record", forged)
    assert resign(begun, signer, state).unread == 3
    assert read == ["config.json"]


@pytest.mark.parametrize("at", [0, 30, 100, -70, -2])
def test_a_record_that_was_altered_is_not_used(begun, signer, state, policy, at):
    [path] = state.glob("signed-*")
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    made = resign(begun, signer, state)
    assert made.unread == 0
    assert "everything was hashed" in made.warnings[0]
    verify(begun, policy).close()


def test_a_record_of_another_machine_is_not_used(begun, signer, state):
    (state / KEY).write_bytes(b"x" * 32)
    assert resign(begun, signer, state).unread == 0


def test_a_record_of_another_bundle_is_not_used(begun, signer, state, tmp_path):
    """The same key signed something else in between: its digests are not those of the record."""
    first = (begun / "model.sig").read_bytes()
    (begun / "config.json").write_bytes(b"{}")
    resign(begun, signer, state)
    (begun / "model.sig").write_bytes(first)
    made = resign(begun, signer, state)
    assert made.unread == 0
    [said] = made.warnings
    assert said.startswith("the record of the earlier signature is not used: it is about another bundle; ")
    assert said.endswith("; everything was hashed, and is recorded for the next time")


def test_without_a_record_everything_is_read(signed, signer, state):
    made = resign(signed, signer, state)
    assert made.unread == 0
    [said] = made.warnings
    assert said.startswith("nothing was recorded here of the earlier signature, so everything was hashed; ")
    assert said.endswith("; from now on a record is kept, and the next time only what changed is read")
    assert resign(signed, signer, state).unread == 4


def test_an_earlier_bundle_of_somebody_else_is_refused(begun, signer, stranger, state, refused):
    before = (begun / "model.sig").read_bytes()
    with refused(VerificationError, "wrong-signer") as caught:
        resign(begun, stranger, state)
    assert "it was not signed with this key, or was edited; sign without --previous" in caught.value.message
    assert (begun / "model.sig").read_bytes() == before


def test_unless_a_policy_believes_it(begun, stranger, state, policy, refused):
    assert resign(begun, stranger, state, policy=policy).unread == 4
    with refused(VerificationError, "wrong-signer") as caught:  # which is the stranger's now
        resign(begun, stranger, state, policy=policy)
    assert "not believed: no author we believe made this signature" in caught.value.message


def test_an_earlier_bundle_that_is_not_there(model, signer, state, refused):
    with refused(UsageError, "no-such-file"):
        sign(model, signer, again=Again(state, model / "none"))


def test_the_memory_may_not_lie_in_the_model(model, signer, refused):
    with refused(UsageError, "key-inside-model"):
        sign(model, signer, again=Again(model / "state"))
    assert not (model / "model.sig").exists()


def test_a_record_that_cannot_be_written_is_a_warning(model, signer, state, policy):
    sign(model, signer, again=Again(state), now=later)
    [path] = state.glob("signed-*")
    path.unlink()
    path.mkdir()
    made = sign(model, signer, again=Again(state), overwrite=True)
    assert "signing again will take as long" in made.warnings[0]
    verify(model, policy).close()


def test_nothing_is_remembered_unless_asked(model, signer, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    sign(model, signer)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
