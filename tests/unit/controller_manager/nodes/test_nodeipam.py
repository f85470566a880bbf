"""Each node's part of the pod networks, and how long kubelets may keep what they have read."""

from __future__ import annotations

import pytest

from apimachinery.meta import ObjectMeta
from controller_manager.controllers.nodes._podranges import NoneLeft, PodRanges
from controller_manager.controllers.nodes.nodeipam import CONTROLLER
from controller_manager.controllers.nodes.ttl import ANNOTATION, next_step
from controller_manager.controllers.nodes.ttl import CONTROLLER as TTL
from controller_manager.options import parse
from kubeapi.core.node import Node, NodeSpec
from tests.fakes.api import FakeApi, Running, settle

FOUR = (("10.244.0.0/16", 24),)
SMALL = (("10.244.0.0/23", 24), ("fd00::/62", 64))


def node(name: str, *cidrs: str) -> Node:
    return Node(metadata=ObjectMeta(name=name), spec=NodeSpec(podCIDRs=list(cidrs) or None))


def running(api: FakeApi, networks: tuple[tuple[str, int], ...] = FOUR, *, enabled: bool = True) -> Running:
    return Running(api, CONTROLLER, allocate_node_cidrs=enabled, node_networks=networks, service_cidrs=())


def ranges(api: FakeApi) -> dict[str, list[str] | None]:
    return {each.name: each.spec.podCIDRs for each in api.all(Node)}


def test_a_range_that_is_free_again_is_not_the_next_one() -> None:
    pods = PodRanges(FOUR)
    assert [pods.assign(name) for name in "aba"] == [("10.244.0.0/24",), ("10.244.1.0/24",), ("10.244.0.0/24",)]
    assert pods.hold("a", ())
    assert pods.assign("c") == ("10.244.2.0/24",)


def test_ranges_of_any_size_are_held_and_others_ignored() -> None:
    pods = PodRanges((("10.244.0.0/21", 24),), excluded=["10.244.0.0/22", "10.96.0.0/12"])
    assert not pods.hold("half", ("10.244.4.128/25", "192.168.0.0/16", "fd00::/64"))
    assert pods.assign("a") == ("10.244.5.0/24",)
    pods.hold("all", ("10.0.0.0/8",))
    with pytest.raises(NoneLeft):
        pods.assign("b")


def test_a_range_that_two_nodes_have_is_free_when_both_are_gone() -> None:
    pods = PodRanges((("10.244.0.0/24", 24),))
    for name in ("a", "b"):
        pods.hold(name, ("10.244.0.0/24",))
    pods.hold("a", ())
    with pytest.raises(NoneLeft):
        pods.assign("c")
    pods.hold("b", ())
    assert pods.assign("c") == ("10.244.0.0/24",)


async def test_nodes_get_what_no_other_has_whether_or_not_the_controller_has_seen_them_come() -> None:
    api = FakeApi()
    for each in (node("own", "10.244.0.0/24"), node("new"), node("other", "10.244.1.0/24")):
        api.put(each)
    await settle(api, running(api))
    assert ranges(api) == {"own": ["10.244.0.0/24"], "new": ["10.244.2.0/24"], "other": ["10.244.1.0/24"]}
    api.put(node("later"))
    await settle(api, running(api))  # another one: the first was killed
    assert ranges(api)["later"] == ["10.244.3.0/24"]
    assert api.find(Node, "later").spec.podCIDR == "10.244.3.0/24"


async def test_without_the_flag_no_node_gets_a_range() -> None:
    api = FakeApi()
    api.put(node("a"))
    await settle(api, running(api, (), enabled=False))
    assert ranges(api) == {"a": None}


async def test_a_node_waits_with_an_event_until_another_one_is_gone() -> None:
    api = FakeApi()
    for name in "abc":
        api.put(node(name))
    ipam = running(api, SMALL)
    await settle(api, ipam)
    assert ranges(api) == {"a": ["10.244.0.0/24", "fd00::/64"], "b": ["10.244.1.0/24", "fd00:0:0:1::/64"], "c": None}
    assert any("Node c status is now: CIDRNotAvailable" in str(event) for event in ipam.recorder.events)
    await api.delete(Node, "a")
    await settle(api, ipam)
    assert ranges(api)["c"] == ["10.244.0.0/24", "fd00:0:0:2::/64"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--cluster-cidr=10.244.0.0/16"], (("10.244.0.0/16", 24),)),
        (["--cluster-cidr=10.244.0.0/16", "--node-cidr-mask-size=26"], (("10.244.0.0/16", 26),)),
        (
            ["--cluster-cidr=fd00::/48,10.0.0.0/8", "--node-cidr-mask-size-ipv4=20"],
            (("fd00::/48", 64), ("10.0.0.0/8", 20)),
        ),
        ([], None),
        (["--cluster-cidr=10.0.0.0/16,10.1.0.0/16"], None),
        (["--cluster-cidr=10.0.0.0/8", "--node-cidr-mask-size=25"], None),
        (["--cluster-cidr=10.0.0.0/24", "--node-cidr-mask-size=23"], None),
        (["--cluster-cidr=10.0.0.0/16,fd00::/56", "--node-cidr-mask-size=24"], None),
        (["--cluster-cidr=x"], None),
    ],
)
def test_networks_and_sizes_of_the_command_line(flags: list[str], expected: tuple[tuple[str, int], ...] | None) -> None:
    if expected is None:
        with pytest.raises(SystemExit):
            parse([], ["--allocate-node-cidrs", *flags])
    else:
        assert parse([], ["--allocate-node-cidrs", *flags]).node_networks == expected


async def test_nodes_are_told_for_how_long_to_keep_what_they_read() -> None:
    api = FakeApi()
    for number in range(101):
        api.put(node(f"n{number}"))
    await settle(api, Running(api, TTL))
    assert {each.annotations[ANNOTATION] for each in api.all(Node)} == {"15"}


def test_a_step_is_left_only_well_beyond_its_border() -> None:
    assert [next_step(0, 100), next_step(0, 101), next_step(1, 90), next_step(1, 89)] == [0, 1, 1, 0]
    assert [next_step(0, 5000), next_step(4, 1)] == [4, 0]
