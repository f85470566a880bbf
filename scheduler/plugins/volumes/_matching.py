"""Finds the volumes that suit a claim, and the nodes that they can be reached from.

Source: Kubernetes, "Persistent Volumes", binding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from apimachinery.quantity import byte_count
from apimachinery.selectors import selector_of
from kubeapi.core.pod.scheduling.affinity import NodeSelectorTerm
from scheduler.plugins._nodeselection import term_matches
from scheduler.plugins.volumes._claims import class_name
from scheduler.state.table import BoolArray, NodeTable
from scheduler.views.persistentvolume import ClaimReference, PersistentVolume
from scheduler.views.persistentvolumeclaim import PersistentVolumeClaim

AVAILABLE = "Available"


def candidates(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], reserved: Mapping[str, ClaimReference]
) -> list[PersistentVolume]:
    """Returns the volumes that suit the claim, the smallest first; one that is kept for this claim is the only one.

    `reserved`: volume name -> the claim that gets it, which the API doesn't say yet.
    """
    suitable = []
    for volume in volumes:
        owner = reserved.get(volume.name) or volume.spec.claimRef
        if owner is None:
            if volume.status.phase == AVAILABLE and _suits(volume, claim) and _holds(volume, claim):
                suitable.append(volume)
        elif is_owner(owner, claim) and _holds(volume, claim):
            return [volume]
    return sorted(suitable, key=lambda volume: storage_bytes(volume.spec.capacity))


def is_owner(reference: ClaimReference, claim: PersistentVolumeClaim) -> bool:
    """Tells whether the reference means this claim; without a uid it means any of the name."""
    if (reference.namespace, reference.name) != (claim.namespace, claim.name):
        return False
    return not reference.uid or reference.uid == claim.metadata.uid


def storage_bytes(amounts: Mapping[str, str] | None) -> int:
    return byte_count((amounts or {}).get("storage") or "0")


def _holds(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    if volume.metadata.deletionTimestamp is not None:
        return False
    if storage_bytes(volume.spec.capacity) < storage_bytes(claim.spec.resources.requests):
        return False
    return (volume.spec.volumeMode or "Filesystem") == (claim.spec.volumeMode or "Filesystem")


def _suits(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    if class_name(volume) != class_name(claim):
        return False
    if (volume.spec.volumeAttributesClassName or "") != (claim.spec.volumeAttributesClassName or ""):
        return False
    if claim.spec.selector is not None and not selector_of(claim.spec.selector).matches(volume.labels):
        return False
    return set(claim.spec.accessModes or ()) <= set(volume.spec.accessModes or ())


def volume_terms(volume: PersistentVolume) -> list[NodeSelectorTerm] | None:
    """Returns None for a volume that every node can reach."""
    required = volume.spec.nodeAffinity.required if volume.spec.nodeAffinity else None
    return required.nodeSelectorTerms if required is not None else None


def reachable(volume: PersistentVolume, table: NodeTable) -> BoolArray:
    """Returns the rows of the nodes that the volume can be reached from."""
    terms = volume_terms(volume)
    if terms is None:
        return np.ones(table.size, np.bool_)
    rows = np.zeros(table.size, np.bool_)
    for term in terms:
        rows |= term_matches(term, table, table.everything)
    return rows
