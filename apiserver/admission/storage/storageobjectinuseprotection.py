"""StorageObjectInUseProtection: claims, volumes and VolumeAttributesClasses that are in use stay when they are deleted.

The finalizers are taken away by controllers, once nothing uses the object. Source: Kubernetes documentation,
"Persistent Volumes", "Storage Object in Use Protection".
"""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin
from kubeapi.core.persistentvolume import model as persistentvolume
from kubeapi.core.persistentvolumeclaim import model as persistentvolumeclaim
from kubeapi.storage import volumeattributesclass

_FINALIZERS = {
    "PersistentVolume": persistentvolume.PROTECTION_FINALIZER,
    "PersistentVolumeClaim": persistentvolumeclaim.PROTECTION_FINALIZER,
    "VolumeAttributesClass": volumeattributesclass.PROTECTION_FINALIZER,
}


def admit(attributes: Attributes, lookup: Lookup) -> None:
    meta, finalizer = attributes.obj.metadata, _FINALIZERS[attributes.resource.kind]
    if finalizer not in (meta.finalizers or ()):
        meta.finalizers = [*(meta.finalizers or ()), finalizer]


ADMISSION = Plugin(
    "StorageObjectInUseProtection",
    frozenset({CREATE}),
    frozenset({"persistentvolumes", "persistentvolumeclaims", "volumeattributesclasses.storage.k8s.io"}),
    mutate=admit,
)
