"""What a person is told to do about evidence that was refused."""

from admission.evidence import remedy_for


def test_another_peer_than_the_configuration_says_is_nothing_of_the_model():
    assert "spiffe_id" in remedy_for("peer-mismatch")
    assert "trust bundles" in remedy_for("peer-untrusted")
