"""How long pods have to end when their host is switched off: the flags, and which pod falls into which period. Pure.

Source: Kubernetes documentation, "Node Shutdowns".
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from componentbase.flags import add_duration, parse_map
from kubeapi.core.pod.model import Pod
from kubelet.configuration import BadConfiguration
from kubelet.container.limits import SYSTEM_CRITICAL_PRIORITY


@dataclass(frozen=True, slots=True)
class ShutdownPeriod:
    """The time that pods of this priority, up to that of the next period, have to end."""

    priority: int
    seconds: int


class PriorityPeriods:
    """Parses --shutdown-grace-period-by-pod-priority, which is a list of objects in a KubeletConfiguration."""

    def __call__(self, text: str) -> tuple[ShutdownPeriod, ...]:
        """ "0=20,1000=10" -> 20 s for pods of a priority from 0, 10 s for those from 1000.

        Raises: argparse.ArgumentTypeError.
        """
        try:
            return tuple(ShutdownPeriod(int(key), int(value)) for key, value in parse_map(text).items())
        except ValueError:
            raise argparse.ArgumentTypeError(f"invalid periods {text!r}: write them like 0=20,1000=10") from None

    def from_field(self, value: Any) -> str:
        try:
            return ",".join(f"{item['priority']}={item['shutdownGracePeriodSeconds']}" for item in value)
        except (KeyError, TypeError):
            raise BadConfiguration(f"shutdownGracePeriodByPodPriority: Invalid value: {value!r}") from None

    def to_field(self, value: Any) -> list[dict[str, Any]]:
        periods: Iterable[ShutdownPeriod] = value
        return [{"priority": item.priority, "shutdownGracePeriodSeconds": item.seconds} for item in periods]


def add_shutdown_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("shutdown of the host")
    add_duration(group, "--shutdown-grace-period", 0, "all the time that pods have to end; 0: they lose their power")
    add_duration(
        group, "--shutdown-grace-period-critical-pods", 0, "the part of it that critical pods have, after the others"
    )
    group.add_argument(
        "--shutdown-grace-period-by-pod-priority",
        type=PriorityPeriods(),
        default=(),
        metavar="PRIORITY=SECONDS,…",
        help="the time of each group of pods, from the least important one, in place of these two",
    )


def shutdown_periods(args: argparse.Namespace) -> tuple[ShutdownPeriod, ...]:
    """Reads the flags; none: pods are not ended. Raises: ValueError."""
    total, critical = args.shutdown_grace_period, args.shutdown_grace_period_critical_pods
    periods: tuple[ShutdownPeriod, ...] = args.shutdown_grace_period_by_pod_priority
    if periods and (total or critical):
        raise ValueError("--shutdown-grace-period-by-pod-priority and --shutdown-grace-period exclude each other")
    if any(item.seconds < 0 for item in periods) or len({item.priority for item in periods}) < len(periods):
        raise ValueError("--shutdown-grace-period-by-pod-priority: want one positive time for each priority")
    if periods:
        return tuple(sorted(periods, key=lambda item: item.priority))
    if critical > total:
        raise ValueError("--shutdown-grace-period-critical-pods: it is a part of --shutdown-grace-period")
    if 0 < total < 1 or 0 < critical < 1:
        raise ValueError("--shutdown-grace-period: want 0, or at least 1s")
    if not total:
        return ()
    return ShutdownPeriod(0, int(total - critical)), ShutdownPeriod(SYSTEM_CRITICAL_PRIORITY, int(critical))


def shutdown_groups(periods: Sequence[ShutdownPeriod], pods: Iterable[Pod]) -> list[tuple[ShutdownPeriod, list[Pod]]]:
    """Puts each pod into the last period that its priority reaches, else the first; the least important come first."""
    groups: list[tuple[ShutdownPeriod, list[Pod]]] = [(period, []) for period in periods]
    for pod in pods:
        reached = [index for index, period in enumerate(periods) if period.priority <= (pod.spec.priority or 0)]
        groups[reached[-1] if reached else 0][1].append(pod)
    return [group for group in groups if group[1]]
