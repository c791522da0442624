"""Facts are made of proofs: exactly what they say, and of nothing that merely looks like one."""

import dataclasses

import pytest

from trustkit.deciding.facts import VERSION, evidence_of, release_facts


def test_evidence_of_a_sealed_artifact(proofs):
    assert evidence_of(proofs.sealed) == {
        "line": "acme/tiny-llm",
        "version": 3,
        "manifest_digest": str(proofs.plain.manifest_digest),
        "descriptor_digest": str(proofs.sealed.descriptor_digest),
        "publishers": ["publisher-key"],
        "authors": ["author-key"],
        "sealed": True,
    }


def test_evidence_of_a_plain_artifact(proofs):
    assert evidence_of(proofs.plain) == {
        "line": "",
        "version": 0,
        "manifest_digest": str(proofs.plain.manifest_digest),
        "descriptor_digest": "",
        "publishers": [],
        "authors": ["author-key"],
        "sealed": False,
    }


def test_facts_of_a_release(proofs):
    grants = [{"spiffe_id": "spiffe://demo.test/x", "lines": [], "publishers": [], "authors": []}]
    facts = release_facts("spiffe://demo.test/x", "demo.test", proofs.sealed, grants)
    assert facts == {
        "version": VERSION,
        "action": "release",
        "peer": {"spiffe_id": "spiffe://demo.test/x", "trust_domain": "demo.test"},
        "artifact": evidence_of(proofs.sealed),
        "grants": grants,
    }


def test_what_is_no_proof_is_no_evidence(proofs):
    class Alike:
        """Has every attribute of a proof, and is none."""

        def __getattr__(self, name):
            return getattr(proofs.sealed, name)

    for nothing in (None, {}, b"{}", Alike(), proofs.sealed.descriptor, proofs.plain.manifest):
        with pytest.raises(TypeError, match="proofs"):
            evidence_of(nothing)
        with pytest.raises(TypeError, match="proofs"):
            release_facts("spiffe://demo.test/x", "demo.test", nothing, [])


def test_a_proof_cannot_be_changed_on_the_way(proofs):
    with pytest.raises(TypeError, match="proofs"):
        dataclasses.replace(proofs.sealed, publishers=())
