"""ReplicaSet: keeps a number of identical pods running."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector
from apimachinery.model import MergeKey, Model, Time, to_dict
from apimachinery.resource import Column, Resource, Scale, Strategy
from kubeapi._columns import AGE, NAME
from kubeapi._common import Int32, Int64
from kubeapi._poddefaults import default_pod_spec
from kubeapi._podspec import PodSpecHolder
from kubeapi._podtemplate import PodTemplateSpec
from kubeapi._podwarnings import spec_warnings
from kubeapi._validation import IMMUTABLE, Errors
from kubeapi._workloadcolumns import WORKLOAD_WIDE


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


class ReplicaSetStrategy(Strategy[ReplicaSet]):
    """Source: Kubernetes documentation, "ReplicaSet"."""

    def default(self, obj: ReplicaSet) -> None:
        default_pod_spec(obj.spec.template.spec)

    def validate(self, obj: ReplicaSet) -> list[FieldError]:
        from kubeapi._podvalidation import check_always_template
        from kubeapi._workloadvalidation import check_selector

        errors, spec = Errors(), obj.spec
        errors.check_not_negative(("spec", "replicas"), spec.replicas)
        errors.check_not_negative(("spec", "minReadySeconds"), spec.minReadySeconds)
        check_selector(errors, spec.selector, spec.template, "deployment")
        check_always_template(errors, ("spec", "template"), spec.template, "ReplicaSet")
        return errors

    def validate_update(self, obj: ReplicaSet, old: ReplicaSet) -> list[FieldError]:
        errors = Errors()
        if obj.spec.selector != old.spec.selector:
            errors.invalid(("spec", "selector"), to_dict(obj.spec.selector or LabelSelector()), IMMUTABLE)
        return errors

    def validate_status_update(self, obj: ReplicaSet, old: ReplicaSet) -> list[FieldError]:
        from kubeapi._workloadvalidation import check_counts

        errors = Errors()
        check_counts(errors, obj.status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))
        return errors

    def create_warnings(self, obj: ReplicaSet) -> list[str]:
        return spec_warnings(("spec", "template", "spec"), obj.spec.template.spec)


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
        Column("Desired", lambda obj, now: obj.spec.replicas, "integer", description="How many pods there shall be."),
        Column("Current", lambda obj, now: obj.status.replicas, "integer", description="How many pods there are."),
        Column("Ready", lambda obj, now: obj.status.readyReplicas or 0, "integer", description="How many are ready."),
        AGE,
        *WORKLOAD_WIDE,
    ),
    fields={"status.replicas": lambda obj: str(obj.status.replicas)},
    status=True,
    scale=Scale(),
)
