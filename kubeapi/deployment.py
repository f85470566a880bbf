"""Deployment: rolls a template out through ReplicaSets, one per revision."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector
from apimachinery.model import MergeKey, Model, RetainKeys, Time, to_dict
from apimachinery.resource import Column, Resource, Scale, Strategy
from kubeapi._columns import AGE, NAME
from kubeapi._common import Int32, Int64, IntOrString
from kubeapi._poddefaults import default_pod_spec
from kubeapi._podspec import PodSpecHolder
from kubeapi._podtemplate import PodTemplateSpec
from kubeapi._podwarnings import spec_warnings
from kubeapi._validation import IMMUTABLE, Errors
from kubeapi._workloadcolumns import WORKLOAD_WIDE


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
    strategy: Annotated[DeploymentStrategy, RetainKeys()] = Field(default_factory=DeploymentStrategy)
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


_DEFAULT_ROLL = "25%"


class DeploymentKindStrategy(Strategy[Deployment]):
    """Source: Kubernetes documentation, "Deployments"."""

    def default(self, obj: Deployment) -> None:
        spec = obj.spec
        default_pod_spec(spec.template.spec)
        spec.strategy.type = spec.strategy.type or "RollingUpdate"
        if spec.strategy.type == "RollingUpdate":
            rolling = spec.strategy.rollingUpdate = spec.strategy.rollingUpdate or RollingUpdateDeployment()
            if rolling.maxUnavailable is None:
                rolling.maxUnavailable = _DEFAULT_ROLL
            if rolling.maxSurge is None:
                rolling.maxSurge = _DEFAULT_ROLL
        if spec.revisionHistoryLimit is None:
            spec.revisionHistoryLimit = 10
        if spec.progressDeadlineSeconds is None:
            spec.progressDeadlineSeconds = 600

    def validate(self, obj: Deployment) -> list[FieldError]:
        from kubeapi._podvalidation import check_always_template
        from kubeapi._workloadvalidation import check_rolling_update, check_selector

        errors, spec = Errors(), obj.spec
        errors.check_not_negative(("spec", "replicas"), spec.replicas)
        check_selector(errors, spec.selector, spec.template, "deployment")
        check_always_template(errors, ("spec", "template"), spec.template, "Deployment")
        if spec.strategy.type == "Recreate":
            if spec.strategy.rollingUpdate is not None:
                text = "may not be specified when strategy `type` is 'Recreate'"
                errors.forbidden(("spec", "strategy", "rollingUpdate"), text)
        elif spec.strategy.type == "RollingUpdate":
            if spec.strategy.rollingUpdate is not None:
                rolling = spec.strategy.rollingUpdate
                check_rolling_update(
                    errors, ("spec", "strategy", "rollingUpdate"), rolling.maxUnavailable, rolling.maxSurge
                )
        else:
            errors.not_supported(("spec", "strategy", "type"), spec.strategy.type, ("Recreate", "RollingUpdate"))
        errors.check_not_negative(("spec", "minReadySeconds"), spec.minReadySeconds)
        errors.check_not_negative(("spec", "revisionHistoryLimit"), spec.revisionHistoryLimit)
        errors.check_not_negative(("spec", "progressDeadlineSeconds"), spec.progressDeadlineSeconds)
        deadline = spec.progressDeadlineSeconds
        if deadline is not None and deadline <= (spec.minReadySeconds or 0):
            errors.invalid(("spec", "progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds")
        return errors

    def validate_update(self, obj: Deployment, old: Deployment) -> list[FieldError]:
        errors = Errors()
        if obj.spec.selector != old.spec.selector:
            errors.invalid(("spec", "selector"), to_dict(obj.spec.selector or LabelSelector()), IMMUTABLE)
        return errors

    def validate_status_update(self, obj: Deployment, old: Deployment) -> list[FieldError]:
        from kubeapi._workloadvalidation import check_counts

        errors, status = Errors(), obj.status
        check_counts(errors, status, ("updatedReplicas", "readyReplicas", "availableReplicas"))
        errors.check_not_negative(("status", "unavailableReplicas"), status.unavailableReplicas)
        errors.check_not_negative(("status", "collisionCount"), status.collisionCount)
        if (status.collisionCount or 0) < (old.status.collisionCount or 0):
            errors.invalid(("status", "collisionCount"), status.collisionCount or 0, "cannot be decremented")
        return errors

    def create_warnings(self, obj: Deployment) -> list[str]:
        return spec_warnings(("spec", "template", "spec"), obj.spec.template.spec)


RESOURCE = Resource(
    kind="Deployment",
    plural="deployments",
    model=Deployment,
    group="apps",
    short_names=("deploy",),
    categories=("all",),
    strategy=DeploymentKindStrategy(),
    columns=(
        NAME,
        Column(
            "Ready",
            lambda obj, now: f"{obj.status.readyReplicas or 0}/{obj.spec.replicas}",
            description="The pods that are ready, of all that are wanted.",
        ),
        Column(
            "Up-to-date",
            lambda obj, now: obj.status.updatedReplicas or 0,
            "integer",
            description="The pods that have the current template.",
        ),
        Column(
            "Available",
            lambda obj, now: obj.status.availableReplicas or 0,
            "integer",
            description="The pods that have been ready for minReadySeconds.",
        ),
        AGE,
        *WORKLOAD_WIDE,
    ),
    status=True,
    scale=Scale(),
)
