"""Who owns whom, over all kinds, and what garbage collection does about one object. Pure.

Source: Kubernetes documentation, "Garbage Collection", "Owners and Dependents".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from apimachinery.meta import Object, OwnerReference

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(slots=True)
class Node:
    """An object, as little of it as ownership needs."""

    uid: str
    plural: str
    """With group and version, e.g. "apps/v1/replicasets": which informer holds it."""
    key: str
    namespaced: bool
    owners: tuple[OwnerReference, ...] = ()
    finalizers: frozenset[str] = frozenset()
    deleting: bool = False

    @property
    def waits_for_dependents(self) -> bool:
        return self.deleting and FOREGROUND in self.finalizers

    @property
    def orphans_dependents(self) -> bool:
        return self.deleting and ORPHAN in self.finalizers


def node_of(obj: Object, plural: str, namespaced: bool) -> Node:
    meta = obj.metadata
    return Node(
        uid=meta.uid or "",
        plural=plural,
        key=obj.key,
        namespaced=namespaced,
        owners=tuple(meta.ownerReferences or ()),
        finalizers=frozenset(meta.finalizers or ()),
        deleting=meta.deletionTimestamp is not None,
    )


class OwnerGraph:
    """All objects by uid, and the dependents of each owner, whether that owner is known or not."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._dependents: dict[str, set[str]] = {}

    def get(self, uid: str) -> Node | None:
        return self._nodes.get(uid)

    def __len__(self) -> int:
        return len(self._nodes)

    def put(self, node: Node) -> None:
        self._unlink(self._nodes.get(node.uid))
        self._nodes[node.uid] = node
        for ref in node.owners:
            self._dependents.setdefault(ref.uid, set()).add(node.uid)

    def remove(self, uid: str) -> None:
        self._unlink(self._nodes.pop(uid, None))

    def _unlink(self, node: Node | None) -> None:
        for ref in node.owners if node is not None else ():
            dependents = self._dependents.get(ref.uid)
            if dependents is not None:
                dependents.discard(node.uid)  # type: ignore[union-attr]
                if not dependents:
                    del self._dependents[ref.uid]

    def dependents(self, uid: str) -> list[Node]:
        return [self._nodes[dependent] for dependent in self._dependents.get(uid, ())]

    def blocking_dependents(self, uid: str) -> list[Node]:
        """Those that a foreground deletion of the owner waits for."""
        return [
            node
            for node in self.dependents(uid)
            if any(ref.uid == uid and ref.blockOwnerDeletion for ref in node.owners)
        ]


@dataclass(frozen=True)
class Owners:
    """An object's references, by what is known of the owner each names."""

    solid: list[OwnerReference] = field(default_factory=list)
    """The owner lives, or nothing certain is known of it."""
    waiting: list[OwnerReference] = field(default_factory=list)
    """The owner is in foreground deletion and waits for this object."""
    dangling: list[OwnerReference] = field(default_factory=list)
    """There is no such owner."""


@dataclass(frozen=True)
class Delete:
    """Delete the object with this propagation policy."""

    policy: str


@dataclass(frozen=True)
class DropOwners:
    """The object stays, without its references to these owners."""

    uids: tuple[str, ...]


@dataclass(frozen=True)
class Keep:
    """Nothing to do."""


Action = Delete | DropOwners | Keep


def decide(node: Node, owners: Owners, dependents: Iterable[Node]) -> Action:
    """What becomes of an object with owners that is not being deleted."""
    if not (owners.waiting or owners.dangling):
        return Keep()
    if owners.solid:
        return DropOwners(tuple(ref.uid for ref in owners.waiting + owners.dangling))
    if owners.waiting and any(True for _ in dependents):
        # Its own dependents block it in turn: the deletion goes down the tree leaf by leaf.
        return Delete("Foreground")
    if ORPHAN in node.finalizers:
        return Delete("Orphan")
    return Delete("Foreground" if FOREGROUND in node.finalizers else "Background")
