"""kube-dns: runs in a node's network namespace and answers the queries of its pods."""

from __future__ import annotations

import asyncio
import sys

from prometheus_client import REGISTRY

from clusterdns.cache import EncodedAnswers
from clusterdns.cluster import WatchedCluster
from clusterdns.configuration import Configuration
from clusterdns.metrics import QueryMetrics
from clusterdns.options import Options, parse
from clusterdns.resolver import Resolver
from clusterdns.server import DnsServer
from componentbase import daemon, logs
from componentbase.clock import Clock
from componentbase.health import HealthHandler
from componentbase.host.hostnetwork import end_outside_host_network, network_namespace
from kubeclient.daemon import daemon_client
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient

PATIENCE_SECONDS = 5.0
"""Without an API server for so long, queries are answered all the same: those for the world."""
COREDNS_PROBES = {"/health": "/livez", "/ready": "/readyz"}

log = logs.logger(__name__)


class Probes(HealthHandler):
    """Answers `/health`, `/ready` and `/metrics` as CoreDNS does."""

    def __init__(self, cluster: WatchedCluster, *, open_metrics: bool) -> None:
        super().__init__(open_metrics=open_metrics)
        self.add_ready_check("kubernetes", lambda: "" if cluster.synced else "Services are not known yet")

    def respond(self, path: str, query: bytes, verified: bool) -> tuple[int, str, bytes]:
        return super().respond(COREDNS_PROBES.get(path, path), query, verified)


def main() -> int:
    options = parse()
    logs.setup("kube-dns", options.log_file, options.verbosity)
    return daemon.run(lambda: _run(options), "kube-dns")


async def _run(options: Options) -> None:
    async with daemon_client(options.kubeconfig, "kube-dns") as rest:
        await _serve(options, rest)


async def _serve(options: Options, rest: RestClient) -> None:
    encoded = EncodedAnswers()
    cluster = WatchedCluster(rest, encoded.forget)
    recorder = EventRecorder(rest, "kube-dns", options.node_name)

    def install(resolver: Resolver) -> None:
        server.resolver = resolver
        encoded.clear()

    configuration = Configuration(rest, cluster, recorder, options.addresses, options.resolv_conf, install)
    counts = QueryMetrics(lambda: configuration.resolver.cache_entries())
    REGISTRY.register(counts)
    server = DnsServer(configuration.resolver, encoded, counts, options.clients)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(end_outside_host_network(options.host_netns_file, Clock(), network_namespace()))
        for task in (cluster.run(), configuration.run(), recorder.run()):
            tasks.create_task(task)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await cluster.wait_synced()
                await configuration.wait_synced()
        except TimeoutError:
            log.warning("the API server has not answered yet: names of the cluster can't be told")
        for address in options.addresses:
            tasks.create_task(Probes(cluster, open_metrics=True).serve(address, options.metrics_port))
        if options.health_address:
            tasks.create_task(Probes(cluster, open_metrics=False).serve(options.health_address, options.metrics_port))
        log.info("serving", addresses=",".join(options.addresses), port=options.port)
        try:
            await server.run(options.addresses, options.port)
        except OSError as error:
            where = " or ".join(options.addresses)
            raise daemon.FatalError(
                f"{where} can't be served on ({error}): has this host the address, and the port free?"
            ) from None


if __name__ == "__main__":
    sys.exit(main())
