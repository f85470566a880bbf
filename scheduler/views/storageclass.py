"""Models who makes the volumes of a class, when, and where."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.resource import Resource
from kubeapi.core.pod.scheduling.affinity import TopologySelectorTerm


class StorageClass(Object):
    provisioner: str = ""
    volumeBindingMode: str | None = "Immediate"
    allowedTopologies: list[TopologySelectorTerm] | None = None


RESOURCE = Resource(
    kind="StorageClass", plural="storageclasses", model=StorageClass, group="storage.k8s.io", namespaced=False
)
