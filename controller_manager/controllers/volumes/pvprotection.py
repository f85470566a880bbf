"""Volume protection: a volume that is deleted stays as long as it is bound to a claim.

The server gives new volumes the finalizer; older ones get it here.
Source: Kubernetes documentation, "Storage Object in Use Protection".
"""

from __future__ import annotations

from controller_manager.writes import protect
from kubeapi.core.persistentvolume.model import BOUND, PROTECTION_FINALIZER, PersistentVolume
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own


class VolumeProtection:
    """Keys are volumes."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._volumes = context.informers.of(PersistentVolume)

    async def reconcile(self, key: str) -> Result:
        volume = self._volumes.get(key)
        if volume is not None:
            await protect(self._rest, volume, PROTECTION_FINALIZER, lambda: _is_bound(volume))
        return DONE


async def _is_bound(volume: PersistentVolume) -> bool:
    return volume.status.phase == BOUND


CONTROLLER = ControllerSpec(
    "persistentvolume-protection-controller",
    VolumeProtection,
    [own(PersistentVolume)],
    service_account="pv-protection-controller",
)
