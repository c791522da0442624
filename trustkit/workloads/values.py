"""What the extractor answers with: plain values, nothing that decides.

A reference is what an object *says*; whether it may run is somebody else's
business. All texts in here come from the object and are untrusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Confidence = Literal["certain", "likely", "possible"]
How = Literal["argument", "environment", "volume", "image", "annotation", "field", "sidecar"]

MAX_REFERENCES = 1_000
"""Most references and unresolved places taken from one object."""
MAX_WORDS = 50_000
"""Most words of command lines and scripts read in one object, which bounds the time it takes."""
MAX_STRING = 64 * 1024
"""Longest command-line word or environment value that is read (characters)."""
MAX_DEPTH = 64
"""Deepest nesting that is walked (levels)."""
MAX_SHOWN = 2048
"""Longest reference text that is carried on (characters)."""

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
"""Every list of containers a pod has; a new one must be added here (CVE-2023-2727 class)."""


class ModelReference(NamedTuple):
    """One place of an object that names a model.

    Attributes:
        path: Where it stands, such as ``spec.containers[0].args[1]``.
        reference: The text that names the model, untrusted, cut at `MAX_SHOWN`.
        scheme: Row of the table: ``trust``, ``hf``, ``s3``, ``path``, ``name``, ...
        pinned: Whether the text itself carries a digest that cannot be moved.
        how: By which means it reaches the workload.
        confidence: ``certain`` that a model is meant, ``likely``, or only ``possible``.
        reason: Why it was taken for a model, for people.
    """

    path: str
    reference: str
    scheme: str
    pinned: bool
    how: How
    confidence: Confidence
    reason: str


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A place where a model may be named and we cannot read which: never passed in silence.

    Attributes:
        path: Where it stands.
        text: What stands there, as far as there is text; untrusted.
        code: ``unresolved-model`` or ``unresolved-gpu``.
        reason: What could not be read, for people.
    """

    path: str
    text: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """All that one object says of models.

    Attributes:
        models: References, in the order of the object.
        unresolved: Places that could not be read.
        gpu: Whether the pod asks for an accelerator.
        reserved_annotations: Annotations under our prefix that a user must not write.
    """

    models: tuple[ModelReference, ...]
    unresolved: tuple[Unresolved, ...]
    gpu: bool
    reserved_annotations: tuple[str, ...]
