"""The DNS from inside real pods on both nodes, by the C library's own resolver."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import docker
import pytest

from componentbase.image_archive import ImageConfig, image_archive, layer, program
from mini_cluster.pytest_plugin import ClusterHandle
from tests.cluster.conftest import ARCHITECTURES, BUSYBOX
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import pod, service

pytestmark = pytest.mark.cluster

IMAGE = "mini-kubernetes/getent:1"
GETENT = Path("/usr/bin/getent")
NODES = ("worker-1", "worker-2")
NAMESPACE = "dns-tests"


QUERIES = f"""
import json
from dnslib import DNSRecord
def ask(name, type, **how):
    question = DNSRecord.question(name + ".{NAMESPACE}.svc.cluster.local", type)
    return DNSRecord.parse(question.send("10.96.0.10", 53, timeout=3, **how))
srv = [item.rdata for item in ask("_sip._udp.many", "SRV", tcp=True).rr]
print(json.dumps({{
    "cut off": bool(ask("many", "A").header.tc),
    "by TCP": len(ask("many", "A", tcp=True).rr),
    "SRV": {{"port": srv[0].port, "targets": sorted(str(item.target) for item in srv)}},
    "NXDOMAIN": ask("none", "A").header.rcode,
}}))
"""
"""Run in a pod's network: what the C library's resolver does not show."""


def sleeper(name: str, node: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "app", "image": IMAGE, "command": ["/bin/busybox", "sleep", "100000"]}
    return pod(name, container, nodeName=node, **spec)


@pytest.fixture(scope="module")
def image(cluster: ClusterHandle, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A shell, and `getent` with the C library, on every node."""
    listed = subprocess.run(["ldd", GETENT], capture_output=True, text=True, check=True).stdout.split()
    libraries = [Path(word) for word in listed if word.startswith("/")]
    files = {str(path): program(path.read_bytes()) for path in (GETENT, *libraries)}
    files["/bin/busybox"] = program(BUSYBOX.read_bytes())
    config = ImageConfig(env={"PATH": "/bin:/usr/bin"}, architecture=ARCHITECTURES[platform.machine()])
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    archive.write_bytes(image_archive([IMAGE], [layer(files)], config))
    cluster.load_archive(archive)


class Pods:
    """A pod on each node, which look names up."""

    def __init__(self, kubectl: CommandLine) -> None:
        self.kubectl = kubectl

    def lookup(self, pod: str, *names: str) -> dict[str, set[str]]:
        """The addresses of names, and the names of addresses; nothing for one that has none."""
        ask = (
            "case $n in *[a-z]*) getent ahosts $n;; *) getent hosts $n;; esac | while read a b; do echo $n $a $b; done"
        )
        script = f"for n in {' '.join(names)}; do {ask}; done"
        found: dict[str, set[str]] = {name: set() for name in names}
        for line in self.kubectl.try_run("exec", pod, "--", "busybox", "sh", "-c", script).stdout.splitlines():
            name, address, more = line.split(maxsplit=2)
            found[name].add(address if re.search("[a-z]", name) else more)
        return found

    def has(self, pod: str, wanted: dict[str, set[str]]) -> bool:
        return self.lookup(pod, *wanted) == wanted

    def eventually(self, expected: dict[str, str], *pods: str) -> None:
        """What a name has is written with blanks between."""
        wanted = {name: set(text.split()) for name, text in expected.items()}
        for asking in pods or NODES:
            eventually(partial(self.has, asking, wanted), f"{wanted} on {asking}")

    def resolv_conf(self, pod: str) -> list[str]:
        text = self.kubectl.run("exec", pod, "--", "busybox", "cat", "/etc/resolv.conf")
        return sorted(line for line in text.splitlines() if line and not line.startswith("#"))

    def run(self, *pods: dict[str, Any]) -> None:
        self.kubectl.apply(*pods)
        names = [f"pod/{item['metadata']['name']}" for item in pods]
        self.kubectl.run("wait", *names, "--for=condition=Ready", "--timeout=60s")

    def address(self, name: str) -> str:
        return str(self.kubectl.get("pod", name)["status"]["podIP"])


@pytest.fixture(scope="module")
def pods(cluster: ClusterHandle, image: None) -> Iterator[Pods]:
    kubectl = CommandLine(cluster.kubeconfig, NAMESPACE)
    kubectl.run("create", "namespace", NAMESPACE)
    pods = Pods(kubectl)
    pods.run(*(sleeper(node, node) for node in NODES))
    yield pods
    kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def corefile(cluster: ClusterHandle) -> Iterator[CommandLine]:
    """A command line in kube-system; the Corefile is put back behind the test."""
    kubectl = CommandLine(cluster.kubeconfig, "kube-system")
    before = kubectl.get("configmap", "coredns")["data"]
    yield kubectl
    kubectl.run("patch", "configmap", "coredns", "--type=merge", "-p", json.dumps({"data": before}))


def set_corefile(kubectl: CommandLine, text: str) -> None:
    patch = {"data": {"Corefile": text}}
    kubectl.run("patch", "configmap", "coredns", "--type=merge", "-p", json.dumps(patch))


def test_names_of_services_endpoints_and_pods(pods: Pods) -> None:
    kubectl = pods.kubectl
    named = [sleeper(f"named-{node}", node, hostname=f"on-{node}", subdomain="all") for node in NODES]
    kubectl.apply(service("web", clusterIP="10.96.0.77"), service("all", clusterIP="None"))
    for item in named:
        item["metadata"]["labels"] = {"app": "all"}
    pods.run(*named)
    here, there = (pods.address(item["metadata"]["name"]) for item in named)
    dashed = here.replace(".", "-")
    pods.eventually(
        {
            **dict.fromkeys(("web", f"web.{NAMESPACE}", f"WEB.{NAMESPACE}.svc.cluster.local."), "10.96.0.77"),
            "all": f"{here} {there}",
            f"on-worker-2.all.{NAMESPACE}.svc": there,
            f"{dashed}.{NAMESPACE}.pod.cluster.local": here,
            "kubernetes.default": "10.96.0.1",
            "none": "",
            "10.96.0.77": f"web.{NAMESPACE}.svc.cluster.local",
            here: f"on-worker-1.all.{NAMESPACE}.svc.cluster.local",
        }
    )
    kubectl.run("delete", "pod", "named-worker-1")
    pods.eventually({"all": there, "on-worker-1.all": ""})


def test_answers_by_udp_and_tcp_in_a_pod_while_other_nodes_are_away(cluster: ClusterHandle, pods: Pods) -> None:
    """Endpoints by hand: as many that an answer of 512 bytes can't have them all."""
    kubectl = pods.kubectl
    addresses = [f"10.250.0.{number}" for number in range(1, 61)]
    ports = [{"name": "sip", "protocol": "UDP", "port": 5060}]
    by_hand = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "many", "labels": {"kubernetes.io/service-name": "many"}},
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [{"addresses": [address]} for address in addresses],
    }
    kubectl.apply(service("many", clusterIP="None", selector=None, ports=ports), by_hand)
    pods.eventually({"many": " ".join(addresses)})
    with closing(docker.DockerClient(f"unix://{cluster.docker_socket(NODES[0])}")) as engine:
        labels = [f"io.kubernetes.pod.namespace={NAMESPACE}", f"io.kubernetes.pod.name={NODES[0]}"]
        (container, *_) = engine.containers.list(filters={"label": labels})
        inside = ["nsenter", f"--net=/proc/{container.attrs['State']['Pid']}/ns/net"]
    for node in NODES[1:]:
        cluster.disconnect_node(node)
    try:
        done = subprocess.run([*inside, sys.executable, "-c", QUERIES], capture_output=True, text=True, check=True)
    finally:
        for node in NODES[1:]:
            cluster.connect_node(node)
    domain = f"many.{NAMESPACE}.svc.cluster.local."
    assert json.loads(done.stdout) == {
        "cut off": True,
        "by TCP": len(addresses),
        "SRV": {"port": 5060, "targets": sorted(f"{address.replace('.', '-')}.{domain}" for address in addresses)},
        "NXDOMAIN": 3,
    }
    kubectl.run("wait", "node", "--all", "--for=condition=Ready", "--timeout=60s")


def test_addresses_of_pods_that_are_not_ready(pods: Pods) -> None:
    never = {"exec": {"command": ["/bin/busybox", "false"]}, "periodSeconds": 1}
    pod = sleeper("unready", NODES[0])
    pod["spec"]["containers"][0]["readinessProbe"] = never
    selecting = {"clusterIP": "None", "selector": {"app": "unready"}}
    pods.kubectl.apply(pod, service("early", **selecting, publishNotReadyAddresses=True), service("late", **selecting))
    address = eventually(lambda: pods.kubectl.get("pod", "unready")["status"].get("podIP"), "it has an address")
    pods.eventually({"early": str(address), "late": ""})


def test_an_external_name_that_becomes_an_address(pods: Pods) -> None:
    pods.kubectl.apply(service("moving", type="ExternalName", externalName="kubernetes.default.svc.cluster.local"))
    pods.eventually({"moving": "10.96.0.1"})
    spec = {"type": "ClusterIP", "externalName": None, "clusterIP": "10.96.0.78"}
    pods.kubectl.run("patch", "service", "moving", "-p", json.dumps({"spec": spec}))
    pods.eventually({"moving": "10.96.0.78"})


def test_each_policy_has_its_resolv_conf(pods: Pods) -> None:
    config = {"nameservers": ["192.0.2.7"], "searches": ["example.com"], "options": [{"name": "ndots", "value": "2"}]}
    pods.run(
        sleeper("node", NODES[0], dnsPolicy="Default"),
        sleeper("own", NODES[0], dnsPolicy="None", dnsConfig=config),
        sleeper("host", NODES[1], dnsPolicy="ClusterFirstWithHostNet", hostNetwork=True),
    )
    for name in (NODES[0], "host"):
        server, options, search = pods.resolv_conf(name)
        assert (server, options) == ("nameserver 10.96.0.10", "options ndots:5")
        assert search.startswith(f"search {NAMESPACE}.svc.cluster.local svc.cluster.local cluster.local")
    assert pods.resolv_conf("own") == ["nameserver 192.0.2.7", "options ndots:2", "search example.com"]
    assert "nameserver 10.96.0.10" not in pods.resolv_conf("node")
    pods.eventually({"kubernetes.default": "10.96.0.1"}, "host")


def test_the_corefile_is_followed_and_a_wrong_one_is_told(
    cluster: ClusterHandle, pods: Pods, corefile: CommandLine
) -> None:
    text = corefile.get("configmap", "coredns")["data"]["Corefile"]
    hosts = "hosts {\n 10.1.2.3 printer.example\n fallthrough\n}"
    rewrite = "rewrite name api.example kubernetes.default.svc.cluster.local"
    changed = text.replace("loop\n", f"{hosts}\n{rewrite}\nlog\nloop\n").replace("pods insecure", "pods verified")
    set_corefile(corefile, changed)
    pod, nobody = (
        f"{ip.replace('.', '-')}.{NAMESPACE}.pod.cluster.local" for ip in (pods.address(NODES[0]), "10.1.2.3")
    )
    expected = {"printer.example": "10.1.2.3", "api.example": "10.96.0.1", pod: pods.address(NODES[0]), nobody: ""}
    pods.eventually(expected)
    assert "query name=api.example. type=A" in (cluster.logs / "kube-dns-worker-2.log").read_text()
    set_corefile(corefile, text.replace("loop\n", "dnssec\n"))

    def told() -> set[str]:
        events = corefile.items("events", "--field-selector=reason=InvalidCorefile")
        return {event["message"] for event in events}

    (message,) = eventually(told, "an event about the Corefile")
    assert message.endswith("the directive `dnssec` is not served here")
    pods.eventually({"printer.example": "10.1.2.3"})
    set_corefile(corefile, text)
    pods.eventually({"printer.example": ""})


def test_it_needs_no_kube_proxy_and_comes_back_when_killed(cluster: ClusterHandle, pods: Pods) -> None:
    for node in NODES:
        inside = ["nsenter", f"--net=/run/netns/{cluster.cluster.layout.netns(node)}", "iptables-save"]
        rules = subprocess.run(inside, capture_output=True, text=True, check=True).stdout
        assert "10.96.0.1/32" in rules
        assert "10.96.0.10/32" not in rules
        cluster.kill(f"kube-dns-{node}")
    pods.eventually({"kubernetes.default": "10.96.0.1"})
