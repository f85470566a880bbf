"""ReplicationController: keeps a number of identical pods running. The predecessor of ReplicaSet."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector, StatusCondition
from apimachinery.model import Atomic, Int32, MergeKey, Model
from apimachinery.resource import Resource, Scale, Strategy
from apimachinery.selectors import selector_of
from apimachinery.validation import Errors
from kubeapi.core._workload import (
    REPLICA_COUNTS,
    WORKLOAD_WIDE,
    ReplicaCounts,
    check_counts,
    name_warnings,
    template_warnings,
)
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.strategy.defaults import default_pod_spec
from kubeapi.core.pod.template import PodTemplateSpec
from kubeapi.core.pod.validation.pod import check_always_template


class ReplicationControllerSpec(Model, protobuf="replicas* selector template minReadySeconds"):
    """The desired state of a ReplicationController."""

    replicas: Int32 | None = None
    """The desired number of pods; 1 when absent."""
    minReadySeconds: Int32 | None = None
    """Seconds that a new pod must be ready, without a failing container, to count as available."""
    selector: Annotated[dict[str, str], Atomic()] | None = None
    """The labels of the pods; those of the template when absent."""
    template: PodTemplateSpec | None = None
    """The template of missing pods."""


class ReplicationControllerCondition(StatusCondition, protobuf="type status lastTransitionTime reason message"):
    """A condition of a ReplicationController."""

    type: str = ""
    """The aspect of the controller: `ReplicaFailure` means that pods could not be created or deleted."""


class ReplicationControllerStatus(
    ReplicaCounts,
    protobuf="replicas fullyLabeledReplicas observedGeneration readyReplicas availableReplicas conditions",
):
    """The observed state of a ReplicationController."""

    conditions: Annotated[list[ReplicationControllerCondition], MergeKey("type")] | None = None
    """The conditions of the controller, one of each type."""


class ReplicationController(PodSpecHolder, protobuf="metadata spec status"):
    """Creates and deletes pods until as many run as its spec says."""

    spec: ReplicationControllerSpec = Field(default_factory=ReplicationControllerSpec)
    """The desired number of pods and the template."""
    status: ReplicationControllerStatus = Field(default_factory=ReplicationControllerStatus)
    """The observed number of pods, written by the controller."""


class ReplicationControllerStrategy(Strategy[ReplicationController]):
    """Source: Kubernetes documentation, "ReplicationController"."""

    orphans_dependents = True

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
        labels = spec.template.metadata.labels
        if spec.selector and not selector_of(LabelSelector(matchLabels=spec.selector)).matches(labels or {}):
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
        return name_warnings(obj.name) + (template_warnings(template) if template else [])

    def update_warnings(self, obj: ReplicationController, old: ReplicationController) -> list[str]:
        template = obj.spec.template
        return template_warnings(template) if template and obj.spec != old.spec else []


RESOURCE = Resource(
    kind="ReplicationController",
    plural="replicationcontrollers",
    model=ReplicationController,
    short_names=("rc",),
    categories=("all",),
    strategy=ReplicationControllerStrategy(),
    columns=(
        NAME,
        *REPLICA_COUNTS,
        AGE,
        *WORKLOAD_WIDE,
    ),
    fields={"status.replicas": lambda obj: str(obj.status.replicas)},
    status=True,
    scale=Scale(),
    storage_prefix="controllers",
)
