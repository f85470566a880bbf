"""The networks of a cluster: of worker hosts, of pods and of Services, one set for each family of addresses. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import chain

Network = IPv4Network | IPv6Network

IP_FAMILIES = {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}
"""The versions of the addresses that Nodes, pods and Services of a cluster have, the preferred one first."""
SERVICE_CIDRS = {4: "10.96.0.0/16", 6: "fd00:10:96::/112"}
HOST_SUBNETS: dict[int, list[Network]] = {
    4: [IPv4Network(f"172.30.{third}.0/24") for third in range(256)],
    6: [IPv6Network(f"fd00:172:30:{fourth:x}::/64") for fourth in range(256)],
}
_POD_NUMBERS = list(chain(range(244, 256), range(200, 244)))
POD_NETWORKS: dict[int, list[Network]] = {
    4: [IPv4Network(f"10.{second}.0.0/16") for second in _POD_NUMBERS],
    6: [IPv6Network(f"fd00:10:{third}::/56") for third in _POD_NUMBERS],
}
_FIRST_HOST = 10  # the address of worker host N is the (10+N)-th of its subnet


@dataclass(frozen=True)
class Networks:
    """Those of one family."""

    subnet: str
    """The one of worker hosts; the machine itself has its first address."""
    pod_network: str

    @property
    def version(self) -> int:
        return ip_network(self.subnet).version

    @property
    def service_cidr(self) -> str:
        return SERVICE_CIDRS[self.version]

    @property
    def dns_address(self) -> str:
        return dns_address(self.service_cidr)

    @property
    def gateway(self) -> str:
        return str(ip_network(self.subnet)[1])

    @property
    def balancers(self) -> str:
        """The part of the subnet from which balancers get addresses."""
        first, prefix = (128, 25) if self.version == 4 else (2**16, 112)
        return f"{ip_network(self.subnet)[first]}/{prefix}"

    def node_ip(self, index: int) -> str:
        return str(ip_network(self.subnet)[_FIRST_HOST + index])

    def host_address(self, address: str, link: str) -> str:
        """Returns a line for `ip -batch` that gives the link an address in the hosts' subnet.

        Nobody else can have it, and an IPv6 address that neighbours are still asked about can't be used.
        """
        line = f"address replace {address}/{ip_network(self.subnet).prefixlen} dev {link}"
        return f"{line} nodad" if self.version == 6 else line


def dns_address(service_cidr: str) -> str:
    """Returns the address of the Service kube-dns. Each worker host has it on its loopback, and answers for itself."""
    return str(ip_network(service_cidr)[10])


def loopback_address(address: str) -> str:
    """Returns a line for `ip -batch` that gives a host's loopback an address."""
    return f"address replace {address}/128 dev lo nodad" if ":" in address else f"address replace {address}/32 dev lo"


def first_of(network: str) -> str:
    """Returns the first address of a range of Services, which is that of the API server."""
    return str(ip_network(network)[1])
