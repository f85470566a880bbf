"""Models who makes the volumes of a class, when, and where."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource


class TopologySelectorLabelRequirement(Model):
    key: str = ""
    values: list[str] | None = None


class TopologySelectorTerm(Model):
    matchLabelExpressions: list[TopologySelectorLabelRequirement] | None = None


class StorageClass(Object):
    provisioner: str = ""
    volumeBindingMode: str | None = "Immediate"
    allowedTopologies: list[TopologySelectorTerm] | None = None


RESOURCE = Resource(
    kind="StorageClass", plural="storageclasses", model=StorageClass, group="storage.k8s.io", namespaced=False
)
