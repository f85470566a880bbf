"""ReplicaSet: keeps a number of identical pods running."""

from __future__ import annotations

from typing import Annotated

from apimachinery.meta import LabelSelector, Object
from apimachinery.model import MergeKey, Model, Time
from apimachinery.resource import Resource, Scale
from kubeapi._common import always
from kubeapi._podtemplate import PodTemplateSpec


class ReplicaSetSpec(Model):
    replicas: int = 1
    minReadySeconds: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = always()


class ReplicaSetCondition(Model):
    type: str = ""
    status: str = ""
    lastTransitionTime: Time | None = None
    reason: str | None = None
    message: str | None = None


class ReplicaSetStatus(Model):
    replicas: int = 0
    fullyLabeledReplicas: int | None = None
    readyReplicas: int | None = None
    availableReplicas: int | None = None
    terminatingReplicas: int | None = None
    observedGeneration: int | None = None
    conditions: Annotated[list[ReplicaSetCondition], MergeKey("type")] | None = None


class ReplicaSet(Object):
    spec: ReplicaSetSpec = always()
    status: ReplicaSetStatus = always()


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
