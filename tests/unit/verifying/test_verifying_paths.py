"""Paths to a root: what the library leaves open, and which certificate explains a refusal."""

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trustkit.errors import VerificationError
from trustkit.verifying.certificates import purposes_of
from trustkit.verifying.chains import path_to_root

NOW = 1_800_000_000.0
ACME = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")]))
MAIL = x509.RFC822Name("example.org")


@pytest.fixture(scope="module")
def root(forger):
    return forger.Issuer(NOW, name="root", uris=())


def leaf_of(issuer):
    return issuer.leaf(uris=(), emails=("ml@example.com",), extended=(ExtendedKeyUsageOID.CODE_SIGNING,))[0]


def path(leaf, others, root):
    found = path_to_root(leaf, others, [root.certificate], at=NOW, purposes=purposes_of(None))
    return [certificate.subject for certificate in found]


def refused(leaf, others, root):
    with pytest.raises(VerificationError) as caught:
        path(leaf, others, root)
    return caught.value.code


def test_a_ca_need_not_say_what_its_key_is_for(forger, root):
    silent = forger.Issuer(NOW, name="silent", parent=root, uris=(), key_usage=None)
    leaf = leaf_of(silent)
    subjects = [leaf.subject, silent.certificate.subject, root.certificate.subject]
    assert path(leaf, [silent.certificate], root) == subjects


def test_nine_authorities_may_stand_between_a_leaf_and_a_root(forger, root):
    line = [root]
    for number in range(10):
        line.append(forger.Issuer(NOW, name=f"ca {number}", parent=line[-1], uris=()))
    between = [issuer.certificate for issuer in line[1:]]
    assert len(path(leaf_of(line[9]), between[:9], root)) == 11
    assert refused(leaf_of(line[10]), between, root) == "certificate-untrusted"


@pytest.mark.parametrize("side", ["permitted_subtrees", "excluded_subtrees"])
@pytest.mark.parametrize("names", [[ACME], [MAIL, ACME]])
@pytest.mark.parametrize("critical", [True, False])
def test_a_constraint_of_a_kind_that_nobody_applies_is_refused_on_either_side(
    forger, root, side, names, critical
):
    said = x509.NameConstraints(**{"permitted_subtrees": None, "excluded_subtrees": None, side: names})
    odd = forger.Issuer(NOW, name="odd", parent=root, uris=(), extensions=((said, critical),))
    assert refused(leaf_of(odd), [odd.certificate], root) == "certificate-untrusted"


def test_only_who_could_stand_above_the_leaf_explains_a_refusal(forger, root):
    late = forger.Issuer(NOW, name="late", parent=root, uris=(), not_after=-1)
    stranger = forger.Issuer(NOW, name="stranger", uris=())
    assert refused(leaf_of(late), [late.certificate], root) == "certificate-expired"
    assert refused(leaf_of(stranger), [late.certificate], root) == "certificate-untrusted"
