"""What the launcher chooses for a cluster: names, subnets, ports; and that it remembers."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import pytest

from mini_cluster.cluster.etcd_members import etcd_members, initial_cluster
from mini_cluster.cluster.families import HOST_SUBNETS, POD_NETWORKS
from mini_cluster.cluster.layout import SOCKET_PATH_LIMIT, Layout
from mini_cluster.cluster.state import (
    MAX_NODES,
    ClusterState,
    EtcdPorts,
    NodeState,
    Ports,
    StateError,
    choose_network,
    choose_ports,
    link_in_the_way,
    load_state,
    networks_in_use,
    replace_taken_ports,
    save_state,
)

BOTH_SERVICE_CIDRS = ("10.96.0.0/16", "fd00:10:96::/112")
STATE = ClusterState("172.30.7.0/24", "10.244.0.0/16", Ports(6443, 20003, 20004, (EtcdPorts(20001, 20002),)))


def test_names_on_the_machine_are_short_enough_however_deep_the_folder_is() -> None:
    layout = Layout.of("/" + "/".join(["deep"] * 60), uid=0)
    assert len(layout.bridge) <= 15
    assert len(layout.veth(MAX_NODES)) <= 15
    assert len(str(layout.node(f"worker-{MAX_NODES}").docker_socket)) < SOCKET_PATH_LIMIT
    deepest = layout.node("worker-5").docker_exec_root / "containerd" / "containerd-debug.sock"
    assert len(str(deepest)) < SOCKET_PATH_LIMIT


def test_two_clusters_share_no_name() -> None:
    one, other = Layout.of("/srv/one", uid=0), Layout.of("/srv/other", uid=0)
    assert one.bridge != other.bridge
    assert one.netns("worker-1") != other.netns("worker-1")
    assert one.run != other.run


def test_a_user_without_root_gets_a_socket_folder_that_may_be_made() -> None:
    assert str(Layout.of("/home/me/.cluster", uid=1000).run).startswith("/tmp/mini-kubernetes-1000-")


def test_the_first_subnet_that_overlaps_nothing_is_chosen() -> None:
    used = [ip_network(text) for text in ("172.30.0.0/24", "172.30.1.128/25", "10.0.0.0/8", "fd00:172:30::/64")]
    assert str(choose_network(HOST_SUBNETS[4], used)) == "172.30.2.0/24"
    assert str(choose_network(HOST_SUBNETS[6], used)) == "fd00:172:30:1::/64"
    with pytest.raises(StateError):
        choose_network(POD_NETWORKS[4], used)


def test_the_default_route_is_no_network_in_use() -> None:
    routes = [
        {"dst": "default", "gateway": "192.0.2.1"},
        {"dst": "172.30.0.0/24", "dev": "mk1"},
        {"type": "unreachable", "dst": "10.96.0.0/16"},
        {"type": "local", "dst": "10.1.2.3", "dev": "eth0"},
        {"type": "unreachable", "dst": "fd00:10:244::/56", "dev": "lo"},
    ]
    addresses = [
        {"ifname": "docker0", "addr_info": [{"family": "inet", "local": "172.17.0.1", "prefixlen": 16}]},
        {},
    ]
    assert networks_in_use(json.dumps(routes), json.dumps(addresses)) == {
        IPv4Network("172.30.0.0/24"): "mk1",
        IPv4Network("10.96.0.0/16"): "",
        IPv4Network("10.1.2.3/32"): "eth0",
        IPv4Network("172.17.0.0/16"): "docker0",
        IPv6Network("fd00:10:244::/56"): "lo",
    }


def test_what_took_a_cluster_s_networks_is_named_unless_it_is_the_cluster_s_own() -> None:
    used = {IPv4Network("172.30.8.0/24"): "br1", IPv4Network("10.244.0.0/16"): "", IPv4Network("10.244.1.0/24"): "mk1"}
    assert link_in_the_way(STATE, used, "mk1") == ""
    assert link_in_the_way(STATE, used, "mk2") == "mk1"
    assert link_in_the_way(STATE, {IPv4Network("172.30.7.128/25"): "br1"}, "mk1") == "br1"
    assert link_in_the_way(STATE, {IPv4Network("172.16.0.0/12"): "tun0"}, "mk1") == "", "the narrower route wins"


def test_ports_are_distinct_and_skip_those_in_use() -> None:
    taken = {6443, *range(20000, 29996, 2)}
    ports = choose_ports("00000a", 6443, lambda port: port not in taken)
    assert len(ports.all()) == 5
    assert not taken & ports.all()


def test_the_wanted_api_port_is_taken_when_it_is_free() -> None:
    assert choose_ports("00000a", 6443, lambda port: True).api == 6443
    assert len(choose_ports("00000a", 20010, lambda port: True).all()) == 5


def test_ports_stay_unless_something_took_them() -> None:
    ports = Ports(6443, 20003, 20004, (EtcdPorts(20001, 20002),))
    assert replace_taken_ports(ports, "000000", lambda port: True) == ports
    changed = replace_taken_ports(ports, "000000", lambda port: port not in (6443, 20002))
    assert (changed.etcd[0].client, changed.controller_manager, changed.scheduler) == (20001, 20003, 20004)
    assert len({changed.api, changed.etcd[0].peer, 6443, 20001, 20002, 20003, 20004}) == 7


def test_each_member_of_etcd_has_ports_and_several_keep_those_of_their_peers() -> None:
    ports = choose_ports("00000a", None, lambda port: True, etcd_members=3)
    assert len(ports.all()) == 9
    clients = {member.client for member in ports.etcd}
    changed = replace_taken_ports(ports, "00000a", lambda port: port not in clients)
    assert [member.peer for member in changed.etcd] == [member.peer for member in ports.etcd]
    assert not clients & changed.all()
    with pytest.raises(StateError, match=f"port {ports.etcd[1].peer}, which another program uses"):
        replace_taken_ports(ports, "00000a", lambda port: port != ports.etcd[1].peer)


def test_members_of_etcd_know_each_other_and_keep_the_name_of_an_only_one() -> None:
    layout = Layout.of("/srv/one", uid=0)
    (only,) = etcd_members(layout, STATE)
    assert (only.component, only.data, only.client_url) == ("etcd", layout.root / "etcd", "https://127.0.0.1:20001")
    three = etcd_members(layout, replace(STATE, ports=choose_ports("00000a", None, lambda port: True, 3)))
    assert [member.component for member in three] == ["etcd-1", "etcd-2", "etcd-3"]
    assert len({member.data for member in three}) == 3
    assert initial_cluster(three).count("=https://127.0.0.1:") == 3


def test_a_state_file_from_before_etcd_had_several_members_is_read(tmp_path: Path) -> None:
    ports = {"api": 6443, "etcd_client": 20001, "etcd_peer": 20002, "controller_manager": 20003, "scheduler": 20004}
    document = {"subnet": STATE.subnet, "pod_network": STATE.pod_network, "ports": ports, "nodes": [], "version": 1}
    (tmp_path / "state.json").write_text(json.dumps(document))
    assert load_state(tmp_path / "state.json") == STATE


def test_no_free_port_is_said_so() -> None:
    with pytest.raises(StateError, match="no free port"):
        choose_ports("00000a", None, lambda port: port < 20003)


def test_addresses_of_nodes_don_t_meet() -> None:
    indexes = range(1, MAX_NODES + 1)
    addresses = {STATE.node_ip(index) for index in indexes} | {STATE.gateway}
    assert len(addresses) == MAX_NODES + 1


@pytest.mark.parametrize(
    ("family", "versions", "services"),
    [("ipv4", [4], ("10.96.0.0/16",)), ("ipv6", [6], ("fd00:10:96::/112",)), ("dual", [4, 6], BOTH_SERVICE_CIDRS)],
)
def test_a_cluster_tells_of_the_families_that_it_was_made_with(
    family: str, versions: list[int], services: tuple[str, ...]
) -> None:
    state = replace(STATE, ip_family=family, nodes=(NodeState(1),))
    if family != "ipv4":
        state = replace(state, subnet6="fd00:172:30:7::/64", pod_network6="fd00:10:244::/56")
    addresses = {4: "172.30.7.12", 6: "fd00:172:30:7::c"}
    assert state.node_ips(2) == tuple(addresses[version] for version in versions)
    assert state.service_cidrs == services
    assert state.node_ip(2) == "172.30.7.12", "daemons speak IPv4"
    assert state.api_bind_address == ("0.0.0.0" if family == "ipv4" else "::")
    assert state.api_advertise_address == ("fd00:172:30:7::1" if family == "ipv6" else "172.30.7.1")


def test_without_hosts_the_api_server_is_on_loopback_only() -> None:
    assert STATE.api_bind_address == "127.0.0.1"
    assert STATE.with_node_count(1).api_advertise_address == "172.30.7.1"


def test_state_survives_the_file(tmp_path: Path) -> None:
    state = STATE.with_node_count(3).with_stopped("worker-2", True)
    save_state(tmp_path / "state.json", state)
    assert load_state(tmp_path / "state.json") == state
    assert list(tmp_path.iterdir()) == [tmp_path / "state.json"]


def test_bringing_up_switches_every_node_on() -> None:
    stopped = STATE.with_node_count(2).with_stopped("worker-1", True)
    assert not stopped.with_node_count(2).node("worker-1").stopped


def test_a_host_is_cut_off_until_it_is_connected_or_switched() -> None:
    cut = STATE.with_node_count(2).with_disconnected("worker-1", True)
    assert [node.in_use for node in cut.nodes] == [False, True]
    for healed in (
        cut.with_disconnected("worker-1", False),
        cut.with_stopped("worker-1", True).with_stopped("worker-1", False),
        cut.with_node_count(2),
    ):
        assert [node.in_use for node in healed.nodes] == [True, True]
    with pytest.raises(StateError, match="is switched off"):
        cut.with_stopped("worker-1", True).with_disconnected("worker-1", True)


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 99}', '{"version": 1, "nodes": []}'])
def test_a_damaged_state_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(StateError, match=r"state\.json"):
        load_state(path)


def test_an_unknown_node_is_named_with_those_there_are() -> None:
    with pytest.raises(StateError, match=r"worker-9.*worker-1, worker-2"):
        STATE.with_node_count(2).with_stopped("worker-9", True)


def names(state: ClusterState) -> list[str]:
    return [node.name for node in state.nodes]


def test_nodes_come_and_go_one_by_one() -> None:
    state = STATE.with_node_count(2).with_node("worker-4").without_node("worker-1")
    assert names(state) == ["worker-2", "worker-4"]
    assert names(state.with_node("")) == ["worker-1", "worker-2", "worker-4"]
    assert names(state.with_node_count(2)) == ["worker-2", "worker-4"]  # the same cluster again
    assert names(state.with_node_count(3)) == ["worker-1", "worker-2", "worker-4"]
    assert names(state.with_node_count(1)) == ["worker-2"]


def test_a_node_that_is_off_stays_off_when_another_comes() -> None:
    state = STATE.with_node_count(2).with_stopped("worker-2", True).with_node("")
    assert [node.stopped for node in state.nodes] == [False, True, False]
    with pytest.raises(StateError, match="there is a node worker-2 already"):
        state.with_node("worker-2")


@pytest.mark.parametrize("name", ["web", "worker-0", "worker-01", "worker-6", "worker-x"])
def test_a_name_without_addresses_is_refused(name: str) -> None:
    with pytest.raises(StateError, match="free names are worker-3, worker-4, worker-5"):
        STATE.with_node_count(2).with_node(name)


def test_a_full_cluster_takes_no_node() -> None:
    with pytest.raises(StateError, match="at most 5 nodes"):
        STATE.with_node_count(5).with_node("")
