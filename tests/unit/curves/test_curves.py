"""The three curves: keys are spelled as the library spells them, and its ECDSA is ours."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trustkit.curves import (
    CURVES,
    ECDSA,
    HASHES,
    coordinate_size,
    pem_of,
    point_of,
    public_der,
    public_key_from_der,
)

SPKI = PublicFormat.SubjectPublicKeyInfo


@pytest.fixture(scope="module", params=CURVES)
def key(request):
    return ec.generate_private_key(CURVES[request.param])


def test_a_public_key_is_spelled_as_the_library_spells_it(key):
    public = key.public_key()
    assert public_der(public) == public.public_bytes(Encoding.DER, SPKI)
    assert pem_of(public_der(public), "PUBLIC KEY") == public.public_bytes(Encoding.PEM, SPKI)
    assert point_of(public) == public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert len(point_of(public)) == 1 + 2 * coordinate_size(key.curve)


def test_a_public_key_is_read_with_its_point_whole_or_compressed(key):
    public = key.public_key()
    whole, short = public_der(public), public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    heads = {"secp256r1": "3039301306072a8648ce3d020106082a8648ce3d030107032200"}
    heads["secp384r1"] = "3046301006072a8648ce3d020106052b81040022033200"
    heads["secp521r1"] = "3058301006072a8648ce3d020106052b81040023034400"
    assert public_key_from_der(whole) == public
    assert public_key_from_der(bytes.fromhex(heads[key.curve.name]) + short) == public
    for wrong in (b"", whole[:-1], whole + b"\0", b"\x31" + whole[1:], whole[:-1] + bytes((whole[-1] ^ 1,))):
        with pytest.raises(ValueError, match=r"."):
            public_key_from_der(wrong)


@pytest.mark.parametrize("prehashed", [False, True])
def test_its_ecdsa_signs_for_theirs_and_theirs_for_ours(key, prehashed):
    algorithm = HASHES[key.curve.name]
    content = b"message"
    if prehashed:
        hasher = hashes.Hash(algorithm)
        hasher.update(content)
        content, algorithm = hasher.finalize(), Prehashed(algorithm)
    ours, theirs = ECDSA(algorithm), ec.ECDSA(algorithm)
    assert (ours.algorithm, ours.deterministic_signing) == (theirs.algorithm, theirs.deterministic_signing)
    public = key.public_key()
    for one, other in ((ours, theirs), (theirs, ours), (ours, ours)):
        signature = key.sign(content, one)
        public.verify(signature, content, other)
        with pytest.raises(InvalidSignature):
            public.verify(signature, bytes(len(content)), other)
    assert key.sign(content, ours) != key.sign(content, ours)


@pytest.mark.parametrize("other", [hashes.SHA224(), hashes.SHA3_256()])
def test_a_signature_over_another_hash_is_none(key, other):
    with pytest.raises(InvalidSignature):
        key.public_key().verify(key.sign(b"m", ECDSA(other)), b"m", ECDSA(HASHES[key.curve.name]))
