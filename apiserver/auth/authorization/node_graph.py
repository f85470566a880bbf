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
from kubeapi.core.pod.references import CLAIM, CONFIG_MAP, SECRET, pod_references
from kubeapi.core.pod.resource import RESOURCE as PODS

POD, SERVICE_ACCOUNT = "Pod", "ServiceAccount"
KINDS = {
    "pods": POD,
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
        """Takes the state of a pod. Of all that names objects, only ephemeral containers are added to a pod later."""
        if entry.key not in self._entries or EPHEMERAL_CONTAINERS in entry.value:
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


class NodeGraph:
    """The pods of all nodes. Each question first takes the changes of pods since the last one."""

    def __init__(self, storage: Changes) -> None:
        self._storage = storage
        self._revision = NOT_LOADED
        self._nodes: dict[str, NodePods] = {}

    def uses(self, node: str, resource: str, namespace: str, name: str) -> bool:
        """Tells whether the object is a pod of the node, or one that such a pod refers to."""
        self._follow()
        pods = self._nodes.get(node)
        return pods is not None and pods.uses((namespace, KINDS.get(resource, ""), name))

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
            pods.remove(entry.key)
            if not pods:
                del self._nodes[before]
        if change.type != DELETED:
            self._put(entry)

    def _put(self, entry: Entry) -> None:
        if node := entry.field(NODE_NAME):
            self._nodes.setdefault(node, NodePods()).put(entry)
