"""From the reference's command line to one call of its interface.

The law of this file: what cannot be read, or names a method that is not built
yet, is a `UsageError` before anything is touched; no flag is guessed from its
first letters, and none may be given twice with two values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from trustkit.compat.model_signing.flags import (
    DEFAULT_METHOD,
    HELP,
    LEVELS,
    METHODS,
    PROGRAM,
    SIGNATURE,
    Flag,
    spellings,
)
from trustkit.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from trustkit.compat.model_signing import hashing

_HELP = frozenset(("-h", "--help"))
MAX_WORDS = 10_000
"""Most words of a command."""


class Command(NamedTuple):
    """What is to be done: the call, its arguments, and how much is logged."""

    verb: str
    method: str
    given: argparse.Namespace
    level: str


def read(argv: Sequence[str]) -> Command | str:
    """Read a command line; a text is to be printed, and nothing else is to be done.

    Raises:
        UsageError: ``bad-arguments``, ``unsupported-method``.
    """
    if len(argv) > MAX_WORDS:
        raise UsageError("bad-arguments", f"a command has at most {MAX_WORDS} words")
    level, words = _level(list(argv))
    if words[:1] == ["--version"]:
        from trustkit.compat.model_signing import __version__ as interface
        from trustkit.version import __version__

        return f"trustkit {__version__}, with the command line of model-signing {interface}"
    if words and words[0] in _HELP:
        return HELP.rstrip("\n")
    if not words or words[0] not in METHODS:
        raise UsageError("bad-arguments", f"the first word must be sign or verify; see {PROGRAM} --help")
    verb, rest = words[0], words[1:]
    if rest and rest[0] in _HELP:
        return HELP.rstrip("\n")
    if not rest:
        raise UsageError("bad-arguments", f"{verb} needs a method and a model; see {PROGRAM} --help")
    named = rest[0] in METHODS[verb]
    method, rest = (rest[0], rest[1:]) if named else (DEFAULT_METHOD, rest)
    flags = METHODS[verb][method]
    if flags is None:
        raise _missing(verb, method)
    if _HELP & set(rest[: rest.index("--")] if "--" in rest else rest):
        return _parser(verb, method, flags).format_help().rstrip("\n")
    return Command(verb, method, _parser(verb, method, flags).parse_args(rest), level)


def perform(command: Command) -> str:
    """Sign or verify, and return the line that scripts of the reference look for.

    Raises:
        TrustkitError: Whatever stands in the way.
    """
    from trustkit.compat.model_signing.telling import listen

    listen(command.level)
    given = command.given
    if command.verb == "sign":
        _sign(command.method, given)
        return "Signing succeeded"
    _verify(command.method, given)
    return "Verification succeeded"


def _sign(method: str, given: argparse.Namespace) -> None:
    from trustkit.compat.model_signing import signing
    from trustkit.compat.model_signing.telling import tell

    config = signing.Config()
    if method == "key":
        if given.password is not None:
            tell(
                "warning",
                "a password on a command line can be read by others; "
                "use `trustkit sign --passphrase-file` instead",
            )
        config.use_elliptic_key_signer(private_key=given.private_key, password=given.password)
    else:
        config.use_certificate_signer(
            private_key=given.private_key,
            signing_certificate=given.signing_certificate,
            certificate_chain=given.certificate_chain,
        )
    config.set_hashing_config(_hashing(given)).sign(given.model_path, given.signature or SIGNATURE)


def _verify(method: str, given: argparse.Namespace) -> None:
    from trustkit.compat.model_signing import verifying

    config = verifying.Config()
    if method == "key":
        config.use_elliptic_key_verifier(public_key=given.public_key)
    else:
        config.use_certificate_verifier(
            certificate_chain=given.certificate_chain, log_fingerprints=given.log_fingerprints
        )
    config.set_hashing_config(_hashing(given)).set_ignore_unsigned_files(given.ignore_unsigned_files)
    config.verify(given.model_path, given.signature)


def _hashing(given: argparse.Namespace) -> hashing.Config:
    """Return how to hash; on the command line paths are relative to the current folder, not to the model."""
    from trustkit.compat.model_signing import hashing
    from trustkit.compat.model_signing.paths import names_inside
    from trustkit.compat.model_signing.telling import tell

    ignored = [path.absolute() for path in given.ignore_paths]
    for path in ignored:
        if not names_inside(given.model_path, [path]):
            tell("warning", f"{str(path)!r} does not lie in the model, so there is nothing to ignore")
    return (
        hashing.Config()
        .set_ignored_paths(paths=ignored, ignore_git_paths=given.ignore_git_paths)
        .set_allow_symlinks(given.allow_symlinks)
    )


def _level(words: list[str]) -> tuple[str, list[str]]:
    """Take the flag that comes before the verb."""
    level = "INFO"
    while words and words[0].split("=", 1)[0] in spellings("--log-level"):
        flag, equals, value = words.pop(0).partition("=")
        if not equals:
            value = words.pop(0) if words else ""
        level = value.upper()
        if level not in LEVELS:
            raise UsageError("bad-arguments", f"{flag} must be one of {', '.join(LEVELS)}")
    return level, words


def _missing(verb: str, method: str) -> UsageError:
    return UsageError(
        "unsupported-method",
        f"{verb} {method} is not available here; use {verb} key or {verb} certificate, "
        "or keep the reference for this",
    )


def _parser(verb: str, method: str, flags: Sequence[Flag]) -> argparse.ArgumentParser:
    from trustkit.programs import arguments, helping

    parser = helping.Parser(
        prog=f"{PROGRAM} {verb} {method}",
        allow_abbrev=False,
        description="README.md beside the code says how this differs from the reference.",
    )
    parser.add_argument("model_path", metavar="MODEL_PATH", type=arguments.path, help="folder or file")
    for flag in flags:
        if flag.metavar:
            kind = arguments.text if flag.plain else arguments.path
            parser.add_argument(
                *spellings(flag.name),
                type=kind,
                action="append" if flag.many else helping.Once,
                default=[] if flag.many else None,
                required=flag.needed,
                metavar=flag.metavar,
                help=f"{flag.text}; may be repeated" if flag.many else flag.text,
            )
        else:
            name = flag.name.removeprefix("--").replace("-", "_")
            parser.add_argument(
                *spellings(flag.name), dest=name, action="store_true", default=flag.on, help=flag.text
            )
            if flag.off:
                parser.add_argument(
                    *spellings(flag.off), dest=name, action="store_false", help="the opposite"
                )
    return parser
