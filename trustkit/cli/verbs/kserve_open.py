"""``trustkit kserve open``: decrypt KServe's confidential layout, and hold every byte against its author.

Stricter than KServe: nothing without a signature, nothing that is not sealed,
and nothing visible before everything was checked.
"""

from __future__ import annotations

import argparse

from trustkit.cli.answer import Answer
from trustkit.cli.keys import given, jwe_key_from
from trustkit.cli.parser import Parser
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import policy_from_flags
from trustkit.cli.verbs.kserve_seal import answer_of

STORY = """
Decrypt a folder in KServe's confidential layout. The author's bundle is verified first, under
--key or --policy, then every file that it names must be a JWE (NAME.jwe, or NAME), open with the
shared key, and be what was signed. The folder appears at once when all of it is right; on any
failure nothing is left. Files that the author did not sign are not looked at.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit kserve open sealed/ --jwk shared.jwk --key author.pem.pub --output model/",
        done="trusted, and the folder is there",
        refused="refused: tampered with, of another author, not sealed, or with another key; nothing is left",
    )
    parser.place("folder", "the folder that KServe would decrypt")
    parser.one("--jwk", "the key that it was sealed with: a JWK, or its k alone", required=True)
    parser.one("--key", "public key of the author (PEM)")
    parser.one("--policy", "verification policy that says which authors to believe")
    parser.one("--bundle", "the author's bundle (default: FOLDER/model.sig)")
    parser.one("--output", "the folder to write; it must not exist", metavar="FOLDER", required=True)


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Verify, open, and say what was published."""
    policy = policy_from_flags(arguments.policy, arguments.key)
    from trustkit import workflows

    key = jwe_key_from(arguments.jwk)
    with terminal.progress("opening", arguments.folder) as progress:
        done = workflows.open_from_kserve(
            arguments.folder,
            key,
            policy,
            output=arguments.output,
            bundle=arguments.bundle,
            inputs=given(arguments.jwk, arguments.key, arguments.policy, arguments.bundle),
            progress=progress,
        )
    return answer_of("trusted", done, label="opened")
