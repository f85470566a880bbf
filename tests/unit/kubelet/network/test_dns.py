"""What is in a pod's resolv.conf."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.network.dns import ClusterDns, PodDns, parse_resolv_conf, pod_dns
from kubelet.runtime.configs import DnsConfig
from tests.kits.node.kubelet import make_pod

NODE = DnsConfig(("192.0.2.1",), ("corp.example",), ("timeout:2",))
CLUSTER = ClusterDns(("10.96.0.10",), "cluster.local")
SEARCHES = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, DnsConfig(("10.96.0.10",), SEARCHES, ("ndots:5",))),
        ({"dnsPolicy": "Default"}, NODE),
        ({"hostNetwork": True}, NODE),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            DnsConfig(("10.96.0.10",), SEARCHES, ("ndots:5",)),
        ),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"]}}, DnsConfig(("9.9.9.9",))),
        (
            {
                "dnsPolicy": "Default",
                "dnsConfig": {
                    "nameservers": ["192.0.2.1", "9.9.9.9"],
                    "searches": ["x.example"],
                    "options": [{"name": "timeout", "value": "5"}, {"name": "edns0"}],
                },
            },
            DnsConfig(("192.0.2.1", "9.9.9.9"), ("corp.example", "x.example"), ("timeout:5", "edns0")),
        ),
    ],
)
def test_dns_policies_shape_resolv_conf(spec: dict[str, Any], expected: DnsConfig) -> None:
    assert pod_dns(make_pod(spec), CLUSTER, NODE) == PodDns(expected)


def test_without_cluster_dns_pods_use_the_nodes() -> None:
    message = (
        'pod: "web_default(uid-1)". kubelet does not have ClusterDNS IP configured and cannot create Pod using '
        '"ClusterFirst" policy. Falling back to "Default" policy.'
    )
    assert pod_dns(make_pod(), ClusterDns(), NODE) == PodDns(NODE, (("MissingClusterDNS", message),))
    assert pod_dns(make_pod({"dnsPolicy": "Default"}), ClusterDns(), NODE) == PodDns(NODE)


def searched(*searches: str, servers: int = 1) -> PodDns:
    config = {"nameservers": [f"10.0.0.{number}" for number in range(servers)], "searches": list(searches)}
    return pod_dns(make_pod({"dnsPolicy": "None", "dnsConfig": config}), CLUSTER, NODE)


def test_what_the_c_library_does_not_read_is_left_out_and_told() -> None:
    many = searched(servers=4)
    assert many.config.servers == ("10.0.0.0", "10.0.0.1", "10.0.0.2")
    ((reason, message),) = many.warnings
    assert reason == "DNSConfigForming"
    assert message == (
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
        "10.0.0.0 10.0.0.1 10.0.0.2"
    )
    names = [f"a{number}.example" for number in range(33)]
    ((_, message),) = searched(*names).warnings
    assert message == (
        "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
        + " ".join(names[:32])
    )
    assert searched("a" * 254, "b.example").config.searches == ("b.example",)
    long = [f"{number:02}{'x' * 201}" for number in range(11)]
    assert searched(*long).config.searches == tuple(long[:10])
    assert searched(*long[:10]).warnings == ()


def test_the_nodes_resolv_conf_is_read() -> None:
    text = "# comment\nnameserver 192.0.2.1 # here\nsearch old\ndomain corp.example\noptions timeout:2\nbad\n"
    assert parse_resolv_conf(text) == NODE
