"""KServe's layout: its decryptor reads what we write, we read what it would, and we refuse what it passes."""

import base64
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import tracemalloc
import types
from pathlib import Path

import pytest
from jwcrypto import jwe, jwk

from trustkit import workflows
from trustkit.errors import FormatError, SealError, UsageError, VerificationError
from trustkit.sealing.jwe import CHUNK, JweKey
from trustkit.signing.key import generate_key
from trustkit.verifying.policy import parse_policy, policy_from_keys

SHARED = bytes(range(200, 232))
KEY = JweKey(SHARED)
JWK = jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(SHARED).rstrip(b"=").decode())


def as_kserve_does(folder):
    """Decrypt a folder in its place, as `JWEDecryptor.decrypt_directory` of kserve-storage 0.21 does."""
    for where, _, names in os.walk(folder):
        for path in (Path(where, name) for name in names):
            if path.suffix.lower() == ".jwe" or path.read_bytes()[:3] == b"eyJ":
                token = jwe.JWE()
                token.deserialize(path.read_text())
                token.decrypt(JWK)
                target = path.with_suffix("") if path.suffix.lower() == ".jwe" else path
                target.write_bytes(token.payload)
                if target != path:
                    path.unlink()


def sealed_by_theirs(folder, *, suffix=".jwe"):
    """Seal every file as KServe's users do, with the library of its decryptor."""
    for path in [path for path in folder.rglob("*") if path.is_file() and path.name != "model.sig"]:
        token = jwe.JWE(path.read_bytes(), json.dumps({"alg": "A256KW", "enc": "A256GCM"}))
        token.add_recipient(JWK)
        path.unlink()
        path.with_name(path.name + suffix).write_text(token.serialize(compact=True))


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def model(tmp_path, signer):
    """A signed model of every kind of length."""
    folder = tmp_path / "model"
    (folder / "nested").mkdir(parents=True)
    for name, length in {
        "weights.bin": 2 * CHUNK + 5,
        "config.json": 1,
        "nested/exact": CHUNK,
        "nested/__init__.py": 0,
        "no-suffix": 3,
        ".hidden": 4,
    }.items():
        (folder / name).write_bytes(os.urandom(length))
    workflows.sign(folder, signer)
    return folder


@pytest.fixture
def sealed(model, policy, tmp_path):
    workflows.seal_for_kserve(model, KEY, policy, output=tmp_path / "sealed")
    return tmp_path / "sealed"


@pytest.fixture
def opens(policy, tmp_path):
    """Open a folder and return what is published."""

    def opens(folder, key=KEY, **options):
        workflows.open_from_kserve(folder, key, policy, output=tmp_path / "opened", **options)
        return contents(tmp_path / "opened")

    return opens


@pytest.fixture
def refuses(opens, refused, tmp_path):
    """Expect a refusal that leaves nothing, whoever looks."""

    def refuses(kind, code, folder, **options):
        before = sorted(path.name for path in tmp_path.iterdir())
        with refused(kind, code):
            opens(folder, **options)
        assert sorted(path.name for path in tmp_path.iterdir()) == before

    return refuses


def test_what_is_written_is_what_kserve_reads_and_what_verify_accepts(model, policy, sealed, opens):
    expected = contents(model)
    assert set(contents(sealed)) == {
        *(f"{name}.jwe" for name, raw in expected.items() if raw and name != "model.sig"),
        *("nested/__init__.py", "model.sig"),
    }
    assert opens(sealed) == {name: raw for name, raw in expected.items() if name != "model.sig"}
    as_kserve_does(sealed)
    assert contents(sealed) == expected
    workflows.verify(sealed, policy)


def _decryptor():
    """Return `JWEDecryptor` of kserve-storage, without the clients of clouds that its package loads."""
    found = importlib.util.find_spec("kserve_storage")
    if found is None:
        return None
    place = Path(found.submodule_search_locations[0]) / "confidential"
    package = types.ModuleType("kserve_confidential")
    package.__path__ = [str(place)]
    sys.modules["kserve_confidential"] = package
    return importlib.import_module("kserve_confidential.jwe_decryptor").JWEDecryptor


@pytest.mark.skipif(
    importlib.util.find_spec("kserve_storage") is None, reason="kserve-storage is not installed here"
)
def test_kserve_s_own_decryptor_reads_it(model, policy, sealed):
    class Resolver:
        def resolve_key(self, resource_id):
            return JWK.export().encode()

    _decryptor()(Resolver(), resource_id="kbs:///models/key/1").decrypt_directory(sealed)
    assert contents(sealed) == contents(model)
    workflows.verify(sealed, policy)


@pytest.mark.parametrize("suffix", [".jwe", ""])
def test_what_their_library_writes_is_read(model, opens, suffix, tmp_path):
    expected = {name: raw for name, raw in contents(model).items() if name != "model.sig"}
    folder = shutil.copytree(model, tmp_path / "theirs")
    sealed_by_theirs(folder, suffix=suffix)
    assert opens(folder) == expected


def test_a_plaintext_in_place_of_a_jwe_is_refused(model, sealed, refuses):
    """KServe skips it with no word: whoever can write to the store turns encryption off."""
    (sealed / "config.json.jwe").unlink()
    shutil.copy(model / "config.json", sealed / "config.json")
    refuses(SealError, "not-encrypted", sealed)


@pytest.mark.parametrize("suffix", [".jwe", ""])
def test_a_whole_folder_in_the_clear_is_refused(model, refuses, tmp_path, suffix):
    """KServe finds nothing to decrypt, and reports success."""
    folder = shutil.copytree(model, tmp_path / "clear")
    for name in contents(folder):
        if name != "model.sig":
            (folder / name).rename(folder / f"{name}{suffix}")
    refuses(SealError, "not-encrypted", folder)


def test_a_file_of_another_is_refused_by_its_author(sealed, refuses):
    """One key for all files, and nothing that binds a JWE to its place: the signature does."""
    one, other = sealed / "weights.bin.jwe", sealed / "nested/exact.jwe"
    swapped = one.read_bytes(), other.read_bytes()
    other.write_bytes(swapped[0])
    one.write_bytes(swapped[1])
    refuses(VerificationError, "digest-mismatch", sealed)


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        (lambda raw: raw[:-1] + (b"A" if raw[-1:] != b"A" else b"Q"), SealError, "tampered"),
        (lambda raw: raw + b"\n", FormatError, "bad-jwe"),
        (lambda raw: raw[:-54] + b"_" + raw[-53:-30], FormatError, "bad-base64"),  # "_": bits too many
        (lambda raw: raw[:-31], FormatError, "bad-jwe"),
        (lambda raw: raw[:20], SealError, "not-encrypted"),
        (lambda _: b"", SealError, "not-encrypted"),
    ],
)
def test_a_jwe_that_was_touched_leaves_nothing(sealed, refuses, change, kind, code):
    path = sealed / "nested/exact.jwe"
    path.write_bytes(change(path.read_bytes()))
    refuses(kind, code, sealed)


def test_an_empty_file_that_is_empty_no_more_and_one_that_is_emptied(model, sealed, refuses):
    (sealed / "nested/__init__.py").write_text("import os")
    refuses(SealError, "not-encrypted", sealed)
    (sealed / "nested/__init__.py").write_text("")
    (sealed / "config.json.jwe").unlink()
    (sealed / "config.json").write_text("")
    refuses(VerificationError, "digest-mismatch", sealed)


def test_another_key_another_author_and_no_author(sealed, refuses, refused, policy, tmp_path):
    refuses(SealError, "wrong-context", sealed, key=JweKey(bytes(32)))
    stranger = policy_from_keys(generate_key("p256", passphrase=None)[1])
    with refused(VerificationError, "wrong-signer"):
        workflows.open_from_kserve(sealed, KEY, stranger, output=tmp_path / "opened")
    (sealed / "model.sig").rename(tmp_path / "elsewhere.sig")
    refuses(VerificationError, "unsigned", sealed)
    workflows.open_from_kserve(
        sealed, KEY, policy, bundle=tmp_path / "elsewhere.sig", output=tmp_path / "opened"
    )


def test_a_file_that_is_missing_and_one_that_nobody_signed(sealed, refuses, opens):
    (sealed / "extra.jwe").write_bytes((sealed / "config.json.jwe").read_bytes())
    assert "extra" not in opens(sealed)
    (sealed / "config.json.jwe").unlink()
    shutil.rmtree(sealed.parent / "opened")
    refuses(VerificationError, "file-missing", sealed)


def test_a_link_in_place_of_a_file_is_not_followed(sealed, refuses, tmp_path):
    (tmp_path / "elsewhere").write_bytes((sealed / "config.json.jwe").read_bytes())
    (sealed / "config.json.jwe").unlink()
    (sealed / "config.json.jwe").symlink_to(tmp_path / "elsewhere")
    refuses(FormatError, "symlink", sealed)
    (sealed / "model.sig").unlink()
    (sealed / "model.sig").symlink_to(tmp_path / "elsewhere")
    refuses(FormatError, "symlink", sealed)


def test_a_policy_of_lines_opens_none_of_it(sealed, refused, keys, tmp_path):
    text = (
        "apiVersion: trustkit.dev/v1alpha1\nkind: VerificationPolicy\nmetadata: {name: ours}\nspec:\n"
        "  threshold: 1\n  lines: [acme/tiny]\n  authorities:\n"
        "    - name: author\n      roles: [author]\n      key: {file: author.pub}\n"
    )
    lines = parse_policy(text.encode(), read_file=lambda name: (keys / name).read_bytes())
    with refused(VerificationError, "line-not-in-policy"):
        workflows.open_from_kserve(sealed, KEY, lines, output=tmp_path / "opened")


def test_what_its_author_did_not_sign_is_not_sealed(model, policy, refused, tmp_path):
    (model / "config.json").write_bytes(b"2")
    with refused(VerificationError, "digest-mismatch"):
        workflows.seal_for_kserve(model, KEY, policy, output=tmp_path / "sealed")
    (model / "more").write_bytes(b"2")
    with refused(VerificationError, "unsigned-file"):
        workflows.seal_for_kserve(model, KEY, policy, output=tmp_path / "sealed")
    assert [path.name for path in tmp_path.iterdir() if path.name != "keys"] == ["model"]


def test_a_folder_that_changes_meanwhile_is_not_sealed(model, policy, refused, tmp_path):
    def change(_):
        (model / "late").write_bytes(b"1")

    with refused(VerificationError, "file-changed"):
        workflows.seal_for_kserve(model, KEY, policy, output=tmp_path / "sealed", progress=change)
    assert not (tmp_path / "sealed").exists()


def test_a_single_file_comes_back_in_a_folder(signer, policy, opens, tmp_path):
    (tmp_path / "one.bin").write_bytes(b"weights")
    workflows.sign(tmp_path / "one.bin", signer)
    workflows.seal_for_kserve(tmp_path / "one.bin", KEY, policy, output=tmp_path / "sealed")
    assert set(contents(tmp_path / "sealed")) == {"one.bin.jwe", "model.sig"}
    assert opens(tmp_path / "sealed") == {"one.bin": b"weights"}


@pytest.mark.parametrize("name", ["weights.jwe", "nested/WEIGHTS.JWE"])
def test_names_that_kserve_would_decrypt_twice_are_refused(model, policy, signer, refused, tmp_path, name):
    (model / name).write_bytes(b"1")
    workflows.sign(model, signer, overwrite=True)
    with refused(FormatError, "unsafe-name"):
        workflows.seal_for_kserve(model, KEY, policy, output=tmp_path / "sealed")


@pytest.mark.parametrize("size", [0, 5])
@pytest.mark.parametrize(
    "names",
    [("n" * 252,), ("nested/" + "n" * 255,), ("ä" * 126,), ("a", "a.jwe/b"), ("x/a", "x/a.jwe/y/b")],
)
def test_names_by_which_nothing_would_be_found_again_are_refused(
    policy, signer, refused, tmp_path, monkeypatch, names, size
):
    """Before anything is sealed; of an empty file, too: it is looked for under both names."""
    folder = tmp_path / "model"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1" * size)
    workflows.sign(folder, signer)
    monkeypatch.setattr("trustkit.storage.kserve_folder.run_shared", lambda *_, **__: 1 / 0)
    with refused(FormatError, "unsafe-name"):
        workflows.seal_for_kserve(folder, KEY, policy, output=tmp_path / "sealed")
    assert not (tmp_path / "sealed").exists()


def test_the_longest_name_there_is_room_for(policy, signer, opens, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    expected = {"n" * 251: b"1", "e" * 251: b"", "ä" * 125: b"2"}
    for name, raw in expected.items():
        (folder / name).write_bytes(raw)
    workflows.sign(folder, signer)
    workflows.seal_for_kserve(folder, KEY, policy, output=tmp_path / "sealed")
    assert opens(tmp_path / "sealed") == expected


def test_a_file_that_is_signed_without_its_name_is_refused(signer, policy, refused, tmp_path):
    """As the reference signs a lone file: nobody could say what it was called."""
    (tmp_path / "one.bin").write_bytes(b"weights")
    workflows.sign(tmp_path / "one.bin", signer, compat="model-signing-1.1")
    with refused(FormatError, "unsafe-name"):
        workflows.seal_for_kserve(tmp_path / "one.bin", KEY, policy, output=tmp_path / "sealed")


def test_outputs_that_are_there_or_inside(model, policy, sealed, refused, tmp_path):
    with refused(UsageError, "output-exists"):
        workflows.seal_for_kserve(model, KEY, policy, output=sealed)
    with refused(UsageError, "output-exists"):
        workflows.open_from_kserve(sealed, KEY, policy, output=model)
    with refused(UsageError, "output-is-input"):
        workflows.open_from_kserve(sealed, KEY, policy, output=sealed / "opened")


def test_memory_does_not_grow_with_the_file(policy, signer, tmp_path):
    """KServe holds the whole file several times over."""
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "weights").open("wb") as file:
        file.truncate(48 << 20)
    workflows.sign(folder, signer)
    began = []

    def told(_):
        if not began:
            began.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.reset_peak()

    tracemalloc.start()
    try:
        for work, source, target in (
            (workflows.seal_for_kserve, folder, "sealed"),
            (workflows.open_from_kserve, tmp_path / "sealed", "opened"),
        ):
            began.clear()
            work(source, KEY, policy, output=tmp_path / target, workers=1, progress=told)
            assert tracemalloc.get_traced_memory()[1] - began[0] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (tmp_path / "opened/weights").stat().st_size == 48 << 20


def test_progress_is_told_both_ways(model, policy, tmp_path):
    total = sum(len(raw) for name, raw in contents(model).items() if name != "model.sig")
    for work in (
        lambda told: workflows.seal_for_kserve(
            model, KEY, policy, output=tmp_path / "sealed", progress=told, workers=2
        ),
        lambda told: workflows.open_from_kserve(
            tmp_path / "sealed", KEY, policy, output=tmp_path / "opened", progress=told, workers=2
        ),
    ):
        seen = []
        done = work(seen.append)
        assert (sum(seen), done.bytes, done.files) == (total, total, 6)
