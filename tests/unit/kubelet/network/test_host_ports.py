"""Packet rules for host ports: only our own chains, only what is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.network.host_ports import CHAIN, JUMPS, HostPort, host_ports, restore_text
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import make_pod
from tests.kits.node.kubeletbench import Bench

EMPTY = "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"
INSTALLED = "*nat\n:KUBE-HOSTPORTS - [0:0]\n" + "".join(f"-A {jump}\n" for jump in JUMPS) + "COMMIT\n"
WEB = HostPort("tcp", "", 9090, "10.244.1.5", 80, "default/web")


def with_ports(*ports: dict[str, Any], **spec: Any) -> Any:
    return make_pod({"containers": [{"name": "app", "image": "app:1", "ports": list(ports)}], **spec})


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"containerPort": 80, "hostPort": 9090}, [WEB]),
        ({"containerPort": 80}, []),
        (
            {"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"},
            [HostPort("udp", "10.0.0.1", 53, "10.244.1.5", 53, "default/web")],
        ),
        ({"containerPort": 80, "hostPort": 9090, "hostIP": "0.0.0.0"}, [WEB]),
    ],
)
def test_ports_of_a_pod(port: dict[str, Any], expected: list[HostPort]) -> None:
    assert list(host_ports(with_ports(port), ("10.244.1.5",))) == expected


@pytest.mark.parametrize(
    ("host_ip", "expected"),
    [
        ("", ["10.244.1.5", "fd00::5"]),
        ("0.0.0.0", ["10.244.1.5"]),
        ("::", ["fd00::5"]),
        ("fd00:172::b", ["fd00::5"]),
    ],
)
def test_a_port_is_for_the_families_of_its_host_address(host_ip: str, expected: list[str]) -> None:
    port = {"containerPort": 80, "hostPort": 9090, "hostIP": host_ip}
    assert [each.pod_ip for each in host_ports(with_ports(port), ("10.244.1.5", "fd00::5"))] == expected


def test_rules_of_ipv6() -> None:
    lines = restore_text([HostPort("tcp", "fd00:172::b", 9090, "fd00::5", 80, "default/web")], EMPTY).splitlines()
    assert (
        f'-A {CHAIN} -d fd00:172::b/128 -p tcp -m tcp --dport 9090 -m comment --comment "default/web" '
        "-j DNAT --to-destination [fd00::5]:80"
    ) in lines
    assert "-A KUBE-HOSTPORTS-MASQ -s fd00::5/128 -d fd00::5/128 -j MASQUERADE" in lines
    assert not any("127.0.0.0" in line for line in lines)


def test_nothing_without_an_address_or_with_host_networking() -> None:
    port = {"containerPort": 80, "hostPort": 80}
    assert host_ports(with_ports(port), ()) == ()
    assert host_ports(with_ports(port, hostNetwork=True), ("10.0.0.2",)) == ()


def test_first_rules_bring_the_jumps() -> None:
    lines = restore_text([WEB], EMPTY).splitlines()
    assert lines[:3] == ["*nat", ":KUBE-HOSTPORTS - [0:0]", ":KUBE-HOSTPORTS-MASQ - [0:0]"]
    assert [line.removeprefix("-A ") for line in lines if " -j KUBE-" in line] == list(JUMPS)
    assert (
        f'-A {CHAIN} -p tcp -m tcp --dport 9090 -m comment --comment "default/web" '
        "-j DNAT --to-destination 10.244.1.5:80"
    ) in lines
    assert "-A KUBE-HOSTPORTS-MASQ -s 10.244.1.5/32 -d 10.244.1.5/32 -j MASQUERADE" in lines
    assert "-A KUBE-HOSTPORTS-MASQ -s 127.0.0.0/8 -d 10.244.1.5/32 -j MASQUERADE" in lines
    assert lines[-1] == "COMMIT"


def test_jumps_are_not_doubled() -> None:
    assert not any(f"-A {jump}" in restore_text([WEB], INSTALLED) for jump in JUMPS)


def test_an_address_of_the_node_is_matched() -> None:
    port = HostPort("tcp", "10.0.0.1", 80, "10.244.1.5", 80, "default/web")
    assert f"-A {CHAIN} -d 10.0.0.1/32 -p tcp" in restore_text([port], EMPTY)


def test_without_ports_everything_of_ours_goes() -> None:
    lines = restore_text([], INSTALLED).splitlines()
    assert [line for line in lines if line.startswith("-D")] == [f"-D {jump}" for jump in JUMPS]
    assert lines[-3:] == ["-X KUBE-HOSTPORTS", "-X KUBE-HOSTPORTS-MASQ", "COMMIT"]


def test_a_clean_node_is_left_alone() -> None:
    assert restore_text([], EMPTY) == ""


async def test_ports_follow_the_life_of_the_pod(bench: Bench) -> None:
    app = {"name": "app", "image": "app:1", "ports": [{"containerPort": 80, "hostPort": 9090}]}
    bench.add({"containers": [app]})
    await eventually_async(lambda: len(bench.host_ports.ports()) == 1)
    first = bench.host_ports.ports()[0].pod_ip
    bench.runtime.kill_sandbox("uid-1")
    await eventually_async(lambda: [port.pod_ip for port in bench.host_ports.ports()] not in ([], [first]))
    bench.api.ask_deletion()
    await eventually_async(lambda: bench.api.deleted == ["web"])
    assert bench.host_ports.ports() == []
