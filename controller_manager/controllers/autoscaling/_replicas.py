"""Computes how many replicas bring a metric to its target. Pure; amounts are thousandths.

Pods whose reading says nothing yet must not decide: a pod that has just started burns CPU, and one without a reading
may be idle or busy. They are taken to be as they would hold the change back: busy where the others ask for fewer
replicas, idle where those ask for more. If that would turn the direction around, nothing changes.

Source: Kubernetes documentation, "Horizontal Pod Autoscaling", "Algorithm details".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from apimachinery.quantity import parse_quantity
from apimachinery.times import parse_time
from controller_manager.podstate import is_ready, ready_condition
from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.model import Pod

CPU = "cpu"


class MetricError(Exception):
    """A metric does not tell how many replicas there should be; the message is for people."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a pod's metric, the end of the time it is of in Unix seconds, and the length of that time."""

    value: int
    time: float
    window_seconds: float


Readings = Mapping[str, Reading]
"""Name of a pod -> its reading."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """The parts by which a metric may be below and above its target without a change."""

    down: float
    up: float

    def allow(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class StartUp:
    """For how many seconds after its start a pod's readings of CPU count only while it is ready, and within how many
    it must have been ready for the first time to count as having been so."""

    cpu_initialization_seconds: float
    initial_readiness_seconds: float


@dataclass(frozen=True, slots=True)
class Groups:
    """Pods by what their readings are good for. Those that end are in none of these groups."""

    ready: frozenset[str]
    unready: frozenset[str]
    missing: frozenset[str]


def group_pods(pods: Iterable[Pod], readings: Readings, resource: str, start_up: StartUp, now: float) -> Groups:
    """`resource` is "" for a metric that is not a resource; only CPU is special."""
    ready, unready, missing = set(), set(), set()
    for pod in pods:
        if pod.metadata.deletionTimestamp is not None or pod.status.phase == "Failed":
            continue
        if pod.status.phase == "Pending":
            unready.add(pod.name)
        elif pod.name not in readings:
            missing.add(pod.name)
        elif resource == CPU and not _settled(pod, readings[pod.name], start_up, now):
            unready.add(pod.name)
        else:
            ready.add(pod.name)
    return Groups(frozenset(ready), frozenset(unready), frozenset(missing))


def _settled(pod: Pod, reading: Reading, start_up: StartUp, now: float) -> bool:
    """Tells whether the pod's use of CPU is more than that of its start."""
    condition = ready_condition(pod)
    if condition is None or not pod.status.startTime:
        return False
    started = parse_time(pod.status.startTime)
    changed = parse_time(condition.lastTransitionTime) if condition.lastTransitionTime else 0.0
    if now < started + start_up.cpu_initialization_seconds:
        return condition.status != "False" and reading.time >= changed + reading.window_seconds
    return condition.status != "False" or changed >= started + start_up.initial_readiness_seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """`value` is what the metric was: the average for each pod, or the whole. `utilization` is a percentage."""

    replicas: int
    value: int
    utilization: int | None = None


def by_utilization(
    current: int, readings: Readings, requests: Mapping[str, int], target: int, groups: Groups, tolerances: Tolerances
) -> Outcome:
    """Brings the average use of a resource to `target` percent of what the pods request. Raises: MetricError."""

    def percent(values: Mapping[str, int]) -> int:
        requested = sum(requests[name] for name in values if name in requests)
        if not requested:
            raise MetricError("no metrics returned matched known pods")
        return sum(value for name, value in values.items() if name in requests) * 100 // requested

    values = _counted(readings, groups)
    matching = [value for name, value in values.items() if name in requests]
    replicas = _held_back(
        current,
        values,
        groups,
        tolerances,
        ratio=lambda values: percent(values) / target,
        busy=lambda name: requests.get(name, 0) * max(100, target) // 100,
    )
    return Outcome(replicas, sum(matching) // len(matching), percent(values))


def by_average(current: int, readings: Readings, target: int, groups: Groups, tolerances: Tolerances) -> Outcome:
    """Brings the average of a metric of each pod to `target`. Raises: MetricError."""

    def average(values: Mapping[str, int]) -> int:
        return sum(values.values()) // len(values)

    values = _counted(readings, groups)
    replicas = _held_back(
        current,
        values,
        groups,
        tolerances,
        ratio=lambda values: average(values) / target,
        busy=lambda name: target,
    )
    return Outcome(replicas, average(values))


def by_total(current: int, value: int, target: int, pods: Iterable[Pod], tolerances: Tolerances) -> Outcome:
    """Brings a metric that belongs to no pod to `target`, in proportion to the pods that are ready now.

    From no replicas at all there are as many as the target fits into the value. Raises: MetricError.
    """
    ratio = value / target
    if current == 0:
        return Outcome(math.ceil(ratio), value)
    if tolerances.allow(ratio):
        return Outcome(current, value)
    pods = list(pods)
    if not pods:
        raise MetricError(
            "unable to calculate ready pods: no pods returned by selector while calculating replica count"
        )
    return Outcome(math.ceil(ratio * sum(pod.status.phase == "Running" and is_ready(pod) for pod in pods)), value)


def by_share(current: int, value: int, target: int, tolerances: Tolerances) -> Outcome:
    """Divides a metric that belongs to no pod so that each replica's share is `target`."""
    share = math.ceil(value / current) if current else value
    if current and tolerances.allow(value / (target * current)):
        return Outcome(current, share)
    return Outcome(math.ceil(value / target), share)


def _counted(readings: Readings, groups: Groups) -> dict[str, int]:
    values = {name: reading.value for name, reading in readings.items() if name in groups.ready}
    if not values:
        raise MetricError("did not receive metrics for any ready pods")
    return values


def _held_back(
    current: int,
    values: Mapping[str, int],
    groups: Groups,
    tolerances: Tolerances,
    *,
    ratio: Callable[[Mapping[str, int]], float],
    busy: Callable[[str], int],
) -> int:
    """Returns the number of replicas, with the pods that can't be judged taken as they hold the change back."""
    first = ratio(values)
    grows = first > 1.0
    if not groups.missing and not (groups.unready and grows):
        return current if tolerances.allow(first) else math.ceil(first * len(groups.ready))
    assumed = dict(values)
    if first < 1.0:
        assumed |= {name: busy(name) for name in groups.missing}
    elif grows:
        assumed |= dict.fromkeys(groups.missing | groups.unready, 0)
    second = ratio(assumed)
    if tolerances.allow(second) or (first < 1.0 < second) or (second < 1.0 < first):
        return current
    replicas = math.ceil(second * len(assumed))
    turned = (second < 1.0 and replicas > current) or (second > 1.0 and replicas < current)
    return current if turned else replicas


def pod_requests(pods: Iterable[Pod], resource: str, container: str = "") -> dict[str, int]:
    """Returns what each pod, or its container of that name, requests. Raises: MetricError for a missing request."""
    requests = {}
    for pod in pods:
        whole = pod.spec.resources.requests if pod.spec.resources is not None else None
        if not container and whole and resource in whole:
            requests[pod.name] = thousandths(whole[resource])
            continue
        sidecars = [each for each in pod.spec.initContainers or () if is_sidecar(each)]
        total = 0
        for each in (*pod.spec.containers, *sidecars):
            if container and each.name != container:
                continue
            amount = (each.resources.requests or {}).get(resource)
            if amount is None:
                raise MetricError(f"missing request for {resource} in container {each.name} of Pod {pod.name}")
            total += thousandths(amount)
        requests[pod.name] = total
    return requests


def thousandths(quantity: str) -> int:
    """ "250m" -> 250, "1Ki" -> 1024000; rounded up."""
    return math.ceil(parse_quantity(quantity) * 1000)
