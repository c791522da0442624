"""Private keys that a command is told to use: signers and openers, unlocked where they must be.

The law of this file: a key is read from a file and asked for by nobody else; a
signer's certificate is public, and joined to the key it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.passphrase import unlock
from trustkit.cli.terminal import Terminal
from trustkit.errors import UsageError

if TYPE_CHECKING:
    from trustkit.sealing.hpke import HPKEOpener
    from trustkit.sealing.jwe import JweKey
    from trustkit.signing.key import LocalSigner, Signer


def signer_from(path: Path, passphrase_file: Path | None, terminal: Terminal) -> LocalSigner:
    """Load a signing key, asking for its passphrase where it needs one and somebody can be asked."""
    from trustkit.signing.key import load_signer

    return unlock(
        lambda passphrase: load_signer(path, passphrase=passphrase),
        passphrase_file,
        terminal,
        what=repr(str(path)),
    )


def certified_by(signer: Signer, certificate: Path | None, chain: Path | None) -> Signer:
    """Join a signer and its certificate, where the command names one."""
    if certificate is None:
        return signer
    from trustkit.artifact.inputs import read_input
    from trustkit.signing.certificate import MAX_CHAIN_BYTES, certified

    leaf = read_input(certificate, max_bytes=MAX_CHAIN_BYTES, what="certificate")
    more = None if chain is None else read_input(chain, max_bytes=MAX_CHAIN_BYTES, what="chain")
    return certified(signer, leaf, more)


def opener_from(path: Path, passphrase_file: Path | None, terminal: Terminal) -> HPKEOpener:
    """Load the private half of a recipient, asking as `signer_from` does."""
    from trustkit.artifact.inputs import of_file, read_input
    from trustkit.sealing.hpke import opener_from_pem
    from trustkit.signing.key import MAX_KEY_BYTES, refuse_public

    pem = read_input(path, max_bytes=MAX_KEY_BYTES, what="opener")
    refuse_public(pem, repr(str(path)))
    with of_file(path):
        return unlock(
            lambda passphrase: opener_from_pem(pem, passphrase=passphrase),
            passphrase_file,
            terminal,
            what=repr(str(path)),
            flag="--opener-passphrase-file",
        )


def jwe_key_from(path: Path) -> JweKey:
    """Load the key that is shared with KServe."""
    from trustkit.artifact.inputs import of_file, read_input
    from trustkit.sealing.jwe import MAX_KEY_FILE, parse_jwe_key

    with of_file(path):
        return parse_jwe_key(read_input(path, max_bytes=MAX_KEY_FILE, what="shared key"))


def given(*paths: Path | None, more: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Collect the files that a command reads, so that no output can be one of them."""
    return (*(path for path in paths if path is not None), *more)


def demand_there(path: Path | str, *, folder: bool = False) -> None:
    """Refuse a path that leads to nothing before anybody is asked for a passphrase.

    Args:
        path: What a command works on; an address in a store is left to whoever reads it.
        folder: Whether it must be a folder.

    Raises:
        UsageError: ``no-such-path`` or ``no-such-folder``.
        UnavailableError: ``unreadable``.
    """
    from trustkit.artifact.inputs import is_file, is_folder
    from trustkit.workflows.places import places_of

    if folder and not is_folder(Path(path)):
        said = f"{str(path)!r} is a file; name the folder" if is_file(Path(path)) else ""
        raise UsageError("no-such-folder", said or f"there is no folder at {str(path)!r}", path=str(path))
    if isinstance(path, Path):
        places_of(path, None)


def refuse_unless(condition: object, message: str) -> None:
    """Refuse a combination of flags that argparse cannot express."""
    if not condition:
        raise UsageError("bad-arguments", message)
