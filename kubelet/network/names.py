"""The names of a pod: its hostname, its domain, and the /etc/hosts of its containers. Pure.

Source: Kubernetes documentation, "Pod's hostname and subdomain fields", "Adding entries to Pod /etc/hosts with
HostAliases".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubeapi.core.pod.model import Pod

MAX_HOSTNAME_LENGTH = 63
MAX_FQDN_LENGTH = 64
"""The most that the kernel takes for a hostname."""
HOSTS_PATH = "/etc/hosts"


class NameTooLong(Exception):
    """The kernel does not take the pod's full name as its hostname; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class PodNames:
    """`domain` follows the hostname ("sub.ns.svc.cluster.local"); "" where the pod has no subdomain."""

    hostname: str
    domain: str = ""

    @property
    def fqdn(self) -> str:
        return f"{self.hostname}.{self.domain}" if self.domain else self.hostname


def pod_names(pod: Pod, cluster_domain: str) -> PodNames:
    """Takes `spec.hostnameOverride` alone, else `spec.hostname` or the pod's name, and `spec.subdomain`."""
    spec = pod.spec
    hostname = (spec.hostnameOverride or spec.hostname or pod.name)[:MAX_HOSTNAME_LENGTH].rstrip("-.")
    if not spec.subdomain or spec.hostnameOverride:
        return PodNames(hostname)
    return PodNames(hostname, f"{spec.subdomain}.{pod.namespace}.svc.{cluster_domain}")


def kernel_hostname(pod: Pod, names: PodNames) -> str:
    """Returns what `hostname` prints in the pod. Raises: NameTooLong."""
    if not pod.spec.setHostnameAsFQDN or not names.domain:
        return names.hostname
    if len(names.fqdn) > MAX_FQDN_LENGTH:
        raise NameTooLong(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {names.fqdn} is too long "
            f"({MAX_FQDN_LENGTH} characters is the max, {len(names.fqdn)} characters requested)"
        )
    return names.fqdn


def managed_hosts(pod: Pod, ips: Sequence[str], names: PodNames, *, node_hosts: str = "") -> str:
    """Writes the text of /etc/hosts; with host networking it is the node's own file plus the pod's aliases."""
    if pod.spec.hostNetwork:
        text = "# Kubernetes-managed hosts file (host network).\n" + node_hosts
    else:
        text = (
            "# Kubernetes-managed hosts file.\n"
            "127.0.0.1\tlocalhost\n"
            "::1\tlocalhost ip6-localhost ip6-loopback\n"
            "fe00::0\tip6-localnet\n"
            "fe00::0\tip6-mcastprefix\n"
            "fe00::1\tip6-allnodes\n"
            "fe00::2\tip6-allrouters\n"
        )
        own = f"{names.fqdn}\t{names.hostname}" if names.domain else names.hostname
        text += "".join(f"{ip}\t{own}\n" for ip in ips)
    aliases = [f"{alias.ip}\t" + "\t".join(alias.hostnames or ()) + "\n" for alias in pod.spec.hostAliases or ()]
    return text + ("\n# Entries added by HostAliases.\n" + "".join(aliases) if aliases else "")
