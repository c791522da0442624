"""The cases about certificates (section 10 of FORMAT.md), for `generate.py`: who leads to a root, and who does not."""

from __future__ import annotations

import json

from certificates import (
    ANY,
    CLIENT,
    CODE,
    MD5,
    OF_OURS,
    SERVER,
    SHA1,
    SHA384,
    SHA512,
    Authority,
    algorithm_of,
    basic,
    chain,
    constraints,
    curve_key,
    der,
    edwards_key,
    extended,
    extension,
    leaf,
    name_of,
    pem,
    rsa_key,
    seconds,
    spki,
    unknown,
)
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from making import ALICE, BOB, CAROL, MALLORY, SMALL, bundle, pae, resources, sig, statement, tree_of

PLAIN = statement(resources(SMALL))
FORGED = "certificate-untrusted"
UNFIT = "certificate-not-for-signing"
BAD = "bad-certificate"
ROOT = Authority("root")
BETWEEN = Authority("between", ROOT)
LOW = Authority("low", BETWEEN)


def signed(*certificates, by=ALICE, **how):
    """Sign the plain statement, and bring these certificates."""
    return bundle(PLAIN, by, material=chain(*certificates), **how)


class Pages:
    """Writes the cases of this chapter; all are about the plain tree."""

    def __init__(self, book):
        self.book = book
        self.under = self.roots("root", ROOT)

    def roots(self, name, *authorities):
        """Keep roots under a name, and return the trust in them."""
        raw = (one if isinstance(one, bytes) else one.der for one in authorities)
        return {"ca": self.book.write_pem(name, pem(*raw))}

    def good(self, name, why, rules, raw, *, trust=None, identities=(), when=None):
        self.book.good(f"certificate-{name}", why, rules, raw, trust=self._trust(trust, identities), when=when)

    def refused(self, name, code, why, rules, raw, *, trust=None, identities=(), when=None):
        self.book.refused(
            f"certificate-{name}", code, why, rules, raw, trust=self._trust(trust, identities), when=when
        )

    def form(self, name, why, rules, raw):
        self.book.form(f"certificate-{name}", BAD, why, rules, raw, trust=self.under)

    def _trust(self, trust, identities):
        return {**(trust or self.under), **({"identities": list(identities)} if identities else {})}


def certificates(book):
    """Write all of them."""
    pages = Pages(book)
    for chapter in (
        paths,
        authorities,
        signatures,
        times,
        purposes,
        extensions,
        name_constraints,
        identities,
        forms,
        policies,
        writing,
    ):
        chapter(pages)


# -- 10.2: paths ----------------------------------------------------------------------------------------------


def paths(p):
    p.good("under-a-root", "the signer's certificate, and a root issued it", "10.2", signed(leaf(ROOT)))
    p.good("chain-of-two", "a CA between signer and root", "10.2", signed(leaf(BETWEEN), BETWEEN.der))
    p.good("chain-of-three", "two CAs between signer and root", "10.2", signed(leaf(LOW), LOW.der, BETWEEN.der))
    p.good(
        "chain-with-root",
        "the root itself in the bundle too: not needed, and no harm",
        "10.2",
        signed(leaf(BETWEEN), BETWEEN.der, ROOT.der),
    )
    p.good("chain-in-another-order", "the CAs from the top down", "10.2", signed(leaf(LOW), BETWEEN.der, LOW.der))
    p.good(
        "stranger-beside",
        "a certificate that has nothing to do with it",
        "10.2",
        signed(leaf(ROOT), Authority("stranger").der),
    )
    p.good(
        "expired-stranger-beside",
        "an unneeded certificate that is long expired",
        "10.2",
        signed(leaf(ROOT), Authority("gone", ends="2021-01-01 00:00:00").der),
    )
    p.good(
        "weak-stranger-beside",
        "an unneeded certificate of a key that is too short",
        "10.2",
        signed(leaf(ROOT), Authority("short", key=rsa_key(1024)).der),
    )
    p.good(
        "twin-beside",
        "two CAs of one name: the one whose key fits comes second",
        "10.2",
        signed(leaf(BETWEEN), Authority("between", ROOT, words="twin").der, BETWEEN.der),
    )
    p.good(
        "ca-as-root",
        "a CA that another issued ends the path, because it was given as a root",
        "10.2",
        signed(leaf(BETWEEN)),
        trust=p.roots("between", BETWEEN),
    )
    p.good(
        "leaf-as-root",
        "the signer's own certificate was given as a root",
        "10.2",
        signed(leaf(ROOT)),
        trust=p.roots("leaf", leaf(ROOT)),
    )
    p.good(
        "two-roots",
        "the second of two roots issued it",
        "10.2",
        signed(leaf(ROOT)),
        trust=p.roots("two", Authority("first"), ROOT),
    )
    line = [ROOT]
    for number in range(9):
        line.append(Authority(f"ca {number}", line[-1]))
    above = [one.der for one in reversed(line[1:])]
    p.good("chain-at-the-limit", "ten certificates, all needed", "6.5 10.2", signed(leaf(line[-1]), *above))
    p.refused("ca-missing", FORGED, "the CA between is not there", "10.2", signed(leaf(BETWEEN)))
    p.refused(
        "root-in-the-bundle",
        FORGED,
        "a root that only the bundle brings, under the name of the one that is believed",
        "10.2",
        signed(leaf(other := Authority("root", words="other")), other.der),
    )
    proud = Authority("proud", digest=SHA1)
    p.good(
        "root-signed-weakly",
        "a root whose own certificate was signed with SHA-1: it is given, and nobody asks who signed it",
        "10.2",
        signed(leaf(proud)),
        trust=p.roots("signed-weakly", proud),
    )
    p.good("leaf-twice", "the signer's certificate twice", "10.2", signed(leaf(ROOT), leaf(ROOT)))
    p.refused("another-root", FORGED, "all is sound, and leads to a root that nobody gave", "10.2", signed(leaf(lost := Authority("lost")), lost.der))
    alone = Authority("alone", key=ALICE.key, usages=("digitalSignature", "keyCertSign"))
    p.refused("self-signed", FORGED, "a certificate that vouches for itself", "10.2", signed(alone.der))
    p.refused(
        "another-leaf-as-root",
        FORGED,
        "another certificate of the same name was given as a root",
        "10.2",
        signed(leaf(ROOT)),
        trust=p.roots("another-leaf", leaf(ROOT, serial=7)),
    )
    p.refused(
        "of-another-key",
        "wrong-signer",
        "a certificate that is genuine, and of another key than the signature",
        "10.1",
        signed(leaf(ROOT, key=BOB.key)),
    )
    p.refused(
        "signer-second",
        "wrong-signer",
        "the signer's certificate is the second: the first is the leaf",
        "10.1",
        signed(leaf(ROOT, key=MALLORY.key, common="first"), leaf(ROOT)),
    )
    p.refused(
        "from-the-top",
        UNFIT,
        "the CA first and the signer's certificate last: the first is the leaf, and signs nothing but certificates",
        "10.1",
        signed(BETWEEN.der, leaf(BETWEEN)),
    )
    p.refused(
        "payload-edited",
        "wrong-signer",
        "a genuine certificate does not replace the signature",
        "10.1",
        signed(leaf(ROOT), signed=lambda payload: pae(payload + b" ")),
    )


# -- 10.2: what a CA must be ----------------------------------------------------------------------------------


def authorities(p):
    def below(name, why, **how):
        """A CA below the root that may not stand there."""
        odd = Authority("odd", ROOT, **how)
        p.refused(name, FORGED, why, "10.2", signed(leaf(odd), odd.der))

    below("ca-false", "the issuer is no CA", ca=False)
    below("ca-unsaid", "the issuer does not say whether it is a CA", ca=None)
    below("ca-usage", "the key usage of the issuer lacks keyCertSign", usages=("digitalSignature", "cRLSign"))
    below("ca-key-short", "a CA with RSA of 1024 bits", key=rsa_key(1024))
    below("ca-key-odd", "a CA on a curve that is not accepted", key=curve_key("k1", ec.SECP256K1()))
    below("ca-ed25519", "a CA that signs with Ed25519", key=edwards_key("authority"))
    p.good(
        "ca-usage-unsaid",
        "a CA without a key usage may sign certificates",
        "10.2",
        signed(leaf(free := Authority("free", ROOT, usages=())), free.der),
    )
    no_ca = Authority("no ca", ca=False)
    p.refused(
        "root-no-ca",
        FORGED,
        "a given root that is no CA issues nothing",
        "10.2",
        signed(leaf(no_ca)),
        trust=p.roots("no-ca", no_ca),
    )
    zero = Authority("zero", length=0)
    under = p.roots("length-0", zero)
    p.good("path-length-met", "a path length of 0, and no CA below", "10.2", signed(leaf(zero)), trust=under)
    one_below = Authority("one below", zero)
    p.refused(
        "path-length-exceeded",
        FORGED,
        "a path length of 0, and a CA below",
        "10.2",
        signed(leaf(one_below), one_below.der),
        trust=under,
    )
    first = Authority("length 1", ROOT, length=1)
    second = Authority("second", first)
    third = Authority("third", second)
    p.good(
        "path-length-1-met",
        "a CA with a path length of 1, and one CA below",
        "10.2",
        signed(leaf(second), second.der, first.der),
    )
    p.refused(
        "path-length-1-exceeded",
        FORGED,
        "a CA with a path length of 1, and two CAs below",
        "10.2",
        signed(leaf(third), third.der, second.der, first.der),
    )


# -- 10.2: keys and signatures --------------------------------------------------------------------------------


def signatures(p):
    p.good("leaf-p384", "a signer on P-384, with SHA-384", "10.2", signed(leaf(ROOT, key=BOB.key), by=BOB))
    p.good("leaf-p521", "a signer on P-521, with SHA-512", "10.2", signed(leaf(ROOT, key=CAROL.key), by=CAROL))
    for name, key, how in (
        ("rsa", rsa_key(2048), {}),
        ("p384", curve_key("p384", ec.SECP384R1()), {"digest": SHA384}),
        ("p521", curve_key("p521", ec.SECP521R1()), {"digest": SHA512}),
    ):
        top = Authority(f"root {name}", key=key, **how)
        p.good(f"root-{name}", f"a root with {name}", "10.2", signed(leaf(top, **how)), trust=p.roots(name, top))
    p.refused("sha1", FORGED, "a certificate that was signed with SHA-1", "10.2", signed(leaf(ROOT, digest=SHA1)))
    p.refused(
        "md5",
        FORGED,
        "a certificate that was signed with RSA and MD5",
        "10.2",
        signed(leaf(old := Authority("root md5", key=rsa_key(2048)), digest=MD5)),
        trust=p.roots("md5", old),
    )
    p.refused(
        "sha1-above",
        FORGED,
        "the certificate of the CA was signed with SHA-1",
        "10.2",
        signed(leaf(weak := Authority("weak", ROOT, digest=SHA1)), weak.der),
    )
    p.refused(
        "forged",
        FORGED,
        "issued in the root's name, with another key",
        "10.2",
        signed(leaf(ROOT, signed_by=MALLORY.key)),
    )
    p.refused(
        "issuer-misnamed",
        FORGED,
        "signed with the root's key, and its issuer is called otherwise",
        "10.2",
        signed(leaf(ROOT, issuer=name_of("somebody else"))),
    )
    p.refused(
        "algorithms-differ",
        FORGED,
        "the algorithm beside the signature is not the one that was signed",
        "10.2",
        signed(leaf(ROOT, outer=algorithm_of(ROOT.key, SHA384))),
    )
    edited = leaf(ROOT).replace(b"ml@example.com", b"xx@example.com")
    p.refused("edited", FORGED, "a name in the certificate was changed", "10.2", signed(edited))
    key = rsa_key(2048)
    p.refused(
        "leaf-rsa",
        UNFIT,
        "a signer with RSA: OMS has none",
        "10.4",
        signed(leaf(ROOT, key=key), signatures=lambda payload: [sig(key.sign(pae(payload), padding.PKCS1v15(), SHA256()))]),
    )
    edwards = edwards_key("signer")
    p.refused(
        "leaf-ed25519",
        UNFIT,
        "a signer with Ed25519: OMS has none",
        "10.4",
        signed(leaf(ROOT, key=edwards), signatures=lambda payload: [sig(edwards.sign(pae(payload)))]),
    )
    p.form("leaf-odd-curve", "a signer on a curve that is not accepted", "10.2", signed(leaf(ROOT, key=curve_key("k1", ec.SECP256K1()))))
    p.form("leaf-rsa-short", "a signer with RSA of 1024 bits", "10.2", signed(leaf(ROOT, key=rsa_key(1024))))
    long = rsa.RSAPublicNumbers(65_537, (1 << 4096) + 1).public_key()
    p.form("leaf-rsa-long", "a signer with RSA of 4097 bits, which costs whoever checks", "10.2", signed(leaf(ROOT, key=long)))
    wide = rsa.RSAPublicNumbers((1 << 2000) + 1, (1 << 2047) + (1 << 1024) + 1).public_key()
    p.form("leaf-rsa-exponent", "a public exponent of two thousand bits, which costs whoever checks", "10.2", signed(leaf(ROOT, key=wide)))


# -- 10.3: times ----------------------------------------------------------------------------------------------


def times(p):
    begins, ends = "2024-03-01 12:00:00", "2024-03-31 12:00:00"
    inside, early, late = seconds("2024-03-15 12:00:00"), seconds(begins) - 1, seconds(ends) + 1
    short = signed(leaf(ROOT, begins=begins, ends=ends))
    p.good("time-inside", "a certificate of one month, at a time within", "10.3", short, when=inside)
    p.good("time-first-second", "its first second is inside", "10.3", short, when=seconds(begins))
    p.good("time-last-second", "its last second is inside", "10.3", short, when=seconds(ends))
    p.refused("time-early", "certificate-not-yet-valid", "one second before its first", "10.3", short, when=early)
    p.refused("time-late", "certificate-expired", "one second after its last", "10.3", short, when=late)
    p.refused("time-now", "certificate-expired", "it was valid when it signed, and now it is not", "10.3", short)
    p.refused(
        "time-future",
        "certificate-not-yet-valid",
        "a certificate for the years from 2048 on",
        "10.3",
        signed(leaf(ROOT, begins="2048-01-01 00:00:00")),
    )
    material = chain(leaf(ROOT, begins=begins, ends=ends))
    stamped = {**material, "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "AA=="}]}}
    p.refused(
        "time-of-a-timestamp",
        "certificate-expired",
        "a timestamp that nobody verified makes no time",
        "10.3",
        bundle(PLAIN, material=stamped),
    )
    middle = Authority("month", ROOT, begins=begins, ends=ends)
    raw = signed(leaf(middle), middle.der)
    p.refused("time-late-above", "certificate-expired", "the CA between has expired", "10.3", raw, when=late)
    p.refused("time-early-above", "certificate-not-yet-valid", "the CA between is not yet valid", "10.3", raw, when=early)
    top = Authority("short root", begins=begins, ends=ends)
    under = p.roots("month", top)
    p.refused("time-late-root", "certificate-expired", "the root has expired", "10.3", signed(leaf(top)), trust=under, when=late)
    p.refused(
        "time-early-root", "certificate-not-yet-valid", "the root is not yet valid", "10.3", signed(leaf(top)), trust=under, when=early
    )
    p.good(
        "time-root-renewed",
        "an expired root beside its successor of the same name and key",
        "10.3",
        signed(leaf(top)),
        trust=p.roots("renewed", top, Authority("short root")),
    )


# -- 10.4: what for -------------------------------------------------------------------------------------------


def purposes(p):
    def leaf_for(*kinds, usages=(), **how):
        return signed(leaf(ROOT, purposes=kinds, usages=usages, **how))

    p.good("for-usage-alone", "digitalSignature, and no extended key usage", "10.4", leaf_for(usages=("digitalSignature",)))
    p.good("for-both", "digitalSignature and codeSigning", "10.4", leaf_for(CODE, usages=("digitalSignature",)))
    p.good("for-anything", "anyExtendedKeyUsage", "10.4", leaf_for(ANY))
    p.good("for-servers-too", "TLS servers, and signing code", "10.4", leaf_for(SERVER, CODE))
    p.good("leaf-is-a-ca", "the signer's certificate is a CA's, and says that it signs", "10.4", leaf_for(CODE, ca=True))
    p.good("leaf-named-as-issuer", "the signer bears the name of its issuer", "10.4", leaf_for(CODE, common="root"))
    p.refused("for-unsaid", UNFIT, "it does not say what it is for", "10.4", leaf_for())
    p.refused("for-servers", UNFIT, "a certificate for TLS servers and clients", "10.4", leaf_for(SERVER, CLIENT))
    p.refused(
        "for-commitment", UNFIT, "codeSigning, but its key usage lacks digitalSignature", "10.4", leaf_for(CODE, usages=("contentCommitment",))
    )
    p.refused(
        "for-servers-with-usage",
        UNFIT,
        "digitalSignature, but its extended key usage is for TLS servers",
        "10.4",
        leaf_for(SERVER, usages=("digitalSignature",)),
    )

    def below(kind, *, words):
        ca = Authority(words, ROOT, more=[extended(kind)])
        return signed(leaf(ca), ca.der)

    p.good("ca-for-code", "a CA for signing code alone", "10.4", below(CODE, words="code"))
    p.refused("ca-for-servers", FORGED, "a CA for TLS servers alone", "10.4", below(SERVER, words="web"))


# -- 10.5: extensions -----------------------------------------------------------------------------------------


def extensions(p):
    p.good("unknown-extension", "an extension that nobody knows, not critical", "10.5", signed(leaf(ROOT, more=[unknown(critical=False)])))
    p.refused(
        "critical-extension", FORGED, "a critical extension that nobody knows", "10.5", signed(leaf(ROOT, more=[unknown(critical=True)]))
    )
    odd = Authority("odd", ROOT, more=[unknown(critical=True)])
    p.refused("critical-extension-above", FORGED, "a CA with a critical extension that nobody knows", "10.5", signed(leaf(odd), odd.der))
    top = Authority("odd root", more=[unknown(critical=True)])
    p.refused(
        "critical-extension-root",
        FORGED,
        "a root with a critical extension that nobody knows",
        "10.5",
        signed(leaf(top)),
        trust=p.roots("critical", top),
    )


    pointed = Authority("pointed", ROOT, more=[extension("2.5.29.36", der(0x30, der(0x80, b"\0")), critical=True)])
    p.refused(
        "critical-policies-above",
        FORGED,
        "a CA with critical policy constraints, which are known and not applied",
        "10.5",
        signed(leaf(pointed), pointed.der),
    )


def name_constraints(p):
    def below(words, raw_names, *, common="signer", **said):
        narrow = Authority(words, ROOT, more=[constraints(**said)])
        return signed(leaf(narrow, names=raw_names, common=common), narrow.der)

    ours, theirs = ("email:ml@example.com",), ("email:ml@example.org",)
    p.good("names-permitted", "a CA for one mail domain, and a signer of that", "10.5", below("narrow", ours, permitted=("email:example.com",)))
    p.refused("names-not-permitted", FORGED, "a CA for one mail domain, and a signer of another", "10.5", below("narrow", theirs, permitted=("email:example.com",)))
    p.refused(
        "names-not-permitted-not-critical",
        FORGED,
        "as before, and the constraint is not critical",
        "10.5",
        below("narrow", theirs, permitted=("email:example.com",), critical=False),
    )
    p.refused("names-excluded", FORGED, "a CA for all hosts but those of one domain, and a signer there", "10.5", below("but", ("dns:a.evil.example",), excluded=("dns:evil.example",)))
    p.good("names-not-excluded", "a CA for all hosts but those of one domain, and a signer elsewhere", "10.5", below("but", ("dns:good.example",), excluded=("dns:evil.example",)))
    p.refused(
        "names-of-an-odd-kind",
        FORGED,
        "a constraint of a kind that nobody applies, not critical",
        "10.5",
        below("folders", ours, permitted=("folder:Acme",), critical=False),
    )
    p.refused(
        "names-of-an-odd-kind-excluded",
        FORGED,
        "an exclusion of a kind that nobody applies, not critical",
        "10.5",
        below("folders", ours, excluded=("folder:Acme",), critical=False),
    )
    p.refused(
        "names-of-uris",
        FORGED,
        "a CA for the URIs of one host, and a signer with a URI of another",
        "10.5",
        below("uris", ("uri:https://ci.example.org/x",), permitted=("uri:ci.example.com",)),
    )
    p.good(
        "names-of-another-kind",
        "a CA for some hosts, and a signer with a mail address: that kind is not restricted",
        "10.6",
        below("hosts", ours, permitted=("dns:example.com",)),
        identities=ours,
    )
    p.refused(
        "names-common-constrained",
        "identity-mismatch",
        "below a constraint a common name proves nothing",
        "10.6",
        below("narrow", ours, common="boss", permitted=("email:example.com",)),
        identities=["cn:boss"],
    )


# -- 10.6: identities -----------------------------------------------------------------------------------------


def identities(p):
    def names(*listed, **how):
        return signed(leaf(ROOT, names=listed, **how))

    two = ("email:first@example.com", "email:ml@example.com")
    p.good("identity", "the mail address that is asked for", "10.6", names("email:ml@example.com"), identities=["email:ml@example.com"])
    p.good("identity-second", "the second of two addresses", "10.6", names(*two), identities=["email:ml@example.com"])
    p.good("identity-of-several", "one of two identities that are believed", "10.6", names("dns:ci.example.com"), identities=["uri:urn:x", "dns:ci.example.com"])
    p.good("identity-uri", "a URI, whole", "10.6", names("uri:https://ci.example.com/train"), identities=["uri:https://ci.example.com/train"])
    p.good("identity-common-name", "a common name, where it is asked for as such", "10.6", names(common="boss"), identities=["cn:boss"])

    def mismatch(name, why, raw, *asked):
        p.refused(f"identity-{name}", "identity-mismatch", why, "10.6", raw, identities=asked)

    mismatch("of-another", "another address of the same house", names("email:xx@example.com"), "email:ml@example.com")
    mismatch("none", "no name at all", names(common=""), "email:ml@example.com")
    mismatch("case", "the same letters in another case", names("email:ML@example.com"), "email:ml@example.com")
    mismatch("kind", "the right text as another kind", names("uri:ml@example.com"), "email:ml@example.com")
    mismatch("domain", "an address of the host that is asked for", names("email:ml@example.com"), "dns:example.com")
    mismatch("wildcard", "a wildcard in the certificate names nobody", names("dns:*.example.com"), "dns:ci.example.com")
    mismatch("longer", "a URI below the one that is asked for", names("uri:https://ci.example.com/train/x"), "uri:https://ci.example.com/train")
    mismatch("common-for-mail", "an address as common name is no address", names(common="ml@example.com"), "email:ml@example.com")
    mismatch("mail-for-common", "an address is no common name", names("email:boss", common="x"), "cn:boss")
    mismatch("two-common-names", "two common names are none", names(subject=name_of("boss", "other")), "cn:boss")
    p.refused(
        "identity-above",
        "identity-mismatch",
        "the name that is asked for is the issuer's",
        "10.6",
        signed(leaf(BETWEEN, names=()), BETWEEN.der),
        identities=["cn:between"],
    )


# -- 10.7, 10.8: other forms ----------------------------------------------------------------------------------


def forms(p):
    genuine = leaf(ROOT)
    keyless = {"certificate": chain(genuine)["x509CertificateChain"]["certificates"][0], "tlogEntries": [{}]}
    p.refused(
        "keyless",
        "unsupported-material",
        "a keyless bundle, whose certificate would do as a chain",
        "10.7",
        bundle(PLAIN, material=keyless),
    )
    p.refused(
        "none",
        "unsupported-material",
        "a bundle signed with a key alone, where certificates are believed",
        "10.2",
        bundle(PLAIN),
    )
    p.book.form(
        "certificate-beside-a-key",
        "bad-material",
        "the hint of a key and a chain of certificates: whose is the signature?",
        "3.2",
        bundle(PLAIN, material={**chain(genuine), "publicKey": {"hint": ALICE.hint}}),
        trust=p.under,
    )
    p.refused(
        "for-a-key-of-another",
        "unsupported-material",
        "a chain that leads to a root, where only another's key is believed",
        "4.14",
        signed(genuine),
        trust={"key": "keys/bob.pub"},
    )
    p.good(
        "for-a-key-that-is-believed",
        "a chain that leads nowhere, and the key of the signer is believed for itself",
        "4.14",
        signed(leaf(Authority("lost"))),
        trust={"key": "keys/alice.pub"},
    )
    p.form("no-der", "bytes that are no certificate", "10.8", signed(b"ABC"))
    p.form("no-der-beside", "bytes that are no certificate, beside the signer's", "10.8", signed(genuine, b"ABC"))
    p.form("pem", "PEM where DER belongs", "10.8", signed(pem(genuine).encode()))
    p.form("trailing-byte", "a byte after the certificate", "10.8", signed(leaf(ROOT, tail=b"\0")))
    p.form("truncated", "its last byte is missing", "10.8", signed(genuine[:-1]))
    spare, other = ending_in_zero_bit(), ending_in_zero_bit(common="other")
    p.form("unused-bits", "the signature's BIT STRING says that its last bit does not count; nobody signed that", "10.8", signed(spare))
    p.form("unused-bits-beside", "the same in a certificate that is not needed", "10.8", signed(genuine, other))
    p.form("serial-negative", "a negative serial number", "10.2", signed(leaf(ROOT, serial=-1)))
    p.form("serial-zero", "the serial number 0", "10.2", signed(leaf(ROOT, serial=0)))
    p.form("serial-zero-beside", "the serial number 0, in a certificate that is not needed", "10.2", signed(genuine, leaf(ROOT, common="other", serial=0)))
    p.form("serial-padded", "a serial number with a zero byte too many", "10.8", signed(leaf(ROOT, serial=der(0x02, b"\0\x07"))))
    p.form(
        "extension-twice",
        "two extensions of one kind",
        "10.8",
        signed(leaf(ROOT, more=[unknown(critical=False), unknown(critical=False)])),
    )
    p.form(
        "boolean-false",
        "basic constraints that spell their default out",
        "10.8",
        signed(leaf(ROOT, more=[der(0x30, basic(ca=False)[2:].replace(b"\x04\x02\x30\x00", b"\x04\x05\x30\x03\x01\x01\x00"))])),
    )
    raw = spki(ALICE.key)
    p.form(
        "key-no-point",
        "a key that is no point of its curve",
        "10.8",
        signed(leaf(ROOT, key=raw[:-64] + b"\x01" * 64)),
    )
    p.book.limit(
        "certificate-too-large",
        "too-large",
        "a certificate of more than 64 KiB",
        "6.5",
        signed(b"\x30\x83\x01\x00\x01" + b"\0" * 65_537),
        trust=p.under,
    )


def ending_in_zero_bit(**how):
    """Write a certificate whose signature may say that its last bit is unused: DER wants such a bit to be 0."""
    serial = next(number for number in range(1, 99) if not leaf(ROOT, serial=number, **how)[-1] & 1)
    return leaf(ROOT, serial=serial, unused=1, **how)


# -- policies -------------------------------------------------------------------------------------------------


def policies(p):
    def policy(name, *entries, threshold=1):
        return {"policy": write_policy(p.book, name, *entries, threshold=threshold)}

    code = policy("code-signing", certified("ca", ROOT, extendedKeyUsage="codeSigning"))
    own = policy("purpose-of-ours", certified("ca", ROOT, extendedKeyUsage=OF_OURS))
    publisher = policy("ca-publishes", certified("ca", ROOT, role="publisher"), keyed("bob", BOB))
    either = policy(
        "two-authorities",
        certified("lost", Authority("lost")),
        certified("ours", ROOT, identities=["email:ml@example.com"]),
    )
    p.good("policy-purpose", "a purpose of its own that the policy insists on", "10.4", signed(leaf(ROOT, purposes=(OF_OURS,))), trust=own)
    p.refused("policy-purpose-missing", UNFIT, "codeSigning, where the policy insists on a purpose of its own", "10.4", signed(leaf(ROOT)), trust=own)
    p.refused("policy-any-purpose", UNFIT, "any purpose is not enough where the policy insists on one", "10.4", signed(leaf(ROOT, purposes=(ANY,))), trust=code)
    p.refused("policy-no-purpose", UNFIT, "digitalSignature is not enough where the policy insists on a purpose", "10.4", signed(leaf(ROOT, purposes=(), usages=("digitalSignature",))), trust=code)
    p.refused("policy-role", "unsupported-material", "a CA for publishers, and an author is asked for", "10.2", signed(leaf(ROOT)), trust=publisher)
    p.good("policy-second-authority", "the second of two authorities believes it", "10.2", signed(leaf(ROOT)), trust=either)
    p.refused(
        "policy-nearest-reason",
        "identity-mismatch",
        "one authority does not know its root, another knows it and believes another name",
        "10.6",
        signed(leaf(ROOT, names=("email:xx@example.com",))),
        trust=either,
    )


def certified(name, *roots, role="author", **said):
    """Describe an authority that is some roots."""
    text = pem(*(one.der for one in roots))
    return {"name": name, "roles": [role], "certificate": {"roots": {"pem": text}, **said}}


def keyed(name, person, role="author"):
    """Describe an authority that is one key."""
    return {"name": name, "roles": [role], "key": {"pem": person.pem.decode()}}


def write_policy(book, name, *entries, threshold=1):
    """Keep a policy, and return its place."""
    return book.write_policy(
        name,
        {
            "apiVersion": "trustkit.dev/v1alpha1",
            "kind": "VerificationPolicy",
            "metadata": {"name": name},
            "spec": {"authorities": list(entries), "threshold": threshold},
        },
    )


# -- 10.1: what a writer must bring ---------------------------------------------------------------------------


def writing(p):
    book, tree = p.book, tree_of(SMALL)
    ours = statement(resources(SMALL), ignore_paths=["model.claims.jsonl", "model.sig"])
    payload = json.dumps(ours, separators=(",", ":"), sort_keys=True).encode()

    def signs(name, why, *, certificate, **how):
        book.sign(f"sign-certificate-{name}", why, "10.1", tree=tree, certificate=certificate, **how)

    alone = book.write_pem("signer", pem(leaf(ROOT)))
    month = leaf(BETWEEN, begins="2024-03-01 12:00:00", ends="2024-03-31 12:00:00")
    lower = book.write_pem("signer-of-a-month", pem(month))
    above = book.write_pem("above", pem(BETWEEN.der))
    inside = seconds("2024-03-15 12:00:00")
    signs("alone", "the signer's certificate takes the place of the hint", certificate=alone, payload=payload, material=chain(leaf(ROOT)))
    signs(
        "chain",
        "the leaf first, and the CA above it",
        certificate=lower,
        chain=above,
        when=inside,
        payload=payload,
        material=chain(month, BETWEEN.der),
    )
    signs("expired", "nobody could verify it at the time of signing", certificate=lower, code="certificate-expired", exit=1)
    web = book.write_pem("signer-for-servers", pem(leaf(ROOT, purposes=(SERVER,))))
    signs("for-servers", "a certificate for TLS servers signs no model", certificate=web, code=UNFIT, exit=1)
    other = book.write_pem("signer-of-another-key", pem(leaf(ROOT, key=BOB.key)))
    signs("of-another-key", "the certificate is of another key", certificate=other, code="certificate-key-mismatch", exit=2)
    ca_first = book.write_pem("ca-first", pem(BETWEEN.der, month))
    signs("from-the-top", "the CA first: it is of another key", certificate=ca_first, code="certificate-key-mismatch", exit=2)
