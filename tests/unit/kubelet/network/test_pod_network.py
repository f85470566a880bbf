"""What the kubelet gives its pods of the network: addresses, cables, and what is left of them after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from componentbase.host.links import OVERLAY
from kubelet.network.addresses import AddressPool, NoAddressLeft, gateway
from kubelet.network.attachment import Attachment
from kubelet.network.bandwidth import EGRESS, INGRESS, BandwidthError, pod_bandwidth, shaper
from kubelet.network.bridge import Bridge, bridge_lines, cable_lines, inside_lines, pod_mtu
from kubelet.network.plug import PlugError
from kubelet.network.pod_network import PodNetwork
from kubelet.runtime.configs import Bandwidth, PodRef, PortMapping
from kubelet.runtime.interface import EngineError
from kubelet.runtime.network import NetworkRequest

RANGES = ("10.244.1.0/29", "fd00:10:244:1::/64")
NETWORKS = tuple(map(ip_network, RANGES))


def request(number: int = 1, pid: int = 7) -> NetworkRequest:
    pod = PodRef(f"uid-{number}", "default", f"web-{number}")
    return NetworkRequest(f"{number:064x}", pod, f"/proc/{pid}/ns/net", (PortMapping(80, 8080),), Bandwidth(1000, 0))


def test_addresses_are_those_of_pods_and_rest_before_they_are_given_again() -> None:
    pool = AddressPool()
    assert pool.use(RANGES)
    assert not pool.use(RANGES)
    assert pool.take(()) == ("10.244.1.2", "fd00:10:244:1::2")
    assert pool.take({"10.244.1.3"}) == ("10.244.1.4", "fd00:10:244:1::3")
    assert [pool.take(())[0][-1] for _ in range(4)] == ["5", "6", "2", "3"]
    taken = {f"10.244.1.{number}" for number in range(2, 7)}
    with pytest.raises(NoAddressLeft, match=r"no IP addresses available in range set: 10.244.1.1-10.244.1.6"):
        pool.take(taken)
    assert pool.take(taken - {"10.244.1.5"})[0] == "10.244.1.5"
    assert [gateway(network) for network in NETWORKS] == ["10.244.1.1/29", "fd00:10:244:1::1/64"]
    assert pool.holds(("10.244.1.2", "fd00:10:244:1::2"))
    assert not pool.holds(("10.244.2.2",))


def test_a_cable_leads_from_the_bridge_into_the_pod() -> None:
    attachment = Attachment(request(0xABC), ("10.244.1.2", "fd00:10:244:1::2"))
    add, join, hairpin = cable_lines("cbr0", attachment, 1450)
    assert add == (
        "link add name veth00000000000 mtu 1450 type veth peer name eth0 address 0a:58:0a:f4:01:02 mtu 1450 "
        "netns /proc/7/ns/net"
    )
    assert "master cbr0 up" in join
    assert hairpin.endswith("hairpin on")
    assert inside_lines(attachment.addresses, NETWORKS) == [
        "address add 10.244.1.2/29 dev eth0",
        "address add fd00:10:244:1::2/64 dev eth0 nodad",
        "link set dev eth0 up",
        "route add default via 10.244.1.1",
        "route add default via fd00:10:244:1::1",
    ]


def test_a_bridge_is_the_gateway_of_present_ranges_alone() -> None:
    assert bridge_lines("cbr0", NETWORKS, 1500, []) == [
        "link add name cbr0 address 0a:58:0a:f4:01:01 type bridge",
        "address replace 10.244.1.1/29 dev cbr0",
        "address replace fd00:10:244:1::1/64 dev cbr0 nodad",
        "link set dev cbr0 mtu 1500 up",
    ]
    old = {"local": "10.244.9.1", "prefixlen": 24, "scope": "global"}
    own = {"local": "10.244.1.1", "prefixlen": 29, "scope": "global"}
    local = {"local": "fe80::1", "prefixlen": 64, "scope": "link"}
    lines = bridge_lines("cbr0", NETWORKS[:1], 1500, [{"ifname": "cbr0", "addr_info": [old, own, local]}])
    assert lines[0] == "address delete 10.244.9.1/24 dev cbr0"
    assert [line.split()[1] for line in lines[1:]] == ["replace", "set"]


def test_packets_of_pods_fit_into_the_node_s_link_and_into_the_overlay() -> None:
    links = [
        {"ifname": "eth0", "mtu": 9000, "addr_info": [{"local": "10.0.0.2"}]},
        {"ifname": "eth1", "mtu": 1400, "addr_info": [{"local": "10.9.0.2"}]},
    ]
    assert pod_mtu(links, ("10.0.0.2",)) == 9000
    assert pod_mtu(links, ("10.0.0.9",)) == 1500
    assert pod_mtu([*links, {"ifname": OVERLAY, "mtu": 8950}], ("10.0.0.2",)) == 8950


@pytest.mark.parametrize(
    ("given", "bits"), [({}, (0, 0)), ({INGRESS: "1k"}, (1000, 0)), ({INGRESS: "1P", EGRESS: "10M"}, (10**15, 10**7))]
)
def test_limits_of_traffic_are_read(given: dict[str, str], bits: tuple[int, int]) -> None:
    assert pod_bandwidth(given) == Bandwidth(*bits)


@pytest.mark.parametrize(
    ("text", "why"), [("999", "unreasonably small"), ("1001T", "unreasonably large"), ("fast", "must match")]
)
def test_unreasonable_limits_are_refused(text: str, why: str) -> None:
    with pytest.raises(BandwidthError, match=f"failed to get pod bandwidth info from annotations: .*{why}"):
        pod_bandwidth({EGRESS: text})


def test_a_burst_has_room_for_packets() -> None:
    assert shaper("eth0", 1000, 1500) == "qdisc replace dev eth0 root tbf rate 1000bit burst 3000 latency 50ms\n"
    assert "burst 50000 " in shaper("eth0", 8_000_000, 1500)


class FakePlug:
    """Gives addresses in memory; `fails` names the methods that fail."""

    def __init__(self) -> None:
        self.pool = AddressPool()
        self.here: set[str] = set()
        self.fails: set[str] = set()

    def problem(self) -> str:
        return ""

    def set_ranges(self, cidrs: Sequence[str]) -> bool:
        return self.pool.use(cidrs)

    async def follow(self, attachments: Callable[[], Iterable[Attachment]]) -> None: ...

    def holds(self, addresses: Sequence[str]) -> bool:
        return self.pool.holds(addresses)

    def reserve(self, request: NetworkRequest, taken: Collection[str]) -> Attachment:
        return Attachment(request, self.pool.take(taken))

    async def add(self, attachment: Attachment) -> Attachment:
        self.here.add(attachment.id)
        await asyncio.sleep(0)
        self._perhaps("add")
        return attachment

    async def check(self, attachment: Attachment) -> None:
        self._perhaps("check")

    async def delete(self, attachment: Attachment) -> None:
        self._perhaps("delete")
        self.here.discard(attachment.id)

    def _perhaps(self, name: str) -> None:
        if name in self.fails:
            raise PlugError(f"no {name}")


async def test_what_a_sandbox_holds_outlives_the_kubelet(tmp_path: Path) -> None:
    plug = FakePlug()
    network = PodNetwork(str(tmp_path), plug, ("10.0.0.0/24",))
    assert network.set_ranges(RANGES)
    given = await network.attach(request(1))
    assert given == await network.attach(request(1)) == network.addresses(request(1).id)
    successor = PodNetwork(str(tmp_path), plug, ("10.0.0.0/24",))
    assert successor.addresses(request(1).id) == given, "ranges are remembered, too"
    assert set(await successor.attach(request(2))).isdisjoint(given)
    assert successor.attached() == {request(1).id, request(2).id}
    plug.fails = {"check"}
    await successor.check(successor.attached())
    assert successor.addresses(request(1).id) == ()
    plug.fails = set()
    assert await successor.attach(request(1))
    await successor.detach(request(1).id)
    await successor.detach(request(1).id)
    assert plug.here == {request(2).id}
    assert [path.name for path in tmp_path.glob("*.json")] == [f"{request(2).id}.json"]


@pytest.mark.parametrize("content", ["", '{"request": {"id"', '{"addresses": ["10.0.0.2"]}', '{"request": {}}', "[]"])
async def test_a_file_that_was_cut_short_costs_one_sandbox_its_network_alone(tmp_path: Path, content: str) -> None:
    plug = FakePlug()
    network = PodNetwork(str(tmp_path), plug, RANGES)
    kept = (await network.attach(request(1)), await network.attach(request(2)))[0]
    (tmp_path / f"{request(2).id}.json").write_text(content)
    successor = PodNetwork(str(tmp_path), plug, RANGES)
    assert (successor.attached(), successor.addresses(request(1).id)) == ({request(1).id}, kept)
    assert await successor.attach(request(2))
    assert PodNetwork(str(tmp_path), plug, RANGES).attached() == {request(1).id, request(2).id}


async def test_a_sandbox_that_was_started_again_is_attached_anew(tmp_path: Path) -> None:
    network = PodNetwork(str(tmp_path), FakePlug(), RANGES)
    first = await network.attach(request(1, pid=7))
    assert await network.attach(request(1, pid=8)) != first


async def test_what_failed_or_was_cut_off_halfway_holds_no_address(tmp_path: Path) -> None:
    plug = FakePlug()
    network = PodNetwork(str(tmp_path), plug, RANGES)
    plug.fails = {"add"}
    with pytest.raises(EngineError, match=rf'failed to setup network for sandbox "{request(1).id}": no add'):
        await network.attach(request(1))
    assert (plug.here, network.attached()) == (set(), frozenset())
    plug.fails = {"add", "delete"}
    with pytest.raises(EngineError, match="no add"):
        await network.attach(request(1))
    successor = PodNetwork(str(tmp_path), plug, RANGES)
    assert (successor.attached(), successor.addresses(request(1).id)) == ({request(1).id}, ())
    with pytest.raises(EngineError, match=rf'failed to destroy network for sandbox "{request(1).id}": no delete'):
        await successor.detach(request(1).id)
    plug.fails = set()
    await successor.detach(request(1).id)
    assert not plug.here


async def test_addresses_of_other_ranges_are_no_longer_a_pod_s(tmp_path: Path) -> None:
    network = PodNetwork(str(tmp_path), FakePlug(), RANGES)
    await network.attach(request(1))
    network.set_ranges(("10.244.7.0/24",))
    assert network.addresses(request(1).id) == ()


async def test_the_bridge_says_what_it_waits_for_and_is_made_again_where_it_went() -> None:
    ran: list[tuple[str, ...]] = []

    async def note(*argv: str, stdin: str = "") -> str:
        ran.append((*argv, stdin))
        return "[]" if "show" in argv else ""

    bridge = Bridge("cbr0", ("10.0.0.2",), note)
    assert bridge.problem() == "the Node has no podCIDR yet"
    with pytest.raises(PlugError, match="no podCIDR"):
        bridge.reserve(request(), ())
    bridge.set_ranges(RANGES[:1])
    attachment = bridge.reserve(replace(request(), bandwidth=Bandwidth(8000, 4000)), ())
    await bridge.add(attachment)
    await bridge.add(attachment)
    made = [line for *_, line in ran if "type bridge\n" in line]
    assert len(made) == 1
    assert [argv[-4:-1] for argv in ran if "tc" in argv][:2] == [
        ("tc", "-batch", "-"),
        ("tc", "-batch", "-"),
    ]
