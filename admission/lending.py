"""Who else in a pod reaches what its sidecar is known by: its SVID, its tokens, its Secrets.

The sidecar gets them from the operator's volumes, whose names only we may give. A name protects
nothing: another volume with the same source holds the same files, and whoever mounts it can ask the
broker for the key. So sources are compared, not names:

    1. ``csi``: the same driver, whatever its attributes; for SPIFFE's, the folders of the agent's
       socket on the node as well.
    2. A Secret of ours, however it is spelled: as a volume or a part of one, whichever of its items;
       as what a driver is told to read; as a variable of any container.
    3. ``projected``: a service-account token for the same audience, a certificate by the same signer.
    4. ``hostPath``: the same folder of the node, one above it or one below.
    5. A claim of the same name; any other kind of volume, as another of its kind, because we cannot
       tell what it holds. A ConfigMap, fields of the pod and an empty folder are no identity.

What this cannot give. SPIFFE knows a pod, not a container: where the SPIFFE ID comes from the pod's
namespace and service account, whoever reaches the agent's socket is the sidecar, and so is a pod of that
service account that has no sidecar and is not looked at here. Refusing the socket to the other containers
keeps the identity from the code beside the sidecar, and from nobody who may create pods as he likes: for
that, registrations and grants must be as narrow as the workload. Nor can we see what a claim or a node's
link leads to, who may read a Secret through the API, or whom a container asks over the network.

The law of this file: a source that we cannot compare is refused where it is of a kind that we mount.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from admission.evidence import remedy_for
from admission.walking import every, listed
from trustkit.deciding.decision import Violation
from trustkit.strictjson import Object, Value
from trustkit.workloads.grammar import lies_below
from trustkit.workloads.sidecars import bears_our_name

SPIFFE_DRIVER = "csi.spiffe.io"
SOCKET_FOLDERS = ("/run/spire", "/var/run/spire", "/tmp/spire-agent")  # noqa: S108 - SPIRE's own default
"""Where agents keep the socket that SPIFFE's driver mounts, as far as their usual places tell."""
_NOBODYS = frozenset(("configMap", "downwardAPI", "emptyDir", "image"))
_COMPARED = frozenset(("csi", "hostPath", "persistentVolumeClaim", "projected", "secret"))


def _no_deadline() -> None:
    """Let a source be read for as long as it takes: it is the operator's."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What the operator's volumes give to the sidecar alone.

    Attributes:
        drivers: CSI drivers, in lower case.
        secrets: Names of Secrets.
        audiences: Of projected service-account tokens.
        signers: Of projected certificates.
        folders: Of the node.
        claims: Names of persistent volume claims.
        kinds: Other kinds of volumes.
    """

    drivers: frozenset[str]
    secrets: frozenset[str]
    audiences: frozenset[str]
    signers: frozenset[str]
    folders: tuple[str, ...]
    claims: frozenset[str]
    kinds: frozenset[str]


def lent_by(volumes: Iterable[Object], *, check: Callable[[], None] = _no_deadline) -> Lent:
    """Read what volumes give, the operator's or those of a pod; *check* raises once the time is over."""
    entries = list(volumes)
    drivers = frozenset(text.lower() for text in _texts(entries, "csi", "driver"))
    sources = [source for volume in entries for source in _projected(volume)]
    folders = _texts(entries, "hostPath", "path")
    return Lent(
        drivers=drivers,
        secrets=frozenset(name for volume in entries for name in _secrets(volume, check)),
        audiences=frozenset(_texts(sources, "serviceAccountToken", "audience")),
        signers=frozenset(_texts(sources, "podCertificate", "signerName")),
        folders=(*folders, *(SOCKET_FOLDERS if SPIFFE_DRIVER in drivers else ())),
        claims=frozenset(_texts(entries, "persistentVolumeClaim", "claimName")),
        kinds=frozenset(kind for volume in entries for kind in volume) - _NOBODYS - _COMPARED - {"name"},
    )


def borrowed(spec: Object, lent: Lent, *, check: Callable[[], None]) -> tuple[Violation, ...]:
    """Return where a pod gives to others what is lent to the sidecar; volumes of our names are ours.

    Args:
        spec: The pod's, untrusted.
        lent: What only the sidecar may have.
        check: Called again and again; raises once the time is over.
    """
    wrong: list[str] = []
    for index, volume in enumerate(_entries(spec.get("volumes"))):
        check()
        if not bears_our_name(volume) and _gives(volume, lent, check):
            wrong.append(f"spec.volumes[{index}] has the source of a volume that only the sidecar may have")
    for name, index, container in listed(spec):
        check()
        variables: Value = [container.get("env"), container.get("envFrom")]
        if not lent.secrets.isdisjoint(_secrets(variables, check)):
            wrong.append(f"spec.{name}[{index}] reads a Secret that only the sidecar may have")
    return tuple(Violation("identity-shared", why, remedy_for("identity-shared")) for why in wrong)


def _gives(volume: Object, lent: Lent, check: Callable[[], None]) -> bool:
    here = lent_by([volume], check=check)
    return (
        bool(here.drivers & lent.drivers)
        or bool(here.secrets & lent.secrets)
        or bool(here.audiences & lent.audiences)
        or bool(here.signers & lent.signers)
        or any(overlap(one, other) for one in _texts([volume], "hostPath", "path") for other in lent.folders)
        or bool(here.claims & lent.claims)
        or bool(here.kinds & lent.kinds)
    )


def overlap(one: str, other: str) -> bool:
    """Say whether one path of the node is the other, or lies above or below it; what is relative is not.

    ``/var/run`` is ``/run`` by a link nearly everywhere, and a folder of its own elsewhere: both count.
    """
    here, there = ("/" + path.lstrip("/") for path in (one, other))
    return _overlap(here, there) or _overlap(_without_var(here), _without_var(there))


def _overlap(one: str, other: str) -> bool:
    return lies_below(one, other) or lies_below(other, one)


def _without_var(path: str) -> str:
    plain = posixpath.normpath(path)
    return plain.removeprefix("/var") if lies_below(plain, "/var/run") else plain


def _secrets(value: Value, check: Callable[[], None]) -> Iterator[str]:
    """Every name of a Secret in a source: all members that name one say so in their own name."""
    for here in every(value, check=check):
        for name, member in here.items() if isinstance(here, dict) else ():
            named = member.get("name") if isinstance(member, dict) else member
            if "secret" in name.lower() and isinstance(named, str):
                yield named


def _projected(volume: Object) -> list[Object]:
    projected = volume.get("projected")
    return _entries(projected.get("sources")) if isinstance(projected, dict) else []


def _texts(entries: list[Object], kind: str, member: str) -> list[str]:
    sources = [entry.get(kind) for entry in entries]
    texts = [source.get(member) for source in sources if isinstance(source, dict)]
    return [text for text in texts if isinstance(text, str)]


def _entries(value: Value) -> list[Object]:
    """The objects of a list; what is none of them keeps its place, as an object that holds nothing."""
    return [entry if isinstance(entry, dict) else {} for entry in value] if isinstance(value, list) else []
