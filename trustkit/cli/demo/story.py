"""The story of the demo, scene by scene, and what it leaves behind.

    1. A model is made.            5. It is sealed, opened, tampered with.
    2. It is signed and verified.  6. Store and broker get identities.
    3. The reference agrees.       7. The webhook judges Pods.
    4. It is attacked.             8. The sidecar brings the model.

Everything is done by the programs that everybody uses, on loopback, as whoever
runs it; a step or a refusal that does not happen ends it with an error.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trustkit.cli.demo import cluster, fetching, sealing, signing
from trustkit.cli.demo.services import Services
from trustkit.cli.demo.stage import COMMANDS, Stage
from trustkit.errors import UsageError
from trustkit.workloads.notes import PLAIN

MARK = ".trustkit-demo"
"""Says of a folder that a demo made it, and may make it again."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a demo ended: where, what was proven (scene, what, outcome), and how long it took (seconds)."""

    folder: Path
    proven: tuple[tuple[str, str, str], ...]
    seconds: float


def tell(
    folder: Path,
    *,
    overwrite: bool,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    colour: bool = False,
) -> Told:
    """Tell the whole story in a new folder.

    Args:
        folder: Where everything goes; replaced only with *overwrite*, and only if a demo made it.
        overwrite: Whether an earlier demo may be replaced.
        environ: The environment; programs see the part of it that starts a Python.
        say: Prints one line for people.
        colour: Whether lines may be coloured.

    Raises:
        UsageError: ``output-exists`` or ``not-replaceable``.
        VerificationError: ``demo-failed``: a step or a refusal did not happen.
    """
    started = time.monotonic()
    folder = _fresh(folder, overwrite=overwrite)
    kept = {name: environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV", "PYTHONPATH") if name in environ}
    width = max(40, shutil.get_terminal_size((160, 40)).columns - 8)
    stage = Stage(folder, say, {**kept, "HOME": str(folder), "NO_COLOR": "1"}, colour=colour, width=width)
    say(f"trustkit demo, in {folder}")
    signing.make(stage)
    digest = signing.sign(stage)
    signing.reference(stage)
    signing.attack(stage)
    sealing.seal(stage)
    with Services(stage) as services:
        cluster.identify(stage)
        running = cluster.serve(stage, services, digest)
        arguments = fetching.judge(stage, running)
        fetching.fetch(stage, services, running, arguments)
    (folder / COMMANDS).write_text(_script(stage), encoding="utf-8")
    _summary(stage)
    return Told(folder, tuple(stage.proven), time.monotonic() - started)


def _fresh(folder: Path, *, overwrite: bool) -> Path:
    """Make the folder; an earlier demo goes only where the caller said so."""
    if PLAIN.fullmatch(str(folder.resolve())) is None:
        raise UsageError(
            "bad-folder",
            f"{str(folder.resolve())!r} is a path in Pods as well, and may hold letters, digits and "
            "'.', '_', '-' between its slashes; choose another --folder, such as /tmp/trustkit-demo",
        )
    if os.path.lexists(folder):
        if not overwrite:
            raise UsageError(
                "output-exists", f"{str(folder)!r} exists; choose another --folder or use --overwrite"
            )
        if folder.is_symlink() or not (folder / MARK).is_file():
            raise UsageError(
                "not-replaceable", f"{str(folder)!r} was not made by a demo; choose another --folder"
            )
        _remove(folder)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UsageError("no-such-folder", f"cannot make {str(folder)!r}: {error.strerror}") from None
    (folder / MARK).touch()
    return folder.resolve()


def _remove(folder: Path) -> None:
    """Remove an earlier demo, published folders too: those nobody can write to."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)


def _script(stage: Stage) -> str:
    head = (
        "# What was run, in order, in this folder. The outputs are there already, and nothing is ever\n"
        "# replaced: to repeat a command, give its output another name. Servers go on until Ctrl-C.\n"
        "# attacks/ shares with model/ what was left alone, by hard links: copy before you edit.\n"
    )
    return head + "\n".join(stage.commands) + "\n"


def _summary(stage: Stage) -> None:
    say = stage.say
    say("")
    say("What was proven")
    scene = ""
    for found, what, outcome in stage.proven:
        if found != scene:
            say(f"    {found}")
            scene = found
        say(f"      {what:<84} {outcome}")
    say("")
    say("Where to go next")
    say(f"    {COMMANDS:<32} what was run, in order")
    say(f"    {'broker.record.jsonl':<32} who was given a key and who was not, hash-chained")
    say(f"    {'webhook.record.jsonl':<32} which Pods were let in and which were not")
    say(f"    {'pod.json, reviews/':<32} the patched Pod, and every question the webhook was asked")
    say("The README has one path each for publishers, platform teams and serving teams.")
