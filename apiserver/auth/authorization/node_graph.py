"""Which objects the pods of each node use."""

from __future__ import annotations

from apimachinery.model import decode
from apimachinery.splice import split_owners
from apiserver.auth.authorization.follower import Changes, Follower
from apiserver.auth.authorization.node_volumes import BoundVolumes, Name, NodeNames, attached_node
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.interface import DELETED, Entry
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import CLAIM, CONFIG_MAP, RESOURCE_CLAIM, SECRET, pod_references
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.resource.resourceslice import RESOURCE as SLICES
from kubeapi.storage.volumeattachment import RESOURCE as ATTACHMENTS

POD, SERVICE_ACCOUNT = "Pod", "ServiceAccount"
KINDS = {
    "pods": POD,
    "secrets": SECRET,
    "configmaps": CONFIG_MAP,
    "persistentvolumeclaims": CLAIM,
    "resourceclaims": RESOURCE_CLAIM,
    "serviceaccounts": SERVICE_ACCOUNT,
}
NODE_NAME = "spec.nodeName"
LATE_REFERENCES = (b'"ephemeralContainers":', b'"resourceClaimStatuses":')
"""The parts of a pod that name objects and may be added to it later."""


Used = tuple[str, str, str]
"""Namespace, kind and name of an object."""


class NodePods:
    """The pods of one node, and what they refer to once that has been asked for."""

    __slots__ = ("_entries", "_references", "_used")

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._references: dict[str, frozenset[Used]] = {}
        self._used: frozenset[Used] | None = None

    def __bool__(self) -> bool:
        return bool(self._entries)

    def put(self, entry: Entry) -> None:
        """Takes the state of a pod. What it refers to is worked out again only if that may have changed."""
        if entry.key not in self._entries or any(part in entry.value for part in LATE_REFERENCES):
            self._forget(entry.key)
        self._entries[entry.key] = entry

    def remove(self, key: str) -> None:
        self._forget(key)
        self._entries.pop(key, None)

    def uses(self, used: Used) -> bool:
        if self._used is None:
            for key, entry in self._entries.items():
                if key not in self._references:
                    self._references[key] = _references(decode(Pod, split_owners(entry.value)[0]))
            self._used = frozenset().union(*self._references.values())
        return used in self._used

    def _forget(self, key: str) -> None:
        self._used = None
        self._references.pop(key, None)


def _references(pod: Pod) -> frozenset[Used]:
    """Returns the pod itself and what it refers to; the pod alone for a mirror pod, whose node could name anything."""
    own = {(pod.namespace, POD, pod.name)}
    if MIRROR_ANNOTATION in pod.annotations:
        return frozenset(own)
    references = {*pod_references(pod), (SERVICE_ACCOUNT, pod.spec.serviceAccountName or "")}
    return frozenset(own | {(pod.namespace, kind, name) for kind, name in references})


class PodsOfNodes(Follower):
    """The pods of all nodes."""

    def __init__(self, storage: Changes) -> None:
        super().__init__(storage, PODS)
        self._nodes: dict[str, NodePods] = {}

    def uses(self, node: str, used: Used) -> bool:
        """Tells whether the object is a pod of the node, or one that such a pod refers to."""
        self.follow()
        pods = self._nodes.get(node)
        return pods is not None and pods.uses(used)

    def clear(self) -> None:
        self._nodes = {}

    def take(self, change: TableChange) -> None:
        entry, previous = change.entry, change.previous
        before = previous.field(NODE_NAME) if previous is not None else ""
        if before and (change.type == DELETED or entry.field(NODE_NAME) != before):
            pods = self._nodes[before]
            pods.remove(entry.key)
            if not pods:
                del self._nodes[before]
        if change.type != DELETED:
            self.put(entry)

    def put(self, entry: Entry) -> None:
        if node := entry.field(NODE_NAME):
            self._nodes.setdefault(node, NodePods()).put(entry)


class NodeGraph:
    """What a node has to do with: its pods, what they refer to, the volumes of their claims with their Secrets, what is
    attached to the node, and the devices that its drivers publish."""

    def __init__(self, storage: Changes) -> None:
        self._pods = PodsOfNodes(storage)
        self._volumes = BoundVolumes(storage)
        self._own = {
            "volumeattachments": NodeNames(storage, ATTACHMENTS, attached_node),
            "resourceslices": NodeNames(storage, SLICES, lambda entry: entry.field(NODE_NAME)),
        }

    def uses(self, node: str, resource: str, namespace: str, name: str) -> bool:
        if resource == "persistentvolumes":
            claim = self._volumes.claim(name)
            return claim is not None and self._has_claim(node, claim)
        if resource in self._own:
            return self._own[resource].node(name) == node
        if self._pods.uses(node, (namespace, KINDS.get(resource, ""), name)):
            return True
        claims = self._volumes.claims_with_secret((namespace, name)) if resource == "secrets" else ()
        return any(self._has_claim(node, claim) for claim in claims)

    def _has_claim(self, node: str, claim: Name) -> bool:
        return self._pods.uses(node, (claim[0], CLAIM, claim[1]))
