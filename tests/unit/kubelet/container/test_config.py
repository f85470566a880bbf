"""A pod's spec becomes a sandbox and containers."""

from __future__ import annotations

from kubelet.container.config import (
    ContainerInputs,
    container_config,
    sandbox_config,
)
from kubelet.runtime.configs import Mount, PodRef, PortMapping
from kubelet.runtime.interface import ImageInfo
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
    config = sandbox_config(pod, attempt=3, dns=None, hostname="web")
    assert (config.pod, config.attempt, config.hostname) == (PodRef("uid-1", "default", "web"), 3, "web")
    assert config.ports == (PortMapping(8080, 80), PortMapping(53, 53, "UDP"))
    assert config.host_aliases == (("10.0.0.1", "a.example"), ("10.0.0.1", "b.example"))
    assert config.sysctls == {"net.core.somaxconn": "1024"}
    assert config.labels == {"app": "web"}


def test_with_host_networking_name_and_ports_are_the_nodes() -> None:
    ports = [{"containerPort": 80, "hostPort": 80}]
    pod = make_pod({"containers": [{"name": "a", "image": "i", "ports": ports}], "hostNetwork": True})
    config = sandbox_config(pod, attempt=0, dns=None, hostname="web")
    assert (config.host_network, config.hostname, config.ports) == (True, "", ())


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
