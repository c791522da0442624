"""The story of an end: the wrapped keys of a sealed folder are destroyed, and perhaps keys of services.

The law of this file: a record is written before anything is destroyed. Services
are asked before that, in every run, since a record is signed by nobody: what it
says is told as what it says, never as an answer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trustkit.digest import digest_of
from trustkit.errors import Evidence, FormatError, LimitError, TrustkitError, UnavailableError, UsageError
from trustkit.workflows.places import AnyPath, Clock, place_of
from trustkit.workflows.reading import not_sealed, was_shredded

if TYPE_CHECKING:
    from trustkit.sealing.parties import Deletion, Destroyer
    from trustkit.sealing.recipients import Name
    from trustkit.sealing.shredded import Record
    from trustkit.storage.local import LocalSource


@dataclass(frozen=True, slots=True)
class Shredded:
    """What `shred` destroyed, as the document told it; nothing where that told nothing.

    Attributes:
        record: Where the record lies.
        dek_id: The data key that nobody can unwrap from here any more.
        recipients: Whom it was wrapped for.
        deletions: Keys that services answered about in this run: they are to be deleted.
        recorded: Further ones that the record names, which is signed by nobody; no service was asked.
        forgotten: Whether a record of a run before lies there that cannot be read, or is too long to be kept.
        before: Whether a run before had destroyed it already.
    """

    record: Path
    dek_id: str | None
    recipients: tuple[Name, ...]
    deletions: tuple[Deletion, ...]
    recorded: tuple[Deletion, ...]
    forgotten: bool
    before: bool


def shred(
    folder: AnyPath,
    *,
    destroyers: Sequence[Destroyer] = (),
    pending_days: int = 30,
    now: Clock = time.time,
) -> Shredded:
    """Destroy the wrapped keys of a sealed folder, and leave a record of it in their place.

    Nothing is verified and no key is needed: whoever may write to the folder could remove the document
    as well. A run that was cut short is finished by the next. Keys of services are deleted only where the
    caller names them: what an unsigned document names may be anybody's.

    Args:
        folder: The sealed folder.
        destroyers: Keys of services to have deleted as well; the document must name each, or else the
            record as a key that was to be deleted. They are asked first, so that this folder stays as it
            is where one refuses, and asked again by every run: a record says nothing for a service.
        pending_days: How long a service keeps such a key.
        now: Seconds since the epoch, for the record.

    Raises:
        UsageError: ``not-sealed``, ``no-such-folder``, ``not-a-recipient``.
        FormatError: ``symlink`` or ``special-file`` in place of a document.
        DeniedError, UsageError, UnavailableError: What a service says; the wrapped keys are still there, and
            message and evidence (``scheduled``, ``unknown``) name the keys that are to be deleted already.
        UnavailableError: ``folder-held``, ``unwritable``; the wrapped keys may still be there.
    """
    from trustkit.sealing.documents import RECIPIENTS, SHREDDED
    from trustkit.storage.held import destroy, hold
    from trustkit.storage.local import LocalSource, write_new

    folder = place_of(folder)
    place = folder / SHREDDED
    with hold(folder) as held, closing(LocalSource(folder)) as source:
        found = _look(source, folder, int(now()))
        found.check_named(destroyers)
        deletions = _ask(destroyers, pending_days)
        others, dropped = found.others(deletions)
        if found.record is not None and (found.there or deletions):
            record = replace(found.record, deletions=(*others, *deletions))
            write_new(place, record.to_bytes(), overwrite=found.recorded)
        if found.there:
            destroy(held, RECIPIENTS, path=folder / RECIPIENTS)
    return Shredded(
        place,
        found.record.dek_id if found.there and found.record else None,
        found.named if found.there else (),
        deletions,
        others,
        forgotten=found.unreadable or dropped,
        before=not found.there,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies in a sealed folder: its recipients document, or the record of a run before, or both.

    Attributes:
        named: Keys that may be deleted, as the document names them, or else the record.
        record: What to write, but for deletions; None where nothing can be said.
        earlier: What a record says of deletions.
        there: Whether the document is there.
        recorded: Whether there is a record.
        unreadable: Whether it is none that we wrote.
    """

    named: tuple[Name, ...]
    record: Record | None
    earlier: tuple[Deletion, ...]
    there: bool
    recorded: bool
    unreadable: bool

    def check_named(self, destroyers: Sequence[Destroyer]) -> None:
        """Refuse to have a key deleted that this folder has nothing to do with."""
        from trustkit.sealing.documents import RECIPIENTS, SHREDDED

        for destroyer in destroyers:
            if (destroyer.kind, destroyer.key_id) not in self.named:
                where = RECIPIENTS if self.there else SHREDDED
                raise UsageError(
                    "not-a-recipient",
                    f"{where} does not name the key {destroyer.key_id} ({destroyer.kind}); "
                    "nothing was destroyed",
                )

    def others(self, deletions: tuple[Deletion, ...]) -> tuple[tuple[Deletion, ...], bool]:
        """Return what a run before recorded of other keys, as much as there is room, and if more was."""
        from trustkit.sealing.shredded import MAX_DELETIONS

        answered = {(deletion.kind, deletion.key_id) for deletion in deletions}
        others = tuple(one for one in self.earlier if (one.kind, one.key_id) not in answered)
        room = MAX_DELETIONS - len(deletions)
        return others[:room], len(others) > room


def _look(source: LocalSource, folder: Path, at: int) -> _Found:
    from trustkit.sealing.documents import DESCRIPTOR, RECIPIENTS
    from trustkit.sealing.shredded import Record

    descriptor = _read(source, DESCRIPTOR)
    if descriptor is None:
        raise not_sealed(folder, DESCRIPTOR)
    recorded, raw = was_shredded(source), _read(source, RECIPIENTS)
    before = _record(source) if recorded else None
    earlier = () if before is None else before.deletions
    unreadable = recorded and before is None
    if raw is not None:
        dek_id, named = _claims(raw)
        claimed = None if dek_id is None else named
        record = Record(at, digest_of(descriptor), digest_of(raw), dek_id, claimed)
        return _Found(named, record, earlier, there=True, recorded=recorded, unreadable=unreadable)
    if not recorded:
        raise not_sealed(folder, RECIPIENTS)
    names = tuple((one.kind, one.key_id) for one in earlier)
    return _Found(names, before, earlier, there=False, recorded=True, unreadable=unreadable)


def _ask(destroyers: Sequence[Destroyer], days: int) -> tuple[Deletion, ...]:
    """Ask the services; where one gives no answer or a bad one, say what others have done already."""
    answers: dict[Name, Deletion] = {}
    for destroyer in destroyers:
        try:
            answers[destroyer.kind, destroyer.key_id] = destroyer.schedule_deletion(days)
        except TrustkitError as error:
            scheduled = [deletion.name for deletion in answers.values()]
            raise _told(error, scheduled, destroyer.name) from None
    return tuple(answers.values())


def _told(error: TrustkitError, scheduled: list[str], asked: str) -> TrustkitError:
    unknown = [asked] if isinstance(error, UnavailableError) else []
    said = [error.message]
    if unknown:
        said.append(f"perhaps scheduled for deletion: {asked}")
    if scheduled:
        said.append(f"already scheduled for deletion: {', '.join(scheduled)}")
    said.append(
        "nothing in the folder was destroyed; run it again, or let the owner of the keys take it back"
    )
    evidence: dict[str, Evidence] = {**error.evidence, "scheduled": [*scheduled], "unknown": [*unknown]}
    return type(error)(error.code, "; ".join(said), **evidence)


def _record(source: LocalSource) -> Record | None:
    """Return the record, or None where it is none that we wrote."""
    from trustkit.sealing.documents import SHREDDED
    from trustkit.sealing.shredded import MAX_BYTES, parse_record

    try:
        return parse_record(source.document(SHREDDED, max_bytes=MAX_BYTES))
    except (FormatError, LimitError):
        return None


def _read(source: LocalSource, name: str) -> bytes | None:
    """Read a document, or None where there is none."""
    from trustkit.attest.bundle import MAX_BYTES

    try:
        return source.document(name, max_bytes=MAX_BYTES)
    except UnavailableError as error:
        if error.code != "not-found":
            raise
        return None


def _claims(raw: bytes) -> tuple[str | None, tuple[Name, ...]]:
    """Return what a recipients document says; one that does not parse is destroyed all the same."""
    from trustkit.sealing.recipients import claims_of

    try:
        return claims_of(raw)
    except (FormatError, LimitError):
        return None, ()
