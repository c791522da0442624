"""AdmissionReview on the wire: untrusted bytes to a `Review`, and a verdict back to bytes.

The law of this file: what is not exactly one well-formed ``admission.k8s.io/v1``
request is refused before anything looks at the object (facts: threats, E01 and
E02), and every answer echoes the uid of its request. Members we do not know are
left alone here: the API server may add some, and none of them is believed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from trustkit import strictjson
from trustkit.errors import FormatError
from trustkit.strictjson import Object

MAX_BYTES = 6 * 1024 * 1024
"""Largest AdmissionReview (bytes): object and old object, each within the API server's 3 MiB."""
MAX_MESSAGE = 4096
"""Longest ``status.message`` (bytes)."""
API_VERSION = "admission.k8s.io/v1"

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
_OPERATIONS = frozenset(("CREATE", "UPDATE", "DELETE", "CONNECT"))
_UID = re.compile(r"[!-~]{1,128}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\n]")


@dataclass(frozen=True, slots=True)
class Review:
    """One request of the API server. Everything but its shape is untrusted.

    Attributes:
        uid: Echoed in the answer, whatever it is.
        kind: Kind of the object, as the request names it.
        operation: What is about to happen.
        subresource: Such as ``ephemeralcontainers``, or empty.
        namespace: Of the object; empty for cluster-scoped ones.
        name: Of the object; empty with ``generateName``.
        object: The object as it would be stored, or None.
        old_object: The object as it is stored, or None.
        dry_run: Whether nothing may be written anywhere.
    """

    uid: str
    kind: str
    operation: Operation
    subresource: str
    namespace: str
    name: str
    object: Object | None
    old_object: Object | None
    dry_run: bool


def parse_review(untrusted: bytes) -> Review:
    """Parse one AdmissionReview request.

    Raises:
        LimitError: ``too-large`` or ``too-deep``, before anything is parsed.
        FormatError: ``bad-review``, ``bad-json`` or ``duplicate-key``.
    """
    review = strictjson.parse_object(untrusted, max_bytes=MAX_BYTES, what="AdmissionReview")
    if review.get("apiVersion") != API_VERSION or review.get("kind") != "AdmissionReview":
        raise _bad(f"apiVersion and kind must be {API_VERSION} and AdmissionReview")
    if "response" in review:
        raise _bad("a request must not carry a response")
    request = review.get("request")
    if not isinstance(request, dict):
        raise _bad("request is missing")
    uid = request.get("uid")
    if not isinstance(uid, str) or _UID.fullmatch(uid) is None:
        raise _bad("request.uid must be 1 to 128 printable characters")
    operation = request.get("operation")
    if operation not in _OPERATIONS:
        raise _bad("request.operation must be CREATE, UPDATE, DELETE or CONNECT")
    subject, old = _maybe_object(request, "object"), _maybe_object(request, "oldObject")
    kind = _kind(request, subject)
    dry_run = request.get("dryRun", False)
    if type(dry_run) is not bool:
        raise _bad("request.dryRun must be a boolean")
    return Review(
        uid=uid,
        kind=kind,
        operation=cast("Operation", operation),
        subresource=_text(request, "subResource"),
        namespace=_text(request, "namespace"),
        name=_text(request, "name"),
        object=subject,
        old_object=old,
        dry_run=dry_run,
    )


def response_to_bytes(
    uid: str,
    *,
    allowed: bool,
    status_code: int = 403,
    message: str = "",
    patch: Sequence[Object] = (),
    warnings: Sequence[str] = (),
    audit: dict[str, str] | None = None,
) -> bytes:
    """Serialise the answer to one request.

    Args:
        uid: That of the request.
        allowed: The verdict.
        status_code: HTTP-like code a person sees on a denial.
        message: Lines for people; cut at `MAX_MESSAGE`, unprintable characters replaced.
        patch: JSON patch operations; only ever sent with an allowed verdict.
        warnings: Lines that kubectl prints.
        audit: Annotations for the audit log; names without prefix.
    """
    response: Object = {"uid": uid, "allowed": allowed}
    if not allowed:
        response["status"] = {
            "status": "Failure",
            "code": status_code,
            "reason": "TooManyRequests" if status_code == 429 else "Forbidden",
            "message": shown(message),
        }
    elif patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(strictjson.to_bytes(list(patch))).decode("ascii")
    if warnings:
        # The API server drops what exceeds 4 KiB in all and cuts single lines at 256 characters.
        response["warnings"] = [shown(line)[:250] for line in warnings[:12]]
    if audit:
        response["auditAnnotations"] = {name: shown(text)[:1024] for name, text in audit.items()}
    return strictjson.to_bytes({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})


def shown(untrusted: str) -> str:
    """Make text safe for a terminal: one replacement per unprintable character, at most `MAX_MESSAGE`."""
    text = _UNPRINTABLE.sub("?", untrusted)
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 4] + " ..."


def _kind(request: Object, subject: Object | None) -> str:
    """The request and the object must agree on what this is, or two readers see two things."""
    kind = request.get("kind")
    if not isinstance(kind, dict) or not isinstance(kind.get("kind"), str) or not kind["kind"]:
        raise _bad("request.kind is missing")
    group, version = kind.get("group", ""), kind.get("version", "")
    if not isinstance(group, str) or not isinstance(version, str):
        raise _bad("request.kind must name group, version and kind")
    if subject is not None:
        stated = f"{group}/{version}" if group else version
        if subject.get("kind") != kind["kind"] or subject.get("apiVersion") != stated:
            raise _bad("request.kind and the object's kind differ")
    return str(kind["kind"])


def _maybe_object(request: Object, name: str) -> Object | None:
    value = request.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise _bad(f"request.{name} must be an object")


def _text(request: Object, name: str) -> str:
    value = request.get(name, "")
    if not isinstance(value, str) or len(value) > 512:
        raise _bad(f"request.{name} must be a short text")
    return value


def _bad(why: str) -> FormatError:
    return FormatError("bad-review", f"this is no AdmissionReview request: {why}")
