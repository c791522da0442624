"""AWS KMS over real TLS sockets: moto's own server, strict where the service is and moto is not.

Broken by attribute: `faults` holds what happens to the next requests, one each, `always` what happens to all
of them: a `Refusal` of the service, an `Answer` in place of its own, a function of the good answer, or a
function of nothing that waits. `requests` holds what was asked: operation, parameters, headers.

What moto leaves out and the service does (API reference of AWS KMS): a disabled key and one to be deleted
are refused, ciphertext of another key is IncorrectKeyException, ScheduleKeyDeletion takes an ARN and
answers with ARN and state; a multi-Region key is named by mrk- and 32 hexadecimal digits, and a
primary one waits for its replicas (here there always are some).
"""

import io
import json
import ssl
import threading
import uuid
from dataclasses import dataclass, field

from moto.kms.models import kms_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

ACCOUNT, REGION = "123456789012", "eu-west-1"
_USES = frozenset(("Encrypt", "Decrypt"))


@dataclass
class Answer:
    """What is sent in place of the good answer; the body may be an iterable of pieces."""

    body: object
    status: str = "200 OK"
    headers: tuple = ()


def refusal(code, status="400 Bad Request", **more):
    """Return the answer by which the service refuses, whose message nobody may repeat."""
    body = {"__type": code, "message": "the canonical string should have been x-amz-security-token:POISON"}
    return Answer(json.dumps({**body, **more}).encode(), status, (("x-amzn-ErrorType", code),))


@dataclass
class AwsKms:
    """The server; `host` is its address, and what a client must trust is the caller's."""

    context: ssl.SSLContext
    faults: list = field(default_factory=list)
    always: object = None
    requests: list = field(default_factory=list)

    def __post_init__(self):
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._attend, threaded=True, request_handler=_Quiet)
        self._server.ssl_context = self.context
        self._accept, self._server.get_request = self._server.get_request, self._received
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _received(self):
        """Leave the handshake to the thread of the connection, which closes it whatever happens."""
        client, address = self._accept()
        return self.context.wrap_socket(client, server_side=True, do_handshake_on_connect=False), address

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def heal(self):
        """Forget what was asked, and go on as the service does."""
        self.faults, self.always, self.requests = [], None, []

    def create_key(self, **options):
        """Make a key and return its ARN."""
        made = {"policy": None, "key_usage": "ENCRYPT_DECRYPT", "key_spec": "SYMMETRIC_DEFAULT"}
        made |= {"description": "", "tags": [], "multi_region": False, "origin": "AWS_KMS"}
        key = _keys().create_key(**{**made, **options})
        if key.multi_region:
            _rename(key, f"mrk-{uuid.uuid4().hex}")
        return key.arn

    def replicate_key(self, arn, region):
        """Make a replica of a multi-Region key in another region, and return its ARN."""
        return _keys().replicate_key(arn.rpartition("/")[2], region).arn

    def key(self, arn):
        """Return moto's key, whose attributes can be changed."""
        return _keys(arn).keys[arn.rpartition("/")[2]]

    def name(self, arn):
        """Return what a command calls a key of this server."""
        return f"awskms://{self.host}/{arn}"

    def _attend(self, environ, start):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        asked = json.loads(body or b"{}")
        headers = {name[5:].lower(): text for name, text in environ.items() if name.startswith("HTTP_")}
        self.requests.append((operation, asked, headers))
        fault = self.faults.pop(0) if self.faults else self.always
        answer = fault if isinstance(fault, Answer) else self._answer(environ, operation, dict(asked))
        if callable(fault):
            answer = fault(answer)
        start(answer.status, [("Content-Type", "application/x-amz-json-1.1"), *answer.headers])
        return [answer.body] if isinstance(answer.body, bytes) else answer.body

    def _answer(self, environ, operation, asked):
        arn = asked["KeyId"]
        known = _keys(arn).keys.get(arn.rpartition("/")[2])
        if known is not None and known.arn == arn:
            if operation in _USES and known.key_spec != "SYMMETRIC_DEFAULT":
                return refusal("InvalidKeyUsageException")
            if operation in _USES and known.key_state == "Disabled":
                return refusal("DisabledException")
            if operation != "DescribeKey" and known.key_state.startswith("Pending"):
                return refusal("KMSInvalidStateException")
        if operation == "ScheduleKeyDeletion" and known is not None and known.multi_region:
            known.key_state = "PendingReplicaDeletion"
            return Answer(json.dumps({"KeyId": arn, "KeyState": known.key_state}).encode())
        if operation == "ScheduleKeyDeletion":
            asked["KeyId"] = arn.rpartition("/")[2]
        answer = self._forwarded(environ, asked)
        return self._corrected(answer, operation, arn)

    @staticmethod
    def _corrected(answer, operation, arn):
        code = {name.lower(): text for name, text in answer.headers}.get("x-amzn-errortype")
        if operation == "Decrypt" and code == "AccessDeniedException":
            return refusal("IncorrectKeyException")
        if operation == "ScheduleKeyDeletion" and answer.status.startswith("200"):
            body = {**json.loads(answer.body), "KeyId": arn, "KeyState": "PendingDeletion"}
            return Answer(json.dumps(body).encode())
        return answer

    def _forwarded(self, environ, asked):
        """Let moto answer."""
        body, seen = json.dumps(asked).encode(), []
        inner = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        pieces = self._moto(inner, lambda status, headers, _=None: seen.extend((status, headers)))
        whole = b"".join(pieces)
        kept = tuple((name, text) for name, text in seen[1] if name.lower().startswith("x-amzn-"))
        return Answer(whole, seen[0], kept)


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        """Say nothing: tests look at `requests`."""


def _rename(key, name):
    """Give a key a name as the service makes it, where moto makes another."""
    keys = _keys().keys
    del keys[key.id]
    key.arn, key.id = key.arn.replace(key.id, name), name
    key.multi_region_configuration["PrimaryKey"]["Arn"] = key.arn
    keys[key.id] = key


def _keys(arn=None):
    """Return the keys of the region that an ARN names."""
    return kms_backends[ACCOUNT][arn.split(":")[3] if arn else REGION]
