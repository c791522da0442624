"""Scenes 1 to 4: a model is made, signed, verified, and attacked in every way a signature must notice.

The law of this file: each attack is done to a copy that shares with the model
all but what it changes, and to the model itself nothing is ever done.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from trustkit import strictjson
from trustkit.cli.demo.model import make_model
from trustkit.cli.demo.stage import Stage

SEED = 20_261_125
AUTHOR, PUBLISHER, STRANGER = "keys/author.pem", "keys/publisher.pem", "keys/stranger.pem"
PASSPHRASE = "keys/passphrase"  # noqa: S105 - where it lies, not what it is
WEIGHTS = "model.safetensors"


def make(stage: Stage) -> None:
    """Scene 1: the model."""
    stage.scene("A small model, computed here")
    sizes = make_model(stage.folder / "model", seed=SEED)
    stage.commands.append(
        "# model/ was computed by the demo itself: a bigram language model of its own dataset"
    )
    for name, size in sizes.items():
        stage.note(f"{name:<22} {size:>11,} bytes")
    if sizes[WEIGHTS] < 64 << 20:
        stage.fail("the weights are smaller than they should be")
    stage.show("a model in real formats: safetensors, parquet, tokenizer, configuration")


def keys(stage: Stage) -> None:
    """Make three signing keys, encrypted with a passphrase that is read from a file."""
    folder = stage.folder / "keys"
    folder.mkdir(mode=0o700)
    secret = os.open(folder / "passphrase", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(secret, "wb") as file:
        file.write(base64.b64encode(os.urandom(24)) + b"\n")
    for key in (AUTHOR, PUBLISHER, STRANGER):
        stage.run("trustkit", "key", "generate", "--output", key, "--passphrase-file", PASSPHRASE)


def sign(stage: Stage) -> str:
    """Scene 2: sign, verify, inspect. Return the manifest digest."""
    stage.scene("Sign it, verify it, look at the signature")
    keys(stage)
    stage.run("trustkit", "sign", "model", "--key", AUTHOR, "--passphrase-file", PASSPHRASE)
    verified = stage.run("trustkit", "verify", "model", "--key", f"{AUTHOR}.pub", "--json")
    answer = strictjson.parse_object(verified.out.encode(), max_bytes=1 << 20, what="answer")
    digest = str(answer.get("manifest_digest"))
    if answer.get("ok") is not True or not digest.startswith("sha256:"):
        stage.fail("verification did not say what it verified")
    stage.note(f"manifest digest {digest}")
    stage.show("every byte is what the author signed")
    if "UNVERIFIED" not in stage.run("trustkit", "inspect", "model/model.sig").out:
        stage.fail("inspection must say that it verifies nothing")
    stage.show("model.sig can be read by people; inspection says UNVERIFIED first")
    return digest


def reference(stage: Stage) -> None:
    """Scene 3: name what the test suite does with the reference."""
    stage.scene("The reference implementation agrees")
    stage.note("model.sig is an OpenSSF Model Signing v1.0 bundle; the PyPI package model-signing reads it:")
    stage.note("model_signing verify key model --signature model/model.sig --public_key keys/author.pem.pub")
    stage.note(
        "`make test` runs that command with model-signing 1.1.1, and verifies what it signs with ours."
    )


def attack(stage: Stage) -> None:
    """Scene 4: nine attacks on the signed model, each refused with its reason."""
    stage.scene("Nine attacks, each refused")
    (stage.folder / "attacks").mkdir()
    for what, code, change in _CHANGES:
        victim = _copy(stage, what)
        change(victim)
        _refused(stage, what, code, victim)
    verify = ("trustkit", "verify", "model", "--key")
    stage.refused("another signer's key", "wrong-signer", 1, *verify, f"{STRANGER}.pub")
    other = stage.folder / "attacks" / "another-model"
    other.mkdir()
    (other / "adapter.safetensors").write_bytes((stage.folder / "model" / WEIGHTS).read_bytes()[: 1 << 16])
    signed = ("--key", AUTHOR, "--passphrase-file", PASSPHRASE)
    stage.run("trustkit", "sign", "attacks/another-model", *signed)
    swapped = ("--bundle", "attacks/another-model/model.sig")
    stage.refused("a swapped bundle", "file-missing", 1, *verify, f"{AUTHOR}.pub", *swapped)


def _refused(stage: Stage, what: str, code: str, victim: Path) -> None:
    name = victim.relative_to(stage.folder).as_posix()
    stage.refused(what, code, 1, "trustkit", "verify", name, "--key", f"{AUTHOR}.pub")


def _copy(stage: Stage, what: str) -> Path:
    """Make a copy that shares the bytes of what an attack leaves alone."""
    victim = stage.folder / "attacks" / what.replace(" ", "-").replace("/", "").replace(".", "")
    name = victim.relative_to(stage.folder).as_posix()
    shutil.copytree(stage.folder / "model", victim, copy_function=os.link)
    stage.commands.append(f"cp -al model {name}   # and then {what}, in a file of its own")
    return victim


def _own(path: Path) -> Path:
    """Give an attacked file bytes of its own, so that the original stays what it is."""
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw)
    return path


def _flip(victim: Path) -> None:
    path = _own(victim / WEIGHTS)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def _rename(victim: Path) -> None:
    (victim / "config.json").rename(victim / "settings.json")


def _extra(victim: Path) -> None:
    (victim / "modeling_bigram.py").write_text("import os  # would run when the model is loaded\n")


def _extra_git(victim: Path) -> None:
    (victim / ".git/hooks").mkdir(parents=True)
    (victim / ".git/hooks/post-checkout").write_text("#!/bin/sh\n")


def _remove(victim: Path) -> None:
    (victim / "tokenizer_config.json").unlink()


def _edit_payload(victim: Path) -> None:
    path = _own(victim / "model.sig")
    bundle = strictjson.parse_object(path.read_bytes(), max_bytes=1 << 20, what="bundle")
    envelope = bundle["dsseEnvelope"]
    if not isinstance(envelope, dict):
        raise TypeError("a bundle holds an envelope")
    payload = base64.b64decode(str(envelope["payload"]))
    envelope["payload"] = base64.b64encode(payload.replace(b"config.json", b"konfig.json")).decode()
    path.write_bytes(strictjson.to_bytes(bundle, indent=2))


def _link_out(victim: Path) -> None:
    (victim / "config.json").unlink()
    (victim / "config.json").symlink_to("/etc/passwd")


_CHANGES: tuple[tuple[str, str, Callable[[Path], None]], ...] = (
    ("a flipped byte", "digest-mismatch", _flip),
    ("a renamed file", "file-missing", _rename),
    ("an extra file", "unsigned-file", _extra),
    ("an extra file under .git/", "unsigned-file", _extra_git),
    ("a removed file", "file-missing", _remove),
    ("an edited payload", "wrong-signer", _edit_payload),
    ("a symbolic link out of the tree", "symlink", _link_out),
)
