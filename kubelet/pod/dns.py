"""A pod's resolv.conf from its dnsPolicy and dnsConfig. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kubeapi.core.pod.model import Pod
from kubelet.runtime.interface import DnsConfig

MAX_NAMESERVERS = 3  # what the C library reads
MAX_SEARCHES = 32
CLUSTER_OPTIONS = ("ndots:5",)


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """`servers` is empty in a cluster without DNS: pods then use the node's resolver."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


def parse_resolv_conf(text: str) -> DnsConfig:
    """The node's own resolver configuration; the last `search` or `domain` line counts, as in the C library."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(words[1:])
        elif words[0] == "options":
            options += tuple(words[1:])
    return DnsConfig(tuple(servers), searches, options)


def pod_dns(pod: Pod, cluster: ClusterDns, node: DnsConfig) -> DnsConfig:
    """The pod's configuration. Source: Kubernetes, "DNS for Services and Pods", "Pod's DNS Policy"."""
    base = _base(pod, cluster, node)
    config = pod.spec.dnsConfig
    if config is None:
        return base
    options = dict(option.partition(":")[::2] for option in base.options)
    options |= {option.name: option.value or "" for option in config.options or () if option.name}
    return DnsConfig(
        servers=tuple(dict.fromkeys((*base.servers, *(config.nameservers or ()))))[:MAX_NAMESERVERS],
        searches=tuple(dict.fromkeys((*base.searches, *(config.searches or ()))))[:MAX_SEARCHES],
        options=tuple(f"{name}:{value}" if value else name for name, value in options.items()),
    )


def _base(pod: Pod, cluster: ClusterDns, node: DnsConfig) -> DnsConfig:
    policy = pod.spec.dnsPolicy
    if policy == "None":
        return DnsConfig()
    with_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.hostNetwork)
    if not with_cluster or not cluster.servers:
        return DnsConfig(node.servers[:MAX_NAMESERVERS], node.searches, node.options)
    namespace = pod.metadata.namespace or "default"
    domains = (f"{namespace}.svc.{cluster.domain}", f"svc.{cluster.domain}", cluster.domain)
    searches = tuple(dict.fromkeys((*domains, *node.searches)))[:MAX_SEARCHES]
    return DnsConfig(cluster.servers[:MAX_NAMESERVERS], searches, CLUSTER_OPTIONS)
