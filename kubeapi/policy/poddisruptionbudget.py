"""PodDisruptionBudget: how many of a set of pods may be evicted at one time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Condition, LabelSelector, Object
from apimachinery.model import Int32, Int64, IntOrString, MergeKey, Model, Time, to_dict
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path

DISRUPTION_ALLOWED = "DisruptionAllowed"
SUFFICIENT_PODS, INSUFFICIENT_PODS, SYNC_FAILED = "SufficientPods", "InsufficientPods", "SyncFailed"
ALWAYS_ALLOW, IF_HEALTHY_BUDGET = "AlwaysAllow", "IfHealthyBudget"


class PodDisruptionBudgetSpec(Model, protobuf="minAvailable selector maxUnavailable unhealthyPodEvictionPolicy*"):
    """The pods of a budget and its size."""

    minAvailable: IntOrString | None = None
    """The number of pods that must stay healthy, absolute or as a percentage, rounded up. It excludes
    maxUnavailable."""
    selector: LabelSelector | None = None
    """Selects the pods by labels. An empty one selects all of the namespace, none at all selects nothing."""
    maxUnavailable: IntOrString | None = None
    """The number of pods that may be gone or unhealthy at one time, absolute or as a percentage, rounded up."""
    unhealthyPodEvictionPolicy: str | None = None
    """IfHealthyBudget (the default) lets pods that are not ready go only while enough others are healthy, AlwaysAllow
    lets them go at any time."""


class PodDisruptionBudgetStatus(
    Model,
    protobuf="observedGeneration disruptedPods disruptionsAllowed currentHealthy desiredHealthy expectedPods "
    "conditions",
):
    """The number of pods that may be evicted now."""

    observedGeneration: Int64 | None = None
    """The metadata.generation that the controller acted on last; evictions wait until it is the current one."""
    disruptedPods: dict[str, Time] | None = None
    """The pods whose eviction was allowed and that are not gone yet, with the time of that decision."""
    disruptionsAllowed: Int32 = 0
    """The number of pods that may be evicted now."""
    currentHealthy: Int32 = 0
    """The number of healthy pods."""
    desiredHealthy: Int32 = 0
    """The number of pods that have to stay healthy."""
    expectedPods: Int32 = 0
    """The number of pods that their controllers want."""
    conditions: Annotated[list[Condition], MergeKey("type")] | None = None
    """DisruptionAllowed tells whether a pod may be evicted now, and why not."""


class PodDisruptionBudget(Object, protobuf="metadata spec status"):
    """Limits how many of a set of pods are evicted at one time, as when nodes are drained."""

    spec: PodDisruptionBudgetSpec = Field(default_factory=PodDisruptionBudgetSpec)
    """The pods and the number of them that must stay."""
    status: PodDisruptionBudgetStatus = Field(default_factory=PodDisruptionBudgetStatus)
    """The health of the pods, and what is left of the budget."""


class PodDisruptionBudgetStrategy(Strategy[PodDisruptionBudget]):
    """Source: Kubernetes documentation, "Specifying a Disruption Budget for your Application"."""

    allow_unconditional_update = False

    def validate(self, obj: PodDisruptionBudget) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        if spec.minAvailable is not None and spec.maxUnavailable is not None:
            errors.invalid(("spec",), to_dict(spec), "minAvailable and maxUnavailable cannot be both set")
        for name in ("minAvailable", "maxUnavailable"):
            errors.check_int_or_percent(("spec", name), getattr(spec, name))
            errors.check_at_most_all(("spec", name), getattr(spec, name))
        errors.check_selector(("spec", "selector"), spec.selector)
        policy = spec.unhealthyPodEvictionPolicy
        if policy is not None:
            at: Path = ("spec", "unhealthyPodEvictionPolicy")
            errors.check_one_of(at, policy, (ALWAYS_ALLOW, IF_HEALTHY_BUDGET))
        return errors

    def validate_status_update(self, obj: PodDisruptionBudget, old: PodDisruptionBudget) -> list[FieldError]:
        errors, status = Errors(), obj.status
        for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
            errors.check_not_negative(("status", name), getattr(status, name))
        return errors


def _amount(value: int | str | None) -> str:
    return "N/A" if value is None else str(value)


RESOURCE = Resource(
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    model=PodDisruptionBudget,
    group="policy",
    short_names=("pdb",),
    strategy=PodDisruptionBudgetStrategy(),
    columns=(
        NAME,
        Column(
            "Min Available",
            lambda obj, now: _amount(obj.spec.minAvailable),
            "The number of pods that must stay healthy.",
        ),
        Column(
            "Max Unavailable",
            lambda obj, now: _amount(obj.spec.maxUnavailable),
            "The number of pods that may be gone or unhealthy.",
        ),
        Column(
            "Allowed Disruptions",
            lambda obj, now: obj.status.disruptionsAllowed,
            "The number of pods that may be evicted now.",
            "integer",
        ),
        AGE,
    ),
    status=True,
)
