"""Attributes class protection: a VolumeAttributesClass that is deleted stays while a volume or claim refers to it.

The server gives new classes the finalizer; older ones get it here.
Source: Kubernetes documentation, "Volume Attributes Classes".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller_manager.writes import protect
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.storage.volumeattributesclass import PROTECTION_FINALIZER, VolumeAttributesClass
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, maps, own


def classes_of(user: PersistentVolume | PersistentVolumeClaim) -> Iterator[str]:
    """Yields the classes that a volume has, or that a claim has, wants, or is being changed to."""
    names = [user.spec.volumeAttributesClassName]
    if isinstance(user, PersistentVolumeClaim):
        names.append(user.status.currentVolumeAttributesClassName)
        change = user.status.modifyVolumeStatus
        names.append(change.targetVolumeAttributesClassName if change is not None else None)
    yield from filter(None, names)


class AttributesClassProtection:
    """Keys are classes."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._classes = context.informers.of(VolumeAttributesClass)
        self._volumes = context.informers.of(PersistentVolume)
        self._claims = context.informers.of(PersistentVolumeClaim)

    async def reconcile(self, key: str) -> Result:
        attributes_class = self._classes.get(key)
        if attributes_class is not None:
            await protect(self._rest, attributes_class, PROTECTION_FINALIZER, lambda: self._is_in_use(key))
        return DONE

    async def _is_in_use(self, name: str) -> bool:
        """Asks the server before it says no: the caches may not know the newest user."""
        if _is_among(name, self._volumes.list()) or _is_among(name, self._claims.list()):
            return True
        volumes = await self._rest.list(PersistentVolume)
        return _is_among(name, volumes.items) or _is_among(name, (await self._rest.list(PersistentVolumeClaim)).items)


def _is_among(name: str, users: Iterable[PersistentVolume | PersistentVolumeClaim]) -> bool:
    return any(name in classes_of(user) for user in users)


CONTROLLER = ControllerSpec(
    "volumeattributesclass-protection-controller",
    AttributesClassProtection,
    [own(VolumeAttributesClass), maps(PersistentVolume, classes_of), maps(PersistentVolumeClaim, classes_of)],
)
