"""Persistent volume expander: tells of a claim that grows who has to make its volume larger.

No kind of volume is grown in here: that is for the provisioner or driver that made it.
Source: Kubernetes documentation, "Persistent Volumes", "Expanding Persistent Volumes Claims".
"""

from __future__ import annotations

from collections.abc import Iterable

from controller_manager.controllers.volumes._expansion import wants_to_grow
from kubeapi.core.persistentvolume.binding import PROVISIONED_BY, requested_storage
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch

WAITING = "waiting for an external controller to expand this PVC"
NOBODY = (
    "Ignoring the PVC: didn't find a plugin capable of expanding the volume; waiting for an external controller to "
    "process this PVC."
)


class VolumeExpander:
    """Keys are claims."""

    def __init__(self, context: ControllerContext) -> None:
        self._recorder = context.recorder
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._volumes = context.informers.of(PersistentVolume)

    def grown_claim(self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> Iterable[str]:
        """Wakes a claim whose request has changed."""
        if new is not None and (old is None or requested_storage(old) != requested_storage(new)):
            yield new.key

    async def reconcile(self, key: str) -> Result:
        claim = self._claims.get(key)
        volume = self._volumes.get(claim.spec.volumeName or "") if claim is not None else None
        if claim is None or volume is None or not wants_to_grow(claim):
            return DONE
        somebody = volume.spec.csi is not None or PROVISIONED_BY in volume.annotations
        if somebody:
            self._recorder.event(claim, "Normal", "ExternalExpanding", WAITING)
        else:
            self._recorder.event(claim, "Warning", "ExternalExpanding", NOBODY)
        return DONE


CONTROLLER = ControllerSpec(
    "persistentvolume-expander-controller",
    VolumeExpander,
    [Watch(PersistentVolumeClaim, VolumeExpander.grown_claim)],
    service_account="expand-controller",
    event_source="volume_expand",
)
