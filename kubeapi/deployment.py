"""Deployment: rolls a template out through ReplicaSets, one per revision."""

from __future__ import annotations

from typing import Annotated

from apimachinery.meta import LabelSelector, Object
from apimachinery.model import IntOrString, MergeKey, Model, Replace, Time
from apimachinery.resource import Resource, Scale
from kubeapi._common import always
from kubeapi._podtemplate import PodTemplateSpec


class RollingUpdateDeployment(Model):
    maxUnavailable: IntOrString | None = None
    maxSurge: IntOrString | None = None


class DeploymentStrategy(Model):
    type: str = "RollingUpdate"
    rollingUpdate: RollingUpdateDeployment | None = None


class DeploymentSpec(Model):
    replicas: int = 1
    selector: LabelSelector | None = None
    template: PodTemplateSpec = always()
    strategy: Annotated[DeploymentStrategy, Replace()] = always()
    minReadySeconds: int | None = None
    revisionHistoryLimit: int | None = 10
    paused: bool | None = None
    progressDeadlineSeconds: int | None = 600


class DeploymentCondition(Model):
    type: str = ""
    status: str = ""
    lastUpdateTime: Time | None = None
    lastTransitionTime: Time | None = None
    reason: str | None = None
    message: str | None = None


class DeploymentStatus(Model):
    observedGeneration: int | None = None
    replicas: int | None = None
    updatedReplicas: int | None = None
    readyReplicas: int | None = None
    availableReplicas: int | None = None
    unavailableReplicas: int | None = None
    terminatingReplicas: int | None = None
    conditions: Annotated[list[DeploymentCondition], MergeKey("type")] | None = None
    collisionCount: int | None = None


class Deployment(Object):
    spec: DeploymentSpec = always()
    status: DeploymentStatus = always()


RESOURCE = Resource(
    kind="Deployment",
    plural="deployments",
    model=Deployment,
    group="apps",
    short_names=("deploy",),
    categories=("all",),
    status=True,
    scale=Scale(),
)
