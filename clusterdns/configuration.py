"""Follows the Corefile, in the ConfigMap kube-system/coredns, and the node's resolv.conf."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

from prometheus_client import Counter

from clusterdns.cluster import WatchedCluster
from clusterdns.corefile.directives import parse_corefile
from clusterdns.corefile.options import Config, PodMode
from clusterdns.corefile.syntax import CorefileError
from clusterdns.resolver import Resolver
from componentbase import logs
from componentbase.host.inotify import FolderWatcher
from kubeapi.core.configmap import ConfigMap
from kubeclient.informer import Informer
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient

NAMESPACE, NAME, KEY = "kube-system", "coredns", "Corefile"
RESOLV_CONF = "/etc/resolv.conf"
SETTLE_SECONDS = 0.2
"""A file is written in several steps, which are looked at once."""

DEFAULT_COREFILE = """\
.:53 {
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 30
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf
    cache 30
    loop
    loadbalance
}
"""
"""Holds while there is no ConfigMap, and until there has been one that can be served."""

RELOAD_FAILED = Counter("coredns_reload_failed_total", "Corefiles that could not be served.")

log = logs.logger(__name__)


class Configuration:
    """Makes a resolver of the newest Corefile that can be served, and gives it to `install`."""

    def __init__(
        self,
        rest: RestClient,
        cluster: WatchedCluster,
        recorder: EventRecorder,
        addresses: Sequence[str],
        resolv_conf: str,
        install: Callable[[Resolver], None],
    ) -> None:
        """`resolv_conf` is read where the Corefile says /etc/resolv.conf."""
        self._cluster, self._recorder, self._addresses, self._install = cluster, recorder, addresses, install
        self._resolv_conf = Path(resolv_conf)
        self._informer = Informer(rest, ConfigMap, namespace=NAMESPACE, field_selector=f"metadata.name={NAME}")
        self._changed = asyncio.Event()
        self._informer.add_handler(lambda old, new: self._changed.set())
        self._config = parse_corefile(DEFAULT_COREFILE)
        self.resolver = self._build(self._config)

    async def run(self) -> None:
        watcher = FolderWatcher()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._informer.run())
                tasks.create_task(self._watch_file(watcher))
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    await self._load()
        finally:
            watcher.close()

    async def wait_synced(self) -> None:
        await self._informer.wait_synced()

    async def _load(self) -> None:
        """Replaces the resolver. Of a Corefile that can't be served, the log and an event tell."""
        config_map = self._informer.get(f"{NAMESPACE}/{NAME}")
        try:
            self._config = parse_corefile((config_map.data or {}).get(KEY, "") if config_map else DEFAULT_COREFILE)
        except CorefileError as error:
            RELOAD_FAILED.inc()
            log.error("the Corefile can't be served; the one before it holds on", error=str(error))
            if config_map is not None:
                self._recorder.event(config_map, "Warning", "InvalidCorefile", str(error))
        self.resolver = self._build(self._config)
        self._install(self.resolver)
        log.info("configured", zones=" ".join(".".join(zone) or "." for b in self._config.blocks for zone in b.zones))
        await self.resolver.look_for_loops()
        if self.resolver.loops and config_map is not None:
            message = "An upstream resolver sends questions back to the cluster's DNS: nothing is forwarded."
            self._recorder.event(config_map, "Warning", "ForwardingLoop", message)

    def _build(self, config: Config) -> Resolver:
        if any(block.kubernetes and block.kubernetes.pods is PodMode.VERIFIED for block in config.blocks):
            self._cluster.watch_pods()
        self._node_servers = self._name_servers(RESOLV_CONF)
        return Resolver(config, self._cluster, self._addresses, self._name_servers)

    def _name_servers(self, path: str) -> list[str]:
        file = self._resolv_conf if path == RESOLV_CONF else Path(path)
        try:
            return parse_name_servers(file.read_text(errors="replace"))
        except OSError as error:
            log.warning("resolvers could not be read", path=str(file), error=error.strerror)
            return []

    async def _watch_file(self, watcher: FolderWatcher) -> None:
        """Notices when the node gets other resolvers, as a laptop does."""
        with watcher.watching(self._resolv_conf.resolve().parent) as changed:
            changed.set()  # it may have changed before anybody watched
            while True:
                await changed.wait()
                await asyncio.sleep(SETTLE_SECONDS)
                changed.clear()
                servers = self._name_servers(RESOLV_CONF)
                if servers and servers != self._node_servers:
                    self._changed.set()


def parse_name_servers(text: str) -> list[str]:
    """Returns the addresses of a resolv.conf's `nameserver` lines, without those that are none."""
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                servers.append(str(ip_address(words[1])))
            except ValueError:
                log.warning("not the address of a resolver", line=line)
    return servers
