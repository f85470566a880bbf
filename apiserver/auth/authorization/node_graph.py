"""Which objects the pods of each node use, followed from change to change of the watch cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from apimachinery.model import decode
from apimachinery.resource import Resource
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.interface import DELETED, Compacted, Entry
from apiserver.storage.splice import split_owners
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import CLAIM, CONFIG_MAP, SECRET, Reference, pod_references
from kubeapi.core.pod.resource import RESOURCE as PODS

SERVICE_ACCOUNT = "ServiceAccount"
KINDS = {
    "secrets": SECRET,
    "configmaps": CONFIG_MAP,
    "persistentvolumeclaims": CLAIM,
    "serviceaccounts": SERVICE_ACCOUNT,
}
NODE_NAME = "spec.nodeName"
NOT_LOADED = -1  # before every revision: the changes since then are never at hand
EPHEMERAL_CONTAINERS = b'"ephemeralContainers":'


class Changes(Protocol):
    """The part of `CachedStorage` that the graph follows."""

    def changed(self, resource: Resource[Any]) -> int: ...

    def changes(self, resource: Resource[Any], after: int) -> Iterable[TableChange]: ...

    def snapshot(self, resource: Resource[Any]) -> Iterable[Entry]: ...


class BoundPod:
    """A pod that is bound to a node, with its references once they have been asked for."""

    __slots__ = ("_references", "entry")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._references: frozenset[Reference] | None = None

    @property
    def references(self) -> frozenset[Reference]:
        if self._references is None:
            self._references = _references(decode(Pod, split_owners(self.entry.value)[0]))
        return self._references

    def change(self, entry: Entry) -> None:
        """Takes the pod's new state. Of all that names objects, only ephemeral containers are added to a pod later."""
        self.entry = entry
        if EPHEMERAL_CONTAINERS in entry.value:
            self._references = None


def _references(pod: Pod) -> frozenset[Reference]:
    """A mirror pod has none: its node has made it, and could name anything."""
    if MIRROR_ANNOTATION in pod.annotations:
        return frozenset()
    return pod_references(pod) | {(SERVICE_ACCOUNT, pod.spec.serviceAccountName or "")}


class NodeGraph:
    """The pods of all nodes. Each question first takes the changes of pods since the last one."""

    def __init__(self, storage: Changes) -> None:
        self._storage = storage
        self._revision = NOT_LOADED
        self._nodes: dict[str, dict[str, BoundPod]] = {}
        """By the node's name and the pod's key."""

    def uses(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Tells whether the object is a pod of the node, or one that such a pod refers to."""
        self._follow()
        pods = [pod for pod in self._nodes.get(node, {}).values() if pod.entry.namespace == namespace]
        if resource == PODS.plural:
            return any(pod.entry.name == name for pod in pods)
        reference = (KINDS.get(resource, ""), name)
        return any(reference in pod.references for pod in pods)

    def _follow(self) -> None:
        changed = self._storage.changed(PODS)
        if changed == self._revision:
            return
        try:
            for change in self._storage.changes(PODS, self._revision):
                self._take(change)
        except Compacted:
            self._nodes = {}
            for entry in self._storage.snapshot(PODS):
                self._put(entry)
        self._revision = changed

    def _take(self, change: TableChange) -> None:
        entry, previous = change.entry, change.previous
        before = previous.field(NODE_NAME) if previous is not None else ""
        if before and (change.type == DELETED or entry.field(NODE_NAME) != before):
            pods = self._nodes[before]
            del pods[entry.key]
            if not pods:
                del self._nodes[before]
        if change.type != DELETED:
            self._put(entry)

    def _put(self, entry: Entry) -> None:
        node = entry.field(NODE_NAME)
        if not node:
            return
        pods = self._nodes.setdefault(node, {})
        pod = pods.get(entry.key)
        if pod is None:
            pods[entry.key] = BoundPod(entry)
        else:
            pod.change(entry)
