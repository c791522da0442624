"""Certificates for the cases, written as DER by hand: any rule can be broken, and a second run gives the same bytes.

Keys come from fixed words (those of RSA lie in keys/), serial numbers and dates are given, signatures are
RFC 6979's, RFC 8032's or PKCS #1 v1.5's. They are TEST keys. Source: RFC 5280; X.690 for DER.
"""

from __future__ import annotations

import calendar
import hashlib
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from making import ALICE, HERE, b64

BEGINS = "2020-01-01 00:00:00"
ENDS = "2049-12-31 23:59:59"
"""When a certificate is valid, unless its case says otherwise: now, and for a long time."""

SHA256, SHA384, SHA512, SHA1, MD5 = (
    hashes.SHA256(),
    hashes.SHA384(),
    hashes.SHA512(),
    hashes.SHA1(),  # noqa: S303
    hashes.MD5(),  # noqa: S303
)
_ALGORITHMS = {
    ("ec", "sha1"): "1.2.840.10045.4.1",
    ("ec", "sha256"): "1.2.840.10045.4.3.2",
    ("ec", "sha384"): "1.2.840.10045.4.3.3",
    ("ec", "sha512"): "1.2.840.10045.4.3.4",
    ("rsa", "md5"): "1.2.840.113549.1.1.4",
    ("rsa", "sha256"): "1.2.840.113549.1.1.11",
}
_USAGES = ("digitalSignature", "contentCommitment", "", "", "", "keyCertSign", "cRLSign")
CODE, ANY, SERVER, CLIENT = "1.3.6.1.5.5.7.3.3", "2.5.29.37.0", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
OF_OURS = "1.3.6.1.4.1.99999.1"
"""An extended key usage that nobody but a policy of a case knows."""


# -- DER ------------------------------------------------------------------------------------------------------


def der(tag, *parts):
    """Encode one value."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + body


def seq(*parts):
    return der(0x30, *parts)


def integer(number):
    return der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def oid(text):
    first, second, *rest = (int(part) for part in text.split("."))
    out = [bytes((first * 40 + second,))]
    for part in rest:
        groups = [part & 0x7F]
        while part := part >> 7:
            groups.insert(0, 0x80 | part & 0x7F)
        out.append(bytes(groups))
    return der(0x06, *out)


def bits(content, unused=0):
    return der(0x03, bytes((unused,)), content)


def name_of(*common):
    """Encode a name of common names; none is the empty name."""
    return seq(*(der(0x31, seq(oid("2.5.4.3"), der(0x0C, text.encode()))) for text in common))


def moment(text):
    """Encode a time as RFC 5280 has it until 2049."""
    return der(0x17, time.strftime("%y%m%d%H%M%SZ", _parsed(text)).encode())


def seconds(text):
    """Return a time as cases name it: seconds since 1970."""
    return calendar.timegm(_parsed(text))


def _parsed(text):
    return time.strptime(text, "%Y-%m-%d %H:%M:%S")


# -- extensions -----------------------------------------------------------------------------------------------


def extension(kind, value, *, critical=False):
    return seq(oid(kind), *([der(0x01, b"\xff")] if critical else []), der(0x04, value))


def basic(*, ca, length=None):
    said = ([der(0x01, b"\xff")] if ca else []) + ([] if length is None else [integer(length)])
    return extension("2.5.29.19", seq(*said), critical=True)


def usage(*names):
    places = [_USAGES.index(name) for name in names]
    byte = sum(0x80 >> place for place in places)
    return extension("2.5.29.15", bits(bytes((byte,)), unused=7 - max(places)), critical=True)


def extended(*kinds, critical=False):
    return extension("2.5.29.37", seq(*map(oid, kinds)), critical=critical)


def general(text):
    """Encode a name such as ``email:ml@example.com``."""
    kind, _, value = text.partition(":")
    if kind == "folder":  # a directory name, which no identity is
        return der(0xA4, name_of(value))
    return der({"email": 0x81, "dns": 0x82, "uri": 0x86}[kind], value.encode("ascii"))


def named(*names):
    return extension("2.5.29.17", seq(*map(general, names)))


def constraints(*, permitted=(), excluded=(), critical=True):
    subtrees = [
        der(tag, *(seq(general(text)) for text in names))
        for tag, names in ((0xA0, permitted), (0xA1, excluded))
        if names
    ]
    return extension("2.5.29.30", seq(*subtrees), critical=critical)


def unknown(*, critical, last=5):
    """Return an extension that nobody knows."""
    return extension(f"1.2.3.4.{last}", b"\x05\x00", critical=critical)


# -- certificates ---------------------------------------------------------------------------------------------


def curve_key(words, curve=None):
    """Derive a key from words: a TEST key."""
    curve = curve or ec.SECP256R1()
    seed = hashlib.sha512(f"trustkit TEST {words}".encode()).digest()
    return ec.derive_private_key(int.from_bytes(seed, "big") % (1 << (curve.key_size - 8)) + 1, curve)


def edwards_key(words):
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(words.encode()).digest())


def rsa_key(bits_):
    return serialization.load_pem_private_key((HERE / f"keys/rsa-{bits_}.test.key").read_bytes(), None)


def spki(key):
    public = key if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)) else key.public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def algorithm_of(key, digest):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return seq(oid("1.3.101.112"))
    if isinstance(key, rsa.RSAPrivateKey):
        return seq(oid(_ALGORITHMS["rsa", digest.name]), b"\x05\x00")
    return seq(oid(_ALGORITHMS["ec", digest.name]))


def signature_of(key, digest, content):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), digest)
    return key.sign(content, ec.ECDSA(digest, deterministic_signing=True))


class Authority:
    """A CA: its name, its key, and the certificate that another gave it (or itself).

    Args:
        name: Its common name.
        parent: Who signs its certificate; itself where absent.
        key: Its key; one on P-256 from its name and WORDS where absent.
        usages: Of its key; none where empty.
        ca: As basic constraints have it; None for none.
        length: Its path length.
        more: Further extensions.
        how: What `made` takes besides.
    """

    def __init__(
        self, name, parent=None, *, key=None, words="", usages=("keyCertSign",), ca=True, length=None, more=(), **how
    ):
        self.name, self.key = name_of(name), key or curve_key(f"authority {name} {words}")
        extensions = [basic(ca=ca, length=length)] if ca is not None else []
        extensions += [usage(*usages)] if usages else []
        self.der = made(
            self.key, parent or self, subject=self.name, serial=_serial(name), extensions=[*extensions, *more], **how
        )


def _serial(words):
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") | 1


def made(
    key,
    by,
    *,
    subject,
    serial,
    extensions,
    begins=BEGINS,
    ends=ENDS,
    digest=SHA256,
    issuer=None,
    signed_by=None,
    outer=None,
    unused=0,
    tail=b"",
):
    """Write one certificate.

    Args:
        key: Whose it is: a private key, or a public one, or the bytes of a SubjectPublicKeyInfo.
        by: The authority that signs it.
        subject: Encoded name.
        serial: A number, or the bytes of one.
        extensions: Encoded; the member is left out where there are none.
        begins: First second of its validity.
        ends: Last second.
        digest: What its signature hashes with.
        issuer: Encoded name in place of the authority's.
        signed_by: Key in place of the authority's.
        outer: Encoded algorithm in place of the one that was signed.
        unused: What the signature's BIT STRING says of its last byte.
        tail: Bytes after all.
    """
    signer = signed_by or by.key
    algorithm = algorithm_of(signer, digest)
    body = seq(
        der(0xA0, integer(2)),
        serial if isinstance(serial, bytes) else integer(serial),
        algorithm,
        issuer or by.name,
        seq(moment(begins), moment(ends)),
        subject,
        key if isinstance(key, bytes) else spki(key),
        *([der(0xA3, seq(*extensions))] if extensions else []),
    )
    return seq(body, outer or algorithm, bits(signature_of(signer, digest, body), unused)) + tail


def leaf(by, *, key=None, common="signer", names=("email:ml@example.com",), usages=(), purposes=(CODE,), ca=None, more=(), **how):
    """Write the certificate of a signer: alice's key, for code signing, unless told otherwise."""
    extensions = [basic(ca=ca)] if ca is not None else []
    extensions += [usage(*usages)] if usages else []
    extensions += [extended(*purposes)] if purposes else []
    extensions += [named(*names)] if names else []
    how.setdefault("subject", name_of(common) if common else name_of())
    how.setdefault("serial", _serial(f"leaf {common} {names}"))
    return made(ALICE.key if key is None else key, by, extensions=[*extensions, *more], **how)


def chain(*certificates):
    """Return the material of a bundle that brings these, in this order."""
    listed = [{"rawBytes": b64(raw)} for raw in certificates]
    return {"x509CertificateChain": {"certificates": listed}, "tlogEntries": []}


def pem(*certificates):
    """Write certificates as PEM."""
    out = []
    for raw in certificates:
        text = b64(raw)
        lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
        out.append(f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
    return "".join(out)
