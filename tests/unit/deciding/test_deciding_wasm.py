"""Bundles of compiled rules: what loads and what does not; and evaluations that are bounded and apart."""

import gzip
import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustkit.deciding import wasm
from trustkit.deciding.wasm import MAX_BYTES, MAX_MEMBERS, WasmEngine, packaged_bundle
from trustkit.digest import digest_of
from trustkit.errors import DeniedError, FormatError, LimitError, TrustkitError, UnavailableError, UsageError

LONG = list(range(3_000))
"""What makes `odd/slow` slow."""


def members_of(bundle):
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def packed(members, **options):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=options.pop("format", tarfile.USTAR_FORMAT)) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for attribute, value in options.items():
                setattr(member, attribute, value)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue())


@pytest.fixture(scope="module")
def good(vector):
    """The members of a bundle as `opa build` makes it."""
    return members_of(vector("odd"))


def refused(bundle):
    with pytest.raises(TrustkitError) as caught:
        WasmEngine.load(bundle)
    assert isinstance(caught.value, FormatError | LimitError)
    return caught.value


def test_the_packaged_bundle_is_one_of_ours(engine):
    bundle = packaged_bundle()
    assert engine.digest == digest_of(bundle)
    assert set(members_of(bundle)) == {"/.manifest", "/data.json", "/policy.wasm"}


def test_a_bundle_is_found_beside_the_package_first(tmp_path):
    package = tmp_path / "trustkit" / "deciding"
    for folder, content in ((tmp_path / "policies", b"checkout"), (package, b"wheel")):
        (folder / "compiled").mkdir(parents=True)
        (folder / "compiled" / "rules.tar.gz").write_bytes(content)
    assert packaged_bundle(package) == b"wheel"
    (package / "compiled" / "rules.tar.gz").unlink()
    assert packaged_bundle(package) == b"checkout"
    (tmp_path / "policies" / "compiled" / "rules.tar.gz").unlink()
    with pytest.raises(UsageError) as caught:
        packaged_bundle(package)
    assert caught.value.code == "no-such-file"


def test_a_bundle_of_opa_itself_loads(odd, vector, good):
    assert odd.digest == digest_of(vector("odd"))
    assert any(name.endswith(".rego") for name in good)


def test_names_with_and_without_a_slash_are_one(good):
    bare = [(name.removeprefix("/"), content) for name, content in good.items()]
    engine = WasmEngine.load(packed(bare))
    assert engine.evaluate("odd/echo", {"answer": 1}) == 1
    engine.close()


def test_a_name_with_a_prefix_is_read_whole(good):
    long = f"/{'x' * 90}/{'y' * 60}.rego"
    WasmEngine.load(packed([*good.items(), (long, b"package x")])).close()


def test_data_of_the_bundle_is_what_rules_see(good):
    engine = WasmEngine.load(packed({**good, "/data.json": b'{"given": [1, {"b": null}]}'}.items()))
    assert engine.evaluate("odd/given", {"given": "by the facts"}) == [1, {"b": None}]
    engine.close()


def other(good, **changes):
    return packed({**good, **{f"/{name}": content for name, content in changes.items()}}.items())


WRONG = {
    "nothing": lambda good: b"",
    "no gzip": lambda good: b"rules",
    "a tar without gzip": lambda good: gzip.decompress(packed(good.items())),
    "cut short": lambda good: packed(good.items())[:-1],
    "something behind it": lambda good: packed(good.items()) + b"\0",
    "two gzips": lambda good: packed(good.items()) * 2,
    "a wrong checksum of gzip": lambda good: packed(good.items())[:-8] + b"\0" * 8,
    "no tar": lambda good: gzip.compress(b"rules" * 200),
    "an empty tar": lambda good: gzip.compress(b"\0" * 1024),
    "a tar that is cut": lambda good: gzip.compress(gzip.decompress(packed(good.items()))[:1500]),
    "no module": lambda good: packed((n, c) for n, c in good.items() if n != "/policy.wasm"),
    "no manifest": lambda good: packed((n, c) for n, c in good.items() if n != "/.manifest"),
    "no data": lambda good: packed((n, c) for n, c in good.items() if n != "/data.json"),
    "the module twice": lambda good: packed([*good.items(), ("policy.wasm", good["/policy.wasm"])]),
    "a source twice": lambda good: packed([*good.items(), ("data.json", b"{}")]),
    "a last source that is cut": lambda good: gzip.compress(
        gzip.decompress(packed([*good.items(), ("x.rego", b"#" * 5_000)])).rstrip(b"\0")[:-100]
    ),
    "a signature file": lambda good: packed([*good.items(), ("/.signatures.json", b"{}")]),
    "data elsewhere": lambda good: packed([*good.items(), ("/a/data.json", b"{}")]),
    "a name that climbs": lambda good: packed([*good.items(), ("../x", b"")]),
    "a link": lambda good: packed(good.items(), type=tarfile.SYMTYPE, linkname="x"),
    "a folder": lambda good: packed([*good.items(), ("x.rego/", b"")], type=tarfile.DIRTYPE),
    "a device": lambda good: packed(good.items(), type=tarfile.CHRTYPE),
    "pax headers": lambda good: packed(
        [*good.items(), ("x" * 300 + ".rego", b"")], format=tarfile.PAX_FORMAT
    ),
    "GNU long names": lambda good: packed(
        [*good.items(), ("x" * 300 + ".rego", b"")], format=tarfile.GNU_FORMAT
    ),
    "a module that is none": lambda good: other(good, **{"policy.wasm": b"\0asm"}),
    "an empty module": lambda good: other(good, **{"policy.wasm": b""}),
    "a module of somebody else": lambda good: other(good, **{"policy.wasm": b"\0asm\1\0\0\0"}),
    "data that is a list": lambda good: other(good, **{"data.json": b"[]"}),
    "data that is no JSON": lambda good: other(good, **{"data.json": b"{"}),
    "data with a key twice": lambda good: other(good, **{"data.json": b'{"a":1,"a":2}'}),
    "a manifest that is no JSON": lambda good: other(good, **{".manifest": b"x"}),
    "a manifest without a module": lambda good: other(good, **{".manifest": b"{}"}),
    "a manifest with another module": lambda good: other(
        good, **{".manifest": good["/.manifest"].replace(b"/policy.wasm", b"/other.wasm")}
    ),
    "a manifest with an entry point more": lambda good: other(
        good, **{".manifest": good["/.manifest"].replace(b"odd/echo", b"odd/eco")}
    ),
    "a manifest with an entry point less": lambda good: other(
        good, **{".manifest": json.dumps({"wasm": json.loads(good["/.manifest"])["wasm"][1:]}).encode()}
    ),
    "a manifest with an odd entry": lambda good: other(good, **{".manifest": b'{"wasm": [1]}'}),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_bundle_of_rules(good, make):
    assert refused(make(good)).code in {
        "bad-rules",
        "bad-json",
        "duplicate-key",
        "bad-field",
    }


def patched(good, at, value):
    """Change bytes of the first header and mend its checksum."""
    raw = bytearray(gzip.decompress(packed(good.items())))
    raw[at : at + len(value)] = value
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return gzip.compress(bytes(raw))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (124, b"-0000000001\0"),
        (124, b"\x80" + b"\xff" * 11),
        (124, b"99999999999\0"),
        (124, b"\0" * 12),
        (257, b"nobody"),
    ],
    ids=["negative size", "binary size", "size in decimals", "no size", "no magic"],
)
def test_a_header_that_is_odd(good, at, value):
    assert refused(patched(good, at, value)).code == "bad-rules"


def test_a_header_whose_checksum_is_wrong(good):
    raw = bytearray(gzip.decompress(packed(good.items())))
    assert raw[136:148] == b"00000000000\0"  # the time, which nobody reads
    raw[140] = ord("1")
    assert refused(gzip.compress(bytes(raw))).code == "bad-rules"


def test_rules_that_need_their_host_do_not_load(vector):
    error = refused(vector("host_fail"))
    assert (error.code, "sprintf" in error.message) == ("bad-rules", True)


def test_a_bomb_is_refused_by_its_size():
    bomb = gzip.compress(b"\0" * (MAX_BYTES + 1))
    assert len(bomb) < 100_000
    assert refused(bomb).code == "too-large"
    assert refused(b"\0" * (MAX_BYTES + 1)).code == "too-large"


def test_a_thousand_members_and_more(good):
    assert refused(packed((f"{n}.rego", b"") for n in range(MAX_MEMBERS + 1))).code == "too-many-members"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_refused(raw):
    for bundle in (raw, gzip.compress(raw)):
        refused(bundle)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2_000), st.integers(1, 255))
def test_a_bundle_with_one_byte_changed_is_refused_or_the_same_rules(at, flip):
    """The head of the archive: headers, manifest, data. What still loads has the same entry points."""
    raw = bytearray(gzip.decompress(packaged_bundle()))
    raw[at] ^= flip
    try:
        engine = WasmEngine.load(gzip.compress(bytes(raw), 0))
    except (FormatError, LimitError):
        return
    with pytest.raises(UsageError):
        engine.evaluate("trustkit/other/decision", {})
    assert engine.evaluate("trustkit/admission/decision", {})["allowed"] is False
    engine.close()


# Evaluation -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def patient(vector):
    """The same rules with all the time in the world: what stops them is not the deadline."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wasm, "DEADLINE_SECONDS", 60.0)
        engine = WasmEngine.load(vector("odd"), instances=1)
    yield engine
    engine.close()


def test_what_goes_in_comes_out(odd):
    for value in (1, -7, 0.5, "ü\u2028\0", True, None, [], {}, {"a": [{"b": "\U0001f600"}]}):
        assert odd.evaluate("odd/echo", {"answer": value}) == value


@pytest.mark.parametrize(
    ("name", "kind", "by"),
    [
        ("undefined", DeniedError, "say nothing"),
        ("conflict", UnavailableError, "OpaAbortError"),
        ("slow", UnavailableError, "OpaEvaluationError"),  # the deadline
        ("memory", UnavailableError, "OpaAbortError"),  # the cap on memory, long before the deadline
        ("large", UnavailableError, "OpaMemoryError"),
    ],
)
def test_no_answer_is_an_error_that_quotes_nothing(odd, patient, name, kind, by):
    engine = odd if name == "slow" else patient  # on a busy machine anything can be late
    with pytest.raises(kind) as caught:
        engine.evaluate(f"odd/{name}", {"x": "secret", "y": 1, "text": "secret" * 300, "list": LONG})
    assert (caught.value.code, by in caught.value.message) == ("no-decision", True)
    assert "secret" not in str(caught.value)


def test_an_evaluation_that_was_stopped_takes_nobody_along(odd):
    """Late, starved and trapped instances are thrown away; the next question gets a new one."""
    for name in ("slow", "memory", "conflict", "slow"):
        with pytest.raises(UnavailableError):
            odd.evaluate(f"odd/{name}", {"x": 1, "y": 1, "list": LONG})
        assert odd.evaluate("odd/echo", {"answer": name}) == name


def test_many_threads_get_their_own_answers(vector, monkeypatch):
    monkeypatch.setattr(wasm, "QUEUE_SECONDS", 60.0)
    monkeypatch.setattr(wasm, "DEADLINE_SECONDS", 60.0)
    engine = WasmEngine.load(vector("odd"), instances=3)

    def ask(number):
        if number % 10 == 0:
            with pytest.raises(UnavailableError):
                engine.evaluate("odd/conflict", {"x": 1, "y": 1})
        return engine.evaluate("odd/echo", {"answer": {"n": number, "text": "x" * (number * 10)}})["n"]

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, range(300))) == list(range(300))
    engine.close()


def test_a_full_pool_is_an_error_and_not_a_wait_for_ever(vector, monkeypatch):
    monkeypatch.setattr(wasm, "QUEUE_SECONDS", 0.01)
    engine = WasmEngine.load(vector("odd"), instances=1)
    with engine._policy._pool.borrow(), pytest.raises(UnavailableError) as caught:
        engine.evaluate("odd/echo", {"answer": 1})
    assert (caught.value.code, "busy" in caught.value.message) == ("no-decision", True)
    assert engine.evaluate("odd/echo", {"answer": 1}) == 1
    engine.close()


def test_facts_up_to_the_cap_are_read(odd):
    for size, fits in ((1_040_000, True), (1 << 20, False)):
        facts = {"answer": "x" * size}
        if fits:
            assert odd.evaluate("odd/echo", facts) == facts["answer"]
        else:
            with pytest.raises(LimitError) as caught:
                odd.evaluate("odd/echo", facts)
            assert caught.value.code == "too-large"


def test_after_the_end_there_are_no_answers(vector):
    engine = WasmEngine.load(vector("odd"))
    engine.close()
    with pytest.raises(UnavailableError) as caught:
        engine.evaluate("odd/echo", {"answer": 1})
    assert caught.value.code == "no-decision"
