"""When kube-proxy syncs, and what it does when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from apimachinery.model import from_dict
from componentbase.clock import Clock
from componentbase.process import CommandError
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeproxy.conntrack import Flow
from kubeproxy.proxier import Proxier, ServiceMap, service_key
from kubeproxy.restore import ALL_JUMPS, Installed
from kubeproxy.rules import Settings, desired_chains
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


class FakeRules:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.failures = 0
        self.checks = 0
        self.now = Installed()

    async def installed(self) -> Installed:
        self.checks += 1
        return self.now

    async def restore(self, text: str) -> None:
        if self.failures:
            self.failures -= 1
            raise CommandError(["iptables-restore"], 1, "line 3 failed")
        self.texts.append(text)


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
        self.clock, self.rules, self.tracker = SteppingClock(), FakeRules(), FakeTracker()
        self.map = ServiceMap(self.services.get, lambda key: self.slices.get(key, []), "worker-1")
        self.proxier = Proxier(
            self.map, Settings(), self.rules, self.tracker,
            clock=self.clock, min_sync_seconds=MIN_SYNC_SECONDS, sync_seconds=SYNC_SECONDS,
        )  # fmt: skip

    def serve(self, name: str, *ips: str, protocol: str = "TCP") -> None:
        port = {"name": "p", "port": 53, "protocol": protocol}
        spec: dict[str, Any] = {"clusterIP": "10.96.0.10", "ports": [port]}
        metadata = {"name": name, "namespace": "default"}
        self.services[f"default/{name}"] = from_dict(Service, {"metadata": metadata, "spec": spec})
        endpoints = [{"addresses": [ip]} for ip in ips]
        body = {"addressType": "IPv4", "endpoints": endpoints, "ports": [port]}
        self.slices[f"default/{name}"] = [from_dict(EndpointSlice, body)]
        self.proxier.changed(f"default/{name}")

    def drop(self, name: str) -> None:
        del self.services[f"default/{name}"], self.slices[f"default/{name}"]
        self.proxier.changed(f"default/{name}")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Runs the proxier until the condition holds."""
        async with background(self.proxier.run()):
            await eventually_async(condition)


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_sync_is_immediate_and_has_the_services_known_by_then(world: World) -> None:
    world.serve("web", "10.244.1.5")
    await world.until(lambda: bool(world.rules.texts))
    assert world.clock.slept in ([], [MIN_SYNC_SECONDS])
    assert "10.244.1.5" in world.rules.texts[0]


async def test_changes_during_the_pause_make_one_sync(world: World) -> None:
    def feed() -> bool:
        if len(world.rules.texts) == 1 and len(world.services) < 10:
            for number in range(10):
                world.serve(f"web-{number}", f"10.244.1.{number}")
        return len(world.rules.texts) == 2

    await world.until(feed)
    assert all(f"10.244.1.{number}:" in world.rules.texts[1] for number in range(10))


async def test_an_event_that_changes_nothing_syncs_nothing(world: World) -> None:
    world.serve("web", "10.244.1.5")
    assert world.map.update()
    world.serve("web", "10.244.1.5")
    assert not world.map.update()
    world.drop("web")
    assert world.map.update()
    assert world.map.ports() == []


async def test_a_failed_sync_is_tried_again_with_growing_pauses(world: World) -> None:
    world.serve("web", "10.244.1.5")
    world.rules.failures = 3
    await world.until(lambda: bool(world.rules.texts))
    assert world.clock.slept[:3] == [1.0, 2.0, 4.0]


async def test_rules_are_checked_every_period_and_repaired_where_others_changed_them(world: World) -> None:
    world.serve("web", "10.244.1.5")
    await world.until(lambda: bool(world.rules.texts))
    wanted = desired_chains(world.map.ports(), Settings())
    counts = {key: len(rules) for key, rules in wanted.items()}
    world.rules.now = Installed(counts, ALL_JUMPS)

    def check_again() -> bool:
        world.clock.seconds += SYNC_SECONDS
        world.proxier.changed("default/unknown")
        return world.rules.checks >= 3

    await world.until(check_again)
    assert len(world.rules.texts) == 1
    world.rules.now = Installed(counts | {("nat", "KUBE-SERVICES"): 0}, ALL_JUMPS)
    world.rules.checks = 0
    await world.until(lambda: check_again() and len(world.rules.texts) > 1)
    assert [line for line in world.rules.texts[1].splitlines() if line.startswith(":")] == [":KUBE-SERVICES - [0:0]"]


async def test_after_a_failure_everything_is_written_anew(world: World) -> None:
    world.serve("web", "10.244.1.5")
    await world.until(lambda: bool(world.rules.texts))
    world.serve("other", "10.244.1.6")
    world.rules.failures = 1
    await world.until(lambda: len(world.rules.texts) == 2)
    assert "10.244.1.5" in world.rules.texts[1]
    assert "10.244.1.6" in world.rules.texts[1]


async def test_health_fails_after_two_periods_without_a_sync(world: World) -> None:
    world.serve("web", "10.244.1.5")
    assert world.proxier.check() == ""
    world.clock.seconds += 2 * SYNC_SECONDS + 1
    assert "out of date" in world.proxier.check()
    await world.until(lambda: bool(world.rules.texts))
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
    assert "10.244.1.5" not in world.rules.texts[-1]


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
    await world.until(lambda: bool(world.rules.texts) and not world.proxier.check())
    world.serve("web", "10.244.1.6")
    await world.until(lambda: len(world.rules.texts) > 1)
    assert world.tracker.listed == 0


def test_a_slice_without_the_service_label_belongs_to_none() -> None:
    labelled = {"metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "web"}}}
    assert service_key(from_dict(EndpointSlice, labelled)) == "default/web"
    assert service_key(from_dict(EndpointSlice, {"metadata": {"namespace": "default"}})) == ""
