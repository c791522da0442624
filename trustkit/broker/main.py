"""Composition root of ``trustkit-broker``: serve over mutual TLS, or check the configuration.

The only place of this face that sees the environment, arguments, clocks and
process limits; everything else gets values. Failures are one line on stderr and
the exit status of their class; with ``--json`` stdout holds exactly one JSON
document, on every outcome (architecture, section 5).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trustkit.errors import EXIT_TRUSTED
from trustkit.programs.arguments import Program, add_config_flag, add_listen_flag
from trustkit.programs.checking import add_without_svid, missing_svid_told, tell
from trustkit.programs.ending import forbid_core_dumps, status_of
from trustkit.programs.settings import OF_MEMBERS, load_file
from trustkit.programs.voice import Voice

if TYPE_CHECKING:
    from trustkit.broker.config import Config

PROGRAM = "trustkit-broker"
_DOOR_SECONDS = 5.0


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit status.

    Args:
        argv: Arguments without the program's name.
        environ: The environment.
    """
    voice = Voice(PROGRAM, sys.stdout, sys.stderr, as_json="--json" in argv)

    def work() -> int:
        forbid_core_dumps()  # of openers and keys
        return _run(_parser().parse_args(list(argv)), argv, environ, voice)

    return status_of(
        work,
        voice,
        debug="--debug" in argv,
        interrupted="stopped before anything was served",
        extra="broker",
    )


def run() -> None:
    """Start from the command line."""
    warnings.simplefilter("ignore", UserWarning, append=True)  # of certificates: refusals say it
    sys.exit(main(sys.argv[1:], os.environ))


def _parser() -> Program:
    program = Program(
        PROGRAM,
        does="Releases the key of a sealed model to the workloads that grants and rules name.",
        names="serve|check-config",
    )
    serve = program.verb("serve", "answer POST /v1/release over mutual TLS until SIGTERM")
    serve.story(
        """
Answer POST /v1/release over mutual TLS 1.3 until SIGTERM. Publisher and author of a model are
verified, the rules are asked whether this workload may have it, the decision is recorded, and only
then is the key wrapped again, for the key that the workload made for its request.

A key in a service (kms) is asked when it is needed; that it answers is not demanded at start.
""",
        "trustkit-broker serve --config broker.yaml",
        "trustkit-broker serve --config broker.yaml --listen 127.0.0.1:8443 --json",
        done="stopped, after what was asked for was answered",
    )
    check = program.verb("check-config", "validate the configuration and all it names; serve nothing")
    check.story(
        """
Read the configuration as serve does, with policy, rules, keys, SVID and record, and say what was
found. Nothing is written, and no service is asked.
""",
        "trustkit-broker check-config --config broker.yaml",
        "trustkit-broker check-config --config broker.yaml --without-svid",
        done="valid",
    )
    for verb in (serve, check):
        add_config_flag(verb)
        add_listen_flag(verb)
    add_without_svid(check)
    return program


def _run(arguments: argparse.Namespace, argv: Sequence[str], environ: Mapping[str, str], voice: Voice) -> int:
    from trustkit.artifact.inputs import of_file
    from trustkit.broker.app import broker_app
    from trustkit.broker.compose import compose
    from trustkit.broker.config import load
    from trustkit.spiffe.listening import Limits
    from trustkit.spiffe.serving import serve_mtls

    config = load_file(arguments.config, load, environ=environ, argv=argv)
    with of_file(arguments.config, codes=OF_MEMBERS):
        if arguments.verb == "check-config":
            return _check(arguments, config, voice)
        composed = compose(config, clock=time.time, monotonic=time.monotonic, alarm=voice.warn)
    serve_mtls(
        broker_app(composed.broker, config.limits, clock=time.monotonic),
        listen=config.listen,
        source=composed.source,
        clock=time.time,
        # The door is a little more patient than the desk behind it, so that who is late hears why.
        limits=Limits(arrival_seconds=config.limits.body_timeout_seconds + _DOOR_SECONDS),
        announce=lambda where: voice.succeed(
            f"{PROGRAM}: listening on {where}", {"listen": where, **composed.summary}
        ),
    )
    composed.broker.catch_up(everything=True)
    return EXIT_TRUSTED


def _check(arguments: argparse.Namespace, config: Config, voice: Voice) -> int:
    from trustkit.broker.compose import compose, examined

    if arguments.without_svid:
        found = examined(config, clock=time.time, monotonic=time.monotonic)
        unchecked = (f"the SVID in {str(config.svid_directory)!r}", "whether grants are of its trust domain")
        tell(voice, "the configuration is", found, unchecked)
        return EXIT_TRUSTED
    with missing_svid_told(config.svid_directory):
        composed = compose(config, clock=time.time, monotonic=time.monotonic, alarm=voice.warn)
    tell(voice, "the configuration is", composed.summary)
    return EXIT_TRUSTED
