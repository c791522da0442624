"""What a verb hands back when it did what it was asked to: a value, rendered in one place.

A verb's file parses, calls one workflow and returns an `Answer`; it never
prints. All text in an answer may be untrusted: the terminal escapes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustkit.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trustkit import strictjson
    from trustkit.errors import TrustkitError

Row = tuple[str, str]
"""A label and what stands beside it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of a verb that succeeded.

    Attributes:
        verdict: The first word of the text, such as ``trusted``; ``UNVERIFIED`` where nothing was checked.
        message: One line after it; verdict and message are the ``message`` of the JSON document.
        rows: Labels and values below the message.
        lines: Further lines below the rows.
        fields: Further members of the JSON document.
        warnings: What the caller should know although all went well; they go to stderr.
        product: Text of ours that the verb exists to print (a PEM file, a script), in place of all the above.
        product_name: Its member in the JSON document.
        audible: Whether it is printed even with ``--quiet``: true where printing is the point.
        aside: Whether verdict and message go to stderr, so that stdout has the lines alone, for scripts.
        refusal: Why the verb says no although it has something to list; then that is the verdict.
    """

    verdict: str
    message: str
    rows: Sequence[Row] = ()
    lines: Iterable[str] = ()
    fields: Mapping[str, strictjson.Value] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    product: str | None = None
    product_name: str = "text"
    audible: bool = False
    aside: bool = False
    refusal: TrustkitError | None = None


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: ``1 file``, ``2 files``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def size(number: int) -> str:
    """Write a number of bytes for people, in powers of a thousand: ``67.1 MB``."""
    if number < 1000:
        return counted(number, "byte")
    scaled = float(number)
    for unit in ("kB", "MB", "GB", "TB"):
        scaled /= 1000
        if scaled < 999.95:
            return f"{scaled:.1f} {unit}"
    return f"{scaled / 1000:.1f} PB"


def some(names: Sequence[str], *, most: int = 3) -> str:
    """List the first few names, and say how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
