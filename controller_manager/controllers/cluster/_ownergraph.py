"""Keeps the graph of owners over all kinds, and decides what garbage collection does about one object. Pure.

Source: Kubernetes documentation, "Garbage Collection", "Owners and Dependents".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from apimachinery.meta import Object, OwnerReference, split_key
from apimachinery.resource import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


def path_of(resource: Resource[Any]) -> str:
    """Names a resource as the graph does: "apps/v1/replicasets"."""
    return f"{resource.api_version}/{resource.plural}"


@dataclass(slots=True)
class Node:
    """Describes an object as far as ownership needs."""

    uid: str
    plural: str
    """Names the informer that holds it, as `path_of` does."""
    kind: tuple[str, str]
    """Group and kind, without the version: references may name another one."""
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


def node_of(obj: Object, resource: Resource[Any]) -> Node:
    meta = obj.metadata
    return Node(
        uid=meta.uid or "",
        plural=path_of(resource),
        kind=(resource.group, resource.kind),
        key=obj.key,
        namespaced=resource.namespaced,
        owners=tuple(meta.ownerReferences or ()),
        finalizers=frozenset(meta.finalizers or ()),
        deleting=meta.deletionTimestamp is not None,
    )


class OwnerGraph:
    """Finds all objects by uid, and the dependents of each owner, even of an owner that is unknown."""

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

    def is_blocked(self, uid: str) -> bool:
        """Tells whether a foreground deletion of the owner still waits for one of its dependents."""
        return any(
            ref.uid == uid and ref.blockOwnerDeletion
            for dependent in self._dependents.get(uid, ())
            for ref in self._nodes[dependent].owners
        )

    def owner_of(self, node: Node, ref: OwnerReference) -> Node | None:
        """Returns the owner that a reference means, if it is known: uid, kind, name and scope must all fit."""
        owner = self._nodes.get(ref.uid)
        if owner is None or owner.kind != (ref.apiVersion.rpartition("/")[0], ref.kind):
            return None
        namespace, name = split_key(owner.key)
        fits = name == ref.name and (not owner.namespaced or namespace == split_key(node.key)[0])
        return owner if fits else None

    def unreachable_owners(self, node: Node) -> list[OwnerReference]:
        """Lists the references to objects that are known, but in a namespace where the node's owners can't be."""
        namespace = split_key(node.key)[0]
        owners = ((ref, self._nodes.get(ref.uid)) for ref in node.owners)
        return [
            ref
            for ref, owner in owners
            if owner is not None and owner.namespaced and split_key(owner.key)[0] != namespace
        ]

    def of_resource(self, plural: str) -> list[Node]:
        return [node for node in self._nodes.values() if node.plural == plural]


@dataclass(frozen=True)
class Owners:
    """Sorts an object's references by what is known of the owner that each names."""

    solid: list[OwnerReference] = field(default_factory=list)
    """The owner lives, or nothing certain is known of it."""
    waiting: list[OwnerReference] = field(default_factory=list)
    """The owner is in foreground deletion and waits for this object."""
    dangling: list[OwnerReference] = field(default_factory=list)
    """The owner does not exist."""


@dataclass(frozen=True)
class Delete:
    """Delete the object with this propagation policy; before, `unblock` its owners: it is part of a circle."""

    policy: str
    unblock: bool = False


@dataclass(frozen=True)
class DropOwners:
    """Keep the object, but drop its references to these owners."""

    uids: tuple[str, ...]


@dataclass(frozen=True)
class Keep:
    """Leave the object as it is."""


Action = Delete | DropOwners | Keep


def decide(node: Node, owners: Owners, dependents: Iterable[Node]) -> Action:
    """Decides about an object that has owners and is not being deleted."""
    if not (owners.waiting or owners.dangling):
        return Keep()
    if owners.solid:
        return DropOwners(tuple(ref.uid for ref in owners.waiting + owners.dangling))
    dependents = list(dependents)
    if owners.waiting and dependents:
        # Its own dependents block it in turn: the deletion goes down the tree leaf by leaf.
        return Delete("Foreground", unblock=any(each.waits_for_dependents for each in dependents))
    if ORPHAN in node.finalizers:
        return Delete("Orphan")
    return Delete("Foreground" if FOREGROUND in node.finalizers else "Background")
