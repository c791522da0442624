"""The throw-away authority keeps the rules that we hold others to."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store

from trustkit.errors import FormatError, VerificationError
from trustkit.spiffe.authority import Authority
from trustkit.spiffe.svid import BUNDLE, CHAIN, KEY, MAX_LIFETIME_SECONDS


@pytest.fixture
def authority(now):
    return Authority("demo.test", now=now, lifetime_seconds=3600)


def test_its_files_are_an_svid_directory(authority, svid_of, now):
    files = authority.files("/store", now=now, lifetime_seconds=600)
    assert set(files) == {CHAIN, KEY, BUNDLE}
    svid = svid_of(files)
    assert str(svid.spiffe_id) == "spiffe://demo.test/store"
    assert svid.not_after == now + 600


def test_two_svids_share_no_key_and_no_serial(authority, svid_of, now):
    first, second = (svid_of(authority.files("/a", now=now, lifetime_seconds=600)) for _ in range(2))
    assert first.key_pem != second.key_pem
    assert first.serial != second.serial


def test_the_key_is_fit_for_files(authority, now):
    _, key = authority.issue("/store", now=now, lifetime_seconds=600)
    assert serialization.load_pem_private_key(key, password=None).curve.name == "secp256r1"


def test_an_svid_ends_with_its_authority_at_the_latest(authority, svid_of, now):
    assert svid_of(authority.files("/a", now=now, lifetime_seconds=10**6)).not_after == now + 3600


def test_a_bad_path_or_domain_is_refused(authority, now):
    for path in ("store", "/a/../b", "", "/a?b"):
        with pytest.raises(FormatError) as caught:
            authority.issue(path, now=now, lifetime_seconds=600)
        assert caught.value.code == "bad-spiffe-id"
    with pytest.raises(FormatError):
        Authority("Demo.test", now=now, lifetime_seconds=600)


def test_another_library_s_verifier_agrees(authority, now):
    chain, _ = authority.issue("/store", now=now, lifetime_seconds=600)
    anchors = Store(x509.load_pem_x509_certificates(authority.bundle_pem))
    verified = (
        PolicyBuilder()
        .store(anchors)
        .build_client_verifier()
        .verify(x509.load_pem_x509_certificate(chain), [])
    )
    assert [name.value for name in verified.subjects] == ["spiffe://demo.test/store"]


def test_one_authority_does_not_vouch_for_another(authority, svid_of, now):
    other = Authority("demo.test", now=now, lifetime_seconds=3600)
    files = {**authority.files("/a", now=now, lifetime_seconds=600), BUNDLE: other.bundle_pem}
    with pytest.raises(VerificationError):
        svid_of(files)


def test_a_lifetime_beyond_the_limit_makes_an_svid_that_is_refused(svid_of, now):
    long = Authority("demo.test", now=now, lifetime_seconds=4 * MAX_LIFETIME_SECONDS)
    with pytest.raises(VerificationError):
        svid_of(long.files("/a", now=now, lifetime_seconds=2 * MAX_LIFETIME_SECONDS))
