"""When kube-proxy syncs, and what it does when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from apimachinery.model import from_dict
from componentbase.clock import Clock
from componentbase.host.process import CommandError
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointHints, EndpointSlice, ForZone
from kubeproxy.family import FamilyRules, Kernel
from kubeproxy.flows.conntrack import Flow, UdpCleaner
from kubeproxy.ledger import Delta, Fragment, Ledger
from kubeproxy.proxier import NodePortsOn, Proxier
from kubeproxy.service_map import TRIGGER_TIME, ServiceMap
from kubeproxy.settings import Mode
from kubeproxy.topology import Place, ServicePort
from tests.kits.eventually import eventually_async
from tests.kits.tasks import background

MIN_SYNC_SECONDS = 1.0
SYNC_SECONDS = 30.0


class SteppingClock(Clock):
    """Sleeping moves time on at once."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


class FakeMonitor:
    def __init__(self) -> None:
        self.altered = self.blind = False
        self.on_change: Callable[[], None] = lambda: None

    def reset(self) -> None:
        self.altered = False


class FakeKernel(Kernel):
    """Its rules are the endpoints of each Service."""

    mode = Mode.IPTABLES

    def __init__(self) -> None:
        self.monitor: Any = FakeMonitor()
        self.writes: list[str] = []
        self.repairs: list[tuple[bool, str]] = []
        self.failures = 0

    @property
    def syncs(self) -> int:
        return len(self.writes) + len(self.repairs)

    def base(self, node_ports_on: tuple[str, ...] | None) -> Fragment:
        return Fragment({("base", "node ports"): node_ports_on or ()})

    def fragment(self, ports: Sequence[ServicePort]) -> Fragment:
        return Fragment({("service", port.service): tuple(end.ip for end in port.endpoints) for port in ports})

    async def write(self, delta: Delta) -> None:
        self._fail()
        self.writes.append(str(delta))

    async def repair(self, ledger: Ledger, *, trusted: bool) -> None:
        self._fail()
        self.repairs.append((trusted, str(ledger.chains)))

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise CommandError(["iptables-restore"], 1, "line 3 failed")


class FakeTracker:
    def __init__(self) -> None:
        self.flows: set[Flow] = set()
        self.listed = 0
        self.failures = 0

    async def udp_flows(self) -> set[Flow]:
        self.listed += 1
        if self.failures:
            self.failures -= 1
            raise CommandError(["conntrack"], None, "no such program on PATH")
        return set(self.flows)

    async def forget(self, flow: Flow) -> None:
        self.flows.discard(flow)


class World:
    """Services and slices as informers would hold them, and a proxier that runs while the test does."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.slices: dict[str, list[EndpointSlice]] = {}
        self.clock, self.kernel, self.tracker = SteppingClock(), FakeKernel(), FakeTracker()
        self.node_ports_on: tuple[str, ...] | None = None
        self.map = ServiceMap(self.services.get, lambda key: self.slices.get(key, []), Place("worker-1"))
        self.proxier = Proxier(
            self.map, [FamilyRules(4, self.kernel)], UdpCleaner(self.tracker), self.find_node_ports_on,
            clock=self.clock, min_sync_seconds=MIN_SYNC_SECONDS, sync_seconds=SYNC_SECONDS,
        )  # fmt: skip

    async def find_node_ports_on(self) -> NodePortsOn:
        return {4: self.node_ports_on}

    def changed(self, key: str) -> None:
        self.map.mark(key)
        self.proxier.changed()

    def serve(self, name: str, *ips: str, protocol: str = "TCP") -> None:
        port = {"name": "p", "port": 53, "protocol": protocol}
        spec: dict[str, Any] = {"clusterIP": "10.96.0.10", "ports": [port]}
        metadata = {"name": name, "namespace": "default"}
        self.services[f"default/{name}"] = from_dict(Service, {"metadata": metadata, "spec": spec})
        endpoints = [{"addresses": [ip]} for ip in ips]
        body = {"addressType": "IPv4", "endpoints": endpoints, "ports": [port]}
        self.slices[f"default/{name}"] = [from_dict(EndpointSlice, body)]
        self.changed(f"default/{name}")

    def drop(self, name: str) -> None:
        del self.services[f"default/{name}"], self.slices[f"default/{name}"]
        self.changed(f"default/{name}")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Runs the proxier until the condition holds."""
        async with background(self.proxier.run()):
            await eventually_async(condition)


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_sync_is_immediate_and_has_the_services_known_by_then(world: World) -> None:
    world.serve("web", "10.244.1.5")
    await world.until(lambda: bool(world.kernel.repairs))
    assert world.clock.slept in ([], [MIN_SYNC_SECONDS])
    trusted, rules = world.kernel.repairs[0]
    assert not trusted
    assert "10.244.1.5" in rules


async def test_changes_during_the_pause_make_one_write_of_their_own(world: World) -> None:
    world.serve("first", "10.244.2.1")

    def feed() -> bool:
        if world.kernel.repairs and len(world.services) < 10:
            for number in range(10):
                world.serve(f"web-{number}", f"10.244.1.{number}")
        return bool(world.kernel.writes)

    await world.until(feed)
    assert all(f"'10.244.1.{number}'" in world.kernel.writes[0] for number in range(10))
    assert "10.244.2.1" not in world.kernel.writes[0]


async def test_an_event_that_changes_nothing_writes_nothing(world: World) -> None:
    world.serve("web", "10.244.1.5")
    assert set(world.map.update()) == {"default/web"}
    world.serve("web", "10.244.1.5")
    assert world.map.update() == {}
    world.drop("web")
    assert world.map.update() == {"default/web": ()}
    assert world.map.ports() == []


async def test_a_failed_sync_is_tried_again_with_growing_pauses(world: World) -> None:
    world.serve("web", "10.244.1.5")
    world.kernel.failures = 3
    await world.until(lambda: bool(world.kernel.repairs))
    assert world.clock.slept[:3] == [1.0, 2.0, 4.0]


async def test_rules_that_others_touched_are_repaired_at_once(world: World) -> None:
    world.serve("web", "10.244.1.5")

    def touch() -> bool:
        if len(world.kernel.repairs) == 1 and not world.kernel.monitor.altered:
            world.kernel.monitor.altered = True
            world.kernel.monitor.on_change()
        return len(world.kernel.repairs) == 2

    await world.until(touch)
    assert world.kernel.repairs[1][0], "most of them may be right"


async def test_rules_are_read_every_period_only_where_the_kernel_tells_nothing(world: World) -> None:
    world.serve("web", "10.244.1.5")

    def time_passes() -> bool:
        world.clock.seconds += SYNC_SECONDS
        world.proxier.changed()
        return len(world.clock.slept) > 5

    await world.until(time_passes)
    assert len(world.kernel.repairs) == 1
    world.kernel.monitor.blind = True
    world.clock.slept.clear()
    await world.until(lambda: time_passes() and len(world.kernel.repairs) > 3)


async def test_after_a_failure_everything_is_written_anew(world: World) -> None:
    world.serve("web", "10.244.1.5")
    await world.until(lambda: bool(world.kernel.repairs))
    world.serve("other", "10.244.1.6")
    world.kernel.failures = 1
    await world.until(lambda: len(world.kernel.repairs) == 2)
    trusted, rules = world.kernel.repairs[1]
    assert not trusted
    assert "10.244.1.5" in rules
    assert "10.244.1.6" in rules


async def test_other_addresses_of_the_node_are_taken_over(world: World) -> None:
    world.node_ports_on = ("172.18.0.2",)
    await world.until(lambda: bool(world.kernel.repairs))
    world.node_ports_on = ("172.18.0.3",)
    world.proxier.changed()
    await world.until(lambda: bool(world.kernel.writes))
    assert "172.18.0.3" in world.kernel.writes[0]


async def test_health_fails_after_two_periods_without_a_sync(world: World) -> None:
    world.serve("web", "10.244.1.5")
    assert world.proxier.check() == ""
    world.clock.seconds += 2 * SYNC_SECONDS + 1
    assert "out of date" in world.proxier.check()
    await world.until(lambda: bool(world.kernel.repairs) and world.proxier.synced.is_set())
    assert world.proxier.check() == ""
    world.clock.seconds += 1000
    assert world.proxier.check() == ""  # nothing changed, so nothing is out of date


async def test_udp_flows_to_a_removed_endpoint_are_forgotten_after_the_sync(world: World) -> None:
    old = Flow("10.96.0.10", 53, "10.244.1.5", 53)
    world.tracker.flows = {old}
    world.serve("dns", "10.244.1.5", protocol="UDP")
    await world.until(lambda: world.tracker.listed == 1)
    assert world.tracker.flows == {old}
    world.serve("dns", "10.244.1.6", protocol="UDP")
    await world.until(lambda: not world.tracker.flows)
    assert "10.244.1.5" not in world.kernel.writes[-1]


async def test_udp_flows_of_a_deleted_service_are_forgotten_even_when_conntrack_fails_first(world: World) -> None:
    world.serve("dns", "10.244.1.5", protocol="UDP")
    await world.until(lambda: world.tracker.listed == 1)
    world.tracker.flows = {Flow("10.96.0.10", 53, "10.244.1.5", 53)}
    world.tracker.failures = 1
    world.drop("dns")
    await world.until(lambda: world.tracker.listed == 2)
    assert world.tracker.flows
    world.serve("web", "10.244.1.9")
    await world.until(lambda: not world.tracker.flows)


async def test_without_udp_services_conntrack_is_never_asked(world: World) -> None:
    world.serve("web", "10.244.1.5")
    await world.until(lambda: bool(world.kernel.repairs) and not world.proxier.check())
    world.serve("web", "10.244.1.6")
    await world.until(lambda: bool(world.kernel.writes))
    assert world.tracker.listed == 0


async def test_another_zone_asks_all_hints_anew(world: World) -> None:
    world.serve("web", "10.244.1.5", "10.244.1.6")
    world.map.update()
    for number, item in enumerate(world.slices["default/web"][0].endpoints):
        item.hints = EndpointHints(forZones=[ForZone(name="ab"[number])])
    world.map.move(Place("worker-1", "b"))
    (ports,) = world.map.update().values()
    assert [end.ip for end in ports[0].cluster_endpoints] == ["10.244.1.6"]


def test_a_slice_tells_when_its_change_began_once() -> None:
    def at(when: str) -> EndpointSlice:
        labels, annotations = {"kubernetes.io/service-name": "web"}, {TRIGGER_TIME: when}
        return from_dict(EndpointSlice, {"metadata": {"namespace": "a", "labels": labels, "annotations": annotations}})

    services = ServiceMap(lambda key: None, lambda key: [], Place("worker-1"))
    services.mark_slice(None, at("1970-01-01T00:01:40Z"))
    services.mark_slice(at("1970-01-01T00:01:40Z"), at("1970-01-01T00:01:40Z"))
    services.mark_slice(None, at("yesterday"))
    assert services.triggers() == [100.0]
    assert services.triggers() == []


def test_a_slice_without_the_service_label_belongs_to_none() -> None:
    labelled = {"metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "web"}}}
    assert from_dict(EndpointSlice, labelled).service_key == "default/web"
    assert from_dict(EndpointSlice, {"metadata": {"namespace": "default"}}).service_key == ""
