"""Signing with a certificate: it must be of the very key, and is carried as it was given."""

import time

import pytest

from trustkit.attest.bundle import CertificateChain, PublicKeyHint
from trustkit.errors import FormatError, LimitError, UsageError
from trustkit.signing.certificate import certified
from trustkit.signing.key import LocalSigner
from trustkit.spiffe.certificates import MAX_CERTIFICATE_BYTES, certificate_from_der

NOW = float(int(time.time()))


@pytest.fixture(scope="module")
def root(forger):
    return forger.Issuer(NOW, name="root", uris=())


@pytest.fixture(scope="module")
def leaf(root):
    return root.leaf(uris=(), emails=("ml@example.com",))


def refused(kind, code, *arguments):
    with pytest.raises(kind) as caught:
        certified(*arguments)
    assert caught.value.code == code


def test_a_certified_signer_is_the_signer_with_its_certificates(forger, root, leaf):
    signer = LocalSigner(leaf[1])
    both = certified(signer, forger.pem(leaf[0]), root.pem)
    assert both.material == CertificateChain((forger.der(leaf[0]), forger.der(root.certificate)))
    assert (both.fingerprint, both.public_pem()) == (signer.fingerprint, signer.public_pem())
    leaf[0].public_key().verify(both.sign(b"x"), b"x", _ecdsa())
    assert signer.material == PublicKeyHint(signer.hint)


def _ecdsa():
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(hashes.SHA256())


def test_a_file_may_hold_the_whole_chain_with_words_and_line_ends_of_another_system(forger, root, leaf):
    text = b"subject=ml\r\n" + forger.pem(leaf[0], root.certificate).replace(b"\n", b"\r\n")
    assert len(certified(LocalSigner(leaf[1]), text).material.certificates) == 2


def test_the_certificate_of_another_key(forger, root, leaf):
    other, _ = root.leaf()
    signer = LocalSigner(leaf[1])
    refused(UsageError, "certificate-key-mismatch", signer, forger.pem(other), forger.pem(leaf[0]))
    refused(UsageError, "certificate-key-mismatch", signer, forger.pem(other, leaf[0]))


def test_the_certificate_of_a_key_of_an_unknown_kind(forger, leaf):
    strange = forger.der(leaf[0]).replace(
        bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f")
    )
    from cryptography import x509

    pem = forger.pem(x509.load_der_x509_certificate(strange))
    refused(UsageError, "certificate-key-mismatch", LocalSigner(leaf[1]), pem)


def test_files_that_are_no_certificates(forger, root, leaf):
    signer, pem = LocalSigner(leaf[1]), forger.pem(leaf[0])
    refused(FormatError, "bad-certificate", signer, b"")
    refused(FormatError, "bad-certificate", signer, pem, b"no PEM")
    refused(FormatError, "bad-certificate", signer, pem + b"-----BEGIN X-----\n")
    refused(UsageError, "private-key-given", signer, forger.key_pem(leaf[1]))
    refused(UsageError, "private-key-given", signer, pem, forger.key_pem(leaf[1]))


def test_ten_certificates_and_no_more(forger, root, leaf):
    signer, pem = LocalSigner(leaf[1]), forger.pem(leaf[0])
    assert len(certified(signer, pem, root.pem * 9).material.certificates) == 10
    refused(LimitError, "chain-too-long", signer, pem, root.pem * 10)
    refused(LimitError, "chain-too-long", signer, pem * 11)
    refused(LimitError, "chain-too-long", signer, pem * 10, root.pem)


def test_a_certificate_is_capped_before_it_is_parsed():
    with pytest.raises(LimitError) as caught:
        certificate_from_der(b"0" * (MAX_CERTIFICATE_BYTES + 1), "it")
    assert caught.value.code == "too-large"
    with pytest.raises(FormatError):
        certificate_from_der(b"0" * MAX_CERTIFICATE_BYTES, "it")


def test_a_chain_that_is_named_and_empty_is_refused(leaf, forger):
    with pytest.raises(FormatError, match="bad-certificate"):
        certified(LocalSigner(leaf[1]), forger.pem(leaf[0]), b"")
