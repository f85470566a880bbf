"""kube-proxy: runs in a node's network namespace and routes Services there."""

from __future__ import annotations

import asyncio
import shutil
import sys

from componentbase import daemon, logs
from componentbase.clock import Clock
from componentbase.hostnetwork import end_outside_host_network, network_namespace
from componentbase.process import CommandError
from kubeapi.core.service.headless import HEADLESS_LABEL
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeclient.config import ConfigError, load_config
from kubeclient.informer import Informer
from kubeclient.rest import RestClient, user_agent
from kubeproxy import sysctls
from kubeproxy.conntrack import Conntrack
from kubeproxy.health import HealthzHandler, MetricsHandler
from kubeproxy.iptables import Iptables
from kubeproxy.options import Options, parse
from kubeproxy.proxier import Proxier, ServiceMap, service_key
from kubeproxy.rules import Settings

PROXIED = f"!service.kubernetes.io/service-proxy-name,!{HEADLESS_LABEL}"

log = logs.logger(__name__)


def main() -> int:
    options = parse()
    logs.setup("kube-proxy", options.log_file, options.verbosity)
    return daemon.run(lambda: _cleanup() if options.cleanup else _run(options), "kube-proxy")


async def _cleanup() -> None:
    _require_programs()
    try:
        removed = await Iptables().cleanup()
    except CommandError as error:
        raise daemon.FatalError(f"rules could not be removed: {error}") from None
    log.info("rules removed" if removed else "there were no rules to remove")


async def _run(options: Options) -> None:
    _require_programs()
    if shutil.which("conntrack") is None:
        log.warning("conntrack is not installed: UDP clients keep talking to endpoints that are gone")
    sysctls.switch_on(sysctls.FORWARDING)
    sysctls.switch_on(sysctls.BRIDGE_NETFILTER)
    settings = Settings(
        cluster_cidr=options.cluster_cidr,
        masquerade_all=options.masquerade_all,
        masquerade_bit=options.masquerade_bit,
        localhost_node_ports=options.localhost_node_ports and sysctls.switch_on(sysctls.ROUTE_LOCALNET),
    )
    try:
        config = load_config(options.kubeconfig)
    except ConfigError as error:
        raise daemon.FatalError(str(error)) from None
    async with RestClient(config, user_agent=user_agent("kube-proxy")) as rest:
        await _proxy(options, settings, rest)


def _require_programs() -> None:
    for program in ("iptables-save", "iptables-restore"):
        if shutil.which(program) is None:
            raise daemon.FatalError(f"{program} is not on PATH: install iptables (Debian: apt-get install iptables)")


async def _proxy(options: Options, settings: Settings, rest: RestClient) -> None:
    clock = Clock()
    services = Informer(rest, Service, label_selector=PROXIED)
    slices = Informer(
        rest, EndpointSlice, label_selector=PROXIED, indexes={"service": lambda item: [service_key(item)]}
    )
    proxier = Proxier(
        ServiceMap(services.get, lambda key: slices.by_index("service", key), options.node_name),
        settings,
        Iptables(),
        Conntrack(),
        clock=clock,
        min_sync_seconds=options.min_sync_seconds,
        sync_seconds=options.sync_seconds,
    )

    def on_service(old: Service | None, new: Service | None) -> None:
        for item in (old, new):
            if item is not None:
                proxier.changed(item.key)

    def on_slice(old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for item in (old, new):
            if item is not None:
                proxier.changed(service_key(item))

    services.add_handler(on_service)
    slices.add_handler(on_slice)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(end_outside_host_network(options.host_netns_file, clock, network_namespace()))
        tasks.create_task(HealthzHandler(proxier, clock).serve(*options.healthz_address))
        tasks.create_task(MetricsHandler(proxier).serve(*options.metrics_address))
        tasks.create_task(services.run())
        tasks.create_task(slices.run())
        # Rules made from half a list would cut off services that work.
        await services.wait_synced()
        await slices.wait_synced()
        log.info("syncing", node=options.node_name, cluster_cidr=settings.cluster_cidr)
        tasks.create_task(proxier.run())


if __name__ == "__main__":
    sys.exit(main())
