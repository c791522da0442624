"""``trustkit completion``: a completion script, generated from the parsers of all verbs."""

from __future__ import annotations

import argparse

from trustkit.cli.answer import Answer
from trustkit.cli.parser import Parser
from trustkit.cli.terminal import Terminal

STORY = """
Print a script that teaches a shell the verbs, flags and choices of trustkit.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        'bash:  eval "$(trustkit completion bash)"     in ~/.bashrc',
        'zsh:   eval "$(trustkit completion zsh)"      in ~/.zshrc, after compinit',
        "fish:  trustkit completion fish > ~/.config/fish/completions/trustkit.fish",
    )
    parser.place("shell", "bash, zsh or fish", choices=("bash", "zsh", "fish"))


def run(arguments: argparse.Namespace, _terminal: Terminal) -> Answer:
    """Write the script for one shell."""
    from trustkit.cli.completion import script_for

    script = script_for(arguments.shell)
    return Answer("completion", f"for {arguments.shell}", product=script, product_name="script", audible=True)
