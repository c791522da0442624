"""A small estate on loopback: keys, a policy, signed and sealed models, SVIDs, and the real programs.

Everything is real: files, keys, mutual TLS, processes. It is broken by writing
to its files, by asking for another SVID, or by giving a program other arguments.
"""

import dataclasses
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from admission.config import StoreConfig
from admission.evidence import Proven
from admission.sidecar import Plan, injection_for
from admission.sidecar_config import SidecarConfig
from trustkit.artifact.reference import parse_reference
from trustkit.digest import digest_of
from trustkit.sealing.documents import SealedDocuments
from trustkit.sealing.recipients import generate_opener, recipient_from_pem
from trustkit.signing.key import generate_key, load_signer
from trustkit.spiffe.authority import Authority
from trustkit.spiffe.mtls import client_context, connect, server_context
from trustkit.spiffe.names import SpiffeID
from trustkit.spiffe.svid import svid_from_pem
from trustkit.verifying.policy import parse_policy
from trustkit.verifying.sealed import verify_sealed
from trustkit.verifying.verify import verify_manifest
from trustkit.workflows import seal, sign

DOMAIN = "demo.test"
LINE = "acme/tiny-llm"
HOURS = 3600.0
PASSPHRASE = b"of the broker"


class Process:
    """A program that runs: its lines, its end, and what it said."""

    def __init__(self, module, words, environ=None, *, file_blocks=None):
        command = [sys.executable, "-m", module, *map(str, words)]
        if file_blocks is not None:
            command = ["sh", "-c", f'ulimit -f {file_blocks}; exec "$@"', "sh", *command]
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environ or {})},
        )
        self.pid = self._popen.pid
        self.said = ""
        self.complained = ""

    def line_with(self, start, *, seconds=30):
        """Wait for a line of stdout that starts so, behind the program's name, and return the rest of it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ended = not self.running
            if self.told(start):
                lines = (line for line in map(_unnamed, self.said.splitlines()) if line.startswith(start))
                return next(lines).removeprefix(start).strip()
            if ended:
                break
        self.kill()
        raise AssertionError(
            f"no line {start!r}; said {self.said!r}, complained {self._popen.stderr.read()!r}"
        )

    def told(self, start):
        """Say whether stdout holds a whole line that starts so, after waiting for a moment."""
        ready, _, _ = select.select([self._popen.stdout], [], [], 0.05)
        if ready:
            self.said += os.read(self._popen.stdout.fileno(), 65536).decode()
        return any(
            _unnamed(line).startswith(start)
            for line in self.said.splitlines(keepends=True)
            if line.endswith("\n")
        )

    def end(self, number=None, *, seconds=60):
        """Send a signal, or none, wait for the end, and return the exit status."""
        if number is not None:
            self._popen.send_signal(number)
        try:
            said, self.complained = self._popen.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.communicate()
            raise
        self.said += said
        return self._popen.returncode

    def kill(self):
        """End it at once."""
        self._popen.kill()
        self._popen.wait()

    @property
    def running(self):
        return self._popen.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.running:
            self.kill()
        for stream in (self._popen.stdout, self._popen.stderr):
            stream.close()


def _unnamed(line):
    """A line without the name of the program that says it."""
    return re.sub(r"^trustkit-[a-z]+: ", "", line)


@dataclasses.dataclass(frozen=True)
class Model:
    """A published model: its source folder, where it lies in the store, and its pins."""

    source: Path
    folder: Path
    path: str
    manifest_digest: object
    descriptor_digest: object


class Estate:
    """See the top of this file."""

    def __init__(self, folder):
        self.folder = folder
        self.now = time.time()
        self.authority = Authority(DOMAIN, now=self.now, lifetime_seconds=24 * HOURS)
        self.author, self.author_pem = self._signer("author")
        self.publisher, self.publisher_pem = self._signer("publisher")
        self.stranger, self.stranger_pem = self._signer("stranger")
        private, public = generate_opener("x25519", passphrase=PASSPHRASE)
        self.kek = self.write("kek.pem", private)
        self.kek_passphrase = self.write("kek.pass", PASSPHRASE + b"\n")
        self.recipient = recipient_from_pem(public)
        self.policy_file = self.write("policy.json", json.dumps(self.policy_document()).encode())
        self.policy = parse_policy(self.policy_file.read_bytes(), read_file=Path.read_bytes)
        self.trust_bundle = self.write("bundle.pem", self.authority.bundle_pem)
        self.root = folder / "store"
        self.root.mkdir()
        self._counter = 0

    # Files ---------------------------------------------------------------

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def fresh(self, name):
        """Make a folder nobody uses."""
        self._counter += 1
        path = self.folder / f"{name}-{self._counter}"
        path.mkdir()
        return path

    def svid(self, path, authority=None, *, ago=0.0, dns=()):
        """Issue an SVID, so many seconds ago, for these hosts as well, and return its directory."""
        folder, begun = self.fresh("svid"), time.time() - ago
        issued = (authority or self.authority).files(path, now=begun, lifetime_seconds=HOURS, dns=dns)
        for name, content in issued.items():
            (folder / name).write_bytes(content)
        return folder

    def policy_document(self, *, author=None, publisher=None, lines=(LINE,)):
        keys = {"author": author or self.author_pem, "publisher": publisher or self.publisher_pem}
        authorities = [
            {"name": f"acme-{role}", "roles": [role], "key": {"pem": pem.decode()}}
            for role, pem in keys.items()
        ]
        return {
            "apiVersion": "trustkit.dev/v1alpha1",
            "kind": "VerificationPolicy",
            "metadata": {"name": "estate"},
            "spec": {"authorities": authorities, "lines": list(lines)},
        }

    # Models --------------------------------------------------------------

    def files(self, seed=0, size=3_000_000):
        """Make a model's folder: large, small, empty and nested files."""
        folder = self.fresh("model")
        (folder / "sub").mkdir()
        (folder / "model.safetensors").write_bytes(
            bytes((seed + i * 7) % 251 for i in range(1000)) * (size // 1000)
        )
        (folder / "config.json").write_text(f'{{"seed": {seed}}}')
        (folder / "sub" / "tokenizer.json").write_text("{}")
        (folder / "empty").write_bytes(b"")
        return folder

    def sealed(
        self,
        path,
        *,
        seed=0,
        version=1,
        author=None,
        publisher=None,
        line=LINE,
        recipients=None,
        size=3_000_000,
        policy=None,
    ):
        """Sign a model, seal it, and publish it in the store."""
        source = self.files(seed, size)
        sign(source, author or self.author)
        folder = self.root / path
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = seal(
            source,
            publisher or self.publisher,
            output=folder,
            line=line,
            version=version,
            recipients=recipients or [self.recipient],
            policy=policy
            or parse_policy(
                json.dumps(self.policy_document(author=self.stranger_pem if author else None)).encode(),
                read_file=Path.read_bytes,
            ),
        )
        (source / "model.sig").unlink()
        return Model(
            source,
            folder,
            path,
            made.manifest_digest,
            digest_of((folder / "descriptor.sigstore.json").read_bytes()),
        )

    def plain(self, path, *, seed=50, size=3_000_000):
        """Sign a model and publish it as it is."""
        source = self.files(seed, size)
        signed = sign(source, self.author)
        folder = self.root / path
        shutil.copytree(source, folder)
        (source / "model.sig").unlink()
        return Model(source, folder, path, signed.manifest.manifest_digest, None)

    def copied(self, model, path):
        """Publish a model's folder once more, to be spoiled."""
        folder = self.root / path
        shutil.copytree(model.folder, folder)
        return dataclasses.replace(model, folder=folder, path=path)

    def documents(self, model):
        return SealedDocuments(
            descriptor=(model.folder / "descriptor.sigstore.json").read_bytes(),
            author_bundle=(model.folder / "model.sig").read_bytes(),
            recipients=(model.folder / "recipients.json").read_bytes(),
        )

    def proof(self, model):
        return verify_sealed(self.documents(model), self.policy)

    # Programs ------------------------------------------------------------

    def grant(self, path="/sidecar", **members):
        return {
            "spiffe_id": f"spiffe://{DOMAIN}{path}",
            "lines": [LINE],
            "publishers": ["acme-publisher"],
            "authors": ["acme-author"],
            **members,
        }

    def broker_config(self, **members):
        """Write a broker's configuration and return its path; None takes a member out."""
        folder = self.fresh("broker")
        document = {
            "listen": "127.0.0.1:0",
            "svid_directory": str(self.svid("/broker")),
            "policy": str(self.policy_file),
            "openers": [{"file": str(self.kek), "passphrase_file": str(self.kek_passphrase)}],
            "record": "record.jsonl",
            "grants": [self.grant()],
            **members,
        }
        path = folder / "broker.yaml"
        path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))
        return path

    def broker(self, *words, config=None):
        """Start a broker and return the process and its address."""
        process = Process("trustkit.broker", ["serve", "--config", config or self.broker_config(), *words])
        return process, process.line_with("listening on ")

    def store(self, **members):
        """Start a store and return the process and its address."""
        document = {
            "listen": "127.0.0.1:0",
            "svid_directory": str(self.svid("/store")),
            "root": str(self.root),
            "readers": [f"spiffe://{DOMAIN}"],
            **members,
        }
        path = self.fresh("store-config") / "store.yaml"
        path.write_text(json.dumps(document))
        process = Process("trustkit.store", ["serve", "--config", path])
        return process, process.line_with("listening on ")

    def arguments(self, model, *, store, broker, svid="/sidecar", output=None, policy=None, **flags):
        """Return a sidecar's arguments as the webhook injects them, then changed; None takes a flag out."""
        output = output or self.fresh("volume") / "model"
        policy = policy or self.policy_file
        words = self._injected(model, store, broker, policy)
        words[words.index("--output") + 1] = str(output)
        words[words.index("--svid-directory") + 1] = str(svid if isinstance(svid, Path) else self.svid(svid))
        for name, value in {"budget_seconds": 20, **flags}.items():
            flag = f"--{name.replace('_', '-')}"
            if flag in words:
                place = words.index(flag)
                words[place : place + 2] = [] if value is None else [flag, str(value)]
            elif value is not None:
                words += [flag, str(value)]
        return words, output

    def _injected(self, model, store, broker, policy):
        reference = parse_reference(f"trust://{store}/{model.path}@{model.manifest_digest}")
        if model.descriptor_digest is None:
            proof = verify_manifest((model.folder / "model.sig").read_bytes(), self.policy)
        else:
            proof = self.proof(model)
        plan = Plan(
            SidecarConfig(
                image="registry.example/trustkit@sha256:" + "0" * 64,
                command=("trustkit-sidecar",),
                mount_path="/trustkit/models",
                svid_directory="/svid",
                policy_file=str(policy),
                trust_bundle_file=str(self.trust_bundle),
                broker=broker,
                broker_id=f"spiffe://{DOMAIN}/broker",
                health_host="127.0.0.1",
                health_port=1,
                volumes=(),
                volume_mounts=(),
                run_as_user=65532,
                cpu_request_millicores=250,
                cpu_limit_millicores=2000,
                memory_overhead_mib=256,
                plain_limit_mib=1024,
                startup_period_seconds=2,
                startup_failure_threshold=1800,
            ),
            (StoreConfig(store, f"spiffe://{DOMAIN}/store"),),
            digest_of(Path(policy).read_bytes()),
            digest_of(self.trust_bundle.read_bytes()),
        )
        words = injection_for(Proven(reference, proof, model.descriptor_digest, 1), 0, plan).container["args"]
        words[words.index("--health") + 1] = "127.0.0.1:0"
        return list(words)

    def sidecar(self, model, *words, **options):
        """Start a sidecar and return the process and its output."""
        arguments, output = self.arguments(model, **options)
        return Process("trustkit.sidecar", [*arguments, *words]), output

    def connection(self, address, path, *, expected="/broker", authority=None):
        """Connect by mutual TLS as a workload."""
        host, _, port = address.rpartition(":")
        files = (authority or self.authority).files(path, now=time.time(), lifetime_seconds=HOURS)
        svid = svid_from_pem(*files.values(), now=time.time())
        svid = dataclasses.replace(
            svid, bundle_pem=self.authority.bundle_pem
        )  # whom it believes, whoever it is
        return connect(
            host,
            int(port),
            client_context(svid),
            expected=SpiffeID(DOMAIN, expected),
            timeout_seconds=10,
            now=time.time(),
        )

    def post(
        self,
        address,
        path,
        body,
        *,
        target="/v1/release",
        method="POST",
        headers=(("content-type", "application/json"),),
        authority=None,
    ):
        """Send one request as a workload and return status, headers and body."""
        sent = [("host", "broker"), ("content-length", len(body)), ("connection", "close"), *headers]
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent), "", ""]
        with self.connection(address, path, authority=authority) as tls:
            tls.sendall("\r\n".join(lines).encode() + body)
            raw = b""
            while chunk := tls.recv(65536):
                raw += chunk
        if not raw:
            raise ConnectionError("closed without an answer")
        head, _, body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body

    def _signer(self, name):
        private, public = generate_key("p256", passphrase=None)
        return load_signer(self.write(f"{name}.pem", private), passphrase=None), public


class Tap:
    """A TCP relay in front of a server: counts bytes, keeps them, and can hold them back.

    Attributes:
        address: Where it listens.
        seen: All bytes that passed, both ways.
        held: Set once `hold_after` bytes of the server were passed; the rest waits for `release`.
    """

    def __init__(self, target, *, hold_after=None):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._hold_after = hold_after
        self.seen = bytearray()
        self.held = threading.Event()
        self._go_on = threading.Event()
        self._passed = 0
        self._lock = threading.Lock()
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # there is nobody there any more
                client.close()
                continue
            self._sockets += [client, server]
            threading.Thread(target=self._relay, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._relay, args=(server, client, True), daemon=True).start()

    def _relay(self, source, sink, answers):
        try:
            while chunk := source.recv(16384):
                with self._lock:
                    self.seen += chunk
                    if answers:
                        self._passed += len(chunk)
                        if self._hold_after is not None and self._passed > self._hold_after:
                            self.held.set()
                if self.held.is_set():
                    self._go_on.wait(120)
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def release(self):
        """Let everything pass that was held back."""
        self._go_on.set()

    def close(self):
        """End all connections."""
        self._go_on.set()
        for one in (self._listener, *self._sockets):
            one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def tree_of(folder):
    """Return every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def probe(address, path="/readyz", *, request=None, seconds=10):
    """Ask a health port and return the status."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as plain:
        plain.sendall(request or f"GET {path} HTTP/1.0\r\n\r\n".encode())
        raw = b""
        while chunk := plain.recv(4096):
            raw += chunk
    return int(raw.split()[1])


class Scripted:
    """A server with a good SVID and bad manners: what it answers, connection by connection, is a script.

    Each step is bytes (read a request's head, send them, close) or a function of the TLS socket.
    The last step is repeated.
    """

    def __init__(self, estate, steps, *, path="/broker", authority=None):
        files = (authority or estate.authority).files(path, now=time.time(), lifetime_seconds=HOURS)
        self._context = server_context(svid_from_pem(*files.values(), now=time.time()))
        self._steps = list(steps)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = []
        self.connections = 0
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(plain)
            step = self._steps[min(self.connections, len(self._steps) - 1)]
            self.connections += 1
            threading.Thread(target=self._play, args=(plain, step), daemon=True).start()

    def _play(self, plain, step):
        try:
            with self._context.wrap_socket(plain, server_side=True) as tls:
                if callable(step):
                    step(tls)
                    return
                self.requests.append(request_of(tls))
                tls.sendall(step)
        except OSError:
            return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in (self._listener, *self._sockets):
            one.close()


def forward(estate, address):
    """Return a step for `Scripted` that asks a real broker, as the sidecar, and hands its answer on."""

    def step(tls):
        status, _, body = estate.post(address, "/sidecar", request_of(tls))
        tls.sendall(answer(status, body))

    return step


def request_of(tls):
    """Read one request with its body from a socket."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        chunk = tls.recv(65536)
        if not chunk:
            return raw
        raw += chunk
    head, _, body = raw.partition(b"\r\n\r\n")
    length = next(
        (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += tls.recv(65536)
    return body


def answer(status, body, *headers):
    """Write an HTTP answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
