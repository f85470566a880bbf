"""Endpoints and EndpointSlices: which pods stand behind a Service, on which ports, in which slices."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from controller_manager.controllers.network._endpointpods import target_port
from controller_manager.controllers.network._slices import (
    MANAGED_BY_LABEL,
    Plan,
    desired_endpoints,
    plan_slices,
)
from controller_manager.controllers.network._subsets import (
    MOST_ADDRESSES,
    OVER_CAPACITY,
    compute_subsets,
    wanted_endpoints,
)
from controller_manager.controllers.network.endpoints import CONTROLLER as ENDPOINTS
from controller_manager.controllers.network.endpointslice import CONTROLLER as SLICES
from kubeapi.core.endpoints import Endpoints
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, ContainerPort, PodSpec
from kubeapi.core.pod.status import PodCondition, PodIP, PodStatus
from kubeapi.core.service.model import Service, ServicePort, ServiceSpec
from kubeapi.discovery.endpointslice import SERVICE_NAME_LABEL, EndpointSlice
from tests.fakes.api import FakeApi, Running, settle

NODE = Node(metadata=ObjectMeta(name="n1", labels={"topology.kubernetes.io/zone": "z1"}))


def service(*ports: ServicePort, **spec: Any) -> Service:
    metadata = ObjectMeta(name="web", namespace="default", uid="svc", labels={"team": "a"})
    values: dict[str, Any] = {"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "ipFamilies": ["IPv4"]}
    return Service(metadata=metadata, spec=ServiceSpec(ports=list(ports) or [port()], **(values | spec)))


def port(number: int = 80, target: int | str | None = "http", name: str = "", protocol: str = "TCP") -> ServicePort:
    return ServicePort(name=name or None, port=number, targetPort=target, protocol=protocol)


def pod(
    number: int, *, ready: bool = True, terminating: bool = False, http: int = 8080, node: str = "n1", **spec: Any
) -> Pod:
    address = f"10.244.{number // 250}.{number % 250 + 1}"
    container = Container(name="c", image="i", ports=[ContainerPort(name="http", containerPort=http)])
    made = Pod(
        metadata=ObjectMeta(name=f"p{number}", namespace="default", uid=f"u{number}", labels={"app": "web"}),
        spec=PodSpec(containers=[container], nodeName=node, **spec),
        status=PodStatus(phase="Running", podIP=address, podIPs=[PodIP(ip=address), PodIP(ip=f"fd00::{number + 1}")]),
    )
    made.status.conditions = [PodCondition(type="Ready", status="True" if ready else "False")]
    if terminating:
        made.metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    return made


# Ports


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (port(80, 9000), 9000),
        (port(80, "http"), 8080),
        (port(80, None), 80),
        (port(80, 0), 80),
        (port(80, "unknown"), None),
        (port(80, "http", protocol="UDP"), None),
    ],
)
def test_target_ports_by_number_and_by_name(wanted: ServicePort, expected: int | None) -> None:
    assert target_port(pod(1), wanted) == expected


def test_a_sidecar_has_ports_and_other_init_containers_have_not() -> None:
    ports = [ContainerPort(name="proxy", containerPort=15000)]
    sidecar = Container(name="s", image="i", ports=ports, restartPolicy="Always")
    assert target_port(pod(1, initContainers=[sidecar]), port(80, "proxy")) == 15000
    init = Container(name="s", image="i", ports=ports)
    assert target_port(pod(1, initContainers=[init]), port(80, "proxy")) is None


# Desired endpoints


def only(svc: Service, each: Pod) -> Any:
    desired = desired_endpoints(svc, [each], lambda name: NODE if name == "n1" else None, "IPv4")
    found = [endpoint for group in desired.endpoints.values() for endpoint in group.values()]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("ready", "terminating", "publish", "expected"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (False, False, True, (True, False, False)),
        (True, True, True, (True, True, True)),
    ],
)
def test_conditions_of_an_endpoint_follow_its_pod(
    ready: bool, terminating: bool, publish: bool, expected: tuple[bool, bool, bool]
) -> None:
    svc = service(publishNotReadyAddresses=publish or None)
    conditions = only(svc, pod(1, ready=ready, terminating=terminating)).conditions
    assert (conditions.ready, conditions.serving, conditions.terminating) == expected


def test_an_endpoint_says_where_it_is_and_who() -> None:
    endpoint = only(service(), pod(1, hostname="db-0", subdomain="web"))
    assert (endpoint.addresses, endpoint.nodeName, endpoint.zone) == (["10.244.0.2"], "n1", "z1")
    assert (endpoint.hostname, endpoint.targetRef.kind, endpoint.targetRef.uid) == ("db-0", "Pod", "u1")
    assert only(service(), pod(1, hostname="db-0", subdomain="other")).hostname is None


@pytest.mark.parametrize(
    ("distribution", "zones", "nodes"),
    [
        (None, None, None),
        ("PreferClose", ["z1"], None),
        ("PreferSameZone", ["z1"], None),
        ("PreferSameNode", ["z1"], ["n1"]),
    ],
)
def test_an_endpoint_says_whom_it_should_serve(
    distribution: str | None, zones: list[str] | None, nodes: list[str] | None
) -> None:
    hints = only(service(trafficDistribution=distribution), pod(1)).hints
    assert (hints and hints.forZones and [zone.name for zone in hints.forZones]) == zones
    assert (hints and hints.forNodes and [node.name for node in hints.forNodes]) == nodes


def test_a_pod_on_a_node_that_is_gone_is_left_out_unless_unready_ones_are_published() -> None:
    desired = desired_endpoints(service(), [pod(1, node="gone")], lambda name: None, "IPv4")
    assert (desired.endpoints, desired.missing_nodes) == ({}, {"gone"})
    assert only(service(publishNotReadyAddresses=True), pod(1, node="gone")) is not None


def test_addresses_of_the_family_alone() -> None:
    desired = desired_endpoints(service(), [pod(1)], lambda name: NODE, "IPv6")
    (group,) = desired.endpoints.values()
    assert [endpoint.addresses for endpoint in group.values()] == [["fd00::2"]]


# Slices


def planned(svc: Service, existing: list[EndpointSlice], pods: list[Pod], most: int = 100) -> Plan:
    desired = desired_endpoints(svc, pods, lambda name: NODE, "IPv4")
    return plan_slices(svc, existing, desired.endpoints, "IPv4", most)


def applied(existing: list[EndpointSlice], plan: Plan) -> list[EndpointSlice]:
    updated = {each.name: each for each in plan.update}
    gone = {each.name for each in plan.delete}
    return [updated.get(each.name, each) for each in existing if each.name not in gone] + plan.create


def names_in(slices: list[EndpointSlice]) -> list[str]:
    return sorted(e.targetRef.name or "" for each in slices for e in each.endpoints if e.targetRef)


def test_a_service_without_pods_has_one_empty_slice() -> None:
    plan = planned(service(), [], [])
    (placeholder,) = plan.create
    assert placeholder.endpoints == []
    assert placeholder.labels[SERVICE_NAME_LABEL] == "web"
    assert placeholder.labels[MANAGED_BY_LABEL] == "endpointslice-controller.k8s.io"
    assert placeholder.labels["team"] == "a"
    assert planned(service(), plan.create, []) == Plan()


def test_the_empty_slice_is_used_when_pods_come_and_kept_when_they_go() -> None:
    slices = planned(service(), [], []).create
    plan = planned(service(), slices, [pod(1)])
    assert (plan.create, plan.delete) == ([], [])
    assert [each.name for each in plan.update] == [slices[0].name]
    assert plan.update[0].ports[0].port == 8080
    plan = planned(service(), plan.update, [])
    assert (len(plan.create), len(plan.delete), len(plan.update)) == (0, 0, 1)
    assert plan.update[0].endpoints == []


def test_slices_are_full_before_another_is_made() -> None:
    plan = planned(service(), [], [pod(n) for n in range(250)])
    assert sorted(len(each.endpoints) for each in plan.create) == [50, 100, 100]
    assert len({each.name for each in plan.create}) == 3


def test_one_changed_pod_is_one_written_slice() -> None:
    slices = planned(service(), [], [pod(n) for n in range(250)]).create
    pods = [pod(n, ready=n != 120) for n in range(250)]
    plan = planned(service(), slices, pods)
    assert (len(plan.create), len(plan.update), len(plan.delete)) == (0, 1, 0)


def test_a_new_pod_goes_where_it_fits() -> None:
    slices = planned(service(), [], [pod(n) for n in range(250)]).create
    plan = planned(service(), slices, [pod(n) for n in range(251)])
    assert (len(plan.create), len(plan.update), len(plan.delete)) == (0, 1, 0)
    assert len(plan.update[0].endpoints) == 51


def test_pods_with_other_ports_have_slices_of_their_own() -> None:
    plan = planned(service(), [], [pod(1), pod(2, http=9090)])
    assert sorted(each.ports[0].port or 0 for each in plan.create if each.ports) == [8080, 9090]


def test_changed_labels_are_written_and_headless_is_marked() -> None:
    slices = planned(service(), [], [pod(1)]).create
    svc = service(clusterIP="None")
    svc.metadata.labels = {"team": "b", SERVICE_NAME_LABEL: "forged"}
    (changed,) = planned(svc, slices, [pod(1)]).update
    assert changed.labels["team"] == "b"
    assert changed.labels[SERVICE_NAME_LABEL] == "web"
    assert changed.labels["service.kubernetes.io/headless"] == ""


def test_names_come_out_the_same_for_a_controller_that_knows_nothing() -> None:
    pods = [pod(n) for n in range(150)]
    first, second = planned(service(), [], pods).create, planned(service(), [], pods).create
    assert {each.name for each in first} == {each.name for each in second}


def test_whatever_changes_every_endpoint_is_in_exactly_one_slice() -> None:
    for seed in range(30):
        dice = random.Random(seed)
        slices: list[EndpointSlice] = []
        for _ in range(25):
            pods = [pod(n, ready=dice.random() < 0.8, http=dice.choice([8080, 9090]))
                    for n in dice.sample(range(60), dice.randint(0, 60))]  # fmt: skip
            slices = applied(slices, planned(service(), slices, pods, most=10))
            assert names_in(slices) == sorted(each.name for each in pods)
            assert all(len(each.endpoints) <= 10 for each in slices)
            assert slices
            assert planned(service(), slices, pods, most=10) == Plan()


# Endpoints


def test_subsets_group_by_ports_and_readiness() -> None:
    pods = [pod(2), pod(1, ready=False), pod(3, http=9090), pod(4, terminating=True)]
    subsets, truncated = compute_subsets(service(), pods)
    assert not truncated
    by_port = {subset.ports[0].port: subset for subset in subsets if subset.ports}
    assert [each.ip for each in by_port[8080].addresses or ()] == ["10.244.0.3"]
    assert [each.ip for each in by_port[8080].notReadyAddresses or ()] == ["10.244.0.2"]
    assert by_port[9090].notReadyAddresses is None


def test_several_ports_of_one_pod_are_one_subset() -> None:
    svc = service(port(80, "http", "web"), port(443, 8443, "tls"))
    (subset,), _ = compute_subsets(svc, [pod(1)])
    assert [(each.name, each.port) for each in subset.ports or ()] == [("tls", 8443), ("web", 8080)]


def test_ports_share_a_subset_where_they_have_the_same_addresses() -> None:
    svc = service(port(80, 80, "plain"), port(81, "http", "named"))
    subsets, _ = compute_subsets(svc, [pod(1), pod(2, ready=False, http=9090)])
    shown = [
        (
            [(each.name, each.port) for each in subset.ports or ()],
            [each.ip for each in subset.addresses or ()],
            [each.ip for each in subset.notReadyAddresses or ()],
        )
        for subset in subsets
    ]
    assert shown == [
        ([("named", 8080)], ["10.244.0.2"], []),
        ([("named", 9090)], [], ["10.244.0.3"]),
        ([("plain", 80)], ["10.244.0.2"], ["10.244.0.3"]),
    ]


def test_published_unready_addresses_are_ready() -> None:
    (subset,), _ = compute_subsets(service(publishNotReadyAddresses=True), [pod(1, ready=False, terminating=True)])
    assert len(subset.addresses or ()) == 1


def test_a_headless_service_needs_no_ports() -> None:
    svc = service(clusterIP="None")
    svc.spec.ports = None
    (subset,), _ = compute_subsets(svc, [pod(1)])
    assert subset.ports is None
    svc.spec.clusterIP = "10.96.0.9"
    assert compute_subsets(svc, [pod(1)])[0] == []


def test_too_many_addresses_are_cut_ready_ones_first() -> None:
    pods = [pod(n, ready=n >= 600) for n in range(1700)]
    wanted = wanted_endpoints(service(), pods, None)
    (subset,) = wanted.subsets or ()
    assert (len(subset.addresses or ()), subset.notReadyAddresses) == (MOST_ADDRESSES, None)
    assert wanted.annotations[OVER_CAPACITY] == "truncated"
    assert OVER_CAPACITY not in wanted_endpoints(service(), pods[:10], wanted).annotations


# The control loops


def controllers(api: FakeApi) -> list[Running]:
    return [Running(api, SLICES, max_endpoints_per_slice=100), Running(api, ENDPOINTS)]


async def look(api: FakeApi, running: list[Running]) -> None:
    """As after a change of pods, without the time that gathers several."""
    api.deliver()
    for each in running:
        each.queue.add("default/web")
    await settle(api, *running)


async def test_endpoints_follow_pods_and_services() -> None:
    api = FakeApi()
    running = controllers(api)
    api.put(NODE)
    api.put(pod(1))
    api.put(service())
    await settle(api, *running)
    assert names_in(api.all(EndpointSlice)) == ["p1"]
    assert [a.ip for s in api.all(Endpoints)[0].subsets for a in s.addresses] == ["10.244.0.2"]
    api.put(pod(2))
    await look(api, running)
    assert names_in(api.all(EndpointSlice)) == ["p1", "p2"]
    writes = len(api.requests)
    await look(api, running)
    assert len(api.requests) == writes
    await api.delete(Service, "web", "default")
    await settle(api, *running)
    assert api.all(Endpoints) == []


async def test_a_cache_that_is_behind_makes_no_second_slice() -> None:
    api = FakeApi()
    running = controllers(api)
    api.put(NODE)
    api.put(pod(1))
    api.put(service())
    api.deliver()
    await running[0].step()
    running[0].queue.add("default/web")
    assert isinstance(await running[0].step(), Exception)
    await settle(api, *running)
    assert names_in(api.all(EndpointSlice)) == ["p1"]


async def test_services_without_selector_and_endpoints_of_others_are_left_alone() -> None:
    api = FakeApi()
    running = controllers(api)
    api.put(service(selector=None))
    api.put(Endpoints(metadata=ObjectMeta(name="handmade", namespace="default")))
    await settle(api, *running)
    assert api.all(EndpointSlice) == []
    assert [each.name for each in api.all(Endpoints)] == ["handmade"]


async def test_a_change_that_matters_wakes_the_service_after_a_moment() -> None:
    api = FakeApi()
    (slices, _) = running = controllers(api)
    api.put(NODE)
    api.put(service())
    await settle(api, *running)
    api.put(pod(1))
    api.deliver()
    async with asyncio.timeout(5):
        await slices.step()
    assert names_in(api.all(EndpointSlice)) == ["p1"]
    api.change(Pod, "default/p1", lambda each: setattr(each.status, "startTime", "2026-01-01T00:00:00Z"))
    api.deliver()
    assert not slices.queue._delayed
