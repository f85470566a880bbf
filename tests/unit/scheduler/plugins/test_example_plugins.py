"""The plugins in examples/scheduler-plugins: what they decide."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from example_plugins import gang, measured_use
from example_plugins.gang import GangArgs, size_of
from example_plugins.measured_use import MeasuredUse, MeasuredUseArgs, NodeMetrics

from apimachinery.errors import NotFound, ServiceUnavailable
from apimachinery.model import from_dict
from kubeclient.wire import Listing
from scheduler.events import Change, ClusterEvent
from scheduler.framework import Rejected, collect_plugins
from tests.kits.control_plane.scheduler import World, node, pod

Use = tuple[str, str, int | None]
"""CPU, memory, and the free share of the disk in percent; None for a kubelet that doesn't answer."""


class FakeApi:
    """Has what nodes use."""

    def __init__(self) -> None:
        self.uses: dict[str, Use] = {}

    async def list(self, resource: Any) -> Listing[NodeMetrics]:
        metrics = [
            from_dict(NodeMetrics, {"metadata": {"name": name}, "usage": {"cpu": cpu, "memory": memory}})
            for name, (cpu, memory, _) in self.uses.items()
        ]
        return Listing(metrics, "1")

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        free = self.uses[path.split("/")[4]][2]
        if free is None:
            raise ServiceUnavailable("kubelet")
        return json.dumps({"node": {"fs": {"availableBytes": free, "capacityBytes": 100}}}).encode()


class Measured:
    """A world of nodes with 4 CPUs and 8Gi that the plugin measures."""

    def __init__(self, *names: str, **args: Any) -> None:
        spec = replace(measured_use.PLUGIN, args=MeasuredUseArgs(**args))
        self.world = World(*(node(name) for name in names), specs=[*collect_plugins(), spec])
        plugin = self.world.framework.plugins["MeasuredUse"]
        assert isinstance(plugin, MeasuredUse)
        self.plugin, self.api, self.events = plugin, FakeApi(), list[ClusterEvent]()
        plugin.handle = replace(plugin.handle, rest=self.api, happened=self.events.append)  # type: ignore[arg-type]

    async def measure(self, **uses: Use) -> None:
        self.api.uses = uses
        await self.plugin.measure()


async def test_busy_and_full_nodes_get_no_pods_until_they_have_room_again() -> None:
    measured = Measured("busy", "full", "free", "silent")
    assert measured.world.fitting(pod) == {"busy", "full", "free", "silent"}
    use = ("1", "2Gi", 50)
    await measured.measure(busy=("3700m", "1Gi", 90), full=("0", "0", 9), free=use, silent=("1", "7500Mi", None))
    assert measured.world.fitting(pod) == {"free"}
    assert measured.world.message(pod(cpu="5")).count("Insufficient cpu") == 1
    world = measured.world
    counts = measured.plugin.reasons(world.cycle(pod()), measured_rows(world, "busy", "full", "silent"))
    assert counts == {"node(s) were measured to be busy": 2, "node(s) were measured to be short of disk": 1}
    await measured.measure(busy=use, full=use, free=use)
    assert measured.world.fitting(pod) == {"busy", "full", "free", "silent"}


def measured_rows(world: World, *names: str) -> Any:
    import numpy as np

    return np.array([world.cache.table.rows[name] for name in names])


async def test_nodes_with_more_to_spare_are_preferred() -> None:
    measured = Measured("a", "b", "c")
    await measured.measure(a=("2", "4Gi", 50), b=("1", "2Gi", 75))
    assert measured.world.scores("MeasuredUse", pod()) == {"a": 50, "b": 75, "c": 100}


async def test_a_new_measurement_wakes_refused_pods_if_it_differs() -> None:
    measured = Measured("a")
    for cpu in ("2", "2", "1"):
        await measured.measure(a=(cpu, "1Gi", 50))
    assert [event.resource for event in measured.events] == ["NodeMeasurement"] * 2
    assert measured.plugin.handle.table is measured.world.cache.table
    shape = measured.world.cache.shapes.of(pod())
    assert measured.world.framework.may_help(frozenset(("MeasuredUse",)), shape, measured.events[0])


async def test_it_goes_on_measuring_when_metrics_are_away(monkeypatch: pytest.MonkeyPatch) -> None:
    measured, tries = Measured("a"), list[int]()

    async def absent(resource: Any) -> Any:
        tries.append(1)
        raise NotFound("metrics.k8s.io")

    async def no_sleep(seconds: float) -> None:
        assert seconds == 15
        if len(tries) == 2:
            raise asyncio.CancelledError

    measured.api.list = absent  # type: ignore[method-assign]
    monkeypatch.setattr("example_plugins.measured_use.asyncio.sleep", no_sleep)
    with pytest.raises(asyncio.CancelledError):
        await measured.plugin.run()


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        (MeasuredUseArgs(), []),
        (MeasuredUseArgs(mostUsedPercent=101, periodSeconds=-1), ["mostUsedPercent", "periodSeconds"]),
        (MeasuredUseArgs(leastFreeDiskPercent=-1), ["leastFreeDiskPercent"]),
        (GangArgs(), []),
        (GangArgs(waitSeconds=-1), ["waitSeconds"]),
    ],
)
def test_arguments_are_checked(args: MeasuredUseArgs | GangArgs, fields: list[str]) -> None:
    assert [error.field for error in args.errors()] == fields


@pytest.mark.parametrize(("text", "size"), [("3", 3), ("", 0), ("x", 0), ("-1", 0), ("²", 0)])
def test_the_size_of_a_gang_is_a_number(text: str, size: int) -> None:
    labels = {gang.NAME: "g", gang.SIZE: text}
    assert size_of(labels) == size
    world = World(node(), specs=[*collect_plugins(), gang.PLUGIN])
    answer = world.framework.plugins["Gang"].pre_filter(world.cycle(pod(labels=labels)))
    assert isinstance(answer, Rejected) is (size == 0)


def test_a_placed_pod_wakes_those_of_its_gang() -> None:
    world = World(node(), specs=[*collect_plugins(), gang.PLUGIN])
    one, other = ({gang.NAME: name, gang.SIZE: "2"} for name in ("one", "other"))
    shape = world.cache.shapes.of(pod(labels=one))
    for labels, helps in ((one, True), (other, False)):
        event = ClusterEvent(gang.MEMBER_PLACED, Change.ADD, None, pod(labels=labels))
        assert world.framework.may_help(frozenset(("Gang",)), shape, event) is helps
