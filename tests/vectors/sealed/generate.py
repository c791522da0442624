"""Writes the sealed vectors: `python tests/vectors/sealed/generate.py` replaces all cases beside it.

`whole` is a sealed folder; every other case is that folder with the files of the
case put over it (and without those that `without` names): one fault, and `expect`
with one word, `opens` or the code of the refusal. Signatures, nonces and wrapped keys are random, so a second run
gives other bytes with the same outcomes. The keys are for these files only.
"""

from __future__ import annotations

import base64
import copy
import functools
import json
import os
import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.bundle import Bundle, PublicKeyHint, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import statement_of
from trustkit.attest.predicates.sealed import statement_of_sealed
from trustkit.attest.statement import statement_to_bytes
from trustkit.digest import digest_of, parse_digest
from trustkit.sealing.descriptor import Descriptor, Part, part_aad
from trustkit.sealing.floe import HEADER_LENGTH, Parameters, PartSealer, segments_of
from trustkit.sealing.keys import Dek, commitment
from trustkit.sealing.passphrase import PassphraseRecipient
from trustkit.sealing.recipients import generate_opener, opener_from_pem, recipient_from_pem, wrap_document
from trustkit.sealing.shredded import Record
from trustkit.signing.key import generate_key, load_signer

HERE = Path(__file__).parent
FILES = {"config.json": b'{"layers": 2, "x": 1}', "empty": b"", "weights/model.bin": bytes(range(71))}
PARAMETERS = Parameters(64)
SECRET, DEK_ID, LINE = bytes(range(32)), "00112233445566778899aabbccddeeff", "acme/tiny-llm"
PASSPHRASE = b"correct horse battery staple"
CASES: dict[str, tuple[str, str]] = {}
BASE: dict[str, bytes] = {}
"""The files of `whole`; what a case has in common with it is not written again."""


def signed(payload, signer):
    signature = Signature(signer.sign(pae(PAYLOAD_TYPE, payload)))
    return bundle_to_bytes(Bundle(Envelope(payload, PAYLOAD_TYPE, (signature,)), PublicKeyHint(signer.hint)))


def sealed(name, plain, *, version, manifest, secret=SECRET):
    aad = part_aad(
        name,
        len(plain),
        line=LINE,
        version=version,
        dek_id=DEK_ID,
        manifest_digest=manifest.manifest_digest,
    )
    sealer = PartSealer(secret, aad, parameters=PARAMETERS, entropy=os.urandom)
    part, out, count = bytearray(sealer.header), bytearray(64), segments_of(len(plain), PARAMETERS)
    for position in range(count):
        chunk = memoryview(plain)[position * 32 : position * 32 + 32]
        size = sealer.seal_into(chunk, position, final=position == count - 1, out=memoryview(out))
        part += out[:size]
    return bytes(part)


def payload_of(bundle):
    return base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])


class Release:
    """One sealed version: its blobs by file name, and its documents, ready to be spoiled."""

    def __init__(self, people, recipients, *, version=3, line=LINE, by="publisher", files=None, manifest=None):
        self.people = people
        self.manifest = manifest or Manifest(
            tuple(Resource(name, digest_of(content)) for name, content in sorted((files or FILES).items()))
        )
        self.blobs = {
            name: sealed(name, content, version=version, manifest=self.manifest)
            for name, content in FILES.items()
        }
        dek = Dek(bytearray(SECRET))
        self.descriptor = Descriptor(
            line=line,
            version=version,
            suite=1,
            segment_length=64,
            dek_id=DEK_ID,
            key_commitment=commitment(dek, DEK_ID),
            publisher_key=people[by].fingerprint,
            manifest_digest=self.manifest.manifest_digest,
            parts=tuple(
                Part(name, len(FILES[name]), len(blob), digest_of(blob), digest_of(blob[:HEADER_LENGTH]))
                for name, blob in sorted(self.blobs.items())
            ),
        )
        self.names = {name: self.descriptor.part(name).blob.hex for name in self.blobs}
        statement = statement_of_sealed(self.descriptor, root_digest=self.manifest.root_digest)
        self.payload = json.loads(statement_to_bytes(statement))
        self.recipients = json.loads(wrap_document(dek, self.descriptor.context, recipients))
        self.beside: dict[str, bytes] = {}
        self.author = self.authored("author")
        self.signer = "publisher"
        self.edited = lambda raw: raw

    def authored(self, name):
        """Sign the manifest as somebody."""
        return signed(statement_to_bytes(statement_of(self.manifest, "tiny-llm")), self.people[name])

    @property
    def predicate(self):
        return self.payload["predicate"]

    def __deepcopy__(self, memo):
        other = copy.copy(self)
        for name in ("beside", "blobs", "names", "payload", "recipients"):
            setattr(other, name, copy.deepcopy(getattr(self, name), memo))
        return other

    def files(self):
        descriptor = BASE.get("descriptor.sigstore.json")
        raw = json.dumps(self.payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        if descriptor is None or self.signer != "publisher" or raw != payload_of(descriptor):
            descriptor = signed(raw, self.people[self.signer])
        return {
            "descriptor.sigstore.json": self.edited(descriptor),
            "recipients.json": (json.dumps(self.recipients, indent=2) + "\n").encode(),
            "model.sig": self.author,
            **{f"blobs/{self.names[name]}": blob for name, blob in self.blobs.items()},
            **self.beside,
        }

    def write(self, case, expect, why, *, without=()):
        CASES[case] = (expect, why)
        files = {name: raw for name, raw in self.files().items() if BASE.get(name) != raw}
        assert files or without, "nothing is special about this case"
        if without:
            assert set(without) <= BASE.keys()
            files["without"] = "".join(f"{name}\n" for name in without).encode()
        for name, raw in files.items():
            (HERE / case / name).parent.mkdir(parents=True, exist_ok=True)
            (HERE / case / name).write_bytes(raw)
        (HERE / case / "expect").write_text(expect + "\n")
        if case == "whole":
            BASE.update(files)


def keys():
    """Make the keys of the vectors, and the policy that believes two of them."""
    folder = HERE / "keys"
    folder.mkdir()
    people, authorities = {}, []
    for name, roles in (
        ("author", ["author"]),
        ("publisher", ["publisher"]),
        ("rival", ["publisher"]),
        ("stranger", []),
    ):
        private, public = generate_key("p256", passphrase=None)
        (folder / "scratch").write_bytes(private)
        people[name] = load_signer(folder / "scratch", passphrase=None)
        if roles:
            authorities.append({"name": name, "roles": roles, "key": {"pem": public.decode()}})
    (folder / "scratch").unlink()
    policy = {
        "apiVersion": "trustkit.dev/v1alpha1",
        "kind": "VerificationPolicy",
        "metadata": {"name": "vectors"},
        "spec": {"authorities": authorities, "lines": [LINE]},
    }
    (folder / "policy.json").write_text(json.dumps(policy, indent=2) + "\n")
    recipients = {}
    for kind in ("x25519", "p256", "mlkem768-x25519"):
        private, public = generate_opener(kind, passphrase=None)
        (folder / f"opener-{kind}.pem").write_bytes(private)
        (folder / f"recipient-{kind}.pem").write_bytes(public)
        recipients[kind] = recipient_from_pem(public)
    (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")
    recipients["passphrase"] = PassphraseRecipient(PASSPHRASE, entropy=os.urandom)
    recipients["stranger"] = recipient_from_pem(generate_opener("x25519", passphrase=None)[1])
    return people, recipients


def good(make):
    make().write("whole", "opens", "three files, one of them empty, for an X25519 recipient")
    make("p256").write("recipient_p256", "opens", "the same for a recipient on P-256")
    make("mlkem768-x25519").write("recipient_mlkem768_x25519", "opens", "the same for a hybrid recipient")
    make("passphrase").write("recipient_passphrase", "opens", "the same for a passphrase")
    make("stranger", "passphrase", "mlkem768-x25519", "p256").write(
        "recipients_of_every_kind", "opens", "four recipients, one of each kind"
    )
    make("stranger", "x25519").write("recipients_two", "opens", "one of two recipients is ours")
    release = make()
    release.recipients["recipients"].append(
        {"kind": "kms-of-next-year", "key": f"sha256:{'0' * 64}", "wrapped": "AAAA"}
    )
    release.write("recipient_of_unknown_kind", "opens", "an entry of a kind that no reader knows yet")
    release = make()
    release.beside = {"notes.txt": b"no document names this", "blobs/0": b"nor this"}
    release.write("files_that_nobody_names", "opens", "two files more: a reader does not list the folder")
    release = make()
    release.beside = {"shredded.json": record(release)}
    release.write("shredded_and_a_document", "opens", "a record of a shredding, and the document is still there")


def record(release):
    """Write the record of a shredding of this folder."""
    return Record(
        at=1_767_225_600,
        descriptor=digest_of(BASE["descriptor.sigstore.json"]),
        recipients_document=digest_of(BASE["recipients.json"]),
        dek_id=DEK_ID,
        recipients=tuple(
            (one["kind"], parse_digest(one["key"])) for one in release.recipients["recipients"]
        ),
    ).to_bytes()


def sharded(*, longer=0):
    """Return a manifest in ranges of 32 bytes; of the largest file perhaps some bytes more."""
    resources = []
    for name, content in sorted(FILES.items()):
        raw = content + bytes(longer if name == "weights/model.bin" else 0)
        resources += [
            Resource(name, digest_of(raw[start : start + 32]), start, min(start + 32, len(raw)))
            for start in range(0, len(raw), 32) or [0]
        ]
    return Manifest(tuple(resources), "shards", "sha256", 32)


def spoiled_folders(make, people, recipients):
    """What is not there, and what the author said otherwise."""
    make().write(
        "part_missing_fail",
        "file-missing",
        "a blob is not there",
        without=[f"blobs/{make().names['config.json']}"],
    )
    release = make()
    release.beside = {"shredded.json": record(release)}
    release.write(
        "recipients_shredded_fail", "shredded", "a record, and no document", without=["recipients.json"]
    )
    release = make()
    release.author = release.authored("stranger")
    release.write("author_unknown_fail", "wrong-signer", "the author's bundle is signed by a key nobody named")
    release = make()
    release.author = release.authored("publisher")
    release.write("author_is_the_publisher_fail", "wrong-signer", "a publisher is no author of what he seals")
    other = make()
    other.author = Release(people, [recipients["x25519"]], files=FILES | {"empty": b"x"}).author
    other.write("author_of_other_bytes_fail", "manifest-mismatch", "the author's bundle of another version")

    def ranged(name, expect, why, **how):
        release = Release(people, [recipients["x25519"]], manifest=sharded(**how))
        release.write(name, expect, why)

    ranged("author_in_shards", "opens", "the author signed ranges, which say how long the files are")
    ranged(
        "author_of_other_lengths_fail",
        "parts-mismatch",
        "the author's ranges say that a file is a byte longer than its part",
        longer=1,
    )


def spoiled_parts(make):
    big = "weights/model.bin"

    def case(name, expect, why, change):
        release = make()
        release.blobs[big] = change(release.blobs[big], release)
        release.write(f"part_{name}_fail", expect, why)

    case("truncated_to_nothing", "truncated", "an empty blob", lambda blob, _: b"")
    case("truncated_in_header", "truncated", "half a header", lambda blob, _: blob[:40])
    case("truncated_at_edge", "truncated", "the final segment is missing", lambda blob, _: blob[:202])
    case("truncated_by_one", "truncated", "the last byte is missing", lambda blob, _: blob[:-1])
    case("extended_by_one", "trailing-bytes", "one byte more", lambda blob, _: blob + b"\0")
    case(
        "extended_by_segment",
        "trailing-bytes",
        "the first segment once more",
        lambda blob, _: blob + blob[74:138],
    )
    case("flipped_body", "tampered", "one bit of ciphertext", lambda blob, _: flipped(blob, 100))
    case("flipped_tag", "tampered", "one bit of the last tag", lambda blob, _: flipped(blob, len(blob) - 1))
    case("flipped_iv", "tampered", "one bit of a segment's IV", lambda blob, _: flipped(blob, 80))
    case("flipped_length", "tampered", "one bit of a segment's length", lambda blob, _: flipped(blob, 205))
    case("flipped_header_iv", "tampered", "one bit of the header's IV", lambda blob, _: flipped(blob, 20))
    case("flipped_header_tag", "tampered", "one bit of the key's tag", lambda blob, _: flipped(blob, 73))
    case("other_aead", "tampered", "the header names another AEAD", lambda blob, _: b"\1" + blob[1:])
    case(
        "swapped_segments",
        "tampered",
        "two segments in each other's place",
        lambda blob, _: blob[:74] + blob[138:202] + blob[74:138] + blob[202:],
    )
    case(
        "doubled_segment",
        "tampered",
        "the first segment twice, instead of the second",
        lambda blob, _: blob[:138] + blob[74:138] + blob[202:],
    )
    case(
        "of_another_version",
        "tampered",
        "the same file and key, sealed as version 4",
        lambda blob, release: sealed(big, FILES[big], version=4, manifest=release.manifest),
    )
    case(
        "of_another_key",
        "tampered",
        "the same file and place, sealed under another key",
        lambda blob, release: sealed(big, FILES[big], version=3, manifest=release.manifest, secret=bytes(32)),
    )
    case("in_the_clear", "truncated", "the plaintext itself", lambda blob, _: FILES[big])
    release = make()
    release.names["config.json"], release.names[big] = release.names[big], release.names["config.json"]
    release.write("part_swapped_files_fail", "truncated", "two blobs under each other's name")
    # Signed descriptors over parts that do not hold what they say: the publisher's own mistake, or malice.
    for name, replaced, expect, why in (
        (
            "signed_other_plaintext",
            bytes(71),
            "digest-mismatch",
            "opens, but to other bytes than the author signed",
        ),
        ("signed_other_name", None, "tampered", "was sealed as another file"),
    ):
        release = make()
        source = ("empty2", FILES[big]) if replaced is None else (big, replaced)
        blob = sealed(*source, version=3, manifest=release.manifest)
        release.blobs[big], release.names[big] = blob, digest_of(blob).hex
        entry = next(part for part in release.predicate["parts"] if part["name"] == big)
        entry["blob"], entry["header"] = str(digest_of(blob)), str(digest_of(blob[:HEADER_LENGTH]))
        release.write(f"part_{name}_fail", expect, why)
    release = make()
    entry = next(part for part in release.predicate["parts"] if part["name"] == big)
    entry["header"] = f"sha256:{'0' * 64}"
    release.write(
        "part_signed_other_header_fail", "tampered", "the signed header digest is of another header"
    )
    release = make()
    blob = bytearray(release.blobs[big])
    blob[2:6] = (65).to_bytes(4, "big")
    release.blobs[big], release.names[big] = bytes(blob), digest_of(blob).hex
    entry = next(part for part in release.predicate["parts"] if part["name"] == big)
    entry["blob"], entry["header"] = str(digest_of(blob)), str(digest_of(blob[:HEADER_LENGTH]))
    release.write(
        "part_signed_other_parameters_fail",
        "wrong-parameters",
        "signed header, other segment length than the descriptor's",
    )


def flipped(blob, place):
    return blob[:place] + bytes([blob[place] ^ 0x04]) + blob[place + 1 :]


def spoiled_descriptors(make):
    def case(name, expect, why, change):
        release = make()
        change(release)
        release.write(f"descriptor_{name}_fail", expect, why)

    def member(name, value):
        return lambda release: release.predicate.__setitem__(name, value)

    def of_part(name, value, *, number=0):
        return lambda release: release.predicate["parts"][number].__setitem__(name, value)

    case(
        "of_a_stranger",
        "wrong-signer",
        "signed by a key nobody named",
        lambda r: setattr(r, "signer", "stranger"),
    )
    case("of_the_author", "wrong-signer", "authors publish nothing", lambda r: setattr(r, "signer", "author"))
    case("edited", "wrong-signer", "version 4 instead of 3, after signing", edit)
    case(
        "dressed",
        "publisher-mismatch",
        "signed by a rival, over the publisher's key",
        lambda r: setattr(r, "signer", "rival"),
    )
    case("repeated_key", "duplicate-key", "a member twice in the bundle", repeat)
    case(
        "other_predicate",
        "wrong-predicate-type",
        "another type",
        lambda r: r.payload.__setitem__("predicateType", "https://example.com/v1"),
    )
    case("other_line", "line-not-in-policy", "a line the policy does not speak for", rename)
    case("bad_line", "bad-line", "upper case", member("line", "Acme/tiny-llm"))
    case("version_zero", "bad-version", "versions count from 1", member("version", 0))
    case("version_too_large", "bad-version", "2^53, which some readers round", member("version", 2**53))
    case("long_line", "bad-line", "256 characters", lambda r: rename(r, "a" * 256))
    case("huge_segments", "bad-segment-length", "a byte more than 16 MiB", member("segment_length", (1 << 24) + 1))
    case(
        "bad_publisher_key",
        "bad-digest",
        "a key of a publisher without algorithm",
        member("publisher_key", "0" * 64),
    )
    case(
        "two_subjects",
        "bad-subject",
        "the subject twice",
        lambda r: r.payload["subject"].append(r.payload["subject"][0]),
    )
    case("version_text", "bad-field", "a version as text", member("version", "3"))
    case("other_suite", "unknown-suite", "suite 2", member("suite", 2))
    case("short_segments", "bad-segment-length", "no room for a byte", member("segment_length", 32))
    case("long_segments", "bad-part-length", "lengths that do not follow", member("segment_length", 128))
    case("other_segments", "wrong-parameters", "lengths that follow as well", member("segment_length", 65))
    case("bad_dek_id", "bad-dek-id", "upper-case hex", member("dek_id", "00112233445566778899AABBCCDDEEFF"))
    case(
        "bad_commitment",
        "bad-digest",
        "a commitment with an algorithm",
        member("key_commitment", f"sha256:{'0' * 64}"),
    )
    case("no_parts", "no-parts", "seals nothing", member("parts", []))
    case("unknown_member", "unknown-field", "a member the format does not have", member("note", ""))
    case(
        "missing_member", "missing-field", "no manifest digest", lambda r: r.predicate.pop("manifest_digest")
    )
    case("unknown_part_member", "unknown-field", "a mode", of_part("mode", 511))
    case("climbing_name", "unsafe-name", "a name that leaves the folder", of_part("name", "../config.json"))
    case("unsorted", "bad-part-order", "parts in another order", lambda r: r.predicate["parts"].reverse())
    case(
        "doubled_part",
        "bad-part-order",
        "a part twice",
        lambda r: r.predicate["parts"].insert(0, r.predicate["parts"][0]),
    )
    case("twins", "name-twins", "names that differ in case", twins)
    case("shared_blob", "duplicate-blob", "two parts with one blob", shared)
    case("part_length", "bad-part-length", "one byte more of plaintext", of_part("plaintext_length", 22))
    case("negative_length", "bad-part-length", "less than nothing", of_part("plaintext_length", -1))
    case(
        "subject_name",
        "bad-subject",
        "the subject is not the line",
        lambda r: r.payload["subject"][0].__setitem__("name", "x"),
    )
    case(
        "subject_digest",
        "bad-subject",
        "no manifest digest in the subject",
        lambda r: r.payload["subject"][0]["digest"].pop("trustkitManifestSha256"),
    )
    case(
        "other_root_digest",
        "manifest-mismatch",
        "the subject's root digest",
        lambda r: r.payload["subject"][0]["digest"].__setitem__("sha256", "0" * 64),
    )
    case(
        "other_manifest",
        "manifest-mismatch",
        "a manifest digest that is not the author's",
        member("manifest_digest", f"sha256:{'0' * 64}"),
    )
    case("missing_part", "parts-mismatch", "a signed file has no part", lambda r: r.predicate["parts"].pop())
    case("part_of_nobody", "parts-mismatch", "a part of a file that the author did not sign", one_more)


def edit(release):
    def edited(raw):
        bundle = json.loads(raw)
        payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b'"version":3', b'"version":4')
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
        return json.dumps(bundle).encode()

    release.edited = edited


def repeat(release):
    release.edited = lambda raw: (
        raw.rstrip()[:-1] + b',"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}'
    )


def rename(release, line="acme/other"):
    release.predicate["line"] = release.payload["subject"][0]["name"] = line


def one_more(release):
    last = copy.deepcopy(release.predicate["parts"][-1])
    last["name"], last["blob"] = "weights/more.bin", f"sha256:{'0' * 64}"
    release.predicate["parts"].append(last)


def twins(release):
    first = copy.deepcopy(release.predicate["parts"][0])
    first["name"], first["blob"] = "Config.json", f"sha256:{'0' * 64}"
    release.predicate["parts"].insert(0, first)


def shared(release):
    release.predicate["parts"][1]["blob"] = release.predicate["parts"][0]["blob"]


def spoiled_recipients(make, people, recipients):
    def case(name, expect, why, change):
        release = make()
        change(release)
        release.write(f"recipients_{name}_fail", expect, why)

    def entry(name, value):
        return lambda release: release.recipients["recipients"][0].__setitem__(name, value)

    make("stranger").write("recipients_without_us_fail", "no-matching-opener", "wrapped for somebody else")
    case("nobody", "no-recipients", "an empty list", lambda r: r.recipients.__setitem__("recipients", []))
    case(
        "twice",
        "duplicate-recipient",
        "one recipient twice",
        lambda r: r.recipients["recipients"].append(r.recipients["recipients"][0]),
    )
    case("flipped", "wrong-context", "one bit of the wrapped key", flip_wrap)
    case(
        "other_dek_id",
        "wrong-context",
        "names another data key",
        lambda r: r.recipients.__setitem__("dek_id", "f" * 32),
    )
    case(
        "other_version",
        "bad-recipients-version",
        "another format",
        lambda r: r.recipients.__setitem__("version", "trustkit.dev/recipients/v2"),
    )
    case(
        "unknown_member",
        "unknown-field",
        "a member of its own",
        lambda r: r.recipients.__setitem__("note", ""),
    )
    case(
        "too_deep",
        "too-deep",
        "65 levels",
        lambda r: r.recipients.__setitem__("recipients", functools.reduce(lambda inner, _: [inner], range(63), [])),
    )
    case("null_dek_id", "bad-field", "no data key: null", lambda r: r.recipients.__setitem__("dek_id", None))
    case("bad_kind", "bad-recipient-kind", "a kind with a space", entry("kind", "hpke x25519"))
    case("bad_base64", "bad-base64", "bits after the end", entry("wrapped", "AB=="))
    case("short_wrap", "bad-wrapped-key", "79 bytes", entry("wrapped", base64.b64encode(bytes(79)).decode()))
    case("bad_key", "bad-digest", "a key without algorithm", entry("key", "0" * 64))
    for name, expect, why, secret, changes in (
        ("of_another_version", "wrong-context", "wrapped for version 2", SECRET, {"version": 2}),
        ("of_another_publisher", "wrong-context", "wrapped by the rival", SECRET, {"by": "rival"}),
        ("of_another_key", "key-commitment-mismatch", "another key, rightly wrapped", bytes(32), {}),
        ("of_half_a_key", "bad-wrapped-key", "16 bytes, rightly wrapped", bytes(16), {}),
    ):
        release = make()
        context = (
            Release(people, [recipients["x25519"]], **changes).descriptor.context
            if changes
            else release.descriptor.context
        )
        suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        key = opener_from_pem((HERE / "keys/opener-x25519.pem").read_bytes(), passphrase=None)
        public = x25519.X25519PublicKey.from_public_bytes(_raw(key))
        wrapped = suite.encrypt(secret, public, context.to_bytes())
        release.recipients["recipients"][0]["wrapped"] = base64.b64encode(wrapped).decode()
        release.write(f"recipients_{name}_fail", expect, why)


def spoiled_kinds(make, base, rival, recipients):
    """What can be wrong with the wraps of one kind, and of no other."""

    def case(kind, name, expect, why, change):
        release = make(kind)
        one = release.recipients["recipients"][0]
        one["wrapped"] = base64.b64encode(change(base64.b64decode(one["wrapped"]))).decode()
        release.write(f"recipients_{kind.split('-')[0]}_{name}_fail", expect, why)

    for kind, places in (("mlkem768-x25519", (0, 1088, 1150)), ("passphrase", (1, 33, 70))):
        dressed = recipients[kind].wrap(Dek(bytearray(SECRET)), rival.to_bytes())
        why = "wrapped by the rival"
        case(kind, "of_another_publisher", "wrong-context", why, lambda _, raw=dressed: raw)
        other = recipients[kind].wrap(Dek(bytearray(32)), base.to_bytes())
        why = "another key, rightly wrapped"
        case(kind, "of_another_key", "key-commitment-mismatch", why, lambda _, raw=other: raw)
        for part, place in zip(("first", "second", "third"), places, strict=True):
            why = f"one bit of its {part} part"
            case(kind, f"flipped_{part}", "wrong-context", why, lambda raw, p=place: flipped(raw, p))
        case(kind, "short", "bad-wrapped-key", "a byte less", lambda raw: raw[:-1])
    case("passphrase", "costly", "too-costly", "N is 2^19", lambda raw: b"\x13" + raw[1:])
    case("passphrase", "cheap", "bad-wrapped-key", "N is 2^16", lambda raw: b"\x10" + raw[1:])
    wrapped = PassphraseRecipient(PASSPHRASE + b"!", entropy=os.urandom).wrap(
        Dek(bytearray(SECRET)), base.to_bytes()
    )
    case("passphrase", "of_another_one", "wrong-context", "of another passphrase", lambda _: wrapped)
    release = make("passphrase")
    release.recipients["recipients"][0]["key"] = f"sha256:{'0' * 64}"
    release.write(
        "recipients_passphrase_other_id_fail", "bad-recipient-key", "a key ID that no passphrase has"
    )


def _raw(opener):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return load_pem_public_key(opener.public_pem()).public_bytes_raw()


def flip_wrap(release):
    one = release.recipients["recipients"][0]
    one["wrapped"] = base64.b64encode(flipped(base64.b64decode(one["wrapped"]), 50)).decode()


def main():
    for old in HERE.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    people, recipients = keys()

    base = Release(people, [recipients["x25519"]])

    def make(*names):
        release = copy.deepcopy(base)
        if names:
            wrapped = wrap_document(
                Dek(bytearray(SECRET)), base.descriptor.context, [recipients[name] for name in names]
            )
            release.recipients = json.loads(wrapped)
        return release

    good(make)
    spoiled_parts(make)
    spoiled_descriptors(make)
    spoiled_recipients(make, people, recipients)
    rival = Release(people, [recipients["x25519"]], by="rival").descriptor.context
    spoiled_kinds(make, base.descriptor.context, rival, recipients)
    spoiled_folders(make, people, recipients)
    rows = "".join(f"| `{name}` | `{expect}` | {why} |\n" for name, (expect, why) in sorted(CASES.items()))
    (HERE / "README.md").write_text(README + rows)


README = """# Sealed folders, right and wrong

Made by `generate.py`. `whole` is a folder as `trustkit seal` writes it, but with 64-byte segments, so that a few bytes make several. Every other case is that folder with the files of the case put over it, and without those that a file `without` names, one a line: at most one fault. `expect` says `opens`, or the code of the refusal. The format is `trustkit/sealing/FORMAT.md`. Keys and policy are in `keys/`: private keys there open nothing but these files.

The plaintext is three files: `config.json` (`{"layers": 2, "x": 1}`), `empty` (nothing), `weights/model.bin` (the bytes 0 to 70). The data key is the bytes 0 to 31.

| Case | Expected | What is special |
|---|---|---|
"""

if __name__ == "__main__":
    main()
