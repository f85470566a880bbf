"""HorizontalPodAutoscaler (autoscaling/v2): sets the size of a workload by metrics."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import Object, StatusCondition
from apimachinery.model import Int32, Int64, ListMapKeys, MergeKey, Model, OneOf, Required, Time
from apimachinery.quantity import Quantity
from kubeapi.autoscaling.horizontalpodautoscaler.metrics import CrossVersionObjectReference, MetricSpec, MetricStatus

PODS_POLICY, PERCENT_POLICY = "Pods", "Percent"
MAX_CHANGE, MIN_CHANGE, DISABLED = "Max", "Min", "Disabled"
ABLE_TO_SCALE, SCALING_ACTIVE, SCALING_LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"


class HPAScalingPolicy(Model, protobuf="type value periodSeconds"):
    """The largest change within a time."""

    type: Annotated[str, OneOf(PERCENT_POLICY, PODS_POLICY)] = ""
    """Pods or Percent: what `value` counts."""
    value: Int32 = 0
    """The number of pods, or the percentage of those that there were at the beginning of the time."""
    periodSeconds: Int32 = 0
    """The length of the time in seconds, up to 1800."""


class HPAScalingRules(Model, protobuf="selectPolicy* policies* stabilizationWindowSeconds* tolerance*"):
    """The speed of scaling in one direction, and the change of a metric that causes it."""

    selectPolicy: Annotated[str, OneOf(DISABLED, MAX_CHANGE, MIN_CHANGE)] | None = None
    """Max (the default) follows the policy that allows most, Min the one that allows least; Disabled never scales in
    this direction."""
    policies: list[HPAScalingPolicy] | None = None
    """The limits of the speed. Default for scaling up: 4 pods or 100% in 15 seconds; down: 100% in 15 seconds."""
    stabilizationWindowSeconds: Int32 | None = None
    """The seconds, up to 3600, whose most careful recommendation is followed. Default: 0 for scaling up, 300 down."""
    tolerance: Quantity | None = None
    """The part by which a metric may miss its target without scaling, such as `50m` for 5%. Default: 10%."""


class HorizontalPodAutoscalerBehavior(Model, protobuf="scaleUp scaleDown"):
    """The speed of scaling in both directions."""

    scaleUp: HPAScalingRules | None = None
    """The rules for more pods."""
    scaleDown: HPAScalingRules | None = None
    """The rules for fewer pods."""


class HorizontalPodAutoscalerSpec(Model, protobuf="scaleTargetRef minReplicas* maxReplicas metrics behavior"):
    """The workload, the metrics that decide about its size, and the limits."""

    scaleTargetRef: CrossVersionObjectReference = Field(default_factory=CrossVersionObjectReference)
    """The workload, of any kind that has a scale subresource."""
    minReplicas: Int32 = 1
    """The least number of pods. Default: 1."""
    maxReplicas: Int32 = 0
    """The largest number of pods."""
    metrics: list[MetricSpec] | None = None
    """The metrics; the one that asks for most pods decides. Default: the CPU, at 80% of what the pods request."""
    behavior: HorizontalPodAutoscalerBehavior | None = None
    """The speed of scaling in both directions."""


class HorizontalPodAutoscalerCondition(StatusCondition, protobuf="type status lastTransitionTime reason message"):
    """A condition of a HorizontalPodAutoscaler."""

    type: str = ""
    """The aspect of the autoscaler: AbleToScale, ScalingActive or ScalingLimited."""


class HorizontalPodAutoscalerStatus(
    Model,
    protobuf="observedGeneration* lastScaleTime* currentReplicas desiredReplicas currentMetrics conditions",
):
    """The last decision and what it was based on."""

    observedGeneration: Int64 | None = None
    """The metadata.generation of the last decision."""
    lastScaleTime: Time | None = None
    """The time of the last change of the workload's size."""
    currentReplicas: Int32 | None = None
    """The size of the workload at the last decision."""
    desiredReplicas: Annotated[Int32, Required()] = 0
    """The size that was decided on."""
    currentMetrics: Annotated[list[MetricStatus], NullIfEmpty()] = Field(default_factory=list)
    """The last readings of the metrics."""
    conditions: Annotated[list[HorizontalPodAutoscalerCondition], MergeKey("type"), ListMapKeys("type")] | None = None
    """Whether scaling works, and what limits it."""


class HorizontalPodAutoscaler(Object, protobuf="metadata spec status"):
    """Sets the size of a workload so that metrics stay near their targets."""

    spec: HorizontalPodAutoscalerSpec = Field(default_factory=HorizontalPodAutoscalerSpec)
    """The workload, the metrics and the limits."""
    status: HorizontalPodAutoscalerStatus = Field(default_factory=HorizontalPodAutoscalerStatus)
    """The last decision."""
