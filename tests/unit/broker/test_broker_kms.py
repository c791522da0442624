"""A broker whose key lies in AWS KMS: it releases through the service, and outlives it."""

import json
import signal
import socket
import sys
import threading
import time

import pytest

from trustkit.broker.config import load
from trustkit.broker.main import main
from trustkit.broker.openers import SHARE, openers_from
from trustkit.errors import DeniedError, SealError, UnavailableError, UsageError
from trustkit.sealing import awskms_wire
from trustkit.sealing.awskms import KmsRecipient, parse_key
from trustkit.sealing.awskms_client import KmsClient
from trustkit.sealing.recipients import ephemeral_opener, unwrap_dek
from trustkit.sealing.release import ReleaseRequest, parse_answer, request_to_bytes
from trustkit.spiffe.names import SpiffeID

SECRETS = ("AKIDEXAMPLE", "wJalrXUtnFEMI", "FwoGZXIvYXdzTOKEN", "POISON")


@pytest.fixture
def fault(kms):
    """What can happen to a request, as the simulator's module has it."""
    return sys.modules[type(kms).__module__]


@pytest.fixture
def key(kms):
    return parse_key(kms.name(kms.create_key()))


@pytest.fixture
def in_service(estate, kms, key):
    """A model that is sealed to a key in the service alone."""
    name = f"kms/{estate.fresh('kms').name}/1"
    recipient = KmsRecipient(key, KmsClient(key, monotonic=time.monotonic))
    sealed = estate.sealed(name, recipients=[recipient], size=1000)
    kms.heal()
    return sealed


@pytest.fixture
def asked(counter_with, kms, key, in_service):
    """A broker with that key, and a function that asks it for that model's."""
    counter = counter_with(openers=[{"kms": kms.name(key.arn)}])
    return counter, lambda **more: counter.ask(counter.request(in_service), **more)


def codes_of(counter):
    return [(entry["decision"], *entry["codes"]) for entry in counter.entries()]


def refused(kind, code, call):
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    return caught.value


def test_a_key_in_the_service_releases(asked, kms, in_service):
    counter, ask = asked
    counter.opened(ask(), in_service).wipe()
    assert [operation for operation, _, _ in kms.requests] == ["Decrypt"]
    assert codes_of(counter) == [("allowed",)]
    assert counter.alarms == []


def test_the_service_never_hears_who_asked(asked, kms, estate):
    _, ask = asked
    ask()
    said = json.dumps(kms.requests)
    assert "sidecar" not in said
    assert estate.authority.trust_domain not in said
    [(_, parameters, _)] = kms.requests
    assert parameters["EncryptionContext"]["line"] == "acme/tiny-llm"
    assert sorted(parameters) == ["CiphertextBlob", "EncryptionAlgorithm", "EncryptionContext", "KeyId"]


def test_a_service_that_is_down_is_no_denial(asked, kms, fault):
    counter, ask = asked
    kms.always = fault.refusal("KMSInternalException", "500 Internal Server Error")
    refused(UnavailableError, "kms-unavailable", ask)
    assert len(kms.requests) == 1  # whoever asks asks again; the broker does not
    assert codes_of(counter) == [("allowed",), ("unavailable", "kms-unavailable")]
    [alarm] = counter.alarms
    assert alarm.code == "kms-unavailable"
    assert "sidecar" not in alarm.message
    kms.heal()
    ask()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("AccessDeniedException", "kms-denied"),
        ("DisabledException", "kms-key-disabled"),
        ("KMSInvalidStateException", "kms-key-disabled"),
        ("NotFoundException", "no-such-kms-key"),
        ("InvalidKeyUsageException", "unsupported-kms-key"),
    ],
)
def test_what_is_wrong_with_the_brokers_own_key_is_the_operators_business(asked, kms, fault, key, said, code):
    counter, ask = asked
    kms.always = fault.refusal(said)
    error = refused(UnavailableError, "opener-failed", ask)
    assert not any(secret in error.message for secret in (*SECRETS, key.arn, said))
    assert [alarm.code for alarm in counter.alarms] == [code]
    assert codes_of(counter) == [("allowed",), ("unavailable", "opener-failed")]


def test_without_credentials_the_operator_hears_of_it(asked, monkeypatch):
    counter, ask = asked
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused(UnavailableError, "opener-failed", ask)
    assert [alarm.code for alarm in counter.alarms] == ["no-credentials"]


def test_a_wrapped_key_of_another_context_is_refused_for_good(asked, kms, fault):
    counter, ask = asked
    kms.always = fault.refusal("InvalidCiphertextException")
    refused(SealError, "wrong-context", ask)
    assert counter.alarms == []
    assert codes_of(counter)[-1] == ("refused", "wrong-context")


def test_nobody_whom_the_rules_deny_reaches_the_service(asked, kms):
    counter, ask = asked
    refused(DeniedError, "no-grant", lambda: ask(peer=SpiffeID("demo.test", "/other")))
    assert codes_of(counter) == [("denied", "no-grant")]
    assert kms.requests == []


def test_a_key_in_a_file_opens_while_the_service_is_down(counter_with, estate, kms, fault, key):
    recipient = KmsRecipient(key, KmsClient(key, monotonic=time.monotonic))
    name = f"kms/{estate.fresh('kms').name}/1"
    both = estate.sealed(name, recipients=[recipient, estate.recipient], size=1000)
    files = {"file": str(estate.kek), "passphrase_file": str(estate.kek_passphrase)}
    counter = counter_with(openers=[{"kms": kms.name(key.arn)}, files])
    kms.always = fault.refusal("KMSInternalException")
    counter.opened(counter.ask(counter.request(both)), both).wipe()
    assert codes_of(counter) == [("allowed",)]


def test_no_service_is_asked_once_the_time_is_over(asked, kms):
    """The clock jumps behind the last look at it before the key is unwrapped."""
    _, ask = asked
    looks = []

    def clock():
        looks.append(1)
        return 0.0 if len(looks) < 4 else 99.0

    refused(UnavailableError, "deadline", lambda: ask(clock=clock))
    assert (len(looks), kms.requests) == (4, [])


def test_a_service_has_half_of_the_time_of_a_request_and_never_more_than_its_own(
    estate, kms, key, monkeypatch
):
    made = []
    real = awskms_wire.Wire
    monkeypatch.setattr(awskms_wire, "Wire", lambda **more: made.append(more["seconds"]) or real(**more))
    for limits in ({}, {"deadline_seconds": 120}):
        path = estate.broker_config(openers=[{"kms": kms.name(key.arn)}], limits=limits)
        config = load(path.read_bytes(), base=path.parent, environ={})
        [opener] = openers_from(config, monotonic=time.monotonic)
        with pytest.raises(SealError):
            opener.unwrap(b"x", b'{"line":"x"}')
    assert made == [10.0 / SHARE, 20]


def test_one_key_twice_is_refused_whatever_its_address(estate, kms, key):
    path = estate.broker_config(openers=[{"kms": kms.name(key.arn)}, {"kms": f"awskms:///{key.arn}"}])
    config = load(path.read_bytes(), base=path.parent, environ={})
    error = refused(UsageError, "bad-config", lambda: openers_from(config, monotonic=time.monotonic))
    assert "names one key twice" in error.message


def test_a_start_demands_the_library_and_not_the_service(capsys, estate, kms, key, monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nobody = f"awskms://127.0.0.1:{held.getsockname()[1]}/{key.arn}"
        config = estate.broker_config(openers=[{"kms": nobody}])
        assert main(["check-config", "--config", str(config), "--json"], {}) == 0
        assert json.loads(capsys.readouterr().out)["evidence"]["openers"] == [str(key.key_id)]
    assert kms.requests == []
    monkeypatch.setitem(sys.modules, "botocore.parsers", None)
    assert main(["check-config", "--config", str(config)], {}) == 2
    assert capsys.readouterr().err.endswith("pip install '.[aws]' [extra-needed]\n")


# Over the wire ------------------------------------------------------------------------------------


def body_for(estate, model):
    opener, ephemeral = ephemeral_opener()
    request = ReleaseRequest(estate.documents(model), ephemeral, model.manifest_digest)
    return opener, request_to_bytes(request)


def test_the_program_releases_through_the_service_and_survives_its_absence(
    estate, kms, fault, key, in_service
):
    config = estate.broker_config(openers=[{"kms": kms.name(key.arn)}])
    process, address = estate.broker(config=config)
    with process:
        opener, body = body_for(estate, in_service)
        kms.always = fault.refusal("ThrottlingException")
        status, headers, answer = estate.post(address, "/sidecar", body)
        assert (status, headers["retry-after"]) == (503, "1")
        assert json.loads(answer)["code"] == "kms-unavailable"
        assert key.arn not in answer.decode()
        kms.heal()
        status, _, answer = estate.post(address, "/sidecar", body)
        assert status == 200
        context = estate.proof(in_service).descriptor.context
        unwrap_dek(parse_answer(answer).wrapped, context, opener).wipe()
        assert process.end(signal.SIGTERM) == 0
    assert process.complained.count("\n") == 1
    assert process.complained.startswith("trustkit-broker: warning: AWS KMS could not answer")
    assert not any(secret in process.complained + process.said for secret in (*SECRETS, "/sidecar"))


def test_a_service_that_is_silent_is_an_answer_in_time_and_holds_up_nobody_else(
    estate, kms, key, in_service, model
):
    """The port is listened on, and nothing is ever said there."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        files = {"file": str(estate.kek), "passphrase_file": str(estate.kek_passphrase)}
        silence = {"kms": f"awskms://127.0.0.1:{silent.getsockname()[1]}/{key.arn}"}
        limits = {"deadline_seconds": 2, "workers": 2}
        config = estate.broker_config(openers=[silence, files], limits=limits)
        process, address = estate.broker(config=config)
        with process:
            answers = []
            _, body = body_for(estate, in_service)
            asking = threading.Thread(target=lambda: answers.append(estate.post(address, "/sidecar", body)))
            asking.start()
            being_asked, _ = silent.accept()
            with being_asked:
                assert estate.post(address, "/sidecar", body_for(estate, model)[1])[0] == 200
                asking.join(30)
            [(status, _, answer)] = answers
            assert (status, json.loads(answer)["code"]) == (503, "kms-unavailable")
            assert process.end(signal.SIGTERM) == 0
