"""Facts from proofs: what rules may know about an artifact, and about the release of its key.

The law of this file: only a value that verification made can become evidence;
raw documents, and anything that merely looks like a proof, are a `TypeError`.
The document is versioned and described by ``policies/schemas/facts.v1.json``;
members are added, never removed or redefined.
"""

from __future__ import annotations

from trustkit.strictjson import Object, Value
from trustkit.verifying.sealed import VerifiedSealed
from trustkit.verifying.signers import SignerEvidence
from trustkit.verifying.verify import VerifiedManifest

VERSION = "trustkit.dev/facts/v1"


def evidence_of(proof: VerifiedSealed | VerifiedManifest) -> Object:
    """Return what a proof says, as plain data.

    Args:
        proof: Of a sealed artifact, or of a plain one: then line, version and descriptor are empty.

    Raises:
        TypeError: Something else was handed in.
    """
    if isinstance(proof, VerifiedSealed):
        return {
            "line": proof.descriptor.line,
            "version": proof.descriptor.version,
            "manifest_digest": str(proof.manifest_digest),
            "descriptor_digest": str(proof.descriptor_digest),
            "publishers": _names(proof.publishers),
            "authors": _names(proof.author.signers),
            "sealed": True,
        }
    if isinstance(proof, VerifiedManifest):
        return {
            "line": "",
            "version": 0,
            "manifest_digest": str(proof.manifest_digest),
            "descriptor_digest": "",
            "publishers": [],
            "authors": _names(proof.signers),
            "sealed": False,
        }
    raise TypeError("facts are made from proofs alone")


def release_facts(peer: str, trust_domain: str, proof: VerifiedSealed, grants: list[Object]) -> Object:
    """Build the facts of one request for a key.

    Args:
        peer: The SPIFFE ID that mutual TLS proved, as text.
        trust_domain: The broker's own trust domain.
        proof: The sealed artifact whose key is asked for.
        grants: What the operator configured: ``spiffe_id``, ``lines``, ``publishers``, ``authors`` each.
    """
    listed: list[Value] = [dict(grant) for grant in grants]
    return {
        "version": VERSION,
        "action": "release",
        "peer": {"spiffe_id": peer, "trust_domain": trust_domain},
        "artifact": evidence_of(proof),
        "grants": listed,
    }


def _names(signers: tuple[SignerEvidence, ...]) -> list[Value]:
    return [signer.authority for signer in signers]
