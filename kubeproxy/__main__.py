"""kube-proxy: runs in a node's network namespace and routes Services there."""

from __future__ import annotations

import asyncio
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from componentbase import daemon, logs
from componentbase.clock import Clock
from componentbase.host.hostnetwork import end_outside_host_network, network_namespace
from componentbase.host.process import CommandError
from componentbase.host.sysctls import switch_on
from kubeapi.core.node import Node
from kubeapi.core.service.headless import HEADLESS_LABEL
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeclient.daemon import daemon_client
from kubeclient.informer import Informer
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient
from kubeproxy import metrics, sysctls
from kubeproxy.family import FamilyRules, Kernel
from kubeproxy.flows.conntrack import Conntrack, UdpCleaner
from kubeproxy.flows.relay import Relay
from kubeproxy.iptables import kernel as iptables
from kubeproxy.nftables import kernel as nftables
from kubeproxy.node import ThisNode, interface_addresses
from kubeproxy.options import Options, parse
from kubeproxy.proxier import NodePortsOn, Proxier
from kubeproxy.service_map import ServiceMap
from kubeproxy.serving.health import HealthzHandler, MetricsHandler
from kubeproxy.serving.health_ports import HealthPort, HealthPorts
from kubeproxy.settings import FAMILIES, PRIMARY, Family, LocalBy, Mode, Settings, node_port_addresses

PROXIED = f"!service.kubernetes.io/service-proxy-name,!{HEADLESS_LABEL}"
PROGRAMS = {
    Mode.IPTABLES: ("iptables", "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"),
    Mode.NFTABLES: ("nft",),
}
NODE_SECONDS = 10.0
"""For the Node to be read, before rules are made without knowing it."""
IPV6 = Path("/proc/net/if_inet6")
"""Where the kernel has IPv6."""

log = logs.logger(__name__)


def main() -> int:
    options = parse()
    logs.setup("kube-proxy", options.log_file, options.verbosity)
    return daemon.run(lambda: _cleanup() if options.cleanup else _run(options), "kube-proxy")


def _families() -> tuple[Family, ...]:
    return FAMILIES if IPV6.exists() else (4,)


async def _clean(mode: Mode) -> bool:
    """Removes the rules of a mode; False when there were none, or its programs are missing. Raises: CommandError."""
    if not all(map(shutil.which, PROGRAMS[mode])):
        return False
    clean = iptables.cleanup if mode is Mode.IPTABLES else nftables.cleanup
    return any([await clean(family) for family in _families()])


async def _cleanup() -> None:
    try:
        removed = any([await _clean(mode) for mode in Mode])
    except CommandError as error:
        raise daemon.FatalError(f"rules could not be removed: {error}") from None
    log.info("rules removed" if removed else "there were no rules to remove")


async def _run(options: Options) -> None:
    for program in PROGRAMS[options.proxy_mode]:
        if shutil.which(program) is None:
            package = options.proxy_mode.value
            raise daemon.FatalError(f"{program} is not on PATH: install {package} (Debian: apt-get install {package})")
    if shutil.which("conntrack") is None:
        log.warning("conntrack is not installed: UDP clients keep talking to endpoints that are gone")
    sysctls.switch_on_needed(_families())
    async with daemon_client(options.kubeconfig, "kube-proxy") as rest:
        await _Proxy(options, rest).run()


class _Proxy:
    """The parts of kube-proxy, and how they hear of each other."""

    def __init__(self, options: Options, rest: RestClient) -> None:
        self._options, self._clock = options, Clock()
        self._node = ThisNode(rest, options.node_name)
        self._services = Informer(rest, Service, label_selector=PROXIED)
        self._slices = Informer(
            rest, EndpointSlice, label_selector=PROXIED, indexes={"service": lambda item: [item.service_key]}
        )
        self._map = ServiceMap(self._services.get, lambda key: self._slices.by_index("service", key), self._node.place)
        self._relay = Relay(_families())
        self._recorder = EventRecorder(rest, "kube-proxy")
        self._node_changed = asyncio.Event()

    async def run(self) -> None:
        options, clock = self._options, self._clock
        self._node.informer.add_handler(self._on_node)
        async with asyncio.TaskGroup() as tasks:
            start = tasks.create_task
            start(end_outside_host_network(options.host_netns_file, clock, network_namespace()))
            start(self._recorder.run())
            for informer in (self._node.informer, self._services, self._slices):
                start(informer.run())
            with suppress(TimeoutError):  # without the right to read Nodes, there are Services to route all the same
                async with asyncio.timeout(NODE_SECONDS):
                    await self._node.informer.wait_synced()
            pod_cidrs = await self._pod_cidrs()
            proxier = await self._proxier(pod_cidrs)
            health_ports = HealthPorts(proxier.check, self._health_port_taken, clock)
            proxier.on_changes += [health_ports.update, self._relay.update]
            start(HealthzHandler(proxier, self._node, clock).serve(*options.healthz_address))
            start(MetricsHandler(proxier, options.proxy_mode).serve(*options.metrics_address))
            start(self._relay.run())
            start(health_ports.run())
            start(self._end_with_other_pod_cidrs(pod_cidrs))
            # Rules made from half a list would cut off services that work.
            await self._services.wait_synced()
            await self._slices.wait_synced()
            log.info("syncing", node=options.node_name, mode=options.proxy_mode.value, pods=pod_cidrs)
            start(proxier.run())
            start(self._remove_other_mode(proxier))

    async def _proxier(self, pod_cidrs: tuple[str, ...]) -> Proxier:
        options = self._options
        families = [FamilyRules(family, await self._kernel(family, pod_cidrs)) for family in _families()]
        proxier = Proxier(
            self._map,
            families,
            UdpCleaner(Conntrack(_families())),
            self._node_ports_on,
            clock=self._clock,
            min_sync_seconds=options.min_sync_seconds,
            sync_seconds=options.sync_seconds,
        )

        def on_service(old: Service | None, new: Service | None) -> None:
            if item := new or old:
                self._map.mark(item.key)
                metrics.count_change(metrics.SERVICE_CHANGES, metrics.SERVICE_CHANGES_PENDING)
                proxier.changed()

        def on_slice(old: EndpointSlice | None, new: EndpointSlice | None) -> None:
            self._map.mark_slice(old, new)
            metrics.count_change(metrics.ENDPOINT_CHANGES, metrics.ENDPOINT_CHANGES_PENDING)
            proxier.changed()

        def on_node(old: Node | None, new: Node | None) -> None:
            self._map.move(self._node.place)
            if old is None or new is None or old.status.addresses != new.status.addresses or old.labels != new.labels:
                proxier.changed()

        self._services.add_handler(on_service)
        self._slices.add_handler(on_slice)
        self._node.informer.add_handler(on_node)
        return proxier

    async def _kernel(self, family: Family, pod_cidrs: tuple[str, ...]) -> Kernel:
        options = self._options
        settings = Settings(
            family=family,
            local=options.local_traffic(family, pod_cidrs),
            masquerade_all=options.masquerade_all,
            masquerade_bit=options.masquerade_bit,
            localhost_node_ports=family == 4 and options.localhost_node_ports and switch_on(sysctls.ROUTE_LOCALNET),
            relay_port=self._relay.port,
        )
        if options.proxy_mode is Mode.IPTABLES:
            return iptables.IptablesKernel(settings, await iptables.watch(family))
        return nftables.NftablesKernel(settings, nftables.watch(family))

    async def _node_ports_on(self) -> NodePortsOn:
        wanted = self._options.nodeport_addresses
        own = await interface_addresses() if any(item != PRIMARY for item in wanted) else ()
        return {family: node_port_addresses(wanted, own, self._node.addresses, family) for family in _families()}

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        self._node_changed.set()

    async def _pod_cidrs(self) -> tuple[str, ...]:
        """Returns the node's own pod CIDRs, with NodeCIDR once it has some."""
        while self._options.detect_local_mode is LocalBy.NODE_CIDR and not self._node.pod_cidrs:
            self._node_changed.clear()
            await self._node_changed.wait()
        return self._node.pod_cidrs

    async def _end_with_other_pod_cidrs(self, first: tuple[str, ...]) -> None:
        """Ends the daemon when rules that were made for the node's pod CIDRs no longer hold."""
        while self._options.detect_local_mode is LocalBy.NODE_CIDR:
            self._node_changed.clear()
            await self._node_changed.wait()
            if self._node.pod_cidrs not in ((), first):
                raise daemon.FatalError(f"the node's pod CIDRs are {self._node.pod_cidrs} now, not {first}")

    async def _remove_other_mode(self, proxier: Proxier) -> None:
        """Removes the rules that another mode left here, once our own are there."""
        await proxier.synced.wait()
        other = Mode.NFTABLES if self._options.proxy_mode is Mode.IPTABLES else Mode.IPTABLES
        try:
            if await _clean(other):
                log.info("rules of the other mode removed", mode=other.value)
        except CommandError as error:
            log.error("rules of the other mode could not be removed", mode=other.value, error=error)

    def _health_port_taken(self, port: HealthPort, why: str) -> None:
        service = self._services.get(f"{port.namespace}/{port.name}")
        if service is not None:
            message = f"node {self._options.node_name} failed to start healthcheck {service.key!r} on port {port.port}"
            self._recorder.event(service, "Warning", "FailedToStartServiceHealthcheck", f"{message}: {why}")


if __name__ == "__main__":
    sys.exit(main())
