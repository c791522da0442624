"""The list of steps, in this process, with the real store and broker: order, wiping, the end of the key."""

import contextlib
import json
import os
import shutil
import stat
import time

import pytest

from trustkit.digest import digest_of
from trustkit.errors import UnavailableError, UsageError, VerificationError
from trustkit.sidecar import fetch as room
from trustkit.sidecar.config import load
from trustkit.sidecar.fetch import fetch
from trustkit.sidecar.keys import KeyService
from trustkit.sidecar.lifecycle import Lifecycle, State
from trustkit.sidecar.store import open_store
from trustkit.sidecar.world import World


class Run:
    """One fetch: its states, its key, its world."""

    def __init__(self, estate, model, monkeypatch, *, store, broker):
        self.estate = estate
        self.words, self.output = estate.arguments(model, store=store, broker=broker)
        self.states = []
        self.keys = []
        self.notes = []
        self.closers = []
        self.lifecycle = Lifecycle(lambda state, _line: self.states.append(state))
        self.world = World(
            now=time.time,
            monotonic=time.monotonic,
            sleep=time.sleep,
            chance=lambda: 0.5,
            entropy=os.urandom,
            unbroken=contextlib.nullcontext,
            on_stop=self.closers.append,
            alarm=lambda error: pytest.fail(str(error)),
            note=lambda line, code: self.notes.append((line, code)),
        )
        released = KeyService.key_for

        def watched(service, *arguments):
            self.keys.append(released(service, *arguments))
            return self.keys[-1]

        monkeypatch.setattr(KeyService, "key_for", watched)

    def believe_without_lines(self):
        """Pin a policy under which a plain model can be believed."""
        document = self.estate.policy_document()
        del document["spec"]["lines"]
        path = self.estate.fresh("policy") / "policy.json"
        path.write_text(json.dumps(document))
        self.words[self.words.index("--policy") + 1] = str(path)
        self.words[self.words.index("--policy-digest") + 1] = str(digest_of(path.read_bytes()))

    def go(self):
        return fetch(load(self.words), self.world, self.lifecycle, open_store=open_store)

    def left(self):
        return [path.name for path in self.output.parent.iterdir()]


@pytest.fixture
def run(estate, model, monkeypatch, store, broker):
    return Run(estate, model, monkeypatch, store=store, broker=broker)


def wiped(dek):
    with pytest.raises(ValueError, match="wiped"):
        _ = dek.key
    return True


def test_states_in_order_and_the_key_is_wiped(run, model, estates):
    published = run.go()
    assert run.states == [State.IDENTIFIED, State.VERIFIED, State.KEYED, State.OPENED]
    assert run.lifecycle.ready
    assert (published.files, published.bytes) == (4, 3000013)
    assert estates.tree_of(run.output) == estates.tree_of(model.source)
    assert len(run.closers) == 1
    [dek] = run.keys
    assert wiped(dek)


@pytest.mark.parametrize(
    "error", [VerificationError("digest-mismatch", "x"), KeyboardInterrupt(), MemoryError()]
)
def test_whatever_happens_on_the_way_staging_and_key_are_wiped(run, monkeypatch, error):
    def struck(_source, _descriptor, _manifest, staging, **_more):
        staging.write("model.safetensors", b"plaintext")
        assert run.left() != []
        raise error

    monkeypatch.setattr(room, "deliver_sealed", struck)
    with pytest.raises(type(error)):
        run.go()
    assert run.left() == []
    assert wiped(run.keys[0])
    assert run.lifecycle.state is State.KEYED


def test_no_key_is_asked_for_before_everything_else_was_checked(run, monkeypatch):
    free = os.statvfs("/")

    def full(_path):
        return type("Full", (), {"f_bavail": 0, "f_frsize": free.f_frsize})

    monkeypatch.setattr(os, "statvfs", full)
    with pytest.raises(UnavailableError) as caught:
        run.go()
    assert caught.value.code == "no-space"
    assert run.keys == []


def test_a_failure_between_the_last_byte_and_the_rename_publishes_nothing(run, monkeypatch):
    def planted(_source, _descriptor, _manifest, staging, **_more):
        staging.write("model.safetensors", b"plaintext")
        [folder] = run.output.parent.iterdir()
        (folder / "planted").write_text("by somebody else")
        return 9

    monkeypatch.setattr(room, "deliver_sealed", planted)
    with pytest.raises(VerificationError) as caught:
        run.go()
    assert caught.value.code == "staging-altered"
    assert run.left() == []
    assert run.lifecycle.state is State.OPENED


def test_a_store_that_fails_while_the_signature_is_read_is_no_missing_signature(run, monkeypatch):
    class Broken:
        def document(self, name, *, max_bytes):
            raise UnavailableError("store-failed", "x")

        def close(self):
            run.closers.append("closed")

    run.words.remove("--descriptor-digest")
    del run.words[3]
    run.believe_without_lines()
    with pytest.raises(UnavailableError) as caught:
        fetch(load(run.words), run.world, run.lifecycle, open_store=lambda *_: Broken())
    assert caught.value.code == "store-failed"
    assert run.closers[-1] == "closed"


@pytest.fixture
def left(run, model):
    """What a run leaves that is killed between the rename and its last step."""
    shutil.copytree(model.source, run.output)
    run.output.chmod(0o700)
    return run.output


def test_a_private_folder_of_a_killed_run_is_compared_and_published_without_a_key(run, left, model, estates):
    run.go()
    assert stat.S_IMODE(left.stat().st_mode) == 0o555
    assert estates.tree_of(left) == estates.tree_of(model.source)
    assert run.states == [State.IDENTIFIED, State.VERIFIED, State.OPENED]
    assert run.lifecycle.ready
    assert run.keys == []


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "more").write_text("of somebody else"),
        lambda folder: next(path for path in sorted(folder.rglob("*")) if path.is_file()).unlink(),
        lambda folder: next(path for path in sorted(folder.rglob("*")) if path.is_file()).write_bytes(b"x"),
    ],
    ids=["more", "less", "other bytes"],
)
def test_a_private_folder_that_is_not_this_model_stays_as_it_is(run, left, change):
    change(left)
    with pytest.raises(UsageError) as caught:
        run.go()
    assert caught.value.code == "output-exists"
    assert (run.left(), stat.S_IMODE(left.stat().st_mode), run.keys) == (["model"], 0o700, [])


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o770, 0o300])
def test_a_folder_that_no_run_leaves_is_not_published(run, left, mode):
    left.chmod(mode)
    with pytest.raises(UsageError) as caught:
        run.go()
    assert (caught.value.code, caught.value.evidence["found"]) == ("output-exists", "not-published")
    assert stat.S_IMODE(left.stat().st_mode) == mode


@pytest.mark.parametrize("when", ["before the key", "before the rename"])
def test_who_is_second_at_the_output_leaves_it_and_speaks_of_no_flag_it_does_not_have(run, monkeypatch, when):
    """Another sidecar publishes at the same place while this one is on its way."""

    def first(*_):
        run.output.mkdir()
        (run.output / "theirs").write_text("as it was")

    def delivered(_source, _descriptor, _manifest, staging, **_more):
        first()
        return 0

    if when == "before the key":
        released = KeyService.key_for
        monkeypatch.setattr(
            KeyService, "key_for", lambda service, *words: (first(), released(service, *words))[1]
        )
    else:
        monkeypatch.setattr(room, "deliver_sealed", delivered)
        monkeypatch.setattr("trustkit.storage.staging.finish", lambda *_, **__: None)
    with pytest.raises(UsageError) as caught:
        run.go()
    assert caught.value.code == "output-exists"
    assert "appeared while the model was brought" in caught.value.message
    assert "overwrite" not in caught.value.message
    assert (run.left(), (run.output / "theirs").read_text()) == (["model"], "as it was")
    assert wiped(run.keys[0])
