"""A certificate forger: every rule of an SVID or a signer can be broken by an argument.

Keys and signatures are real. Built on `cryptography` alone and on nothing of trustkit, so that it does not
share the mistakes of what it tests.
"""

import datetime as dt
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
UNSET = object()


def at(seconds):
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def pem(*certificates):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def key_pem(key, password=None):
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def usage(**set_bits):
    names = [
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ]
    return x509.KeyUsage(**{name: set_bits.get(name, False) for name in names})


class Issuer:
    """A CA, root or intermediate; `leaf` makes a good SVID unless told otherwise."""

    def __init__(
        self,
        now,
        *,
        domain="demo.test",
        parent=None,
        name="ca",
        uris=UNSET,
        ca=True,
        path_length=None,
        not_before=-3600,
        not_after=86400,
        extensions=(),
        key_usage=UNSET,
        hash_algorithm=None,
        key=None,
    ):
        self.now = now
        self.domain = domain
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.parent = parent
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(parent.certificate.subject if parent else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at(now + not_before))
            .not_valid_after(at(now + not_after))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )
        if ca is not None:
            builder = builder.add_extension(
                x509.BasicConstraints(ca=ca, path_length=path_length), critical=True
            )
        wanted = usage(key_cert_sign=True, crl_sign=True) if key_usage is UNSET else key_usage
        if wanted is not None:
            builder = builder.add_extension(wanted, critical=True)
        names = (f"spiffe://{domain}",) if uris is UNSET else uris
        if names:
            general = [x509.UniformResourceIdentifier(uri) for uri in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        self.certificate = builder.sign(parent.key if parent else self.key, hash_algorithm or hashes.SHA256())

    @property
    def pem(self):
        return pem(self.certificate)

    def leaf(
        self,
        path="/workload",
        *,
        uris=UNSET,
        dns=(),
        addresses=(),
        emails=(),
        ca=False,
        key=None,
        key_usage=UNSET,
        key_usage_critical=True,
        extended=BOTH,
        not_before=-3600,
        not_after=3600,
        subject="workload",
        organization="",
        names_critical=False,
        extensions=(),
        serial=None,
        hash_algorithm=UNSET,
        signed_by=None,
    ):
        """Return (certificate, private key)."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else []
        attributes += (
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
        )  # a group of users, to Kubernetes
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(attributes))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(at(self.now + not_before))
            .not_valid_after(at(self.now + not_after))
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        wanted = usage(digital_signature=True) if key_usage is UNSET else key_usage
        if wanted is not None:
            builder = builder.add_extension(wanted, critical=key_usage_critical)
        if extended is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        spelled = (f"spiffe://{self.domain}{path}",) if uris is UNSET else uris
        general = [x509.UniformResourceIdentifier(uri) for uri in spelled]
        general += [x509.DNSName(name) for name in dns]
        general += [x509.RFC822Name(name) for name in emails]
        general += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        if general:
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=names_critical)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        algorithm = hashes.SHA256() if hash_algorithm is UNSET else hash_algorithm
        return builder.sign((signed_by or self).key, algorithm), key

    def files(self, path="/workload", *, chain=(), bundle=None, **leaf):
        """Return an SVID directory's three files, by name."""
        certificate, key = self.leaf(path, **leaf)
        return {
            "svid.pem": pem(certificate, *chain),
            "svid_key.pem": key_pem(key),
            "bundle.pem": self.pem if bundle is None else bundle,
        }
