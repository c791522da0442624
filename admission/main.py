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
from typing import TYPE_CHECKING

from admission.config import Config, load
from admission.deadline import Clocks, deadline_in
from admission.voice import PROGRAM, voice_on
from trustkit import strictjson
from trustkit.errors import EXIT_TRUSTED, Evidence, UsageError
from trustkit.programs.arguments import Program, add_config_flag, add_flag, add_listen_flag, path
from trustkit.programs.checking import add_without_svid, missing_svid_told, tell
from trustkit.programs.ending import status_of
from trustkit.programs.helping import HelpParser
from trustkit.programs.settings import OF_MEMBERS, load_file
from trustkit.programs.voice import Voice

if TYPE_CHECKING:
    from pathlib import Path

    from admission.decide import Judge
    from admission.manifest import Question

_SERVE = """
Answer the API server's AdmissionReviews at /mutate and /validate over TLS 1.3 until SIGTERM, and
/healthz and /readyz in the clear. Every model that an object names is verified, never its weights;
what is not verified, not pinned or not readable is denied, with a code and what to do.
"""
_DECIDE = """
Judge one AdmissionReview (JSON) as serve would, and print the answer: for people its reasons, with
--json the whole response. Nobody acts on it, so nothing is recorded.

A manifest of one object (YAML or JSON) is judged as if it were created, as it is written, and in the
namespace default where it names none; what was assumed is printed, and stands in the document.

With --without-svid no store is asked. What stands in the object alone is judged as ever; a pinned
model, which only its store can prove, is denied as store-not-asked (5, where nothing else is wrong).
"""
_CHECK = """
Read the configuration as serve does, with policy, rules, certificates, SVID and record, and say what
was found. Nothing is written, and no store is asked.
"""


_NOT_ASKED = "what only a store can prove, since none was asked"


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
    decide = _decide_verb(program)
    check = program.verb("check-config", "validate the configuration and all it names; serve nothing")
    check.story(
        _CHECK,
        "trustkit-admission check-config --config webhook.yaml",
        "trustkit-admission check-config --config webhook.yaml --without-svid",
        done="valid",
    )
    add_without_svid(check)
    for verb in (serve, decide, check):
        add_config_flag(verb)
    add_listen_flag(serve)
    add_listen_flag(serve, "--health-listen")
    return program


def _decide_verb(program: Program) -> HelpParser:
    decide = program.verb("decide", "judge one AdmissionReview or manifest from a file; nothing is recorded")
    decide.story(
        _DECIDE,
        "trustkit-admission decide --config webhook.yaml --review review.json",
        "trustkit-admission decide --config webhook.yaml --review deploy/llm.yaml --without-svid",
        "trustkit-admission decide --config webhook.yaml --review - --json",
        "trustkit-admission decide --config webhook.yaml --review review.json --hook validate --json",
        done="allowed",
        refused="denied: something was refused; where only the world did not answer, 5",
    )
    add_without_svid(decide, "ask no store, and so need no SVID")
    asked = "AdmissionReview request (JSON), or the manifest of one object (YAML or JSON); - for stdin"
    add_flag(decide, "--review", asked, kind=path, metavar="FILE", required=True)
    decide.add_argument(
        "--hook", choices=("mutate", "validate"), default="mutate", help="as which hook (mutate)"
    )
    return decide


def _run(arguments: argparse.Namespace, argv: Sequence[str], environ: Mapping[str, str], voice: Voice) -> int:
    from admission.compose import compose
    from trustkit.artifact.inputs import of_file

    config = load_file(arguments.config, load, environ=environ, argv=argv)
    clocks = Clocks(monotonic=time.monotonic, now=time.time)
    if arguments.verb == "decide":
        return _decide(arguments, config, clocks, voice)
    from admission.serving import Surroundings, serve

    _say_what_is_insecure(config, voice)
    _say_what_is_not_mounted(config, voice)
    with of_file(arguments.config, codes=OF_MEMBERS):
        if arguments.verb == "check-config":
            return _check(arguments, config, clocks, voice)
        composed = compose(config, clocks=clocks, alarm=voice.warn)

    def announce(where: str, health: str) -> None:
        evidence = {"listen": where, "health_listen": health, **composed.summary}
        voice.succeed(f"{PROGRAM}: listening on {where}\n{PROGRAM}: health on {health}", evidence)

    serve(composed.judge, config, Surroundings(time.monotonic, time.time, announce, voice.warn))
    return EXIT_TRUSTED


def _check(arguments: argparse.Namespace, config: Config, clocks: Clocks, voice: Voice) -> int:
    from admission.compose import compose, examined
    from admission.tls import tls_context

    unchecked: list[str] = []
    if arguments.without_svid:
        found = examined(config, clocks=clocks, alarm=voice.warn)
        unchecked = [
            f"the SVID in {str(config.svid_directory)!r}",
            "the trust bundle in it" if "trust_bundle_digest" not in found else "whose the trust bundle is",
            "whether stores and sidecar.broker_id are of its trust domain",
        ]
    else:
        with missing_svid_told(config.svid_directory):
            found = compose(config, clocks=clocks, alarm=voice.warn).summary
    tls_context(config.tls, now=clocks.now())
    tell(voice, "the configuration is", found, unchecked)
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
    from admission.review import response_to_bytes

    question = _asked(arguments.review)
    review = question.review
    judge = _judge(arguments, config, clocks, voice)
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
    if question.about:
        voice.tell(f"judged is {question.about}")
    evidence: dict[str, Evidence] = {"review": document}
    if question.assumed:
        evidence["assumed"] = question.assumed
    if arguments.without_svid:
        voice.tell(f"judged without our SVID; NOT checked: {_NOT_ASKED}")
        evidence["unchecked"] = [_NOT_ASKED]
    voice.answer(ok=verdict.allowed, code=first, message=verdict.message or "allowed", evidence=evidence)
    return EXIT_TRUSTED if verdict.allowed else verdict.denied_with


def _asked(path: Path) -> Question:
    from admission.manifest import question_in
    from admission.review import MAX_BYTES
    from trustkit.artifact.inputs import STANDARD_INPUT, of_file, read_input, read_standard_input

    if str(path) == STANDARD_INPUT:
        return question_in(read_standard_input(max_bytes=MAX_BYTES, what="review"), "standard input")
    raw = read_input(path, max_bytes=MAX_BYTES, what="review")
    with of_file(path):
        return question_in(raw, str(path))


def _judge(arguments: argparse.Namespace, config: Config, clocks: Clocks, voice: Voice) -> Judge:
    """Build who decides. Nobody acts on it, so it has no place in the record of what was acted on."""
    from admission.compose import compose, without_stores
    from trustkit.artifact.inputs import of_file

    with of_file(arguments.config, codes=OF_MEMBERS):
        if not arguments.without_svid:
            with missing_svid_told(config.svid_directory, "decides what needs no store"):
                return compose(replace(config, record=None), clocks=clocks, alarm=voice.warn).judge
        if arguments.hook == "validate":
            why = "--hook validate holds sidecars against what their stores prove, so it needs an SVID"
            raise UsageError("bad-arguments", f"{why}; leave out --without-svid")
        return without_stores(config, clocks=clocks, alarm=voice.warn)
