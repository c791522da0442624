"""A manifest as it lies in Git, judged as if it were created: for `decide`, where no API server asks.

The law of this file: what an API server would have said and nobody has is assumed, in one
place, and told with the answer; the object is judged as it is written, without what the
API server and other webhooks would add. What comes out is a review in bytes, and is
read as every other one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from admission.review import API_VERSION, Review, parse_review
from trustkit import strictjson
from trustkit.errors import FormatError
from trustkit.strictjson import Object
from trustkit.workloads.manifests import Subject, subjects_of

NAMESPACE = "default"
"""Where an object goes that names no namespace."""
OF_NO_NAMESPACE = frozenset(
    [
        *("ComponentStatus", "Namespace", "Node", "PersistentVolume"),
        "apiextensions.k8s.io/CustomResourceDefinition",
        "apiregistration.k8s.io/APIService",
        "argoproj.io/ClusterWorkflowTemplate",
        "gateway.networking.k8s.io/GatewayClass",
        "node.k8s.io/RuntimeClass",
        "ome.io/ClusterBaseModel",
        "ome.io/ClusterServingRuntime",
        "scheduling.k8s.io/PriorityClass",
        "trainer.kubeflow.org/ClusterTrainingRuntime",
        *(f"admissionregistration.k8s.io/{act}WebhookConfiguration" for act in ("Mutating", "Validating")),
        *(f"admissionregistration.k8s.io/{act}AdmissionPolicy" for act in ("Mutating", "Validating")),
        *(f"admissionregistration.k8s.io/{act}AdmissionPolicyBinding" for act in ("Mutating", "Validating")),
        *(f"certificates.k8s.io/{kind}" for kind in ("CertificateSigningRequest", "ClusterTrustBundle")),
        *(f"flowcontrol.apiserver.k8s.io/{kind}" for kind in ("FlowSchema", "PriorityLevelConfiguration")),
        *(f"networking.k8s.io/{kind}" for kind in ("IngressClass", "IPAddress", "ServiceCIDR")),
        *(f"rbac.authorization.k8s.io/{kind}" for kind in ("ClusterRole", "ClusterRoleBinding")),
        *(f"resource.k8s.io/{kind}" for kind in ("DeviceClass", "ResourceSlice")),
        *(f"serving.kserve.io/Cluster{kind}" for kind in ("ServingRuntime", "StorageContainer")),
        *(f"serving.kserve.io/LocalModel{kind}" for kind in ("Cache", "Node", "NodeGroup")),
        *(f"storage.k8s.io/{kind}" for kind in ("CSIDriver", "CSINode", "StorageClass", "VolumeAttachment")),
        "storage.k8s.io/VolumeAttributesClass",
    ]
)
"""Kinds whose objects are in no namespace; of every other kind we take them to be in one."""
UID = "assumed"
"""The uid of a review that no API server sent."""

_REVIEW = re.compile(rb'\A\s*\{.*"AdmissionReview"', re.DOTALL)
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be judged.

    Attributes:
        review: The review.
        assumed: What nobody said, by name; empty for a review that is one.
        about: One line about it for people; empty as well.
    """

    review: Review
    assumed: Object
    about: str


def question_in(untrusted: bytes, file: str) -> Question:
    """Read an AdmissionReview, or the manifest of one object, which is to be created.

    Args:
        untrusted: The file: JSON for a review; YAML or JSON for a manifest.
        file: Its name, for messages.

    Raises:
        LimitError, FormatError: As `parse_review`, and as `subjects_of`; ``bad-review`` for a file that
            holds no object or several.
    """
    if _REVIEW.match(untrusted):
        return Question(parse_review(untrusted), {}, "")
    subject = _only(list(subjects_of(untrusted, file)), file)
    assumed: Object = {"operation": "CREATE"}
    namespace, where = subject.namespace, f"in the namespace {subject.namespace!r}"
    if not namespace and subject.title.partition(" ")[0] in OF_NO_NAMESPACE:
        where = "in no namespace, as all of its kind"
    elif not namespace:
        assumed["namespace"] = namespace = NAMESPACE
        where = f"in the namespace {NAMESPACE!r}, assumed since it names none"
    review = parse_review(_as_review(subject, namespace))
    return Question(review, assumed, f"{subject.title}, as if it were created as it is written, {where}")


def _only(subjects: list[Subject], file: str) -> Subject:
    if len(subjects) == 1 and subjects[0].readable and subjects[0].object["kind"] != "AdmissionReview":
        return subjects[0]
    if len(subjects) < 2:
        raise FormatError(
            "bad-review",
            f"{file!r} holds neither an AdmissionReview (JSON) nor the manifest of an object (YAML or JSON, "
            "with apiVersion and kind); give one of them",
        )
    titles = ", ".join(subject.title for subject in subjects[:_LISTED])
    more = f" and {len(subjects) - _LISTED} more" if len(subjects) > _LISTED else ""
    raise FormatError(
        "bad-review",
        f"{file!r} holds {len(subjects)} objects ({titles}{more}), and one is judged at a time; give it in a "
        "file of its own",
    )


def _as_review(subject: Subject, namespace: str) -> bytes:
    group, _, version = str(subject.object["apiVersion"]).rpartition("/")
    request: Object = {
        "uid": UID,
        "kind": {"group": group, "version": version, "kind": subject.object["kind"]},
        "operation": "CREATE",
        "namespace": namespace,
        "name": subject.name,
        "object": subject.object,
    }
    return strictjson.to_bytes({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": request})
