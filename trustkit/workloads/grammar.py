"""The grammar of references: what a text that stands where a model is expected names.

Pure text in, value out (facts: systems, section 1). Every pattern is linear:
no alternation over unbounded repetition, so no text can make it slow
(CVE-2023-7279 class).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from trustkit.workloads.table import Table
from trustkit.workloads.values import MAX_SHOWN

Strength = Literal["scheme", "path", "hub", "image", "name"]

_BY_DIGEST = frozenset(("trust", "oci"))
_PINNED = re.compile(r"@sha256:[0-9a-f]{64}(?:#.{0,64})?$")
_COMMIT = re.compile(r"[@:][0-9a-f]{40}$")
_HUB = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,95}){1,5}(?:[:@][A-Za-z0-9._/-]{1,128})?"
)
_IMAGE = re.compile(
    r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+(?::[0-9]{1,5})?/[^\s]{1,512}|localhost(?::[0-9]{1,5})?/[^\s]{1,512}"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
_NOT_A_MODEL = frozenset(("", "-", "true", "false", "auto", "none", "null", "default", "yes", "no", "all"))
_SHORT = max(map(len, _NOT_A_MODEL))
_PARTS = re.compile(r"[^\s\"'`<>|;&(){}\[\]\\,=]+")
_HOST = re.compile(r"[a-z][a-z0-9+.-]{0,31}://[^/]*|[^/]*@[^/]*|[a-z0-9-]+(?:\.[a-z0-9-]+){2,}(?::[0-9]+)?")
_API = re.compile(
    r"(?:[a-z0-9_-]{1,32}/)?v[0-9](?:(?:alpha|beta)[0-9]?)?/(?:models|health)(?:[/:?]|$)"
    r"|(?:health|healthz|livez|readyz|ready|ping|metrics|version)/?$"
)
"""Where servers answer: for the models they have, ``v1/models``, and for how they are, ``healthz``."""
_PATH_STARTS = ("/", "./", "../", "~/")


class Named(NamedTuple):
    """What a text names: the text itself, its scheme, whether it is pinned, and how it was recognized."""

    reference: str
    scheme: str
    pinned: bool
    strength: Strength


def named(untrusted: str, table: Table, *, scheme: str | None = None, strict: bool = False) -> Named | None:
    """Read the value of a model flag or variable; None where it cannot name a model.

    Args:
        untrusted: The value, as it stands.
        table: The rows to read it by.
        scheme: What a bare name means to the program that reads it, such as ``ollama``.
        strict: Whether it surely is a model: then ``auto``, ``1`` and ``-x`` are names of folders too.
    """
    text = cleaned(untrusted)
    if (len(text) <= _SHORT and text.lower() in _NOT_A_MODEL) or text.isdigit() or text.startswith("-"):
        return _named(text, scheme or "name", "name") if strict and text else None
    known = table.scheme_of(text)
    if known is not None:
        return _named(text, known, "scheme")
    if text.startswith(_PATH_STARTS) or text in {".", "~"}:
        return _named(text, "path", "path")
    if _IMAGE.fullmatch(text[:1024]):
        return _named(text, scheme or "oci", "image")
    if ends_like_weights(text, table) and "/" not in text:
        return _named(text, "path", "path")
    if _HUB.fullmatch(text[:1024]):
        return _named(text, scheme or "hf", "hub")
    if _NAME.fullmatch(text[:256]):
        return _named(text, scheme or "name", "name")
    return _named(text, "unknown", "path")


def from_scheme(text: str, table: Table) -> Named:
    """Read a text that a pattern of the table found."""
    return _named(cleaned(text), table.scheme_of(text) or "unknown", "scheme")


def own_references(text: str, table: Table) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and text of every ``trust://`` reference in a string, as the extractor reads them."""
    for match in table.anywhere_pattern.finditer(text):
        reference = match[0].rstrip(".:")
        if table.scheme_of(reference) == "trust":
            yield match.start(), match.start() + len(reference), reference


def is_pinned(reference: str, scheme: str) -> bool:
    """Say whether the text carries a digest that whoever fetches it compares, or on a hub a commit.

    In a bucket, on a disk or on a host it would be a part of a name, and anybody could put something there.
    """
    if scheme in _BY_DIGEST:
        return "@sha256:" in reference and _PINNED.search(reference) is not None
    return scheme in {"hf", "modelscope"} and _COMMIT.search(reference) is not None


def ends_like_weights(text: str, table: Table) -> bool:
    """Say whether a text ends as files of weights do, whatever query or fragment follows."""
    whole = text.rstrip("/").lower()
    stem = whole.split("?", 1)[0].split("#", 1)[0].rstrip("/")
    if not (stem.endswith(table.weights) or whole.endswith(table.weights)):
        return False
    # Portugal's hosts end in .pt; a host alone is no file.
    return not (whole.endswith(".pt") and _HOST.fullmatch(whole))


def weight_files(untrusted: str, table: Table) -> list[Named]:
    """Return the parts of a text that are names of files of weights; addresses have patterns of their own."""
    if "." not in untrusted or not table.weights_pattern.search(untrusted):
        return []
    parts = dict.fromkeys(part.rstrip(".:") for part in _PARTS.findall(untrusted))
    return [
        _named(part, "path", "path")
        for part in parts
        if ends_like_weights(part, table)
        and "://" not in part
        and part.lower().lstrip("*") not in table.weights
    ]


def is_service(text: str, table: Table) -> bool:
    """Say whether a web address says neither that it is a model nor that it is a file of anything."""
    if not text[:8].lower().startswith(("http://", "https://")):
        return False
    lowered = text.lower()
    stem = lowered.split("?", 1)[0].split("#", 1)[0].rstrip("/")
    if ends_like_weights(text, table) or stem.endswith(table.archives) or table.scheme_of(text) != "https":
        return False
    path = lowered.split("://", 1)[1].partition("/")[2]
    return answers_questions(text) or not any(hint in path for hint in table.hints)


def answers_questions(address: str) -> bool:
    """Say whether a web address is where a server says how it is, or which models it has."""
    path = address.lower().split("://", 1)[-1].partition("/")[2]
    return _API.match(path) is not None


def lies_below(path: str, folder: str) -> bool:
    """Say whether an absolute path is a folder or lies below it, once dots are resolved."""
    if not path.startswith("/") or not folder.startswith("/"):
        return False
    if "//" not in path and "/." not in path and path[-1] != "/" and _is_plain(folder):
        return path == folder or path.startswith(folder + "/")
    # POSIX lets normpath keep two leading slashes; the kernel does not see them.
    here, root = (posixpath.normpath("/" + text.lstrip("/")) for text in (path, folder))
    return here == root or here.startswith(root.rstrip("/") + "/")


def _is_plain(folder: str) -> bool:
    return "//" not in folder and "/." not in folder and folder[-1] != "/"


def cleaned(untrusted: str) -> str:
    """Strip what surrounds a reference in hand-written arguments: blanks, quotes, a stray backslash."""
    text = untrusted.strip()
    if text.endswith("\\"):
        text = text[:-1].rstrip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return text


def _named(text: str, scheme: str, strength: Strength) -> Named:
    return Named(text[:MAX_SHOWN], scheme, is_pinned(text, scheme), strength)
