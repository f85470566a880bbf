"""VolumeZone: puts a pod into the zone that its bound volumes are labelled with.

Source: Kubernetes, "Running in multiple zones", storage access for zones.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.events import NODE, Change, ClusterEvent
from scheduler.framework import SKIP, Cycle, Plugin, PluginSpec, Skip
from scheduler.plugins.volumes._claims import is_bound, pod_claims
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.persistentvolume import PersistentVolume
from scheduler.views.persistentvolumeclaim import PersistentVolumeClaim

ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
LABELS = {
    ZONE: ZONE,
    REGION: REGION,
    "failure-domain.beta.kubernetes.io/zone": ZONE,
    "failure-domain.beta.kubernetes.io/region": REGION,
}
"""Label of a volume -> the label that a node may have instead."""
SEPARATOR = "__"  # between the zones of a volume that has several

Zone = tuple[str, tuple[str, ...]]
"""(label, values)."""


class VolumeZone(Plugin):
    local = False
    counts_pods = False

    def pre_filter(self, cycle: Cycle) -> Skip | None:
        if cycle.storage is None:
            return SKIP
        claims = pod_claims(cycle, self.handle.lister)
        if not isinstance(claims, list):
            return SKIP  # VolumeBinding has refused the pod
        zones = [zone for claim in claims for zone in self._zones(claim)]
        if not zones:
            return SKIP
        cycle.state[self.name] = self._fitting(zones)
        return None

    def _zones(self, claim: PersistentVolumeClaim) -> list[Zone]:
        volume = self.handle.lister.get(PersistentVolume, claim.spec.volumeName or "") if is_bound(claim) else None
        labels = volume.labels if volume is not None else {}
        return [(label, tuple(labels[label].split(SEPARATOR))) for label in LABELS if label in labels]

    def _fitting(self, zones: list[Zone]) -> BoolArray:
        """Lets nodes without any of the labels pass: a cluster that isn't in zones has none."""
        rows = self.table.everything
        labelled = np.zeros(self.table.size, np.bool_)
        for label in LABELS:
            labelled |= self.table.label(label).ids[rows] >= 0
        fits = np.ones(self.table.size, np.bool_)
        for label, values in zones:
            column, other = self.table.label(label), self.table.label(LABELS[label])
            own = np.isin(column.ids[rows], column.numbers(values))
            instead = (column.ids[rows] < 0) & np.isin(other.ids[rows], other.numbers(values))
            fits &= own | instead
        passed: BoolArray = fits | ~labelled
        return passed

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        fits: BoolArray = cycle.state[self.name]
        passed: BoolArray = fits[rows]
        return passed

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) had no available volume zone": len(rows)}

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        obj = event.new or event.old
        return not isinstance(obj, PersistentVolumeClaim) or obj.namespace == shape.namespace


PLUGIN = PluginSpec(
    "VolumeZone",
    VolumeZone,
    order=73,
    requeue_on={
        NODE: Change.ADD | Change.LABELS,
        "PersistentVolumeClaim": Change.ADD | Change.SPEC,
        "PersistentVolume": Change.ADD | Change.LABELS | Change.SPEC,
    },
    reads=(PersistentVolumeClaim, PersistentVolume),
)
