"""The image registry of a cluster: Debian's docker-registry, which the machine and every worker host know as localhost.

An engine speaks plain HTTP to a registry on localhost alone, so everybody uses that name: the registry listens on the
machine's address among the hosts, and rules lead there from each loopback. Pure.
"""

from __future__ import annotations

from typing import Any

from apimachinery.text.yaml import to_yaml
from mini_cluster.cluster.component import Component, HttpProbe, Programs
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState
from mini_cluster.cluster.worker_host import node_component_names

REGISTRY = "registry"
DEFAULT_PORT = 5001
HOSTING = "/api/v1/namespaces/kube-public/configmaps"
"""Where tools that build images look for a cluster's registry."""


def registry(layout: Layout, state: ClusterState, programs: Programs) -> Component:
    """Returns the registry's process; its address is there once a host's engine is ready."""
    program = (programs.registry, "serve", str(layout.registry_config))
    engines = [node_component_names(node.name)[0] for node in state.nodes if not node.stopped]
    probe = HttpProbe(_address(state), state.registry_port, "/v2/")
    return Component(REGISTRY, program, probe, needs=tuple(engines[:1]), logs_itself=False)


def registry_config(layout: Layout, state: ClusterState) -> str:
    """Returns the registry's configuration file."""
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(layout.registry_data)}, "delete": {"enabled": True}},
        "http": {"addr": f"{_address(state)}:{state.registry_port}"},
    }
    return to_yaml(config)


def registry_host(state: ClusterState) -> str:
    """Returns the registry's name in those of images, on the machine and on every node."""
    return f"localhost:{state.registry_port}"


def hosting(state: ClusterState) -> dict[str, Any]:
    """Returns the ConfigMap that tells tools of the registry.

    Source: Kubernetes enhancement 1755, "Communicating a local registry".
    """
    return {
        "metadata": {"name": "local-registry-hosting"},
        "data": {"localRegistryHosting.v1": to_yaml({"host": registry_host(state)})},
    }


def _address(state: ClusterState) -> str:
    return state.gateway if state.nodes else "127.0.0.1"
