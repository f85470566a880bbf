"""Checks of a HorizontalPodAutoscaler.

Source: Kubernetes API reference, "HorizontalPodAutoscaler"; messages as upstream has them.
"""

from __future__ import annotations

from apimachinery.errors import FieldError
from apimachinery.features import Feature
from apimachinery.names import path_segment_errors
from apimachinery.quantity import parse_quantity
from apimachinery.validation import GREATER_THAN_ZERO, NOT_NEGATIVE, POSITIVE, Errors, Path
from kubeapi.autoscaling.horizontalpodautoscaler.metrics import (
    AVERAGE_VALUE,
    EXTERNAL,
    OBJECT,
    SOURCES,
    UTILIZATION,
    VALUE,
    ContainerResourceMetricSource,
    CrossVersionObjectReference,
    ExternalMetricSource,
    MetricIdentifier,
    MetricSpec,
    MetricTarget,
    ObjectMetricSource,
    PodsMetricSource,
    ResourceMetricSource,
)
from kubeapi.autoscaling.horizontalpodautoscaler.model import (
    DISABLED,
    MAX_CHANGE,
    MIN_CHANGE,
    PERCENT_POLICY,
    PODS_POLICY,
    HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec,
    HPAScalingPolicy,
    HPAScalingRules,
)
from kubeapi.core.pod.validation.resources import check_resource_name

SCALE_TO_ZERO = Feature("HPAScaleToZero")
MAX_WINDOW_SECONDS, MAX_PERIOD_SECONDS = 3600, 1800
_CORE_SCALABLE = "ReplicationController"  # the only kind of the core group that has a scale
_BOTH_OF_RESOURCE = "may not set both a target raw value and a target utilization"
_NONE_OF_RESOURCE = "must set either a target raw value or a target utilization"


def spec_errors(
    spec: HorizontalPodAutoscalerSpec, *, least_replicas: int = 1, any_api_version: bool = False
) -> list[FieldError]:
    """`least_replicas` is the smallest allowed `minReplicas`, unless a feature allows 0; `any_api_version` takes an API
    version of the target as it is."""
    errors = Errors()
    least_replicas = 0 if SCALE_TO_ZERO.enabled else least_replicas
    if spec.minReplicas < least_replicas:
        errors.invalid(("spec", "minReplicas"), spec.minReplicas, f"must be greater than or equal to {least_replicas}")
    if spec.maxReplicas < 1:
        errors.required(("spec", "maxReplicas"), "must be set and greater than 0")
    if spec.maxReplicas < spec.minReplicas:
        text = "must be greater than or equal to `minReplicas`"
        errors.invalid(("spec", "maxReplicas"), spec.maxReplicas, text)
    target: Path = ("spec", "scaleTargetRef")
    _check_reference(errors, target, spec.scaleTargetRef)
    if not any_api_version and (text := _api_version_error(spec.scaleTargetRef)):
        errors.invalid((*target, "apiVersion"), spec.scaleTargetRef.apiVersion or "", text)
    for index, metric in enumerate(spec.metrics or ()):
        _check_metric(errors, ("spec", "metrics", index), metric)
    if spec.minReplicas == 0 and not any(metric.type in (OBJECT, EXTERNAL) for metric in spec.metrics or ()):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.forbidden(("spec", "metrics"), text)
    if spec.behavior is not None:
        _check_behavior(errors, ("spec", "behavior"), spec.behavior)
    return errors


def _check_reference(errors: Errors, path: Path, reference: CrossVersionObjectReference) -> None:
    errors.check_name((*path, "kind"), reference.kind, path_segment_errors)
    errors.check_name((*path, "name"), reference.name, path_segment_errors)


def has_bad_api_version(target: CrossVersionObjectReference) -> bool:
    """Tells whether the API version of a workload would be refused."""
    return bool(_api_version_error(target))


def _api_version_error(target: CrossVersionObjectReference) -> str:
    version = target.apiVersion or ""
    if text := _parse_error(version):
        return text
    if target.kind == _CORE_SCALABLE or version.rpartition("/")[0]:
        return ""
    return "apiVersion must specify API group"


def _parse_error(version: str) -> str:
    return f"unexpected GroupVersion string: {version}" if version.count("/") > 1 else ""


def _check_metric(errors: Errors, path: Path, metric: MetricSpec) -> None:
    unknown = metric.type not in SOURCES
    if not metric.type:
        errors.required((*path, "type"), "must specify a metric source type")
    if unknown:
        errors.not_supported((*path, "type"), metric.type, sorted(SOURCES))
    members = [member for member in SOURCES.values() if getattr(metric, member) is not None]
    if members:
        _check_source(errors, (*path, members[0]), getattr(metric, members[0]))
    if unknown:
        errors.not_supported((*path, "type"), metric.type, sorted(SOURCES))
        expected = ""
    else:
        expected = SOURCES[metric.type]
        if expected not in members:
            errors.required((*path, expected), "must populate information for the given metric source")
    if len(members) > 1:
        for member in members:
            if member != expected:
                errors.forbidden((*path, member), "must populate the given metric source only")


def _check_source(errors: Errors, path: Path, source: object) -> None:
    match source:
        case ObjectMetricSource():
            _check_reference(errors, (*path, "describedObject"), source.describedObject)
            version = source.describedObject.apiVersion or ""
            errors.check_messages(
                (*path, "describedObject", "apiVersion"), version, filter(None, [_parse_error(version)])
            )
            _check_identifier(errors, (*path, "metric"), source.metric)
            _check_amount(errors, (*path, "target"), source.target, "must set either a target value or averageValue")
        case ExternalMetricSource():
            _check_identifier(errors, (*path, "metric"), source.metric)
            text = "must set either a target value for metric or a per-pod target"
            _check_amount(errors, (*path, "target"), source.target, text)
            if source.target.value is not None and source.target.averageValue is not None:
                text = "may not set both a target value for metric and a per-pod target"
                errors.forbidden((*path, "target", "value"), text)
        case PodsMetricSource():
            _check_identifier(errors, (*path, "metric"), source.metric)
            _check_target(errors, (*path, "target"), source.target)
            if source.target.averageValue is None:
                text = "must specify a positive target averageValue"
                errors.required((*path, "target", "averageValue"), text)
        case ContainerResourceMetricSource():
            if source.name:
                check_resource_name(errors, (*path, "name"), source.name, of_container=True)
            else:
                errors.required((*path, "name"), "must specify a resource name")
            if source.container:
                errors.check_dns_label((*path, "container"), source.container)
            else:
                errors.required((*path, "container"), "must specify a container")
            _check_resource_target(errors, (*path, "target"), source.target)
        case ResourceMetricSource():
            if not source.name:
                errors.required((*path, "name"), "must specify a resource name")
            _check_resource_target(errors, (*path, "target"), source.target)


def _check_identifier(errors: Errors, path: Path, metric: MetricIdentifier) -> None:
    if metric.name:
        errors.check_messages((*path, "name"), metric.name, path_segment_errors(metric.name))
    else:
        errors.required((*path, "name"), "must specify a metric name")


def _check_amount(errors: Errors, path: Path, target: MetricTarget, missing: str) -> None:
    _check_target(errors, path, target)
    if target.value is None and target.averageValue is None:
        errors.required((*path, "averageValue"), missing)


def _check_resource_target(errors: Errors, path: Path, target: MetricTarget) -> None:
    _check_target(errors, path, target)
    if target.averageUtilization is None and target.averageValue is None:
        errors.required((*path, "averageUtilization"), _NONE_OF_RESOURCE)
    if target.averageUtilization is not None and target.averageValue is not None:
        errors.forbidden((*path, "averageValue"), _BOTH_OF_RESOURCE)


def _check_target(errors: Errors, path: Path, target: MetricTarget) -> None:
    if not target.type:
        errors.required((*path, "type"), "must specify a metric target type")
    if target.type not in (UTILIZATION, VALUE, AVERAGE_VALUE):
        errors.invalid((*path, "type"), target.type, "must be either Utilization, Value, or AverageValue")
    for name in ("value", "averageValue"):
        amount = getattr(target, name)
        if amount is not None and parse_quantity(amount) <= 0:
            errors.invalid((*path, name), amount, "must be positive")
    if target.averageUtilization is not None and target.averageUtilization < 1:
        errors.invalid((*path, "averageUtilization"), target.averageUtilization, POSITIVE)


def _check_behavior(errors: Errors, path: Path, behavior: HorizontalPodAutoscalerBehavior) -> None:
    for name in ("scaleUp", "scaleDown"):
        rules: HPAScalingRules | None = getattr(behavior, name)
        if rules is not None:
            _check_rules(errors, (*path, name), rules)


def _check_rules(errors: Errors, path: Path, rules: HPAScalingRules) -> None:
    window = rules.stabilizationWindowSeconds
    if window is not None:
        if window < 0:
            errors.invalid((*path, "stabilizationWindowSeconds"), window, "must be greater than or equal to zero")
        if window > MAX_WINDOW_SECONDS:
            text = f"must be less than or equal to {MAX_WINDOW_SECONDS}"
            errors.invalid((*path, "stabilizationWindowSeconds"), window, text)
    choices = (DISABLED, MAX_CHANGE, MIN_CHANGE)
    if rules.selectPolicy is not None and rules.selectPolicy not in choices:
        errors.not_supported((*path, "selectPolicy"), rules.selectPolicy, choices)
    if not rules.policies:
        errors.required((*path, "policies"), "must specify at least one Policy")
    for index, policy in enumerate(rules.policies or ()):
        _check_policy(errors, (*path, "policies", index), policy)
    if rules.tolerance is not None and parse_quantity(rules.tolerance) < 0:
        errors.invalid((*path, "tolerance"), rules.tolerance, NOT_NEGATIVE)


def _check_policy(errors: Errors, path: Path, policy: HPAScalingPolicy) -> None:
    if policy.type not in (PERCENT_POLICY, PODS_POLICY):
        errors.not_supported((*path, "type"), policy.type, (PERCENT_POLICY, PODS_POLICY))
    if policy.value <= 0:
        errors.invalid((*path, "value"), policy.value, GREATER_THAN_ZERO)
    if policy.periodSeconds <= 0:
        errors.invalid((*path, "periodSeconds"), policy.periodSeconds, GREATER_THAN_ZERO)
    if policy.periodSeconds > MAX_PERIOD_SECONDS:
        text = f"must be less than or equal to {MAX_PERIOD_SECONDS}"
        errors.invalid((*path, "periodSeconds"), policy.periodSeconds, text)
