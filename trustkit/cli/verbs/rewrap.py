"""``trustkit rewrap``: change who may open a sealed artifact, and nothing else of it.

The key is unwrapped only for a descriptor that was verified, so the trust flags
are those of ``open``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.cli.answer import Answer, counted
from trustkit.cli.keys import demand_there
from trustkit.cli.parser import Parser
from trustkit.cli.recipients import id_of, keys_from, opener_flags, opener_of, recipients_from, word_of
from trustkit.cli.terminal import Terminal
from trustkit.cli.trust import policy_from_flags, trust_flags
from trustkit.errors import UsageError

if TYPE_CHECKING:
    from trustkit.workflows import Rewrapped

STORY = """
Wrap the data key of a sealed artifact for other recipients, or leave some out. The publisher's
descriptor and the author's bundle are verified first. Ciphertext and descriptor stay as they are;
recipients.json is replaced in one step, or not at all. The last recipient cannot be removed.

To rotate a key, --remove the old one and --add the new one in one command. Whoever is removed may
have kept the data key, or a copy of the old recipients.json: to shut somebody out, seal again.
"""


def configure(parser: Parser) -> None:
    """Add the verb's story and flags."""
    parser.story(
        STORY,
        "trustkit rewrap sealed/ --opener cluster.pem --policy policy.yaml --add new.pem.pub",
        "trustkit rewrap sealed/ --opener cluster.pem --key author.pem.pub \\",
        "    --publisher-key publisher.pem.pub --add new.pem.pub --remove cluster.pem.pub",
        done="verified, and the recipients are replaced",
        refused="refused: of another signer, or not sealed to this opener; nothing was changed",
    )
    parser.place("folder", "the sealed folder")
    opener_flags(parser)
    parser.many(
        "--add",
        "who may open it too: public key (PEM), passphrase:FILE or awskms:///ARN",
        kind=word_of,
        files=True,
    )
    parser.many(
        "--remove",
        "whom to leave out: as for --add, or the key ID that inspect shows",
        kind=id_of,
        files=True,
    )
    trust_flags(parser)


def run(arguments: argparse.Namespace, terminal: Terminal) -> Answer:
    """Verify, unwrap, wrap again, and say who may open it now."""
    added, removed = arguments.add or (), arguments.remove or ()
    if not added and not removed:
        raise UsageError("no-changes", "name recipients to --add or to --remove")
    demand_there(arguments.folder, folder=True)
    policy = policy_from_flags(arguments.policy, arguments.key, arguments.publisher_key)
    from trustkit import workflows

    add, remove = recipients_from(added, flag="--add"), keys_from(removed, flag="--remove")
    opener = opener_of(arguments.opener, arguments.opener_passphrase_file, terminal)
    done = workflows.rewrap(arguments.folder, [opener], policy, add=add, remove=remove)
    return _answer(arguments.folder, done, added=len(add), removed=len(remove))


def _answer(folder: Path, done: Rewrapped, *, added: int, removed: int) -> Answer:
    descriptor = done.descriptor
    return Answer(
        "rewrapped",
        f"{descriptor.line} version {descriptor.version}",
        rows=(
            ("folder", str(folder)),
            ("changed", f"{counted(added, 'recipient')} added, {removed} removed"),
            *(("recipient", f"{kind} {key}") for kind, key in done.recipients),
        ),
        fields={
            "folder": str(folder),
            "line": descriptor.line,
            "version": descriptor.version,
            "manifest_digest": str(descriptor.manifest_digest),
            "dek_id": descriptor.dek_id,
            "recipients": [{"kind": kind, "key": str(key)} for kind, key in done.recipients],
            "added": added,
            "removed": removed,
        },
        warnings=("whoever was removed may have kept the data key; to shut somebody out, seal again",)
        if removed
        else (),
    )
