"""What lies in a store is signed as a folder of the same files is; each verifies what the other signed."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("s3fs", reason="model-trustkit[dask] is not installed")

from trustkit import workflows
from trustkit.errors import FormatError, UnavailableError, UsageError, VerificationError
from trustkit.storage import object_pieces
from trustkit.workflows.objects import sign_objects, verify_objects

pytestmark = pytest.mark.xdist_group("cluster")
FILES = {
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 50,
    "tokenizer/vocab.txt": b"a\nb\n",
    "tokenizer/empty.txt": b"",
    ".gitignore": b"*.tmp",
    "notes/draft.txt": b"not for others",
}


@pytest.fixture(scope="module")
def pool():
    """Workers in this process: the store is the same, and coverage sees them."""
    with ThreadPoolExecutor(3) as found:
        yield found


@pytest.fixture(params=["s3", "gs"])
def shop(request):
    """A bucket of each kind."""
    return request.getfixturevalue({"s3": "bucket", "gs": "cloud"}[request.param])


@pytest.fixture
def there(shop, request):
    """The files, in the store; each test has a folder of its own."""
    return shop.fill(f"{request.node.name}/model", FILES)


@pytest.fixture
def here(tmp_path):
    """The same files, on a disk."""
    for name, content in FILES.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)
    return tmp_path / "model"


def key_of(address):
    return address.split("/", 3)[3]


def payload(bundle):
    return json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"method": "shards", "shard_size": 1000},
        {"method": "auto"},
        {"algorithm": "blake3"},
        {"ignore": ["notes", "tokenizer/empty.txt"]},
        {"git": "never"},
        {"git": "always"},
    ],
    ids=str,
)
def test_the_payload_is_that_of_a_folder_byte_for_byte(how, there, here, tmp_path, signer, pool, monkeypatch):
    monkeypatch.setattr(object_pieces, "BLOCK", 700)
    signed = sign_objects(there, signer, executor=pool, bundle=tmp_path / "there.sig", **how)
    local = workflows.sign(here, signer, bundle=tmp_path / "here.sig", **how)
    assert payload(tmp_path / "there.sig") == payload(tmp_path / "here.sig")
    assert (signed.manifest, signed.bytes, signed.warnings) == (local.manifest, local.bytes, local.warnings)


def test_a_single_object_is_signed_as_a_file(there, here, tmp_path, signer, pool):
    for compat in (None, "1.1"):
        one, other = tmp_path / f"there-{compat}", tmp_path / f"here-{compat}"
        address = f"{there}/model.safetensors"
        sign_objects(address, signer, executor=pool, bundle=one, compat=compat)
        workflows.sign(here / "model.safetensors", signer, bundle=other, compat=compat)
        assert payload(one) == payload(other)


def test_each_verifies_what_the_other_signed(there, here, tmp_path, signer, policy, pool):
    ours, theirs = tmp_path / "ours.sig", tmp_path / "theirs.sig"
    workflows.sign(here, signer, bundle=ours)
    sign_objects(there, signer, executor=pool, bundle=theirs)
    verified = verify_objects(there, policy, executor=pool, bundle=ours)
    assert verified.bytes == sum(map(len, FILES.values())) - len(FILES[".gitignore"])
    assert verified.ignored == (".gitignore",)
    workflows.verify(here, policy, bundle=theirs).close()


def test_a_copy_of_the_bundle_may_lie_in_the_store(shop, there, tmp_path, signer, policy, pool):
    bundle = tmp_path / "model.sig"
    sign_objects(there, signer, executor=pool, bundle=bundle)
    shop.put(key_of(there) + "/model.sig", bundle.read_bytes())
    verified = verify_objects(there, policy, executor=pool, bundle=bundle)
    assert verified.ignored == (".gitignore", "model.sig")


def test_nothing_of_what_was_verified_can_be_opened_here(there, tmp_path, signer, policy, pool, refused):
    sign_objects(there, signer, executor=pool, bundle=tmp_path / "model.sig")
    verified = verify_objects(there, policy, executor=pool, bundle=tmp_path / "model.sig")
    with refused(UsageError, "not-here"):
        verified.open("config.json")
    verified.close()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("config.json", b"[]", "digest-mismatch"),
        ("tokenizer/empty.txt", b"x", "digest-mismatch"),
        ("config.json", None, "file-missing"),
        ("new.bin", b"", "unsigned-file"),
        ("Config.json", b"", "name-twins"),
        ("model.sig/hidden", b"x", "special-file"),
        ("../escape", b"x", "unsafe-name"),
    ],
)
def test_what_is_not_as_signed_is_refused(
    name, content, code, shop, there, tmp_path, signer, policy, pool, refused
):
    sign_objects(there, signer, executor=pool, bundle=tmp_path / "model.sig")
    key = key_of(there) + f"/{name}"
    if content is None:
        shop.remove(key)
    else:
        shop.put(key, content)
    with refused(VerificationError, code):
        verify_objects(there, policy, executor=pool, bundle=tmp_path / "model.sig")


def test_a_part_can_be_verified_and_strays_tolerated(shop, there, tmp_path, signer, policy, pool):
    sign_objects(there, signer, executor=pool, bundle=tmp_path / "model.sig")
    shop.put(key_of(there) + "/stray", b"x")
    verified = verify_objects(
        there, policy, executor=pool, bundle=tmp_path / "model.sig", only=["*.json"], ignore_unsigned=True
    )
    assert (verified.files, verified.unsigned) == (("config.json",), ("stray",))


def test_a_stranger_is_refused_before_the_store_is_asked(there, tmp_path, stranger, policy, pool, refused):
    sign_objects(there, stranger, executor=pool, bundle=tmp_path / "model.sig")
    with refused(VerificationError, "wrong-signer"):
        verify_objects("s3://no-such-bucket", policy, executor=pool, bundle=tmp_path / "model.sig")


@pytest.mark.parametrize("name", ["config.json", "new"])
def test_a_store_that_changes_meanwhile_gets_no_signature(name, shop, there, tmp_path, signer, pool, refused):
    """The first load is hashed, and then somebody writes: to what was read, or something new."""
    key = key_of(there) + f"/{name}"
    with refused(VerificationError, "file-changed"):
        sign_objects(
            there,
            signer,
            executor=pool,
            bundle=tmp_path / "model.sig",
            progress=lambda _: shop.put(key, b"written"),
        )
    assert not (tmp_path / "model.sig").exists()


def test_outputs_are_guarded_as_for_folders(there, tmp_path, signer, pool, refused):
    bundle = tmp_path / "model.sig"
    sign_objects(there, signer, executor=pool, bundle=bundle)
    before = bundle.read_bytes()
    with refused(UsageError, "output-exists"):
        sign_objects(there, signer, executor=pool, bundle=bundle)
    with refused(UsageError, "output-is-input"):
        sign_objects(there, signer, executor=pool, bundle=bundle, inputs=[bundle], overwrite=True)
    assert bundle.read_bytes() == before
    sign_objects(there, signer, executor=pool, bundle=bundle, overwrite=True)
    assert payload(bundle) == json.loads(before)["dsseEnvelope"]["payload"]


def test_a_name_that_is_not_there_to_ignore_is_said(there, tmp_path, signer, pool):
    signed = sign_objects(there, signer, executor=pool, bundle=tmp_path / "model.sig", ignore=["nothing"])
    assert signed.warnings == (
        "there is no 'nothing' to ignore; whatever appears there later will be ignored",
    )


def test_a_signature_of_another_key_that_is_replaced_is_said(there, tmp_path, signer, stranger, pool):
    bundle = tmp_path / "model.sig"
    sign_objects(there, stranger, executor=pool, bundle=bundle)
    [told] = sign_objects(there, signer, executor=pool, bundle=bundle, overwrite=True).warnings
    assert told.startswith("1 signature of another key went")


@pytest.mark.parametrize(
    ("hidden", "kind"), [("model.sig/x", FormatError), (".gitattributes/x", FormatError)]
)
def test_nothing_hides_in_what_is_left_out(hidden, kind, shop, there, tmp_path, signer, pool, refused):
    shop.put(key_of(there) + f"/{hidden}", b"x")
    with refused(kind, "special-file"):
        sign_objects(there, signer, executor=pool, bundle=tmp_path / "model.sig")


def test_workers_that_answer_nonsense_sign_nothing(there, tmp_path, signer, refused):
    class Lying(ThreadPoolExecutor):
        def submit(self, work, pieces):
            return super().submit(lambda: work(pieces)[:-1])

    with Lying(1) as pool, refused(UnavailableError, "bad-answer"):
        sign_objects(there, signer, executor=pool, bundle=tmp_path / "model.sig")
    assert not (tmp_path / "model.sig").exists()


def test_verify_takes_an_executor_for_folders_too(here, signer, policy, pool):
    workflows.sign(here, signer)
    workflows.verify(here, policy, workers=pool).close()
    (here / "config.json").write_bytes(b"[]")
    with pytest.raises(VerificationError) as caught:
        workflows.verify(here, policy, workers=pool)
    assert caught.value.code == "digest-mismatch"
