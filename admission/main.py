"""Composition root of ``trustkit-admission``: serve, decide one review from a file, check the configuration.

The only place of this face that sees the environment, arguments, clocks and
streams; everything else gets values. Failures are one line on stderr and the
exit status of their class; with ``--json`` stdout holds exactly one JSON
document, on every outcome (architecture, section 5).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

from admission.config import Config, load
from admission.deadline import Clocks, deadline_in
from admission.voice import PROGRAM, voice_on
from trustkit import strictjson
from trustkit.errors import EXIT_TRUSTED, UsageError
from trustkit.programs.arguments import Program, add_config_flag, add_flag, add_listen_flag, path
from trustkit.programs.ending import status_of
from trustkit.programs.settings import load_file
from trustkit.programs.voice import Voice

_SERVE = """
Answer the API server's AdmissionReviews at /mutate and /validate over TLS 1.3 until SIGTERM, and
/healthz and /readyz in the clear. Every model that an object names is verified, never its weights;
what is not verified, not pinned or not readable is denied, with a code and what to do.
"""
_DECIDE = """
Judge one AdmissionReview (JSON) as serve would, and print the answer: for people its reasons, with
--json the whole response. Nobody acts on it, so nothing is recorded.
"""
_CHECK = """
Read the configuration as serve does, with policy, rules, certificates, SVID and record, and say what
was found. Nothing is written, and no store is asked.
"""


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit status.

    Args:
        argv: Arguments without the program's name.
        environ: The environment.
    """
    voice = voice_on(sys.stdout, sys.stderr, as_json="--json" in argv)
    return status_of(
        lambda: _run(_parser().parse_args(list(argv)), argv, environ, voice),
        voice,
        debug="--debug" in argv,
        interrupted="stopped before anything was decided",
        extra="admission",
    )


def run() -> None:
    """Start from the command line."""
    warnings.simplefilter("ignore", UserWarning, append=True)  # of certificates: refusals say it
    sys.exit(main(sys.argv[1:], os.environ))


def _parser() -> Program:
    program = Program(
        PROGRAM,
        does="The admission webhook: every model a pod names is verified, or the pod is denied.",
        names="serve|decide|check-config",
    )
    serve = program.verb("serve", "serve /mutate and /validate over TLS until SIGTERM")
    serve.story(
        _SERVE,
        "trustkit-admission serve --config webhook.yaml",
        "trustkit-admission serve --config webhook.yaml --listen 127.0.0.1:8443",
        done="stopped, after what was asked for was answered",
    )
    decide = program.verb("decide", "judge one AdmissionReview from a file; nothing is recorded")
    decide.story(
        _DECIDE,
        "trustkit-admission decide --config webhook.yaml --review review.json",
        "trustkit-admission decide --config webhook.yaml --review review.json --hook validate --json",
        done="allowed",
        refused="denied: something was refused; where only the world did not answer, 5",
    )
    check = program.verb("check-config", "validate the configuration and all it names; serve nothing")
    check.story(_CHECK, "trustkit-admission check-config --config webhook.yaml", done="valid")
    for verb in (serve, decide, check):
        add_config_flag(verb)
    add_listen_flag(serve)
    add_listen_flag(serve, "--health-listen")
    add_flag(decide, "--review", "AdmissionReview request (JSON)", kind=path, metavar="FILE", required=True)
    decide.add_argument(
        "--hook", choices=("mutate", "validate"), default="mutate", help="as which hook (mutate)"
    )
    return program


def _run(arguments: argparse.Namespace, argv: Sequence[str], environ: Mapping[str, str], voice: Voice) -> int:
    from admission.compose import compose

    config = load_file(arguments.config, load, environ=environ, argv=argv)
    clocks = Clocks(monotonic=time.monotonic, now=time.time)
    if arguments.verb == "decide":
        return _decide(arguments, config, clocks, voice)
    from admission.serving import Surroundings, serve

    _say_what_is_insecure(config, voice)
    _say_what_is_not_mounted(config, voice)
    composed = compose(config, clocks=clocks, alarm=voice.warn)
    if arguments.verb == "check-config":
        from admission.tls import tls_context

        tls_context(config.tls)
        voice.succeed("the configuration is valid", composed.summary)
        return EXIT_TRUSTED

    def announce(where: str, health: str) -> None:
        evidence = {"listen": where, "health_listen": health, **composed.summary}
        voice.succeed(f"listening on {where}\nhealth on {health}", evidence)

    serve(composed.judge, config, Surroundings(time.monotonic, announce, voice.warn))
    return EXIT_TRUSTED


def _say_what_is_insecure(config: Config, voice: Voice) -> None:
    if config.tls.client_ca is None:
        why = "whoever reaches the port may ask, as tls.insecure_no_client_ca says; name the tls.client_ca"
        voice.warn(UsageError("insecure-no-client-ca", why))


def _say_what_is_not_mounted(config: Config, voice: Voice) -> None:
    """An image may hold these files itself, so it is no error."""
    if config.sidecar.unmounted:
        names = ", ".join(f"sidecar.{name}" for name in config.sidecar.unmounted)
        why = f"no mount of the sidecar brings {names}, so none starts whose image does not hold that"
        voice.warn(UsageError("sidecar-unmounted", f"{why}; add to sidecar.volumes and volume_mounts"))


def _decide(arguments: argparse.Namespace, config: Config, clocks: Clocks, voice: Voice) -> int:
    from admission.compose import compose
    from admission.review import MAX_BYTES as REVIEW_MAX_BYTES
    from admission.review import parse_review, response_to_bytes
    from trustkit.artifact.inputs import read_input

    review = parse_review(read_input(arguments.review, max_bytes=REVIEW_MAX_BYTES, what="review"))
    # Nobody acts on this decision, so it has no place among those that were acted on.
    judge = compose(replace(config, record=None), clocks=clocks, alarm=voice.warn).judge
    deadline = deadline_in(config.deadline_seconds, clocks.monotonic)
    verdict = judge.judge(review, arguments.hook, deadline)
    response = response_to_bytes(
        review.uid,
        allowed=verdict.allowed,
        message=verdict.message,
        patch=verdict.patch,
        warnings=verdict.warnings,
        audit=dict(verdict.audit),
    )
    document = strictjson.parse_object(response, max_bytes=len(response), what="response")
    first = verdict.violations[0].code if verdict.violations else ""
    voice.answer(
        ok=verdict.allowed,
        code=first,
        message=verdict.message or "allowed",
        evidence={"review": document},
    )
    return EXIT_TRUSTED if verdict.allowed else verdict.denied_with
