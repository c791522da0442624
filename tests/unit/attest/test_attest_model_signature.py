"""The OMS predicate: what writers wrote is read, what contradicts itself or could mislead is refused."""

import hashlib
import json

import pytest

from trustkit.artifact.leaving_out import GIT_PATHS
from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest import rows
from trustkit.attest.predicates import model_signature
from trustkit.attest.predicates.model_signature import parse_manifest, statement_of
from trustkit.attest.statement import parse_statement, statement_to_bytes
from trustkit.digest import digest_of
from trustkit.errors import FormatError, LimitError, VerificationError

CAP = 1 << 20
ABSENT = object()


@pytest.fixture(autouse=True, params=["at once", "in pieces"])
def way(request, monkeypatch):
    """Short statements are parsed at once, and long ones in pieces: to the same end."""
    if request.param == "in pieces":
        monkeypatch.setattr(rows, "LARGE", 0)
        monkeypatch.setattr(rows, "_PIECE", 200)
    return request.param


@pytest.fixture(scope="session")
def read(to_bytes):
    """Read a statement through both parsers, as verification does."""
    return lambda statement, **how: parse_manifest(parse_statement(to_bytes(statement), max_bytes=CAP), **how)


@pytest.fixture(scope="session")
def refuses(read):
    def expect(statement, code, kind=FormatError):
        with pytest.raises(kind) as caught:
            read(statement)
        assert caught.value.code == code
        return caught.value

    return expect


def shards(resource, path, *ranges, algorithm="sha256"):
    return [resource(f"{path}:{start}:{end}", algorithm=algorithm) for start, end in ranges]


# -- what is read --------------------------------------------------------------------------------------


def test_a_files_manifest(read, oms, resource):
    statement = oms(
        [resource("a"), resource("s/b", b"y")], ignore_paths=["model.sig", ".git"], allow_symlinks=True
    )
    manifest = read(statement)
    assert manifest.resources == (Resource("a", digest_of(b"x")), Resource("s/b", digest_of(b"y")))
    assert (manifest.method, manifest.algorithm, manifest.shard_size) == ("files", "sha256", None)
    assert manifest.allow_symlinks
    assert manifest.ignore_paths == ("model.sig", ".git")
    assert manifest.root_digest.hex == statement["subject"][0]["digest"]["sha256"]


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b"])
def test_each_hash(read, oms, resource, algorithm):
    manifest = read(oms([resource("a", algorithm=algorithm)], hash_type=algorithm))
    assert manifest.resources[0].digest == digest_of(b"x", algorithm)


def test_blake3(read, oms, resource):
    entry = {**resource("a"), "algorithm": "blake3", "digest": digest_of(b"x", "blake3").hex}
    assert read(oms([entry], hash_type="blake3")).resources[0].digest == digest_of(b"x", "blake3")


@pytest.mark.parametrize("size", ["10", "10.0", "1e1"])
@pytest.mark.parametrize("spelling", ["sha256", "sha256-sharded-10"])
@pytest.mark.parametrize("hash_type", ["sha256", "sha256-sharded-10"])
def test_shards_as_the_specification_and_as_the_reference_write_them(
    oms, resource, size, spelling, hash_type
):
    parts = shards(resource, "a", (0, 10), (10, 20), (20, 25), algorithm=spelling)
    statement = oms(parts, method="shards", shard_size=123456, hash_type=hash_type)
    raw = json.dumps(statement).replace("123456", size)
    manifest = parse_manifest(parse_statement(raw.encode(), max_bytes=CAP))
    assert [(r.path, r.start, r.end) for r in manifest.resources] == [
        ("a", 0, 10),
        ("a", 10, 20),
        ("a", 20, 25),
    ]
    assert (manifest.method, manifest.shard_size) == ("shards", 10)
    assert isinstance(manifest.shard_size, int)
    assert {r.digest.algorithm for r in manifest.resources} == {"sha256"}


def test_how_the_algorithm_of_a_shard_is_spelled_does_not_change_the_manifest_digest(read, oms, resource):
    one, other = (
        read(oms(shards(resource, "a", (0, 10), algorithm=spelling), method="shards", shard_size=10))
        for spelling in ("sha256", "sha256-sharded-10")
    )
    assert one.manifest_digest == other.manifest_digest


def test_the_order_of_the_document_is_kept_and_any_order_is_legal(read, oms, resource):
    """Python sorts by components and numbers, the specification by code points: the roots differ."""
    parts = shards(resource, "f", (0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12))
    orders = (parts, sorted(parts, key=lambda entry: entry["name"]), parts[::-1])
    manifests = [read(oms(order, method="shards", shard_size=2)) for order in orders]
    assert [m.resources[0].start for m in manifests] == [0, 0, 10]
    assert len({m.manifest_digest for m in manifests}) == 1


def test_a_path_with_colons_is_split_from_the_right(read, oms, resource):
    manifest = read(oms([resource("a:1:2:0:5")], method="shards", shard_size=5))
    assert (manifest.resources[0].path, manifest.resources[0].start, manifest.resources[0].end) == (
        "a:1:2",
        0,
        5,
    )
    assert read(oms([resource("a:0:5")])).resources[0].path == "a:0:5"


@pytest.mark.parametrize("name", [".", "model.bin"])
def test_a_single_file_by_either_name(read, oms, resource, name):
    assert read(oms([resource(name)])).file_names == (name,)


def test_a_single_file_in_shards(read, oms, resource):
    assert read(oms(shards(resource, ".", (0, 5), (5, 6)), method="shards", shard_size=5)).file_names == (
        ".",
    )


def test_an_empty_file_is_one_empty_shard(read, oms, resource):
    assert read(oms(shards(resource, "a", (0, 0)), method="shards", shard_size=5)).resources[0].end == 0


def test_resources_may_carry_members_of_a_resource_descriptor(read, oms, resource):
    assert read(oms([resource("a", uri="https://x", annotations={"k": 1})])).file_names == ("a",)


def test_a_subject_may_carry_more_digests(read, oms, resource):
    root = hashlib.sha256(bytes.fromhex(resource("a")["digest"])).hexdigest()
    subject = [{"name": "anything", "digest": {"sha256": root, "sha512": "ab"}}]
    assert read(oms([resource("a")], subject=subject)).root_digest.hex == root


# -- ignored paths -------------------------------------------------------------------------------------


def test_no_list_ignores_nothing(read, oms, resource):
    assert read(oms([resource("a")], ignore_paths=None)).ignore_paths == ()


def test_what_old_documents_left_out_is_known_and_yields_to_what_they_sign(read, oms, resource):
    old = oms([resource("a"), resource(".github/x")], ignore_paths=None)
    assert read(old, unlisted=GIT_PATHS).ignore_paths == (".git", ".gitattributes", ".gitignore")


def test_a_list_stands_even_where_it_is_empty(read, oms, resource):
    assert read(oms([resource("a")], ignore_paths=[]), unlisted=GIT_PATHS).ignore_paths == ()


@pytest.mark.parametrize(
    ("typed", "meant"), [("cache/", "cache"), ("./cache", "cache"), ("a//b/./c", "a/b/c"), ("a*[b]", "a*[b]")]
)
def test_ignored_paths_are_read_as_they_were_meant(read, oms, resource, typed, meant):
    assert read(oms([resource("a")], ignore_paths=[typed])).ignore_paths == (meant,)


@pytest.mark.parametrize(
    "path", ["", ".", "./", "/", "/etc", "/model/model.sig", "..", "../x", "a/../b", "a\\b", "a\nb"]
)
def test_ignored_paths_that_name_the_root_or_lead_out_of_it_are_refused(refuses, oms, resource, path):
    assert refuses(oms([resource("a")], ignore_paths=[path]), "unsafe-name").exit_code == 3


@pytest.mark.parametrize(
    ("name", "path"), [("a", "a"), ("a/b", "a"), ("a/b/c", "a/b"), ("a/b", "a/"), (".git/config", ".git")]
)
def test_nothing_is_signed_and_ignored_at_once(refuses, oms, resource, name, path):
    error = refuses(oms([resource(name)], ignore_paths=["other", path]), "ignored-resource")
    assert error.evidence == {"name": name}


@pytest.mark.parametrize("name", ["ab", "b/a", "A", "a.b"])
def test_an_ignored_path_covers_itself_and_what_lies_below(read, oms, resource, name):
    assert read(oms([resource(name)], ignore_paths=["a"])).file_names == (name,)


# -- what is refused -----------------------------------------------------------------------------------


def test_another_predicate_type_is_refused(refuses, oms, resource):
    statement = oms([resource("a")])
    statement["predicateType"] = "https://model_signing/Digests/v0.1"
    error = refuses(statement, "wrong-predicate-type", VerificationError)
    assert error.evidence == {"found": "https://model_signing/Digests/v0.1"}
    statement["predicateType"] = "x" * 10_000
    assert len(refuses(statement, "wrong-predicate-type", VerificationError).evidence["found"]) == 256


def test_a_model_has_one_subject(refuses, oms, resource):
    statement = oms([resource("a")])
    statement["subject"] *= 2
    refuses(statement, "bad-subject")


@pytest.mark.parametrize(
    ("digests", "code", "kind"),
    [
        ({"sha512": "ab" * 64}, "bad-subject", FormatError),
        ({"sha256": "ab"}, "bad-digest", FormatError),
        ({"sha256": "ab" * 33}, "bad-digest", FormatError),
        ({"sha256": "AB" * 32}, "bad-digest", FormatError),
        ({"sha256": "ab" * 32}, "root-digest-mismatch", VerificationError),
    ],
)
def test_the_root_digest_must_be_there_and_fit(refuses, oms, resource, digests, code, kind):
    refuses(oms([resource("a")], subject=[{"name": "m", "digest": digests}]), code, kind)


def test_the_root_digest_covers_the_order(refuses, oms, resource):
    statement = oms([resource("a"), resource("b", b"y")])
    statement["predicate"]["resources"].reverse()
    refuses(statement, "root-digest-mismatch", VerificationError)


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("resources", None, "bad-field"),
        ("resources", {}, "bad-field"),
        ("resources", [], "empty-manifest"),
        ("resources", [None], "bad-field"),
        ("resources", [{}], "missing-field"),
        ("serialization", None, "bad-field"),
        ("serialization", {}, "missing-field"),
        ("extra", 1, "unknown-field"),
    ],
)
def test_a_damaged_predicate_is_refused(refuses, oms, resource, member, value, code):
    statement = oms([resource("a")])
    statement["predicate"][member] = value
    refuses(statement, code)


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("method", ABSENT, "missing-field"),
        ("method", None, "bad-field"),
        ("method", "file", "bad-method"),
        ("method", "Files", "bad-method"),
        ("hash_type", ABSENT, "missing-field"),
        ("hash_type", None, "bad-field"),
        ("hash_type", "md5", "unknown-algorithm"),
        ("hash_type", "SHA256", "unknown-algorithm"),
        ("hash_type", "blake2", "unknown-algorithm"),
        ("hash_type", "sha256-sharded-10", "unknown-algorithm"),  # of a files manifest
        ("hash_type", "sha256-sharded-None", "unknown-algorithm"),
        ("allow_symlinks", ABSENT, "missing-field"),
        ("allow_symlinks", None, "bad-field"),
        ("allow_symlinks", 0, "bad-field"),
        ("allow_symlinks", "false", "bad-field"),
        ("ignore_paths", None, "bad-field"),
        ("ignore_paths", ".git", "bad-field"),
        ("ignore_paths", [None], "bad-field"),
        ("ignore_paths", [["a"]], "bad-field"),
        ("shard_size", None, "bad-shard-size"),
        ("shard_size", 10, "bad-shard-size"),  # of a files manifest
        ("extra", 1, "unknown-field"),
    ],
)
def test_a_damaged_serialization_is_refused(refuses, oms, resource, member, value, code):
    statement = oms([resource("a")])
    serialization = statement["predicate"]["serialization"]
    serialization.pop(member, None)
    if value is not ABSENT:
        serialization[member] = value
    refuses(statement, code)


@pytest.mark.parametrize(
    "size", [ABSENT, None, True, "10", [10], 0, -1, -10.0, 0.0, 10.5, 1e308, 1e-300, 2**63, 2.0**63, 10**300]
)
def test_a_shard_size_is_a_positive_whole_number(refuses, oms, resource, size):
    statement = oms([resource("a:0:1")], method="shards", shard_size=1)
    statement["predicate"]["serialization"]["shard_size"] = size
    if size is ABSENT:
        del statement["predicate"]["serialization"]["shard_size"]
    refuses(statement, "bad-shard-size")


def test_not_even_an_empty_file_has_shards_of_no_size(refuses, oms, resource):
    refuses(oms([resource("a:0:0")], method="shards", shard_size=0), "bad-shard-size")


@pytest.mark.parametrize("hash_type", ["sha256-sharded-9", "sha256-sharded-10-sharded-10", "-sharded-10"])
def test_the_hash_type_of_shards_must_fit_their_size(refuses, oms, resource, hash_type):
    refuses(
        oms([resource("a:0:10")], method="shards", shard_size=10, hash_type=hash_type), "unknown-algorithm"
    )


@pytest.mark.parametrize("size", ["NaN", "Infinity", "1e999"])
def test_a_shard_size_is_a_number_of_json(oms, resource, size):
    raw = json.dumps(oms([resource("a:0:10")], method="shards", shard_size=123456)).replace("123456", size)
    with pytest.raises(FormatError) as caught:
        parse_statement(raw.encode(), max_bytes=CAP)
    assert caught.value.code == "bad-json"


def test_a_place_in_a_file_has_at_most_eighteen_digits(read, oms, resource):
    last = 10**18 - 1
    parts = shards(resource, "a", (0, last))
    assert read(oms(parts, method="shards", shard_size=10**18)).resources[0].end == last


def test_the_largest_shard_size(read, oms, resource):
    assert read(oms([resource("a:0:1")], method="shards", shard_size=2**63 - 1)).shard_size == 2**63 - 1


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("name", None, "bad-field"),
        ("name", 1, "bad-field"),
        ("algorithm", None, "bad-field"),
        ("algorithm", "blake2b", "algorithm-mismatch"),
        ("algorithm", "SHA256", "algorithm-mismatch"),
        ("algorithm", "sha256-sharded-10", "algorithm-mismatch"),  # of a files manifest
        ("algorithm", "sha256-sharded-None", "algorithm-mismatch"),
        ("digest", None, "bad-field"),
        ("digest", "", "bad-digest"),
        ("digest", "ab", "bad-digest"),
        ("digest", "AB" * 32, "bad-digest"),
        ("digest", "ab" * 31 + "xy", "bad-digest"),
        ("digest", "ab" * 64, "bad-digest"),
        ("digest", "ab" * 48, "bad-digest"),
        ("name", ABSENT, "missing-field"),
        ("algorithm", ABSENT, "missing-field"),
        ("digest", ABSENT, "missing-field"),
    ],
)
def test_a_damaged_resource_is_refused(refuses, oms, resource, member, value, code):
    statement = oms([resource("a")])
    statement["predicate"]["resources"][0][member] = value
    if value is ABSENT:
        del statement["predicate"]["resources"][0][member]
    refuses(statement, code)


@pytest.mark.parametrize(
    "spelling", ["sha256-sharded-11", "sha256-sharded-10.0", "sha256-sharded-", "blake2b-sharded-10"]
)
def test_the_algorithm_of_a_shard_must_fit_hash_and_size(refuses, oms, resource, spelling):
    statement = oms([resource("a:0:10")], method="shards", shard_size=10)
    statement["predicate"]["resources"][0]["algorithm"] = spelling
    refuses(statement, "algorithm-mismatch")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "/a",
        "a\\b",
        "C:\\x",
        "a\x00b",
        "a\nb",
        "a\x1b[31m",
        "a\x7f",
        "a\u0085b",
        "a\u2028b",
        "a\u202eb",
    ],
)
@pytest.mark.parametrize("method", ["files", "shards"])
def test_an_unsafe_name_is_refused(refuses, oms, resource, name, method):
    serialization = {"method": "shards", "shard_size": 5} if method == "shards" else {}
    statement = oms([resource(f"{name}:0:5" if method == "shards" else name)], **serialization)
    code = "bad-shard-name" if method == "shards" and not name else "unsafe-name"
    assert refuses(statement, code).exit_code == 3


def test_a_long_or_deep_name_is_a_limit(refuses, oms, resource):
    refuses(oms([resource("a" * 4097)]), "name-too-long", LimitError)
    refuses(oms([resource("a/" * 300 + "a")]), "name-too-deep", LimitError)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a:0",
        ":0:5",
        "a::5",
        "a:0:",
        "a:-1:5",
        "a:+0:5",
        "a:0:5 ",
        "a:00:5",
        "a:0:05",
        "a:0:0x5",
        "a:0:5.0",
        "a:5:4",
        "a:0:\u0665",
        "a:0:\u00b2",
        f"a:0:{2**63}",
        f"a:0:{10**18}",
    ],
)
def test_a_shard_is_named_by_path_start_and_end(refuses, oms, resource, name):
    refuses(oms([resource(name)], method="shards", shard_size=5), "bad-shard-name")


@pytest.mark.parametrize(
    ("ranges", "code"),
    [
        ([(1, 5)], "bad-shards"),  # does not start at zero
        ([(5, 10)], "bad-shards"),
        ([(0, 5), (6, 10)], "bad-shards"),  # a gap
        ([(0, 5), (4, 9)], "bad-shards"),  # an overlap
        ([(0, 5), (10, 15)], "bad-shards"),
        ([(0, 5), (0, 4)], "bad-shards"),  # two answers about one range
        ([(0, 0), (0, 5)], "bad-shards"),  # an empty shard beside others
        ([(0, 5), (5, 5)], "bad-shards"),
        ([(5, 5)], "bad-shards"),
        ([(0, 5), (5, 10), (0, 5)], "duplicate-name"),
        ([(0, 6)], "bad-shard-size"),
        ([(0, 4), (4, 8)], "bad-shard-size"),
        ([(0, 5), (5, 8), (8, 9)], "bad-shard-size"),
        ([(0, 5), (5, 11)], "bad-shard-size"),
    ],
)
def test_shards_must_tile_their_file(refuses, oms, resource, ranges, code):
    refuses(oms(shards(resource, "a", *ranges), method="shards", shard_size=5), code)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["a", "a"], "duplicate-name"),
        (["a", "b", "a"], "duplicate-name"),
        (["a", "A"], "name-twins"),
        (["\u00e9", "e\u0301"], "name-twins"),
        (["stra\u00dfe", "STRASSE"], "name-twins"),
        (["\u00c5", "\u212b"], "name-twins"),
        (["a", "a/b"], "name-twins"),
        (["a/b", "a"], "name-twins"),
        (["A/b/c", "a/B"], "name-twins"),
        (["A/x", "a/y"], "name-twins"),
        ([".", "a"], "unsafe-name"),
        ([".", "."], "duplicate-name"),
    ],
)
@pytest.mark.parametrize("method", ["files", "shards"])
def test_names_are_distinct_everywhere(refuses, oms, resource, names, code, method):
    suffix = ":0:5" if method == "shards" else ""
    serialization = {"method": "shards", "shard_size": 5} if method == "shards" else {}
    refuses(oms([resource(name + suffix) for name in names], **serialization), code)


def test_counts_are_capped(refuses, oms, resource, monkeypatch):
    monkeypatch.setattr(model_signature, "MAX_RESOURCES", 2)
    monkeypatch.setattr(model_signature, "MAX_IGNORES", 1)
    two = [resource("a"), resource("b")]
    assert len(parse_manifest(parse_statement(json.dumps(oms(two)).encode(), max_bytes=CAP)).resources) == 2
    refuses(oms([*two, resource("c")]), "too-many-resources", LimitError)
    assert parse_manifest(
        parse_statement(json.dumps(oms(two, ignore_paths=["x"])).encode(), max_bytes=CAP)
    ).ignore_paths == ("x",)
    refuses(oms(two, ignore_paths=["x", "y"]), "too-many-ignores", LimitError)


# -- what is written -----------------------------------------------------------------------------------


def test_what_is_written_is_what_the_specification_says():
    manifest = Manifest(
        (Resource("a", digest_of(b"x")), Resource("b/c", digest_of(b"y"))), ignore_paths=("model.sig",)
    )
    assert json.loads(statement_to_bytes(statement_of(manifest, "model"))) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": manifest.root_digest.hex}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "resources": [
                {"name": "a", "algorithm": "sha256", "digest": digest_of(b"x").hex},
                {"name": "b/c", "algorithm": "sha256", "digest": digest_of(b"y").hex},
            ],
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": ["model.sig"],
            },
        },
    }


def test_a_statement_that_was_never_bytes_is_read_all_the_same():
    manifest = Manifest((Resource("a", digest_of(b"x")), Resource("b/c", digest_of(b"y"))))
    assert parse_manifest(statement_of(manifest, "m")) == manifest


def test_shards_are_written_with_a_whole_number():
    manifest = Manifest((Resource("a", digest_of(b"x"), 0, 1),), method="shards", shard_size=5)
    predicate = json.loads(statement_to_bytes(statement_of(manifest, "m")))["predicate"]
    assert predicate["resources"][0]["name"] == "a:0:1"
    assert repr(predicate["serialization"]["shard_size"]) == "5"


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (Manifest((Resource("a", digest_of(b"x")),), ignore_paths=("a",)), "ignored-resource"),
        (Manifest((Resource("a", digest_of(b"x")), Resource("A", digest_of(b"x")))), "name-twins"),
        (Manifest((Resource("a", digest_of(b"x")),) * 2), "duplicate-name"),
        (Manifest((Resource("a", digest_of(b"x"), 1, 2),), method="shards", shard_size=5), "bad-shards"),
    ],
)
def test_what_could_not_be_verified_is_not_written(manifest, code):
    with pytest.raises(FormatError) as caught:
        statement_of(manifest, "m")
    assert caught.value.code == code
