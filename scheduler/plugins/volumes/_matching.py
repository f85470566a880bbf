"""Finds the volumes that suit a claim, and the nodes that they can be reached from.

Source: Kubernetes, "Persistent Volumes", binding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from apimachinery.quantity import byte_count
from kubeapi.core.persistentvolume.binding import refers_to, storage_capacity
from kubeapi.core.persistentvolume.matching import may_keep, may_take
from kubeapi.core.pod.scheduling.affinity import NodeSelectorTerm
from scheduler.plugins._nodeselection import term_matches
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
            if volume.status.phase == AVAILABLE and may_take(volume, claim):
                suitable.append(volume)
        elif refers_to(owner, claim) and may_keep(volume, claim):
            return [volume]
    return sorted(suitable, key=lambda volume: byte_count(storage_capacity(volume)))


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
