"""AdmissionReviews as the API server sends them, over mutual TLS; copies are kept in ``reviews/``.

The law of this file: a denial counts only with the expected code and a remedy,
and an answer only if it is for the request that was sent.
"""

from __future__ import annotations

import base64
import http.client
import os
import ssl

from trustkit import strictjson
from trustkit.cli.demo.cluster import Cluster
from trustkit.cli.demo.stage import Stage
from trustkit.strictjson import Object


def pod(argument: str, *, annotations: Object | None = None) -> Object:
    """Return a Pod whose container loads a model."""
    container: Object = {
        "name": "server",
        "image": "registry.example/bigram-server@sha256:" + "5" * 64,
        "args": ["--model", argument, "--port", "8000"],
    }
    metadata: Object = {"name": "bigram", "namespace": "ml"}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"serviceAccountName": "bigram-server", "containers": [container]},
    }


def review(stage: Stage, cluster: Cluster, name: str, subject: Object, *, hook: str = "mutate") -> Object:
    """Send an AdmissionReview and return the response to it.

    Args:
        stage: Where a copy is kept, as ``reviews/NAME.json``.
        cluster: Where the webhook listens.
        name: What the review is called.
        subject: The Pod.
        hook: ``mutate`` or ``validate``.
    """
    uid = base64.b16encode(os.urandom(16)).decode().lower()
    request: Object = {
        "uid": uid,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": "ml",
        "name": "bigram",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": subject,
        "oldObject": None,
        "dryRun": False,
    }
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    kept = stage.folder / "reviews" / f"{name}.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(strictjson.to_bytes(body, indent=2))
    status, raw = _posted(stage, cluster, hook, strictjson.to_bytes(body))
    if status != 200:
        stage.fail(f"the webhook answered {status}: {raw[:200]!r}")
    response = strictjson.parse_object(raw, max_bytes=1 << 22, what="response")["response"]
    if not isinstance(response, dict) or response.get("uid") != uid:
        stage.fail("the webhook's answer is for another request")
    return response


def denied(stage: Stage, cluster: Cluster, name: str, subject: Object, *, code: str) -> None:
    """Send a Pod that must be denied with this code and a remedy."""
    what = f"a Pod with {name.replace('-', ' ')}"
    response = review(stage, cluster, name, subject)
    status = response.get("status")
    message = str(status.get("message")) if isinstance(status, dict) else ""
    if response.get("allowed") is not False or f"[{code}]" not in message or ";" not in message:
        stage.fail(f"{what}: expected a denial with [{code}], got {message or response}")
    stage.note(message.splitlines()[0])
    stage.show(what, f"denied {code}")


def _posted(stage: Stage, cluster: Cluster, hook: str, body: bytes) -> tuple[int, bytes]:
    svid = stage.folder / "svids/apiserver"
    context = ssl.create_default_context(cafile=str(svid / "bundle.pem"))
    context.load_cert_chain(svid / "svid.pem", svid / "svid_key.pem")
    port = int(cluster.webhook.rpartition(":")[2])
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    try:
        connection.request("POST", f"/{hook}?timeout=10s", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
