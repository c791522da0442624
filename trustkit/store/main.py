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

from trustkit.errors import EXIT_TRUSTED
from trustkit.programs.arguments import Parser, program
from trustkit.programs.ending import status_of
from trustkit.programs.settings import load_file
from trustkit.programs.voice import Manner, Voice

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


def _parser() -> Parser:
    parser = program(
        PROGRAM,
        does="Serve the files of one folder, whole or by range, over mutual TLS; it can open none.",
        ends="0 stopped or valid, 1 refused, 2 usage, 3 input, 4 limit, 5 unavailable",
    )
    common = Parser(add_help=False)
    common.add_argument("--config", type=Path, required=True, metavar="FILE", help="configuration (YAML)")
    common.add_argument("--listen", metavar="HOST:PORT", help="overrides the configuration; port 0 takes any")
    common.add_argument("--json", action="store_true", help="print exactly one JSON document")
    common.add_argument("--debug", action="store_true", help="show the traceback of a bug")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="serve|check-config")
    for verb, says in (
        ("serve", "Serve GET and HEAD of files below the root until SIGTERM."),
        ("check-config", "Validate the configuration, the folder and the SVID; serve nothing."),
    ):
        verbs.add_parser(verb, parents=[common], allow_abbrev=False, help=says, description=says)
    return parser


def _run(arguments: argparse.Namespace, argv: Sequence[str], environ: Mapping[str, str], voice: Voice) -> int:
    from trustkit.artifact.inputs import read_input
    from trustkit.spiffe.serving import serve_mtls
    from trustkit.spiffe.svid import SVIDSource
    from trustkit.store.app import store_app
    from trustkit.store.config import check_places, check_readers, load, opened

    file: Path = arguments.config
    config = load_file(file, load, environ=environ, argv=argv)
    check_places(config, file)

    def read(name: str) -> bytes:
        return read_input(config.svid_directory / name, max_bytes=_SVID_MAX_BYTES, what="SVID")

    source = SVIDSource(read, time.time, alarm=voice.warn)
    check_readers(config, source.current().spiffe_id)
    root = opened(config.root)
    try:
        if arguments.verb == "serve":
            serve_mtls(
                store_app(root, config.may_read),
                listen=config.listen,
                source=source,
                clock=time.time,
                announce=lambda where: voice.succeed(f"listening on {where}", {"listen": where}),
                limits=config.limits,
            )
        else:
            voice.succeed("the configuration is valid", {})
    finally:
        os.close(root)
    return EXIT_TRUSTED
