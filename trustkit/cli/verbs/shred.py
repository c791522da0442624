"""``trustkit shred``: destroy the wrapped keys of a sealed artifact, and record it.

What is left is ciphertext without a key. It asks for no key and no policy:
whoever may write to the folder could remove the file as well.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted
from trustkit.cli.keys import refuse_unless
from trustkit.cli.parser import Parser, whole
from trustkit.cli.recipients import destroyers_from, service_of
from trustkit.cli.terminal import Terminal

if TYPE_CHECKING:
    from trustkit import strictjson
    from trustkit.sealing.parties import Deletion
    from trustkit.workflows import Shredded

STORY = """
Destroy the wrapped keys of a sealed artifact: recipients.json is overwritten and removed, and
shredded.json says what it was, for whom, and when. After that nobody can open this folder. There
is no way back.

What is elsewhere stays: copies of the folder, backups, snapshots and caches, and keys that were
released before. A file system that copies on write may keep the old bytes; where that matters,
destroy the private keys of the recipients as well.

--delete-key does that for a key in a service: its deletion is asked for first, by every run, and
recorded with the answer. With it goes whatever else was ever wrapped for that key. The service keeps
it for some days, out of use, in which its owner can take that back. Where one of several services
refuses, the keys before it are to be deleted all the same: the error names them.
"""

_SHORTEST, _LONGEST, _DAYS = 7, 30, 30


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit shred sealed/",
        "trustkit shred sealed/ --delete-key awskms:///arn:aws:kms:eu-west-1:111122223333:key/ID",
        done="the wrapped keys are gone, now or from a run before",
        refused="refused: a service does not let its key be deleted; the folder is as it was",
    )
    parser.place("folder", "the sealed folder")
    parser.many(
        "--delete-key", "key of a service to have deleted too (awskms:///ARN)", metavar="KEY", kind=service_of
    )
    parser.one(
        "--pending-days",
        f"days until it is deleted, {_SHORTEST} to {_LONGEST} (default: {_DAYS})",
        metavar="N",
        kind=whole(_SHORTEST, _LONGEST),
    )


def run(arguments: argparse.Namespace, _terminal: Terminal) -> Answer:
    """Record, destroy, and say what can no longer be opened."""
    words, days = arguments.delete_key or (), arguments.pending_days
    refuse_unless(words or days is None, "--pending-days is for a key that --delete-key names")
    from trustkit import workflows

    destroyers = destroyers_from(words, flag="--delete-key")
    done = workflows.shred(arguments.folder, destroyers=destroyers, pending_days=days or _DAYS)
    return _answer(arguments.folder, done)


def _answer(folder: Path, done: Shredded) -> Answer:
    what = "its keys were destroyed by a run before" if done.before else "nobody can open it from here"
    return Answer(
        "shredded",
        f"{folder}: {what}",
        rows=(
            ("record", str(done.record)),
            *((("data key", done.dek_id),) if done.dek_id else ()),
            *((("destroyed", counted(len(done.recipients), "wrapped key")),) if not done.before else ()),
            *(("to be deleted", f"{deletion.name}, {_when(deletion)}") for deletion in done.deletions),
            *(("recorded before", f"{one.name}, {_when(one)}; not asked now") for one in done.recorded),
        ),
        fields={
            "folder": str(folder),
            "record": str(done.record),
            "dek_id": done.dek_id,
            "recipients": [{"kind": kind, "key": str(key)} for kind, key in done.recipients],
            "deletions": [_fields(deletion) for deletion in done.deletions],
            "recorded": [_fields(deletion) for deletion in done.recorded],
            "before": done.before,
        },
        warnings=_warnings(done),
    )


def _fields(deletion: Deletion) -> dict[str, strictjson.Value]:
    return {
        "kind": deletion.kind,
        "key": str(deletion.key_id),
        "name": deletion.name,
        "state": deletion.state,
        "at": deletion.at,
    }


def _when(deletion: Deletion) -> str:
    if deletion.at is None:
        return f"when the service can ({deletion.state})"
    return datetime.fromtimestamp(deletion.at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _warnings(done: Shredded) -> tuple[str, ...]:
    from trustkit.sealing.awskms import AWSKMS, is_multi_region

    gone = {(deletion.kind, deletion.key_id) for deletion in done.deletions}
    left = sum(1 for name in done.recipients if name[0] == AWSKMS and name not in gone)
    found = ["copies of the folder, and keys that were released before, are not destroyed by this"]
    if left:
        what = counted(left, "key")
        found.append(f"copies of recipients.json can still be used with {what} in AWS KMS; see --delete-key")
    if done.recorded:
        found.append("what was recorded before is signed by nobody; --delete-key asks the service again")
    if done.forgotten:
        found.append("shredded.json of a run before could not be read, or not be kept whole")
    if any(is_multi_region(deletion.name) for deletion in done.deletions):
        found.append(
            "a multi-Region key opens what was wrapped for its replicas, and they what was wrapped for it; "
            "nothing is out of reach before all of them are deleted: name each in --delete-key"
        )
    elif gone:
        found.append("whatever else was wrapped for a deleted key cannot be opened any more either")
    return tuple(found)
