"""Two threads at one file, segment by segment in an order that is forced, and a fault at every step of each.

Where every order ends in the same bytes, and every fault in nothing: no file, no thread, no descriptor.
"""

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from trustkit.artifact.hashing import manifest_of
from trustkit.artifact.tree import scan
from trustkit.digest import digest_of
from trustkit.errors import UnavailableError
from trustkit.sealing.descriptor import SUITE_FLOE_AES256GCM, Descriptor
from trustkit.sealing.floe import HEADER_LENGTH, Parameters
from trustkit.sealing.keys import commitment, generate_dek
from trustkit.storage.checker import Checker
from trustkit.storage.delivery import deliver_sealed
from trustkit.storage.handover import InOrder
from trustkit.storage.local import LocalSource
from trustkit.storage.sealing_folder import Terms, seal_parts
from trustkit.storage.staging import Staging

SEGMENT, COUNT, SECONDS = 256, 6, 20
PARAMETERS = Parameters(segment_length=SEGMENT)
WHOLE = PARAMETERS.plaintext_length
DEK_ID = "00" * 16

ORDERS = [
    (0, 1, 2, 3, 4, 5),
    (1, 0, 2, 3, 4, 5),
    (1, 0, 3, 2, 5, 4),
    (0, 2, 1, 4, 3, 5),
    (0, 1, 3, 2, 4, 5),
    (1, 0, 2, 4, 5, 3),
    (0, 2, 3, 1, 5, 4),
    (0, 2, 3, 1, 4, 5),
    (1, 2, 0, 4, 3, 5),
    (1, 2, 0, 4, 5, 3),  # who is early has no memory left, twice
    (1, 2, 0, 3, 5, 4),
]
"""In which order two threads with two pieces each may come to have segments ready."""


class Gates:
    """Lets reads or writes of segments through one after the other, each when the one before was handed in.

    Args:
        order: Numbers of segments.
        offsets: The number of the segment at each place of a file.
        fault: At which step, and what happens instead: a call in the thread that waits at its gate, or None.
    """

    def __init__(self, order, offsets, fault):
        self.order, self.offsets, self.fault = order, offsets, fault
        self.come, self.open, self.handed = ([threading.Event() for _ in order] for _ in range(3))
        self.wrong = []

    def pass_through(self, offset):
        number = self.offsets.get(offset)
        if number is None:
            return
        self.come[number].set()
        if not self.open[number].wait(SECONDS):
            self.wrong.append(f"{number} was not let through")
        if self.fault and self.order[self.fault[0]] == number:
            self.fault[1]()

    def run(self):
        for step, number in enumerate(self.order):
            if not self.come[number].wait(SECONDS):
                self.wrong.append(f"{number} did not come")
                break
            self.open[number].set()
            if self.fault and self.fault[0] == step:
                break
            if not self.handed[number].wait(SECONDS):
                self.wrong.append(f"{number} was not handed in")
                break
        for gate in self.open:
            gate.set()


@pytest.fixture
def world(tmp_path):
    """A model of one file, and how it is sealed and opened by two threads."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "x.bin").write_bytes(os.urandom(COUNT * WHOLE - 3))
    with scan(model) as tree:
        manifest = manifest_of(tree)
    terms = Terms("acme/tiny", 1, DEK_ID, manifest.manifest_digest, PARAMETERS)

    def seal(target):
        with scan(model) as tree, Staging(target, token="0" * 32) as staging:
            parts = seal_parts(tree, manifest, staging, terms=terms, dek=dek, entropy=os.urandom, workers=2)
            staging.publish(file_mode=0o644, folder_mode=0o755)
        return parts

    def opened(folder, parts, target):
        descriptor = Descriptor(
            line=terms.line,
            version=terms.version,
            suite=SUITE_FLOE_AES256GCM,
            segment_length=SEGMENT,
            dek_id=DEK_ID,
            key_commitment=commitment(dek, DEK_ID),
            publisher_key=digest_of(b"publisher"),
            manifest_digest=manifest.manifest_digest,
            parts=parts,
        )
        source = LocalSource(folder)
        try:
            with Staging(target, token="1" * 32) as staging:
                deliver_sealed(source, descriptor, manifest, staging, dek=dek, workers=2, range_bytes=1)
                staging.publish(file_mode=0o644, folder_mode=0o755)
        finally:
            source.close()

    with generate_dek(os.urandom) as dek:
        yield SimpleNamespace(model=model, seal=seal, open=opened)


PLAIN = {number * WHOLE: number for number in range(COUNT)}
SEALED = {HEADER_LENGTH + number * SEGMENT: number for number in range(COUNT)}


def forced(monkeypatch, call, offsets, order, fault=None):
    """Put gates at one call of the system, and return them; whoever runs them must join them."""
    gates, real, put = Gates(order, offsets, fault), getattr(os, call), InOrder.put

    def gated(descriptor, given, offset):
        gates.pass_through(offset)
        return real(descriptor, given, offset)

    def told(self, number, what, free):
        try:
            return put(self, number, what, free)
        finally:
            gates.handed[number].set()

    monkeypatch.setattr(os, call, gated)
    monkeypatch.setattr(InOrder, "put", told)
    return gates


def hangs(*_):
    raise AssertionError("it hangs")


def run(gates, work):
    thread = threading.Thread(target=gates.run)
    thread.start()
    before = signal.signal(signal.SIGALRM, hangs)
    # Not what a command line that was run in this process has left there: it ignores it.
    interrupted = signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 2 * SECONDS, 1)  # one ends the work, the next the wait
    try:
        work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, interrupted)
        thread.join(SECONDS)
        assert gates.wrong == []


def lanes():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("trustkit-")]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("call", ["preadv", "pwrite"])
def test_every_order_seals_and_opens_the_same_bytes(world, tmp_path, monkeypatch, order, call):
    before, after = (PLAIN, SEALED) if call == "preadv" else (SEALED, PLAIN)
    found = []
    with monkeypatch.context() as patched:
        gates = forced(patched, call, before, order)
        run(gates, lambda: found.append(world.seal(tmp_path / "sealed")))
    with monkeypatch.context() as patched:
        gates = forced(patched, call, after, order)
        run(gates, lambda: world.open(tmp_path / "sealed", found[0], tmp_path / "out"))
    assert (tmp_path / "out" / "x.bin").read_bytes() == (world.model / "x.bin").read_bytes()
    assert lanes() == []


def broken_disk():
    raise OSError(5, "Input/output error")


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("call", "happens", "raised"),
    [
        ("preadv", broken_disk, UnavailableError),
        ("pwrite", broken_disk, UnavailableError),
        ("preadv", interrupt, KeyboardInterrupt),
        ("pwrite", interrupt, KeyboardInterrupt),
        ("pwrite", None, LookupError),  # hashing fails: in whoever deals with it
    ],
)
def test_a_fault_at_any_step_of_any_order_leaves_nothing(
    world, tmp_path, monkeypatch, open_in, order, call, happens, raised
):
    parts = world.seal(tmp_path / "sealed")
    opening, sealing = (SEALED, PLAIN) if call == "preadv" else (PLAIN, SEALED)
    before = open_in(tmp_path)
    update = Checker.update
    for step, number in enumerate(order):

        def fails(self, chunk, place=number * WHOLE):
            if self._place == place:
                raise LookupError(place)
            update(self, chunk)

        for offsets, work in (
            (opening, lambda: world.open(tmp_path / "sealed", parts, tmp_path / "out")),
            (sealing, lambda: world.seal(tmp_path / "out")),
        ):
            with monkeypatch.context() as patched:
                gates = forced(patched, call, offsets, order, (step, happens or (lambda: None)))
                if happens is None:
                    patched.setattr(Checker, "update", fails)
                with pytest.raises(raised):
                    run(gates, work)
            assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "sealed"]
            assert lanes() == []
            assert open_in(tmp_path) == before
