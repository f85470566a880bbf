"""VolumeRestrictions: keeps two pods from a claim that is for one pod, and from one disk on one node.

Source: Kubernetes, "Persistent Volumes", access modes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kubeapi.core.persistentvolumeclaim.model import READ_WRITE_ONCE_POD
from scheduler.events import ASSIGNED_POD, NODE, Change
from scheduler.framework import SKIP, Cycle, Plugin, PluginSpec, Rejected, Skip
from scheduler.plugins.volumes._claims import pod_claims
from scheduler.state.shape import IntArray
from scheduler.state.storage import PodStorage
from scheduler.state.table import BoolArray, Rows
from scheduler.views.persistentvolumeclaim import PersistentVolumeClaim

DISK_CONFLICT = "node(s) had no available disk"
POD_CONFLICT = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


class VolumeRestrictions(Plugin):
    local = False

    def pre_filter(self, cycle: Cycle) -> Skip | Rejected | None:
        storage = cycle.storage
        if storage is None:
            return SKIP
        claims = pod_claims(cycle, self.handle.lister)
        if isinstance(claims, Rejected):
            return claims
        single = {claim.key for claim in claims if READ_WRITE_ONCE_POD in (claim.spec.accessModes or ())}
        if not single and not storage.disks:
            return SKIP
        cycle.state[self.name] = self._refused(cycle.uid, storage, single)
        return None

    def _refused(self, uid: str, storage: PodStorage, single: set[str]) -> dict[str, BoolArray]:
        """Returns the refused rows by reason. A claim for one pod is in use whatever the node of that pod."""
        size = self.table.size
        refused = {DISK_CONFLICT: np.zeros(size, np.bool_), POD_CONFLICT: np.zeros(size, np.bool_)}
        for other_uid, other, used in self.handle.cache.with_storage():
            if other_uid == uid:
                continue
            if not single.isdisjoint(used.claim_keys):
                refused[POD_CONFLICT][:] = True
            row = self.table.rows.get(other.node)
            if row is not None and any(disk.conflicts(held) for disk in storage.disks for held in used.disks):
                refused[DISK_CONFLICT][row] = True
        return refused

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        refused: dict[str, BoolArray] = cycle.state[self.name]
        passed: BoolArray = ~(refused[DISK_CONFLICT][rows] | refused[POD_CONFLICT][rows])
        return passed

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        """Names the disk where both stand against a node."""
        refused: dict[str, BoolArray] = cycle.state[self.name]
        disks = int(np.count_nonzero(refused[DISK_CONFLICT][rows]))
        counts = {DISK_CONFLICT: disks, POD_CONFLICT: len(rows) - disks}
        return {reason: count for reason, count in counts.items() if count}


PLUGIN = PluginSpec(
    "VolumeRestrictions",
    VolumeRestrictions,
    order=70,
    requeue_on={
        ASSIGNED_POD: Change.DELETE,
        NODE: Change.ADD,
        "PersistentVolumeClaim": Change.ADD | Change.SPEC,
    },
    reads=(PersistentVolumeClaim,),
)
