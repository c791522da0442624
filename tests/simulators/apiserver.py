"""etcd and kube-apiserver, the real ones, on loopback: no node, no controllers, no root, no network.

Neither is ours. What is here decides who may ask (client certificates and RBAC), stores what admission
lets pass, and calls webhooks with a client certificate of its own. Nothing runs what is stored.
"""

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

MASTERS = "system:masters"
SERVICES = "10.96.0.0/16"
NOWHERE = "192.0.2.1"
"""An address for documents: what is advertised is never dialled here, and loopback may not be advertised."""
START_SECONDS = 90
HOOKS = ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook")


def free_port():
    """Return a port of loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ApiServer:
    """Both processes, from construction to `end`.

    Attributes:
        folder: Where everything lies: keys, logs, etcd's data.
        url: Where the API is served.
        hooks_ca: PEM of the CA of the certificate that webhooks are shown.
    """

    def __init__(self, folder, tools, forger):
        self.folder, self._tools, self._forger = folder, tools, forger
        self._ca, hooks = self._authority("clients and servers"), self._authority("webhooks")
        self.hooks_ca = hooks.pem
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self._processes = []
        self.write("ca.crt", self._ca.pem)
        self._certify("apiserver", self._ca, addresses=("127.0.0.1",), dns=("kubernetes.default.svc",))
        self._certify("admin", self._ca, organization=MASTERS)
        self._certify("hooks", hooks)
        self._admin = self._kubeconfig("admin")
        self._token_keys()
        try:
            self._start("etcd", *self._etcd())
            self._start("kube-apiserver", *self._apiserver())
            self.until(self._ready, "the API server to be ready", seconds=START_SECONDS)
        except BaseException:
            self.end()
            raise

    # What people do ------------------------------------------------------

    def kubectl(self, *words, stdin=None, ok=None, user=None):
        """Run kubectl as an administrator, or as somebody else; `ok` demands success or failure."""
        document = stdin if stdin is None or isinstance(stdin, str) else json.dumps(stdin)
        done = subprocess.run(
            [self._tools["kubectl"], *(["--as", user] if user else []), *words],
            input=document,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if ok is not None:
            assert (done.returncode == 0) is ok, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def create(self, subject, *words, **options):
        """Create an object and return what kubectl said."""
        return self.kubectl("create", "-f", "-", *words, stdin=subject, **options)

    def created(self, subject, *words, **options):
        """Create an object, which must be allowed, and return it as it was stored."""
        done = self.create(subject, "-o", "json", *words, ok=True, **options)
        return json.loads(done.stdout)

    def get(self, *words):
        """Return an object as it is stored."""
        return json.loads(self.kubectl("get", "-o", "json", *words, ok=True).stdout)

    def raw(self, path):
        """Return a document of the API, such as its OpenAPI schemas."""
        return json.loads(self.kubectl("get", "--raw", path, ok=True).stdout)

    @property
    def environ(self):
        """An environment in which kubectl and helm talk to this API server, and keep nothing at home."""
        home = str(self.folder / "home")
        return {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": str(self._admin)}

    def until(self, true, what, *, seconds=30):
        """Wait until something is true; while it is not, both processes must live."""
        deadline = time.monotonic() + seconds
        while not true():
            for name, process in self._processes:
                assert process.poll() is None, f"{name} ended: {self._log(name)}"
            assert time.monotonic() < deadline, (
                f"waited {seconds} s for {what}: {self._log('kube-apiserver')}"
            )
            time.sleep(0.1)

    def end(self):
        """End both at once: asked politely, they wait for each other for half a minute."""
        for _, process in reversed(self._processes):
            process.kill()
            process.wait()
        self._processes.clear()

    # How it is made ------------------------------------------------------

    def write(self, name, content):
        """Write a file of ours and return its path."""
        path = self.folder / name
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(raw)
        path.chmod(0o600)
        return path

    def _authority(self, name):
        return self._forger.Issuer(time.time(), name=name, uris=())

    def _certify(self, name, issuer, **leaf):
        certificate, key = issuer.leaf(subject=name, uris=(), not_after=80_000, **leaf)
        self.write(f"{name}.crt", self._forger.pem(certificate))
        self.write(f"{name}.key", self._forger.key_pem(key))

    def _token_keys(self):
        """Write the key that service accounts' tokens are signed with, and its public half."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.write("tokens.key", self._forger.key_pem(key))
        self.write("tokens.pub", public)

    def _files(self, name):
        return {
            "client-certificate": str(self.folder / f"{name}.crt"),
            "client-key": str(self.folder / f"{name}.key"),
        }

    def _kubeconfig(self, name):
        cluster = {"server": self.url, "certificate-authority": str(self.folder / "ca.crt")}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": name, "user": self._files(name)}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": name}}],
        }
        return self.write(f"{name}.kubeconfig", document)

    def _admission(self):
        """Say with which certificate webhooks are called: the same for all of them."""
        users = [{"name": "*", "user": self._files("hooks")}]
        hooks = self.write("hooks.kubeconfig", {"apiVersion": "v1", "kind": "Config", "users": users})
        group = "apiserver.config.k8s.io/v1"
        configuration = {
            "apiVersion": group,
            "kind": "WebhookAdmissionConfiguration",
            "kubeConfigFile": str(hooks),
        }
        return {
            "apiVersion": group,
            "kind": "AdmissionConfiguration",
            "plugins": [{"name": name, "configuration": configuration} for name in HOOKS],
        }

    def _etcd(self):
        peers, self._etcd_url = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        return (
            *("--data-dir", self.folder / "etcd", "--unsafe-no-fsync", "--log-level", "error"),
            *("--listen-client-urls", self._etcd_url, "--advertise-client-urls", self._etcd_url),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *("--initial-cluster", f"default={peers}"),
        )

    def _apiserver(self):
        place = self.folder
        return (
            *(f"--etcd-servers={self._etcd_url}", "--bind-address=127.0.0.1", f"--secure-port={self._port}"),
            *(f"--advertise-address={NOWHERE}", "--endpoint-reconciler-type=none"),
            *(f"--service-cluster-ip-range={SERVICES}", "--allow-privileged=true", "--profiling=false"),
            *("--authorization-mode=RBAC", f"--client-ca-file={place}/ca.crt"),
            *(f"--tls-cert-file={place}/apiserver.crt", f"--tls-private-key-file={place}/apiserver.key"),
            *("--service-account-issuer=https://kubernetes.default.svc", "--api-audiences=api"),
            f"--service-account-signing-key-file={place}/tokens.key",
            f"--service-account-key-file={place}/tokens.pub",
            f"--admission-control-config-file={self.write('admission.json', self._admission())}",
            "--feature-gates=ImageVolume=true",
        )

    def _start(self, name, *words):
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [self._tools[name], *map(str, words)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append((name, process))

    def _ready(self):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5, context=context) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
