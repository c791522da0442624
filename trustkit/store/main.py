"""Composition root of ``trustkit-store``: serve a folder over mutual TLS, or check the configuration.

The only place of this face that sees the environment, arguments and clocks.
The process holds one key, that of its own SVID; of what it serves it can open
nothing (design: adr 0021). Failures are one line on stderr and the exit status
of their class; with ``--json`` stdout holds exactly one document, on every outcome.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.errors import EXIT_TRUSTED
from trustkit.programs.arguments import Program, add_config_flag, add_listen_flag
from trustkit.programs.checking import add_without_svid, missing_svid_told, tell
from trustkit.programs.ending import status_of
from trustkit.programs.settings import OF_MEMBERS, load_file
from trustkit.programs.voice import Manner, Voice

if TYPE_CHECKING:
    from trustkit.spiffe.svid import SVIDSource
    from trustkit.store.config import Config

PROGRAM = "trustkit-store"
_SVID_MAX_BYTES = 1 << 20
_MANNER = Manner(closed="standard output is closed")


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit status.

    Args:
        argv: Arguments without the program's name.
        environ: The environment.
    """
    voice = Voice(PROGRAM, sys.stdout, sys.stderr, as_json="--json" in argv, manner=_MANNER)
    return status_of(
        lambda: _run(_parser().parse_args(list(argv)), argv, environ, voice),
        voice,
        debug="--debug" in argv,
        interrupted="stopped before anything was served",
        extra="broker",  # the same libraries, and less of them
    )


def run() -> None:
    """Start from the command line."""
    warnings.simplefilter("ignore", UserWarning, append=True)  # of certificates: refusals say it
    sys.exit(main(sys.argv[1:], os.environ))


def _parser() -> Program:
    program = Program(
        PROGRAM,
        does="Serves the files of one folder, whole or by range, over mutual TLS; it can open none.",
        names="serve|check-config",
    )
    serve = program.verb("serve", "serve GET and HEAD of files below the root until SIGTERM")
    serve.story(
        """
Serve GET and HEAD of the files below one folder, whole or by range, over mutual TLS 1.3 until
SIGTERM, to the readers that the configuration names. The process holds no key but its own SVID's.
""",
        "trustkit-store serve --config store.yaml",
        "trustkit-store serve --config store.yaml --listen 127.0.0.1:8443 --json",
        done="stopped, after what was asked for was sent",
    )
    check = program.verb("check-config", "validate the configuration, the folder and the SVID; serve nothing")
    check.story(
        """
Read the configuration as serve does, look at the folder and at the SVID, and say whether all of it
is right.
""",
        "trustkit-store check-config --config store.yaml",
        "trustkit-store check-config --config store.yaml --without-svid",
        done="valid",
    )
    for verb in (serve, check):
        add_config_flag(verb)
        add_listen_flag(verb)
    add_without_svid(check)
    return program


def _run(arguments: argparse.Namespace, argv: Sequence[str], environ: Mapping[str, str], voice: Voice) -> int:
    from trustkit.artifact.inputs import of_file, read_input
    from trustkit.spiffe.serving import serve_mtls
    from trustkit.spiffe.svid import SVIDSource
    from trustkit.store.app import store_app
    from trustkit.store.config import check_places, check_readers, load, opened

    file: Path = arguments.config
    config = load_file(file, load, environ=environ, argv=argv)

    def read(name: str) -> bytes:
        return read_input(config.svid_directory / name, max_bytes=_SVID_MAX_BYTES, what="SVID")

    source = SVIDSource(read, time.time, alarm=voice.warn, place=str(config.svid_directory))
    with of_file(file, codes=OF_MEMBERS):
        check_places(config, file)
        if arguments.verb == "check-config":
            return _check(arguments, config, source, voice)
        check_readers(config, source.current().spiffe_id)
    root = opened(config.root)
    try:
        serve_mtls(
            store_app(root, config.may_read),
            listen=config.listen,
            source=source,
            clock=time.time,
            announce=lambda where: voice.succeed(f"{PROGRAM}: listening on {where}", {"listen": where}),
            limits=config.limits,
        )
    finally:
        os.close(root)
    return EXIT_TRUSTED


def _check(arguments: argparse.Namespace, config: Config, source: SVIDSource, voice: Voice) -> int:
    from trustkit.store.config import check_readers, opened

    unchecked = []
    if arguments.without_svid:
        unchecked = [
            f"the SVID in {str(config.svid_directory)!r}",
            "whether readers are of its trust domain",
        ]
    else:
        with missing_svid_told(config.svid_directory):
            check_readers(config, source.current().spiffe_id)
    os.close(opened(config.root))
    tell(voice, "the configuration is", {}, unchecked)
    return EXIT_TRUSTED
