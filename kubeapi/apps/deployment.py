"""Deployment: rolls a template out through ReplicaSets, one per revision."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector, StatusCondition
from apimachinery.model import Int32, Int64, IntOrString, MergeKey, Model, OneOf, Required, RetainKeys, Time, to_dict
from apimachinery.resource import Column, Resource, Scale, Strategy
from apimachinery.validation import Errors
from kubeapi.core._workload import (
    READY,
    WORKLOAD_WIDE,
    check_collisions,
    check_counts,
    check_rolling_update,
    check_selected_template,
    check_selector_kept,
    name_warnings,
    template_warnings,
)
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.strategy.defaults import default_pod_spec
from kubeapi.core.pod.template import PodTemplateSpec


class RollingUpdateDeployment(Model, protobuf="maxUnavailable maxSurge"):
    """The number of pods that may be missing or surplus during a rolling update."""

    maxUnavailable: IntOrString | None = None
    """The number of pods that may be unavailable during the update, absolute or as a percentage, rounded down. Default:
    25%."""
    maxSurge: IntOrString | None = None
    """The number of pods that may exist beyond `replicas`, absolute or as a percentage, rounded up. Default: 25%."""


class DeploymentStrategy(Model, protobuf="type rollingUpdate"):
    """The way in which new pods replace old ones."""

    type: Annotated[str, OneOf("RollingUpdate", "Recreate")] = "RollingUpdate"
    """RollingUpdate (the default) replaces the pods step by step, Recreate deletes all of them first."""
    rollingUpdate: RollingUpdateDeployment | None = None
    """The size of the steps."""


class DeploymentSpec(
    Model,
    protobuf="replicas* selector template strategy minReadySeconds revisionHistoryLimit* paused - "
    "progressDeadlineSeconds*",
):
    """The desired state of a Deployment."""

    replicas: Int32 = 1
    """The desired number of pods. Default: 1."""
    selector: Annotated[LabelSelector, Required()] | None = None
    """Selects the pods by labels, which the template must have. It can't be changed."""
    template: Annotated[PodTemplateSpec, Required()] = Field(default_factory=PodTemplateSpec)
    """The template of the pods. A change starts a rollout."""
    strategy: Annotated[DeploymentStrategy, RetainKeys()] = Field(default_factory=DeploymentStrategy)
    """The way in which pods of an older template are replaced."""
    minReadySeconds: Int32 | None = None
    """Seconds that a new pod must be ready before it counts as available. Default: 0."""
    revisionHistoryLimit: Int32 | None = 10
    """The number of old ReplicaSets that are kept for a rollback. Default: 10."""
    paused: bool | None = None
    """Whether changes of the template wait until this is false again. Default: false."""
    progressDeadlineSeconds: Int32 | None = 600
    """Seconds without progress after which the conditions report a rollout as failed. Default: 600."""


class DeploymentCondition(StatusCondition, protobuf="type status - reason message lastUpdateTime lastTransitionTime"):
    """A condition of a Deployment."""

    type: str = ""
    """The aspect of the Deployment: Available, Progressing or ReplicaFailure."""
    lastUpdateTime: Annotated[Time, NullIfEmpty()] = ""
    """The time of the last observation."""


class DeploymentStatus(
    Model,
    protobuf="observedGeneration replicas updatedReplicas availableReplicas unavailableReplicas conditions "
    "readyReplicas collisionCount* terminatingReplicas*",
):
    """The observed state of a Deployment."""

    observedGeneration: Int64 | None = None
    """The metadata.generation that the controller acted on last."""
    replicas: Int32 | None = None
    """The number of pods, of the newest and of older templates."""
    updatedReplicas: Int32 | None = None
    """The number of pods of the newest template."""
    readyReplicas: Int32 | None = None
    """The number of ready pods."""
    availableReplicas: Int32 | None = None
    """The number of pods that have been ready for minReadySeconds."""
    unavailableReplicas: Int32 | None = None
    """The number of available pods that are missing."""
    terminatingReplicas: Int32 | None = None
    """The number of pods that are terminating."""
    conditions: Annotated[list[DeploymentCondition], MergeKey("type")] | None = None
    """The conditions of the Deployment, one of each type."""
    collisionCount: Int32 | None = None
    """The number of times that the name of a new ReplicaSet was taken. It is part of the next name."""


class Deployment(PodSpecHolder, protobuf="metadata spec status"):
    """Keeps a number of equal pods running and replaces them step by step when their template changes."""

    spec: DeploymentSpec = Field(default_factory=DeploymentSpec)
    """The desired number of pods and their template."""
    status: DeploymentStatus = Field(default_factory=DeploymentStatus)
    """The number of existing pods, and the progress of a rollout."""


_DEFAULT_ROLL = "25%"


class DeploymentKindStrategy(Strategy[Deployment]):
    """Source: Kubernetes documentation, "Deployments"."""

    kept_by_status = ("ownerReferences", "labels")

    def default(self, obj: Deployment) -> None:
        spec = obj.spec
        default_pod_spec(spec.template.spec)
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
        errors, spec = Errors(), obj.spec
        errors.check_not_negative(("spec", "replicas"), spec.replicas)
        check_selected_template(errors, spec.selector, spec.template, "deployment")
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
            errors.not_supported(("spec", "strategy"), to_dict(spec.strategy), ("Recreate", "RollingUpdate"))
        errors.check_not_negative(("spec", "minReadySeconds"), spec.minReadySeconds)
        errors.check_not_negative(("spec", "revisionHistoryLimit"), spec.revisionHistoryLimit)
        errors.check_not_negative(("spec", "progressDeadlineSeconds"), spec.progressDeadlineSeconds)
        deadline = spec.progressDeadlineSeconds
        if deadline is not None and deadline <= (spec.minReadySeconds or 0):
            errors.invalid(("spec", "progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds")
        return errors

    def validate_update(self, obj: Deployment, old: Deployment) -> list[FieldError]:
        errors = Errors()
        check_selector_kept(errors, obj.spec.selector, old.spec.selector)
        return errors

    def validate_status_update(self, obj: Deployment, old: Deployment) -> list[FieldError]:
        errors, status = Errors(), obj.status
        check_counts(errors, status, ("updatedReplicas", "readyReplicas", "availableReplicas"))
        errors.check_not_negative(("status", "unavailableReplicas"), status.unavailableReplicas)
        check_collisions(errors, status.collisionCount, old.status.collisionCount)
        return errors

    def create_warnings(self, obj: Deployment) -> list[str]:
        return name_warnings(obj.name) + template_warnings(obj.spec.template)

    def update_warnings(self, obj: Deployment, old: Deployment) -> list[str]:
        return template_warnings(obj.spec.template) if obj.spec != old.spec else []


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
        READY,
        Column(
            "Up-to-date", lambda obj, now: obj.status.updatedReplicas or 0, "The pods that have the current template."
        ),
        Column(
            "Available",
            lambda obj, now: obj.status.availableReplicas or 0,
            "The pods that have been ready for minReadySeconds.",
        ),
        AGE,
        *WORKLOAD_WIDE,
    ),
    status=True,
    scale=Scale(),
)
