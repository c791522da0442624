"""An artifact in an object store: its listing is the tree.

The law of this file: what is signed is what a folder with the same files would
have signed, byte for byte. Keys below the address are names, held to the rules
of names; objects that are none (the empty ones that stand for folders) are
left out as empty folders are; the listing is taken again at the end, as a
folder is walked again. This machine reads the listing and no byte of an object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from trustkit.artifact.files import Stamp, TreeFile, changed
from trustkit.artifact.leaving_out import for_files
from trustkit.artifact.names import check_distinct, check_name
from trustkit.artifact.tree import Tree
from trustkit.artifact.walk import MAX_FILES
from trustkit.errors import FormatError, LimitError, UnavailableError, UsageError
from trustkit.records import dataclass, field
from trustkit.storage.addresses import Address
from trustkit.storage.stores import Pin, Store

MAX_PAGES = 100_000
"""Most pages of one listing, full or not."""


class Entry(NamedTuple):
    """A file of the artifact: its checked name, and what the listing said of it."""

    name: str
    pin: Pin


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of an artifact, sorted by name.

    Attributes:
        address: Where they lie.
        single: Whether it is one object and no folder.
        entries: The objects.
    """

    address: Address
    single: bool
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class ObjectTree(Tree):
    """An artifact in a store; a tree whose files this machine cannot open.

    Attributes:
        listing: What there was when it was listed.
        store: Lists it again.
        max_files: Most objects.
    """

    listing: Listing = field(kw_only=True)
    store: Store = field(kw_only=True)
    max_files: int = field(kw_only=True, default=MAX_FILES)

    def open(self, file: TreeFile) -> int:
        """Refuse: the bytes that were hashed never came here.

        Raises:
            UsageError: ``not-here``.
        """
        raise UsageError(
            "not-here", f"{file.name!r} was read by the cluster and is not on this machine", name=file.name
        )

    def check_unchanged(self) -> None:
        """List it again, by the same rules.

        Raises:
            VerificationError: ``file-changed`` for what was added, removed or written since then.
        """
        before = self.listing
        try:
            again = list_objects(self.store, before.address, max_files=self.max_files)
        except (FormatError, LimitError, UsageError) as error:  # it was not so the first time
            raise changed(str(error.evidence.get("name", "."))) from None
        if again != before:
            raise changed(min(set(again.entries) ^ set(before.entries)).name)


def list_objects(store: Store, address: Address, *, max_files: int = MAX_FILES) -> Listing:
    """List an artifact: a folder of objects, or a single one.

    Args:
        store: Lists it.
        address: Where it lies.
        max_files: Most objects, of whatever kind.

    Raises:
        UsageError: ``no-such-path``.
        FormatError: ``unsafe-name``; ``name-twins``, also where an object and a folder have one name.
        LimitError: ``too-many-files``, ``name-too-deep``, ``name-too-long``.
        UnavailableError: ``unreadable``, ``bad-answer``.
    """
    found = sorted(_below(store, address, max_files))
    alone = None if address.folder else _alone(store, address)
    if alone is not None and found:
        raise FormatError(
            "name-twins", f"{str(address)!r} is an object and a folder; rename one", name=address.name
        )
    if alone is not None:
        return Listing(address, single=True, entries=(alone,))
    if not found:
        raise UsageError("no-such-path", f"there is nothing at {str(address)!r}", path=str(address))
    return Listing(address, single=False, entries=tuple(found))


def scan_objects(
    store: Store,
    listing: Listing,
    *,
    ignore: Collection[str] = (),
    max_files: int = MAX_FILES,
) -> ObjectTree:
    """Make the tree of a listing, as `trustkit.artifact.tree.scan` makes that of a folder.

    Args:
        store: Lists it again in the end.
        listing: What there is.
        ignore: Relative names; each covers itself and all below it.
        max_files: Most objects, when it is listed again.

    Raises:
        FormatError: ``name-twins``; ``special-file`` for a folder under a name that is for a file.
    """
    place = Path(str(listing.address))
    tree = ObjectTree(
        place, single=listing.single, bases=[], listing=listing, store=store, max_files=max_files
    )
    ignored, hiding = set(), frozenset(() if listing.single else for_files(ignore))
    for name, pin in listing.entries:
        above = None if listing.single else _covering(name, ignore)
        if "/" in name and name.split("/", 1)[0] in hiding:
            raise FormatError("special-file", f"{name!r} lies under a name that is for a file", name=name)
        if above is not None:
            ignored.add(above)
        else:
            stamp = Stamp(0, 0, pin.size, pin.written * 1_000_000_000, 0)
            tree.files.append(TreeFile(name, 0, name, stamp))
    tree.ignored.extend(sorted(ignored))
    check_distinct(tree.files.names)
    return tree


def _below(store: Store, address: Address, max_files: int) -> Iterator[Entry]:
    prefix = f"{address.key}/" if address.key else ""
    seen = 0
    for number, page in enumerate(store.pages(address.bucket, prefix)):
        seen += len(page)
        if seen > max_files or number >= MAX_PAGES:
            raise LimitError(
                "too-many-files", f"the artifact has more than {max_files} files", limit=max_files
            )
        for key, pin in page:
            if not key.startswith(prefix):
                raise UnavailableError("bad-answer", "the store answered with objects that lie elsewhere")
            name = key[len(prefix) :]
            # What consoles make to show a folder; with bytes in it, it is a file that no folder could hold.
            if pin.size == 0 and (not name or (name.endswith("/") and check_name(name[:-1]))):
                continue
            yield Entry(check_name(name), pin)


def _alone(store: Store, address: Address) -> Entry | None:
    """Return the object whose key is the address itself; it is the first that begins so.

    Pages may be empty before there is one that is not.
    """
    pages = islice(store.pages(address.bucket, address.key, most=1), MAX_PAGES)
    page = next(filter(None, pages), [])
    first = [Entry(check_name(address.name), pin) for key, pin in page if key == address.key]
    return first[0] if first else None


def _covering(name: str, ignore: Collection[str]) -> str | None:
    """Return the ignored name that covers a name, the highest one."""
    components = name.split("/")
    above = ("/".join(components[:count]) for count in range(1, len(components) + 1))
    return next((each for each in above if each in ignore), None)
