"""hostPort: traffic to a port of the node goes on to a pod's port, by DNAT in the kubelet's own chains.

The engine knows nothing of the network of pods. Where CNI plugins publish ports as well, their rules and these say the
same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.validation import ip_family
from componentbase import logs
from componentbase.clock import Clock
from componentbase.host.process import CommandError, run
from componentbase.net.authority import join_host_port
from kubeapi.core.pod.model import Pod
from kubeclient.backoff import Backoff
from kubelet.container.config import port_mappings

PROGRAMS = {"IPv4": "iptables", "IPv6": "ip6tables"}
CHAIN = "KUBE-HOSTPORTS"
MASQUERADE_CHAIN = "KUBE-HOSTPORTS-MASQ"
JUMPS = (
    f'PREROUTING -m comment --comment "kubernetes host ports" -m addrtype --dst-type LOCAL -j {CHAIN}',
    f'OUTPUT -m comment --comment "kubernetes host ports" -m addrtype --dst-type LOCAL -j {CHAIN}',
    f'POSTROUTING -m comment --comment "kubernetes host ports" -j {MASQUERADE_CHAIN}',
)
FIRST_RETRY_SECONDS = 1.0
MOST_RETRY_SECONDS = 60.0
SETTLE_SECONDS = 5.0  # after the start: ports of pods that run already must not be closed for being not yet known
WAIT_SECONDS = "5"  # for the lock that another iptables may hold

_ANY = ("0.0.0.0", "::")

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """`host_ip` "" means every address of the node, of the family of `pod_ip`."""

    protocol: str
    host_ip: str
    host_port: int
    pod_ip: str
    container_port: int
    pod: str


def host_ports(pod: Pod, pod_ips: tuple[str, ...]) -> tuple[HostPort, ...]:
    """Lists the ports that the pod publishes, for each of its addresses whose family the port is for."""
    return tuple(
        HostPort(
            port.protocol.lower(),
            "" if port.host_ip in _ANY else port.host_ip,
            port.host_port,
            pod_ip,
            port.container_port,
            pod.key,
        )
        for port in port_mappings(pod)
        for pod_ip in pod_ips
        if not port.host_ip or ip_family(port.host_ip) == ip_family(pod_ip)
    )


def restore_text(ports: Iterable[HostPort], saved: str) -> str:
    """Returns the text for `iptables-restore --noflush` that makes these ports of one family work, and no others.

    `saved` is what `iptables-save` said. "" when there is nothing to do; without any port our chains and the jumps to
    them go away.
    """
    ordered = sorted(ports)
    jumps = {jump: f"-A {jump}" in saved for jump in JUMPS}
    exists = f":{CHAIN} " in saved
    if not ordered and not exists and not any(jumps.values()):
        return ""
    lines = ["*nat", f":{CHAIN} - [0:0]", f":{MASQUERADE_CHAIN} - [0:0]"]
    if not ordered:
        lines += [f"-D {jump}" for jump, there in jumps.items() if there]
        lines += [f"-X {CHAIN}", f"-X {MASQUERADE_CHAIN}"]
        return "\n".join([*lines, "COMMIT", ""])
    lines += [f"-A {jump}" for jump, there in jumps.items() if not there]
    for port in ordered:
        address = f"-d {_alone(port.host_ip)} " if port.host_ip else ""
        target = join_host_port(port.pod_ip, port.container_port)
        lines.append(
            f"-A {CHAIN} {address}-p {port.protocol} -m {port.protocol} --dport {port.host_port} "
            f'-m comment --comment "{port.pod}" -j DNAT --to-destination {target}'
        )
    for ip in map(_alone, sorted({port.pod_ip for port in ordered})):
        # A pod that calls itself by the node's address would get an answer from itself, and drop it.
        lines.append(f"-A {MASQUERADE_CHAIN} -s {ip} -d {ip} -j MASQUERADE")
        # A call to the node's 127.0.0.1 leaves with that as its source (where kube-proxy has set route_localnet).
        if ":" not in ip:
            lines.append(f"-A {MASQUERADE_CHAIN} -s 127.0.0.0/8 -d {ip} -j MASQUERADE")
    return "\n".join([*lines, "COMMIT", ""])


def _alone(address: str) -> str:
    """Returns the network of this address alone."""
    return f"{address}/{128 if ':' in address else 32}"


class HostPorts:
    """`update` and `forget` only note; `run` writes the rules, all at once, when they have changed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_pod: dict[str, tuple[HostPort, ...]] = {}
        self._changed = asyncio.Event()
        self._changed.set()

    def update(self, pod: Pod, pod_ips: tuple[str, ...]) -> None:
        uid = pod.metadata.uid or ""
        ports = host_ports(pod, pod_ips)
        if self._by_pod.get(uid, ()) != ports:
            self._by_pod[uid] = ports
            self._changed.set()

    def forget(self, uid: str) -> None:
        if self._by_pod.pop(uid, ()):
            self._changed.set()

    def ports(self) -> list[HostPort]:
        return [port for ports in self._by_pod.values() for port in ports]

    async def run(self) -> None:
        """Runs until cancelled. A node without iptables works as well, as long as no pod asks for a host port."""
        retry = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        await self._clock.sleep(SETTLE_SECONDS)
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.sync()
                retry.reset()
            except CommandError as error:
                log.warning("host ports not set, will retry", error=str(error))
                await self._clock.sleep(retry.next_seconds())
                self._changed.set()

    async def sync(self) -> None:
        """Raises: CommandError where there are ports to set; nothing has changed in that family, then."""
        for family, program in PROGRAMS.items():
            ports = [port for port in self.ports() if ip_family(port.pod_ip) == family]
            try:
                text = restore_text(ports, await run(f"{program}-save", "-t", "nat"))
                if text:
                    await run(f"{program}-restore", "--noflush", "--wait", WAIT_SECONDS, stdin=text)
                    log.info("host ports set", family=family, count=len(ports))
            except CommandError:
                if ports:
                    raise
