"""NodeVolumeLimits: gives a node no more volumes of a driver than the driver can attach there.

Source: Kubernetes, "Node-specific Volume Limits".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from scheduler.events import ASSIGNED_POD, Change
from scheduler.framework import SKIP, Cycle, Plugin, PluginSpec, Skip
from scheduler.plugins.volumes._claims import class_of
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, Rows
from scheduler.views.csinode import CSINode
from scheduler.views.persistentvolume import PersistentVolume
from scheduler.views.persistentvolumeclaim import PersistentVolumeClaim
from scheduler.views.storageclass import StorageClass
from scheduler.views.volumeattachment import VolumeAttachment

DriverVolume = tuple[str, str]
"""(driver, the volume's id with it); a claim without a volume yet counts by its own name."""


class NodeVolumeLimits(Plugin):
    local = False

    def pre_filter(self, cycle: Cycle) -> Skip | None:
        if cycle.storage is None or not cycle.storage.claims:
            return SKIP
        volumes = set(self._volumes(cycle.storage.claim_keys))
        if not volumes:
            return SKIP
        limits = self._limits({driver for driver, _ in volumes})
        if not limits:
            return SKIP
        cycle.state[self.name] = self._roomy(cycle.uid, volumes, limits)
        return None

    def _volumes(self, claim_keys: Iterable[str]) -> Iterator[DriverVolume]:
        """Yields the volumes of drivers among what these claims have, or will get from a provisioner."""
        lister = self.handle.lister
        for key in claim_keys:
            claim = lister.get(PersistentVolumeClaim, key)
            if claim is None:
                continue
            if claim.spec.volumeName:
                volume = lister.get(PersistentVolume, claim.spec.volumeName)
                if volume is not None and volume.spec.csi is not None:
                    yield volume.spec.csi.driver, volume.spec.csi.volumeHandle
            elif (storage_class := class_of(claim, lister)) is not None:
                yield storage_class.provisioner, f"{storage_class.provisioner}-{key}"

    def _roomy(self, uid: str, volumes: set[DriverVolume], limits: dict[str, dict[str, int]]) -> BoolArray:
        """Looks at those nodes alone that have a limit for one of the drivers."""
        roomy = np.ones(self.table.size, np.bool_)
        attached = self._attached(uid, limits.keys())
        for node, node_limits in limits.items():
            row = self.table.rows.get(node)
            if row is None:
                continue
            for driver, limit in node_limits.items():
                there = {volume for volume in attached[node] if volume[0] == driver}
                new = {volume for volume in volumes if volume[0] == driver} - there
                if new and len(there) + len(new) > limit:
                    roomy[row] = False
        return roomy

    def _limits(self, drivers: set[str]) -> dict[str, dict[str, int]]:
        """Returns node -> driver -> how many volumes it takes."""
        limits: dict[str, dict[str, int]] = {}
        for node in self.handle.lister.list(CSINode):
            for driver in node.spec.drivers or ():
                if driver.name in drivers and driver.allocatable is not None and driver.allocatable.count is not None:
                    limits.setdefault(node.name, {})[driver.name] = driver.allocatable.count
        return limits

    def _attached(self, uid: str, nodes: Iterable[str]) -> defaultdict[str, set[DriverVolume]]:
        """Returns the volumes that pods on these nodes use, and those that are attached there for other reasons."""
        attached: defaultdict[str, set[DriverVolume]] = defaultdict(set)
        wanted = set(nodes)
        for other_uid, pod, storage in self.handle.cache.with_storage():
            if other_uid != uid and pod.node in wanted:
                attached[pod.node].update(self._volumes(storage.claim_keys))
        for item in self.handle.lister.list(VolumeAttachment):
            if item.spec.nodeName in wanted:
                volume = self.handle.lister.get(PersistentVolume, item.spec.source.persistentVolumeName or "")
                if volume is not None and volume.spec.csi is not None:
                    attached[item.spec.nodeName].add((volume.spec.csi.driver, volume.spec.csi.volumeHandle))
        return attached

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        roomy: BoolArray = cycle.state[self.name]
        passed: BoolArray = roomy[rows]
        return passed

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) exceed max volume count": len(rows)}


PLUGIN = PluginSpec(
    "NodeVolumeLimits",
    NodeVolumeLimits,
    order=71,
    requeue_on={
        ASSIGNED_POD: Change.DELETE,
        "CSINode": Change.ADD | Change.SPEC,
        "PersistentVolumeClaim": Change.ADD | Change.SPEC,
        "VolumeAttachment": Change.DELETE,
    },
    reads=(CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment),
)
