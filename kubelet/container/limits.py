"""Turns requests and limits into what the kernel enforces: CPU weight and quota, memory limit, OOM score. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from apimachinery.quantity import byte_count, cpu_millis, parse_quantity
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION, is_sidecar
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.strategy import qos
from kubelet.runtime.configs import MIN_CPU_SHARES, Resources

QosClass = Literal["Guaranteed", "Burstable", "BestEffort"]

SHARES_PER_CPU = 1024
MAX_CPU_SHARES = 262_144  # the kernel's own bound
QUOTA_PERIOD_US = 100_000
MIN_QUOTA_US = 1_000

GUARANTEED_OOM_SCORE_ADJ = -997
BEST_EFFORT_OOM_SCORE_ADJ = 1000
NODE_CRITICAL_PRIORITY = 2_000_001_000  # priority class system-node-critical
SYSTEM_CRITICAL_PRIORITY = 2_000_000_000
"""Pods are critical from here on: the priority of the class system-cluster-critical."""
SOURCE_ANNOTATION = "kubernetes.io/config.source"
"""Says where the kubelet has a pod from, if not from the API."""

QOS_RESOURCES = ("cpu", "memory")


def qos_class(pod: Pod) -> QosClass:
    """Returns the class that the API server gave the pod, else the one that follows from the spec."""
    if pod.status.qosClass in ("Guaranteed", "Burstable", "BestEffort"):
        return cast(QosClass, pod.status.qosClass)
    return cast(QosClass, qos.qos_class(pod.spec))


def is_critical(pod: Pod) -> bool:
    """Tells whether the node cannot do without the pod: by its priority, or because a file on the node asks for it."""
    if (pod.spec.priority or 0) >= SYSTEM_CRITICAL_PRIORITY:
        return True
    return MIRROR_ANNOTATION in pod.annotations or pod.annotations.get(SOURCE_ANNOTATION, "api") != "api"


def _amounts(container: Container, which: Literal["limits", "requests"]) -> Mapping[str, str]:
    """Returns the amounts that are not zero: a zero request or limit does not count."""
    amounts = getattr(container.resources, which) if container.resources else None
    return {name: value for name, value in (amounts or {}).items() if parse_quantity(value) != 0}


def cpu_shares(millis: int) -> int:
    """250 -> 256; no request still gets the least weight."""
    return min(max(millis * SHARES_PER_CPU // 1000, MIN_CPU_SHARES), MAX_CPU_SHARES)


def cpu_quota_us(millis: int) -> int:
    """CPU time per QUOTA_PERIOD_US; 0 means no limit."""
    return max(millis * QUOTA_PERIOD_US // 1000, MIN_QUOTA_US) if millis else 0


def oom_score_adj(pod: Pod, container: Container, memory_capacity_bytes: int) -> int:
    """The more memory a burstable container asked for, the later the kernel kills it.

    Source: Kubernetes, "Node out of memory behavior".
    """
    if (pod.spec.priority or 0) >= NODE_CRITICAL_PRIORITY:
        return GUARANTEED_OOM_SCORE_ADJ
    qos = qos_class(pod)
    if qos == "Guaranteed":
        return GUARANTEED_OOM_SCORE_ADJ
    if qos == "BestEffort" or memory_capacity_bytes <= 0:
        return BEST_EFFORT_OOM_SCORE_ADJ
    requested = _memory_request(container)
    if container in filter(is_sidecar, pod.spec.initContainers or ()):
        requested = max(requested, min(map(_memory_request, pod.spec.containers)))  # the containers lean on it
    requested += _unclaimed_memory(pod)
    score = 1000 - 1000 * requested // memory_capacity_bytes
    return min(max(score, 1000 + GUARANTEED_OOM_SCORE_ADJ), BEST_EFFORT_OOM_SCORE_ADJ - 1)


def _memory_request(container: Container) -> int:
    limits, requests = _amounts(container, "limits"), _amounts(container, "requests")
    return byte_count(requests.get("memory", limits.get("memory", "0")))


def _unclaimed_memory(pod: Pod) -> int:
    """Returns each container's share of the memory that the pod as a whole requests beyond its containers."""
    requests = pod.spec.resources.requests if pod.spec.resources else None
    if not requests or "memory" not in requests:
        return 0
    containers = [*pod.spec.containers, *filter(is_sidecar, pod.spec.initContainers or ())]
    return max(0, byte_count(requests["memory"]) - sum(map(_memory_request, containers))) // len(containers)


def container_resources(pod: Pod, container: Container, memory_capacity_bytes: int, pids_limit: int = 0) -> Resources:
    """The cgroup limits of one container; the node's memory is needed for its OOM score.

    A container without a limit of its own has that of the whole pod.
    """
    whole = pod.spec.resources.limits if pod.spec.resources else None
    limits = {name: value for name, value in (whole or {}).items() if name in QOS_RESOURCES}
    limits |= _amounts(container, "limits")
    requests = _amounts(container, "requests")
    return Resources(
        cpu_shares=cpu_shares(cpu_millis(requests.get("cpu", limits.get("cpu", "0")))),
        cpu_quota_us=cpu_quota_us(cpu_millis(limits.get("cpu", "0"))),
        cpu_period_us=QUOTA_PERIOD_US if limits.get("cpu") else 0,
        memory_limit_bytes=byte_count(limits.get("memory", "0")),
        oom_score_adj=oom_score_adj(pod, container, memory_capacity_bytes),
        pids_limit=pids_limit,
    )
