"""Measures how many pods a second the scheduler decides on, on 5,000 nodes, without API server and bindings.

`python -m benchmarks.scheduler_bench [CASE ...]`: the cases are those of upstream's scheduler_perf, beside the pods per
second that it demands of kube-scheduler, bindings included. Each pod is decoded beforehand; taking it in counts.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scheduler.framework import Unfit
from scheduler.views.pod import Pod
from tests.kits.control_plane.scheduler import World, node, pod

NODES = 5000
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
Make = Callable[[int], Pod]


def small(index: int, **spec: Any) -> Pod:
    return pod(f"web-{index}", cpu="100m", memory="500Mi", **spec)


def term(key: str, colour: str) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"color": colour}}}


def large(index: int, **spec: Any) -> Pod:
    return pod(f"large-{index}", cpu="3", memory="500Mi", priority=10, **spec)


def coloured(colour: str, affinity: dict[str, Any] | None = None) -> Make:
    return lambda index: small(index, labels={"color": colour}, affinity=affinity)


def required(kind: str, key: str, colour: str) -> dict[str, Any]:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term(key, colour)]}}


def preferred(kind: str, key: str, colour: str) -> dict[str, Any]:
    weighted = {"weight": 1, "podAffinityTerm": term(key, colour)}
    return {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]}}


def spread(action: str) -> Make:
    constraint = {"maxSkew": 5, "whenUnsatisfiable": action, **term(ZONE, "blue")}
    return lambda index: small(index, labels={"color": "blue"}, topologySpreadConstraints=[constraint])


@dataclass(frozen=True)
class Case:
    demanded: int
    """Pods per second that upstream's thresholds demand."""
    first: Make | None
    """Makes the pods that are there before."""
    pods: Make
    count: int = 2000
    already: int = 1000
    full: bool = False
    """Whether four pods of low priority fill each node before."""


APART = required("podAntiAffinity", HOSTNAME, "green")
CASES = {
    "SchedulingBasic": Case(680, small, small, 5000),
    "SchedulingPodAntiAffinity": Case(60, coloured("green", APART), coloured("green", APART)),
    "SchedulingPodMatchingAntiAffinity": Case(595, coloured("green", APART), coloured("green"), 4000),
    "SchedulingPodAffinity": Case(35, None, coloured("blue", required("podAffinity", ZONE, "blue"))),
    "SchedulingPreferredPodAffinity": Case(90, None, coloured("red", preferred("podAffinity", HOSTNAME, "red"))),
    "SchedulingPreferredPodAntiAffinity": Case(
        90, None, coloured("red", preferred("podAntiAffinity", HOSTNAME, "red"))
    ),
    "TopologySpreading": Case(460, small, spread("DoNotSchedule"), already=5000),
    "PreferredTopologySpreading": Case(340, small, spread("ScheduleAnyway"), already=5000),
    "Preemption": Case(0, None, large, 500, full=True),
    "PreemptionWithAntiAffinity": Case(
        0, None, lambda index: large(index, labels={"color": "green"}, affinity=APART), 20, full=True
    ),
    "Unschedulable": Case(0, small, lambda index: pod(f"huge-{index}", cpu="9", priority=10), 500, 5000),
}


def filled(case: Case) -> World:
    world = World()
    world.placement._random = random.Random(1)
    for number in range(NODES):
        world.cache.put_node(node(f"n{number}", cpu="4", memory="32Gi", labels={ZONE: f"moon-{number % 3}"}))
        for index in range(4 if case.full else 0):
            started = f"2026-01-01T00:{(7 * number + index) % 60:02}:00Z"
            world.run(pod(f"low-{number}-{index}", cpu="900m", memory="500Mi", started=started), f"n{number}")
    for index in range(case.already if case.first else 0):
        assert case.first is not None
        world.place(case.first(-index - 1))
    return world


async def decide(world: World, item: Pod) -> None:
    """Places the pod, or does what PostFilter does for it."""
    cycle = world.cycle(item)
    outcome = world.placement.choose(cycle)
    if isinstance(outcome, Unfit):
        world.cache.nominations.put(item, (await world.framework.run_post_filter(cycle, outcome)).nominated or "")
    else:
        world.cache.assume(item, cycle.shape, outcome.node, cycle.storage)


async def main() -> None:
    for name in sys.argv[1:] or CASES:
        case = CASES[name]
        world = filled(case)
        pods = [case.pods(index) for index in range(case.count)]
        started = time.perf_counter()
        for item in pods:
            await decide(world, item)
        seconds = time.perf_counter() - started
        demanded = f"  (upstream demands {case.demanded})" if case.demanded else ""
        print(
            f"{name:36} {case.count / seconds:8,.0f} pods/s {1e6 * seconds / case.count:8,.0f} us{demanded}", flush=True
        )


if __name__ == "__main__":
    asyncio.run(main())
