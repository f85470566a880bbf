"""The strategy and columns of HorizontalPodAutoscaler."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME, NONE, UNKNOWN, first_few
from apimachinery.errors import FieldError
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.autoscaling.horizontalpodautoscaler.metrics import (
    RESOURCE as RESOURCE_TYPE,
)
from kubeapi.autoscaling.horizontalpodautoscaler.metrics import (
    SOURCES,
    UTILIZATION,
    MetricSpec,
    MetricStatus,
    MetricTarget,
    MetricValueStatus,
    ResourceMetricSource,
)
from kubeapi.autoscaling.horizontalpodautoscaler.model import (
    MAX_CHANGE,
    PERCENT_POLICY,
    PODS_POLICY,
    HorizontalPodAutoscaler,
    HPAScalingPolicy,
    HPAScalingRules,
)
from kubeapi.autoscaling.horizontalpodautoscaler.validation import has_bad_api_version, spec_errors

CPU, DEFAULT_CPU_UTILIZATION = "cpu", 80
_SHOWN_METRICS = 2


class HorizontalPodAutoscalerStrategy(Strategy[HorizontalPodAutoscaler]):
    """Source: Kubernetes documentation, "Horizontal Pod Autoscaling"."""

    generation_tracks_spec = False

    def default(self, obj: HorizontalPodAutoscaler) -> None:
        spec = obj.spec
        if not spec.metrics:
            target = MetricTarget(type=UTILIZATION, averageUtilization=DEFAULT_CPU_UTILIZATION)
            spec.metrics = [MetricSpec(type=RESOURCE_TYPE, resource=ResourceMetricSource(name=CPU, target=target))]
        if spec.behavior is not None:
            percent = HPAScalingPolicy(type=PERCENT_POLICY, value=100, periodSeconds=15)
            pods = HPAScalingPolicy(type=PODS_POLICY, value=4, periodSeconds=15)
            up = spec.behavior.scaleUp = _with_defaults(spec.behavior.scaleUp, [pods, percent])
            spec.behavior.scaleDown = _with_defaults(spec.behavior.scaleDown, [percent])
            if up.stabilizationWindowSeconds is None:
                up.stabilizationWindowSeconds = 0

    def validate_create(self, obj: HorizontalPodAutoscaler) -> list[FieldError]:
        return spec_errors(obj.spec)

    def validate_update(self, obj: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> list[FieldError]:
        """Takes what newer rules refuse where the stored object has it already."""
        return spec_errors(
            obj.spec,
            least_replicas=min(old.spec.minReplicas, 1),
            any_api_version=has_bad_api_version(old.spec.scaleTargetRef),
        )

    def validate_status_update(self, obj: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> list[FieldError]:
        errors = Errors()
        errors.check_not_negative(("status", "currentReplicas"), obj.status.currentReplicas)
        errors.check_not_negative(("status", "desiredReplicas"), obj.status.desiredReplicas)
        return errors


def _with_defaults(rules: HPAScalingRules | None, policies: list[HPAScalingPolicy]) -> HPAScalingRules:
    rules = HPAScalingRules() if rules is None else rules
    if rules.selectPolicy is None:
        rules.selectPolicy = MAX_CHANGE
    if rules.policies is None:
        rules.policies = policies
    return rules


def targets(obj: HorizontalPodAutoscaler) -> str:
    """The readings and targets of the first metrics, such as "cpu: 12%/50%, 5/10 + 1 more..."."""
    statuses = obj.status.currentMetrics
    texts = [
        _target_text(metric, statuses[index] if index < len(statuses) else None)
        for index, metric in enumerate(obj.spec.metrics or ())
    ]
    return first_few(texts, NONE, limit=_SHOWN_METRICS, between=", ")


def _target_text(metric: MetricSpec, status: MetricStatus | None) -> str:
    member = SOURCES.get(metric.type, "")
    source = getattr(metric, member, None)
    if source is None:
        return "<unknown type>"
    reading = getattr(status, member, None)
    current: MetricValueStatus = reading.current if reading is not None else MetricValueStatus()
    target: MetricTarget = source.target
    if member in ("resource", "containerResource"):
        if target.averageValue is not None:
            return f"{source.name}: {current.averageValue or UNKNOWN}/{target.averageValue}"
        wanted = "<auto>" if target.averageUtilization is None else f"{target.averageUtilization}%"
        used = UNKNOWN if current.averageUtilization is None else f"{current.averageUtilization}%"
        return f"{source.name}: {used}/{wanted}"
    if member == "pods":
        return f"{current.averageValue or UNKNOWN}/{target.averageValue}"
    if target.averageValue is not None:
        return f"{current.averageValue or UNKNOWN}/{target.averageValue} (avg)"
    return f"{current.value or UNKNOWN}/{target.value}"


COLUMNS = (
    NAME,
    Column(
        "Reference",
        lambda obj, now: f"{obj.spec.scaleTargetRef.kind}/{obj.spec.scaleTargetRef.name}",
        "The workload that is scaled.",
    ),
    Column("Targets", lambda obj, now: targets(obj), "The metrics and their targets."),
    Column("MinPods", lambda obj, now: str(obj.spec.minReplicas), "The least number of pods."),
    Column("MaxPods", lambda obj, now: obj.spec.maxReplicas, "The largest number of pods."),
    Column("Replicas", lambda obj, now: obj.status.currentReplicas or 0, "The number of pods at the last decision."),
    AGE,
)

RESOURCE = Resource(
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    model=HorizontalPodAutoscaler,
    group="autoscaling",
    version="v2",
    short_names=("hpa",),
    categories=("all",),
    strategy=HorizontalPodAutoscalerStrategy(),
    columns=COLUMNS,
    status=True,
)
