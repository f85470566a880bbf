"""Models how many pods of a budget may be disrupted now: preemption prefers victims that no budget protects."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import LabelSelector, Object
from apimachinery.model import Model
from apimachinery.resource import Resource


class PodDisruptionBudgetSpec(Model):
    selector: LabelSelector | None = None


class PodDisruptionBudgetStatus(Model):
    disruptionsAllowed: int = 0
    disruptedPods: dict[str, str] | None = None


class PodDisruptionBudget(Object):
    spec: PodDisruptionBudgetSpec = Field(default_factory=PodDisruptionBudgetSpec)
    status: PodDisruptionBudgetStatus = Field(default_factory=PodDisruptionBudgetStatus)


RESOURCE = Resource(
    kind="PodDisruptionBudget", plural="poddisruptionbudgets", model=PodDisruptionBudget, group="policy"
)
