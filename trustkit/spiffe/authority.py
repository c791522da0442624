"""A throw-away authority of one trust domain: for demonstrations and tests, never for production.

The law of this file: the signing key lives in memory and dies with the object;
what it issues lasts no longer than it was told to and obeys every rule that
`trustkit.spiffe.svid` demands of others. The issuer proper comes later (design: adr 0019).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trustkit.spiffe.names import SpiffeID, parse_spiffe_id
from trustkit.spiffe.svid import BUNDLE, CHAIN, KEY

_BACKDATE_SECONDS = 60.0
"""How far before *now* certificates begin, for machines whose clocks are a little behind."""


class Authority:
    """Issues X.509-SVIDs in one trust domain.

    Args:
        trust_domain: Such as ``demo.example``.
        now: The time (seconds since the epoch).
        lifetime_seconds: How long the authority's own certificate lasts.
    """

    def __init__(self, trust_domain: str, *, now: float, lifetime_seconds: float) -> None:
        self.trust_domain = SpiffeID(trust_domain, "").trust_domain
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._ends = now + lifetime_seconds
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:64])])
        builder = (
            _begun(name, name, self._key.public_key(), (now, self._ends))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(_identity(SpiffeID(trust_domain, "")), critical=False)
        )
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def bundle_pem(self) -> bytes:
        """The trust bundle of the domain: this one certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self, path: str, *, now: float, lifetime_seconds: float, dns: Sequence[str] = ()
    ) -> tuple[bytes, bytes]:
        """Make a key and an SVID for it.

        Args:
            path: Of the workload, such as ``/store``.
            now: The time (seconds since the epoch).
            lifetime_seconds: How long the SVID lasts; never longer than the authority.
            dns: Host names beside the SPIFFE ID, for clients that know no SPIFFE (the API server).

        Returns:
            Certificate chain and private key (PKCS#8), both PEM; the key is not encrypted.

        Raises:
            FormatError: ``bad-spiffe-id``.
        """
        name = parse_spiffe_id(str(SpiffeID(self.trust_domain, path)))
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "trustkit")])
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        ends = min(now + lifetime_seconds, self._ends)
        leaf = (
            _begun(subject, self._certificate.subject, key.public_key(), (now, ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .add_extension(_identity(name, dns), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return leaf.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def files(
        self, path: str, *, now: float, lifetime_seconds: float, dns: Sequence[str] = ()
    ) -> dict[str, bytes]:
        """Issue an SVID and return the files of an SVID directory, by name; arguments as in `issue`."""
        chain, key = self.issue(path, now=now, lifetime_seconds=lifetime_seconds, dns=dns)
        return {CHAIN: chain, KEY: key, BUNDLE: self.bundle_pem}


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, times: tuple[float, float]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_time(times[0] - _BACKDATE_SECONDS))
        .not_valid_after(_time(times[1]))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _identity(name: SpiffeID, dns: Sequence[str] = ()) -> x509.SubjectAlternativeName:
    names = [x509.UniformResourceIdentifier(str(name)), *(x509.DNSName(host) for host in dns)]
    return x509.SubjectAlternativeName(names)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC)
