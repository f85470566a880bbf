"""Turns one metric of an autoscaler into a number of replicas: reads it, computes, and says what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from apimachinery.meta import LabelSelector
from apimachinery.quantity import Quantity, format_quantity
from apimachinery.selectors import selector_of
from controller_manager.controllers.autoscaling import _replicas
from controller_manager.controllers.autoscaling._metricsclient import MetricsClient
from controller_manager.controllers.autoscaling._replicas import MetricError, Outcome, StartUp, Tolerances, thousandths
from controller_manager.controllers.autoscaling._scales import Scales, UnknownKind
from kubeapi.autoscaling.horizontalpodautoscaler.metrics import (
    SOURCES,
    ContainerResourceMetricSource,
    ContainerResourceMetricStatus,
    ExternalMetricSource,
    ExternalMetricStatus,
    MetricSpec,
    MetricStatus,
    MetricValueStatus,
    ObjectMetricSource,
    ObjectMetricStatus,
    PodsMetricSource,
    PodsMetricStatus,
    ResourceMetricSource,
    ResourceMetricStatus,
)
from kubeapi.autoscaling.scale import Scale
from kubeapi.core.pod.model import Pod


@dataclass(frozen=True)
class Proposal:
    """`metric` names the metric for people, `status` is its reading."""

    replicas: int
    metric: str
    status: MetricStatus


class MetricFailure(Exception):
    """A metric can't be followed. `reason` is the one of the event and the condition, `context` stands before the
    message where several metrics are told about."""

    def __init__(self, reason: str, context: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.context = reason, context


@dataclass(frozen=True)
class Workload:
    """Describes what is scaled: its pods are those that the selector (as text) chooses."""

    namespace: str
    scale: Scale
    pods: Sequence[Pod]
    selector: str

    @property
    def replicas(self) -> int:
        return self.scale.spec.replicas


class Proposer:
    def __init__(self, client: MetricsClient, scales: Scales, start_up: StartUp) -> None:
        self._client, self._scales, self._start_up = client, scales, start_up

    async def propose(self, metric: MetricSpec, workload: Workload, tolerances: Tolerances, now: float) -> Proposal:
        """`now` is in Unix seconds. Raises: MetricFailure."""
        source = getattr(metric, SOURCES.get(metric.type, ""), None)
        try:
            match source:
                case ResourceMetricSource() | ContainerResourceMetricSource():
                    return await self._of_resource(source, workload, tolerances, now)
                case PodsMetricSource():
                    return await self._of_pods(source, workload, tolerances, now)
                case ObjectMetricSource():
                    return await self._of_object(source, workload, tolerances)
                case ExternalMetricSource():
                    return await self._external(source, workload, tolerances)
        except MetricError as error:
            assert source is not None
            raise MetricFailure(f"FailedGet{metric.type}Metric", _context(source), str(error)) from None
        message = f'unknown metric source type "{metric.type}"'
        raise MetricFailure("InvalidMetricSourceType", "", message)

    async def _of_resource(
        self,
        source: ResourceMetricSource | ContainerResourceMetricSource,
        workload: Workload,
        tolerances: Tolerances,
        now: float,
    ) -> Proposal:
        container = source.container if isinstance(source, ContainerResourceMetricSource) else ""
        target, name = source.target, source.name
        try:
            try:
                readings = await self._client.of_resource(workload.namespace, workload.selector, name, container)
            except MetricError as error:
                raise MetricError(f"unable to get metrics for resource {name}: {error}") from None
            groups = _replicas.group_pods(_some(workload.pods), readings, name, self._start_up, now)
            if target.averageValue is not None:
                wanted = thousandths(target.averageValue)
                outcome = _replicas.by_average(workload.replicas, readings, wanted, groups, tolerances)
            else:
                assert target.averageUtilization is not None  # validation asks for one of the two
                requests = _replicas.pod_requests(workload.pods, name, container)
                outcome = _replicas.by_utilization(
                    workload.replicas, readings, requests, target.averageUtilization, groups, tolerances
                )
        except MetricError as error:
            raise MetricError(f"failed to get {name} utilization: {error}") from None
        current = MetricValueStatus(averageValue=_amount(outcome.value), averageUtilization=outcome.utilization)
        text = f"{name} container resource" if container else f"{name} resource"
        if outcome.utilization is not None:
            text += " utilization (percentage of request)"
        if container:
            of_container = ContainerResourceMetricStatus(name=name, container=container, current=current)
            status = MetricStatus(type="ContainerResource", containerResource=of_container)
        else:
            status = MetricStatus(type="Resource", resource=ResourceMetricStatus(name=name, current=current))
        return Proposal(outcome.replicas, text, status)

    async def _of_pods(
        self, source: PodsMetricSource, workload: Workload, tolerances: Tolerances, now: float
    ) -> Proposal:
        metric = source.metric
        assert source.target.averageValue is not None
        try:
            readings = await self._client.of_pods(
                workload.namespace, workload.selector, metric.name, _selector_text(metric.selector)
            )
        except MetricError as error:
            raise MetricError(f"unable to get metric {metric.name}: {error}") from None
        groups = _replicas.group_pods(_some(workload.pods), readings, "", self._start_up, now)
        target = thousandths(source.target.averageValue)
        outcome = _replicas.by_average(workload.replicas, readings, target, groups, tolerances)
        status = PodsMetricStatus(metric=metric, current=MetricValueStatus(averageValue=_amount(outcome.value)))
        return Proposal(outcome.replicas, f"pods metric {metric.name}", MetricStatus(type="Pods", pods=status))

    async def _of_object(self, source: ObjectMetricSource, workload: Workload, tolerances: Tolerances) -> Proposal:
        metric, described, target = source.metric, source.describedObject, source.target
        try:
            kind = await self._scales.kind(described)
            resource = f"{kind.name}.{kind.group}" if kind.group else kind.name
            value = await self._client.of_object(
                workload.namespace, resource, described.name, metric.name, _selector_text(metric.selector)
            )
        except (MetricError, UnknownKind) as error:
            text = (
                f"unable to get metric {metric.name}: {described.kind} on {workload.namespace} {described.name}/{error}"
            )
            if target.type != "Value":
                text = f"failed to get {metric.name} object metric: {text}"
            raise MetricError(text) from None
        outcome, current = _of_whole(value, target.value, target.averageValue, workload, tolerances)
        status = ObjectMetricStatus(metric=metric, describedObject=described, current=current)
        text = f"{described.kind} metric {metric.name}"
        if current.averageValue is not None:
            text = f"external metric {metric.name}({go_text(metric.selector)})"
        return Proposal(outcome.replicas, text, MetricStatus(type="Object", object=status))

    async def _external(self, source: ExternalMetricSource, workload: Workload, tolerances: Tolerances) -> Proposal:
        metric, target = source.metric, source.target
        try:
            value = await self._client.external(workload.namespace, metric.name, _selector_text(metric.selector))
        except MetricError as error:
            of = (
                f"{metric.name} external metric"
                if target.averageValue is not None
                else f"external metric {metric.name}"
            )
            series = f"{workload.namespace}/{metric.name}/{go_text(metric.selector)}"
            raise MetricError(f"failed to get {of}: unable to get external metric {series}: {error}") from None
        outcome, current = _of_whole(value, target.value, target.averageValue, workload, tolerances)
        status = ExternalMetricStatus(metric=metric, current=current)
        text = f"external metric {metric.name}({go_text(metric.selector)})"
        return Proposal(outcome.replicas, text, MetricStatus(type="External", external=status))


def _of_whole(
    value: int, whole: Quantity | None, share: Quantity | None, workload: Workload, tolerances: Tolerances
) -> tuple[Outcome, MetricValueStatus]:
    """Follows a metric that belongs to no pod, as a share of each replica where the target says so."""
    if share is not None:
        outcome = _replicas.by_share(workload.scale.status.replicas, value, thousandths(share), tolerances)
        return outcome, MetricValueStatus(averageValue=_amount(outcome.value))
    assert whole is not None  # validation asks for one of the two
    outcome = _replicas.by_total(workload.replicas, value, thousandths(whole), workload.pods, tolerances)
    return outcome, MetricValueStatus(value=_amount(outcome.value))


def _some(pods: Sequence[Pod]) -> Sequence[Pod]:
    if not pods:
        raise MetricError("no pods returned by selector while calculating replica count")
    return pods


def _context(source: object) -> str:
    match source:
        case ResourceMetricSource():
            return f"failed to get {source.name} resource metric value"
        case ContainerResourceMetricSource():
            return f"failed to get {source.name} container metric value"
        case ExternalMetricSource():
            return f"failed to get {source.metric.name} external metric value"
        case PodsMetricSource():
            return "failed to get pods metric value"
        case _:
            return "failed to get object metric value"


def _amount(value: int) -> Quantity:
    return format_quantity(Fraction(value, 1000))


def _selector_text(selector: LabelSelector | None) -> str:
    return "" if selector is None else str(selector_of(selector))


def go_text(selector: LabelSelector | None) -> str:
    """Writes a selector as upstream's events show it."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.matchLabels or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{each.key},Operator:{each.operator},Values:[{' '.join(each.values or ())}],}},"
        for each in selector.matchExpressions or ()
    )
    lists = f"MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},"
    return f"&LabelSelector{{{lists}}}"
