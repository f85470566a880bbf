"""A pod's spec becomes a sandbox, containers, a hosts file and a resolver configuration."""

from __future__ import annotations

from typing import Any

import pytest

from kubelet.container.config import (
    ContainerInputs,
    container_config,
    managed_hosts,
    pod_hostname,
    sandbox_config,
)
from kubelet.pod.dns import ClusterDns, parse_resolv_conf, pod_dns
from kubelet.runtime.interface import DnsConfig, ImageInfo, Mount, PodRef, PortMapping
from tests.kits.node.kubelet import make_pod

IMAGE = ImageInfo("sha256:1")


def test_a_sandbox_has_what_the_pod_shares() -> None:
    pod = make_pod(
        {
            "containers": [
                {"name": "a", "image": "i", "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]},
                {"name": "b", "image": "i", "ports": [{"containerPort": 53, "hostPort": 53, "protocol": "UDP"}]},
            ],
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example", "b.example"]}],
            "shareProcessNamespace": True,
            "securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]},
        },
        labels={"app": "web"},
    )
    config = sandbox_config(pod, attempt=3, dns=None)
    assert (config.pod, config.attempt, config.hostname) == (PodRef("uid-1", "default", "web"), 3, "web")
    assert config.ports == (PortMapping(8080, 80), PortMapping(53, 53, "UDP"))
    assert config.host_aliases == (("10.0.0.1", "a.example"), ("10.0.0.1", "b.example"))
    assert config.sysctls == {"net.core.somaxconn": "1024"}
    assert config.share_process_namespace
    assert config.labels == {"app": "web"}


def test_with_host_networking_name_and_ports_are_the_nodes() -> None:
    ports = [{"containerPort": 80, "hostPort": 80}]
    pod = make_pod({"containers": [{"name": "a", "image": "i", "ports": ports}], "hostNetwork": True})
    config = sandbox_config(pod, attempt=0, dns=None)
    assert (config.host_network, config.hostname, config.ports) == (True, "", ())


def test_hostnames_fit_the_kernel() -> None:
    assert pod_hostname(make_pod(name="a" * 62 + "-bcd")) == "a" * 62
    assert pod_hostname(make_pod({"hostname": "db-0"})) == "db-0"


def test_a_container_gets_its_inputs() -> None:
    container = {"name": "app", "image": "app:1", "tty": True, "stdin": True, "workingDir": "/srv"}
    pod = make_pod({"containers": [container], "hostPID": True})
    inputs = ContainerInputs(
        attempt=2,
        image=IMAGE,
        spec_hash="h",
        command=["run"],
        args=["--fast"],
        env={"A": "1"},
        mounts=[Mount("/data", "/host")],
        termination_message_host_path="/pods/u/app/2",
        grace_seconds=30,
    )
    config = container_config(pod, pod.spec.containers[0], "init", inputs)
    assert (config.image, config.image_ref, config.kind, config.attempt) == ("app:1", "sha256:1", "init", 2)
    assert (config.command, config.args, config.env) == (("run",), ("--fast",), (("A", "1"),))
    assert (config.tty, config.stdin, config.working_dir, config.pid_mode) == (True, True, "/srv", "host")
    assert config.termination_message_path == "/dev/termination-log"
    assert config.termination_message_host_path == "/pods/u/app/2"


def test_the_hosts_file_names_the_pod_and_its_aliases() -> None:
    pod = make_pod({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example", "b.example"]}]})
    text = managed_hosts(pod, ["10.244.0.5"], domain="db.default.svc.cluster.local")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.244.0.5\tweb.db.default.svc.cluster.local\tweb\n" in text
    assert text.endswith("# Entries added by HostAliases.\n10.0.0.1\ta.example\tb.example\n")
    assert "10.244.0.5\tweb\n" in managed_hosts(pod, ["10.244.0.5"])
    host = make_pod({"hostNetwork": True})
    assert managed_hosts(host, [], node_hosts="1.2.3.4 node\n").endswith("(host network).\n1.2.3.4 node\n")


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
    assert pod_dns(make_pod(spec), CLUSTER, NODE) == expected


def test_without_cluster_dns_pods_use_the_nodes() -> None:
    assert pod_dns(make_pod(), ClusterDns(), NODE) == NODE


def test_the_nodes_resolv_conf_is_read() -> None:
    text = "# comment\nnameserver 192.0.2.1 # here\nsearch old\ndomain corp.example\noptions timeout:2\nbad\n"
    assert parse_resolv_conf(text) == NODE
