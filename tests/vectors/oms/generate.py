"""Writes the OMS vectors: `python tests/vectors/oms/generate.py` replaces all cases beside it.

Nothing of trustkit has a part in it, so that the vectors can prove the code wrong.
What is written is the same on every run, but for `written/`, which real writers made
once (samples.py). README.md beside this file explains the layout to implementers.
"""

from __future__ import annotations

import copy
import json

from certifying import certificates, keyed, write_policy
from cryptography.hazmat.primitives import hashes
from making import (
    ABSENT,
    ALICE,
    BOB,
    HERE,
    MALLORY,
    OLD,
    OMS,
    SMALL,
    Book,
    b64,
    buggy,
    bundle,
    digest,
    entry,
    old_material,
    old_statement,
    pae,
    resources,
    root_of,
    sharded,
    sig,
    statement,
    text,
    tree_of,
    twin_of,
)
from several import several

BOOK = Book()
good, form, limit, refused, signs = BOOK.good, BOOK.form, BOOK.limit, BOOK.refused, BOOK.sign

SAMPLE = {"a-b": b"2", "a.b": b"3", "a/b": b"1", "a/c/d": b"4" * 25, "empty": b"", "name:with:7": b"5", "\u6a21\u578b \u00e9.bin": bytes(range(256))}
FULL = {name: content for name, content in SAMPLE.items() if content}
GIT = {".git/HEAD": b"ref: refs/heads/main\n", ".gitignore": b"*.tmp\n"}
SINGLE = [entry("model.bin", b"x" * 25)]
OURS = [".git", ".gitattributes", ".github", ".gitignore"]
PLAIN = statement(resources(SMALL))
LONG = {"f": b"0123456789" * 2 + b"01234"}
POLICY = {
    "two-of-two": {"policy": "policies/two-of-two.json"},
    "either": {"policy": "policies/either.json"},
    "publisher": {"policy": "policies/publisher-only.json"},
}


def written(name):
    return (HERE / f"written/{name}.sig").read_bytes()


def changed(value, path, new):
    """Return a copy with one member replaced, or removed where NEW is ABSENT; PATH is a/b/0/c."""
    whole = copy.deepcopy(value)
    *above, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    inner = whole
    for step in above:
        inner = inner[step]
    if new is ABSENT:
        del inner[last]
    else:
        inner[last] = new
    return whole


def spoiled(path, new, said=None):
    """Sign the plain statement with one member replaced."""
    return bundle(changed(PLAIN if said is None else said, path, new))


def named(path):
    """Make a member's path part of a folder's name."""
    return path.replace("/0", "-entry").replace("/", "-").lower()


def unsigned_edit(path, new):
    """Edit a member of a bundle, outside of what is signed."""
    return json.dumps(changed(json.loads(bundle(PLAIN)), path, new)).encode()


def policies():
    (HERE / "policies").mkdir(exist_ok=True)
    alice, bob = keyed("alice", ALICE), keyed("bob", BOB)
    write_policy(BOOK, "two-of-two", alice, bob, threshold=2)
    write_policy(BOOK, "either", alice, bob)
    write_policy(BOOK, "publisher-only", keyed("alice", ALICE, "publisher"), bob)


# -- what real writers wrote --------------------------------------------------------------------------------


def writers():
    def real(name, why, rules, **how):
        good(f"writer-{name}", why, rules, written(name), **{"files": SAMPLE, **how})

    real("0.2.0-files", "model-signing 0.2.0: files are subjects, and what it signed is not the PAE", "9.1 9.4 4.1")
    real("0.2.0-blake2", "model-signing 0.2.0 with BLAKE2b: the digest is called sha256, the annotation says what it is", "9.2")
    real("0.2.0-p384", "model-signing 0.2.0 with P-384: SHA-256 all the same", "9.5", trust="bob")
    real("0.2.0-p521", "model-signing 0.2.0 with P-521: SHA-256 all the same", "9.5", trust="carol")
    real("0.2.0-single", "model-signing 0.2.0: a single file is called '.'", "9.7 4.7", files={"model.bin": b""}, tree=SINGLE, path="model.bin")
    real("0.2.0-tracked", "model-signing 0.2.0 signed git's files with all others", "9.6", files={**SAMPLE, **GIT})
    real("0.3.1-files", "model-signing 0.3.1: the key itself, keyid null, no log entries, no ignore list", "4.1")
    real("0.3.1-p384", "model-signing 0.3.1 with P-384 names the key P-256 and hashes as the curve wants", "4.1", trust="bob")
    real("0.3.1-shards", "model-signing 0.3.1: hash_type itself is sha256-sharded-10", "4.4 4.5", files=FULL)
    real("0.3.1-single", "model-signing 0.3.1: a single file is called '.' too", "4.7", files={"model.bin": b""}, tree=SINGLE, path="model.bin")
    real(
        "0.3.1-tracked-here",
        "model-signing 0.3.1 on '.': no name for the subject, git's files left out without a list",
        "4.2 4.3",
        tree=tree_of({**SAMPLE, **GIT}),
        ignored=[".git", ".gitignore"],
    )
    real("1.0.1-files", "model-signing 1.0.1: as 0.3.1, another version", "4.1")
    real("1.0.1-blake2", "model-signing 1.0.1 with BLAKE2b", "5.4")
    real("1.0.1-shards", "model-signing 1.0.1: hash_type is sha256, the algorithm of each shard is not", "4.4", files=FULL)
    real(
        "1.0.1-single-shards",
        "model-signing 1.0.1: shards of a single file are called '.:0:10'",
        "4.7 5.5",
        files={"model.bin": b""},
        tree=SINGLE,
        path="model.bin",
    )
    real(
        "1.0.1-tracked-here",
        "model-signing 1.0.1 on '.': git's files left out, and something else in them since",
        "4.2",
        tree=tree_of({**SAMPLE, ".git/config": b"new", ".github/x": b"new"}),
        ignored=[".git", ".github"],
    )
    real("1.1.1-files", "model-signing 1.1.1 on P-256, with a list of git's names", "4.6")
    real("1.1.1-p384", "model-signing 1.1.1 with P-384 and SHA-384", "2.1", trust="bob")
    real("1.1.1-p521", "model-signing 1.1.1 with P-521 and SHA-512", "2.1", trust="carol")
    real("1.1.1-blake2", "model-signing 1.1.1 with BLAKE2b", "5.4")
    real("1.1.1-blake3", "model-signing 1.1.1 with BLAKE3", "5.4")
    real("1.1.1-shards", "model-signing 1.1.1: shard_size is 10.0, a name has colons of its own", "4.4 4.5", files=FULL)
    real("1.1.1-shards-blake3", "model-signing 1.1.1: shards of BLAKE3 are files", "5.7", files=FULL)
    real(
        "1.1.1-shards-with-empty",
        "model-signing 1.1.1 leaves empty files out of shards; the caller tolerates the unsigned one",
        "4.10 8.1",
        tree=tree_of(SAMPLE),
        opens=FULL,
        unsigned=["empty"],
        options={"ignore_unsigned": True},
    )
    real("1.1.1-single", "model-signing 1.1.1: a single file is called '.'", "4.7", files={"model.bin": b""}, tree=SINGLE, path="model.bin")
    real("1.1.1-single-shards", "model-signing 1.1.1: shards of a single file", "4.7", files={"model.bin": b""}, tree=SINGLE, path="model.bin")
    real("1.1.1-inside", "model-signing 1.1.1: the bundle lies in the folder, and is on its own list", "8.1 8.8", at="model/model.sig")
    real(
        "1.1.1-tracked",
        "model-signing 1.1.1 left git's files out, and its list says so",
        "8.6",
        tree=tree_of({**SAMPLE, **GIT}),
        ignored=[".git", ".gitignore"],
    )
    refused(
        "writer-1.1.1-empty-file-unsigned",
        "unsigned-file",
        "the empty file that shards leave out is unsigned, however empty",
        "4.10",
        written("1.1.1-shards-with-empty"),
        files=SAMPLE,
    )
    refused(
        "writer-0.3.1-git-signed-and-changed",
        "digest-mismatch",
        "model-signing 0.3.1 signed .git: it is compared then, list or not",
        "4.2",
        bundle(statement(resources({**SMALL, **GIT}), ignore_paths=ABSENT), material=old_material(ALICE)),
        files={**SMALL, **GIT, ".git/HEAD": b"moved"},
    )


def go():
    """As model-transparency-go writes, from its documented habits."""
    material = {"publicKey": {"hint": ALICE.hint}}
    no_keyid = lambda said: lambda payload: [sig(ALICE.sign(pae(payload)), ABSENT)]  # noqa: E731
    good("go-files", "Go: neither tlogEntries nor keyid", "4.11", bundle(PLAIN, material=material, signatures=no_keyid(PLAIN)))
    said = statement(resources(FULL, shard=10, spelled="sha256-sharded-10"), method="shards", hash_type="sha256", shard_size=10)
    good(
        "go-shards",
        "Go: shards sorted as texts, their algorithm spelled with the size",
        "4.4 4.6",
        bundle(said, material=material, signatures=no_keyid(said)),
        files=FULL,
    )
    said = statement(resources(SMALL), ignore_paths=["./cache/", "logs//x"])
    good(
        "go-ignored-as-typed",
        "Go: ignored paths as they were typed mean what they name",
        "4.9",
        bundle(said, material=material),
        tree=tree_of({**SMALL, "cache/t": b"", "logs/x": b""}),
        ignored=["cache", "logs/x"],
    )


# -- good, by rule ------------------------------------------------------------------------------------------


def good_forms():
    twice = lambda payload: [sig(ALICE.sign(pae(payload)))] * 2  # noqa: E731
    good("json-compact", "a payload without any space", "1.1", bundle(json.dumps(PLAIN, separators=(",", ":")).encode()))
    good("json-space-around", "space before and after the payload's value is JSON", "1.1", bundle(b"\n " + text(PLAIN) + b"\r\n\t"))
    good(
        "json-escapes",
        "names escaped and not escaped are the same names",
        "1.1",
        bundle(statement(resources({"\u00e9/\U0001f600": b"1"}))),
        files={"\u00e9/\U0001f600": b"1"},
    )
    good(
        "json-raw-utf8",
        "names as raw UTF-8",
        "1.1",
        bundle(json.dumps(statement(resources({"\u00e8/\U0001f600": b"1"})), ensure_ascii=False).encode()),
        files={"\u00e8/\U0001f600": b"1"},
    )
    good("keyid-null", "keyid may be null", "1.5", unsigned_edit("dsseEnvelope/signatures/0/keyid", None))
    good("keyid-nonsense", "keyid names nobody, and chooses nothing", "4.13", unsigned_edit("dsseEnvelope/signatures/0/keyid", "mallory"))
    good(
        "hint-of-another-key",
        "the hint names another key, and chooses nothing",
        "4.13",
        unsigned_edit("verificationMaterial/publicKey/hint", MALLORY.hint),
    )
    good("hint-and-raw-key", "hint and key together: neither is believed", "4.13", bundle(PLAIN, material=old_material(MALLORY, hint=ALICE.hint)))
    good(
        "media-type-0.1",
        "the oldest spelling of the media type",
        "4.12",
        bundle(PLAIN, mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
    )
    good(
        "media-type-0.2",
        "the spelling between the oldest and the newest",
        "4.12",
        bundle(PLAIN, mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
    )
    good(
        "media-type-0.3-old-spelling",
        "version 0.3 in the older spelling",
        "4.12",
        bundle(PLAIN, mediaType="application/vnd.dev.sigstore.bundle+json;version=0.3"),
    )
    good(
        "log-entries-beside-a-key",
        "log entries and timestamps prove nothing beside a key, and cost nothing",
        "3.3",
        bundle(
            PLAIN,
            material={
                "publicKey": {"hint": ALICE.hint},
                "tlogEntries": [{"logIndex": "1"}],
                "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "AA=="}]},
            },
        ),
    )
    good(
        "resource-unknown-members",
        "a resource is a resource descriptor: unknown members are ignored",
        "3.5",
        spoiled("predicate/resources/0", {**PLAIN["predicate"]["resources"][0], "size": 1, "annotations": {"x": [None]}}),
    )
    good("subject-unknown-members", "so is a subject", "3.5", spoiled("subject/0", {**PLAIN["subject"][0], "uri": "https://x", "annotations": 7}))
    good(
        "subject-other-digests",
        "a subject may have more digests than the one that is read",
        "3.5",
        spoiled("subject/0/digest", {**PLAIN["subject"][0]["digest"], "sha512": "ab"}),
    )
    good("signature-twice", "one signature twice is one signer", "4.13", bundle(PLAIN, signatures=twice))
    good("signature-second", "the first signature is a stranger's, the second is ours", "4.13", bundle(PLAIN, MALLORY, ALICE))
    good(
        "signature-high-s",
        "the other S that ECDSA allows is a signature too",
        "4.13",
        bundle(PLAIN, signatures=lambda payload: [sig(twin_of(ALICE.sign(pae(payload))))]),
    )
    good(
        "signatures-at-the-limit",
        "32 signatures, the last one ours",
        "6.4",
        bundle(PLAIN, signatures=lambda payload: [sig(bytes([n])) for n in range(31)] + [sig(ALICE.sign(pae(payload)))]),
    )
    good(
        "signature-at-the-limit",
        "4,096 bytes that are no signature, and one that is ours",
        "6.4",
        bundle(PLAIN, signatures=lambda payload: [sig(b"x" * 4096), sig(ALICE.sign(pae(payload)))]),
    )
    good("policy-either", "one of two authors is enough where the threshold is one", "4.13", bundle(PLAIN, BOB), trust=POLICY["either"])
    good("policy-two-of-two", "both authors signed one payload", "4.13", bundle(PLAIN, ALICE, BOB), trust=POLICY["two-of-two"])
    deep = 1
    for _ in range(60):
        deep = [deep]
    good(
        "nesting-at-the-limit",
        "64 levels: four of the statement, sixty in a member that is ignored",
        "6.2",
        spoiled("predicate/resources/0", {**PLAIN["predicate"]["resources"][0], "x": deep}),
    )
    full_log()


def full_log():
    """As much as may lie around a payload."""
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": "AA=="}] * 32}
    key = {"publicKey": {"hint": ALICE.hint}}
    good(
        "entries-at-the-limit",
        "32 log entries and as many timestamps",
        "6.6",
        bundle(PLAIN, material={**key, "tlogEntries": [{}] * 32, "timestampVerificationData": stamps}),
    )
    good(
        "values-near-the-limit",
        "a log entry of sixty-five thousand values",
        "6.3",
        bundle(PLAIN, material={**key, "tlogEntries": [{"x": [0] * 65_000}]}),
    )
    good(
        "material-near-the-limit",
        "a hint of nearly sixteen mebibytes",
        "6.3",
        bundle(PLAIN, material={"publicKey": {"hint": "a" * ((16 << 20) - 4096)}, "tlogEntries": []}),
    )
    plain = bundle(PLAIN)
    good("bundle-at-the-limit", "as large as the caller allows", "6.1", plain, options={"max_bundle_bytes": len(plain)})


def good_manifests():
    def of(files, *, order=None, **said):
        listed = resources(files)
        return bundle(statement(sorted(listed, key=order) if order else listed, **said))

    odd = {"a/b": b"1", "a-b": b"2", "a.b": b"3"}
    good("order-by-text", "resources sorted by code points", "4.6", of(odd), files=odd)
    good(
        "order-by-components", "resources sorted by path components, as Python does", "4.6", of(odd, order=lambda r: r["name"].split("/")), files=odd
    )
    good(
        "order-reversed",
        "resources in no order at all: the root digest follows the document",
        "4.6",
        bundle(statement(resources(odd)[::-1])),
        files=odd,
    )
    good("hash-blake2b", "BLAKE2b, 64 bytes", "5.4", bundle(statement(resources(SMALL, "blake2b"), hash_type="blake2b")))
    good("hash-blake3", "BLAKE3, 32 bytes", "5.4", bundle(statement(resources(SMALL, "blake3"), hash_type="blake3")))
    good("shards-integer-size", "a shard size as an integer", "5.5", bundle(sharded(LONG)), files=LONG)
    good(
        "shards-float-size",
        "a shard size as 10.0",
        "4.5",
        bundle(text(sharded(LONG)).replace(b'"shard_size": 10', b'"shard_size": 10.0')),
        files=LONG,
    )
    good(
        "shards-exponent-size",
        "a shard size as 1e1",
        "4.5",
        bundle(text(sharded(LONG)).replace(b'"shard_size": 10', b'"shard_size": 1e1')),
        files=LONG,
    )
    good("shards-exact", "a file of exactly two shards", "5.5", bundle(sharded({"f": b"x" * 20})), files={"f": b"x" * 20})
    shuffled = sharded(LONG)
    shuffled = sharded_of(shuffled["predicate"]["resources"][::-1])
    good("shards-in-any-order", "the ranges of a file in any order", "5.5", bundle(shuffled), files=LONG)
    colons = {"a:1:2": b"x" * 12, "b:0:1:x": b"y"}
    good("shards-names-with-colons", "names with colons: a range is taken off from the right", "5.5", bundle(sharded(colons)), files=colons)
    good("shards-empty-file", "an empty file is signed as path:0:0", "4.10", bundle(sharded({"e": b"", "f": b"1"})), files={"e": b"", "f": b"1"})
    good("shards-blake2b", "shards of BLAKE2b", "5.5", bundle(sharded(LONG, algorithm="blake2b")), files=LONG)
    good(
        "shards-sharded-spelling",
        "sha256-sharded-10 as hash_type and algorithm",
        "4.4",
        bundle(statement(resources(LONG, shard=10, spelled="sha256-sharded-10"), method="shards", hash_type="sha256-sharded-10", shard_size=10)),
        files=LONG,
    )
    good(
        "single-by-basename",
        "a single file under its name, as the specification has it",
        "4.7",
        bundle(statement(resources({"model.bin": b"x" * 25}))),
        files={"model.bin": b""},
        tree=SINGLE,
        path="model.bin",
    )
    good(
        "single-as-dot-renamed",
        "a single file called '.' may have any name",
        "4.7",
        bundle(statement(resources({".": b"x" * 25}))),
        files={"other.bin": b""},
        tree=[entry("other.bin", b"x" * 25)],
        path="other.bin",
    )
    good("names-with-colons", "names with colons that look like ranges, in a manifest of files", "5.2", of({"a:0:1": b"1"}), files={"a:0:1": b"1"})
    good(
        "names-odd-and-legal",
        "spaces, quotes, a leading dash, dots within a name",
        "5.2",
        of({" '\"": b"", "-rf": b"", "...": b"", "a..b": b""}),
        files={" '\"": b"", "-rf": b"", "...": b"", "a..b": b""},
    )
    deep = {"d/" * 299 + "f": b"1"}
    good("names-300-levels", "a file in 299 folders", "6.9", of(deep), files=deep)
    listed = resources({"a": b"1", "n" * 4096: b""})
    good(
        "name-at-the-limit",
        "a name of 4,096 bytes, which is not selected",
        "6.9",
        bundle(statement(listed)),
        files={"a": b"1"},
        options={"only": ["a"]},
        skipped=["n" * 4096],
    )
    good("shard-size-at-the-limit", "a shard size of 2^63 - 1", "6.10", bundle(sharded(LONG, 30, size=2**63 - 1)), files=LONG)
    most = 10**18 - 1
    listed = [{"name": f"{name}:0:{size}", "algorithm": "sha256", "digest": digest(b"1")} for name, size in (("a", 1), ("f", most))]
    good(
        "shard-offset-at-the-limit",
        "an offset of eighteen digits, in a file that is not selected",
        "6.10",
        bundle(sharded_of(listed, most)),
        files={"a": b"1"},
        options={"only": ["a"]},
        skipped=["f"],
    )
    good("empty-file", "an empty file is signed like any other", "8.3", of({"e": b""}), files={"e": b""})
    good("no-ignore-list", "a new bundle without a list ignores nothing", "4.8", of(SMALL, ignore_paths=ABSENT))
    good("ignored-is-not-there", "what is ignored need not be there", "8.6", of(SMALL, ignore_paths=["cache"]))
    good(
        "ignored-is-reported",
        "what lies under an ignored path is reported, not compared, not handed out",
        "8.6",
        of(SMALL, ignore_paths=["cache", "x/y"]),
        tree=tree_of({**SMALL, "cache/deep/t": b"", "x/y": b""}),
        ignored=["cache", "x/y"],
    )
    good("ignored-paths-at-the-limit", "10,000 ignored paths, all one", "6.8", of(SMALL, ignore_paths=["x"] * 10_000))
    good(
        "ignored-link",
        "a link out of the folder where an ignored path was, and no links were signed: it is not followed",
        "8.6",
        of(SMALL, ignore_paths=["cache"]),
        tree=[entry("outside/x", b""), *tree_of(SMALL), {"name": "model/cache", "link": "../outside"}],
        ignored=["cache"],
    )
    good(
        "ignored-anything-below",
        "an ignored folder with a pipe, a link to nothing and a name that is no text: it is not entered",
        "8.6",
        of(SMALL, ignore_paths=["scratch"]),
        tree=[
            *tree_of(SMALL),
            {"name": "model/scratch/p", "fifo": True},
            {"name": "model/scratch/l", "link": "gone"},
            entry(b"model/scratch/\xff", b""),
        ],
        ignored=["scratch"],
    )
    good(
        "ignored-name-elsewhere",
        "an ignored path is relative to the root: the same name deeper is signed",
        "8.6",
        of({**SMALL, "sub/cache": b"1"}, ignore_paths=["cache"]),
        files={**SMALL, "sub/cache": b"1"},
    )


def sharded_of(listed, size=10, **said):
    return statement(listed, method="shards", hash_type="sha256", shard_size=size, **said)


def good_trees():
    plain = bundle(PLAIN)
    good(
        "tree-empty-folder",
        "an empty folder is not covered by OMS, and is let be",
        "8.1",
        plain,
        tree=[*tree_of(SMALL), {"name": "model/void", "folder": True}],
    )
    good(
        "tree-hard-link",
        "a hard link is a regular file",
        "8.2",
        bundle(statement(resources({"a": b"1", "b": b"1"}))),
        tree=[entry("model/a", b"1"), {"name": "model/b", "hard_link": "model/a"}],
        files={"a": b"", "b": b""},
    )
    good(
        "tree-bundle-inside",
        "the bundle under verification lies in the folder, on no list, under a name of its own",
        "8.1",
        plain,
        at="model/mine.sig",
    )
    good(
        "tree-bundle-at-its-default-place",
        "no bundle is named: the one at model.sig is taken",
        "8.8",
        bundle(statement(resources(SMALL), ignore_paths=["model.sig"])),
        at="model/model.sig",
    )
    good(
        "tree-unsigned-tolerated",
        "the caller tolerates a file nobody signed: named, and never handed out",
        "8.1",
        plain,
        tree=tree_of({**SMALL, "extra": b"x"}),
        options={"ignore_unsigned": True},
        unsigned=["extra"],
    )
    good(
        "tree-only-some",
        "the caller selects one file; the other is damaged, and not handed out",
        "8.7",
        plain,
        tree=tree_of({"a": b"1", "b/c": b"damaged"}),
        options={"only": ["a"]},
        opens=["a"],
        skipped=["b/c"],
    )
    good(
        "tree-only-pattern-crosses-folders",
        "a star crosses folders",
        "8.7",
        plain,
        tree=tree_of({"b/c": b"22"}),
        options={"only": ["b*"]},
        opens=["b/c"],
        skipped=["a"],
    )
    linked = statement(resources({"a": b"1", "alias": b"1"}), allow_symlinks=True)
    good(
        "links-inside",
        "a link to a file, where links were signed",
        "8.4",
        bundle(linked),
        tree=[entry("model/a", b"1"), {"name": "model/alias", "link": "a"}],
        files={"a": b"", "alias": b""},
    )
    folder = statement(resources({"d/f": b"1", "e/f": b"1"}), allow_symlinks=True)
    good(
        "links-to-a-folder",
        "files below a linked folder are signed, and compared",
        "8.4",
        bundle(folder),
        tree=[entry("model/d/f", b"1"), {"name": "model/e", "link": "d"}],
        files={"d/f": b"", "e/f": b""},
    )
    good("links-none-left", "links were signed, and the copy has plain files", "8.4", bundle(linked), files={"a": b"1", "alias": b"1"})
    hub = "models--acme--tiny"
    snapshot = [
        entry(f"{hub}/blobs/aa11", b"1"),
        entry(f"{hub}/blobs/bb22", b"22"),
        {"name": f"{hub}/snapshots/rev/a", "link": "../../blobs/aa11"},
        {"name": f"{hub}/snapshots/rev/b/c", "link": "../../../blobs/bb22"},
    ]
    good(
        "links-hugging-face-cache",
        "a snapshot in a Hugging Face cache: links into the blobs beside the snapshots",
        "8.4",
        bundle(statement(resources(SMALL), allow_symlinks=True)),
        tree=snapshot,
        path=f"{hub}/snapshots/rev",
    )
    refused(
        "links-blobs-beside-no-snapshots",
        "link-escapes",
        "a folder called blobs is nothing special beside another layout",
        "8.4",
        bundle(statement(resources(SMALL), allow_symlinks=True)),
        tree=[entry("x/blobs/aa11", b"1"), {"name": "x/other/rev/a", "link": "../../blobs/aa11"}, entry("x/other/rev/b/c", b"22")],
        path="x/other/rev",
    )
    refused(
        "links-folder-in-blobs",
        "link-escapes",
        "a blob is a file: a folder among the blobs is nobody's model",
        "8.4",
        bundle(statement(resources({"a/x": b"1"}), allow_symlinks=True)),
        tree=[entry("h/blobs/aa11/x", b"1"), {"name": "h/snapshots/rev/a", "link": "../../blobs/aa11"}],
        path="h/snapshots/rev",
    )


# -- bad bundles --------------------------------------------------------------------------------------------


def bad_json():
    plain = bundle(PLAIN)
    form("json-empty", "bad-json", "no byte at all", "1.1", b"")
    form("json-truncated", "bad-json", "the last brace is missing", "1.1", plain[:-1])
    form("json-trailing-bytes", "bad-json", "one letter after the value", "1.1", plain + b"x")
    form("json-two-values", "bad-json", "a second value after the first", "1.1", plain + plain)
    form("json-bom", "bad-json", "a byte-order mark in front", "1.1", b"\xef\xbb\xbf" + plain)
    form("json-utf-16", "bad-json", "UTF-16", "1.1", plain.decode().encode("utf-16-le"))
    form("json-latin-1", "bad-json", "a byte that is no UTF-8", "1.1", plain.replace(b'"keyid": ""', b'"keyid": "\xe9"'))
    form("json-overlong", "bad-json", "an overlong form of a slash", "1.1", plain.replace(b'"keyid": ""', b'"keyid": "\xc0\xaf"'))
    form(
        "json-raw-surrogate", "bad-json", "half a surrogate pair as three raw bytes", "1.1", plain.replace(b'"keyid": ""', b'"keyid": "\xed\xa0\x80"')
    )
    form("json-nan", "bad-json", "NaN", "1.1", unsigned_edit("verificationMaterial/tlogEntries", [{"x": float("nan")}]))
    form("json-infinity", "bad-json", "minus infinity", "1.1", unsigned_edit("verificationMaterial/tlogEntries", [{"x": float("-inf")}]))
    form(
        "json-number-out-of-range",
        "bad-json",
        "1e999 is infinity to some readers",
        "1.1",
        plain.replace(b'"tlogEntries": []', b'"tlogEntries": [{"x": 1e999}]'),
    )
    form("json-single-quotes", "bad-json", "texts in single quotes", "1.1", plain.replace(b'"keyid"', b"'keyid'"))
    form("json-comment", "bad-json", "a comment", "1.1", plain.replace(b'"keyid"', b'/* x */ "keyid"'))
    form("json-trailing-comma", "bad-json", "a comma before the closing bracket", "1.1", plain.replace(b'"tlogEntries": []', b'"tlogEntries": [{},]'))
    form("json-control-character", "bad-json", "a raw line break within a text", "1.1", plain.replace(b'"keyid": ""', b'"keyid": "\n"'))
    form("json-leading-zero", "bad-json", "a number with a leading zero", "1.1", plain.replace(b'"tlogEntries": []', b'"tlogEntries": [{"x": 01}]'))
    form(
        "json-lone-surrogate",
        "bad-json",
        "half a surrogate pair, escaped, in a signed name",
        "1.1",
        bundle(text(PLAIN).replace(b'"name": "a"', b'"name": "a\\ud83d"')),
    )
    form(
        "json-duplicate-key",
        "duplicate-key",
        "the envelope twice: two readers, two envelopes",
        "1.1",
        plain.replace(b'"dsseEnvelope"', b'"dsseEnvelope": {}, "dsseEnvelope"'),
    )
    form(
        "json-duplicate-key-escaped",
        "duplicate-key",
        "the same key twice, once with an escape",
        "1.1",
        plain.replace(b'"payloadType"', b'"p\\u0061yloadType": "x", "payloadType"'),
    )
    form(
        "json-duplicate-key-signed",
        "duplicate-key",
        "a key twice in what was signed",
        "1.1",
        bundle(text(PLAIN).replace(b'"method"', b'"allow_symlinks": true, "method"')),
    )
    form("json-array", "bad-field", "a bundle is an object, not a list of one", "1.5", b"[" + plain + b"]")
    form("payload-not-json", "bad-json", "somebody we believe signed what is no JSON", "1.1 1.4", bundle(b"not JSON"))
    form("payload-not-an-object", "bad-field", "the payload is a list", "1.5", bundle(b"[]"))


def bad_base64():
    plain = json.loads(bundle(PLAIN))
    payload, raw = plain["dsseEnvelope"]["payload"], plain["dsseEnvelope"]["signatures"][0]["sig"]
    form("base64-unpadded", "bad-base64", "the padding is missing", "1.2", unsigned_edit("dsseEnvelope/signatures/0/sig", b64(b"12").rstrip("=")))
    form("base64-url-safe", "bad-base64", "the alphabet for URLs", "1.2", unsigned_edit("dsseEnvelope/signatures/0/sig", "-_-_"))
    form(
        "base64-line-breaks",
        "bad-base64",
        "lines, as MIME has them",
        "1.2",
        unsigned_edit("dsseEnvelope/payload", payload[:64] + "\n" + payload[64:]),
    )
    form(
        "base64-not-canonical",
        "bad-base64",
        "bits that are thrown away in the last group: a second spelling",
        "1.2",
        unsigned_edit("dsseEnvelope/signatures/0/sig", "QR=="),
    )
    form("base64-padding-within", "bad-base64", "two texts in one", "1.2", unsigned_edit("dsseEnvelope/signatures/0/sig", "QQ==" + raw))
    form(
        "base64-of-a-certificate",
        "bad-base64",
        "a certificate that is no base64",
        "1.2",
        bundle(PLAIN, material={"x509CertificateChain": {"certificates": [{"rawBytes": "?"}]}}),
    )
    form(
        "base64-of-an-old-key",
        "bad-base64",
        "the key of an old bundle that is no base64",
        "1.2",
        bundle(PLAIN, material={"publicKey": {"rawBytes": "?"}}),
    )


def bad_fields():
    def wrong(path, value, what):
        form(f"type-{named(path)}", "bad-field", what, "1.5", unsigned_edit(path, value))

    wrong("mediaType", None, "the media type is null")
    wrong("verificationMaterial", [], "the material is a list")
    wrong("verificationMaterial/publicKey", "key", "the public key is a text")
    wrong("verificationMaterial/publicKey/hint", 7, "the hint is a number")
    wrong("verificationMaterial/tlogEntries", None, "the log entries are null, which is not absent")
    wrong("dsseEnvelope", "x", "the envelope is a text")
    wrong("dsseEnvelope/payload", 1, "the payload is a number")
    wrong("dsseEnvelope/payloadType", ["application/vnd.in-toto+json"], "the payload type is a list")
    wrong("dsseEnvelope/signatures", {"sig": "QQ=="}, "the signatures are an object")
    wrong("dsseEnvelope/signatures/0", "QQ==", "a signature is a text")
    wrong("dsseEnvelope/signatures/0/sig", None, "the bytes of a signature are null")
    wrong("dsseEnvelope/signatures/0/keyid", 1, "keyid is a number")

    def signed(path, value, what, code="bad-field", name=None):
        form(name or f"type-signed-{named(path)}", code, what, "1.5", spoiled(path, value))

    signed("_type", None, "the statement type is null")
    signed("subject", PLAIN["subject"][0], "the subject is an object")
    signed("subject/0/name", None, "the subject's name is null")
    signed("subject/0/digest", [], "the subject's digests are a list")
    signed("predicate", [], "the predicate is a list")
    signed("predicate/resources", {}, "the resources are an object")
    signed("predicate/resources/0", "a", "a resource is a text")
    signed("predicate/resources/0/name", 1, "a name is a number")
    signed("predicate/resources/0/digest", None, "a digest is null")
    signed("predicate/serialization", None, "the serialization is null")
    signed("predicate/serialization/allow_symlinks", "false", "allow_symlinks is a text, as some readers would have taken it")
    signed("predicate/serialization/ignore_paths", None, "the ignore list is null, which is not absent")
    signed("predicate/serialization/ignore_paths", [".git", 1], "an ignored path is a number", name="type-signed-ignored-path")

    for path in (
        "mediaType",
        "verificationMaterial",
        "dsseEnvelope",
        "dsseEnvelope/payload",
        "dsseEnvelope/payloadType",
        "dsseEnvelope/signatures",
        "dsseEnvelope/signatures/0/sig",
    ):
        form(f"missing-{named(path)}", "missing-field", f"{path} is missing", "1.5", unsigned_edit(path, ABSENT))
    for path in (
        "_type",
        "subject",
        "predicateType",
        "predicate",
        "predicate/resources",
        "predicate/serialization",
        "predicate/serialization/method",
        "predicate/serialization/hash_type",
        "predicate/serialization/allow_symlinks",
        "predicate/resources/0/name",
        "predicate/resources/0/digest",
        "predicate/resources/0/algorithm",
        "subject/0/digest",
    ):
        form(f"missing-signed-{named(path)}", "missing-field", f"{path} is missing in what was signed", "1.5", spoiled(path, ABSENT))
    form(
        "missing-certificate-bytes",
        "missing-field",
        "a certificate without bytes",
        "1.5",
        bundle(PLAIN, material={"x509CertificateChain": {"certificates": [{}]}}),
    )
    form("missing-subject-name", "missing-field", "a new bundle names its subject; only old ones may not", "4.3", spoiled("subject/0/name", ABSENT))


def unknown_members():
    form("unknown-in-bundle", "unknown-field", "a second envelope under another name", "3.1", bundle(PLAIN, messageSignature={}))
    form("unknown-in-envelope", "unknown-field", "a member beside payload and signatures", "3.1", unsigned_edit("dsseEnvelope/extra", 1))
    form("unknown-in-signature", "unknown-field", "a certificate within a signature", "3.1", unsigned_edit("dsseEnvelope/signatures/0/cert", "x"))
    form("unknown-in-material", "unknown-field", "material of a kind that nobody reads", "3.2", unsigned_edit("verificationMaterial/extra", {}))
    form(
        "unknown-in-public-key",
        "unknown-field",
        "a validity that would not be looked at",
        "3.2",
        unsigned_edit("verificationMaterial/publicKey/validFor", {}),
    )
    form(
        "unknown-in-chain",
        "unknown-field",
        "a member beside the certificates",
        "3.2",
        bundle(PLAIN, material={"x509CertificateChain": {"certificates": [{"rawBytes": "QQ=="}], "x": 1}}),
    )
    form(
        "unknown-in-certificate",
        "unknown-field",
        "a member beside a certificate's bytes",
        "3.2",
        bundle(PLAIN, material={"x509CertificateChain": {"certificates": [{"rawBytes": "QQ==", "x": 1}]}}),
    )
    form(
        "unknown-in-keyless",
        "unknown-field",
        "a member beside the bytes of a keyless certificate",
        "3.2",
        bundle(PLAIN, material={"certificate": {"rawBytes": "QQ==", "x": 1}, "tlogEntries": [{}]}),
    )
    form(
        "unknown-key-details",
        "unknown-field",
        "details of a key that is not there: the hint of a new bundle, the details of an old one",
        "3.2",
        unsigned_edit("verificationMaterial/publicKey/keyDetails", "PKIX_ECDSA_P256_SHA_256"),
    )
    form(
        "unknown-in-timestamps",
        "unknown-field",
        "timestamps of a kind that nobody reads",
        "3.2",
        bundle(PLAIN, material={"publicKey": {"hint": ""}, "timestampVerificationData": {"x": []}}),
    )
    form("log-entry-not-an-object", "bad-field", "a log entry that is a number", "3.3", unsigned_edit("verificationMaterial/tlogEntries", [1]))
    form(
        "timestamp-not-an-object",
        "bad-field",
        "a timestamp that is a text",
        "3.3",
        bundle(PLAIN, material={"publicKey": {"hint": ""}, "timestampVerificationData": {"rfc3161Timestamps": ["x"]}}),
    )
    form("unknown-in-statement", "unknown-field", "a condition beside the predicate", "3.4", bundle({**PLAIN, "expires": "2020-01-01"}))
    form("unknown-in-predicate", "unknown-field", "a condition beside the resources", "3.4", spoiled("predicate/onlyFor", "testing"))
    form(
        "unknown-in-serialization",
        "unknown-field",
        "a rule of enumeration that nobody knows",
        "3.4",
        spoiled("predicate/serialization/ignore_globs", ["*"]),
    )


def material():
    form("material-none", "bad-material", "no material at all", "3.2", bundle(PLAIN, material={"tlogEntries": []}))
    form(
        "material-two-kinds",
        "bad-material",
        "a key and a certificate: which one?",
        "3.2",
        bundle(PLAIN, material={"publicKey": {"hint": ""}, "certificate": {"rawBytes": "QQ=="}, "tlogEntries": [{}]}),
    )
    form("material-empty-key", "bad-material", "neither hint nor key", "4.1", bundle(PLAIN, material={"publicKey": {}}))
    form(
        "material-empty-certificate",
        "bad-material",
        "a certificate of no bytes",
        "4.14",
        bundle(PLAIN, material={"x509CertificateChain": {"certificates": [{"rawBytes": ""}]}}),
    )
    form(
        "material-no-certificates",
        "no-certificates",
        "a chain of no certificates",
        "4.14",
        bundle(PLAIN, material={"x509CertificateChain": {"certificates": []}}),
    )
    form(
        "material-keyless-without-log",
        "missing-log-entry",
        "a keyless bundle without a log entry",
        "4.14",
        bundle(PLAIN, material={"certificate": {"rawBytes": "QQ=="}}),
    )
    refused(
        "material-old-key-is-not-believed",
        "wrong-signer",
        "an old bundle brings its own key, and is signed with that",
        "4.1",
        bundle(PLAIN, MALLORY, material=old_material(MALLORY)),
    )
    for name, value, why in (
        ("json", "application/json", "not a Sigstore bundle"),
        ("0.4", "application/vnd.dev.sigstore.bundle.v0.4+json", "a version that does not exist"),
        ("0.2-new-spelling", "application/vnd.dev.sigstore.bundle.v0.2+json", "an old version in the new spelling"),
        ("mixed", "application/vnd.dev.sigstore.bundle.v0.3+json;version=0.3", "both spellings at once"),
        ("charset", "application/vnd.dev.sigstore.bundle.v0.3+json; charset=utf-8", "a media type with a parameter"),
    ):
        form(f"media-type-{name}", "bad-media-type", why, "4.12", bundle(PLAIN, mediaType=value))
    form(
        "payload-type-wrong",
        "bad-payload-type",
        "another payload type, signed as such",
        "5.8",
        bundle(PLAIN, kind="application/json", signed=lambda payload: pae(payload, "application/json")),
    )
    form("payload-empty", "empty-payload", "an empty payload", "1.4", bundle(b""))
    form("signatures-none", "no-signatures", "an empty list of signatures", "4.13", bundle(PLAIN, signatures=[]))
    form("signature-empty", "empty-signature", "a signature of no bytes", "4.13", bundle(PLAIN, signatures=[sig(b"")]))


def limits():
    plain = bundle(PLAIN)
    limit("bundle-too-large", "too-large", "larger than the caller allows", "6.1 1.3", plain, options={"max_bundle_bytes": len(plain) - 1})
    limit(
        "material-too-large",
        "too-large",
        "a hint of sixteen mebibytes",
        "6.3 1.3",
        bundle(PLAIN, material={"publicKey": {"hint": "a" * (16 << 20)}}),
    )
    limit("nesting-too-deep", "too-deep", "65 levels", "6.2 1.3", plain.replace(b'"tlogEntries": []', b'"tlogEntries": ' + b"[" * 63 + b"]" * 63))
    limit(
        "nesting-too-deep-signed",
        "too-deep",
        "65 levels in what was signed, in a member that would be ignored",
        "6.2",
        bundle(text(PLAIN).replace(b'"name": "a"', b'"x": ' + b"[" * 61 + b"]" * 61 + b', "name": "a"')),
    )
    limit("nesting-bomb", "too-deep", "a hundred thousand opening brackets, and no JSON", "6.2 1.3", b"[" * 100_000)
    limit(
        "too-many-values",
        "too-many-values",
        "more values than any bundle has around its payload",
        "6.3",
        plain.replace(b'"tlogEntries": []', b'"tlogEntries": [' + b"{}," * 65_536 + b"{}]"),
    )
    limit(
        "too-many-signatures",
        "too-many-signatures",
        "33 signatures",
        "6.4",
        bundle(PLAIN, signatures=lambda payload: [sig(ALICE.sign(pae(payload)))] * 33),
    )
    limit("signature-too-long", "signature-too-long", "a signature of 4,097 bytes", "6.4", bundle(PLAIN, signatures=[sig(b"x" * 4097)]))
    limit(
        "chain-too-long",
        "chain-too-long",
        "eleven certificates",
        "6.5",
        bundle(PLAIN, material={"x509CertificateChain": {"certificates": [{"rawBytes": "QQ=="}] * 11}}),
    )
    limit("too-many-log-entries", "too-many-entries", "33 log entries", "6.6", unsigned_edit("verificationMaterial/tlogEntries", [{}] * 33))
    limit(
        "too-many-timestamps",
        "too-many-entries",
        "33 timestamps",
        "6.6",
        bundle(PLAIN, material={"publicKey": {"hint": ""}, "timestampVerificationData": {"rfc3161Timestamps": [{}] * 33}}),
    )
    short = b'{"digest":{"sha256":"ab"},"name":"a"}'
    compact = json.dumps(PLAIN, separators=(",", ":")).encode()
    subjects = compact.index(b'"subject":[') + len(b'"subject":[')
    many = compact[:subjects] + (short + b", ") * 1024 + compact[subjects:]
    limit("too-many-subjects", "too-many-subjects", "1,025 subjects", "6.7", bundle(many))
    old = many.replace(OMS.encode(), OLD.encode()).replace((short + b", ") * 1024, (short + b", ") * 100_000)
    limit("too-many-subjects-0.2.0", "too-many-subjects", "100,001 files of a 0.2.0 signature", "6.7", bundle(old))
    listed = compact.index(b'"resources":[') + len(b'"resources":[')
    limit(
        "too-many-resources",
        "too-many-resources",
        "more than two million resources",
        "6.8",
        bundle(compact[:listed] + b"{}," * 2_000_000 + compact[listed:]),
    )
    limit(
        "too-many-ignored-paths",
        "too-many-ignores",
        "10,001 ignored paths",
        "6.8",
        bundle(compact.replace(b'"ignore_paths":[', b'"ignore_paths":["y"' + b',"x"' * 10_000)),
    )
    limit("name-too-long", "name-too-long", "a name of 4,097 bytes", "6.9", bundle(statement(resources({"n" * 4097: b""}))))
    limit(
        "name-too-long-in-bytes", "name-too-long", "2,049 characters of two bytes each", "6.9", bundle(statement(resources({"\u00e9" * 2049: b""})))
    )
    limit("name-too-deep", "name-too-deep", "a file in 300 folders", "6.9", bundle(statement(resources({"d/" * 300 + "f": b""}))))
    form("shard-size-too-large", "bad-shard-size", "a shard size of 2^63", "6.10", bundle(sharded(LONG, 30, size=2**63)))
    form("shard-offset-too-long", "bad-shard-name", "an offset of nineteen digits", "6.10", bundle(named_shards("f:0:1000000000000000000")))


def named_shards(*names, size=10):
    """Sign ranges under these names; a name's content is its length in x where it has one."""
    return sharded_of([{"name": name, "algorithm": "sha256", "digest": digest(b"x" * 10)} for name in names], size)


def signatures():
    def by(make):
        return bundle(PLAIN, signatures=lambda payload: [sig(make(payload))])

    refused("signer-unknown", "wrong-signer", "a stranger signed it", "4.13", bundle(PLAIN, MALLORY))
    refused(
        "signer-unknown-with-our-hint",
        "wrong-signer",
        "a stranger signed it, and names our key",
        "4.13",
        bundle(PLAIN, MALLORY, material={"publicKey": {"hint": ALICE.hint}}),
    )
    refused("signer-of-another-role", "wrong-signer", "a publisher is no author", "4.13", bundle(PLAIN, ALICE), trust=POLICY["publisher"])
    refused("signer-one-of-two", "below-threshold", "one of two authors that are needed", "4.13", bundle(PLAIN, ALICE), trust=POLICY["two-of-two"])
    refused(
        "signer-twice-is-one",
        "below-threshold",
        "one author twice, with different keyids",
        "4.13",
        bundle(PLAIN, signatures=lambda payload: [sig(ALICE.sign(pae(payload)), "alice"), sig(ALICE.sign(pae(payload)), "bob")]),
        trust=POLICY["two-of-two"],
    )
    refused(
        "signer-and-malleable-twin",
        "below-threshold",
        "one author's signature and its other S",
        "4.13",
        bundle(PLAIN, signatures=lambda payload: [sig(ALICE.sign(pae(payload))), sig(twin_of(ALICE.sign(pae(payload))))]),
        trust=POLICY["two-of-two"],
    )
    refused(
        "payload-edited",
        "wrong-signer",
        "a digest in the payload was changed after signing",
        "1.4",
        bundle(text(PLAIN).replace(digest(b"1").encode(), digest(b"2").encode()), signed=lambda _: pae(text(PLAIN))),
    )
    refused(
        "payload-reformatted",
        "wrong-signer",
        "the same JSON without spaces is not what was signed",
        "1.4",
        bundle(json.dumps(PLAIN, separators=(",", ":")).encode(), signed=lambda _: pae(text(PLAIN))),
    )
    refused(
        "payload-not-json-unsigned",
        "wrong-signer",
        "what nobody signed is not parsed: the signature is the first fault",
        "1.4",
        bundle(b"not JSON", MALLORY, material={"publicKey": {"hint": ""}}),
    )
    refused("pae-none", "wrong-signer", "the bare payload was signed", "1.4", bundle(PLAIN, signed=lambda payload: payload))
    refused(
        "pae-another-type",
        "wrong-signer",
        "the PAE of another payload type was signed",
        "5.8",
        bundle(PLAIN, signed=lambda payload: pae(payload, "text/plain")),
    )
    refused(
        "pae-length-wrong",
        "wrong-signer",
        "the PAE with a length that is one too many",
        "1.4",
        bundle(PLAIN, signed=lambda payload: pae(payload).replace(b" %d " % len(payload), b" %d " % (len(payload) + 1))),
    )
    refused(
        "pae-characters-for-bytes",
        "wrong-signer",
        "the PAE with the length in characters",
        "1.4",
        bundle(
            json.dumps(statement(resources({"\u00e9": b""})), ensure_ascii=False).encode(),
            signed=lambda payload: pae(payload).replace(b" %d " % len(payload), b" %d " % len(payload.decode())),
        ),
    )
    refused(
        "pae-base64",
        "wrong-signer",
        "the PAE of the payload's base64 was signed",
        "1.4",
        bundle(PLAIN, signed=lambda payload: pae(b64(payload).encode())),
    )
    refused("signature-raw-form", "wrong-signer", "r and s side by side, without DER", "4.13", by(raw_form))
    refused("signature-trailing-byte", "wrong-signer", "one byte after the DER", "4.13", by(lambda payload: ALICE.sign(pae(payload)) + b"\0"))
    refused("signature-truncated", "wrong-signer", "the last byte is missing", "4.13", by(lambda payload: ALICE.sign(pae(payload))[:-1]))
    refused(
        "signature-ber",
        "wrong-signer",
        "a length in two bytes where one would do",
        "4.13",
        by(lambda payload: b"\x30\x81" + ALICE.sign(pae(payload))[1:]),
    )
    refused("signature-zeros", "wrong-signer", "r and s are zero (CVE-2022-21449)", "4.13", by(lambda _: bytes.fromhex("3006020100020100")))
    refused(
        "hash-of-another-curve",
        "wrong-signer",
        "P-384 with SHA-256, outside of 0.2.0",
        "9.5",
        bundle(PLAIN, BOB, signatures=lambda payload: [sig(BOB.sign(pae(payload), hashes.SHA256()))]),
        trust="bob",
    )
    certificate = {"x509CertificateChain": {"certificates": [{"rawBytes": "QQ=="}]}}
    refused(
        "material-certificate-for-a-key",
        "unsupported-material",
        "a certificate is asked for, and only a key is believed",
        "4.14",
        bundle(PLAIN, MALLORY, material=certificate),
    )
    good(
        "material-certificate-beside-our-key",
        "a certificate that nobody can judge, and a signature of a key that is believed: material chooses nothing",
        "4.13 4.14",
        bundle(PLAIN, material=certificate),
    )


def raw_form(payload):
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(ALICE.sign(pae(payload)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


# -- bad statements and manifests ---------------------------------------------------------------------------


def statements():
    form("statement-type-old", "bad-statement-type", "in-toto Statement v0.1", "5.8", spoiled("_type", "https://in-toto.io/Statement/v0.1"))
    refused(
        "predicate-other",
        "wrong-predicate-type",
        "a signed statement of another kind",
        "5.8",
        spoiled("predicateType", "https://slsa.dev/provenance/v1"),
    )
    refused("predicate-almost", "wrong-predicate-type", "OMS's type with a slash behind it", "5.8", spoiled("predicateType", OMS + "/"))
    refused(
        "predicate-later-version",
        "wrong-predicate-type",
        "a version of OMS that is to come",
        "5.8",
        spoiled("predicateType", "https://model_signing/signature/v1.1"),
    )
    form("subject-none", "no-subject", "no subject", "5.1", spoiled("subject", []))
    form("subject-two", "bad-subject", "two subjects", "5.1", spoiled("subject", PLAIN["subject"] * 2))
    form("subject-without-sha256", "bad-subject", "the root digest under another name", "5.1", spoiled("subject/0/digest", {"sha512": "ab"}))
    form("subject-empty-name", "bad-subject", "a subject with an empty name", "5.1", spoiled("subject/0/name", ""))
    form("subject-no-digest", "bad-subject", "a subject without any digest", "5.1", spoiled("subject/0/digest", {}))
    form(
        "subject-digest-upper-case",
        "bad-digest",
        "the root digest in capitals",
        "5.1",
        spoiled("subject/0/digest/sha256", root_of(PLAIN["predicate"]["resources"]).upper()),
    )
    form(
        "subject-digest-short",
        "bad-digest",
        "a root digest of 31 bytes",
        "5.1",
        spoiled("subject/0/digest/sha256", root_of(PLAIN["predicate"]["resources"])[:-2]),
    )
    refused("root-digest-wrong", "root-digest-mismatch", "the root digest of another manifest", "5.1", spoiled("subject/0/digest/sha256", "ab" * 32))
    swapped = statement(PLAIN["predicate"]["resources"][::-1], root=root_of(PLAIN["predicate"]["resources"]))
    refused(
        "root-digest-of-another-order",
        "root-digest-mismatch",
        "the root digest of the sorted list, for a list that is not sorted",
        "4.6",
        bundle(swapped),
    )
    form("manifest-empty", "empty-manifest", "a manifest of nothing", "5.1", bundle(statement([])))
    form("method-unknown", "bad-method", "a method that nobody knows", "5.7", bundle(statement(resources(SMALL), method="tree")))
    form("files-with-a-shard-size", "bad-shard-size", "files have no shard size", "5.7", bundle(statement(resources(SMALL), shard_size=10)))
    form("files-with-a-null-size", "bad-shard-size", "files with a shard size of null, which is not absent", "5.7", bundle(statement(resources(SMALL), shard_size=None)))
    form("hash-unknown", "unknown-algorithm", "MD5", "5.4", bundle(statement(resources(SMALL, "md5"), hash_type="md5")))
    form(
        "hash-of-the-configuration",
        "unknown-algorithm",
        "blake2 is what the reference calls it in its options, not in documents",
        "5.4",
        bundle(statement(resources(SMALL, "blake2b", spelled="blake2"), hash_type="blake2")),
    )
    form("hash-in-capitals", "unknown-algorithm", "SHA256", "5.4", bundle(statement(resources(SMALL, spelled="SHA256"), hash_type="SHA256")))
    form(
        "hash-mixed",
        "algorithm-mismatch",
        "one file under another hash",
        "5.4",
        bundle(statement([*resources({"a": b"1"}), *resources({"b": b"2"}, "blake3")])),
    )
    form(
        "hash-sharded-of-files",
        "algorithm-mismatch",
        "the spelling of shards in a manifest of files",
        "4.4",
        bundle(statement(resources(SMALL, spelled="sha256-sharded-10"))),
    )
    form(
        "hash-sharded-of-another-size",
        "algorithm-mismatch",
        "sha256-sharded-20 where 10 was signed",
        "4.4",
        bundle(sharded_of(resources(LONG, shard=10, spelled="sha256-sharded-20"))),
    )
    form(
        "hash-type-sharded-of-another-size",
        "unknown-algorithm",
        "sha256-sharded-20 as hash_type where 10 was signed",
        "4.4",
        bundle(statement(resources(LONG, shard=10), method="shards", hash_type="sha256-sharded-20", shard_size=10)),
    )
    form(
        "hash-type-sharded-of-files",
        "unknown-algorithm",
        "sha256-sharded-10 as hash_type of files",
        "4.4",
        bundle(statement(resources(SMALL), hash_type="sha256-sharded-10")),
    )
    form("digest-short", "bad-digest", "a digest of 31 bytes", "5.4", bundle(changed_root("predicate/resources/0/digest", "ab" * 31)))
    form(
        "digest-of-another-length",
        "bad-digest",
        "64 bytes under the name of sha256",
        "5.4",
        bundle(changed_root("predicate/resources/0/digest", "ab" * 64)),
    )
    form("digest-upper-case", "bad-digest", "a digest in capitals", "5.4", spoiled("predicate/resources/0/digest", "AB" * 32))
    form("digest-not-hex", "bad-digest", "a digest in base64", "5.4", spoiled("predicate/resources/0/digest", b64(b"x" * 48)))


def changed_root(path, value):
    said = changed(PLAIN, path, value)
    said["subject"][0]["digest"]["sha256"] = root_of(said["predicate"]["resources"])
    return said


def names():
    def unsafe(name, what, why):
        form(f"name-{what}", "unsafe-name", why, "5.2", bundle(statement(resources({name: b"1"}))))

    unsafe("/etc/passwd", "absolute", "an absolute name")
    unsafe("../a", "climbing", "a name that leaves the folder")
    unsafe("a/../../b", "climbing-within", "a name that leaves the folder on the way")
    unsafe("./a", "dot-first", "a dot in front, which some readers take away")
    unsafe("a/./b", "dot-within", "a dot on the way")
    unsafe("a//b", "empty-component", "two slashes, which some readers take for one")
    unsafe("a/", "trailing-slash", "a slash behind, which some readers take away")
    unsafe("", "empty", "an empty name")
    unsafe("..", "parent", "the folder above")
    unsafe("a\\b", "backslash", "a backslash, which is a slash elsewhere")
    unsafe("a\nb", "line-break", "a line break")
    unsafe("a\x00b", "nul", "a NUL, where other readers stop")
    unsafe("a\x1b[2Kb", "escape-sequence", "an escape sequence that paints over a terminal")
    unsafe("a\x7f", "delete", "the control character above ASCII's letters")
    unsafe("a\x85b", "next-line", "a control character above ASCII")
    unsafe("a\u202etxt.exe", "bidi-override", "an override of direction: it reads as another name")
    unsafe("a\u2028b", "line-separator", "Unicode's line separator")
    form("name-dot-among-others", "unsafe-name", "'.' is one file alone", "5.2", bundle(statement(resources({".": b"1", "a": b"2"}))))
    form("shards-name-climbing", "unsafe-name", "a range of a file outside", "5.2", bundle(named_shards("../a:0:10")))
    form("shards-dot-among-others", "unsafe-name", "a range of '.' beside another file's", "5.2", bundle(named_shards(".:0:10", "a:0:10")))
    form("shards-file-and-folder", "name-twins", "ranges of a file, and of another below it", "5.3", bundle(named_shards("a:0:10", "a/b:0:10")))
    twice = [*resources({"a": b"1"}), *resources({"a": b"2"})]
    form("name-twice", "duplicate-name", "one name with two digests", "5.3", bundle(statement(twice)), files={"a": b"2"})
    form(
        "name-twice-same-digest",
        "duplicate-name",
        "one name twice with the same digest",
        "5.3",
        bundle(statement(resources({"a": b"1"}) * 2)),
        files={"a": b"1"},
    )

    def twins(first, second, what, why):
        form(f"twins-{what}", "name-twins", why, "5.3", bundle(statement(resources({first: b"1", second: b"2"}))))

    twins("weights", "Weights", "case", "two names that differ in case")
    twins("\u00e9", "e\u0301", "unicode", "two names that differ in normalization")
    twins("A/x", "a/y", "folders", "two folders that differ in case")
    twins("a", "A/x", "file-and-folder-case", "a file and a folder that differ in case")
    twins("a", "a/b", "file-and-folder", "one name for a file and for a folder")
    twins("stra\u00dfe", "STRASSE", "full-folding", "two names that are one under full case folding")
    twins("ab", "a\u200bb", "invisible", "two names that differ in what nobody sees")
    twins("\u212a", "k", "compatible-sign", "the Kelvin sign and k are one letter under folding")


def shards():
    def bad(what, code, why, said, rules="5.5"):
        form(f"shards-{what}", code, why, rules, bundle(said), files=LONG)

    bad("gap", "bad-shards", "bytes 10 to 20 are nobody's", named_shards("f:0:10", "f:20:30"))
    bad("overlap", "bad-shards", "bytes 5 to 10 have two digests", named_shards("f:0:10", "f:5:15"))
    bad("not-from-zero", "bad-shards", "the first ten bytes are nobody's", named_shards("f:10:20"))
    bad("empty-among-others", "bad-shards", "an empty range behind a full one", named_shards("f:0:10", "f:10:10"))
    bad("twice", "duplicate-name", "one range twice", named_shards("f:0:10", "f:0:10"), "5.3")
    bad("short-within", "bad-shard-size", "a short range that is not the last", named_shards("f:0:5", "f:5:15"))
    bad("longer-than-signed", "bad-shard-size", "ranges of twenty where ten was signed", named_shards("f:0:20"))
    bad("no-range", "bad-shard-name", "a whole file among shards", named_shards("f"))
    bad("half-a-range", "bad-shard-name", "a name with one number", named_shards("f:10"))
    bad("backwards", "bad-shard-name", "a range that ends before it starts", named_shards("f:10:0"))
    bad("leading-zero", "bad-shard-name", "a range whose start has a leading zero", named_shards("f:00:10"))
    bad("negative", "bad-shard-name", "a negative start", named_shards("f:-10:0"))
    bad("plus-sign", "bad-shard-name", "a number with a plus sign", named_shards("f:0:+10"))
    bad("spaces", "bad-shard-name", "a number with a space", named_shards("f: 0:10"))
    bad("foreign-digits", "bad-shard-name", "digits of another script", named_shards("f:\u0660:\u0661\u0660"))
    bad("no-name", "bad-shard-name", "a range of nothing", named_shards(":0:10"))
    bad("size-missing", "bad-shard-size", "no shard size", changed(sharded(LONG), "predicate/serialization/shard_size", ABSENT), "5.7")
    bad("size-zero", "bad-shard-size", "a shard size of zero", sharded(LONG, 10, size=0), "5.7")
    bad("size-negative", "bad-shard-size", "a shard size below zero", changed(sharded(LONG), "predicate/serialization/shard_size", -10), "5.7")
    bad("size-fraction", "bad-shard-size", "a shard size of 10.5", changed(sharded(LONG), "predicate/serialization/shard_size", 10.5), "4.5")
    bad("size-text", "bad-shard-size", "a shard size as a text", changed(sharded(LONG), "predicate/serialization/shard_size", "10"), "5.7")
    bad("size-bool", "bad-shard-size", "true is one to some readers", changed(sharded(LONG), "predicate/serialization/shard_size", True), "5.7")


def ignored():
    def hiding(what, code, why, paths, rules="5.6"):
        form(f"ignored-{what}", code, why, rules, bundle(statement(resources(SMALL), ignore_paths=paths)))

    hiding("resource-itself", "ignored-resource", "a file is signed and ignored", ["a"])
    hiding("resource-below", "ignored-resource", "a file is signed below an ignored folder", ["b"])
    hiding("resource-as-typed", "ignored-resource", "a file is signed and ignored, in another spelling", ["./b//"])
    hiding("absolute", "unsafe-name", "an absolute ignored path", ["/a"], "5.2")
    hiding("climbing", "unsafe-name", "an ignored path outside", ["../a"], "5.2")
    hiding("everything", "unsafe-name", "the root itself is ignored", ["."], "5.2")
    hiding("nothing", "unsafe-name", "an empty ignored path, which is the root to some readers", [""], "5.2")
    form("ignored-shard", "ignored-resource", "a range lies under an ignored path", "5.6", bundle(sharded(LONG, ignore_paths=["f"])))


# -- bad artifacts ------------------------------------------------------------------------------------------


def trees():
    plain = bundle(PLAIN)

    def differs(what, code, why, rules, files, raw=plain, **how):
        refused(f"tree-{what}", code, why, rules, raw, tree=tree_of(files) if isinstance(files, dict) else files, **how)

    differs("changed", "digest-mismatch", "one byte of a file changed", "8.3", {"a": b"2", "b/c": b"22"})
    differs("truncated", "digest-mismatch", "a file lacks its end", "8.3", {"a": b"1", "b/c": b"2"})
    differs("extended", "digest-mismatch", "a file has more than was signed", "8.3", {"a": b"1", "b/c": b"222"})
    differs("emptied", "digest-mismatch", "a file is empty", "8.3", {"a": b"", "b/c": b"22"})
    differs(
        "swapped", "digest-mismatch", "two files changed places: the root digest of what is there is the same set", "8.3", {"a": b"22", "b/c": b"1"}
    )
    differs("missing", "file-missing", "a signed file is not there", "8.2", {"a": b"1"})
    differs("renamed-in-order", "file-missing", "a rename that keeps the order, and so the root digest", "8.2", {"a": b"1", "b/d": b"22"})
    differs("extra", "unsigned-file", "a file nobody signed", "8.1", {**SMALL, "x.py": b"import os"})
    differs("extra-empty", "unsigned-file", "an empty file nobody signed", "8.1", {**SMALL, "x": b""})
    differs("extra-hidden", "unsigned-file", "a hidden file nobody signed", "8.1", {**SMALL, "b/.x": b""})
    differs("extra-git", "unsigned-file", "a git folder, and nothing on the signed list", "8.1", {**SMALL, ".git/hooks/post-checkout": b"#!/bin/sh"})
    differs(
        "extra-git-without-a-list",
        "unsigned-file",
        "a git folder, and no list in a new bundle",
        "4.8",
        {**SMALL, ".git/x": b""},
        raw=bundle(statement(resources(SMALL), ignore_paths=ABSENT)),
    )
    differs(
        "extra-git-in-old-bundle-with-list",
        "unsigned-file",
        "a new bundle dressed up as an old one: its list stands",
        "4.2",
        {**SMALL, ".git/x": b""},
        raw=bundle(PLAIN, material=old_material(ALICE)),
    )
    differs(
        "extra-gitmodules",
        "unsigned-file",
        "old bundles leave four names out, and this is none of them",
        "4.2",
        {**SMALL, ".gitmodules": b""},
        raw=bundle(statement(resources(SMALL), ignore_paths=ABSENT), material=old_material(ALICE)),
    )
    differs(
        "extra-git-deeper",
        "unsigned-file",
        "git's names are left out at the root alone",
        "4.2",
        {**SMALL, "b/.git/x": b""},
        raw=bundle(statement(resources(SMALL), ignore_paths=ABSENT), material=old_material(ALICE)),
    )
    differs(
        "extra-git-beside-signed",
        "unsigned-file",
        "an old bundle that signed something of .git leaves nothing else of it out",
        "4.2",
        {**SMALL, ".git/HEAD": b"1", ".git/hooks/x": b""},
        raw=bundle(statement(resources({**SMALL, ".git/HEAD": b"1"}), ignore_paths=ABSENT), material=old_material(ALICE)),
    )
    differs(
        "extra-beside-ignored",
        "unsigned-file",
        "what is ignored is a whole component, not the beginning of a name",
        "8.6",
        {**SMALL, "cache-x": b""},
        raw=bundle(statement(resources(SMALL), ignore_paths=["cache"])),
    )
    differs("second-bundle", "unsigned-file", "another bundle than the one under verification", "8.1", {**SMALL, "old.sig": b"{}"})
    differs(
        "only-does-not-excuse-extras",
        "unsigned-file",
        "one file is selected, and another is nobody's",
        "8.7",
        {**SMALL, "x": b""},
        options={"only": ["a"]},
    )
    differs("only-and-missing", "file-missing", "the file that is selected is not there", "8.7", {"a": b"1"}, options={"only": ["b*"]})
    differs(
        "tolerated-is-not-signed",
        "file-missing",
        "unsigned files are tolerated, missing ones are not",
        "8.1",
        {"a": b"1", "b/d": b"22"},
        options={"ignore_unsigned": True},
    )
    differs("empty", "file-missing", "an empty folder", "8.2", [{"name": "model", "folder": True}])
    differs("file-for-folder", "file-missing", "a file stands where a folder was", "8.2", {"a": b"1", "b": b"22"})
    differs("folder-for-file", "file-missing", "a folder stands where a file was", "8.2", {"a/a": b"1", "b/c": b"22"})
    differs("case-changed", "file-missing", "a file under another case", "8.2", {"A": b"1", "b/c": b"22"})
    differs(
        "normalization-changed",
        "file-missing",
        "a file under another normalization",
        "8.2",
        {"e\u0301": b"1"},
        raw=bundle(statement(resources({"\u00e9": b"1"}))),
    )
    sharding = bundle(sharded(LONG))
    differs("shard-changed", "digest-mismatch", "one byte in the second range", "8.3", {"f": LONG["f"][:15] + b"x" + LONG["f"][16:]}, raw=sharding)
    differs("shards-extended", "digest-mismatch", "bytes behind the last range", "8.3", {"f": LONG["f"] + b"x"}, raw=sharding)
    differs("shards-truncated", "digest-mismatch", "the last range is not there", "8.3", {"f": LONG["f"][:20]}, raw=sharding)
    differs(
        "empty-shard-filled",
        "digest-mismatch",
        "an empty file that is signed as path:0:0 has bytes",
        "8.3",
        {"e": b"x", "f": b"1"},
        raw=bundle(sharded({"e": b"", "f": b"1"})),
    )
    differs(
        "single-is-a-folder",
        "file-missing",
        "a single file was signed, and there is a folder",
        "8.2",
        {"a": b"x" * 25},
        raw=bundle(statement(resources({".": b"x" * 25}))),
    )
    refused(
        "tree-single-changed",
        "digest-mismatch",
        "a single file called '.' has other bytes",
        "8.3",
        bundle(statement(resources({".": b"x" * 25}))),
        tree=[entry("model.bin", b"x" * 24 + b"y")],
        path="model.bin",
    )
    refused(
        "tree-single-renamed",
        "file-missing",
        "a single file signed by its name has another",
        "4.7",
        bundle(statement(resources({"model.bin": b"x"}))),
        tree=[entry("other.bin", b"x")],
        path="other.bin",
    )

    links()
    differs("fifo", "special-file", "a pipe, which would hang a reader", "8.5", [*tree_of(SMALL), {"name": "model/p", "fifo": True}])
    differs("fifo-for-a-file", "special-file", "a pipe under a signed name", "8.5", [entry("model/a", b"1"), {"name": "model/b/c", "fifo": True}])
    differs(
        "fifo-ignored",
        "special-file",
        "a pipe at an ignored path",
        "8.5",
        [*tree_of(SMALL), {"name": "model/cache", "fifo": True}],
        raw=bundle(statement(resources(SMALL), ignore_paths=["cache"])),
    )
    differs(
        "socket-tolerated",
        "special-file",
        "a socket, where unsigned files are tolerated",
        "8.5",
        [*tree_of(SMALL), {"name": "model/s", "socket": True}],
        options={"ignore_unsigned": True},
    )
    differs("name-with-line-break", "unsafe-name", "a name on the disk that no manifest could hold", "8.5", {**SMALL, "x\ny": b""})
    differs("name-not-utf-8", "unsafe-name", "a name on the disk that is no text", "8.5", [*tree_of(SMALL), entry(b"model/\xff", b"")])
    differs("twins", "name-twins", "a twin of a signed file beside it", "8.5", {**SMALL, "A": b"1"})
    differs("twins-tolerated", "name-twins", "a twin of a signed file, where unsigned files are tolerated", "8.5", {**SMALL, "b/C": b""}, options={"ignore_unsigned": True})
    for name in ("model.sig", ".gitattributes", ".gitignore"):
        differs(
            f"folder-as-{name.strip('.').replace('.', '-')}",
            "unsigned-file",
            f"a folder as {name}, which is ignored as a file",
            "8.5",
            {**SMALL, f"{name}/x": b""},
            raw=bundle(statement(resources(SMALL), ignore_paths=[name])),
        )
    differs(
        "link-as-bundle",
        "unsigned-file",
        "a link to a folder as model.sig, which is ignored as a file",
        "8.5",
        [entry("outside/x", b""), *tree_of(SMALL), {"name": "model/model.sig", "link": "../outside"}],
        raw=bundle(statement(resources(SMALL), ignore_paths=["model.sig", "x"])),
    )
    differs(
        "folder-as-claims",
        "unsigned-file",
        "a folder under the name of the claims file, which is ignored as a file",
        "8.5",
        {**SMALL, "model.claims.jsonl/x": b""},
        raw=bundle(statement(resources(SMALL), ignore_paths=["model.claims.jsonl", "model.sig"])),
    )
    refused("bundle-none", "unsigned", "no bundle at its default place", "8.8", None)
    BOOK.bad(
        "tree-only-matches-nothing",
        "nothing-selected",
        "a pattern that selects nothing is a mistake",
        "8.7",
        plain,
        exit=2,
        options={"only": ["a", "z*"]},
    )


def links():
    linked = bundle(statement(resources({"a": b"1", "l": b"1"}), allow_symlinks=True))

    def bad(what, code, why, tree, raw=linked):
        refused(f"links-{what}", code, why, "8.4", raw, tree=tree)

    bad(
        "not-signed",
        "symlink",
        "a link, and the statement allows none",
        [entry("model/a", b"1"), {"name": "model/b/c", "link": "../a"}],
        bundle(PLAIN),
    )
    bad(
        "not-signed-extra",
        "symlink",
        "a link that nobody signed, and no links allowed",
        [*tree_of(SMALL), {"name": "model/l", "link": "a"}],
        bundle(PLAIN),
    )
    bad(
        "escape",
        "link-escapes",
        "a link out of the folder",
        [entry("outside", b"1"), entry("model/a", b"1"), {"name": "model/l", "link": "../outside"}],
    )
    bad("absolute", "link-escapes", "an absolute link", [entry("model/a", b"1"), {"name": "model/l", "link": "/etc/hostname"}])
    bad("dangling", "link-dangling", "a link to nothing", [entry("model/a", b"1"), {"name": "model/l", "link": "gone"}])
    bad("to-itself", "link-cycle", "a link to itself", [entry("model/a", b"1"), {"name": "model/l", "link": "l"}])
    bad("to-the-root", "link-cycle", "a link to the folder that holds it", [entry("model/a", b"1"), {"name": "model/l", "link": "."}])
    bad(
        "changed-target",
        "digest-mismatch",
        "a link that leads to another file now",
        [entry("model/a", b"1"), {"name": "model/l", "link": "b"}, entry("model/b", b"2")],
        bundle(statement(resources({"a": b"1", "b": b"2", "l": b"1"}), allow_symlinks=True)),
    )
    bad(
        "unsigned-below-folder",
        "unsigned-file",
        "a file below a linked folder that nobody signed",
        [entry("model/a", b"1"), entry("model/d/x", b""), {"name": "model/l", "link": "d"}],
        bundle(statement(resources({"a": b"1", "d/x": b""}), allow_symlinks=True)),
    )


# -- model-signing 0.2.0 ------------------------------------------------------------------------------------


def old_writer():
    said = old_statement(SMALL)
    material = old_material(ALICE)

    def by(statement_, *, person=ALICE, signed=buggy, algorithm=None):
        return bundle(
            statement_,
            person,
            material=old_material(person),
            signatures=lambda payload: [sig(person.sign(signed(payload), algorithm or hashes.SHA256()), None)],
        )

    good("old-made-here", "as 0.2.0 signs, made again", "9.4", by(said))
    good("old-real-pae", "a 0.2.0 statement under the real PAE", "9.4", bundle(said, material=material))
    good("old-real-pae-p384", "a 0.2.0 statement under the real PAE: the hash is the curve's own", "9.5", bundle(said, BOB), trust="bob")
    good(
        "old-apostrophe", "a name with an apostrophe, which Python's literal escapes", "9.4", by(old_statement({"it's": b"1"})), files={"it's": b"1"}
    )
    good(
        "old-backslashes",
        "escapes in the payload, whose backslashes double in the literal",
        "9.4",
        by(old_statement({"\u6a21 \u00e9": b"1"})),
        files={"\u6a21 \u00e9": b"1"},
    )
    good("old-no-annotations", "without annotations a digest is what it is called", "9.2", by(changed(said, "subject/0/annotations", ABSENT)))
    refused("old-encoding-for-oms", "wrong-signer", "what 0.2.0 signed, around a statement of OMS 1.0", "9.4", by(PLAIN))
    refused(
        "old-encoding-for-oms-that-names-it",
        "wrong-signer",
        "a statement of OMS 1.0 that names the old type in a resource",
        "9.4",
        by(statement([{**resources(SMALL)[0], "was": OLD}, resources(SMALL)[1]])),
    )
    refused(
        "old-encoding-for-another-type",
        "wrong-signer",
        "what 0.2.0 signed, around a later digests type",
        "9.4",
        by({**said, "predicateType": OLD + "0"}),
    )
    refused(
        "old-prefix-only",
        "wrong-signer",
        "the misspelt prefix, and the payload as it is",
        "9.4",
        by(said, signed=lambda payload: pae(payload, version=b"DSSEV1")),
    )
    refused(
        "old-literal-only",
        "wrong-signer",
        "the literal behind the right prefix",
        "9.4",
        by(said, signed=lambda payload: buggy(payload).replace(b"DSSEV1", b"DSSEv1")),
    )
    refused(
        "old-p384-with-sha384",
        "wrong-signer",
        "what 0.2.0 signed was always hashed with SHA-256",
        "9.5",
        by(said, person=BOB, algorithm=hashes.SHA384()),
        trust="bob",
    )
    refused("old-signer-unknown", "wrong-signer", "a stranger's 0.2.0 signature, with the stranger's key in it", "9.4", by(said, person=MALLORY))
    refused(
        "old-not-ascii",
        "wrong-signer",
        "a payload that 0.2.0 could not have written, in raw UTF-8",
        "9.4",
        by(json.dumps(old_statement({"\u00e9": b"1"}), ensure_ascii=False, indent=2).encode()),
    )
    refused(
        "old-tab",
        "wrong-signer",
        "a payload that 0.2.0 could not have written, with a tab between its lines",
        "9.4",
        by(text(said) + b"\t"),
    )
    refused(
        "old-type-escaped",
        "wrong-signer",
        "the type is not named in plain letters",
        "9.4",
        by(text(said).replace(OLD.encode(), OLD.replace("/", "\\/").encode())),
    )
    refused(
        "old-other-types",
        "wrong-predicate-type",
        "0.2.0 had four more types, and nobody used them",
        "9.1",
        bundle({**said, "predicateType": "https://model_signing/ShardDigests/v0.1"}),
    )
    form(
        "old-hash-unknown",
        "unknown-algorithm",
        "an annotation that names another hash",
        "9.2",
        by(changed(said, "subject/0/annotations/actual_hash_algorithm", "file-md5")),
    )
    form(
        "old-hash-mixed",
        "algorithm-mismatch",
        "two hashes in one signature",
        "9.2",
        by({**said, "subject": [*said["subject"], *old_statement({"z": b""}, "blake2b")["subject"]]}),
    )
    form(
        "old-digest-not-of-its-hash",
        "bad-digest",
        "a digest that is too short for the hash in its annotation",
        "9.2",
        by(changed(said, "subject/0/annotations/actual_hash_algorithm", "file-blake2b")),
    )
    form("old-annotation-missing", "missing-field", "annotations that do not name the hash", "9.2", by(changed(said, "subject/0/annotations", {})))
    form("old-annotation-unknown", "unknown-field", "an annotation that nobody knows", "9.2", by(changed(said, "subject/0/annotations/start", 0)))
    form("old-annotations-null", "bad-field", "annotations that are null, which is not absent", "9.2 1.5", by(changed(said, "subject/0/annotations", None)))
    form("old-digest-named-otherwise", "bad-subject", "a digest under its own name, which 0.2.0 never gave", "9.1", by(changed(said, "subject/0/digest", {"blake2b": "ab" * 64})))
    form("old-annotations-a-list", "bad-field", "annotations that are a list", "9.2", by(changed(said, "subject/0/annotations", [1])))
    form("old-two-digests", "bad-subject", "a file with two digests", "9.1", by(changed(said, "subject/0/digest/sha512", "ab")))
    form("old-predicate-in-earnest", "unknown-field", "a predicate that says something", "9.3", by({**said, "predicate": {"files": []}}))
    form("old-predicate-unused-number", "bad-field", "the dummy member is a number", "9.3", by({**said, "predicate": {"unused": 1}}))
    form("old-name-climbing", "unsafe-name", "a file outside", "9.7", by(old_statement({"../a": b"1"})))
    form("old-name-twice", "duplicate-name", "a file twice", "9.7", by({**said, "subject": said["subject"] + said["subject"][:1]}))
    form("old-name-twins", "name-twins", "two files whose names differ in case", "9.7", by(old_statement({"a": b"1", "A": b"2"})))
    form("old-name-missing", "unsafe-name", "a file without a name", "9.1", by(changed(said, "subject/0/name", ABSENT)))
    refused("old-git-unsigned", "unsigned-file", "0.2.0 left nothing out: a git folder is unsigned", "9.6", by(said), files={**SMALL, ".git/x": b""})
    refused(
        "old-link",
        "symlink",
        "0.2.0 recorded no permission for links",
        "9.6",
        by(said),
        tree=[entry("model/a", b"1"), entry("model/d", b"22"), {"name": "model/b/c", "link": "../d"}],
    )
    refused("old-changed", "digest-mismatch", "a file of a 0.2.0 signature changed", "9.7", by(said), files={"a": b"2", "b/c": b"22"})


# -- what a writer must write -------------------------------------------------------------------------------


def writing():
    def payload(said):
        return json.dumps(said, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()

    ours = ["model.claims.jsonl", "model.sig"]

    def writes(what, why, rules, files, said, *, tree=None, path="model", options=None, name="model"):
        said["subject"][0]["name"] = name
        signs(f"sign-{what}", why, rules, tree=tree_of(files) if tree is None else tree, payload=payload(said), path=path, options=options)

    odd = {"a/b": b"1", "a-b": b"2", "a.b": b"3", "empty": b"", "\u00e9": b"5"}
    writes("files", "files and sha256, names sorted by code points", "2.1 2.2 2.3", odd, statement(resources(odd), ignore_paths=ours))
    writes("blake3", "BLAKE3", "2.1", SMALL, statement(resources(SMALL, "blake3"), hash_type="blake3", ignore_paths=ours), options={"hash": "blake3"})
    writes(
        "blake2b",
        "BLAKE2b",
        "2.1",
        SMALL,
        statement(resources(SMALL, "blake2b"), hash_type="blake2b", ignore_paths=ours),
        options={"hash": "blake2b"},
    )
    more = {**LONG, "empty": b"", "x:1": b"1"}
    writes(
        "shards",
        "shards: the size as an integer, the empty file as path:0:0, ranges sorted as texts",
        "2.1 2.4",
        more,
        sharded(more, ignore_paths=ours),
        options={"method": "shards", "shard_size": 10},
    )
    writes(
        "git",
        "git's names are left out where they exist, and listed",
        "2.3",
        None,
        statement(resources(SMALL), ignore_paths=sorted([*ours, ".git", ".gitignore"])),
        tree=tree_of({**SMALL, **GIT}),
    )
    writes(
        "ignore",
        "what the caller leaves out is listed",
        "2.3",
        None,
        statement(resources(SMALL), ignore_paths=sorted([*ours, "cache"])),
        tree=tree_of({**SMALL, "cache/x": b""}),
        options={"ignore": ["cache"]},
    )
    writes(
        "links",
        "links that are followed are recorded, their targets hashed",
        "2.1",
        None,
        statement(resources({"a": b"1", "l": b"1"}), allow_symlinks=True, ignore_paths=ours),
        tree=[entry("model/a", b"1"), {"name": "model/l", "link": "a"}],
        options={"allow_symlinks": True},
    )
    writes(
        "single",
        "a single file is named by its basename",
        "2.1",
        None,
        statement(resources({"model.bin": b"x" * 25}), ignore_paths=ours),
        tree=SINGLE,
        path="model.bin",
        name="model.bin",
    )
    signs("sign-empty-folder", "nothing to sign", "5.1", tree=[{"name": "model", "folder": True}], code="empty-model", exit=3)
    signs("sign-twins", "names that would be one elsewhere are not signed", "5.3", tree=tree_of({"a": b"", "A": b""}), code="name-twins", exit=3)
    signs(
        "sign-link", "a link is not followed unasked", "8.4", tree=[entry("model/a", b"1"), {"name": "model/l", "link": "a"}], code="symlink", exit=3
    )
    signs("sign-unsafe-name", "a name that no manifest may hold", "5.2", tree=tree_of({"a\\b": b""}), code="unsafe-name", exit=3)


for chapter in (
    policies,
    writers,
    go,
    good_forms,
    good_manifests,
    good_trees,
    bad_json,
    bad_base64,
    bad_fields,
    unknown_members,
    material,
    limits,
    signatures,
    statements,
    names,
    shards,
    ignored,
    trees,
    old_writer,
    writing,
):
    chapter()
certificates(BOOK)
several(BOOK)
print(len(BOOK.cases), "cases")
