"""``trustkit shred``: destroy the wrapped keys of a sealed artifact, and record it.

What is left is ciphertext without a key. It asks for no key and no policy:
whoever may write to the folder could remove the file as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted
from trustkit.cli.parser import Parser
from trustkit.cli.terminal import Terminal

if TYPE_CHECKING:
    from trustkit.workflows import Shredded

STORY = """
Destroy the wrapped keys of a sealed artifact: recipients.json is overwritten and removed, and
shredded.json says what it was, for whom, and when. After that nobody can open this folder. There
is no way back.

What is elsewhere stays: copies of the folder, backups, snapshots and caches, and keys that were
released before. A file system that copies on write may keep the old bytes; where that matters,
destroy the private keys of the recipients as well.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit shred sealed/",
        done="the wrapped keys are gone, now or from a run before",
    )
    parser.place("folder", "the sealed folder")


def run(arguments: argparse.Namespace, _terminal: Terminal) -> Answer:
    """Record, destroy, and say what can no longer be opened."""
    from trustkit import workflows

    return _answer(arguments.folder, workflows.shred(arguments.folder))


def _answer(folder: Path, done: Shredded) -> Answer:
    what = "its keys were destroyed by a run before" if done.before else "nobody can open it from here"
    return Answer(
        "shredded",
        f"{folder}: {what}",
        rows=(
            ("record", str(done.record)),
            *((("data key", done.dek_id),) if done.dek_id else ()),
            *((("destroyed", counted(len(done.recipients), "wrapped key")),) if not done.before else ()),
        ),
        fields={
            "folder": str(folder),
            "record": str(done.record),
            "dek_id": done.dek_id,
            "recipients": [{"kind": kind, "key": str(key)} for kind, key in done.recipients],
            "before": done.before,
        },
        warnings=("copies of the folder, and keys that were released before, are not destroyed by this",),
    )
