"""What the launcher runs, how it recognises it again, and whom it would kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mini_cluster.cluster.component import Component, HttpProbe, HttpsProbe, Programs
from mini_cluster.cluster.components import cluster_components
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.registry import registry_config
from mini_cluster.cluster.state import ClusterState, EtcdPorts, NodeState, Ports
from mini_cluster.hosts.network import PacketRule, host_rules, link_commands, machine_rules
from mini_cluster.hosts.sweep import cluster_processes, host_processes, orphaned_shims, running_containers
from mini_cluster.machine.processes import Process, ancestors, with_descendants
from mini_cluster.machine.programs import explain_missing, missing_requirements, requirements, resolv_conf
from mini_cluster.supervision.keeper import RestartBackoff, component_processes, is_current

LAYOUT = Layout(Path("/srv/demo"), Path("/run/mini-kubernetes-abc"))
STATE = ClusterState("172.30.7.0/24", "10.244.0.0/16", Ports(6443, 3, 4, (EtcdPorts(1, 2),)))
PROGRAMS = Programs(Path("/venv/bin"), "/usr/bin/etcd", "/usr/sbin/dockerd", "/usr/bin/nsenter")


def components(state: ClusterState) -> dict[str, Component]:
    return {component.name: component for component in cluster_components(LAYOUT, state, PROGRAMS)}


def test_a_control_plane_alone_has_four_processes() -> None:
    assert set(components(STATE)) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}


def test_each_host_has_an_engine_a_kubelet_a_proxy_and_a_dns_unless_it_is_off() -> None:
    state = STATE.with_node_count(2).with_stopped("worker-1", True)
    hosts = {name for name, component in components(state).items() if component.node}
    daemons = ("dockerd", "kubelet", "kube-proxy", "kube-dns", "netagent")
    assert hosts == {f"{daemon}-worker-2" for daemon in daemons}


def test_whatever_a_component_needs_exists_and_comes_first() -> None:
    seen: set[str] = set()
    for name, component in components(STATE.with_node_count(5)).items():
        assert set(component.needs) <= seen
        seen.add(name)


def test_a_host_s_processes_enter_its_network_namespace() -> None:
    kubelet = components(STATE.with_node_count(1))["kubelet-worker-1"]
    assert kubelet.argv[:3] == (
        "/usr/bin/nsenter",
        f"--net=/var/run/netns/{LAYOUT.netns('worker-1')}",
        "--",
    )
    assert "--node-ip=172.30.7.11" in kubelet.program
    manager = components(STATE.with_node_count(1))["kube-controller-manager"].program
    assert {"--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16"} <= set(manager)


def test_a_registry_listens_where_hosts_reach_it_and_on_loopback_without_any() -> None:
    with_registry = replace(STATE, registry_port=5001)
    alone = components(with_registry)["registry"]
    assert (alone.ready, alone.needs) == (HttpProbe("127.0.0.1", 5001, "/v2/"), ())
    assert "addr: 127.0.0.1:5001" in registry_config(LAYOUT, with_registry)
    hosts = with_registry.with_node_count(2).with_stopped("worker-1", True)
    registry = components(hosts)["registry"]
    assert (registry.ready, registry.needs) == (HttpProbe("172.30.7.1", 5001, "/v2/"), ("dockerd-worker-2",))
    assert "addr: 172.30.7.1:5001" in registry_config(LAYOUT, hosts)
    assert "registry" not in components(STATE)


def test_every_loopback_leads_to_the_registry_and_lets_no_neighbour_in() -> None:
    state = replace(STATE, registry_port=5001)
    lead = ("-d", "127.0.0.1/32", "-p", "tcp", "--dport", "5001", "-j", "DNAT", "--to-destination", "172.30.7.1:5001")
    for rules in (machine_rules("mkabc", state), host_rules(state)):
        assert PacketRule("nat", "OUTPUT", lead) in rules
    inward = [rule.match for rule in host_rules(state) if rule.chain == "INPUT"]
    assert [match[-2:] for match in inward] == [("-j", "DROP")]
    assert not [rule for rule in host_rules(STATE) if rule.chain == "INPUT"]


def test_etcd_takes_clients_with_a_certificate_only() -> None:
    etcd = components(STATE)["etcd"].program
    assert "--client-cert-auth=true" in etcd
    assert not any("http://" in argument for argument in etcd)


def test_a_host_knows_no_pods_until_its_agent_has_routes() -> None:
    outside, inside = link_commands(LAYOUT, STATE, NodeState(2))
    assert f"master {LAYOUT.bridge} up" in outside
    assert "route replace unreachable 10.244.0.0/16" in inside
    assert f"master {LAYOUT.bridge} down" in link_commands(LAYOUT, STATE, NodeState(2, disconnected=True))[0]


def test_every_rule_on_the_machine_carries_the_cluster_s_comment() -> None:
    for rule in machine_rules("mkabc", STATE):
        assert "mini-kubernetes-abc" in rule.command("-I", "mini-kubernetes-abc")


def test_the_machine_forwards_from_hosts_and_to_them_only_answers() -> None:
    forward = [rule.match for rule in machine_rules("mkabc", STATE) if rule.chain == "FORWARD"]
    assert ("-i", "mkabc", "-j", "ACCEPT") in forward
    assert all("RELATED,ESTABLISHED" in match for match in forward if "-o" in match)


@pytest.mark.parametrize(
    ("lifetimes", "delays"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0], [0.5, 1, 2, 4, 8, 16, 30, 30]),
        ([0, 0, 61, 0], [0.5, 1, 0.5, 1]),
    ],
)
def test_backoff_doubles_up_to_its_ceiling_and_starts_again_after_a_long_life(
    lifetimes: list[float], delays: list[float]
) -> None:
    backoff = RestartBackoff()
    assert [backoff.after(lifetime) for lifetime in lifetimes] == delays


PROBE = HttpsProbe("127.0.0.1", 1, "/")
DOCKERD = Component("dockerd-worker-1", ("/usr/sbin/dockerd", "--bip=10.244.1.1/24"), PROBE, node="worker-1")


def process(pid: int, parent: int, *argv: str, component: str = "", netns: int = 1, cgroups: str = "") -> Process:
    return Process(pid, parent, pid, argv, "abc" if component else "", component, netns, cgroups)


def table(*processes: Process) -> dict[int, Process]:
    return {item.pid: item for item in processes}


def test_an_engine_is_told_from_its_helpers_which_inherit_its_mark() -> None:
    engine = process(10, 1, "/usr/sbin/dockerd", "--bip=10.244.1.1/24", component="dockerd-worker-1")
    helper = process(11, 10, "containerd", "--config", "x", component="dockerd-worker-1")
    other = process(12, 1, "/usr/sbin/dockerd", "--bip=10.244.2.1/24", component="dockerd-worker-2")
    assert component_processes(table(engine, helper, other), "abc", DOCKERD) == [engine]


def test_a_process_with_other_arguments_or_certificates_is_not_current() -> None:
    script = process(10, 1, "/venv/bin/python", "/venv/bin/kube-proxy", "--a=1", component="kube-proxy")
    component = Component("kube-proxy", ("/venv/bin/kube-proxy", "--a=1"), PROBE)
    assert is_current(script, component, "h1", "h1")
    assert not is_current(script, component, "h2", "h1")
    assert not is_current(script, Component("kube-proxy", ("/venv/bin/kube-proxy", "--a=2"), PROBE), "h1", "h1")


CONTAINER = "0123456789abcdef" * 4


def doomed(processes: dict[int, Process]) -> set[int]:
    return host_processes(
        processes,
        "abc",
        "worker-1",
        netns=77,
        exec_root="/run/mini-kubernetes-abc/worker-1/docker",
        cgroup="/mini-kubernetes-abc/worker-1",
        containers={CONTAINER},
    )


@pytest.mark.parametrize(
    "victim",
    [
        process(20, 1, "kubelet", component="kubelet-worker-1"),
        process(20, 1, "sh", netns=77),
        process(20, 1, "shim", "-address", "/run/mini-kubernetes-abc/worker-1/docker/containerd/containerd.sock"),
        process(20, 1, "sleep", cgroups="2:pids:/mini-kubernetes-abc/worker-1/xyz"),
        process(20, 1, "sleep", cgroups=f"2:pids:/kubepods/{CONTAINER}"),
    ],
)
def test_cutting_power_ends_what_runs_on_the_host_and_its_children(victim: Process) -> None:
    child = process(21, 20, "child", netns=99)
    assert doomed(table(victim, child, process(1, 0, "init"))) == {20, 21}


@pytest.mark.parametrize(
    "bystander",
    [
        process(20, 1, "kubelet", component="kubelet-worker-2"),
        process(20, 1, "kubelet", component="kubelet-worker-11"),
        process(20, 1, "sh", netns=78),
        process(20, 1, "shim", "-address", "/run/mini-kubernetes-abc/worker-11/docker/containerd/containerd.sock"),
        process(20, 1, "sleep", cgroups="2:pids:/mini-kubernetes-abc/worker-11/xyz"),
        process(20, 1, "sleep", cgroups="2:pids:/docker/" + "f" * 64),
        process(20, 1, "dockerd"),
    ],
)
def test_cutting_power_spares_everybody_else(bystander: Process) -> None:
    assert doomed(table(bystander, process(1, 0, "init"))) == set()


def test_a_namespace_that_is_gone_matches_no_process() -> None:
    hidden = process(20, 1, "sh", netns=0)
    assert (
        host_processes(table(hidden), "abc", "worker-1", netns=0, exec_root="/x", cgroup="/y", containers=set())
        == set()
    )


def test_orphans_are_an_engine_s_own_shims_for_containers_it_does_not_know_to_run() -> None:
    def shim(pid: int, container: str, exec_root: str) -> Process:
        return process(pid, 1, "shim", "-id", container, "-address", f"{exec_root}/containerd/containerd.sock")

    shims = shim(20, "a", "/run/1"), shim(21, "b", "/run/1"), shim(22, "c", "/run/2")
    processes = table(*shims, process(23, 21, "pause"), process(24, 20, "pause"))
    assert orphaned_shims(processes, "/run/1", {"a"}) == {21, 23}


def test_an_engine_takes_over_what_it_has_noted_as_running(tmp_path: Path) -> None:
    configs = {"up": '{"State": {"Running": true}}', "down": '{"State": {"Running": false}}', "torn": '{"Sta'}
    for container, text in configs.items():
        (folder := tmp_path / "containers" / container).mkdir(parents=True)
        (folder / "config.v2.json").write_text(text)
    assert running_containers(tmp_path) == {"up"}


def test_a_cluster_s_processes_are_those_that_bear_its_mark_and_their_children() -> None:
    processes = table(process(20, 1, "etcd", component="etcd"), process(21, 20, "child"), process(22, 1, "etcd"))
    assert cluster_processes(processes, "abc") == {20, 21}
    assert cluster_processes(processes, "other") == set()


def test_descent_goes_all_the_way_down_and_up() -> None:
    processes = table(process(1, 0), process(2, 1), process(3, 2), process(4, 1))
    assert with_descendants(processes, [2]) == {2, 3}
    assert ancestors(processes, 3) == {3, 2, 1}


def test_what_is_missing_is_said_with_the_command_that_brings_it() -> None:
    missing = missing_requirements(requirements(2), lacking("dockerd", "etcd"), lambda package: False)
    text = explain_missing(missing)
    assert "apt-get install -y --no-install-recommends etcd-server docker.io" in text
    assert missing_requirements(requirements(0), lacking("etcd"), lambda package: False) == missing[:1]


def test_docker_s_own_packages_are_completed_by_their_like_and_kept_as_they_are() -> None:
    def has_docker_s_own(package: str) -> bool:
        return package == "docker-ce-cli"

    (engine,) = missing_requirements(requirements(2), lacking("dockerd"), has_docker_s_own)
    assert engine.package == "docker-ce"
    assert missing_requirements(requirements(2), lacking(), has_docker_s_own) == []


def lacking(*missing: str) -> Callable[[str], str | None]:
    """A `which` on a machine that has every program but these."""
    return lambda program: None if program in missing else f"/usr/bin/{program}"


def test_a_host_sends_nothing_out_to_a_service_that_nobody_serves() -> None:
    rules = {(rule.chain, rule.at_head): rule.match for rule in host_rules(STATE) if rule.table == "filter"}
    nowhere = ("-d", "10.96.0.0/16", "-j", "REJECT", "--reject-with", "icmp-host-unreachable")
    own = ("!", "-o", "lo", *nowhere)
    assert rules == {("OUTPUT", False): own, ("FORWARD", False): nowhere}, "behind kube-proxy's rules"


def test_hosts_are_told_of_resolvers_that_they_reach(tmp_path: Path) -> None:
    file, behind = tmp_path / "resolv.conf", tmp_path / "systemd"
    behind.write_text("nameserver 192.0.2.1\n")
    for text, expected in (
        ("nameserver 127.0.0.53\noptions edns0\n", behind),
        ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", file),
        ("nameserver 192.0.2.1\n", file),
        ("search example.com\n", file),
    ):
        file.write_text(text)
        assert resolv_conf(file, behind) == expected
    assert resolv_conf(tmp_path / "none", behind) == tmp_path / "none"
    file.write_text("nameserver 127.0.0.53\n")
    assert resolv_conf(file, tmp_path / "none") == file
