"""Sets the size of workloads by metrics, as HorizontalPodAutoscalers ask for it.

Every autoscaler is looked at when its spec changes, and once in --horizontal-pod-autoscaler-sync-period. What was
proposed and done lately is in memory alone: after a restart, a workload first keeps its size for the windows of
stabilization, as upstream's does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from apimachinery.conditions import set_condition
from apimachinery.errors import BadRequest, StatusError
from apimachinery.quantity import parse_quantity
from apimachinery.selectors import Selector, parse_label_selector
from apimachinery.times import format_time
from componentbase import logs
from controller_manager.controllers.autoscaling._limits import Bounds, History, limit
from controller_manager.controllers.autoscaling._metrics import (
    COMPUTATION_SECONDS,
    COMPUTATIONS,
    RECONCILIATION_SECONDS,
    RECONCILIATIONS,
    action,
)
from controller_manager.controllers.autoscaling._metricsclient import MetricsClient
from controller_manager.controllers.autoscaling._proposals import MetricFailure, Proposal, Proposer, Workload
from controller_manager.controllers.autoscaling._replicas import StartUp, Tolerances
from controller_manager.controllers.autoscaling._scales import Scales, UnknownKind
from controller_manager.writes import write_status
from kubeapi.autoscaling.horizontalpodautoscaler.metrics import MetricSpec, MetricStatus
from kubeapi.autoscaling.horizontalpodautoscaler.model import (
    ABLE_TO_SCALE,
    SCALING_ACTIVE,
    SCALING_LIMITED,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerStatus,
)
from kubeapi.autoscaling.scale import Scale
from kubeapi.core.pod.model import Pod
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, latest

log = logs.logger(__name__)


class Unscalable(Exception):
    """Nothing can be decided about the workload; conditions and events have told why."""


@dataclass
class Memory:
    """Keeps what an autoscaler needs to know of its looks before."""

    history: History = field(default_factory=History)
    selector: Selector | None = None
    """That of its workload's pods: no other autoscaler may have one that selects the same pods."""


class Look:
    """One look at an autoscaler: collects what its status comes to say."""

    def __init__(self, autoscaler: HorizontalPodAutoscaler, now: float) -> None:
        self.autoscaler, self._now = autoscaler, now
        self.status: HorizontalPodAutoscalerStatus = autoscaler.status.clone()
        self.action, self.error = "none", "none"

    def condition(self, kind: str, holds: bool, reason: str, message: str) -> None:
        condition = HorizontalPodAutoscalerCondition(
            type=kind,
            status=str(holds),
            reason=reason,
            message=message,
            lastTransitionTime=format_time(self._now),
        )
        self.status.conditions = set_condition(self.status.conditions, condition)

    def decided(self, current: int, desired: int | None, readings: Sequence[MetricStatus], *, rescaled: bool) -> None:
        """`desired` None leaves the last decision."""
        self.status.currentReplicas = current or None
        if desired is not None:
            self.status.desiredReplicas = desired
        self.status.currentMetrics = list(readings)
        if rescaled:
            self.status.lastScaleTime = format_time(self._now)


class HorizontalPodAutoscalerReconciler:
    def __init__(self, context: ControllerContext) -> None:
        options = context.options
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._autoscalers = context.informers.of(HorizontalPodAutoscaler)
        self._pods = context.informers.of(Pod)
        self._scales = Scales(context.rest, context.clock)
        start_up = StartUp(
            options.horizontal_pod_autoscaler_cpu_initialization_period,
            options.horizontal_pod_autoscaler_initial_readiness_delay,
        )
        self._proposer = Proposer(MetricsClient(context.rest), self._scales, start_up)
        self._period_seconds: float = options.horizontal_pod_autoscaler_sync_period
        self._down_window_seconds: float = options.horizontal_pod_autoscaler_downscale_stabilization
        self._tolerance: float = options.horizontal_pod_autoscaler_tolerance
        self._memories: dict[str, Memory] = {}
        """By the key of the autoscaler."""

    def changed(self, old: HorizontalPodAutoscaler | None, new: HorizontalPodAutoscaler | None) -> Iterable[str]:
        """Wakes an autoscaler whose spec has changed: its status is this controller's own."""
        if old is None or new is None or old.spec != new.spec or old.metadata.uid != new.metadata.uid:
            yield latest(old, new).key

    async def reconcile(self, key: str) -> Result:
        autoscaler = self._autoscalers.get(key)
        if autoscaler is None or autoscaler.metadata.deletionTimestamp is not None:
            self._memories.pop(key, None)
            return DONE
        look, started = Look(autoscaler, self._clock.now()), time.monotonic()
        try:
            await self._scale(look)
        except Unscalable as error:
            log.debug("autoscaler can't decide", autoscaler=key, error=str(error))
        finally:
            RECONCILIATIONS.labels(look.action, look.error).inc()
            RECONCILIATION_SECONDS.labels(look.action, look.error).observe(time.monotonic() - started)
        await write_status(self._rest, autoscaler, look.status)
        return after(self._period_seconds)

    async def _scale(self, look: Look) -> None:
        """Raises: Unscalable."""
        autoscaler = look.autoscaler
        spec = autoscaler.spec
        scale, path = await self._read_scale(look)
        current = scale.spec.replicas
        memory = self._memories.setdefault(autoscaler.key, Memory())
        if not memory.history.proposals:
            memory.history.proposals.append((self._clock.monotonic(), current))
        readings: list[MetricStatus] = []
        if current == 0 and spec.minReplicas != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            look.condition(SCALING_ACTIVE, False, "ScalingDisabled", text)
            desired, why = 0, ""
        elif current > spec.maxReplicas:
            desired, why = spec.maxReplicas, "Current number of replicas above Spec.MaxReplicas"
        elif current < spec.minReplicas:
            desired, why = spec.minReplicas, "Current number of replicas below Spec.MinReplicas"
        else:
            proposed, metric, readings = await self._propose(look, scale, memory)
            why = f"{metric} above target" if proposed > current else "All metrics below target"
            desired = self._limited(look, current, proposed, memory.history)
        if desired != current:
            await self._rescale(look, scale, path, desired, why)
            memory.history.note_change(current, desired, spec.behavior, self._clock.monotonic())
        look.decided(current, desired, readings, rescaled=desired != current)

    async def _read_scale(self, look: Look) -> tuple[Scale, str]:
        autoscaler = look.autoscaler
        try:
            scale, path = await self._scales.read(autoscaler.namespace, autoscaler.spec.scaleTargetRef)
        except (UnknownKind, StatusError, ConnectionError, TimeoutError) as error:
            text = f"the HPA controller was unable to get the target's current scale: {error}"
            look.condition(ABLE_TO_SCALE, False, "FailedGetScale", text)
            raise self._failed(look, "FailedGetScale", str(error)) from None
        text = "the HPA controller was able to get the target's current scale"
        look.condition(ABLE_TO_SCALE, True, "SucceededGetScale", text)
        return scale, path

    def _failed(self, look: Look, reason: str, message: str, *, error: str = "internal") -> Unscalable:
        look.error = error if look.error == "none" else look.error
        self._recorder.event(look.autoscaler, "Warning", reason, message)
        return Unscalable(message)

    async def _propose(self, look: Look, scale: Scale, memory: Memory) -> tuple[int, str, list[MetricStatus]]:
        """Returns the largest of what the metrics propose, the metric that does, and the readings.

        Metrics that can't be read count only against shrinking. Raises: Unscalable.
        """
        autoscaler = look.autoscaler
        current, metrics = scale.spec.replicas, autoscaler.spec.metrics or []
        best: Proposal | None = None
        failures: list[MetricFailure] = []
        readings: list[MetricStatus] = []
        try:
            workload = self._workload(look, scale, memory)
            for metric in metrics:
                try:
                    proposal = await self._measure(metric, workload, autoscaler)
                except MetricFailure as failure:
                    self._recorder.event(autoscaler, "Warning", failure.reason, str(failure))
                    failures.append(failure)
                    readings.append(MetricStatus())
                else:
                    readings.append(proposal.status)
                    if best is None or proposal.replicas > best.replicas:
                        best = proposal
            if best is None or (failures and best.replicas < current):
                first = failures[0]
                text = f"the HPA was unable to compute the replica count: {first}"
                look.condition(SCALING_ACTIVE, False, first.reason, text)
                context = f"{first.context}: " if first.context else ""
                text = (
                    f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), first error is: {context}{first}"
                )
                raise Unscalable(text)
        except Unscalable as error:
            look.decided(current, None, readings, rescaled=False)
            raise self._failed(look, "FailedComputeMetricsReplicas", str(error)) from None
        text = f"the HPA was able to successfully calculate a replica count from {best.metric}"
        look.condition(SCALING_ACTIVE, True, "ValidMetricFound", text)
        return best.replicas, best.metric, readings

    async def _measure(self, metric: MetricSpec, workload: Workload, autoscaler: HorizontalPodAutoscaler) -> Proposal:
        started, did, error = time.monotonic(), "none", "none"
        try:
            proposal = await self._proposer.propose(metric, workload, self._tolerances(autoscaler), self._clock.now())
            did = action(workload.replicas, proposal.replicas)
        except MetricFailure:
            error = "internal"
            raise
        finally:
            COMPUTATIONS.labels(did, error, metric.type).inc()
            COMPUTATION_SECONDS.labels(did, error, metric.type).observe(time.monotonic() - started)
        return proposal

    def _workload(self, look: Look, scale: Scale, memory: Memory) -> Workload:
        """Finds the pods. Raises: Unscalable for a scale without a selector, and for pods of several autoscalers."""
        namespace = look.autoscaler.namespace
        if not scale.status.selector:
            text = "the HPA target's scale is missing a selector"
            look.condition(SCALING_ACTIVE, False, "InvalidSelector", text)
            raise self._failed(look, "SelectorRequired", "selector is required", error="spec")
        try:
            selector = parse_label_selector(scale.status.selector)
        except BadRequest as error:
            text = f"couldn't convert selector into a corresponding internal selector object: {error}"
            look.condition(SCALING_ACTIVE, False, "InvalidSelector", text)
            raise self._failed(look, "InvalidSelector", text, error="spec") from None
        memory.selector = selector
        pods = [pod for pod in self._pods.list(namespace) if selector.matches(pod.labels)]
        if len(keys := self._selecting(namespace, pods)) > 1:
            text = f"pods by selector {selector} are controlled by multiple HPAs: [{' '.join(keys)}]"
            look.condition(SCALING_ACTIVE, False, "AmbiguousSelector", text)
            raise self._failed(look, "AmbiguousSelector", text, error="spec")
        return Workload(namespace, scale, pods, scale.status.selector)

    def _selecting(self, namespace: str, pods: Iterable[Pod]) -> list[str]:
        selectors = {
            key: memory.selector
            for key, memory in self._memories.items()
            if memory.selector is not None and key.partition("/")[0] == namespace
        }
        if len(selectors) < 2:
            return list(selectors)
        return sorted({key for pod in pods for key, selector in selectors.items() if selector.matches(pod.labels)})

    def _tolerances(self, autoscaler: HorizontalPodAutoscaler) -> Tolerances:
        behavior = autoscaler.spec.behavior
        rules = (behavior.scaleDown, behavior.scaleUp) if behavior is not None else (None, None)
        down, up = (
            self._tolerance if each is None or each.tolerance is None else float(parse_quantity(each.tolerance))
            for each in rules
        )
        return Tolerances(down, up)

    def _limited(self, look: Look, current: int, proposed: int, history: History) -> int:
        spec = look.autoscaler.spec
        result = limit(
            proposed,
            current,
            Bounds(spec.minReplicas, spec.maxReplicas),
            spec.behavior,
            history,
            self._clock.monotonic(),
            self._down_window_seconds,
        )
        look.condition(ABLE_TO_SCALE, True, *result.able)
        look.condition(SCALING_LIMITED, result.limited, *result.limit)
        return result.replicas

    async def _rescale(self, look: Look, scale: Scale, path: str, desired: int, why: str) -> None:
        autoscaler, current = look.autoscaler, scale.spec.replicas
        try:
            await self._scales.write(path, scale, desired)
        except (StatusError, ConnectionError, TimeoutError) as error:
            text = f"the HPA controller was unable to update the target scale: {error}"
            look.condition(ABLE_TO_SCALE, False, "FailedUpdateScale", text)
            look.decided(current, None, look.status.currentMetrics, rescaled=False)
            text = f"New size: {desired}; reason: {why}; error: {error}"
            raise self._failed(look, "FailedRescale", text) from None
        look.action = action(current, desired)
        text = f"the HPA controller was able to update the target scale to {desired}"
        look.condition(ABLE_TO_SCALE, True, "SucceededRescale", text)
        self._recorder.event(autoscaler, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {why}")
        log.info("workload rescaled", autoscaler=autoscaler.key, old=current, new=desired, reason=why)


CONTROLLER = ControllerSpec(
    "horizontal-pod-autoscaler-controller",
    HorizontalPodAutoscalerReconciler,
    [Watch(HorizontalPodAutoscaler, HorizontalPodAutoscalerReconciler.changed)],
    workers_flag="--concurrent-horizontal-pod-autoscaler-syncs",
    subjects="autoscalers",
    service_account="horizontal-pod-autoscaler",
    event_source="horizontal-pod-autoscaler",
)
