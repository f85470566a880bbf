"""A pod's resolv.conf from its dnsPolicy and dnsConfig. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kubeapi.core.pod.model import Pod
from kubelet.container.spec import full_name
from kubelet.runtime.configs import DnsConfig

MAX_NAMESERVERS = 3  # what the C library reads
MAX_SEARCHES = 32
MAX_SEARCH_LENGTH = 2048  # of all search domains, with blanks between
MAX_DOMAIN_LENGTH = 253
CLUSTER_OPTIONS = ("ndots:5",)


@dataclass(frozen=True, slots=True)
class ClusterDns:
    """`servers` is empty in a cluster without DNS: pods then use the node's resolver."""

    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


@dataclass(frozen=True, slots=True)
class PodDns:
    """A pod's configuration, and the reason and message of an event for each thing that could not be as asked."""

    config: DnsConfig
    warnings: tuple[tuple[str, str], ...] = ()


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


def pod_dns(pod: Pod, cluster: ClusterDns, node: DnsConfig) -> PodDns:
    """Decides the pod's configuration. Source: Kubernetes, "DNS for Services and Pods", "Pod's DNS Policy"."""
    wants_cluster = _wants_cluster(pod)
    base = _base(pod, cluster if wants_cluster else ClusterDns(), node)
    config = pod.spec.dnsConfig
    if config is not None:
        options = dict(option.partition(":")[::2] for option in base.options)
        options |= {option.name: option.value or "" for option in config.options or () if option.name}
        base = DnsConfig(
            servers=tuple(dict.fromkeys((*base.servers, *(config.nameservers or ())))),
            searches=tuple(dict.fromkeys((*base.searches, *(config.searches or ())))),
            options=tuple(f"{name}:{value}" if value else name for name, value in options.items()),
        )
    limited = _limited(base)
    if wants_cluster and not cluster.servers:
        message = (
            f'pod: "{full_name(pod)}". kubelet does not have ClusterDNS IP configured and cannot create Pod using '
            '"ClusterFirst" policy. Falling back to "Default" policy.'
        )
        return PodDns(limited.config, (("MissingClusterDNS", message), *limited.warnings))
    return limited


def _wants_cluster(pod: Pod) -> bool:
    policy = pod.spec.dnsPolicy
    return policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.hostNetwork)


def _base(pod: Pod, cluster: ClusterDns, node: DnsConfig) -> DnsConfig:
    if pod.spec.dnsPolicy == "None":
        return DnsConfig()
    if not cluster.servers:
        return node
    namespace = pod.metadata.namespace or "default"
    domains = (f"{namespace}.svc.{cluster.domain}", f"svc.{cluster.domain}", cluster.domain)
    return DnsConfig(cluster.servers, tuple(dict.fromkeys((*domains, *node.searches))), CLUSTER_OPTIONS)


def _limited(config: DnsConfig) -> PodDns:
    """Leaves out what the C library would not read, or would end the process for."""
    warnings = []
    servers = config.servers[:MAX_NAMESERVERS]
    if servers != config.servers:
        what = "Nameserver limits were exceeded, some nameservers have been omitted"
        warnings.append(("DNSConfigForming", f"{what}, the applied nameserver line is: {' '.join(servers)}"))
    searches = [name for name in config.searches[:MAX_SEARCHES] if len(name) <= MAX_DOMAIN_LENGTH]
    while len(" ".join(searches)) > MAX_SEARCH_LENGTH:
        searches.pop()
    if len(searches) < len(config.searches):
        what = "Search Line limits were exceeded, some search paths have been omitted"
        warnings.append(("DNSConfigForming", f"{what}, the applied search line is: {' '.join(searches)}"))
    return PodDns(DnsConfig(servers, tuple(searches), config.options), tuple(warnings))
