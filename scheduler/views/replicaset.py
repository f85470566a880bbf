"""Models which pods a ReplicaSet is for: they are spread over nodes."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import LabelSelector, Object
from apimachinery.model import Model
from apimachinery.resource import Resource


class ReplicaSetSpec(Model):
    selector: LabelSelector | None = None


class ReplicaSet(Object):
    spec: ReplicaSetSpec = Field(default_factory=ReplicaSetSpec)


RESOURCE = Resource(kind="ReplicaSet", plural="replicasets", model=ReplicaSet, group="apps")
