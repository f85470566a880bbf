"""A pod's hostname and its hosts file."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.network.names import NameTooLong, PodNames, kernel_hostname, managed_hosts, pod_names
from tests.kits.node.kubelet import make_pod

DOMAIN = "db.default.svc.cluster.local"


@pytest.mark.parametrize(
    ("name", "spec", "names"),
    [
        ("a" * 62 + "-bcd", {}, PodNames("a" * 62)),
        ("web", {"hostname": "db-0"}, PodNames("db-0")),
        ("web", {"subdomain": "db"}, PodNames("web", DOMAIN)),
        ("web", {"hostname": "db-0", "subdomain": "db"}, PodNames("db-0", DOMAIN)),
        ("web", {"hostnameOverride": "my.own.name", "hostname": "x", "subdomain": "db"}, PodNames("my.own.name")),
    ],
)
def test_names(name: str, spec: dict[str, Any], names: PodNames) -> None:
    assert pod_names(make_pod(spec, name=name), "cluster.local") == names


def test_the_full_name_may_be_the_hostname() -> None:
    pod = make_pod({"setHostnameAsFQDN": True})
    assert kernel_hostname(pod, PodNames("web", DOMAIN)) == f"web.{DOMAIN}"
    assert kernel_hostname(pod, PodNames("web")) == "web"
    assert kernel_hostname(make_pod(), PodNames("web", DOMAIN)) == "web"
    assert len(kernel_hostname(pod, PodNames("w" * (63 - len(DOMAIN)), DOMAIN))) == 64
    name = "w" * (64 - len(DOMAIN))
    words = (
        f"failed to construct FQDN from pod hostname and cluster domain, FQDN {name}.{DOMAIN} is too long "
        r"\(64 characters is the max, 65 characters requested\)"
    )
    with pytest.raises(NameTooLong, match=words):
        kernel_hostname(pod, PodNames(name, DOMAIN))


def test_the_hosts_file_is_upstreams_to_the_letter() -> None:
    pod = make_pod({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example", "b.example"]}, {"ip": "::1"}]})
    assert managed_hosts(pod, ["10.244.0.5", "fd00::5"], PodNames("web", DOMAIN)) == (
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n"
        "10.244.0.5\tweb.db.default.svc.cluster.local\tweb\n"
        "fd00::5\tweb.db.default.svc.cluster.local\tweb\n"
        "\n# Entries added by HostAliases.\n"
        "10.0.0.1\ta.example\tb.example\n"
        "::1\t\n"
    )
    assert managed_hosts(make_pod(), ["10.244.0.5"], PodNames("web")).endswith("\n10.244.0.5\tweb\n")


def test_with_host_networking_it_is_the_nodes_own() -> None:
    host = make_pod({"hostNetwork": True, "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]})
    assert managed_hosts(host, ["192.168.0.5"], PodNames("web"), node_hosts="1.2.3.4 node\n") == (
        "# Kubernetes-managed hosts file (host network).\n1.2.3.4 node\n"
        "\n# Entries added by HostAliases.\n10.0.0.1\ta\n"
    )
