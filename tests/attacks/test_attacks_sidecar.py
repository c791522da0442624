"""Attacks on the sidecar, between real processes: what it must not publish, show early, or leave behind."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from trustkit.digest import digest_of
from trustkit.sealing.recipients import opener_from_pem, unwrap_document
from trustkit.sidecar.config import Address
from trustkit.sidecar.health import Health

MODEL_BYTES = 30_000_000
HALF = 20_000_000
"""Held here, two ranges (of 8 MiB) of the largest file have been written, and one has not."""


@pytest.fixture(scope="session")
def large(estate):
    """A model of several ranges, so that a transfer can be held in its middle."""
    return estate.sealed("attacks/large", seed=7, size=MODEL_BYTES)


def largest_blob(model):
    return max((model.folder / "blobs").iterdir(), key=lambda path: path.stat().st_size)


def documents_size(model):
    names = ("descriptor.sigstore.json", "model.sig", "recipients.json")
    return sum((model.folder / name).stat().st_size for name in names)


def is_published(output):
    """Ask by the command of the injected startup probe, which alone lets the model server start."""
    command = [sys.executable, "-m", "trustkit.sidecar", "published", "--output", str(output)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode in {0, 1}, ran.stderr
    return ran.returncode == 0


KILLED = """
import os, signal, sys
import trustkit.sidecar.main as program

left = int(sys.argv[1])


def counted(call):
    def changed(*arguments, **options):
        global left
        if call is rename or begun:
            begun.append(call)
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return changed


begun, rename = [], os.rename
for name in ("rename", "fchmod", "fsync"):
    setattr(os, name, counted(getattr(os, name)))
sys.exit(program.main(sys.argv[2:]))
"""
"""A sidecar that is killed, as by the kernel, so many changes after it gives its folder the final name."""


def nothing_in(folder):
    return list(folder.iterdir()) == []


# What is refused ---------------------------------------------------------


def _flip(path, place):
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


def _swap(model):
    """Two ciphertexts under each other's names, each of the length the other has."""
    first, second = sorted((model.folder / "blobs").iterdir(), key=lambda path: path.stat().st_size)[1:3]
    size = min(first.stat().st_size, second.stat().st_size)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two[:size].ljust(len(one), b"\0"))
    second.write_bytes(one[:size].ljust(len(two), b"\0"))


SPOILED = {
    "a flipped byte at the start": (lambda m: _flip(largest_blob(m), 0), "tampered"),
    "a flipped byte in the middle": (lambda m: _flip(largest_blob(m), HALF), "tampered"),
    "a flipped byte at the end": (lambda m: _flip(largest_blob(m), -1), "tampered"),
    "a byte less": (lambda m: os.truncate(largest_blob(m), largest_blob(m).stat().st_size - 1), "truncated"),
    "no byte": (lambda m: os.truncate(largest_blob(m), 0), "truncated"),
    "a byte more": (
        lambda m: os.truncate(largest_blob(m), largest_blob(m).stat().st_size + 1),
        "trailing-bytes",
    ),
    "ciphertexts swapped": (_swap, "tampered"),
    "plaintext instead": (
        lambda m: largest_blob(m).write_bytes((m.source / "model.safetensors").read_bytes()[:-1]),
        "truncated",
    ),
    "a ciphertext gone": (lambda m: largest_blob(m).unlink(), "not-found"),
    "another's recipients": (
        lambda m: (m.folder / "recipients.json").write_bytes(b"{}"),
        "key-request-refused",
    ),
    "no recipients": (lambda m: (m.folder / "recipients.json").unlink(), "not-found"),
    "an edited signature": (lambda m: _flip(m.folder / "model.sig", 200), None),
    "an edited descriptor": (
        lambda m: _flip(m.folder / "descriptor.sigstore.json", 200),
        "descriptor-mismatch",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_failure_leaves_nothing_behind(estate, estates, large, broker, store, name):
    spoil, code = SPOILED[name]
    model = estate.copied(large, f"attacks/spoiled-{list(SPOILED).index(name)}")
    arguments, output = estate.arguments(model, store=store, broker=broker)
    spoil(model)
    with estates.Process("trustkit.sidecar", arguments) as process:
        status = process.end()
    assert status in {1, 3, 5}
    assert process.complained.count("\n") == 1
    assert code is None or process.complained.endswith(f" [{code}]\n")
    assert (status == 5) == (code == "not-found")
    assert "published" not in process.said
    assert nothing_in(output.parent)


def _other_manifest(estate, words, other):
    place = words.index("--reference") + 1
    words[place] = words[place].rpartition("@")[0] + f"@{other.manifest_digest}"


def _other_descriptor(estate, words, other):
    words[words.index("--descriptor-digest") + 1] = str(other.descriptor_digest)


def _other_identity(estate, words, other):
    words[words.index("--svid-directory") + 1] = str(estate.svid("/stranger"))


def _other_store(estate, words, other):
    words[words.index("--store-id") + 1] = "spiffe://demo.test/another-store"


def _other_broker(estate, words, other):
    words[words.index("--broker-id") + 1] = "spiffe://demo.test/another-broker"


def _sealed_as_plain(estate, words, other):
    place = words.index("--descriptor-digest")
    del words[place : place + 2]


def _policy_of_strangers(estate, words, other):
    document = estate.policy_document(publisher=estate.stranger_pem)
    path = estate.fresh("policy") / "policy.json"
    path.write_text(json.dumps(document))
    words[words.index("--policy") + 1] = str(path)
    words[words.index("--policy-digest") + 1] = str(digest_of(path.read_bytes()))


def _policy_without_a_pin(estate, words, other):
    words[words.index("--policy-digest") + 1] = str(digest_of(b"another policy"))


MISLED = {
    "a wrong SPIFFE ID": (_other_identity, "key-denied", 1),
    "pinned to another artifact": (_other_manifest, "digest-mismatch", 1),
    "pinned to another descriptor": (_other_descriptor, "descriptor-mismatch", 1),
    "another store": (_other_store, "peer-mismatch", 1),
    "another broker": (_other_broker, "peer-mismatch", 1),
    "sealed, but told it is plain": (_sealed_as_plain, "line-not-in-policy", 1),
    "a policy that believes others": (_policy_of_strangers, "wrong-signer", 1),
    "a policy that is not the pinned one": (_policy_without_a_pin, "pin-mismatch", 1),
}


@pytest.mark.parametrize("name", MISLED)
def test_a_sidecar_with_other_arguments_publishes_nothing(estate, estates, model, large, broker, store, name):
    change, code, status = MISLED[name]
    words, output = estate.arguments(model, store=store, broker=broker)
    change(estate, words, large)
    with estates.Process("trustkit.sidecar", words) as process:
        assert process.end() == status
    assert process.complained.endswith(f" [{code}]\n")
    assert process.complained.count("\n") == 1
    assert nothing_in(output.parent)


def test_a_store_that_changes_a_file_in_the_middle_is_noticed(estate, estates, large, broker, store):
    """Two versions of one blob must not become one file: what was begun is not gone on with."""
    model = estate.copied(large, "attacks/changing")
    with estates.Tap(store, hold_after=documents_size(model) + HALF) as tap:
        process, output = estate.sidecar(model, store=tap.address, broker=broker, workers=1)
        with process:
            assert tap.held.wait(60)
            blob = largest_blob(model)
            replaced = bytes(reversed(blob.read_bytes()))
            blob.unlink()
            blob.write_bytes(replaced)
            tap.release()
            assert process.end() == 1
        assert process.complained.rstrip().endswith(("[source-changed]", "[tampered]"))
        assert nothing_in(output.parent)


# What is seen ------------------------------------------------------------


def test_nothing_is_visible_before_everything_is_checked(estate, estates, large, broker, store):
    """Held in the middle of the transfer: no file, no readiness; let go: all of it, at once."""
    with estates.Tap(store, hold_after=documents_size(large) + HALF) as tap:
        process, output = estate.sidecar(large, store=tap.address, broker=broker)
        with process:
            health = process.line_with("listening on ")
            assert tap.held.wait(60)
            assert not os.path.lexists(output)
            assert estates.probe(health) == 503
            assert estates.probe(health, "/healthz") == 200
            assert not is_published(output)
            [staging] = output.parent.iterdir()
            assert staging.name.startswith(".model.staging-")
            assert stat.S_IMODE(staging.stat().st_mode) == 0o700
            assert any(path.is_file() for path in staging.rglob("*"))
            tap.release()
            seen = 0
            while not process.told("published "):
                ready = estates.probe(health) == 200
                visible = os.path.lexists(output)  # looked at second: it may appear in between, never vanish
                assert visible or not ready
                if visible:
                    seen += 1
                    assert estates.tree_of(output) == estates.tree_of(large.source)
            assert estates.probe(health) == 200
            assert is_published(output)
            assert estates.tree_of(output) == estates.tree_of(large.source)
            assert [path.name for path in output.parent.iterdir()] == ["model"]


def test_who_answers_in_the_sidecars_place_starts_no_server(estate, estates, large, broker, store):
    """Another container listens first, or turns the port to where it does, and says *ready*."""
    with Health(Address("127.0.0.1", 0), ready=lambda: True) as impostor:
        process, output = estate.sidecar(large, store=store, broker=broker, health=impostor.address)
        with process:
            assert process.end() == 5
        assert process.complained.endswith("[cannot-listen]\n")
        assert estates.probe(impostor.address) == 200
        assert not is_published(output)


def test_the_last_byte_of_the_last_file_counts(estate, estates, large, broker, store):
    """Everything but one byte is there and good; it is as if nothing were."""
    model = estate.copied(large, "attacks/last-byte")
    _flip(largest_blob(model), -1)
    process, output = estate.sidecar(model, store=store, broker=broker)
    with process:
        health = process.line_with("listening on ")
        while process.running:
            assert not os.path.lexists(output)
            try:
                assert estates.probe(health) == 503
            except OSError:
                time.sleep(0.01)
        assert process.end() == 1
    assert nothing_in(output.parent)


# What is left ------------------------------------------------------------


class _Held:
    """A sidecar that is held in one of its states."""

    def __init__(self, estate, estates, model, *, broker, store):
        self._estate = estate
        self._estates = estates
        self._model = model
        self._broker = broker
        self._store = store

    def starting(self):
        process, output = self._start(svid=self._estate.fresh("svid"))
        return process, output, "listening on ", None

    def identified(self):
        tap = self._estates.Tap(self._store, hold_after=0)
        process, output = self._start(store=tap.address)
        return process, output, "identified ", tap

    def verified(self):
        tap = self._estates.Tap(self._broker, hold_after=0)
        process, output = self._start(broker=tap.address)
        return process, output, "verified ", tap

    def keyed(self):
        tap = self._estates.Tap(self._store, hold_after=documents_size(self._model) + HALF)
        process, output = self._start(store=tap.address)
        return process, output, "keyed ", tap

    def _start(self, **changes):
        return self._estate.sidecar(self._model, **{"broker": self._broker, "store": self._store, **changes})


@pytest.fixture
def held(estate, estates, large, broker, store):
    holder = _Held(estate, estates, large, broker=broker, store=store)
    taps = []

    def hold(state):
        process, output, line, tap = getattr(holder, state)()
        if tap is not None:
            taps.append(tap)
        process.line_with(line)
        assert tap is None or tap.held.wait(60)
        return process, output

    yield hold
    for tap in taps:
        tap.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("state", ["starting", "identified", "verified", "keyed"])
def test_a_signal_in_any_state_wipes_what_was_begun(held, state, number):
    """At once, although a peer that never answers is being waited for (20 s are less than any timeout)."""
    process, output = held(state)
    with process:
        assert nothing_in(output.parent) == (state != "keyed")
        assert process.end(number, seconds=20) == 130
    assert process.complained.endswith(" [interrupted]\n")
    assert process.complained.count("\n") == 1
    assert nothing_in(output.parent)


def test_signals_that_follow_do_not_interrupt_the_wiping(held):
    process, output = held("keyed")
    with process:
        for _ in range(20):
            os.kill(process.pid, signal.SIGTERM)
            os.kill(process.pid, signal.SIGINT)
        assert process.end(seconds=20) == 130
    assert process.complained.count("\n") == 1
    assert nothing_in(output.parent)


def test_what_a_killed_run_left_is_removed_at_the_next_start(estate, estates, held, large, broker, store):
    process, output = held("keyed")
    with process:
        process.kill()
    [left] = output.parent.iterdir()
    assert left.name.startswith(".model.staging-")
    assert sum(path.stat().st_size for path in left.rglob("*") if path.is_file()) > 0
    again, _ = estate.sidecar(large, store=store, broker=broker, output=output)
    with again:
        again.line_with("published ")
        assert [path.name for path in output.parent.iterdir()] == ["model"]
        assert estates.tree_of(output) == estates.tree_of(large.source)


@pytest.mark.parametrize(
    ("step", "mode"),
    [(0, None), (1, 0o700), (2, 0o555), (3, 0o555)],
    ids=["rename", "chmod", "sync", "parent"],
)
def test_a_run_that_is_killed_at_any_of_its_last_steps_is_followed_by_one_that_succeeds(
    estate, estates, model, broker, store, step, mode
):
    words, output = estate.arguments(model, store=store, broker=broker)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(step), *map(str, words)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (stat.S_IMODE(output.stat().st_mode) if output.exists() else None) == mode
    assert is_published(output) is (mode == 0o555)
    again, _ = estate.sidecar(model, store=store, broker=broker, output=output)
    with again:
        again.line_with("published ")
        assert stat.S_IMODE(output.stat().st_mode) == 0o555
        assert [path.name for path in output.parent.iterdir()] == ["model"]
        assert estates.tree_of(output) == estates.tree_of(model.source)


def test_what_a_killed_run_left_is_removed_before_anything_can_fail(estate, held, large, store):
    """Plaintext of a dead run does not wait for the next run to succeed."""
    process, output = held("keyed")
    with process:
        process.kill()
    assert not nothing_in(output.parent)
    again, _ = estate.sidecar(large, store=store, broker="127.0.0.1:1", output=output, budget_seconds=1)
    with again:
        assert again.end() == 5
    assert nothing_in(output.parent)


def test_a_run_beside_another_takes_nothing_from_it(estate, estates, held, large, broker, store):
    """Two sidecars, one volume: the second neither wipes the first one's staging nor is replaced by it."""
    first, output = held("keyed")
    with first:
        [staging] = output.parent.iterdir()
        second, _ = estate.sidecar(large, store=store, broker=broker, output=output)
        with second:
            second.line_with("published ")
            assert staging.exists()
            assert first.end(signal.SIGTERM) == 130
            assert [path.name for path in output.parent.iterdir()] == ["model"]
            assert estates.tree_of(output) == estates.tree_of(large.source)


def test_a_disk_that_fills_up_leaves_nothing(estate, estates, large, broker, store):
    """The limit of a file's size stands in for a disk: it strikes in a file, after good segments."""
    arguments, output = estate.arguments(large, store=store, broker=broker)
    with estates.Process("trustkit.sidecar", arguments, file_blocks=8_000) as process:
        assert process.end() == 5
    assert process.complained.endswith(" [unwritable]\n")
    assert "keyed" in process.said
    assert nothing_in(output.parent)


def test_no_plaintext_and_no_key_is_said(estate, estates, model, broker, store):
    process, _ = estate.sidecar(model, "--debug", store=store, broker=broker)
    with process:
        process.line_with("published ")
        process.end(signal.SIGTERM)
    kek = opener_from_pem(estate.kek.read_bytes(), passphrase=b"of the broker")
    context = estate.proof(model).descriptor.context
    with unwrap_document(estate.documents(model).recipients, context, [kek]) as dek:
        assert dek.key.hex() not in process.said + process.complained
