"""ResourceQuota: the use that is counted, and how it is told while requests are under way."""

from __future__ import annotations

from typing import Any

import pytest

from controller_manager.controllers.cluster._quotausage import IN_FLIGHT_SECONDS, Charges, settled
from controller_manager.controllers.cluster.resourcequota import CONTROLLER
from kubeapi.core.pod.model import Pod
from kubeapi.core.resourcequota.model import ResourceQuota
from kubeapi.core.resourcequota.resource import RESOURCE as QUOTAS
from kubeapi.core.service.model import Service
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock
from tests.kits.kinds import load

Dict = dict[str, Any]


def quota(used: Dict | None = None, hard: Dict | None = None, **spec: Any) -> ResourceQuota:
    limits = hard or {"pods": "5"}
    document = {"metadata": {"name": "q", "namespace": "ns"}, "spec": {"hard": limits, **spec}}
    status = {"status": {"hard": limits, "used": used}} if used is not None else {}
    result: ResourceQuota = load(QUOTAS, {**document, **status})
    return result


@pytest.mark.parametrize(
    ("used", "counted", "charged", "result"),
    [
        ({}, {"pods": "3"}, {}, {"pods": "3"}),
        ({"pods": "2"}, {"pods": "3"}, {}, {"pods": "3"}),
        ({"pods": "5"}, {"pods": "3"}, {}, {"pods": "3"}),
        ({"pods": "5"}, {"pods": "3"}, {"pods": "1"}, {"pods": "4"}),
        ({"pods": "5"}, {"pods": "3"}, {"pods": "9"}, {"pods": "5"}),
        ({"pods": "3"}, {"pods": "3"}, {"pods": "1"}, {"pods": "3"}),
        ({"pods": "1", "count/widgets.example.com": "2"}, {"pods": "0"}, {},
         {"pods": "0", "count/widgets.example.com": "2"}),
        ({"requests.memory": "1Gi"}, {"requests.memory": "512Mi"}, {"requests.memory": "256Mi"},
         {"requests.memory": "768Mi"}),
    ],
)  # fmt: skip
def test_what_was_charged_lately_is_not_given_back(used: Dict, counted: Dict, charged: Dict, result: Dict) -> None:
    assert settled(used, counted, charged) == result


def test_charges_are_forgotten_after_their_time() -> None:
    charges = Charges()
    charges.note(None, quota({"pods": "2"}), 100.0)
    charges.note(quota({"pods": "2"}), quota({"pods": "3"}), 101.0)
    charges.note(quota({"pods": "3"}), quota({"pods": "1"}), 101.5)
    assert charges.since("ns/q", 2.0, 101.5) == {"pods": "3"}
    assert charges.since("ns/q", 2.0, 102.5) == {"pods": "1"}
    assert charges.since("ns/q", 2.0, 104.0) == {}
    charges.note(None, quota({"pods": "2"}), 105.0)
    charges.forget("ns/q")
    assert charges.since("ns/q", 2.0, 105.0) == {}


def pod(name: str, cpu: str = "", **fields: Any) -> Pod:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    return Pod.model_validate(
        {
            "metadata": {"name": name, "namespace": "ns"},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": resources}]},
            **fields,
        }
    )


def api_with(*objects: Any) -> FakeApi:
    api = FakeApi()
    for obj in objects:
        api.put(obj)
    return api


async def status(api: FakeApi) -> tuple[Dict | None, Dict | None]:
    found = await api.get(ResourceQuota, "q", "ns")
    return found.status.hard, found.status.used


async def test_a_new_quota_gets_its_limits_and_the_use_so_far() -> None:
    hard = {"pods": "5", "requests.cpu": "2", "count/pods": "9", "services": "1"}
    ended = pod("c", "1", status={"phase": "Succeeded"})
    service = Service.model_validate({"metadata": {"name": "s", "namespace": "ns"}})
    api = api_with(quota(hard=hard), pod("a", "500m"), pod("b", "1"), ended, service)
    running = Running(api, CONTROLLER)
    await settle(api, running)
    used = {"pods": "2", "requests.cpu": "1500m", "count/pods": "3", "services": "1"}
    assert await status(api) == (hard, used)


async def test_a_kind_without_objects_uses_nothing() -> None:
    api = api_with(quota(hard={"pods": "5", "services": "1"}))
    await settle(api, Running(api, CONTROLLER))
    assert (await status(api))[1] == {"pods": "0", "services": "0"}


async def test_only_pods_in_scope_are_counted() -> None:
    api = api_with(quota(scopes=["BestEffort"]), pod("a", "500m"), pod("b"))
    running = Running(api, CONTROLLER)
    await settle(api, running)
    assert await status(api) == ({"pods": "5"}, {"pods": "1"})


async def test_an_object_that_comes_after_its_charge_was_given_back_is_counted() -> None:
    api = api_with(quota({"pods": "1"}), pod("a"))
    running = Running(api, CONTROLLER)
    running.tick()
    await settle(api, running)
    running.queue._delayed.clear()
    api.put(pod("late"))
    await settle(api, running)
    assert list(running.queue._delayed) == ["ns/q"]
    running.tick()
    await settle(api, running)
    assert (await status(api))[1] == {"pods": "2"}


async def test_a_charge_whose_object_is_not_seen_yet_stays_for_a_moment() -> None:
    api = api_with(quota({"pods": "3"}), pod("a"))
    clock = api.clock
    assert isinstance(clock, FakeClock)
    running = Running(api, CONTROLLER)
    running.tick()
    await settle(api, running)
    assert (await status(api))[1] == {"pods": "3"}
    assert running.delays["ns/q"] == IN_FLIGHT_SECONDS
    clock.step(IN_FLIGHT_SECONDS + 0.1)
    running.tick()
    await settle(api, running)
    assert (await status(api))[1] == {"pods": "1"}
    assert not running.delays["ns/q"]
