"""Attacks on the broker, over real mutual TLS: keys that are another's, oracles, eavesdroppers, no record."""

import base64
import contextlib
import dataclasses
import json
import signal
import time

import pytest

from trustkit.deciding.record import verify_records
from trustkit.digest import digest_of
from trustkit.errors import UnavailableError
from trustkit.sealing.recipients import ephemeral_opener, opener_from_pem, unwrap_dek, unwrap_document
from trustkit.sealing.release import ReleaseRequest, parse_answer, parse_refusal, request_to_bytes
from trustkit.spiffe.authority import Authority
from trustkit.spiffe.mtls import client_context, connect
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import svid_from_pem
from trustkit.storage.local import write_new

FILES = ("svid.pem", "svid_key.pem", "bundle.pem")


def asked(estate, address, documents, manifest_digest, *, path="/sidecar", **more):
    """Ask for a key as a workload; return status, body, and the private half that could open it."""
    opener, ephemeral = ephemeral_opener()
    body = request_to_bytes(ReleaseRequest(documents, ephemeral, manifest_digest))
    status, _, answer = estate.post(address, path, body, **more)
    return status, answer, opener


def entries(config):
    raw = (config.parent / "record.jsonl").read_bytes()
    return [json.loads(line)["entry"] for line in raw.splitlines()]


@pytest.fixture
def kept(estate):
    """A broker of one's own, and its configuration, to read the record of."""
    config = estate.broker_config()
    process, address = estate.broker(config=config)
    with process:
        yield address, config


def test_an_identity_without_a_grant_gets_no_key(estate, model, kept):
    address, config = kept
    for path in ("/neighbor", "/sidecar2", "/sidecar/x", "/SIDECAR", "/broker"):
        status, answer, _ = asked(estate, address, estate.documents(model), model.manifest_digest, path=path)
        assert status == 403
        assert parse_refusal(answer).code
    status, _, _ = asked(estate, address, estate.documents(model), model.manifest_digest)
    assert status == 200
    decisions = [(entry["peer"], entry["decision"]) for entry in entries(config)]
    assert decisions == [
        ("spiffe://demo.test/neighbor", "denied"),
        ("spiffe://demo.test/sidecar2", "denied"),
        ("spiffe://demo.test/sidecar/x", "denied"),
        ("spiffe://demo.test/SIDECAR", "denied"),
        ("spiffe://demo.test/broker", "denied"),
        ("spiffe://demo.test/sidecar", "allowed"),
    ]


def test_an_identity_without_a_grant_is_turned_away_before_its_request_is_read(estate, kept):
    """Sixteen strangers with 64 MiB each once cost a broker 3 GB; now none of it is waited for."""
    address, config = kept
    host, _, port = address.rpartition(":")
    files = estate.authority.files("/neighbor", now=time.time(), lifetime_seconds=3600)
    svid = svid_from_pem(*(files[name] for name in FILES), now=time.time())
    with connect(
        host,
        int(port),
        client_context(svid),
        expected=SpiffeID("demo.test", "/broker"),
        timeout_seconds=20,
        now=time.time(),
    ) as tls:
        head = "POST /v1/release HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        tls.sendall(f"{head}content-length: {1 << 26}\r\n\r\n".encode())
        answer = b""
        while b"}" not in answer:
            answer += tls.recv(65536)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert parse_refusal(answer.partition(b"\r\n\r\n")[2]).code == "no-grant"
    [entry] = entries(config)
    assert (entry["peer"], entry["codes"]) == ("spiffe://demo.test/neighbor", ["no-grant"])


def test_an_identity_without_a_grant_fills_no_record_and_nothing_that_it_did_is_lost(estate, model):
    """A synced line for each request of whoever is in the trust domain would fill a disk, and hold it."""
    config = estate.broker_config()
    process, address = estate.broker(config=config)
    with process:
        for path, times in (("/neighbor", 12), ("/other", 1)):
            for _ in range(times):
                status, _, body = estate.post(address, path, b"{}")
                assert (status, parse_refusal(body).code) == (403, "no-grant")
        for _ in range(2):
            asked(estate, address, estate.documents(model), model.manifest_digest)
        written = [(entry["peer"], entry.get("left_out")) for entry in entries(config)]
        assert written == [
            ("spiffe://demo.test/neighbor", 0),
            ("spiffe://demo.test/other", 0),
            ("spiffe://demo.test/sidecar", None),
            ("spiffe://demo.test/sidecar", None),
        ]
        assert process.end(signal.SIGTERM) == 0
    last = entries(config)[4:]
    assert [(entry["peer"], entry["left_out"]) for entry in last] == [("spiffe://demo.test/neighbor", 10)]
    assert (last[0]["decision"], last[0]["codes"]) == ("denied", ["no-grant"])
    lines = (config.parent / "record.jsonl").read_bytes().splitlines(keepends=True)
    assert verify_records(lines) == 5


def test_one_workload_that_sends_on_and_on_does_not_keep_another_from_its_key(estate, model):
    """Requests that never end hold what they have sent: no more than half of what there is for all."""
    largest = 1 << 19
    config = estate.broker_config(
        grants=[estate.grant(), estate.grant("/greedy")],
        limits={"body_max_bytes": largest, "body_budget_bytes": 2 * largest},
    )
    head = "POST /v1/release HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    part = f"{head}content-length: {largest}\r\n\r\n".encode() + b" " * (largest - 1)
    process, address = estate.broker(config=config)
    with contextlib.ExitStack() as held:
        held.enter_context(process)
        held.callback(process.kill)
        for _ in range(3):
            tls = held.enter_context(estate.connection(address, "/greedy"))
            tls.sendall(part)
            tls.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                assert b"overloaded" in tls.recv(65536) + tls.recv(65536)
        assert asked(estate, address, estate.documents(model), model.manifest_digest)[0] == 200


def test_another_authority_of_the_same_name_gets_no_answer(estate, model, kept):
    """A trust domain is its CA's key, not its name: the handshake fails, and nothing is recorded."""
    address, config = kept
    impostor = Authority("demo.test", now=estate.now, lifetime_seconds=3600)
    with pytest.raises((UnavailableError, OSError)):
        asked(estate, address, estate.documents(model), model.manifest_digest, authority=impostor)
    assert not (config.parent / "record.jsonl").exists()


def test_headers_that_claim_an_identity_are_not_believed(estate, model, kept):
    address, _ = kept
    claims = tuple(
        (name, "spiffe://demo.test/sidecar")
        for name in ("x-forwarded-client-cert", "x-spiffe-id", "x-forwarded-for", "forwarded")
    )
    status, _, _ = asked(
        estate,
        address,
        estate.documents(model),
        model.manifest_digest,
        path="/neighbor",
        headers=(("content-type", "application/json"), *claims),
    )
    assert status == 403


def test_a_wrapped_key_in_another_descriptor_is_refused(estate, model, kept):
    """The broker as an oracle: a victim's wrapped key, dressed in whatever the attacker can have signed."""
    address, config = kept
    victim = estate.documents(model)
    own = estate.sealed("oracle/own", seed=3, publisher=estate.stranger)
    other = estate.sealed("oracle/other", seed=4)
    newer = estate.sealed("oracle/newer", seed=0, version=2)

    def dressed(donor):
        return dataclasses.replace(estate.documents(donor), recipients=victim.recipients)

    # A descriptor of the attacker's own making: nobody believes who signed it.
    status, answer, _ = asked(estate, address, dressed(own), own.manifest_digest)
    assert (status, parse_refusal(answer).code) == (403, "wrong-signer")
    # Rightly signed, of another artifact or version: the key is bound to its own.
    for donor in (other, newer):
        status, answer, _ = asked(estate, address, dressed(donor), donor.manifest_digest)
        assert (status, parse_refusal(answer).code) == (403, "wrong-context")
    # The same with the victim's key id written over: the recipients document is not signed, the context is.
    forged = json.loads(victim.recipients)
    forged["dek_id"] = json.loads(estate.documents(other).recipients)["dek_id"]
    documents = dataclasses.replace(estate.documents(other), recipients=json.dumps(forged).encode())
    status, answer, _ = asked(estate, address, documents, other.manifest_digest)
    assert (status, parse_refusal(answer).code) == (403, "wrong-context")
    # The victim's descriptor with another author's bundle, and under another pin.
    documents = dataclasses.replace(victim, author_bundle=estate.documents(other).author_bundle)
    status, answer, _ = asked(estate, address, documents, model.manifest_digest)
    assert (status, parse_refusal(answer).code) == (403, "manifest-mismatch")
    status, answer, _ = asked(estate, address, victim, other.manifest_digest)
    assert (status, parse_refusal(answer).code) == (403, "digest-mismatch")
    assert [entry["decision"] for entry in entries(config)].count("allowed") == 3  # and each of them:
    assert [entry["codes"] for entry in entries(config) if "after" in entry] == [["wrong-context"]] * 3


def test_the_key_never_travels_unwrapped(estate, estates, model, kept):
    """Neither on the wire, nor in the answer that a proxy which ends TLS would see, nor in the record."""
    address, config = kept
    kek = opener_from_pem(estate.kek.read_bytes(), passphrase=b"of the broker")
    context = estate.proof(model).descriptor.context
    with unwrap_document(estate.documents(model).recipients, context, [kek]) as dek:
        key = bytes(dek.key)
    shapes = (key, key.hex().encode(), base64.b64encode(key), base64.urlsafe_b64encode(key))
    with estates.Tap(address) as tap:
        status, answer, opener = asked(estate, tap.address, estate.documents(model), model.manifest_digest)
        assert status == 200
        assert len(tap.seen) > len(answer)
        seen = bytes(tap.seen)
    wrapped = parse_answer(answer).wrapped
    assert key not in wrapped
    for place in (seen, answer, (config.parent / "record.jsonl").read_bytes()):
        assert not any(shape in place for shape in shapes)
    # Who recorded it cannot open it: the answer opens with the asker's ephemeral key and no other.
    stranger, _ = ephemeral_opener()
    for other in (stranger, kek):
        with pytest.raises(Exception, match="wrong-context"):
            unwrap_dek(wrapped, context, other)
    with unwrap_dek(wrapped, context, opener) as released:
        assert released.key == key


def test_every_answer_is_wrapped_anew(estate, model, kept):
    """Two answers to one ephemeral key have nothing in common that says they hold one key."""
    address, _ = kept
    _, ephemeral = ephemeral_opener()
    body = request_to_bytes(ReleaseRequest(estate.documents(model), ephemeral, model.manifest_digest))
    first, second = (parse_answer(estate.post(address, "/sidecar", body)[2]).wrapped for _ in range(2))
    assert first[:32] != second[:32]
    assert first[32:] != second[32:]


@pytest.mark.parametrize("trouble", ["not a record", "a folder", "others may write"])
def test_no_record_no_key(estate, model, trouble):
    """What cannot be written down does not happen, and is not the asker's fault: it may come again."""
    config = estate.broker_config()
    record = config.parent / "record.jsonl"
    process, address = estate.broker(config=config)
    with process:
        documents = estate.documents(model)
        assert asked(estate, address, documents, model.manifest_digest)[0] == 200
        good = record.read_bytes()
        record.unlink()
        if trouble == "a folder":
            record.mkdir()
        else:
            write_new(record, b"no line of a record\n" if trouble == "not a record" else good)
            record.chmod(0o600 if trouble == "not a record" else 0o666)
        for path in ("/sidecar", "/neighbor"):
            status, answer, _ = asked(estate, address, documents, model.manifest_digest, path=path)
            assert (status, parse_refusal(answer).code) == (503, "record-failed")
            assert str(record).encode() not in answer
        if trouble == "a folder":
            record.rmdir()
        else:
            record.unlink()
        write_new(record, good, mode=0o600)
        assert asked(estate, address, documents, model.manifest_digest)[0] == 200
        assert len(entries(config)) == 2
        process.kill()


def test_a_release_is_on_disk_before_it_is_answered(estate, model, kept):
    """The record's digest in the answer is that of a line that anybody can read already."""
    address, config = kept
    for count in range(1, 4):
        _, answer, _ = asked(estate, address, estate.documents(model), model.manifest_digest)
        lines = (config.parent / "record.jsonl").read_bytes().splitlines()
        assert len(lines) == count
        assert digest_of(lines[-1]) == parse_answer(answer).record
