"""Volume protection: a volume that is deleted stays as long as it is bound to a claim.

The server gives new volumes the finalizer; older ones get it here.
Source: Kubernetes documentation, "Storage Object in Use Protection".
"""

from __future__ import annotations

from apimachinery.errors import NotFound
from kubeapi.core.persistentvolume.model import BOUND, PROTECTION_FINALIZER, PersistentVolume
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own


class VolumeProtection:
    """Keys are volumes."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._volumes = context.informers.of(PersistentVolume)

    async def reconcile(self, key: str) -> Result:
        volume = self._volumes.get(key)
        if volume is None:
            return DONE
        finalizers = volume.metadata.finalizers or []
        protected = PROTECTION_FINALIZER in finalizers
        deleted = volume.metadata.deletionTimestamp is not None
        if deleted and protected and volume.status.phase != BOUND:
            finalizers = [item for item in finalizers if item != PROTECTION_FINALIZER]
        elif not deleted and not protected:
            finalizers = [*finalizers, PROTECTION_FINALIZER]
        else:
            return DONE
        changed = volume.clone()
        changed.metadata.finalizers = finalizers or None
        try:
            await self._rest.update(changed)  # a claim that got it meanwhile makes this a conflict
        except NotFound:
            return DONE
        return DONE


CONTROLLER = ControllerSpec(
    "persistentvolume-protection-controller",
    VolumeProtection,
    [own(PersistentVolume)],
    service_account="pv-protection-controller",
)
