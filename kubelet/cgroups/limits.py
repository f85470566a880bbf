"""Decides which control group a pod has, and the limits of it and of the groups around all pods. Pure.

Source: Kubernetes documentation, "Reserve Compute Resources for System Daemons", "Pod Overhead"; KEP 2837, "Pod Level
Resource Specifications"; the layout is that of the kubelet's cgroupfs driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil

from apimachinery.quantity import byte_count, cpu_millis
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.requests import HUGE_PAGES_PREFIX, bounding_limits, pod_resources
from kubelet.container.limits import QUOTA_PERIOD_US, cpu_quota_us, cpu_shares, qos_class
from kubelet.runtime.configs import Resources

KUBEPODS = "/kubepods"
BURSTABLE, BEST_EFFORT = f"{KUBEPODS}/burstable", f"{KUBEPODS}/besteffort"
CLASS_GROUPS = {"Guaranteed": KUBEPODS, "Burstable": BURSTABLE, "BestEffort": BEST_EFFORT}
POD_PREFIX = "pod"


def pod_group(pod: Pod) -> str:
    """Returns the path below the root of all groups: "/kubepods/burstable/pod0123…"."""
    return f"{CLASS_GROUPS[qos_class(pod)]}/{POD_PREFIX}{pod.metadata.uid}"


def requested_millis(pod: Pod) -> int:
    """Returns the CPU that the pod requests as a whole, in thousandths."""
    return cpu_millis(pod_resources(pod.spec, "requests").get("cpu", "0"))


def pod_limits(pod: Pod, *, pids_limit: int = 0, own_cpus: bool = False) -> Resources:
    """The pod has a CPU or memory limit if it gives one itself, or if each of its containers has one.

    A pod with CPUs of its own (`own_cpus`) is not held back on them.
    """
    limits, requests = bounding_limits(pod.spec), pod_resources(pod.spec, "requests")
    quota = 0 if own_cpus else cpu_quota_us(cpu_millis(limits.get("cpu", "0")))
    return Resources(
        cpu_shares=cpu_shares(requested_millis(pod)),
        cpu_quota_us=quota,
        cpu_period_us=QUOTA_PERIOD_US,
        memory_limit_bytes=byte_count(limits.get("memory", "0")),
        pids_limit=pids_limit,
        huge_pages={
            page_size(name): byte_count(value) for name, value in requests.items() if name.startswith(HUGE_PAGES_PREFIX)
        },
    )


def page_size(resource: str) -> str:
    """ "hugepages-2Mi" -> "2MB", the kernel's word for it."""
    size = byte_count(resource.removeprefix(HUGE_PAGES_PREFIX))
    for unit, shift in (("GB", 30), ("MB", 20)):
        if size >= 1 << shift:
            return f"{size >> shift}{unit}"
    return f"{size >> 10}KB"


def node_limits(capacity: Mapping[str, Fraction], reserved: Mapping[str, Fraction]) -> Resources:
    """Returns what all pods together may have: the capacity less what is reserved for others.

    What a hard eviction threshold keeps free is not taken off: pods that use it are evicted, not killed.
    """
    left = {name: max(value - reserved.get(name, Fraction(0)), Fraction(0)) for name, value in capacity.items()}
    return reserved_limits(left)


def reserved_limits(amounts: Mapping[str, Fraction]) -> Resources:
    """Returns the limits of a group that has these amounts of cpu, memory and pid; what is not named has none."""
    cpu, memory, pids = (amounts.get(name, Fraction(0)) for name in ("cpu", "memory", "pid"))
    shares = cpu_shares(ceil(cpu * 1000)) if "cpu" in amounts else 0
    return Resources(shares, memory_limit_bytes=int(memory), pids_limit=int(pids))


def wider(one: Resources, other: Resources) -> Resources:
    """Returns the higher of each two limits, so that what either allows stays allowed; 0 is no limit."""
    return replace(
        other,
        cpu_shares=max(one.cpu_shares, other.cpu_shares),
        cpu_quota_us=_higher(one.cpu_quota_us, other.cpu_quota_us),
        memory_limit_bytes=_higher(one.memory_limit_bytes, other.memory_limit_bytes),
    )


def _higher(one: int, other: int) -> int:
    return max(one, other) if one and other else 0
