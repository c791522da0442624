"""Scene 5: the model is sealed, opened again, and what was tampered with opens nothing.

The law of this file: equal means byte for byte, and a refused opening may leave
no file behind, whatever it is called.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from trustkit.cli.demo.signing import AUTHOR, PASSPHRASE, PUBLISHER
from trustkit.cli.demo.stage import Stage

LINE = "acme/bigram"
VERSION = "1"
OPENER = "keys/opener.pem"
SEALED = f"store/{LINE}/{VERSION}"
"""The sealed folder, where the store of scene 6 will find it."""


def seal(stage: Stage) -> None:
    """Scene 5."""
    stage.scene("Seal it to a recipient, open it again")
    stage.run(
        *("trustkit", "key", "generate", "--type", "x25519", "--output", OPENER),
        *("--passphrase-file", PASSPHRASE),
    )
    (stage.folder / SEALED).parent.mkdir(parents=True)
    publisher = ("--key", PUBLISHER, "--passphrase-file", PASSPHRASE, "--author-key", f"{AUTHOR}.pub")
    stage.run(
        *("trustkit", "seal", "model", *publisher, "--recipient", f"{OPENER}.pub"),
        *("--line", LINE, "--version", VERSION, "--output", SEALED),
    )
    for path in sorted((stage.folder / SEALED).iterdir()):
        stage.note(f"{path.name}{'/ (ciphertext)' if path.is_dir() else ''}")
    stage.run(*_open(SEALED, "opened"))
    if not same_tree(stage.folder / "model", stage.folder / "opened"):
        stage.fail("what was opened is not what was sealed")
    stage.show("opened bytes are the sealed bytes")
    _tampered(stage)


def same_tree(one: Path, other: Path) -> bool:
    """Say whether two folders hold the same files, byte for byte, but for the signature beside a model."""
    aside = {"model.sig", "model.claims.jsonl"}
    names = [
        sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        for root in (one, other)
    ]
    files, others = ([name for name in found if name not in aside] for found in names)
    return (
        bool(files) and files == others and all(filecmp.cmp(one / n, other / n, shallow=False) for n in files)
    )


def largest_blob(folder: Path) -> Path:
    """Return the largest blob of a sealed folder: the weights."""
    return max((folder / "blobs").iterdir(), key=lambda path: path.stat().st_size)


def copy_sealed(stage: Stage, name: str) -> Path:
    """Copy the sealed folder, with a largest blob of its own that may be damaged."""
    victim = stage.folder / name
    victim.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(stage.folder / SEALED, victim, copy_function=os.link)
    victim.chmod(0o755)
    (victim / "blobs").chmod(0o755)
    blob = largest_blob(victim)
    raw = blob.read_bytes()
    blob.unlink()
    blob.write_bytes(raw)
    stage.commands.append(f"cp -a {SEALED} {name}")
    return blob


def flip(blob: Path) -> None:
    """Flip one bit in the middle of a file."""
    with blob.open("r+b") as file:
        file.seek(blob.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def _tampered(stage: Stage) -> None:
    flip(copy_sealed(stage, "attacks/sealed-flipped"))
    stage.refused(
        "a flipped bit of ciphertext", "tampered", 1, *_open("attacks/sealed-flipped", "attacks/out")
    )
    blob = copy_sealed(stage, "attacks/sealed-truncated")
    os.truncate(blob, blob.stat().st_size - 40)
    stage.refused("truncated ciphertext", "truncated", 1, *_open("attacks/sealed-truncated", "attacks/out"))
    left = [
        path.name for path in (stage.folder / "attacks").iterdir() if path.name.lstrip(".").startswith("out")
    ]
    if left:
        stage.fail(f"a refused opening left {left[0]}")
    stage.show("nothing was released")


def _open(folder: str, output: str) -> tuple[str, ...]:
    opener = ("--opener", OPENER, "--opener-passphrase-file", PASSPHRASE)
    trust = ("--key", f"{AUTHOR}.pub", "--publisher-key", f"{PUBLISHER}.pub")
    return ("trustkit", "open", folder, *opener, *trust, "--output", output)
