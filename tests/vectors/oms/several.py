"""The cases about more than one signature (section 11 of FORMAT.md), for `generate.py`."""

from __future__ import annotations

from certificates import chain, leaf, pem
from certifying import PLAIN, ROOT, certified, keyed, write_policy
from cryptography.hazmat.primitives import hashes
from making import ALICE, BOB, CAROL, MALLORY, SMALL, buggy, bundle, old_statement, pae, sig, twin_of

ML = ["email:ml@example.com"]


def several(book):
    """Write all of them."""
    believing(book)
    adding(book)


def believing(book):
    """What counts, and what counts once (11.4)."""

    def policy(name, *entries, threshold=2):
        return {"policy": write_policy(book, name, *entries, threshold=threshold)}

    ours = certified("ca", ROOT, identities=ML)
    mixed = policy("certificate-and-key", ours, keyed("bob", BOB))
    twice = policy("certificate-or-key", ours, keyed("alice", ALICE), keyed("bob", BOB))
    double = policy("two-cas-and-key", certified("one", ROOT, identities=ML), certified("two", ROOT, identities=ML), keyed("bob", BOB))
    three = policy("three-of-three", keyed("alice", ALICE), keyed("bob", BOB), keyed("carol", CAROL), threshold=3)
    two_of_three = policy("two-of-three", keyed("alice", ALICE), keyed("bob", BOB), keyed("carol", CAROL))
    roles = policy("author-and-publisher", keyed("alice", ALICE), keyed("bob", BOB, "publisher"), keyed("carol", CAROL))

    def good(name, why, raw, trust="alice", rules="11.4"):
        book.good(f"several-{name}", why, rules, raw, trust=trust)

    def few(name, why, raw, trust, code="below-threshold", rules="11.4"):
        book.refused(f"several-{name}", code, why, rules, raw, trust=trust)

    certificate = chain(leaf(ROOT))
    good("certificate-and-key", "a signer with a certificate, and one with a key", bundle(PLAIN, ALICE, BOB, material=certificate), mixed, "11.1 11.4")
    good(
        "key-before-certificate",
        "the signer with the certificate is the second: every signature is tried",
        bundle(PLAIN, BOB, ALICE, material=certificate),
        mixed,
    )
    good("first-believed", "the first signature is ours, the second a stranger's", bundle(PLAIN, ALICE, MALLORY))
    good(
        "rubbish-behind",
        "the first signature is ours, the second no signature at all",
        bundle(PLAIN, signatures=lambda payload: [sig(ALICE.sign(pae(payload))), sig(b"\x30")]),
    )
    good("three", "three curves, three hashes, one payload", bundle(PLAIN, ALICE, BOB, CAROL), three)
    good("two-of-three", "two of three are enough, and a stranger between them", bundle(PLAIN, CAROL, MALLORY, ALICE), two_of_three)
    few("none-believed", "two strangers", bundle(PLAIN, MALLORY, BOB), "alice", "wrong-signer")
    few(
        "four-for-two",
        "two authors with two signatures each, where three are needed",
        bundle(
            PLAIN,
            signatures=lambda payload: [
                *(sig(make(ALICE.sign(pae(payload)))) for make in (bytes, twin_of)),
                *[sig(BOB.sign(pae(payload)))] * 2,
            ],
        ),
        three,
    )
    few("certificate-alone", "the certificate's signer, and nobody with a key", bundle(PLAIN, ALICE, material=certificate), mixed)
    few("certificate-missing", "the signer whom a certificate should name brings none", bundle(PLAIN, ALICE, BOB), mixed)
    few(
        "certificate-refused",
        "the certificate names somebody else: one author is left",
        bundle(PLAIN, ALICE, BOB, material=chain(leaf(ROOT, names=("email:xx@example.com",)))),
        mixed,
    )
    few(
        "two-leaves",
        "two certificates of one authority, each with its signature",
        bundle(PLAIN, ALICE, MALLORY, material=chain(leaf(ROOT), leaf(ROOT, key=MALLORY.key, serial=7))),
        mixed,
    )
    few("one-leaf-two-cas", "one certificate that two authorities believe", bundle(PLAIN, ALICE, material=certificate), double)
    few("certificate-of-a-key", "one key, believed for itself and for its certificate", bundle(PLAIN, ALICE, material=certificate), twice)
    few("of-another-role", "an author and a publisher are not two authors", bundle(PLAIN, ALICE, BOB), roles)

    def second(make):
        return lambda payload: [sig(ALICE.sign(pae(payload))), sig(make(payload))]

    few("second-payload", "the second signature is over another payload", bundle(PLAIN, signatures=second(lambda payload: BOB.sign(pae(payload + b" ")))), two_of_three)
    few("second-hash", "the second signature is over the hash of another curve", bundle(PLAIN, signatures=second(lambda payload: BOB.sign(pae(payload), hashes.SHA256()))), two_of_three)
    old = old_statement(SMALL)
    few(
        "two-encodings",
        "one signed what 0.2.0 signs and one the PAE: the two are not counted together",
        bundle(old, signatures=lambda payload: [sig(ALICE.sign(buggy(payload))), sig(BOB.sign(pae(payload)))]),
        two_of_three,
        rules="9.4 11.2",
    )


def adding(book):
    """What a second writer must do, and must not (11.1 to 11.3)."""
    ours = bundle(PLAIN)

    def adds(name, why, rules, raw, *, key="bob", **how):
        book.add(f"add-{name}", why, rules, raw, key=key, **how)

    adds("signature", "a second signature, and nothing that was there is lost", "11.1", ours)
    adds("after-a-stranger", "whoever signed before need not be believed by the second", "11.1", bundle(PLAIN, MALLORY))
    adds("after-a-certificate", "a key joins a signer with a certificate, whose material stays", "11.1 11.2", bundle(PLAIN, material=chain(leaf(ROOT))))
    adds("log-entries-kept", "log entries and timestamps of the first signer stay", "11.1", bundle(PLAIN, material={
        "publicKey": {"hint": ALICE.hint},
        "tlogEntries": [{"logIndex": "1"}],
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "AA=="}]},
    }))
    adds("twice", "a key that has signed", "11.3", ours, key="alice", code="already-signed", exit=2)
    adds("twice-as-twin", "a key that has signed, and its signature was given its other S", "11.3", bundle(
        PLAIN, signatures=lambda payload: [sig(twin_of(ALICE.sign(pae(payload))))]
    ), key="alice", code="already-signed", exit=2)
    adds("changed-file", "the artifact is no longer what the payload says", "11.3", ours, files={**SMALL, "a": b"2"}, code="digest-mismatch", exit=1)
    adds("unsigned-file", "the artifact has a file more than the payload says", "11.3", ours, files={**SMALL, "z": b""}, code="unsigned-file", exit=1)
    adds("to-keyless", "a keyless bundle takes one signature", "11.2", bundle(PLAIN, material={
        "certificate": chain(leaf(ROOT))["x509CertificateChain"]["certificates"][0], "tlogEntries": [{}],
    }), code="unsupported-material", exit=3)
    adds("to-0.2.0", "nothing is added to what 0.2.0 wrote", "11.2", bundle(old_statement(SMALL)), code="wrong-predicate-type", exit=1)
    adds("with-a-certificate", "the second signer's certificate could not be carried", "11.2", ours, key="bob",
         certificate=book.write_pem("second-signer", pem(leaf(ROOT, key=BOB.key))), code="certificate-not-first", exit=2)
    adds("too-many", "a thirty-third signature", "6.4 11.3", bundle(
        PLAIN, signatures=lambda payload: [sig(ALICE.sign(pae(payload)))] + [sig(bytes([number])) for number in range(31)]
    ), code="too-many-signatures", exit=4)
