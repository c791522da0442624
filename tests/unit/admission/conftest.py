"""A world in memory: an author, a store of documents, a judge; broken by assigning to attributes."""

import contextlib
import dataclasses
import http.client
import json
import ssl
import subprocess
import sys
import time

import pytest

from admission.config import StoreConfig
from admission.deadline import deadline_in
from admission.decide import Judge
from admission.evidence import EvidenceCache, EvidenceRoom, remedy_for
from admission.review import parse_review
from admission.sidecar import Plan
from admission.sidecar_config import SidecarConfig
from trustkit import strictjson
from trustkit.artifact.manifest import Manifest, Resource
from trustkit.attest.bundle import Bundle, bundle_to_bytes
from trustkit.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae
from trustkit.attest.predicates.model_signature import statement_of
from trustkit.attest.statement import statement_to_bytes
from trustkit.deciding.decision import ADMISSION, Decision, Violation, decide
from trustkit.digest import digest_of
from trustkit.errors import UnavailableError, VerificationError
from trustkit.signing.key import generate_key, load_signer
from trustkit.verifying.policy import policy_from_keys

HOST = "store.ml:8443"


class Store:
    """The documents of one host; `broken` makes it fail, `asked` counts, `open` says who has not closed."""

    def __init__(self):
        self.documents = {}
        self.broken = None
        self.asked = []
        self.open = 0

    def connect(self, reference, deadline):
        self.open += 1
        return _Folder(self, reference.path)


class _Folder:
    def __init__(self, store, path):
        self._store = store
        self._path = path

    def document(self, name, *, max_bytes):
        self._store.asked.append((self._path, name))
        if self._store.broken is not None:
            raise self._store.broken
        try:
            return self._store.documents[self._path, name]
        except KeyError:
            raise UnavailableError("not-found", "there is no such document") from None

    def close(self):
        self._store.open -= 1


class World:
    """Everything a judge needs, and pods to ask it about."""

    def __init__(self, folder):
        self.signer, self.public = _key(folder, "author")
        self.stranger, _ = _key(folder, "stranger")
        self.policy = policy_from_keys(self.public)
        self.store = Store()
        self.now = 0.0
        self.recorded = []
        self.alarms = []
        self.seen = []
        self.strict = False
        self.reading = None
        self.plan = Plan(
            _sidecar(),
            (StoreConfig(HOST, "spiffe://demo.test/store"),),
            self.policy.digest,
            digest_of(b"trust bundle"),
        )
        self.cache = EvidenceCache(entries=8, seconds=60, clock=lambda: self.now)
        self.rules = self._rules

    def publish(self, path, *, signer=None, content=b"weights"):
        """Publish a plain artifact and return its pinned reference."""
        manifest = Manifest((Resource("model.safetensors", digest_of(content)),))
        payload = statement_to_bytes(statement_of(manifest, "model"))
        chosen = signer or self.signer
        signature = Signature(chosen.sign(pae(PAYLOAD_TYPE, payload)), None)
        bundle = Bundle(Envelope(payload, PAYLOAD_TYPE, (signature,)), chosen.material)
        self.store.documents[path, "model.sig"] = bundle_to_bytes(bundle)
        return f"trust://{HOST}/{path}@{manifest.manifest_digest}"

    def room(self):
        return EvidenceRoom(
            self.policy,
            self.store.connect,
            allowed_hosts=frozenset((HOST,)),
            document_max_bytes=1 << 20,
            cache=self.cache,
            now=lambda: self.now,
        )

    def judge(self):
        return Judge(
            room=self.room(),
            plan=self.plan,
            rules=self.rules,
            reading=self.reading,
            strict_volumes=self.strict,
            alarm=self.alarms.append,
            record=lambda review, verdict: self.recorded.append((review, verdict)),
        )

    def ask(self, obj, hook="mutate", *, seconds=5.0, **request):
        deadline = deadline_in(seconds, time.monotonic)
        return self.judge().judge(self.review(obj, **request), hook, deadline)

    def review(self, obj, **request):
        return parse_review(strictjson.to_bytes(review_of(obj, **request)))

    def _rules(self, facts):
        """The plainest rules there can be: what is not verified is a violation."""
        self.seen.append(facts)
        violations = [
            Violation(model["code"], model["message"], model["remedy"])
            for model in facts["models"]
            if model["outcome"] != "verified"
        ]
        violations += [Violation(p["code"], p["reason"], remedy_for(p["code"])) for p in facts["unresolved"]]
        violations += [
            Violation("reserved-annotation", key, remedy_for("reserved-annotation"))
            for key in facts["object"]["reserved_annotations"]
        ]
        return Decision(not violations, tuple(violations), digest_of(b"rules"))


def _key(folder, name):
    private, public = generate_key("p256", passphrase=None)
    path = folder / f"{name}.pem"
    path.write_bytes(private)
    return load_signer(path, passphrase=None), public


def _sidecar():
    return SidecarConfig(
        image="registry.example/trustkit@sha256:" + "0" * 64,
        command=("trustkit-sidecar",),
        mount_path="/trustkit/models",
        svid_directory="/trustkit/svid",
        policy_file="/trustkit/policy/policy.yaml",
        trust_bundle_file="/trustkit/svid/bundle.pem",
        broker="broker.trustkit:8443",
        broker_id="spiffe://demo.test/broker",
        health_host="0.0.0.0",
        health_port=8090,
        volumes=({"name": "trustkit-svid", "csi": {"driver": "csi.spiffe.io", "readOnly": True}},),
        volume_mounts=({"name": "trustkit-svid", "mountPath": "/trustkit/svid", "readOnly": True},),
        run_as_user=65532,
        cpu_request_millicores=250,
        cpu_limit_millicores=2000,
        memory_overhead_mib=256,
        plain_limit_mib=1024,
        startup_period_seconds=2,
        startup_failure_threshold=1800,
    )


def review_of(obj, **request):
    """Wrap an object into the request the API server would send."""
    group, _, version = (obj or {}).get("apiVersion", "v1").rpartition("/")
    body = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": group, "version": version, "kind": (obj or {}).get("kind", "Pod")},
        "operation": "CREATE",
        "namespace": "ml",
        "name": "p",
        "object": obj,
        **request,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": body}


def pod_of(*words, **spec):
    """A pod whose one container has these arguments."""
    containers = [{"name": "server", "image": "vllm/vllm-openai:v1", "args": list(words)}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ml"},
        "spec": {"containers": containers, **spec},
    }


def applied(obj, operations):
    """Apply JSON patch operations as RFC 6902 says (add and replace are all we write)."""
    result = strictjson.parse(strictjson.to_bytes(obj), max_bytes=1 << 24, what="object")
    for operation in operations:
        *steps, last = operation["path"].split("/")[1:]
        target = result
        for step in steps:
            target = target[int(step)] if isinstance(target, list) else target[step]
        if isinstance(target, list):
            index = len(target) if last == "-" else int(last)
            assert operation["op"] == "add" or index < len(target)
            assert index <= len(target)
            if operation["op"] == "add":
                target.insert(index, operation["value"])
            else:
                target[index] = operation["value"]
        else:
            assert operation["op"] == "add" or last in target
            target[last] = operation["value"]
    return strictjson.parse(strictjson.to_bytes(result), max_bytes=1 << 24, what="object")


HOURS = 3600.0


class Webhook:
    """The real program with a configuration of its own; the API server's side of TLS."""

    def __init__(self, estate, estates, store):
        self.estate, self.store = estate, store
        self._process = estates.Process
        self.folder = estate.fresh("webhook")
        self.certify()

    def certify(self, *, authority=None, dns=("localhost",)):
        """Write the TLS files anew: the server's own, and the API server's."""
        issuer = authority or self.estate.authority
        for name, path in (("tls", "/webhook"), ("apiserver", "/apiserver")):
            folder = self.folder / name
            folder.mkdir(exist_ok=True)
            files = issuer.files(path, now=time.time(), lifetime_seconds=HOURS, dns=dns)
            for file, content in files.items():
                (folder / f"{file}.new").write_bytes(content)
                (folder / f"{file}.new").rename(folder / file)

    def document(self, **members):
        """The configuration; None takes a member out."""
        document = {
            "listen": "127.0.0.1:0",
            "health_listen": "127.0.0.1:0",
            "tls": {
                "certificate": "tls/svid.pem",
                "private_key": "tls/svid_key.pem",
                "client_ca": "tls/bundle.pem",
            },
            "policy": str(self.estate.policy_file),
            "svid_directory": str(self.estate.svid("/webhook")),
            "record": "record.jsonl",
            "stores": [{"host": self.store, "spiffe_id": "spiffe://demo.test/store"}],
            "sidecar": {
                "image": "registry.example/trustkit@sha256:" + "0" * 64,
                "svid_directory": "/svid",
                "policy_file": "/policy/policy.yaml",
                "trust_bundle_file": "/svid/bundle.pem",
                "broker": "broker:8443",
                "broker_id": "spiffe://demo.test/broker",
                "volumes": [
                    {"name": "trustkit-svid", "csi": {"driver": "csi.spiffe.io"}},
                    {"name": "trustkit-policy", "configMap": {"name": "policy"}},
                ],
                "volume_mounts": [
                    {"name": "trustkit-svid", "mountPath": "/svid"},
                    {"name": "trustkit-policy", "mountPath": "/policy"},
                ],
            },
            **members,
        }
        return {name: value for name, value in document.items() if value is not None}

    def config(self, **members):
        """Write the configuration and return its path."""
        path = self.folder / "webhook.yaml"
        path.write_text(json.dumps(self.document(**members)))
        return path

    @property
    def record(self):
        return self.folder / "record.jsonl"

    def run(self, *words, **options):
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "admission", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **options,
        )

    def serve(self, *words, **members):
        """Start the program and return it with both its addresses."""
        process = self._process("admission", ["serve", "--config", self.config(**members), *words])
        return process, process.line_with("listening on "), process.line_with("health on ")

    def context(self, *, certificate=True, folder="apiserver"):
        """A client's TLS context: trusts the estate, shows the API server's certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "apiserver" / "bundle.pem"))
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        if certificate:
            context.load_cert_chain(self.folder / folder / "svid.pem", self.folder / folder / "svid_key.pem")
        return context

    def ask(self, address, body, path="/mutate", *, context=None, headers=None):
        """Post a body as the API server does and return status and parsed answer."""
        port = int(address.rpartition(":")[2])
        connection = http.client.HTTPSConnection(
            "localhost", port, context=context or self.context(), timeout=30
        )
        with contextlib.closing(connection):
            raw = body if isinstance(body, bytes) else strictjson.to_bytes(body)
            connection.request("POST", path, raw, headers or {"content-type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        return answer.status, json.loads(content) if answer.status == 200 else content.decode()

    def reference(self, model):
        """The pinned reference of a model in the store."""
        return f"trust://{self.store}/{model.path}@{model.manifest_digest}"


@pytest.fixture(autouse=True)
def _few_engines(few_engines):
    """Every webhook that is composed in this process has the rules of this version."""


@pytest.fixture
def webhook(estate, estates, store):
    return Webhook(estate, estates, store)


@pytest.fixture(scope="session")
def compiled(compiled_rules):
    """The rules of this version, as the webhook asks them."""
    _, kept = compiled_rules
    return lambda facts: decide(kept(instances=4), ADMISSION, facts)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def tools():
    """The functions above for test files, which cannot import a conftest in importlib mode."""

    @dataclasses.dataclass(frozen=True)
    class Tools:
        host: str = HOST
        pod: object = staticmethod(pod_of)
        review: object = staticmethod(review_of)
        applied: object = staticmethod(applied)
        refused: type = VerificationError
        unavailable: type = UnavailableError

    return Tools()
