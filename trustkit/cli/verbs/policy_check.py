"""``trustkit policy check``: whether a verification policy is valid, and whom it believes.

A policy that is not read strictly is not a policy: a misspelt restriction would
be no restriction. The same parser serves every face.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from trustkit import strictjson
from trustkit.cli.answer import Answer, counted
from trustkit.cli.parser import Parser
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import read_policy

if TYPE_CHECKING:
    from trustkit.verifying.authorities import Authority

STORY = """
Read a verification policy as strictly as every face of trustkit reads it, and list whom it
believes, in which role, and for which model lines. An unknown or misspelt member, a key named
twice or a threshold that nobody can reach makes a policy invalid (exit status 2).
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY, "trustkit policy check policy.yaml", "trustkit policy check policy.yaml --json", done="valid"
    )
    parser.place("file", "the policy (YAML or JSON)")


def run(arguments: argparse.Namespace, _terminal: Terminal) -> Answer:
    """Parse the policy and list what it says."""
    named: list[str] = []
    policy = read_policy(arguments.file, named=named)
    lines = list(policy.lines or ())
    authors = len(policy.acting_as("author"))
    return Answer(
        "valid",
        f"policy {policy.name!r}",
        rows=(
            ("digest", str(policy.digest)),
            ("threshold", f"{policy.threshold} of {counted(authors, 'author')}"),
            (
                "keys",
                "in files beside it, so webhook and broker refuse it"
                if named
                else "all in the policy itself",
            ),
            ("lines", ", ".join(lines) or "none: it verifies signatures, and no sealed artifact"),
            *(
                (
                    " and ".join(sorted(authority.roles)),
                    f"{authority.name} ({_whom(authority)})",
                )
                for authority in policy.authorities
            ),
        ),
        fields={
            "name": policy.name,
            "policy_digest": str(policy.digest),
            "threshold": policy.threshold,
            "lines": list(lines),
            "key_files": list(named),
            "authorities": [_told(authority) for authority in policy.authorities],
        },
    )


def _whom(authority: Authority) -> str:
    from trustkit.verifying.authorities import KeyAuthority, root_fingerprints

    if isinstance(authority, KeyAuthority):
        return str(authority.public_key.fingerprint)
    names = ", ".join(authority.identities) or "anybody"
    return f"{names}, certified under {', '.join(root_fingerprints(authority))}"


def _told(authority: Authority) -> strictjson.Object:
    from trustkit.verifying.authorities import KeyAuthority, root_fingerprints

    common: strictjson.Object = {
        "name": authority.name,
        "roles": [str(role) for role in sorted(authority.roles)],
    }
    if isinstance(authority, KeyAuthority):
        return {**common, "kind": "key", "fingerprint": str(authority.public_key.fingerprint)}
    return {
        **common,
        "kind": "certificate",
        "roots": list(root_fingerprints(authority)),
        "identities": list(authority.identities),
    }
