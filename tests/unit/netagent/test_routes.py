"""Routes to the pods of other nodes."""

from __future__ import annotations

from ipaddress import ip_network

from apimachinery.meta import ObjectMeta
from kubeapi.core.node import Node, NodeAddress, NodeSpec, NodeStatus
from netagent.routes.plan import places, route_lines, wanted_routes

NEAR = [ip_network(text) for text in ("10.0.0.0/24", "fd01::/64")]


def node(name: str, addresses: list[str], *cidrs: str) -> Node:
    internal = [NodeAddress(type="InternalIP", address=address) for address in addresses]
    status = NodeStatus(addresses=[NodeAddress(type="Hostname", address=name), *internal])
    return Node(metadata=ObjectMeta(name=name), spec=NodeSpec(podCIDRs=list(cidrs) or None), status=status)


def test_neighbours_have_routes_by_the_address_of_the_family() -> None:
    nodes = places(
        [
            node("own", ["10.0.0.1"], "10.244.1.0/24"),
            node("both", ["10.0.0.2", "fd01::2"], "fd02:0:0:2::/64", "10.244.2.0/24"),
            node("far", ["10.0.9.3"], "10.244.3.0/24"),
            node("far-by-its-first", ["10.0.9.4", "10.0.0.4"], "10.244.4.0/24"),
            node("new", ["10.0.0.5"]),
            node("silent", [], "10.244.6.0/24"),
        ]
    )
    assert wanted_routes(nodes, "own", NEAR) == {
        "fd02:0:0:2::/64": "fd01::2",
        "10.244.2.0/24": "10.0.0.2",
        "10.244.4.0/24": "10.0.0.4",
    }


def test_what_else_a_node_reports_changes_nothing() -> None:
    before, after = node("a", ["10.0.0.1"], "10.244.1.0/24"), node("a", ["10.0.0.1"], "10.244.1.0/24")
    after.metadata.labels = {"zone": "a"}
    assert places([before]) == places([after])


def test_routes_change_as_nodes_come_and_go() -> None:
    current = {"10.244.16.0/24": "10.0.0.2", "10.244.17.0/24": "10.0.0.3"}
    wanted = {"10.244.17.0/24": "10.0.0.9", "10.244.18.0/24": "10.0.0.4"}
    assert route_lines(current, wanted, "metric 7") == [
        "route delete 10.244.16.0/24 metric 7",
        "route replace 10.244.17.0/24 via 10.0.0.9 metric 7",
        "route replace 10.244.18.0/24 via 10.0.0.4 metric 7",
    ]
    assert route_lines(wanted, wanted, "metric 7") == []
