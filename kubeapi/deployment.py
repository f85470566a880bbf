"""Deployment: rolls a template out through ReplicaSets, one per revision."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import LabelSelector
from apimachinery.model import MergeKey, Model, Replace, Time
from apimachinery.resource import Resource, Scale
from kubeapi._common import Int32, Int64, IntOrString
from kubeapi._podspec import PodSpecHolder
from kubeapi._podtemplate import PodTemplateSpec


class RollingUpdateDeployment(Model):
    maxUnavailable: IntOrString | None = None
    maxSurge: IntOrString | None = None


class DeploymentStrategy(Model):
    type: str = "RollingUpdate"
    rollingUpdate: RollingUpdateDeployment | None = None


class DeploymentSpec(Model):
    replicas: Int32 = 1
    selector: LabelSelector | None = None
    template: PodTemplateSpec = Field(default_factory=PodTemplateSpec)
    strategy: Annotated[DeploymentStrategy, Replace()] = Field(default_factory=DeploymentStrategy)
    minReadySeconds: Int32 | None = None
    revisionHistoryLimit: Int32 | None = 10
    paused: bool | None = None
    progressDeadlineSeconds: Int32 | None = 600


class DeploymentCondition(Model):
    type: str = ""
    status: str = ""
    lastUpdateTime: Time | None = None
    lastTransitionTime: Time | None = None
    reason: str | None = None
    message: str | None = None


class DeploymentStatus(Model):
    observedGeneration: Int64 | None = None
    replicas: Int32 | None = None
    updatedReplicas: Int32 | None = None
    readyReplicas: Int32 | None = None
    availableReplicas: Int32 | None = None
    unavailableReplicas: Int32 | None = None
    terminatingReplicas: Int32 | None = None
    conditions: Annotated[list[DeploymentCondition], MergeKey("type")] | None = None
    collisionCount: Int32 | None = None


class Deployment(PodSpecHolder):
    spec: DeploymentSpec = Field(default_factory=DeploymentSpec)
    status: DeploymentStatus = Field(default_factory=DeploymentStatus)


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
