"""``trustkit demo``: the whole story on real bytes, on this machine alone.

It makes a model and lets it go every way that trustkit guards, with the programs
that everybody uses; the folder that stays behind holds every file and command.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from trustkit.cli.answer import Answer, counted
from trustkit.cli.parser import Parser
from trustkit.cli.terminal import Terminal
from trustkit.errors import extra_needed

FOLDER = Path("demo")
"""Where it goes unless told otherwise."""
NEEDED = ("fastapi", "numpy", "opapywasm", "pyarrow", "safetensors", "uvicorn")
"""What the demo and the servers it starts import beyond the core."""

STORY = """
Tell the whole story on real bytes: make a model, sign it, attack it, seal it, start store, broker
and webhook on loopback, let a Pod in, turn others away, and bring the model to where it is served.
No network, no root, no cluster; well under a minute.

Every command and file is left in a folder to explore. It ends with an error if any step, or any
refusal, does not happen.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit demo",
        "trustkit demo --folder /tmp/story --overwrite",
        done="everything was proven",
        refused="a step or a refusal did not happen",
    )
    parser.one("--folder", f"where everything goes (default: {FOLDER})", metavar="FOLDER")
    parser.switch("--overwrite", "replace an earlier demo there, and nothing else")


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Tell the story, line by line, and sum it up."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise extra_needed("the demo", ", ".join(missing), "demo")
    try:
        from trustkit.cli.demo.story import tell
    except ModuleNotFoundError as error:
        raise extra_needed("the demo", error.name, "demo") from None
    told = tell(
        arguments.folder or FOLDER,
        overwrite=arguments.overwrite,
        environ=terminal.environ,
        say=terminal.narrate,
        colour=terminal.colour,
    )
    return Answer(
        "proven",
        f"{counted(len(told.proven), 'thing')} in {told.seconds:.0f} s; look around in {str(told.folder)!r}",
        fields={
            "folder": str(told.folder),
            "seconds": round(told.seconds, 1),
            "proven": [
                {"scene": scene, "what": what, "outcome": outcome} for scene, what, outcome in told.proven
            ],
        },
    )
