"""Every text of the object that holds an address which is a model wherever it stands.

The net under everything else: what no row knows is still found if it is written in full.
"""

from __future__ import annotations

from trustkit.workloads.grammar import from_scheme
from trustkit.workloads.notes import Notes
from trustkit.workloads.places import spelled
from trustkit.workloads.scan import Text
from trustkit.workloads.values import How


def read_texts(texts: list[Text], notes: Notes, *, quiet: bool = False) -> None:
    """Note the addresses in the texts that the walk found.

    Args:
        texts: What the walk found, untrusted.
        notes: Where to write.
        quiet: Whether no address but ours brings a model in.
    """
    for text in texts:
        for match in notes.find(notes.table.anywhere_pattern, text.text):
            found = from_scheme(match[0].rstrip(".:"), notes.table)
            if ((text.quiet or quiet) and found.scheme != "trust") or notes.table.is_bare(found.reference):
                continue
            place = spelled((text.above, text.key))
            notes.add(
                place,
                found,
                how=_in_container(place, text.how),
                confidence="possible" if text.how == "annotation" else "certain",
                reason=f"a {found.scheme} address",
            )


def _in_container(path: str, how: How) -> How:
    """Say more precisely what a field is, from its path."""
    if how != "field":
        return how
    if ".args[" in path or ".command[" in path:
        return "argument"
    return "environment" if ".env[" in path else "field"
