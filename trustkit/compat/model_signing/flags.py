"""The reference's command line as a table: verbs, methods, flags, defaults. Nothing here does anything.

The law of this table: a flag stands here as the reference spells it, and is
accepted with hyphens and with underscores alike. A method that is not built yet
stands here without flags, so that it can be refused by name.
"""

from __future__ import annotations

from typing import NamedTuple

PROGRAM = "python -m trustkit.compat.model_signing"
SIGNATURE = "model.sig"
"""Where `sign` writes unless it is told otherwise: in the current folder."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Flag(NamedTuple):
    """One flag; its value is a path unless it is a switch, that is, without a metavar.

    Attributes:
        name: The reference's spelling.
        text: What it does here.
        metavar: What its value is called.
        many: Whether it may be repeated.
        needed: Whether the reference demands it.
        on: What a switch is where it is absent.
        off: The spelling that turns a switch off, where there is one.
        plain: Whether its value is a text rather than a path.
    """

    name: str
    text: str
    metavar: str = ""
    many: bool = False
    needed: bool = False
    on: bool = False
    off: str = ""
    plain: bool = False


def spellings(name: str) -> tuple[str, ...]:
    """Return the spellings of a flag: the reference's, with hyphens, with underscores."""
    bare = name.removeprefix("--")
    return tuple(dict.fromkeys((name, f"--{bare.replace('_', '-')}", f"--{bare.replace('-', '_')}")))


_IGNORE = Flag("--ignore-paths", "leave this out; relative to the current folder", "PATH", many=True)
_GIT = Flag(
    "--ignore-git-paths",
    "leave out .git, .gitattributes, .github and .gitignore (default); verify: the signature says",
    on=True,
    off="--no-ignore-git-paths",
)
_LINKS = Flag("--allow_symlinks", "follow links that stay inside; verify: the signature says")
_WRITE = Flag("--signature", f"where the signature goes (default: {SIGNATURE})", "PATH")
_READ = Flag("--signature", "where the signature lies", "PATH", needed=True)
_KEY = Flag("--private_key", "the private key (EC P-256, P-384 or P-521, PEM)", "PATH", needed=True)
_PASSWORD = Flag(
    "--password", "opens the key; others can read it here, so prefer trustkit sign", "TEXT", plain=True
)
_LEAF = Flag("--signing_certificate", "the certificate of the key (PEM)", "PATH", needed=True)
_CHAIN = Flag("--certificate_chain", "certificates up to, but without, the root", "PATH", many=True)
_ROOTS = Flag("--certificate_chain", "the roots you believe; at least one", "PATH", many=True)
_PRINTS = Flag("--log_fingerprints", "log the SHA-256 of every certificate")
_PUBLIC = Flag("--public_key", "the public key you believe (PEM)", "PATH", needed=True)
_UNSIGNED = Flag(
    "--ignore_unsigned_files", "tolerate files that nobody signed", off="--no-ignore_unsigned_files"
)

METHODS: dict[str, dict[str, tuple[Flag, ...] | None]] = {
    "sign": {
        "sigstore": None,
        "key": (_IGNORE, _GIT, _LINKS, _WRITE, _KEY, _PASSWORD),
        "certificate": (_IGNORE, _GIT, _LINKS, _WRITE, _KEY, _LEAF, _CHAIN),
        "pkcs11-key": None,
        "pkcs11-certificate": None,
    },
    "verify": {
        "sigstore": None,
        "key": (_READ, _IGNORE, _GIT, _LINKS, _PUBLIC, _UNSIGNED),
        "certificate": (_READ, _IGNORE, _GIT, _LINKS, _ROOTS, _PRINTS, _UNSIGNED),
        "pkcs11-key": None,
        "pkcs11-certificate": None,
    },
}
"""Verb, method, and the flags of the method; None where it is not built yet."""
DEFAULT_METHOD = "sigstore"
"""The method that is meant where none is named."""

HELP = f"""\
usage: {PROGRAM} [--log-level LEVEL] sign|verify METHOD MODEL_PATH [FLAGS]
       {PROGRAM} sign|verify METHOD --help

Signs and verifies models with the command line of model-signing 1.1.1, by trustkit's means.
New scripts are better off with `trustkit sign` and `trustkit verify`.

  sign key MODEL_PATH             with a private key
  sign certificate MODEL_PATH     with a private key and its certificate
  verify key MODEL_PATH           by a public key
  verify certificate MODEL_PATH   by root certificates

The methods sigstore (the default), pkcs11-key and pkcs11-certificate are not available here.

  --log-level LEVEL  one of {", ".join(LEVELS)} (default: INFO)
  --version          show the version
  -h, --help         show this text, or after a method its own

exit status: 0 signed, or verified; 2 the words of the command cannot be read, or its method is
not available here; 130 interrupted; 1 anything else
"""
