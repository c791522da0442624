"""What objects name, as the table and the bases say that the webhook was started with.

The law of this file: one table for everything. What finds a reference, what rewrites it
and what looks whether one is left must read alike, or something passes between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from trustkit.strictjson import Object
from trustkit.workflows.naming import digests_of
from trustkit.workloads.basefile import Bases
from trustkit.workloads.extract import pod_of, references
from trustkit.workloads.table import Table, default_table
from trustkit.workloads.values import Extraction


@dataclass(frozen=True, slots=True)
class Reading:
    """How objects are read.

    Attributes:
        table: How models are named; the one of the package unless the operator added to it.
        bases: What objects may be merged with; none unless the operator gave them.
    """

    table: Table = field(default_factory=default_table)
    bases: Bases = field(default_factory=Bases)

    @property
    def digests(self) -> dict[str, str]:
        """What it is known by: of the whole table, and of the bases, empty where there are none."""
        return digests_of(self.table, self.bases)

    def references(self, subject: Object, namespace: str, *, check: Callable[[], None]) -> Extraction:
        """Return every model that an object names.

        Args:
            subject: The object, untrusted.
            namespace: Where it is, or is to be.
            check: Called again and again; raises once the time is over.

        Raises:
            LimitError: As `trustkit.workloads.extract.references` says.
        """
        return references(subject, table=self.table, check=check, bases=self.bases.seen_from(namespace))

    def pod_of(self, subject: Object) -> Object:
        """Return the pod inside an object; empty if there is none."""
        return pod_of(subject, table=self.table)
