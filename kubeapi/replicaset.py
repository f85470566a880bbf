"""ReplicaSet: keeps a number of identical pods running."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import LabelSelector
from apimachinery.model import MergeKey, Model, Time
from apimachinery.resource import Resource, Scale
from kubeapi._common import Int32, Int64
from kubeapi._podspec import PodSpecHolder
from kubeapi._podtemplate import PodTemplateSpec


class ReplicaSetSpec(Model):
    replicas: Int32 = 1
    minReadySeconds: Int32 | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = Field(default_factory=PodTemplateSpec)


class ReplicaSetCondition(Model):
    type: str = ""
    status: str = ""
    lastTransitionTime: Time | None = None
    reason: str | None = None
    message: str | None = None


class ReplicaSetStatus(Model):
    replicas: Int32 = 0
    fullyLabeledReplicas: Int32 | None = None
    readyReplicas: Int32 | None = None
    availableReplicas: Int32 | None = None
    terminatingReplicas: Int32 | None = None
    observedGeneration: Int64 | None = None
    conditions: Annotated[list[ReplicaSetCondition], MergeKey("type")] | None = None


class ReplicaSet(PodSpecHolder):
    spec: ReplicaSetSpec = Field(default_factory=ReplicaSetSpec)
    status: ReplicaSetStatus = Field(default_factory=ReplicaSetStatus)


RESOURCE = Resource(
    kind="ReplicaSet",
    plural="replicasets",
    model=ReplicaSet,
    group="apps",
    short_names=("rs",),
    categories=("all",),
    status=True,
    scale=Scale(),
)
