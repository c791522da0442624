"""What the cases are made of: signers, statements, envelopes, bundles and trees; nothing of trustkit.

Signatures are RFC 6979's, so that a second run gives the same bytes. The keys are TEST keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

from blake3 import blake3
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

HERE = Path(__file__).parent
CASES = HERE / "cases"
CERTIFICATES = HERE / "certificates"
KIND = "application/vnd.in-toto+json"
MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
OMS = "https://model_signing/signature/v1.0"
OLD = "https://model_signing/Digests/v0.1"
SMALL = {"a": b"1", "b/c": b"22"}
HASHES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
ABSENT = object()
PARTS_ABOVE = 8_000
"""A bundle of more bytes is written as parts, if it repeats itself."""


class Person:
    """A holder of one of the test keys."""

    def __init__(self, name):
        self.name = name
        self.key = serialization.load_pem_private_key((HERE / f"keys/{name}.test.key").read_bytes(), None)
        self.pem = (HERE / f"keys/{name}.pub").read_bytes()
        self.hint = hashlib.sha256(self.pem).hexdigest()

    def sign(self, message, algorithm=None):
        """Sign as OMS does, or with another hash."""
        chosen = algorithm or HASHES[self.key.curve.name]
        return self.key.sign(message, ec.ECDSA(chosen, deterministic_signing=True))


ALICE, BOB, CAROL, MALLORY = PEOPLE = [Person(name) for name in ("alice", "bob", "carol", "mallory")]
ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def twin_of(signature):
    """Return the other signature that ECDSA allows for the same message: order - s in place of s."""
    r, s = utils.decode_dss_signature(signature)
    return utils.encode_dss_signature(r, ORDER_P256 - s)


def b64(raw):
    return base64.b64encode(raw).decode("ascii")


def digest(content, algorithm="sha256"):
    if algorithm == "blake3":
        return blake3(content).hexdigest()
    return hashlib.new(algorithm, content).hexdigest()


def resources(files, algorithm="sha256", shard=None, spelled=None):
    """List files (or ranges of SHARD bytes of them), sorted by name in code points."""
    found = []
    for path, content in files.items():
        if shard is None:
            found.append((path, content))
            continue
        starts = range(0, len(content), shard) or [0]
        found += [(f"{path}:{s}:{min(s + shard, len(content))}", content[s : s + shard]) for s in starts]
    return [
        {"name": name, "algorithm": spelled or algorithm, "digest": digest(content, algorithm)}
        for name, content in sorted(found)
    ]


def root_of(listed):
    return hashlib.sha256(b"".join(bytes.fromhex(entry["digest"]) for entry in listed)).hexdigest()


def statement(listed, *, subject=None, root=None, extra=None, kind=OMS, predicate=None, **said):
    """Build an OMS statement over a list of resources; keywords change the serialization (ABSENT removes)."""
    base = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []}
    serialization = {k: v for k, v in {**base, **said}.items() if v is not ABSENT}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root or root_of(listed)}}]
        if subject is None
        else subject,
        "predicateType": kind,
        "predicate": {"resources": listed, "serialization": serialization, **(predicate or {})},
        **(extra or {}),
    }


def sharded(files, shard=10, *, size=None, algorithm="sha256", **said):
    listed = resources(files, algorithm, shard)
    return statement(
        listed, method="shards", hash_type=algorithm, shard_size=shard if size is None else size, **said
    )


def old_statement(files, algorithm="sha256", **change):
    """Build a statement as model-signing 0.2.0 did."""
    subjects = [
        {
            "name": entry["name"],
            "digest": {"sha256": entry["digest"]},
            "annotations": {"actual_hash_algorithm": f"file-{algorithm}"},
        }
        for entry in resources(files, algorithm)
    ]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": OLD,
        "predicate": {"unused": "Unused, just passed due to API requirements"},
        **change,
    }


def text(value):
    """Serialise as the Python writers do: two spaces, ASCII."""
    return value if isinstance(value, bytes) else json.dumps(value, indent=2).encode()


def pae(payload, kind=KIND, version=b"DSSEv1"):
    return b"%b %d %b %d %b" % (version, len(kind), kind.encode(), len(payload), payload)


def buggy(payload):
    """Encode as model-signing 0.2.0 did."""
    return f"DSSEV1 {len(KIND)} {KIND} {len(payload)} {payload}".encode()


def bundle(said, *signers, signatures=None, material=None, signed=None, envelope=None, kind=KIND, **more):
    """Wrap a statement (or a payload's bytes); keywords replace what a sound bundle would have.

    ABSENT as a value removes a member. SIGNED says what signers cover, the PAE where it is absent.
    """
    payload = text(said)
    signers = signers or (ALICE,)
    message = pae(payload) if signed is None else signed(payload)
    made = [{"sig": b64(who.sign(message)), "keyid": ""} for who in signers]
    given = material or {"publicKey": {"hint": signers[0].hint}, "tlogEntries": []}
    inner = {
        "payload": b64(payload),
        "payloadType": kind,
        "signatures": made
        if signatures is None
        else signatures(payload)
        if callable(signatures)
        else signatures,
        **(envelope or {}),
    }
    whole = {"mediaType": MEDIA, "verificationMaterial": given, "dsseEnvelope": inner, **more}
    whole["dsseEnvelope"] = (
        {k: v for k, v in whole["dsseEnvelope"].items() if v is not ABSENT}
        if isinstance(whole["dsseEnvelope"], dict)
        else whole["dsseEnvelope"]
    )
    return json.dumps({k: v for k, v in whole.items() if v is not ABSENT}, indent=1).encode()


def sig(raw, keyid=""):
    """Make one entry of ``signatures``."""
    return {"sig": b64(raw)} if keyid is ABSENT else {"sig": b64(raw), "keyid": keyid}


def old_material(person, **more):
    return {"publicKey": {"rawBytes": b64(person.pem), "keyDetails": "PKIX_ECDSA_P256_SHA_256", **more}}


def manifest_digest(said):
    """Compute trustkit's manifest digest from a statement, on its own."""
    if said["predicateType"] == OLD:
        pairs = []
        for subject in said["subject"]:
            named = subject.get("annotations", {}).get("actual_hash_algorithm", "file-sha256")
            pairs.append((subject["name"], named.removeprefix("file-"), subject["digest"]["sha256"]))
    else:
        spelled = said["predicate"]["serialization"]["hash_type"].split("-")[0]
        pairs = [(entry["name"], spelled, entry["digest"]) for entry in said["predicate"]["resources"]]
    lines = "".join(
        f"{algorithm}:{value} {json.dumps(name, ensure_ascii=False)}\n"
        for name, algorithm, value in sorted(pairs)
    )
    root = hashlib.sha256(b"".join(bytes.fromhex(value) for _, _, value in pairs)).hexdigest()
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest(), f"sha256:{root}"


def entry(name, what):
    """Describe one entry of a tree."""
    named = {"name_hex": name.hex()} if isinstance(name, bytes) else {"name": name}
    if isinstance(what, dict):
        return {**named, **what}
    try:
        return (
            {**named, "text": what.decode("ascii")}
            if what.isascii() and b"\r" not in what
            else {**named, "hex": what.hex()}
        )
    except UnicodeDecodeError:
        return {**named, "hex": what.hex()}


def tree_of(files, at="model"):
    return [entry(name if isinstance(name, bytes) else f"{at}/{name}", what) for name, what in files.items()]


def parts_of(raw):
    """Write bytes that repeat themselves as texts and repeated texts."""
    parts, place = [], 0
    whole = raw.decode("ascii")
    for found in re.finditer(r"(.{1,160}?)\1{20,}", whole, re.DOTALL):
        parts += [
            {"text": whole[place : found.start()]},
            {"text": found[1], "times": len(found[0]) // len(found[1])},
        ]
        place = found.end()
    return [*parts, {"text": whole[place:]}]


class Book:
    """The cases, written as they are added; one name, one line of why, each once."""

    def __init__(self):
        self.cases = {}
        for folder in (CASES, CERTIFICATES):
            shutil.rmtree(folder, ignore_errors=True)
        CERTIFICATES.mkdir()

    def write_pem(self, name, text):
        """Keep certificates as a file, and return its place as cases name it."""
        place = CERTIFICATES / f"{name}.pem"
        assert not place.exists(), name
        place.write_text(text, encoding="ascii")
        return f"certificates/{name}.pem"

    def write_policy(self, name, document):
        """Keep a policy, and return its place as cases name it."""
        (HERE / f"policies/{name}.json").write_text(json.dumps(document, indent=1) + "\n")
        return f"policies/{name}.json"

    def _write(self, name, case, expect, bundle_raw):
        assert name not in self.cases, name
        assert expect["why"] not in {e["why"] for e in self.cases.values()}, expect["why"]
        self.cases[name] = expect
        folder = CASES / name
        folder.mkdir(parents=True)
        if bundle_raw is not None:
            parts = parts_of(bundle_raw) if len(bundle_raw) > PARTS_ABOVE and bundle_raw.isascii() else []
            if len(parts) > 1:
                case["bundle"] = "bundle.parts.json"
                (folder / case["bundle"]).write_text(json.dumps(parts, indent=1) + "\n")
            else:
                case["bundle"] = "bundle.json"
                (folder / case["bundle"]).write_bytes(bundle_raw)
        for file, value in (("case.json", case), ("expect.json", expect)):
            (folder / file).write_text(
                json.dumps(value, ensure_ascii=True, indent=1) + "\n", encoding="utf-8"
            )

    def _case(
        self, name, why, rules, raw, *, files, tree, trust, at, path, options, when, outcome, exit, **more
    ):
        case = {
            "do": "verify",
            "trust": trust if isinstance(trust, dict) else {"key": f"keys/{trust}.pub"},
            "path": path,
            "tree": tree_of(SMALL if files is None else files) if tree is None else tree,
        }
        if at:
            case["bundle_at"] = at
        if options:
            case["options"] = options
        if when is not None:
            case["when"] = when
        expect = {"why": why, "rules": rules.split(), "outcome": outcome, "exit": exit, **more}
        self._write(name, case, expect, raw)

    def good(
        self,
        name,
        why,
        rules,
        raw,
        *,
        files=None,
        tree=None,
        trust="alice",
        at=None,
        path="model",
        options=None,
        when=None,
        opens=None,
        ignored=(),
        unsigned=(),
        skipped=(),
    ):
        """Add a case that must be trusted."""
        said = json.loads(base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"]))
        manifest, root = manifest_digest(said)
        names = sorted(SMALL if files is None else files) if opens is None else sorted(opens)
        self._case(
            name,
            why,
            rules,
            raw,
            files=files,
            tree=tree,
            trust=trust,
            at=at,
            path=path,
            options=options,
            when=when,
            outcome="trusted",
            exit=0,
            manifest_digest=manifest,
            root_digest=root,
            opens=names,
            ignored=sorted(ignored),
            unsigned=sorted(unsigned),
            skipped=sorted(skipped),
        )

    def bad(
        self,
        name,
        code,
        why,
        rules,
        raw,
        *,
        exit,
        files=None,
        tree=None,
        trust="alice",
        at=None,
        path="model",
        options=None,
        when=None,
    ):
        """Add a case that must be refused with exactly this code."""
        self._case(
            name,
            why,
            rules,
            raw,
            files=files,
            tree=tree,
            trust=trust,
            at=at,
            path=path,
            options=options,
            when=when,
            outcome=code,
            exit=exit,
        )

    def form(self, *words, **how):
        self.bad(*words, exit=3, **how)

    def limit(self, *words, **how):
        self.bad(*words, exit=4, **how)

    def refused(self, *words, **how):
        self.bad(*words, exit=1, **how)

    def sign(
        self,
        name,
        why,
        rules,
        *,
        tree,
        payload=None,
        code=None,
        exit=0,
        path="model",
        options=None,
        certificate=None,
        chain=None,
        material=None,
        when=None,
    ):
        """Add a case for a writer: what it must sign, byte for byte, or refuse."""
        case = {"do": "sign", "key": "keys/alice.test.key", "path": path, "tree": tree}
        given = {"certificate": certificate, "chain": chain, "when": when, "options": options}
        case.update({member: value for member, value in given.items() if value})
        expect = {"why": why, "rules": rules.split(), "outcome": code or "signed", "exit": exit}
        self._write(name, case, expect, None)
        if payload is not None:
            (CASES / name / "payload.json").write_bytes(payload)
        if material is not None:
            (CASES / name / "material.json").write_text(json.dumps(material, indent=1) + "\n")

    def add(self, name, why, rules, raw, *, key, code=None, exit=0, files=None, certificate=None):
        """Add a case for a writer who signs what a bundle signs: the bundle must grow by one, or stay."""
        case = {
            "do": "add",
            "key": f"keys/{key}.test.key",
            "path": "model",
            "tree": tree_of(SMALL if files is None else files),
        }
        if certificate:
            case["certificate"] = certificate
        expect = {"why": why, "rules": rules.split(), "outcome": code or "signed", "exit": exit}
        self._write(name, case, expect, raw)
