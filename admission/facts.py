"""The facts document of one object: what the rules see, and all they see.

Built from proofs and plain metadata alone; no other text of the object gets
through but paths, references and reasons of the extraction, so a secret in an
environment variable never reaches a rule (facts: admission, section 0.3).
"""

from __future__ import annotations

from collections.abc import Mapping

from admission.evidence import Finding, remedy_for
from admission.reading import Reading
from admission.review import Review
from trustkit.deciding.facts import VERSION, evidence_of
from trustkit.strictjson import Object, Value
from trustkit.workloads.values import Extraction, ModelReference, Unresolved


def facts_for(
    review: Review,
    extraction: Extraction,
    findings: Mapping[str, Finding],
    *,
    reading: Reading,
    strict_volumes: bool,
) -> Object:
    """Build the facts of one review.

    Args:
        review: Its kind, namespace, name and operation.
        extraction: What the object names.
        findings: What became of each ``trust://`` reference, by its exact text.
        reading: How the object was read.
        strict_volumes: Whether what is only possibly a model is judged like one.
    """
    models = [model for model in extraction.models if _counts(model, strict=strict_volumes)]
    reserved: list[Value] = list(extraction.reserved_annotations)
    return {
        "version": VERSION,
        "action": "admit",
        "object": {
            "kind": review.kind,
            "namespace": review.namespace,
            "name": review.name,
            "operation": review.operation,
            "subresource": review.subresource,
            "service_account": _service_account(reading.pod_of(review.object or {})),
            "gpu": extraction.gpu,
            "reserved_annotations": reserved,
        },
        "models": [_model(model, findings) for model in models],
        "unresolved": [_unresolved(place) for place in extraction.unresolved],
    }


def _counts(model: ModelReference, *, strict: bool) -> bool:
    """Our own references always count, even where nothing executes them; a mere possibility is a warning."""
    return strict or model.scheme == "trust" or model.confidence != "possible"


def _service_account(pod: Object) -> str:
    spec = pod.get("spec")
    name = spec.get("serviceAccountName") if isinstance(spec, dict) else None
    return name if isinstance(name, str) and name else "default"


def _model(model: ModelReference, findings: Mapping[str, Finding]) -> Object:
    finding = findings.get(model.reference) if model.scheme == "trust" else None
    if finding is None:
        why = f"a model of the scheme {model.scheme} cannot be verified here ({model.reason})"
        finding = Finding("refused", "unsupported-scheme", why, remedy_for("unsupported-scheme"))
    return {
        "path": model.path,
        "reference": model.reference,
        "scheme": model.scheme,
        "pinned": model.pinned,
        "confidence": model.confidence,
        "outcome": finding.outcome,
        "code": finding.code,
        "message": finding.message,
        "remedy": finding.remedy,
        "evidence": None if finding.proven is None else evidence_of(finding.proven.proof),
    }


def _unresolved(place: Unresolved) -> Object:
    return {"path": place.path, "reason": place.reason, "code": place.code}
