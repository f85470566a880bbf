"""Routes to the pods of other nodes."""

from __future__ import annotations

from ipaddress import ip_network

from apimachinery.meta import ObjectMeta
from kubeapi.core.node import Node, NodeAddress, NodeSpec, NodeStatus
from netagent.routes.overlay import forwarding_lines, link_lines, neighbour_lines, wanted_overlay
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


PLACES = places(
    [
        node("own", ["10.0.0.1", "fd01::1"], "10.244.1.0/24", "fd02:0:0:1::/64"),
        node("near", ["10.0.0.2"], "10.244.2.0/24"),
        node("far", ["10.0.9.3", "fd09::3"], "10.244.3.0/24", "fd02:0:0:3::/64"),
        node("new", ["10.0.9.4"]),
        node("six", ["fd09::5"], "fd02:0:0:5::/64"),
    ]
)


def test_nodes_that_no_link_leads_to_are_reached_by_the_overlay() -> None:
    overlay = wanted_overlay(PLACES, "own", ["10.244.2.0/24"], "auto")
    assert overlay is not None
    assert overlay.local == "10.0.0.1"
    assert overlay.addresses == ("10.244.1.0/32", "fd02:0:0:1::/128")
    assert overlay.routes() == {
        "10.244.3.0/24": "10.244.3.0 dev mini-vxlan onlink",
        "fd02:0:0:3::/64": "fd02:0:0:3:: dev mini-vxlan onlink",
    }
    assert overlay.neighbours() == {"10.244.3.0": "0a:58:0a:00:09:03", "fd02:0:0:3::": "0a:58:0a:00:09:03"}
    assert overlay.forwarding() == {"0a:58:0a:00:09:03": "10.0.9.3"}


def test_the_overlay_can_be_forced_and_forbidden() -> None:
    always = wanted_overlay(PLACES, "own", ["10.244.2.0/24"], "always")
    assert always is not None
    assert "10.244.2.0/24" in always.routes()
    assert wanted_overlay(PLACES, "own", [], "never") is None
    assert wanted_overlay(PLACES, "own", ["10.244.2.0/24", "10.244.3.0/24", "fd02:0:0:3::/64"], "auto") is None
    assert wanted_overlay(PLACES, "new", [], "auto") is None, "it has no pods yet"
    six = wanted_overlay(PLACES, "six", [], "auto")
    assert six is not None
    assert set(six.forwarding().values()) == {"fd01::1", "fd09::3"}


def test_the_overlay_s_link_follows_the_node_s_address_and_packet_size() -> None:
    overlay = wanted_overlay(PLACES, "own", [], "auto")
    assert overlay is not None
    carrier = {"ifname": "eth0", "mtu": 9000, "addr_info": [{"local": "10.0.0.1", "prefixlen": 24, "scope": "global"}]}
    made = link_lines(overlay, [carrier])
    assert made == [
        "link add name mini-vxlan address 0a:58:0a:00:00:01 type vxlan id 1 local 10.0.0.1 dstport 4789 nolearning",
        "address add 10.244.1.0/32 dev mini-vxlan",
        "address add fd02:0:0:1::/128 dev mini-vxlan nodad",
        "link set dev mini-vxlan mtu 8950 up",
    ]
    own = [{"local": "10.244.1.0", "prefixlen": 32, "scope": "global"}]
    own += [{"local": "fd02:0:0:1::", "prefixlen": 128, "scope": "global"}]
    info = {"info_data": {"id": 1, "local": "10.0.0.1", "port": 4789}}
    link = {"ifname": "mini-vxlan", "mtu": 8950, "flags": ["UP"], "address": "0a:58:0a:00:00:01", "linkinfo": info}
    assert link_lines(overlay, [carrier, link | {"addr_info": own}]) == []
    assert link_lines(overlay, [link | {"addr_info": own}]) == ["link set dev mini-vxlan mtu 1450 up"]
    old = {"local": "10.244.9.0", "prefixlen": 32, "scope": "global"}
    assert link_lines(overlay, [carrier, link | {"addr_info": [*own, old]}]) == [
        "address delete 10.244.9.0/32 dev mini-vxlan"
    ]
    moved = link | {"linkinfo": {"info_data": info["info_data"] | {"local": "10.0.0.7"}}}
    assert link_lines(overlay, [carrier, moved])[:2] == ["link delete dev mini-vxlan", made[0]]


def test_ends_of_the_overlay_come_go_and_move() -> None:
    assert neighbour_lines({"10.244.8.0": "a", "10.244.3.0": "b"}, {"10.244.3.0": "c"}) == [
        "neigh delete 10.244.8.0 dev mini-vxlan",
        "neigh replace 10.244.3.0 lladdr c dev mini-vxlan nud permanent",
    ]
    assert forwarding_lines({"a": "10.0.9.8", "b": "10.0.9.3"}, {"b": "10.0.9.4"}) == [
        "fdb delete a dev mini-vxlan",
        "fdb replace b dev mini-vxlan dst 10.0.9.4 self permanent",
    ]
