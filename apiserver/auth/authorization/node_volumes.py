"""Which claims volumes are bound to, with which Secrets, and which nodes objects belong to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apimachinery.model import decode
from apimachinery.resource import Resource
from apimachinery.splice import split_owners
from apiserver.auth.authorization.follower import Changes, Follower
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.interface import DELETED, Entry
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolume.references import volume_secrets
from kubeapi.core.persistentvolume.resource import RESOURCE as VOLUMES
from kubeapi.storage.volumeattachment import VolumeAttachment

Name = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class _Binding:
    claim: Name
    secrets: frozenset[Name]


class BoundVolumes(Follower):
    """The volumes that are bound to claims."""

    def __init__(self, storage: Changes) -> None:
        super().__init__(storage, VOLUMES)
        self._bindings: dict[str, _Binding] = {}
        self._by_secret: dict[Name, set[str]] = {}

    def claim(self, volume: str) -> Name | None:
        """Returns the claim that a volume is bound to."""
        self.follow()
        binding = self._bindings.get(volume)
        return binding.claim if binding is not None else None

    def claims_with_secret(self, secret: Name) -> set[Name]:
        """Returns the claims whose volumes name the Secret for their kubelet."""
        self.follow()
        return {self._bindings[volume].claim for volume in self._by_secret.get(secret, ())}

    def clear(self) -> None:
        self._bindings.clear()
        self._by_secret.clear()

    def take(self, change: TableChange) -> None:
        if change.previous is not None:
            self._remove(change.previous.name)
        if change.type != DELETED:
            self.put(change.entry)

    def put(self, entry: Entry) -> None:
        volume = _decoded(entry)
        claim = volume.spec.claimRef
        if claim is None:
            return
        secrets = volume_secrets(volume)
        self._bindings[volume.name] = _Binding((claim.namespace or "", claim.name or ""), secrets)
        for secret in secrets:
            self._by_secret.setdefault(secret, set()).add(volume.name)

    def _remove(self, name: str) -> None:
        binding = self._bindings.pop(name, None)
        for secret in binding.secrets if binding is not None else ():
            self._by_secret[secret].discard(name)
            if not self._by_secret[secret]:
                del self._by_secret[secret]


class NodeNames(Follower):
    """The node that each object of a kind belongs to, by the object's name. It can't be changed."""

    def __init__(self, storage: Changes, resource: Resource[Any], node: Callable[[Entry], str]) -> None:
        super().__init__(storage, resource)
        self._node = node
        self._nodes: dict[str, str] = {}

    def node(self, name: str) -> str | None:
        self.follow()
        return self._nodes.get(name)

    def clear(self) -> None:
        self._nodes.clear()

    def take(self, change: TableChange) -> None:
        if change.type == DELETED:
            self._nodes.pop(change.entry.name, None)
        elif change.previous is None:
            self.put(change.entry)

    def put(self, entry: Entry) -> None:
        self._nodes[entry.name] = self._node(entry)


def attached_node(entry: Entry) -> str:
    return decode(VolumeAttachment, split_owners(entry.value)[0]).spec.nodeName


def _decoded(entry: Entry) -> PersistentVolume:
    return decode(PersistentVolume, split_owners(entry.value)[0])
