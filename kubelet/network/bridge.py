"""The kubelet's own network of pods: a bridge, and for each pod a cable from it to the pod's eth0."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from apimachinery.validation import IPNetwork
from componentbase import logs
from componentbase.host.links import OVERLAY, ethernet_address
from componentbase.host.process import CommandError, run
from componentbase.host.rtnetlink import LINKS, noticing_changes
from kubelet.network.addresses import AddressPool, NoAddressLeft, gateway
from kubelet.network.attachment import Attachment
from kubelet.network.bandwidth import shaper
from kubelet.network.plug import PlugError
from kubelet.runtime.network import NetworkRequest

DEFAULT_MTU = 1500
IPV6_SWITCH = "/proc/sys/net/ipv6/conf/all/disable_ipv6"

log = logs.logger(__name__)

Run = Callable[..., Awaitable[str]]


class Bridge:
    """Implements `Plug`. `name` is the bridge's; `run_command` runs a program in the host's network."""

    def __init__(self, name: str, node_ips: Sequence[str], run_command: Run = run) -> None:
        self._name, self._node_ips, self._run = name, node_ips, run_command
        self._pool = AddressPool()
        self._lock = asyncio.Lock()
        self._mtu = 0
        """That of the bridge; 0 while it is not there, or other ranges have to be given to it."""

    def problem(self) -> str:
        return "" if self._pool.ranges else "the Node has no podCIDR yet"

    def set_ranges(self, cidrs: Sequence[str]) -> bool:
        changed = self._pool.use(cidrs)
        self._mtu = 0 if changed else self._mtu
        return changed

    async def follow(self, attachments: Callable[[], Iterable[Attachment]]) -> None:
        """The overlay's link comes with the first node that needs it: from then on all packets have to be smaller."""
        changed = asyncio.Event()
        with noticing_changes(changed, LINKS):
            while True:
                await changed.wait()
                changed.clear()
                async with self._lock:
                    try:
                        await self._follow_mtu(attachments())
                    except CommandError as error:
                        log.warning("the largest packet of pods is not known", error=str(error))

    async def _follow_mtu(self, attachments: Iterable[Attachment]) -> None:
        """Raises: CommandError."""
        links = await self._links() if self._mtu else []
        mtu = pod_mtu(links, self._node_ips)
        if not self._mtu or mtu == self._mtu:
            return
        log.info("packets of pods have another size", mtu=mtu, before=self._mtu)
        self._mtu = mtu
        for attachment in attachments:
            try:
                await self._inside(attachment, "ip", "link", "set", "dev", "eth0", "mtu", str(mtu))
                await self._batch([f"link set dev {cable(attachment.id)} mtu {mtu}"])
            except CommandError as error:  # it may just be ending
                log.warning("a pod's packets keep their size", pod=attachment.request.pod.name, error=str(error))
        await self._batch([f"link set dev {self._name} mtu {mtu}"])

    def holds(self, addresses: Sequence[str]) -> bool:
        return self._pool.holds(addresses)

    def reserve(self, request: NetworkRequest, taken: Collection[str]) -> Attachment:
        if problem := self.problem():
            raise PlugError(problem)
        try:
            return Attachment(request, self._pool.take(taken))
        except NoAddressLeft as error:
            raise PlugError(str(error)) from None

    async def add(self, attachment: Attachment) -> Attachment:
        try:
            mtu = await self._ready()
            await self._batch(cable_lines(self._name, attachment, mtu))
            lines = inside_lines(attachment.addresses, self._pool.ranges)
            enable = f"echo 0 >{IPV6_SWITCH}; " if any(":" in item for item in attachment.addresses) else ""
            stdin = "\n".join(lines) + "\n"
            await self._inside(attachment, "sh", "-ec", f"{enable}exec ip -batch -", stdin=stdin)
            await self._shape(attachment, mtu)
        except CommandError as error:
            self._mtu = 0  # somebody may have removed the bridge
            raise PlugError(str(error)) from None
        return attachment

    async def _shape(self, attachment: Attachment, mtu: int) -> None:
        """Limits what the bridge's end sends into the pod, and what the pod's end sends out of it."""
        limits = attachment.request.bandwidth
        if limits.ingress:
            await self._run("tc", "-batch", "-", stdin=shaper(cable(attachment.id), limits.ingress, mtu))
        if limits.egress:
            await self._inside(attachment, "tc", "-batch", "-", stdin=shaper("eth0", limits.egress, mtu))

    async def check(self, attachment: Attachment) -> None:
        try:
            await self._run("ip", "link", "show", "dev", cable(attachment.id), "master", self._name)
        except CommandError as error:
            raise PlugError(str(error)) from None

    async def delete(self, attachment: Attachment) -> None:
        """With the pod's namespace its cable goes by itself."""
        name = cable(attachment.id)
        try:
            await self._run("ip", "link", "delete", "dev", name)
        except CommandError as error:
            if "Cannot find device" not in str(error):
                raise PlugError(str(error)) from None

    async def _ready(self) -> int:
        """Makes the bridge where it is missing, or has not the addresses that it should. Raises: CommandError."""
        async with self._lock:
            if not self._mtu:
                links = await self._links()
                mtu = pod_mtu(links, self._node_ips)
                await self._batch(bridge_lines(self._name, self._pool.ranges, mtu, links))
                self._mtu = mtu
            return self._mtu

    async def _links(self) -> list[dict[str, Any]]:
        """Raises: CommandError."""
        links: list[dict[str, Any]] = json.loads(await self._run("ip", "-json", "address", "show"))
        return links

    async def _inside(self, attachment: Attachment, *command: str, stdin: str = "") -> None:
        """Runs a command in the pod's network. Raises: CommandError."""
        await self._run("nsenter", f"--net={attachment.request.netns}", *command, stdin=stdin)

    async def _batch(self, lines: Iterable[str]) -> None:
        await self._run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")


def pod_mtu(links: Sequence[dict[str, Any]], node_ips: Sequence[str]) -> int:
    """Returns the size of the largest packets that pods may send: `links` is what `ip -json address` shows."""
    sizes = [
        int(link["mtu"])
        for link in links
        if link["ifname"] == OVERLAY or any(item.get("local") in node_ips for item in link.get("addr_info", ()))
    ]
    return min(sizes, default=DEFAULT_MTU)


def bridge_lines(name: str, ranges: Sequence[IPNetwork], mtu: int, links: Sequence[dict[str, Any]]) -> list[str]:
    """Returns lines for `ip -batch` that make the bridge the gateway of these ranges, and of no others."""
    wanted = [gateway(network) for network in ranges]
    link = next((link for link in links if link["ifname"] == name), None)
    # With an address of its own: else it would take that of a cable, and another one when that goes.
    lines = [] if link else [f"link add name {name} {_hardware(wanted[0].split('/')[0])}type bridge"]
    for item in link.get("addr_info", ()) if link else ():
        address = f"{item['local']}/{item['prefixlen']}"
        if item.get("scope") == "global" and address not in wanted:
            lines.append(f"address delete {address} dev {name}")
    lines += [f"address replace {address} dev {name}{_nodad(address)}" for address in wanted]
    return [*lines, f"link set dev {name} mtu {mtu} up"]


def cable(sandbox_id: str) -> str:
    """Returns the name of the bridge's end."""
    return f"veth{sandbox_id[:11]}"


def cable_lines(bridge: str, attachment: Attachment, mtu: int) -> list[str]:
    """Returns lines for `ip -batch` that lay a cable from the bridge into the pod."""
    name, netns = cable(attachment.id), attachment.request.netns
    hardware = _hardware(attachment.addresses[0])
    return [
        f"link add name {name} mtu {mtu} type veth peer name eth0 {hardware}mtu {mtu} netns {netns}",
        f"link set dev {name} master {bridge} up",
        f"link set dev {name} type bridge_slave hairpin on",  # a pod may reach itself through its own Service
    ]


def inside_lines(addresses: Sequence[str], ranges: Sequence[IPNetwork]) -> list[str]:
    """Returns lines for `ip -batch` inside the pod."""
    pairs = list(zip(addresses, ranges, strict=True))
    lines = [f"address add {address}/{network.prefixlen} dev eth0{_nodad(address)}" for address, network in pairs]
    lines.append("link set dev eth0 up")
    return lines + [f"route add default via {network[1]}" for _, network in pairs]


def _nodad(address: str) -> str:
    """Spares an IPv6 address the question whether a neighbour has it: none can, and until then it is of no use."""
    return " nodad" if ":" in address else ""


def _hardware(address: str) -> str:
    """Returns an Ethernet address made of an IPv4 address, which neighbours may go on to remember."""
    parsed = ip_address(address)
    return f"address {ethernet_address(parsed.packed)} " if parsed.version == 4 else ""
