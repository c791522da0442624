"""The client of AWS KMS against a server that fails in every way: bounded, silent, never by plain HTTP."""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback

import pytest
from botocore.credentials import RefreshableCredentials

from trustkit.errors import DeniedError, SealError, UnavailableError, UsageError
from trustkit.sealing import awskms_client
from trustkit.sealing.awskms import KmsDestroyer, KmsOpener, KmsRecipient, parse_key
from trustkit.sealing.awskms_client import ATTEMPTS, KmsClient
from trustkit.sealing.awskms_wire import MAX_ANSWER_BYTES, Sockets
from trustkit.sealing.keys import Dek

INFO = b'{"format":"trustkit.dev/wrap/v1","line":"acme/tiny"}'
SECRET = bytes(range(64, 96))
CREDENTIALS = ("AKIDEXAMPLE", "wJalrXUtnFEMI", "FwoGZXIvYXdzTOKEN")


@pytest.fixture
def key(kms, monkeypatch):
    """A key whose client does not pause between its attempts."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    return parse_key(kms.name(kms.create_key()))


def client(key, monotonic=lambda: 0.0, **more):
    return KmsClient(key, monotonic=monotonic, **more)


def wrap(key, **options):
    return KmsRecipient(key, client(key, **options)).wrap(Dek(bytearray(SECRET)), INFO)


def refused(kind, code, call):
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert error.code == code
    shown = "".join(traceback.format_exception(error)) + repr(error.evidence)
    assert not any(secret in shown for secret in (*CREDENTIALS, "POISON", "canonical"))
    return error


def test_one_client_serves_both_sides_and_connects_once(kms, key, monkeypatch):
    made = []
    real = KmsClient._connect
    monkeypatch.setattr(KmsClient, "_connect", lambda *given: made.append(1) or real(*given))
    service = client(key)
    assert repr(service) == f"<KmsClient {key.arn}>"
    assert made == []
    wrapped = KmsRecipient(key, service).wrap(Dek(bytearray(SECRET)), INFO)
    assert KmsOpener(key, service).unwrap(wrapped, INFO) == SECRET
    assert made == [1]
    headers = kms.requests[0][2]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/kms/" in headers["authorization"]
    assert headers["x_amz_security_token"] == CREDENTIALS[2]


def test_without_the_extra_it_says_which_one(kms, key, monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    error = refused(UsageError, "extra-needed", lambda: wrap(key))
    assert error.message == (
        "a key in AWS KMS needs botocore; install it from the source of trustkit: pip install '.[aws]'"
    )
    assert kms.requests == []


def test_what_is_loaded_without_a_key_in_a_service():
    program = (
        "import sys, trustkit.sealing.recipients, trustkit.sealing.awskms, trustkit.sealing.awskms_client\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('botocore', 'boto3', 'urllib3')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# Credentials and the environment


def test_no_credentials_and_credentials_that_are_half(kms, key, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = refused(UsageError, "no-credentials", lambda: wrap(key))
    assert "get-caller-identity" in error.message
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    refused(UsageError, "no-credentials", lambda: wrap(key))
    monkeypatch.setenv("AWS_PROFILE", "absent")
    refused(UsageError, "no-credentials", lambda: wrap(key))
    assert kms.requests == []


@pytest.mark.parametrize("process", ["/nowhere/at/all", "echo text", "echo [1]", "echo 5", "false", '""'])
def test_a_process_that_gives_no_credentials(kms, key, monkeypatch, tmp_path, process):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    refused(UsageError, "no-credentials", lambda: wrap(key))
    assert kms.requests == []


@pytest.mark.parametrize(
    "text", [b"[[[ \xff", b"[default]\nregion = \xff\n", b"[default]\naws_access_key_id = A\n"]
)
def test_settings_that_cannot_be_read_are_no_answer_of_the_service(kms, key, monkeypatch, tmp_path, text):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    (tmp_path / "config").write_bytes(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    refused(UsageError, "no-credentials", lambda: wrap(key))
    assert kms.requests == []


def test_credentials_are_renewed_before_the_service_is_asked(kms, key, monkeypatch, tmp_path):
    """A process that has become silent says nothing of the service."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    answer = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B", "Expiration": "2001-01-01T00:00:00Z"}
    (tmp_path / "answer").write_text(json.dumps({**answer, "Expiration": "2999-01-01T00:00:00Z"}))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path / 'answer'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    service = client(key)
    recipient = KmsRecipient(key, service)
    assert recipient.wrap(Dek(bytearray(SECRET)), INFO)
    service._credentials._expiry_time = service._credentials._expiry_time.replace(year=2001)
    (tmp_path / "answer").write_text("text")
    refused(UsageError, "no-credentials", lambda: recipient.wrap(Dek(bytearray(SECRET)), INFO))
    assert len(kms.requests) == 1


def login_by(monkeypatch, tmp_path, process):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_slow_credentials_hold_up_no_thread_that_has_a_limit_and_are_asked_for_once(
    kms, key, monkeypatch, tmp_path
):
    """The process writes only once the test has said so, long after the time of those who wait."""
    answer = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B", "Expiration": "2999-01-01T00:00:00Z"}
    os.mkfifo(tmp_path / "answer")
    login = tmp_path / "login"
    login.write_text(f"#!/bin/sh\necho >>{tmp_path / 'started'}\nexec cat {tmp_path / 'answer'}\n")
    login.chmod(0o700)
    login_by(monkeypatch, tmp_path, login)
    service = client(key, seconds=2)
    opener = KmsOpener(key, service)

    def ask():
        error = refused(UnavailableError, "kms-unavailable", lambda: opener.unwrap(b"x", INFO))
        heard.append(error.evidence["reason"])

    heard = []
    asking = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(20)
    assert heard == ["credentials"] * 3
    assert (tmp_path / "started").read_text() == "\n"
    (tmp_path / "answer").write_text(json.dumps(answer))
    for thread in threading.enumerate():
        if thread.name == "trustkit-awskms-login":
            thread.join()
    refused(SealError, "wrong-context", lambda: opener.unwrap(b"x", INFO))
    assert len(kms.requests) == 1


def test_nothing_but_the_login_looks_for_credentials(kms, key, monkeypatch, tmp_path):
    """The library renews them where it signs too, with no limit of ours."""
    answer = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "B", "Expiration": "2999-01-01T00:00:00Z"}
    (tmp_path / "answer").write_text(json.dumps(answer))
    login_by(monkeypatch, tmp_path, f"cat {tmp_path / 'answer'}")
    looked = []
    real = RefreshableCredentials.get_frozen_credentials
    monkeypatch.setattr(
        RefreshableCredentials,
        "get_frozen_credentials",
        lambda self: looked.append(threading.current_thread().name) or real(self),
    )
    service = client(key, seconds=20)
    opener = KmsOpener(key, service)
    for _ in range(2):
        refused(SealError, "wrong-context", lambda: opener.unwrap(b"x", INFO))
    assert looked == ["trustkit-awskms-login"] * 2
    (tmp_path / "answer").write_text(json.dumps({**answer, "AccessKeyId": "RENEWED"}))
    service._credentials._expiry_time = service._credentials._expiry_time.replace(year=2001)
    refused(SealError, "wrong-context", lambda: opener.unwrap(b"x", INFO))
    signed = [
        headers["authorization"].partition("Credential=")[2].partition("/")[0] for *_, headers in kms.requests
    ]
    assert signed == ["A", "A", "RENEWED"]


@pytest.mark.parametrize("process", ["false", ""])
def test_what_is_wrong_with_credentials_is_said_to_whoever_has_a_limit_and_tried_again(
    kms, key, monkeypatch, tmp_path, process
):
    """A machine that had none when it was first asked may have some later, as one that just started does."""
    login_by(monkeypatch, tmp_path, process)
    if not process:
        (tmp_path / "config").unlink()
    opener = KmsOpener(key, client(key, seconds=20))
    refused(UsageError, "no-credentials", lambda: opener.unwrap(b"x", INFO))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIALS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIALS[1])
    refused(SealError, "wrong-context", lambda: opener.unwrap(b"x", INFO))


def test_no_variable_sends_a_key_somewhere_else(kms, key, monkeypatch):
    """An address out of the environment would get the data key in the clear."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"):
        monkeypatch.setenv(name, f"http://{kms.host}")
    asked = []
    monkeypatch.setattr(
        "botocore.httpsession.URLLib3Session.send", lambda self, request: asked.append(request.url) or 1 / 0
    )
    service = KmsClient(parse_key(f"awskms:///{key.arn}"), monotonic=lambda: 0.0)
    with pytest.raises(ZeroDivisionError):
        service("encrypt", {"KeyId": key.arn, "Plaintext": b"x"})
    assert asked == ["https://kms.eu-west-1.amazonaws.com/"]


RULES = {
    "version": "1.0",
    "parameters": {
        name: {"builtIn": builtin, "required": False, "type": kind, "documentation": "x"}
        for name, builtin, kind in (
            ("Region", "AWS::Region", "string"),
            ("UseDualStack", "AWS::UseDualStack", "boolean"),
            ("UseFIPS", "AWS::UseFIPS", "boolean"),
            ("Endpoint", "SDK::Endpoint", "string"),
        )
    },
}


@pytest.fixture(params=["AWS_DATA_PATH", "HOME"])
def moving(request, kms, monkeypatch, tmp_path):
    """Data of the library on this machine, which say that the service is elsewhere, and by plain HTTP."""
    place = tmp_path / (".aws/models" if request.param == "HOME" else "models")
    folder = place / "kms/2014-11-01"
    folder.mkdir(parents=True)
    rule = {"conditions": [], "type": "endpoint"}
    rule["endpoint"] = {"url": f"http://{kms.host}", "properties": {}, "headers": {}}
    (folder / "endpoint-rule-set-1.json").write_text(json.dumps({**RULES, "rules": [rule]}))
    monkeypatch.setenv(request.param, str(place if request.param == "AWS_DATA_PATH" else tmp_path))
    monkeypatch.setattr("botocore.loaders.Loader.CUSTOMER_DATA_PATH", str(tmp_path / ".aws/models"))


@pytest.mark.parametrize("endpoint", [True, False])
def test_no_data_of_this_machine_move_the_service(kms, key, moving, endpoint, monkeypatch):
    if endpoint:
        assert wrap(key)
        return
    asked = []
    monkeypatch.setattr(
        "botocore.httpsession.URLLib3Session.send", lambda self, request: asked.append(request.url) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        client(parse_key(f"awskms:///{key.arn}"))("encrypt", {"KeyId": key.arn, "Plaintext": b"x"})
    assert asked == ["https://kms.eu-west-1.amazonaws.com/"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", [None, "127.0.0.1:1", "127.0.0.1", "127.0.0.1:{}.evil.example"])
def test_a_request_to_another_address_is_not_sent(kms, key, scheme, host):
    """Whatever moved it."""
    service, port = client(key), kms.host.partition(":")[2]
    url = f"{scheme}://{kms.host if host is None else host.format(port)}/"

    def move(request, **_):
        request.url = url

    service._connected().meta.events.register_first("before-send.kms", move)
    if url == f"https://{kms.host}/":
        assert KmsRecipient(key, service).wrap(Dek(bytearray(SECRET)), INFO)
        return
    recipient = KmsRecipient(key, service)
    error = refused(UsageError, "wrong-kms-address", lambda: recipient.wrap(Dek(bytearray(SECRET)), INFO))
    assert kms.host in error.message
    assert kms.requests == []


@pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_another_kind_of_host_is_named_in_the_key(kms, key, monkeypatch, name):
    """The wish is not passed over in silence, nor does it hinder who named a host."""
    monkeypatch.setenv(name, "true")
    error = refused(UsageError, "wrong-kms-address", lambda: wrap(parse_key(f"awskms:///{key.arn}")))
    assert "awskms://HOST/ARN" in error.message
    assert wrap(key)


def test_our_hosts_are_those_of_the_library(monkeypatch):
    """In every region that it knows, of every partition that we do."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)  # of a bucket that another test started
    from botocore.loaders import Loader
    from botocore.session import Session

    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    session, seen = Session(), set()
    session.register_component("data_loader", loader)
    for partition in loader.load_data("partitions")["partitions"]:
        for region in partition["regions"]:
            arn = f"arn:{partition['id']}:kms:{region}:111122223333:key/mrk-{'1a' * 16}"
            if region.endswith("-global"):
                continue
            if partition["id"].startswith("aws-iso"):
                refused(UsageError, "bad-kms-key", lambda name=arn: parse_key(f"awskms:///{name}"))
                assert parse_key(f"awskms://kms.example/{arn}").host == "kms.example"
                continue
            theirs = session.create_client("kms", region_name=region).meta.endpoint_url
            assert f"https://{parse_key(f'awskms:///{arn}').host}" == theirs
            seen.add(partition["id"])
    assert seen == {"aws", "aws-cn", "aws-eusc", "aws-us-gov"}


def test_a_server_that_nobody_vouches_for_gets_nothing(kms, key, monkeypatch):
    monkeypatch.delenv("AWS_CA_BUNDLE")
    error = refused(UnavailableError, "kms-unavailable", lambda: wrap(key))
    assert error.message == (
        "AWS KMS did not answer (CERTIFICATE_VERIFY_FAILED); name its authority with AWS_CA_BUNDLE"
    )
    assert kms.requests == []


def test_a_server_that_hangs_up_while_it_greets_is_told_from_one_nobody_vouches_for(key):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up, args=(server,), daemon=True).start()
        address = f"awskms://127.0.0.1:{server.getsockname()[1]}/{key.arn}"
        error = refused(UnavailableError, "kms-unavailable", lambda: wrap(parse_key(address)))
        server.shutdown(socket.SHUT_RDWR)  # ends the thread
    assert error.message == "AWS KMS did not answer (UNEXPECTED_EOF_WHILE_READING); try again"


def hang_up(server):
    """Read each greeting, and answer none."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)


def test_a_certificate_of_another_name_is_refused(kms, key):
    port = kms.host.partition(":")[2]
    refused(
        UnavailableError, "kms-unavailable", lambda: wrap(parse_key(f"awskms://localhost:{port}/{key.arn}"))
    )
    assert kms.requests == []


@pytest.mark.parametrize("level", [logging.DEBUG, logging.NOTSET])
def test_no_diagnostics_hold_a_key_or_a_credential(kms, key, caplog, level):
    """Somebody turned all of them on, before we came and after."""
    for name in ("", "botocore", "urllib3"):
        logging.getLogger(name).setLevel(level or 1)
    try:
        service = client(key)
        wrapped = KmsRecipient(key, service).wrap(Dek(bytearray(SECRET)), INFO)
        logging.getLogger("botocore").setLevel(1)
        assert KmsOpener(key, service).unwrap(wrapped, INFO) == SECRET
    finally:
        for name in ("", "botocore", "urllib3"):
            logging.getLogger(name).setLevel(logging.WARNING if not name else logging.NOTSET)
    sent = [asked["Plaintext"] for operation, asked, _ in kms.requests if operation == "Encrypt"]
    assert len(sent) == 1
    for secret in (sent[0], repr(SECRET)[2:20], *CREDENTIALS[1:]):
        assert secret not in caplog.text


# Refusals, through the wire


@pytest.mark.parametrize(
    ("said", "kind", "code", "asked"),
    [
        ("AccessDeniedException", DeniedError, "kms-denied", 1),
        ("UnrecognizedClientException", DeniedError, "kms-denied", 1),
        ("InvalidSignatureException", DeniedError, "kms-denied", 1),
        ("DisabledException", DeniedError, "kms-key-disabled", 1),
        ("KMSInvalidStateException", DeniedError, "kms-key-disabled", 1),
        ("InvalidCiphertextException", SealError, "wrong-context", 1),
        ("NotFoundException", UsageError, "no-such-kms-key", 1),
        ("ThrottlingException", UnavailableError, "kms-unavailable", ATTEMPTS),
        ("KeyUnavailableException", UnavailableError, "kms-unavailable", None),
        ("DependencyTimeoutException", UnavailableError, "kms-unavailable", None),
    ],
)
def test_a_refusal_is_final_and_only_what_may_pass_is_asked_again(kms, key, fault, said, kind, code, asked):
    kms.always = fault.refusal(said)
    error = refused(kind, code, lambda: wrap(key))
    assert error.evidence.get("service_code", said) == said
    assert len(kms.requests) == asked if asked else 1 <= len(kms.requests) <= ATTEMPTS


def test_what_passes_is_survived(kms, key, fault):
    kms.faults = [fault.refusal("ThrottlingException"), fault.Answer(b"", "503 Service Unavailable")]
    assert wrap(key)
    assert len(kms.requests) == 3


@pytest.mark.parametrize(
    "answer",
    [
        (b"<html>bad gateway</html>", "502 Bad Gateway"),
        (b"[" * 5000, "500 Internal Server Error"),
        (b"", "503 Service Unavailable"),
        (b'{"a":"' + b"x" * 60_000 + b'"}', "500 Internal Server Error"),
    ],
)
def test_a_page_of_somebody_on_the_way_is_no_answer(kms, key, fault, answer):
    kms.always = fault.Answer(*answer)
    refused(UnavailableError, "kms-unavailable", lambda: wrap(key))
    assert len(kms.requests) == ATTEMPTS


def test_a_redirect_is_not_followed(kms, key, fault):
    kms.always = fault.Answer(b"", "307 Temporary Redirect", (("Location", f"https://{kms.host}/elsewhere"),))
    refused(UnavailableError, "kms-unavailable", lambda: wrap(key))
    assert len(kms.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b'{"KeyId":5}',
        b'{"CiphertextBlob":5,"KeyId":"x"}',
        b'{"CiphertextBlob":"!","KeyId":"x"}',
        b'{"CiphertextBlob":{"a":"b"},"KeyId":"x"}',
        b'{"KeyId":"x","KeyId":"x"}',
        b'{"a":' * 9 + b"1" + b"}" * 9,
        b"[" * 60_000,
        b'{"a":"' + b"x" * MAX_ANSWER_BYTES + b'"}',
    ],
)
def test_an_answer_that_is_none_is_refused_before_it_is_used(kms, key, fault, body):
    kms.always = fault.Answer(body)
    refused(UnavailableError, "bad-kms-answer", lambda: wrap(key))
    assert len(kms.requests) == 1


def test_a_refusal_that_is_none_is_refused(kms, key, fault):
    kms.always = fault.Answer(b'{"__type":5}', "400 Bad Request")
    refused(UnavailableError, "bad-kms-answer", lambda: wrap(key))


@pytest.mark.parametrize(
    "date", ["1e300", "-1e300", "99999999999999", "253402300800", "-62135596800", "true", '"x"']
)
def test_a_date_that_is_none_is_no_answer(kms, key, fault, date):
    """The library raises of its own accord for some, and takes others for dates."""

    def spoil(good):
        raw = json.dumps({**json.loads(good.body), "DeletionDate": "@"})
        return fault.Answer(raw.replace('"@"', date).encode())

    kms.always = spoil
    destroyer = KmsDestroyer(key, client(key), now=time.time)
    refused(UnavailableError, "bad-kms-answer", lambda: destroyer.schedule_deletion(7))


@pytest.mark.parametrize("metadata", [5, {"Arn": 5, "DeletionDate": "soon"}])
def test_a_description_that_is_none_is_refused(kms, key, fault, metadata):
    kms.always = fault.Answer(json.dumps({"KeyMetadata": metadata}).encode())
    refused(UnavailableError, "bad-kms-answer", lambda: client(key)("describe_key", {"KeyId": key.arn}))


def test_a_body_without_end_is_read_up_to_the_cap(kms, key, fault):
    sent = []

    def endless():
        while len(sent) < 100 * 16:
            sent.append(1)
            yield b" " * 4096

    kms.always = fault.Answer(endless())
    refused(UnavailableError, "bad-kms-answer", lambda: wrap(key))
    assert len(sent) < 100 * 16


def test_a_body_that_drips_meets_the_deadline(kms, key, fault):
    """Each byte comes before anybody would call it silence; the clock goes on all the same."""
    ticks = iter(range(10**9))
    kms.always = lambda good: fault.Answer(bytes([byte]) for byte in good.body)
    refused(UnavailableError, "kms-unavailable", lambda: wrap(key, monotonic=lambda: float(next(ticks))))
    assert len(kms.requests) == ATTEMPTS


def test_a_server_that_is_silent_is_given_up(kms, key, fault, monkeypatch):
    ended = threading.Event()

    def silent(*first):
        yield from first
        ended.wait(60)
        yield b"{}"

    monkeypatch.setattr(awskms_client, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(awskms_client, "ATTEMPTS", 1)
    kms.faults = [fault.Answer(silent()), fault.Answer(silent(b'{"KeyId":'))]
    try:
        for _ in range(2):
            refused(UnavailableError, "kms-unavailable", lambda: wrap(key))
    finally:
        ended.set()


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def endless(kms, monkeypatch):
    """Serve one piece again and again, far beyond the deadline, and return where."""
    monkeypatch.setattr(awskms_client, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(awskms_client, "ATTEMPTS", 1)
    over, serving, listeners = threading.Event(), [], []

    def serve(listener, tls, first, piece):
        with contextlib.suppress(OSError):
            taken = listener.accept()[0]
            with kms.context.wrap_socket(taken, server_side=True) if tls else taken as stream:
                stream.recv(65536)
                stream.sendall(first)
                for _ in range(500):
                    stream.sendall(piece)
                    if over.wait(0.02):
                        break

    def start(first, piece, *, tls=True):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        serving.append(threading.Thread(target=serve, args=(listener, tls, first, piece), daemon=True))
        serving[-1].start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    over.set()
    for listener, thread in zip(listeners, serving, strict=True):
        listener.close()
        thread.join(5)


@pytest.fixture
def connected(monkeypatch):
    """The TLS sockets of all connections made to the service."""
    from botocore.awsrequest import AWSHTTPSConnection

    made, real = [], AWSHTTPSConnection.connect

    def connect(self):
        real(self)
        made.append(self.sock)

    monkeypatch.setattr(AWSHTTPSConnection, "connect", connect)
    return made


def asking():
    return [thread for thread in threading.enumerate() if thread.name == "trustkit-awskms"]


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"", CONTINUE * 50),
        (b"HTTP/1.1 ", b"2"),
        (b"HTTP/1.1 200 OK\r\nX-Y: ", b"y"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
    ],
)
def test_a_server_that_never_comes_to_an_end_is_given_up(key, endless, connected, first, piece):
    """No read of it is silent, and no clock of a body runs yet; whoever asked has ended, too."""
    slow = parse_key(f"awskms://{endless(first, piece)}/{key.arn}")
    error = refused(UnavailableError, "kms-unavailable", lambda: wrap(slow))
    assert error.evidence["reason"] == "ReadTimeoutError"
    for thread in asking():
        thread.join(5)
        assert not thread.is_alive()
    assert [stream.fileno() for stream in connected] == [-1]


def test_a_proxy_that_never_comes_to_an_end_is_given_up(key, endless, monkeypatch):
    proxy = endless(b"HTTP/1.1 200 OK\r\nX-Y: ", b"y", tls=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
    error = refused(UnavailableError, "kms-unavailable", lambda: wrap(parse_key(f"awskms:///{key.arn}")))
    assert error.evidence["reason"] == "ReadTimeoutError"
    for thread in asking():
        thread.join(5)
        assert not thread.is_alive()


def test_an_address_that_is_never_found_is_given_up(key, monkeypatch):
    """No socket is there to be shut: the thread stays behind, and nobody waits for it."""
    found = threading.Event()
    monkeypatch.setattr(awskms_client, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(awskms_client, "ATTEMPTS", 1)

    def never(*_, **__):
        found.wait(10)
        raise socket.gaierror

    monkeypatch.setattr("socket.getaddrinfo", never)
    refused(UnavailableError, "kms-unavailable", lambda: wrap(key))
    [thread] = asking()
    assert thread.daemon
    found.set()
    thread.join(5)
    assert not thread.is_alive()


def test_a_socket_that_comes_late_is_shut_at_once():
    sockets, (ours, theirs) = Sockets(), socket.socketpair()
    with ours, theirs:
        sockets.hold(ours)
        ours.sendall(b"1")
        sockets.shut()
        assert theirs.recv(2) == b"1"
        assert theirs.recv(1) == b""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        sockets.hold(ours)
        assert theirs.recv(1) == b""
        with pytest.raises(OSError, match="pipe"):
            ours.sendall(b"the key")


def test_a_body_that_is_cut_is_no_answer(kms, key, fault):
    def cut(good):
        return fault.Answer(good.body[:-9], headers=(("Content-Length", str(len(good.body))),))

    kms.always = cut
    error = refused(UnavailableError, "bad-kms-answer", lambda: wrap(key))
    assert error.evidence == {"key": key.arn}


def test_nobody_listens(key):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    nobody = parse_key(f"awskms://127.0.0.1:{port}/{key.arn}")
    error = refused(UnavailableError, "kms-unavailable", lambda: wrap(nobody))
    assert error.evidence["reason"] == "EndpointConnectionError"


def test_the_cause_of_a_failure_is_not_looked_for_without_end():
    error = OSError()
    error.args = (error,)
    assert awskms_client._cause(error) == "OSError"
