"""ReplicationController: keeps a number of identical pods running; what ReplicaSets were before they were."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, label_text
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector
from apimachinery.model import Atomic, Int32, Int64, MergeKey, Model, Time
from apimachinery.resource import Column, Resource, Scale, Strategy
from apimachinery.selectors import selector_of
from apimachinery.validation import Errors
from kubeapi.core._workload import check_counts
from kubeapi.core.pod.defaults import default_pod_spec
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.template import PodTemplateSpec
from kubeapi.core.pod.validation.pod import check_always_template
from kubeapi.core.pod.warnings import spec_warnings


class ReplicationControllerSpec(Model, protobuf="replicas* selector template minReadySeconds"):
    """How many pods there shall be, and how they are made."""

    replicas: Int32 | None = None
    """How many pods there shall be; 1 when absent."""
    minReadySeconds: Int32 | None = None
    """How many seconds a new pod must be ready without a container failing to count as available."""
    selector: Annotated[dict[str, str], Atomic()] | None = None
    """Labels that all pods to be counted have; the template's labels when absent."""
    template: PodTemplateSpec | None = None
    """What missing pods are made from."""


class ReplicationControllerCondition(Model, protobuf="type status lastTransitionTime reason message"):
    """One aspect of the controller's state."""

    type: str = ""
    """Which aspect: `ReplicaFailure` says that pods could not be made or deleted."""
    status: str = ""
    """`True`, `False` or `Unknown`."""
    lastTransitionTime: Time | None = None
    """When `status` changed the last time."""
    reason: str | None = None
    """The cause of the last change, in one word."""
    message: str | None = None
    """The same for people."""


class ReplicationControllerStatus(
    Model,
    protobuf="replicas fullyLabeledReplicas observedGeneration readyReplicas availableReplicas conditions",
):
    """How many pods there are, as last seen by the controller."""

    replicas: Int32 = 0
    """How many pods there are."""
    fullyLabeledReplicas: Int32 | None = None
    """How many of them have all labels of the template."""
    readyReplicas: Int32 | None = None
    """How many of them are ready."""
    availableReplicas: Int32 | None = None
    """How many of them have been ready for `minReadySeconds`."""
    observedGeneration: Int64 | None = None
    """The generation of the spec that this status tells about."""
    conditions: Annotated[list[ReplicationControllerCondition], MergeKey("type")] | None = None
    """Aspects of the state, one of each type."""


class ReplicationController(PodSpecHolder, protobuf="metadata spec status"):
    """Makes and deletes pods so that as many run as its spec says."""

    spec: ReplicationControllerSpec = Field(default_factory=ReplicationControllerSpec)
    """What is wanted."""
    status: ReplicationControllerStatus = Field(default_factory=ReplicationControllerStatus)
    """What there is; written by the controller."""


class ReplicationControllerStrategy(Strategy[ReplicationController]):
    """Source: Kubernetes documentation, "ReplicationController"."""

    def default(self, obj: ReplicationController) -> None:
        spec = obj.spec
        if spec.replicas is None:
            spec.replicas = 1
        if spec.template is None:
            return
        default_pod_spec(spec.template.spec)
        if labels := spec.template.metadata.labels:
            spec.selector = spec.selector or dict(labels)
            obj.metadata.labels = obj.metadata.labels or dict(labels)

    def validate(self, obj: ReplicationController) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        errors.check_not_negative(("spec", "minReadySeconds"), spec.minReadySeconds)
        if not spec.selector:
            errors.required(("spec", "selector"))
        errors.check_not_negative(("spec", "replicas"), spec.replicas)
        if spec.template is None:
            errors.required(("spec", "template"))
            return errors
        labels = spec.template.metadata.labels or {}
        if spec.selector and not selector_of(LabelSelector(matchLabels=spec.selector)).matches(labels):
            at = ("spec", "template", "metadata", "labels")
            errors.invalid(at, labels, "`selector` does not match template `labels`")
        check_always_template(errors, ("spec", "template"), spec.template, "ReplicationController")
        return errors

    def validate_status_update(self, obj: ReplicationController, old: ReplicationController) -> list[FieldError]:
        errors = Errors()
        check_counts(errors, obj.status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))
        return errors

    def create_warnings(self, obj: ReplicationController) -> list[str]:
        template = obj.spec.template
        return spec_warnings(("spec", "template", "spec"), template.spec) if template is not None else []


def _joined(obj: ReplicationController, field: str) -> str:
    template = obj.spec.template
    return ",".join(getattr(container, field) or "" for container in template.spec.containers) if template else ""


RESOURCE = Resource(
    kind="ReplicationController",
    plural="replicationcontrollers",
    model=ReplicationController,
    short_names=("rc",),
    categories=("all",),
    strategy=ReplicationControllerStrategy(),
    columns=(
        NAME,
        Column(
            "Desired", lambda obj, now: obj.spec.replicas or 0, "integer", description="How many pods there shall be."
        ),
        Column("Current", lambda obj, now: obj.status.replicas, "integer", description="How many pods there are."),
        Column("Ready", lambda obj, now: obj.status.readyReplicas or 0, "integer", description="How many are ready."),
        AGE,
        Column(
            "Containers",
            lambda obj, now: _joined(obj, "name"),
            description="Names of each container in the template.",
            priority=1,
        ),
        Column(
            "Images",
            lambda obj, now: _joined(obj, "image"),
            description="Images of each container in the template.",
            priority=1,
        ),
        Column(
            "Selector",
            lambda obj, now: label_text(obj.spec.selector),
            description="Which pods belong to the object.",
            priority=1,
        ),
    ),
    fields={"status.replicas": lambda obj: str(obj.status.replicas)},
    status=True,
    scale=Scale(),
    storage_prefix="controllers",
)
