"""Sealed artifacts in hostile hands: every byte at rest may be changed, moved, swapped or withheld.

Real folders, sealed and opened by the workflows. Whatever is done to one, the
output is absent or whole: nothing under its name, no staging beside it, and the
sealed folder as it was found.
"""

import base64
import dataclasses
import json
import os
import shutil
from itertools import pairwise

import pytest

from trustkit import workflows
from trustkit.attest.predicates.sealed import parse_sealed, statement_of_sealed
from trustkit.digest import Digest, digest_of
from trustkit.errors import SealError, VerificationError
from trustkit.sealing.awskms import KmsOpener, KmsRecipient, parse_key
from trustkit.sealing.awskms_client import KmsClient
from trustkit.sealing.documents import BLOBS, DESCRIPTOR, RECIPIENTS, SIGNATURE
from trustkit.sealing.floe import HEADER_LENGTH
from trustkit.sealing.keys import Dek
from trustkit.sealing.passphrase import PassphraseOpener, PassphraseRecipient
from trustkit.sealing.recipients import (
    generate_opener,
    opener_from_pem,
    recipient_from_pem,
    unwrap_document,
)
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import parse_policy
from trustkit.verifying.verify import verify_statement

SEGMENT = 1 << 20
WHOLE = SEGMENT - 32
FILES = {
    "config.json": b'{"hidden": "a secret configuration of the model"}',
    "empty": b"",
    "weights/one.bin": os.urandom(2 * WHOLE + 1000),
    "weights/two.bin": os.urandom(2 * WHOLE + 1000),
}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Signers by name; each has a key of its own."""
    folder = tmp_path_factory.mktemp("keys")
    found = {}
    for name in ("author", "publisher", "rival"):
        (folder / name).write_bytes(generate_key("p256", passphrase=None)[0])
        found[name] = load_signer(folder / name, passphrase=None)
    return found


@pytest.fixture(scope="module")
def policy(people):
    """One author, two publishers; both publishers are believed, for the same line."""
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
            "lines": ["acme/tiny-llm"],
        },
    }
    return parse_policy(json.dumps(document).encode(), read_file=None)


@pytest.fixture(scope="module")
def keys():
    """The private and the public half of whoever may open."""
    return generate_opener("x25519", passphrase=None)


@pytest.fixture(scope="module")
def opener(keys):
    return opener_from_pem(keys[0], passphrase=None)


@pytest.fixture(scope="module")
def model(tmp_path_factory, people):
    """A signed model."""
    folder = tmp_path_factory.mktemp("model") / "tiny-llm"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    workflows.sign(folder, people["author"])
    return folder


@pytest.fixture(scope="module")
def seal(tmp_path_factory, model, people, policy, keys):
    """Seal the model, and return the folder."""

    def seal(version=1, *, by="publisher", entropy=os.urandom):
        output = tmp_path_factory.mktemp("sealed") / f"v{version}"
        workflows.seal(
            model,
            people[by],
            output=output,
            line="acme/tiny-llm",
            version=version,
            recipients=[recipient_from_pem(keys[1])],
            policy=policy,
            entropy=entropy,
        )
        return output

    return seal


@pytest.fixture(scope="module")
def original(seal):
    return seal()


@pytest.fixture
def stolen(original, tmp_path):
    """A copy of the sealed folder to be spoiled."""
    return shutil.copytree(original, tmp_path / "stolen")


@pytest.fixture
def described(people, policy):
    """Read the descriptor of a folder, and the blob of one of its files."""

    def described(folder):
        raw = (folder / DESCRIPTOR).read_bytes()
        return parse_sealed(verify_statement(raw, policy, role="publisher").statement)

    return described


@pytest.fixture
def blob(described):
    def blob(folder, name):
        return folder / BLOBS / described(folder).part(name).blob.hex

    return blob


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def refuses(tmp_path, opener, policy):
    """Open a folder, see it refused, and see that nothing was released; return the code."""

    def refuses(folder, kind=SealError, *, openers=None):
        before, beside = snapshot(folder), set(tmp_path.iterdir())
        with pytest.raises(kind) as caught:
            workflows.open_sealed(folder, openers or [opener], policy, output=tmp_path / "opened", workers=2)
        assert set(tmp_path.iterdir()) == beside, "something was left where the output would be"
        assert snapshot(folder) == before
        return caught.value.code

    return refuses


def test_as_it_was_sealed_it_opens(original, opener, policy, tmp_path):
    opened = workflows.open_sealed(original, [opener], policy, output=tmp_path / "opened")
    assert snapshot(opened.output) == FILES
    assert (opened.files, opened.bytes) == (len(FILES), sum(map(len, FILES.values())))


EDGES = [0, 1, HEADER_LENGTH - 1, HEADER_LENGTH, HEADER_LENGTH + 1, HEADER_LENGTH + 31]
EDGES += [HEADER_LENGTH + edge * SEGMENT + offset for edge in (1, 2) for offset in (-1, 0, 1, 32, 500)]


def test_truncated_ciphertext_releases_nothing(stolen, blob, refuses):
    target = blob(stolen, "weights/one.bin")
    whole = target.read_bytes()
    for length in (*EDGES, len(whole) - 16, len(whole) - 1):
        target.write_bytes(whole[:length])
        assert refuses(stolen) == "truncated", length


def test_extended_ciphertext_releases_nothing(stolen, blob, refuses):
    target = blob(stolen, "weights/one.bin")
    whole = target.read_bytes()
    for more in (b"\0", whole[-1032:], whole[HEADER_LENGTH : HEADER_LENGTH + SEGMENT], whole):
        target.write_bytes(whole + more)
        assert refuses(stolen) == "trailing-bytes"


def test_swapped_segments_release_nothing(stolen, seal, blob, refuses):
    """Within a file, across files of one key, and with the next version of the same bytes."""
    one, two = (blob(stolen, f"weights/{name}.bin").read_bytes() for name in ("one", "two"))
    later = blob(seal(2), "weights/one.bin").read_bytes()
    header, first, second, last = _cut(one)
    for segments in (
        [header, second, first, last],
        [header, first, first, last],
        [header, _cut(two)[1], second, last],
        [header, first, second, _cut(two)[3]],
        [_cut(two)[0], first, second, last],
        _cut(two),
        [header, _cut(later)[1], second, last],
        _cut(later),
    ):
        blob(stolen, "weights/one.bin").write_bytes(b"".join(segments))
        assert refuses(stolen) == "tampered"


def test_a_flipped_bit_anywhere_releases_nothing(stolen, blob, refuses):
    target = blob(stolen, "weights/one.bin")
    whole = target.read_bytes()
    starts = [HEADER_LENGTH + number * SEGMENT for number in range(3)]
    places = [
        0,
        2,
        6,
        10,
        42,
        *(start + offset for start in starts for offset in (0, 4, 16, 900)),
        len(whole) - 1,
    ]
    for place in places:
        target.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        assert refuses(stolen) in {"tampered", "wrong-parameters"}, place


def test_a_blob_that_is_withheld_releases_nothing(stolen, blob, refuses):
    blob(stolen, "empty").unlink()
    assert refuses(stolen, VerificationError) == "file-missing"


def test_plaintext_in_place_of_ciphertext_releases_nothing(stolen, blob, refuses):
    """Encrypted or not is signed, never sniffed: the right bytes in the clear are refused as well."""
    target = blob(stolen, "weights/one.bin")
    length = target.stat().st_size
    for content in (FILES["weights/one.bin"], FILES["weights/one.bin"].ljust(length, b"\0")):
        target.write_bytes(content)
        assert refuses(stolen) in {"truncated", "tampered"}


def test_documents_of_another_version_release_nothing(stolen, seal, refuses):
    """Each alone is genuine; together they are not what anybody signed."""
    later = seal(2)
    for name, codes in ((DESCRIPTOR, {"wrong-context"}), (RECIPIENTS, {"wrong-context"})):
        kept = (stolen / name).read_bytes()
        shutil.copyfile(later / name, stolen / name)
        assert refuses(stolen) in codes
        (stolen / name).write_bytes(kept)
    shutil.copyfile(later / DESCRIPTOR, stolen / DESCRIPTOR)
    shutil.copyfile(later / RECIPIENTS, stolen / RECIPIENTS)
    assert refuses(stolen, VerificationError) == "file-missing"  # the blobs of the later version are not here


def test_an_edited_descriptor_releases_nothing(stolen, refuses):
    bundle = json.loads((stolen / DESCRIPTOR).read_bytes())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    for old, new in (
        (b'"version":1', b'"version":2'),
        (b"acme/tiny-llm", b"acme/tiny-lln"),
        (b'"suite":1', b'"suite":0'),
    ):
        edited = payload.replace(old, new)
        assert edited != payload
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(edited).decode()
        (stolen / DESCRIPTOR).write_text(json.dumps(bundle))
        assert refuses(stolen, VerificationError) == "wrong-signer"


def test_an_authors_bundle_over_other_bytes_releases_nothing(stolen, model, people, refuses, tmp_path):
    """The author signs a next version; a thief puts that signature beside the old ciphertext."""
    other = shutil.copytree(model, tmp_path / "other")
    (other / "config.json").write_bytes(b"{}")
    workflows.sign(other, people["author"], overwrite=True)
    shutil.copyfile(other / "model.sig", stolen / SIGNATURE)
    assert refuses(stolen, VerificationError) == "manifest-mismatch"


def test_a_key_that_does_not_fit_the_commitment_opens_nothing(stolen, described, keys, opener, refuses):
    """A recipient's key is public: anybody can wrap a key of his own for it, in the right context."""
    descriptor = described(stolen)
    for secret in (bytes(32), os.urandom(32)):
        wrapped = recipient_from_pem(keys[1]).wrap(Dek(bytearray(secret)), descriptor.context.to_bytes())
        entry = {
            "kind": opener.kind,
            "key": str(opener.key_id),
            "wrapped": base64.b64encode(wrapped).decode(),
        }
        document = json.loads((stolen / RECIPIENTS).read_bytes()) | {"recipients": [entry]}
        (stolen / RECIPIENTS).write_text(json.dumps(document))
        assert refuses(stolen) == "key-commitment-mismatch"


def test_another_publishers_wrapped_key_in_an_own_descriptor_gives_nothing(
    stolen, described, people, policy, refuses
):
    """A rival, rightly believed for the same line, signs a descriptor of his own over stolen ciphertext."""
    descriptor = described(stolen)
    root = verify_statement((stolen / DESCRIPTOR).read_bytes(), policy, role="publisher")
    root_digest = Digest("sha256", bytes.fromhex(root.statement.subjects[0].digests["sha256"]))
    for changes, kind, code in (
        ({"publisher_key": people["rival"].fingerprint}, SealError, "wrong-context"),
        ({}, VerificationError, "publisher-mismatch"),
        ({"publisher_key": people["rival"].fingerprint, "version": 7}, SealError, "wrong-context"),
        (
            {"publisher_key": people["rival"].fingerprint, "key_commitment": digest_of(b"?")},
            SealError,
            "wrong-context",
        ),
    ):
        dressed = dataclasses.replace(descriptor, **changes)
        statement = statement_of_sealed(dressed, root_digest=root_digest)
        (stolen / DESCRIPTOR).write_bytes(workflows.signed_statement(statement, people["rival"]))
        assert refuses(stolen, kind) == code


def test_whoever_is_no_recipient_gets_nothing(stolen, refuses):
    stranger = opener_from_pem(generate_opener("x25519", passphrase=None)[0], passphrase=None)
    assert refuses(stolen, openers=[stranger]) == "no-matching-opener"


def test_no_plaintext_lies_in_a_sealed_folder(seal, opener, policy, tmp_path):
    """Nor the data key: of all that was drawn at random, it is the one value that nobody finds there."""
    drawn = []

    def entropy(size):
        drawn.append(os.urandom(size))
        return drawn[-1]

    folder = seal(entropy=entropy)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        (DESCRIPTOR, RECIPIENTS, SIGNATURE, BLOBS)
    )
    everything = b"\n".join(snapshot(folder).values())
    for content in FILES.values():
        for start in range(0, len(content), 4096):
            assert len(content) < 16 or content[start : start + 16] not in everything
    hidden = [secret for secret in drawn if len(secret) == 32 and secret not in everything]
    assert len(hidden) == 1, "the data key, or an IV, is not where it belongs"
    for spelled in (hidden[0].hex().encode(), base64.b64encode(hidden[0])[:-2]):
        assert spelled not in everything
    opened = workflows.open_sealed(folder, [opener], policy, output=tmp_path / "opened")
    assert snapshot(opened.output) == FILES


def test_sealing_twice_gives_nothing_to_compare(seal):
    """Equal files have unequal ciphertext, so a store learns lengths, never equality."""
    first, second = snapshot(seal()), snapshot(seal())
    shared = {
        content[place : place + 16]
        for content in first.values()
        for place in range(HEADER_LENGTH, len(content), 4096)
        if len(content) > 1000
    }
    assert not {name for name in first if name.startswith(BLOBS)} & second.keys()
    assert not any(piece in content for piece in shared for name, content in second.items() if BLOBS in name)


def test_every_sealing_has_a_data_key_of_its_own(seal, described, opener):
    """Or whoever was shut out of one version would open the next with the key that he kept."""
    found = set()
    for folder in (seal(), seal(), seal(2)):
        context = described(folder).context
        with unwrap_document((folder / RECIPIENTS).read_bytes(), context, [opener]) as dek:
            found.add((bytes(dek.key), context.dek_id))
    assert len({key for key, _ in found}) == len({dek_id for _, dek_id in found}) == 3


def _cut(part):
    ends = [0, HEADER_LENGTH, HEADER_LENGTH + SEGMENT, HEADER_LENGTH + 2 * SEGMENT, len(part)]
    return [part[start:end] for start, end in pairwise(ends)]


def other_bytes(folder):
    raw = bytearray((folder / "weights/two.bin").read_bytes())
    raw[WHOLE + 5] ^= 1
    (folder / "weights/two.bin").write_bytes(raw)


def another_length(folder):
    (folder / "config.json").write_bytes(b"{}")


def one_more(folder):
    (folder / "weights/modeling.py").write_text("import os")


def one_less(folder):
    (folder / "empty").unlink()


def a_link(folder):
    (folder / "empty").unlink()
    (folder / "empty").symlink_to("config.json")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (other_bytes, "digest-mismatch"),
        (another_length, "digest-mismatch"),
        (one_more, "unsigned-file"),
        (one_less, "file-missing"),
        (a_link, "symlink"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_its_author_did_not_sign_is_never_sealed(
    model, people, policy, keys, tmp_path, change, code, when
):
    """One pass: what is sealed is hashed from the same buffer, so no moment between both can be used."""
    copy = shutil.copytree(model, tmp_path / "model")
    seen = []

    def progress(size):
        seen.append(size)
        if when == "meanwhile" and len(seen) == 1:
            change(copy)

    if when == "before":
        change(copy)
    with pytest.raises(VerificationError) as caught:
        workflows.seal(
            copy,
            people["publisher"],
            output=tmp_path / "sealed",
            line="acme/tiny-llm",
            version=1,
            recipients=[recipient_from_pem(keys[1])],
            policy=policy,
            workers=1,
            progress=progress,
        )
    assert caught.value.code in ({code} if when == "before" else {code, "file-changed"})
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("kind", ["mlkem768-x25519", "scrypt", "awskms"])
def test_every_kind_of_recipient_is_bound_to_its_publisher(
    kind, model, people, policy, described, refuses, tmp_path, request
):
    """A rival takes the wrapped key of another's artifact into a descriptor of his own: it opens nothing."""
    if kind == "scrypt":
        recipient = PassphraseRecipient(b"correct horse battery", entropy=os.urandom)
        opener = PassphraseOpener(b"correct horse battery")
    elif kind == "awskms":
        service = request.getfixturevalue("kms")
        key = parse_key(service.name(service.create_key()))
        client = KmsClient(key, monotonic=lambda: 0.0)
        recipient, opener = KmsRecipient(key, client), KmsOpener(key, client)
    else:
        private, public = generate_opener(kind, passphrase=None)
        recipient, opener = recipient_from_pem(public), opener_from_pem(private, passphrase=None)
    folder = tmp_path / "sealed"
    workflows.seal(
        model,
        people["publisher"],
        output=folder,
        line="acme/tiny-llm",
        version=1,
        recipients=[recipient],
        policy=policy,
    )
    workflows.open_sealed(folder, [opener], policy, output=tmp_path / "whole")
    assert snapshot(tmp_path / "whole") == FILES
    descriptor = described(folder)
    signed = verify_statement((folder / DESCRIPTOR).read_bytes(), policy, role="publisher")
    root_digest = Digest("sha256", bytes.fromhex(signed.statement.subjects[0].digests["sha256"]))
    dressed = dataclasses.replace(descriptor, publisher_key=people["rival"].fingerprint)
    statement = statement_of_sealed(dressed, root_digest=root_digest)
    (folder / DESCRIPTOR).write_bytes(workflows.signed_statement(statement, people["rival"]))
    assert refuses(folder, openers=[opener]) == "wrong-context"
    with pytest.raises(SealError) as caught:  # nor does he get it wrapped again, for himself
        workflows.rewrap(
            folder, [opener], policy, add=[recipient_from_pem(generate_opener("x25519", passphrase=None)[1])]
        )
    assert caught.value.code == "wrong-context"
