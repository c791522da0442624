"""Sealed artifacts: every numbered step of verifying/sealed.py, each shown by what it stops."""

import base64
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.bundle import Bundle, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import statement_of
from trustkit.attest.predicates.sealed import statement_of_sealed
from trustkit.attest.statement import Statement, Subject, statement_to_bytes
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, TrustkitError, VerificationError
from trustkit.sealing.descriptor import SUITE_FLOE_AES256GCM, Descriptor, Part
from trustkit.sealing.documents import SealedDocuments
from trustkit.sealing.floe import Parameters, ciphertext_length
from trustkit.signing.certificate import certified
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import parse_policy, policy_from_keys
from trustkit.verifying.sealed import VerifiedSealed, check_plain, verify_sealed

FILES = {"config.json": 20, "weights.bin": 100}


def signed(statement, *signers):
    """Sign a statement by everyone named, in one bundle."""
    payload = statement_to_bytes(statement)
    signatures = tuple(Signature(signer.sign(pae(PAYLOAD_TYPE, payload))) for signer in signers)
    return bundle_to_bytes(Bundle(Envelope(payload, PAYLOAD_TYPE, signatures), signers[0].material))


def resources(files):
    return tuple(Resource(name, digest_of(name.encode())) for name in files)


def shards(files, size):
    return tuple(
        Resource(name, digest_of(b"%d" % start), start, min(start + size, length))
        for name, length in files.items()
        for start in range(0, max(length, 1), size)
    )


def part(name, length):
    return Part(
        name,
        length,
        ciphertext_length(length, Parameters(64)),
        digest_of(f"blob {name}".encode()),
        digest_of(f"head {name}".encode()),
    )


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """Signers by name; each has a key of its own."""
    folder = tmp_path_factory.mktemp("keys")
    found = {}
    for name in ("author", "publisher", "rival", "stranger"):
        (folder / name).write_bytes(generate_key("p256", passphrase=None)[0])
        found[name] = load_signer(folder / name, passphrase=None)
    return found


@pytest.fixture(scope="session")
def policy(people):
    """An author, two publishers, two lines."""
    entries = {"author": ["author"], "publisher": ["publisher"], "rival": ["publisher"]}
    document = {
        "apiVersion": "trustkit.dev/v1alpha1",
        "kind": "VerificationPolicy",
        "metadata": {"name": "test"},
        "spec": {
            "authorities": [
                {"name": name, "roles": roles, "key": {"pem": people[name].public_pem().decode()}}
                for name, roles in entries.items()
            ],
            "lines": ["acme/tiny-llm", "acme/other"],
        },
    }
    return parse_policy(json.dumps(document).encode(), read_file=None)


@pytest.fixture(scope="session")
def make(people):
    """Make documents that verify, but for what is said to be different."""

    def make(
        *,
        manifest=None,
        named=None,
        digests=None,
        by=("publisher",),
        author="author",
        parts=None,
        publisher=None,
        line="acme/tiny-llm",
    ):
        manifest = manifest or Manifest(resources(FILES))
        named = named or manifest
        descriptor = Descriptor(
            line=line,
            version=3,
            suite=SUITE_FLOE_AES256GCM,
            segment_length=64,
            dek_id="0123456789abcdef" * 2,
            key_commitment=digest_of(b"key"),
            publisher_key=people[publisher or by[0]].fingerprint,
            manifest_digest=named.manifest_digest,
            parts=tuple(part(*one) for one in sorted((parts or FILES).items())),
        )
        statement = statement_of_sealed(descriptor, root_digest=named.root_digest)
        if digests:
            subject = Subject(line, statement.subjects[0].digests | digests)
            statement = dataclasses.replace(statement, subjects=(subject,))
        return SealedDocuments(
            signed(statement, *(people[name] for name in by)),
            signed(statement_of(manifest, "tiny-llm"), people[author]),
            b"",
        )

    return make


@pytest.fixture(scope="session")
def documents(make):
    """One set of documents for all examples: signatures differ in length from one signing to the next."""
    return make()


def refused(documents, policy, code, kind=VerificationError):
    with pytest.raises(kind, match=rf"\[{code}\]") as caught:
        verify_sealed(documents, policy)
    return caught.value


def test_what_verifies_is_a_proof_with_its_evidence(make, policy, people):
    documents = make()
    proof = verify_sealed(documents, policy)
    assert proof.descriptor.line == "acme/tiny-llm"
    assert proof.descriptor.parts == (part("config.json", 20), part("weights.bin", 100))
    assert proof.author.manifest == Manifest(resources(FILES))
    assert proof.manifest_digest == proof.author.manifest_digest == proof.descriptor.manifest_digest
    assert [(signer.authority, signer.fingerprint) for signer in proof.publishers] == [
        ("publisher", people["publisher"].fingerprint)
    ]
    assert [signer.authority for signer in proof.author.signers] == ["author"]
    assert proof.descriptor_digest == digest_of(documents.descriptor)
    assert proof.policy_digest == policy.digest


def test_proofs_are_not_made_by_hand(make, policy):
    proof = verify_sealed(make(), policy)
    members = [
        proof.descriptor,
        proof.author,
        proof.publishers,
        proof.descriptor_digest,
        proof.policy_digest,
    ]
    for forged in ({}, {"proof": object()}, {"proof": True}):
        with pytest.raises(TypeError, match="never by hand"):
            VerifiedSealed(*members, **forged)
    with pytest.raises(TypeError, match="never by hand"):
        dataclasses.replace(proof, publishers=())
    with pytest.raises(dataclasses.FrozenInstanceError):
        proof.publishers = ()


class TestStep1Publisher:
    def test_a_strangers_descriptor(self, make, policy):
        refused(make(by=("stranger",)), policy, "wrong-signer")

    def test_an_author_is_no_publisher_and_a_publisher_no_author(self, make, policy):
        refused(make(by=("author",)), policy, "wrong-signer")
        refused(make(author="publisher"), policy, "wrong-signer")

    def test_every_byte_of_the_payload_is_signed(self, make, policy):
        documents = make()
        bundle = json.loads(documents.descriptor)
        payload = bundle["dsseEnvelope"]["payload"]
        for place in range(0, len(payload) - 4, 31):
            other = "A" if payload[place] != "A" else "B"
            bundle["dsseEnvelope"]["payload"] = payload[:place] + other + payload[place + 1 :]
            edited = dataclasses.replace(documents, descriptor=json.dumps(bundle).encode())
            refused(edited, policy, "wrong-signer")

    @pytest.mark.parametrize("raw", [b"", b"{}", b"null", b"\xff"])
    def test_what_is_no_bundle(self, raw, make, policy):
        for documents in (
            dataclasses.replace(make(), descriptor=raw),
            dataclasses.replace(make(), author_bundle=raw),
        ):
            with pytest.raises(FormatError):
                verify_sealed(documents, policy)

    def test_each_bundle_has_the_cap(self, make, policy):
        documents = make()
        longest = max(len(documents.descriptor), len(documents.author_bundle))
        assert verify_sealed(documents, policy, max_bytes=longest)
        for name in ("descriptor", "author_bundle"):
            long = dataclasses.replace(documents, **{name: getattr(documents, name) + b" " * longest})
            with pytest.raises(LimitError, match="too-large"):
                verify_sealed(long, policy, max_bytes=longest)


class TestStep2Descriptor:
    def test_another_statement_by_the_same_key(self, make, policy, people):
        documents = make()
        other = signed(statement_of(Manifest(resources(FILES)), "tiny-llm"), people["publisher"])
        refused(dataclasses.replace(documents, descriptor=other), policy, "wrong-predicate-type")

    def test_bundles_that_changed_places(self, make, people):
        own = policy_from_keys(people["publisher"].public_pem())
        documents = make(author="publisher")
        assert verify_sealed(documents, own)
        swapped = SealedDocuments(documents.author_bundle, documents.descriptor, b"")
        refused(swapped, own, "wrong-predicate-type")
        twice = SealedDocuments(documents.descriptor, documents.descriptor, b"")
        refused(twice, own, "wrong-predicate-type")

    def test_rules_hold_for_what_was_validly_signed(self, make, policy, people):
        statement = json.loads(json.dumps(_payload(make().descriptor)))
        statement["predicate"]["parts"][0]["name"] = "../escape"
        subjects = tuple(Subject(one["name"], one["digest"]) for one in statement["subject"])
        evil = Statement(subjects, statement["predicateType"], statement["predicate"])
        documents = dataclasses.replace(make(), descriptor=signed(evil, people["publisher"]))
        refused(documents, policy, "unsafe-name", FormatError)


class TestStep3Line:
    def test_a_line_that_the_policy_does_not_speak_for(self, make, policy):
        error = refused(make(line="acme/tiny"), policy, "line-not-in-policy")
        assert error.evidence == {"line": "acme/tiny"}
        assert verify_sealed(make(line="acme/other"), policy)

    def test_lines_are_whole_names(self, make, policy):
        for line in ("acme", "acme/tiny-llm/v2", "tiny-llm"):
            refused(make(line=line), policy, "line-not-in-policy")

    def test_a_policy_of_a_bare_key_speaks_for_any_line(self, make, people):
        bare = policy_from_keys(people["author"].public_pem(), people["publisher"].public_pem())
        assert verify_sealed(make(line="any/line"), bare).descriptor.line == "any/line"

    def test_a_policy_without_lines_speaks_for_none(self, make, policy):
        refused(make(), dataclasses.replace(policy, lines=()), "line-not-in-policy")

    def test_a_plain_model_has_no_line(self, policy, people):
        with pytest.raises(VerificationError) as caught:
            check_plain(policy)
        assert caught.value.code == "line-not-in-policy"
        check_plain(policy_from_keys(people["author"].public_pem()))


class TestStep4PublisherKey:
    def test_a_descriptor_over_wrapped_keys_of_another_publisher(self, make, policy):
        error = refused(make(by=("rival",), publisher="publisher"), policy, "publisher-mismatch")
        assert error.evidence == {"signers": ["rival"]}

    def test_the_named_key_must_be_one_that_the_policy_knows_and_that_signed(self, make, policy):
        refused(make(by=("publisher",), publisher="author"), policy, "publisher-mismatch")
        refused(make(by=("publisher", "stranger"), publisher="stranger"), policy, "publisher-mismatch")

    def test_who_signs_beside_the_publisher_publishes_nothing(self, make, policy):
        """A rival could sign another's descriptor too, and have its key released to his own customers."""
        proof = verify_sealed(make(by=("rival", "publisher"), publisher="publisher"), policy)
        assert [signer.authority for signer in proof.publishers] == ["publisher"]


class TestStep5Author:
    def test_a_strangers_manifest(self, make, policy):
        refused(make(author="stranger"), policy, "wrong-signer")

    def test_the_threshold_counts_authors(self, make, policy):
        refused(make(), dataclasses.replace(policy, threshold=2), "below-threshold")

    def test_publishers_do_not_count_towards_it(self, make, policy):
        documents = make(by=("publisher", "rival"))
        refused(documents, dataclasses.replace(policy, threshold=2), "below-threshold")


class TestStep6Manifest:
    def test_a_descriptor_of_another_manifest(self, make, policy):
        other = Manifest(resources({"config.json": 0, "weights.bin": 0}), algorithm="sha256")
        moved = dataclasses.replace(
            other, resources=(other.resources[0], Resource("weights.bin", digest_of(b"other weights")))
        )
        error = refused(make(named=moved), policy, "manifest-mismatch")
        assert error.evidence["named"] == str(moved.manifest_digest)

    def test_the_manifest_digest_of_the_descriptor_alone(self, make, policy):
        """Both subject digests are the author's."""
        manifest = Manifest(resources(FILES))
        digests = {"sha256": manifest.root_digest.hex, "trustkitManifestSha256": manifest.manifest_digest.hex}
        other = Manifest((Resource("x", digest_of(b"x")),))
        error = refused(make(named=other, digests=digests), policy, "manifest-mismatch")
        assert error.evidence == {
            "signed": str(manifest.manifest_digest),
            "named": str(other.manifest_digest),
        }

    @pytest.mark.parametrize("name", ["sha256", "trustkitManifestSha256"])
    def test_either_subject_digest_alone(self, name, make, policy):
        refused(make(digests={name: digest_of(b"another").hex}), policy, "manifest-mismatch")

    def test_a_rename_that_keeps_the_root_digest(self, make, policy):
        first, second = resources(FILES)
        renamed = Manifest((first, dataclasses.replace(second, path="weights.bin2")))
        assert renamed.root_digest == Manifest((first, second)).root_digest
        refused(make(manifest=renamed, named=Manifest((first, second))), policy, "manifest-mismatch")


class TestStep7Parts:
    @pytest.mark.parametrize(
        ("parts", "named"),
        [
            ({"config.json": 20}, "weights.bin"),
            (FILES | {"tokenizer.json": 1}, "tokenizer.json"),
            ({"config.json": 20, "weights.bin2": 100}, "weights.bin"),
        ],
    )
    def test_files_left_out_added_or_renamed(self, parts, named, make, policy):
        error = refused(make(parts=parts), policy, "parts-mismatch")
        assert named in error.evidence["names"]

    def test_shards_have_the_lengths_of_their_files(self, make, policy):
        files = FILES | {"empty": 0}
        manifest = Manifest(shards(files, 16), method="shards", shard_size=16)
        assert verify_sealed(make(manifest=manifest, parts=files), policy)
        for name in files:
            for length in (files[name] - 1, files[name] + 1):
                if length >= 0:
                    wrong = make(manifest=manifest, parts=files | {name: length})
                    assert refused(wrong, policy, "parts-mismatch").evidence == {"names": [name]}

    def test_shards_may_be_listed_in_any_order(self, make, policy):
        manifest = Manifest(shards(FILES, 16)[::-1], method="shards", shard_size=16)
        assert verify_sealed(make(manifest=manifest), policy)

    def test_whole_files_have_any_length_until_their_bytes_are_hashed(self, make, policy):
        assert verify_sealed(make(parts={"config.json": 1, "weights.bin": 0}), policy)

    def test_the_references_dot_is_the_one_file_whatever_its_name(self, make, policy):
        single = Manifest((Resource(".", digest_of(b"model")),))
        assert verify_sealed(make(manifest=single, parts={"model.gguf": 5}), policy)
        refused(make(manifest=single, parts={"a": 1, "b": 2}), policy, "parts-mismatch")
        ranged = Manifest(
            (Resource(".", digest_of(b"1"), 0, 4), Resource(".", digest_of(b"2"), 4, 5)),
            method="shards",
            shard_size=4,
        )
        assert verify_sealed(make(manifest=ranged, parts={"model.gguf": 5}), policy)
        refused(make(manifest=ranged, parts={"model.gguf": 6}), policy, "parts-mismatch")

    def test_evidence_is_short_however_much_differs(self, make, policy):
        many = {f"file-{number:03}": number for number in range(100)}
        assert len(refused(make(parts=many), policy, "parts-mismatch").evidence["names"]) == 20


def test_documents_of_two_releases_do_not_mix(make, policy):
    """Descriptor of one, author's bundle of the other: both validly signed, by the right people."""
    later = Manifest((resources(FILES)[0], Resource("weights.bin", digest_of(b"version 4"))))
    old, new = make(), make(manifest=later)
    for mixed in (
        dataclasses.replace(old, author_bundle=new.author_bundle),
        dataclasses.replace(new, author_bundle=old.author_bundle),
    ):
        refused(mixed, policy, "manifest-mismatch")


def test_the_recipients_document_is_not_looked_at(make, policy):
    assert verify_sealed(dataclasses.replace(make(), recipients=b"\xff not JSON"), policy)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_edit_of_a_document_raises_anything_but_our_errors(data, documents, policy):
    name = data.draw(st.sampled_from(["descriptor", "author_bundle"]))
    raw = bytearray(getattr(documents, name))
    start = data.draw(st.integers(0, len(raw) - 1))
    raw[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        proof = verify_sealed(dataclasses.replace(documents, **{name: bytes(raw)}), policy)
    except TrustkitError as error:
        assert error.exit_code in {1, 3, 4}  # noqa: PT017 - any refusal, or a change that changed nothing
    else:
        assert proof.descriptor.line == "acme/tiny-llm"


def _payload(bundle):
    return json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"]))


def test_author_and_publisher_may_be_certified(make, people, forger, monkeypatch):
    """Both bundles are held against the one time that the caller vouches for."""
    now = 1_800_000_000.0
    root = forger.Issuer(now, name="root", uris=())
    for name in ("author", "publisher"):
        leaf, _ = root.leaf(key=people[name]._key, uris=(), emails=(f"{name}@example.com",), extended=None)
        monkeypatch.setitem(people, name, certified(people[name], forger.pem(leaf)))
    entries = [
        {
            "name": f"certified-{role}",
            "roles": [role],
            "certificate": {"roots": {"pem": root.pem.decode()}, "identities": [f"email:{role}@example.com"]},
        }
        for role in ("author", "publisher")
    ]
    document = {
        "apiVersion": "trustkit.dev/v1alpha1",
        "kind": "VerificationPolicy",
        "metadata": {"name": "test"},
        "spec": {"authorities": entries, "lines": ["acme/tiny-llm"]},
    }
    policy = parse_policy(json.dumps(document).encode(), read_file=None)
    proof = verify_sealed(make(), policy, at=now)
    [publisher], [author] = proof.publishers, proof.author.signers
    assert (publisher.authority, author.authority) == ("certified-publisher", "certified-author")
    assert publisher.fingerprint == proof.descriptor.publisher_key
    refused(make(), policy, "certificate-time-unknown")
    with pytest.raises(VerificationError, match="certificate-expired"):
        verify_sealed(make(), policy, at=now + 90_000)
    swapped = dataclasses.replace(make(), author_bundle=make(author="publisher").author_bundle)
    with pytest.raises(VerificationError, match="identity-mismatch"):
        verify_sealed(swapped, policy, at=now)
