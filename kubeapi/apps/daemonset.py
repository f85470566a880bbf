"""DaemonSet: keeps one pod on each node that its template fits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, label_text
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector, StatusCondition
from apimachinery.model import Int32, Int64, IntOrString, MergeKey, Model, Required, to_dict
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.selectors import selector_of
from apimachinery.validation import Errors, Path, percent_of
from kubeapi.core._workload import WORKLOAD_WIDE, check_collisions, check_selector_kept, template_warnings
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.strategy.defaults import default_pod_spec
from kubeapi.core.pod.template import PodTemplateSpec
from kubeapi.core.pod.validation.pod import check_always_template

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""The annotation that counts the changes of the template, from 1."""
_STRATEGIES = ("RollingUpdate", "OnDelete")


class RollingUpdateDaemonSet(Model, protobuf="maxUnavailable maxSurge"):
    """The number of nodes that an update may concern at one time."""

    maxUnavailable: IntOrString | None = None
    """The number of nodes whose pod may be unavailable during the update, absolute or as a percentage, rounded up.
    Default: 1."""
    maxSurge: IntOrString | None = None
    """The number of nodes that may have a new pod beside the old one, absolute or as a percentage, rounded up.
    Default: 0."""


class DaemonSetUpdateStrategy(Model, protobuf="type rollingUpdate"):
    """The way in which new pods replace old ones."""

    type: str = "RollingUpdate"
    """RollingUpdate (the default) replaces pods node by node, OnDelete waits until someone deletes them."""
    rollingUpdate: RollingUpdateDaemonSet | None = None
    """The size of the steps."""


class DaemonSetSpec(Model, protobuf="selector template updateStrategy minReadySeconds - revisionHistoryLimit*"):
    """The desired state of a DaemonSet."""

    selector: Annotated[LabelSelector, Required()] | None = None
    """Selects the pods by labels, which the template must have. It can't be changed."""
    template: Annotated[PodTemplateSpec, Required()] = Field(default_factory=PodTemplateSpec)
    """The template of the pods. They run on each node that its node selector, affinity and tolerations allow."""
    updateStrategy: DaemonSetUpdateStrategy = Field(default_factory=DaemonSetUpdateStrategy)
    """How pods of an older template are replaced: node by node, or as someone deletes them."""
    minReadySeconds: Int32 | None = None
    """Seconds that a new pod must be ready before it counts as available. Default: 0."""
    revisionHistoryLimit: Int32 | None = 10
    """The number of old revisions that are kept for a rollback. Default: 10."""


class DaemonSetCondition(StatusCondition, protobuf="type status lastTransitionTime reason message"):
    """A condition of a DaemonSet."""

    type: str = ""
    """The aspect of the DaemonSet."""


class DaemonSetStatus(
    Model,
    protobuf="currentNumberScheduled numberMisscheduled desiredNumberScheduled numberReady observedGeneration "
    "updatedNumberScheduled numberAvailable numberUnavailable collisionCount* conditions",
):
    """The observed state of a DaemonSet."""

    currentNumberScheduled: Int32 = 0
    """The number of nodes that have a pod and should."""
    numberMisscheduled: Int32 = 0
    """The number of nodes that have a pod and should not."""
    desiredNumberScheduled: Int32 = 0
    """The number of nodes that should have a pod."""
    numberReady: Int32 = 0
    """The number of nodes that should have a pod and have a ready one."""
    observedGeneration: Int64 | None = None
    """The metadata.generation that the controller acted on last."""
    updatedNumberScheduled: Int32 | None = None
    """The number of nodes whose pod has the current template."""
    numberAvailable: Int32 | None = None
    """The number of nodes whose pod has been ready for minReadySeconds."""
    numberUnavailable: Int32 | None = None
    """The number of nodes that should have an available pod and have none."""
    collisionCount: Int32 | None = None
    """The number of times that the name of a new revision was taken. It is part of the next name."""
    conditions: Annotated[list[DaemonSetCondition], MergeKey("type")] | None = None
    """The conditions of the DaemonSet, one of each type."""


class DaemonSet(PodSpecHolder, protobuf="metadata spec status"):
    """Keeps one pod on each node that the template fits, and replaces the pods step by step when it changes."""

    spec: DaemonSetSpec = Field(default_factory=DaemonSetSpec)
    """The template of the pods and the way of their update."""
    status: DaemonSetStatus = Field(default_factory=DaemonSetStatus)
    """The number of nodes that should have a pod, and that have one."""


class DaemonSetStrategy(Strategy[DaemonSet]):
    """Source: Kubernetes documentation, "DaemonSet"."""

    def default(self, obj: DaemonSet) -> None:
        if TEMPLATE_GENERATION not in obj.annotations:
            _count_template(obj, 0)  # whoever writes the object owns the count, as if they had sent it
        spec = obj.spec
        default_pod_spec(spec.template.spec)
        if spec.updateStrategy.type == "RollingUpdate":
            rolling = spec.updateStrategy.rollingUpdate = spec.updateStrategy.rollingUpdate or RollingUpdateDaemonSet()
            if rolling.maxUnavailable is None:
                rolling.maxUnavailable = 1
            if rolling.maxSurge is None:
                rolling.maxSurge = 0
        if spec.revisionHistoryLimit is None:
            spec.revisionHistoryLimit = 10

    def prepare_create(self, obj: DaemonSet) -> None:
        _count_template(obj, 1)

    def prepare_update(self, obj: DaemonSet, old: DaemonSet) -> None:
        _count_template(obj, template_generation(old) + (obj.spec.template != old.spec.template))

    def prepare_status_update(self, obj: DaemonSet, old: DaemonSet) -> None:
        _count_template(obj, template_generation(old))

    def validate(self, obj: DaemonSet) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        at: Path = ("spec", "selector")
        errors.check_selector(at, spec.selector)
        template: Path = ("spec", "template")
        labels = spec.template.metadata.labels
        if not errors and (spec.selector is None or not selector_of(spec.selector).matches(labels or {})):
            message = "`selector` does not match template `labels`"
            errors.invalid((*template, "metadata", "labels"), labels, message)
        if spec.selector is not None and not spec.selector.matchLabels and not spec.selector.matchExpressions:
            errors.invalid(at, {}, "empty selector is invalid for daemonset")
        check_always_template(errors, template, spec.template, "DaemonSet")
        _check_strategy(errors, ("spec", "updateStrategy"), spec.updateStrategy)
        errors.check_not_negative(("spec", "minReadySeconds"), spec.minReadySeconds)
        errors.check_not_negative(("spec", "revisionHistoryLimit"), spec.revisionHistoryLimit)
        return errors

    def validate_update(self, obj: DaemonSet, old: DaemonSet) -> list[FieldError]:
        errors = Errors()
        check_selector_kept(errors, obj.spec.selector, old.spec.selector)
        return errors

    def validate_status_update(self, obj: DaemonSet, old: DaemonSet) -> list[FieldError]:
        errors, status = Errors(), obj.status
        for name in (
            "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
            "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable",
        ):  # fmt: skip
            errors.check_not_negative(("status", name), getattr(status, name))
        check_collisions(errors, status.collisionCount, old.status.collisionCount)
        return errors

    def create_warnings(self, obj: DaemonSet) -> list[str]:
        return template_warnings(obj.spec.template)

    def update_warnings(self, obj: DaemonSet, old: DaemonSet) -> list[str]:
        return template_warnings(obj.spec.template) if obj.spec != old.spec else []


def template_generation(daemon_set: DaemonSet) -> int:
    """Returns the count of the template's changes; 0 when it is not noted."""
    text = daemon_set.annotations.get(TEMPLATE_GENERATION, "")
    return int(text) if text.isdecimal() else 0


def _count_template(obj: DaemonSet, generation: int) -> None:
    obj.metadata.annotations = {**obj.annotations, TEMPLATE_GENERATION: str(generation)}


def _check_strategy(errors: Errors, path: Path, strategy: DaemonSetUpdateStrategy) -> None:
    if strategy.type not in _STRATEGIES:
        errors.not_supported(path, to_dict(strategy), _STRATEGIES)
    if strategy.type != "RollingUpdate":
        return
    at, rolling = (*path, "rollingUpdate"), strategy.rollingUpdate
    if rolling is None:
        errors.required(at)
        return
    unavailable, surge = rolling.maxUnavailable, rolling.maxSurge
    errors.check_int_or_percent((*at, "maxUnavailable"), unavailable)
    errors.check_int_or_percent((*at, "maxSurge"), surge)
    may_miss, may_exceed = _is_set(unavailable), _is_set(surge)
    if may_miss and may_exceed:
        errors.invalid((*at, "maxSurge"), surge, "may not be set when maxUnavailable is non-zero")
    if not may_miss and not may_exceed:
        errors.required((*at, "maxUnavailable"), "cannot be 0 when maxSurge is 0")
    errors.check_at_most_all((*at, "maxUnavailable"), unavailable)
    errors.check_at_most_all((*at, "maxSurge"), surge)


def _is_set(value: int | str | None) -> bool:
    return (percent_of(value) if isinstance(value, str) else value or 0) != 0


RESOURCE = Resource(
    kind="DaemonSet",
    plural="daemonsets",
    model=DaemonSet,
    group="apps",
    short_names=("ds",),
    categories=("all",),
    strategy=DaemonSetStrategy(),
    columns=(
        NAME,
        Column(
            "Desired",
            lambda obj, now: obj.status.desiredNumberScheduled,
            "The nodes that should have a pod.",
            "integer",
        ),
        Column(
            "Current",
            lambda obj, now: obj.status.currentNumberScheduled,
            "The nodes that have a pod and should.",
            "integer",
        ),
        Column("Ready", lambda obj, now: obj.status.numberReady, "The nodes whose pod is ready.", "integer"),
        Column(
            "Up-to-date",
            lambda obj, now: obj.status.updatedNumberScheduled or 0,
            "The nodes whose pod has the current template.",
            "integer",
        ),
        Column(
            "Available",
            lambda obj, now: obj.status.numberAvailable or 0,
            "The nodes whose pod has been ready for minReadySeconds.",
            "integer",
        ),
        Column(
            "Node Selector",
            lambda obj, now: label_text(obj.spec.template.spec.nodeSelector),
            "The node selector of the template.",
        ),
        AGE,
        *WORKLOAD_WIDE,
    ),
    status=True,
)
