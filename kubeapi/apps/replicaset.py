"""ReplicaSet: keeps a number of identical pods running."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector, StatusCondition
from apimachinery.model import Int32, MergeKey, Model, Required
from apimachinery.resource import Resource, Scale, Strategy
from apimachinery.validation import Errors
from kubeapi.core._workload import (
    REPLICA_COUNTS,
    WORKLOAD_WIDE,
    ReplicaCounts,
    check_counts,
    check_selected_template,
    check_selector_kept,
    name_warnings,
    template_warnings,
)
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.strategy.defaults import default_pod_spec
from kubeapi.core.pod.template import PodTemplateSpec


class ReplicaSetSpec(Model, protobuf="replicas* selector template minReadySeconds"):
    """The desired state of a ReplicaSet."""

    replicas: Int32 = 1
    """The desired number of pods. Default: 1."""
    minReadySeconds: Int32 | None = None
    """Seconds that a new pod must be ready before it counts as available. Default: 0."""
    selector: Annotated[LabelSelector, Required()] | None = None
    """Selects the pods by labels, which the template must have. It can't be changed."""
    template: PodTemplateSpec = Field(default_factory=PodTemplateSpec)
    """The template of new pods."""


class ReplicaSetCondition(StatusCondition, protobuf="type status lastTransitionTime reason message"):
    """A condition of a ReplicaSet."""

    type: str = ""
    """The aspect of the ReplicaSet: ReplicaFailure."""


class ReplicaSetStatus(
    ReplicaCounts,
    protobuf="replicas fullyLabeledReplicas observedGeneration readyReplicas availableReplicas conditions "
    "terminatingReplicas*",
):
    """The observed state of a ReplicaSet."""

    terminatingReplicas: Int32 | None = None
    """The number of pods that are terminating."""
    conditions: Annotated[list[ReplicaSetCondition], MergeKey("type")] | None = None
    """The conditions of the ReplicaSet, one of each type."""


class ReplicaSet(PodSpecHolder, protobuf="metadata spec status"):
    """Keeps a number of equal pods running. Usually a Deployment creates one for each version of its template."""

    spec: ReplicaSetSpec = Field(default_factory=ReplicaSetSpec)
    """The desired number of pods and their template."""
    status: ReplicaSetStatus = Field(default_factory=ReplicaSetStatus)
    """The number of existing pods."""


class ReplicaSetStrategy(Strategy[ReplicaSet]):
    """Source: Kubernetes documentation, "ReplicaSet"."""

    def default(self, obj: ReplicaSet) -> None:
        default_pod_spec(obj.spec.template.spec)

    def validate(self, obj: ReplicaSet) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        errors.check_not_negative(("spec", "replicas"), spec.replicas)
        errors.check_not_negative(("spec", "minReadySeconds"), spec.minReadySeconds)
        check_selected_template(errors, spec.selector, spec.template, "deployment")
        return errors

    def validate_update(self, obj: ReplicaSet, old: ReplicaSet) -> list[FieldError]:
        errors = Errors()
        check_selector_kept(errors, obj.spec.selector, old.spec.selector)
        return errors

    def validate_status_update(self, obj: ReplicaSet, old: ReplicaSet) -> list[FieldError]:
        errors = Errors()
        check_counts(errors, obj.status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))
        return errors

    def create_warnings(self, obj: ReplicaSet) -> list[str]:
        return name_warnings(obj.name) + template_warnings(obj.spec.template)

    def update_warnings(self, obj: ReplicaSet, old: ReplicaSet) -> list[str]:
        return template_warnings(obj.spec.template) if obj.spec != old.spec else []


RESOURCE = Resource(
    kind="ReplicaSet",
    plural="replicasets",
    model=ReplicaSet,
    group="apps",
    short_names=("rs",),
    categories=("all",),
    strategy=ReplicaSetStrategy(),
    columns=(
        NAME,
        *REPLICA_COUNTS,
        AGE,
        *WORKLOAD_WIDE,
    ),
    status=True,
    scale=Scale(),
)
