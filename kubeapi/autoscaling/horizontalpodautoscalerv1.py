"""HorizontalPodAutoscaler (autoscaling/v1): the autoscalers of v2 in their oldest form."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, Int64, Model, Time, from_dict, to_dict
from apimachinery.resource import Column, Resource, Strategy, View
from kubeapi.autoscaling._v1form import to_v1, to_v2
from kubeapi.autoscaling.horizontalpodautoscaler.metrics import CrossVersionObjectReference as Reference
from kubeapi.autoscaling.horizontalpodautoscaler.model import HorizontalPodAutoscaler as HorizontalPodAutoscalerV2
from kubeapi.autoscaling.horizontalpodautoscaler.resource import COLUMNS
from kubeapi.autoscaling.horizontalpodautoscaler.resource import RESOURCE as V2


class CrossVersionObjectReference(Reference, protobuf="kind name apiVersion"):
    """Names an object of the same namespace, whatever version its kind is served in."""

    map_type = "atomic"


class HorizontalPodAutoscalerSpec(
    Model, protobuf="scaleTargetRef minReplicas* maxReplicas targetCPUUtilizationPercentage*"
):
    """The workload, the use of CPU that decides about its size, and the limits."""

    scaleTargetRef: CrossVersionObjectReference = Field(default_factory=CrossVersionObjectReference)
    """The workload, of any kind that has a scale subresource."""
    minReplicas: Int32 = 1
    """The least number of pods. Default: 1."""
    maxReplicas: Int32 = 0
    """The largest number of pods."""
    targetCPUUtilizationPercentage: Int32 | None = None
    """The use of CPU to keep the pods at, on average, as a percentage of what they request. Default: 80."""


class HorizontalPodAutoscalerStatus(
    Model,
    protobuf="observedGeneration* lastScaleTime* currentReplicas desiredReplicas currentCPUUtilizationPercentage*",
):
    """The last decision."""

    observedGeneration: Int64 | None = None
    """The metadata.generation of the last decision."""
    lastScaleTime: Time | None = None
    """The time of the last change of the workload's size."""
    currentReplicas: Int32 = 0
    """The size of the workload at the last decision."""
    desiredReplicas: Int32 = 0
    """The size that was decided on."""
    currentCPUUtilizationPercentage: Int32 | None = None
    """The last use of CPU by the pods, on average, as a percentage of what they request."""


class HorizontalPodAutoscaler(Object, protobuf="metadata spec status"):
    """Sets the size of a workload so that its use of CPU stays near a target."""

    spec: HorizontalPodAutoscalerSpec = Field(default_factory=HorizontalPodAutoscalerSpec)
    """The workload, the target and the limits."""
    status: HorizontalPodAutoscalerStatus = Field(default_factory=HorizontalPodAutoscalerStatus)
    """The last decision."""


def _as_v2(obj: HorizontalPodAutoscaler) -> HorizontalPodAutoscalerV2:
    full = from_dict(HorizontalPodAutoscalerV2, to_v2(to_dict(obj)))
    V2.strategy.default(full)
    return full


class HorizontalPodAutoscalerStrategy(Strategy[HorizontalPodAutoscaler]):
    """Holds the objects to the rules of v2; errors name its fields."""

    generation_tracks_spec = V2.strategy.generation_tracks_spec

    def default(self, obj: HorizontalPodAutoscaler) -> None:
        full = from_dict(HorizontalPodAutoscaler, to_v1(to_dict(_as_v2(obj))))
        obj.metadata.annotations, obj.spec = full.metadata.annotations, full.spec

    def validate_create(self, obj: HorizontalPodAutoscaler) -> list[FieldError]:
        return V2.strategy.validate_create(_as_v2(obj))

    def validate_update(self, obj: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> list[FieldError]:
        return V2.strategy.validate_update(_as_v2(obj), _as_v2(old))

    def validate_status_update(self, obj: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> list[FieldError]:
        return V2.strategy.validate_status_update(_as_v2(obj), _as_v2(old))


def _of_v2(column: Column) -> Column:
    return replace(column, value=lambda obj, now: column.value(_as_v2(obj), now))


RESOURCE = Resource(
    kind=V2.kind,
    plural=V2.plural,
    model=HorizontalPodAutoscaler,
    group=V2.group,
    version="v1",
    short_names=V2.short_names,
    categories=V2.categories,
    status=True,
    strategy=HorizontalPodAutoscalerStrategy(),
    columns=tuple(map(_of_v2, COLUMNS)),
    view=View(of=V2, to_view=to_v1, from_view=to_v2, fields={}),
)
