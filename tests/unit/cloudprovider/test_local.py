"""The local cloud: worker hosts as the launcher's inventory has them, and addresses that it gives to balancers."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apimachinery.model import from_dict
from cloudprovider.interface import CloudError, Provider, providers
from cloudprovider.providers.local import choose_address
from kubeapi.core.node import Node
from kubeapi.core.service.model import LoadBalancerIngress, Service
from mini_cluster.cluster.cloud import group_flags, inventory, with_cloud, without_taken_ports
from mini_cluster.cluster.host_groups import read_groups
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import (
    ClusterState,
    EtcdPorts,
    HostGroup,
    NodeState,
    Ports,
    StateError,
    load_state,
    save_state,
)
from tests.kits.eventually import eventually_async

STATE = ClusterState("172.30.7.0/24", "10.244.0.0/16", Ports(6443, 3, 4, (EtcdPorts(1, 2),))).with_node_count(2)
OFFERED = {"cpu": "2", "memory": "8Gi", "pods": "110"}


def cloudy(state: ClusterState = STATE, *groups: HostGroup) -> ClusterState:
    return with_cloud(state, "abcdef", lambda port: True, groups or None)


def node(name: str, provider_id: str = "") -> Node:
    return from_dict(Node, {"metadata": {"name": name}, "spec": {"providerID": provider_id or None}})


def service(uid: str, wanted: str = "") -> Service:
    metadata = {"name": uid, "namespace": "default", "uid": uid}
    return from_dict(Service, {"metadata": metadata, "spec": {"loadBalancerIP": wanted or None}})


class Site:
    """A folder with the inventory of a cluster."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout.of(folder)
        self.layout.inventory.parent.mkdir()

    def write(self, state: ClusterState, **changes: Any) -> None:
        document = json.loads(inventory(self.layout, state, OFFERED)) | changes
        temporary = self.layout.inventory.with_suffix(".new")
        temporary.write_text(json.dumps(document))
        temporary.replace(self.layout.inventory)

    def provider(self) -> Provider:
        return providers()["local"].factory(str(self.layout.inventory))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_a_host_is_found_by_its_name_first_and_then_by_its_id(site: Site) -> None:
    site.write(cloudy().with_stopped("worker-2", True))
    provider = site.provider()
    first = await provider.instances.find(node("worker-1"))
    assert first is not None
    assert (first.provider_id, first.shut_down) == (f"local://{site.layout.key}/worker-1", False)
    assert [(item.type, item.address) for item in first.addresses] == [
        ("InternalIP", "172.30.7.11"), ("Hostname", "worker-1")
    ]  # fmt: skip
    second = await provider.instances.find(node("any", f"local://{site.layout.key}/worker-2"))
    assert second is not None
    assert second.shut_down
    assert await provider.instances.find(node("worker-1", "local://other/worker-1")) is None
    assert await provider.instances.find(node("worker-3")) is None


async def test_changes_are_told(site: Site) -> None:
    site.write(cloudy())
    provider, told = site.provider(), asyncio.Event()
    provider.on_change(told.set)
    following = asyncio.create_task(provider.run())
    counts = itertools.cycle([3, 2])

    def change_until_told() -> bool:
        site.write(cloudy(STATE.with_node_count(next(counts))))
        return told.is_set()

    try:
        await eventually_async(change_until_told, "the change is told")
    finally:
        following.cancel()
        await asyncio.wait([following])


async def test_hosts_are_a_group_only_where_their_number_may_change(site: Site) -> None:
    site.write(cloudy())
    groups = site.provider().node_groups
    assert groups is not None
    assert await groups.list() == []
    sizes = {"cpu": "1500m", "memory": "2Gi"}
    small = HostGroup("small", 1, 2, {"size": "small"}, ("size=small:NoSchedule",), sizes)
    site.write(cloudy(STATE, HostGroup("workers", 1, 3), small))
    first, second = await groups.list()
    assert (first.name, first.min_size, first.max_size, len(first.members)) == ("workers", 1, 3, 2)
    assert second.members == {f"local://{site.layout.key}/worker-3"}
    template = await groups.template("workers")
    assert template.status.allocatable == OFFERED
    assert template.labels["mini-kubernetes.io/node-group"] == "workers"
    other = await groups.template("small")
    assert other.status.allocatable == {"cpu": "1500m", "memory": "2Gi", "pods": "110"}
    assert other.labels["size"] == "small"
    assert [(taint.key, taint.value, taint.effect) for taint in other.spec.taints or ()] == [
        ("size", "small", "NoSchedule")
    ]
    with pytest.raises(CloudError):
        await groups.template("none")
    assert template.labels["node.kubernetes.io/instance-type"] == "worker-host"


async def test_the_launcher_adds_and_removes_hosts(site: Site, tmp_path: Path) -> None:
    log = tmp_path / "log"
    site.write(
        cloudy(STATE, HostGroup("workers", 1, 4)), command=["sh", "-c", f'echo "$@" >>{log}; [ "$2" != remove ]', "x"]
    )
    groups = site.provider().node_groups
    assert groups is not None
    await groups.add_machine("workers")
    with pytest.raises(CloudError, match="exit code 1"):
        await groups.remove_machine("workers", "local://abcdef/worker-2")
    assert log.read_text() == "node add --group workers\nnode remove worker-2\n"


async def addresses(provider: Provider, item: Service) -> list[str | None]:
    assert provider.load_balancers is not None
    return [entry.ip for entry in (await provider.load_balancers.ensure(item, [])).ingress or ()]


async def test_each_service_keeps_its_address_until_its_balancer_goes(site: Site) -> None:
    site.write(cloudy())
    provider = site.provider()
    assert await addresses(provider, service("a")) == ["172.30.7.129"]
    assert await addresses(provider, service("b")) == ["172.30.7.130"]
    assert await addresses(provider, service("a")) == ["172.30.7.129"]
    assert await addresses(provider, service("c", "172.30.7.200")) == ["172.30.7.200"]
    assert await addresses(provider, service("a", "172.30.7.201")) == ["172.30.7.201"]
    assert provider.load_balancers is not None
    await provider.load_balancers.delete(service("b"))
    await provider.load_balancers.delete(service("never"))
    assert await addresses(provider, service("d")) == ["172.30.7.129"]
    with pytest.raises(CloudError, match=r"172\.30\.7\.200 is in use"):
        await addresses(provider, service("e", "172.30.7.200"))


async def test_a_service_has_an_address_of_each_of_its_families(site: Site) -> None:
    site.write(cloudy(replace(STATE, ip_family="dual", subnet6="fd00:172:30:7::/64", pod_network6="fd00:10:244::/56")))
    provider, both, six = site.provider(), service("both"), service("six", "FD00:172:30:7::1:0009")
    both.spec.ipFamilies, six.spec.ipFamilies = ["IPv6", "IPv4"], ["IPv6"]
    assert await addresses(provider, both) == ["fd00:172:30:7::1:1", "172.30.7.129"]
    assert await addresses(provider, six) == ["fd00:172:30:7::1:9"]
    both.spec.ipFamilies = ["IPv4"]
    assert await addresses(provider, both) == ["172.30.7.129"]
    six.spec.ipFamilies = ["IPv4"]
    with pytest.raises(CloudError, match="not of a family of the Service"):
        await addresses(provider, six)
    site.write(cloudy())
    both.spec.ipFamilies = ["IPv6"]
    with pytest.raises(CloudError, match="no IPv6 addresses for balancers"):
        await addresses(provider, both)


async def test_an_address_that_a_service_already_shows_stays_its_own(site: Site) -> None:
    site.write(cloudy())
    shown = service("a")
    shown.status.loadBalancer.ingress = [LoadBalancerIngress(ip="172.30.7.140")]
    assert await addresses(site.provider(), shown) == ["172.30.7.140"]


def test_an_address_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(CloudError, match="is not in"):
        choose_address("10.0.0.0/30", {}, wanted="10.0.1.1")
    with pytest.raises(CloudError, match="is not in"):
        choose_address("10.0.0.0/30", {}, wanted="nonsense")
    with pytest.raises(CloudError, match="all addresses"):
        choose_address("10.0.0.0/30", {"10.0.0.1", "10.0.0.2"})


def test_an_unusable_inventory_is_an_error_at_once(site: Site) -> None:
    with pytest.raises(CloudError):
        site.provider()
    site.layout.inventory.write_text("{}")
    with pytest.raises(CloudError):
        site.provider()


# The launcher's side


def test_the_cloud_stays_as_it_was_told(tmp_path: Path) -> None:
    group = HostGroup("workers", 3, 4, {"a": "b"}, ("a=b:NoSchedule",), {"cpu": "1"}, {"cpu": "3"})
    state = with_cloud(STATE, "abcdef", lambda port: True, [group], 5.0)
    assert len(state.nodes) == 3
    save_state(tmp_path / "state.json", state)
    assert load_state(tmp_path / "state.json") == state
    same = cloudy(state)
    assert same == state
    ended = with_cloud(state, "abcdef", lambda port: True, [])
    assert ended.cloud is not None
    assert (ended.cloud.groups, len(ended.nodes)) == ((), 3)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([HostGroup("a", 2, 1)], "the group a has a minimum of 2"),
        ([HostGroup("a", 0, 1), HostGroup("a", 0, 1)], "two groups have the same name"),
        ([HostGroup("a", 0, 3), HostGroup("b", 0, 3)], "more than 5 hosts together"),
    ],
)
def test_groups_that_cannot_be_are_refused(groups: list[HostGroup], message: str) -> None:
    with pytest.raises(StateError, match=message):
        cloudy(STATE, *groups)


def test_a_host_is_told_of_its_group() -> None:
    group = HostGroup("small", 0, 2, {"a": "b"}, ("a=b:NoSchedule", "c:NoExecute"), {}, {"cpu": "1", "memory": "1Gi"})
    cloud = cloudy(STATE, group).cloud
    assert group_flags(cloud, NodeState(1, group="small")) == (
        "--cloud-provider=external",
        "--node-labels=a=b,mini-kubernetes.io/node-group=small",
        "--register-with-taints=a=b:NoSchedule,c:NoExecute",
        "--system-reserved=cpu=1,memory=1Gi",
    )
    assert group_flags(cloud, NodeState(1)) == (
        "--cloud-provider=external", "--node-labels=mini-kubernetes.io/node-group=workers"
    )  # fmt: skip
    assert group_flags(None, NodeState(1)) == ()


def test_groups_are_read_from_a_file() -> None:
    text = b"""
groups:
- {name: workers, min: 1, max: 3}
- {name: batch, min: 0, max: 2, labels: {tier: batch}, taints: ["tier=batch:NoSchedule"], cpu: 500m, memory: 2Gi}
"""
    assert read_groups(text, OFFERED) == (
        HostGroup("workers", 1, 3),
        HostGroup(
            "batch",
            0,
            2,
            {"tier": "batch"},
            ("tier=batch:NoSchedule",),
            {"cpu": "500m", "memory": "2Gi"},
            {"cpu": "1500m", "memory": "6Gi"},
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"groups: [{name: a, min: 1}]", "groups.0.max: Field required"),
        (b"groups: [{name: a, min: -1, max: 2}]", "groups.0.min"),
        (b"groups: [{name: a, min: 1, max: 2, size: 3}]", "groups.0.size"),
        (b"groups: [{name: a, min: 1, max: 2, cpu: 64}]", "groups.0.cpu"),
        (b"groups: [{name: a, min: 1, max: 2, cpu: '64'}]", "a wants 64 of cpu, and this machine has 2"),
        (b"groups: [{name: a, min: 1, max: 2, memory: much}]", "quantities"),
        (b"groups: [{name: 'a b', min: 1, max: 2}]", "can't be a label's value"),
        (b"groups: [{name: '', min: 1, max: 2}]", "a group has no name"),
        (b"groups: [{name: a, min: 1, max: 2, cpu: '0'}]", "a wants 0 of cpu, which is too little"),
        (b"groups: [{name: a, min: 1, max: 2, memory: '-1'}]", "a wants -1 of memory, which is too little"),
        (b"groups: [{name: a, min: 1, max: 2, labels: {b: 'c,d'}}]", "a: the label b=c,d can't be: "),
        (b"groups: [{name: a, min: 1, max: 2, labels: {b c: d}}]", "a: the label b c=d can't be: "),
        (b"groups: [{name: a, min: 1, max: 2, taints: [a=b]}]", "a: invalid taint 'a=b'"),
        (b"groups: [{name: a, min: 1, max: 2, taints: ['a b:NoExecute']}]", "a: invalid taint 'a b:NoExecute'"),
        (b"groups: [{name: a, min: 1, max: 2, taints: ['a=b c:NoExecute']}]", "a: invalid taint 'a=b c:NoExecute'"),
        (b"[", "node groups: "),
    ],
)
def test_a_file_that_cannot_be_used_is_told_why(text: bytes, message: str) -> None:
    with pytest.raises(StateError, match=re.escape(message)):
        read_groups(text, OFFERED)


def test_a_host_is_of_a_group_that_there_is() -> None:
    state = with_cloud(STATE, "abcdef", lambda port: True, [HostGroup("batch", 0, 2)])
    assert state.with_node("", "batch").nodes[-1].group == "batch"
    assert state.with_node("").nodes[-1].group == "workers"
    with pytest.raises(StateError, match=re.escape("no node group 'nogroup' (groups: workers, batch)")):
        state.with_node("", "nogroup")


def test_the_cloud_yields_ports_that_others_took() -> None:
    state = cloudy()
    assert state.cloud is not None
    taken = state.cloud.autoscaler_port
    assert without_taken_ports(state, "abcdef", lambda port: True) == state
    moved = without_taken_ports(state, "abcdef", lambda port: port != taken).cloud
    assert moved is not None
    assert taken not in (moved.controller_manager_port, moved.autoscaler_port)
    assert without_taken_ports(STATE, "abcdef", lambda port: False) == STATE
