"""Killed at every step, and a disk that is full at any byte: old or new, whole or absent, never in between.

A child is killed, as by the kernel, at its first call that changes something on
a disk, another one at its second call, and so on, until one lives. After each,
what lies there must be what lay there before, or all of what was to be made;
the next run must succeed over whatever was left.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trustkit import workflows
from trustkit.errors import UnavailableError
from trustkit.sealing.documents import RECIPIENTS, SHREDDED
from trustkit.sealing.recipients import generate_opener, opener_from_pem, recipient_from_pem, recipients_of
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys

ROOT = Path(__file__).parents[2]
FILES = {"config.json": b"{}", "weights.bin": bytes(range(256)) * 9000, "empty": b""}

CHILDREN = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
place, verb = Path(sys.argv[2]), sys.argv[3]

from trustkit import workflows
from trustkit.sealing.recipients import opener_from_pem, recipient_from_pem
from trustkit.signing.key import load_signer
from trustkit.verifying.policy import policy_from_keys
import trustkit.storage.sealing_folder, trustkit.storage.delivery, trustkit.storage.held
import trustkit.verifying.sealed, trustkit.attest.predicates.sealed, trustkit.sealing.shredded

CHANGES = ("mkdir", "open", "pwrite", "write", "rename", "link", "unlink", "fsync", "fchmod", "rmdir")
policy = policy_from_keys((place / "key.pub").read_bytes())
signer = load_signer(place / "key", passphrase=None)
pairs = [(recipient_from_pem((place / f"{n}.pub").read_bytes()),
          opener_from_pem((place / n).read_bytes(), passphrase=None)) for n in ("one", "two")]


def work():
    if verb == "seal":
        workflows.seal(place / "model", signer, output=place / "sealed", line="acme/tiny", version=1,
                       recipients=[pairs[0][0]], policy=policy, workers=2)
    elif verb == "open":
        workflows.open_sealed(place / "sealed", [pairs[0][1]], policy, output=place / "opened", workers=2)
    elif verb == "rewrap":
        workflows.rewrap(place / "sealed", [pairs[0][1]], policy, add=[pairs[1][0]],
                         remove=[pairs[0][0].key_id])
    else:
        workflows.shred(place / "sealed")


def counted(call, left):
    def changed(*arguments, **options):
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return changed


for line in sys.stdin:  # one thread, so a fork of it is whole
    child = os.fork()
    if not child:
        left = [int(line)]
        for name in CHANGES:
            setattr(os, name, counted(getattr(os, name), left))
        work()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def place(tmp_path):
    """Keys and a signed model."""
    private, public = generate_key("p256", passphrase=None)
    (tmp_path / "key").write_bytes(private)
    (tmp_path / "key.pub").write_bytes(public)
    for name in ("one", "two"):
        private, public = generate_opener("x25519", passphrase=None)
        (tmp_path / name).write_bytes(private)
        (tmp_path / f"{name}.pub").write_bytes(public)
    (tmp_path / "model").mkdir()
    for name, content in FILES.items():
        (tmp_path / "model" / name).write_bytes(content)
    workflows.sign(tmp_path / "model", load_signer(tmp_path / "key", passphrase=None))
    return tmp_path


def policy(place):
    return policy_from_keys((place / "key.pub").read_bytes())


def party(place, name):
    recipient = recipient_from_pem((place / f"{name}.pub").read_bytes())
    return recipient, opener_from_pem((place / name).read_bytes(), passphrase=None)


def seal(place):
    workflows.seal(
        place / "model",
        load_signer(place / "key", passphrase=None),
        output=place / "sealed",
        line="acme/tiny",
        version=1,
        recipients=[party(place, "one")[0]],
        policy=policy(place),
    )


def opens(place, name):
    """Open, compare every byte, and take the copy away."""
    workflows.open_sealed(place / "sealed", [party(place, name)[1]], policy(place), output=place / "checked")
    assert contents(place / "checked") == FILES
    removed(place / "checked")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def removed(folder):
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def killed(place, verb):
    """Yield after every child that was killed, a step later each time; end after one that lives."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", CHILDREN, str(ROOT), str(place), verb]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            for turn in range(1, 1000):
                parent.stdin.write(f"{turn}\n")
                parent.stdin.flush()
                status = int(parent.stdout.readline())
                if status == 0:
                    assert turn > 5, "nothing was counted"
                    return
                assert status == -signal.SIGKILL
                yield turn
            raise AssertionError("no child lived")
        finally:
            parent.stdin.close()


def beside(place, name):
    """What lies beside an output that was being made: stagings of dead runs, and nothing else."""
    known = {"key", "key.pub", "one", "one.pub", "two", "two.pub", "model", "sealed", "opened"}
    found = {path.name for path in place.iterdir()} - known
    assert all(entry.startswith(f".{name}.staging-") for entry in found), found
    return found


def test_sealing_is_whole_or_absent_whenever_it_is_killed(place):
    model = contents(place / "model")
    whole = 0
    for _ in killed(place, "seal"):
        assert contents(place / "model") == model
        left = beside(place, "sealed")
        assert len(left) <= 1, "a run left alone what the run before it had left"
        assert not any(
            content and content in raw
            for entry in left
            for raw in contents(place / entry).values()
            for content in (FILES["weights.bin"][:64],)
        ), "plaintext lies in what was left"
        if (place / "sealed").exists():
            opens(place, "one")
            removed(place / "sealed")
            whole += 1
    opens(place, "one")
    assert not beside(place, "sealed")
    assert whole <= 3  # the folder is synced after it got its name


def test_opening_is_whole_or_absent_whenever_it_is_killed(place):
    seal(place)
    sealed = contents(place / "sealed")
    for _ in killed(place, "open"):
        assert contents(place / "sealed") == sealed
        assert len(beside(place, "opened")) <= 1
        if (place / "opened").exists():
            assert contents(place / "opened") == FILES
            removed(place / "opened")
    assert contents(place / "opened") == FILES
    assert not beside(place, "opened")


def test_rewrapping_is_done_or_not_whenever_it_is_killed(place):
    seal(place)
    before = contents(place / "sealed")
    old = recipients_of(before[RECIPIENTS])
    new = ((party(place, "two")[0].kind, party(place, "two")[0].key_id),)
    for _ in killed(place, "rewrap"):
        after = contents(place / "sealed")
        found = recipients_of(after[RECIPIENTS])
        assert found in (old, new)
        opens(place, "one" if found == old else "two")
        more = after.keys() - before.keys()
        assert all(name.startswith(".trustkit-") for name in more)
        assert {name: raw for name, raw in after.items() if name not in more | {RECIPIENTS}} == {
            name: raw for name, raw in before.items() if name != RECIPIENTS
        }
        (place / "sealed" / RECIPIENTS).write_bytes(before[RECIPIENTS])
        for name in more:
            (place / "sealed" / name).unlink()
    assert recipients_of((place / "sealed" / RECIPIENTS).read_bytes()) == new
    opens(place, "two")


def test_shredding_is_recorded_before_anything_is_lost(place):
    seal(place)
    before = contents(place / "sealed")
    for _ in killed(place, "shred"):
        after = contents(place / "sealed")
        if after.get(RECIPIENTS) != before[RECIPIENTS]:
            assert json.loads(after[SHREDDED])["recipients"], "keys were lost without a record"
        workflows.shred(place / "sealed")
        assert RECIPIENTS not in contents(place / "sealed")
        (place / "sealed" / SHREDDED).unlink()
        (place / "sealed" / RECIPIENTS).write_bytes(before[RECIPIENTS])
        for path in (place / "sealed").glob(".trustkit-*"):
            path.unlink()
    assert RECIPIENTS not in contents(place / "sealed")


def test_a_disk_that_is_full_at_any_byte_of_sealing_and_rewrapping(place):
    """No file grows beyond so many bytes; what was there before is there still."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    largest = sum(map(len, FILES.values()))
    try:
        for limit in (0, 1, 40, 73, 74, 75, 300, 1000, 1 << 20, (1 << 20) + 74, largest - 1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(UnavailableError) as caught:
                seal(place)
            assert caught.value.code == "unwritable"
            assert not (place / "sealed").exists()
            assert not beside(place, "sealed")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        seal(place)
        before = contents(place / "sealed")
        for limit in (0, 1, 100, len(before[RECIPIENTS])):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(UnavailableError):
                workflows.rewrap(
                    place / "sealed", [party(place, "one")[1]], policy(place), add=[party(place, "two")[0]]
                )
            assert contents(place / "sealed") == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        signal.signal(signal.SIGXFSZ, handler)
