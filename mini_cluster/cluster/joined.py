"""The processes of a worker host whose control plane is on another machine: its engine and daemons. Pure.

They run in the machine's own network, beside whatever else runs there; the engine is another one than the machine's.
"""

from __future__ import annotations

from mini_cluster.cluster.components import (
    KUBE_PROXY_HEALTH_PORT,
    KUBELET_PORT,
    NODE_STATUS_UPDATE_FREQUENCY,
    Component,
    HttpProbe,
    OwnHttpsProbe,
    Programs,
    SocketProbe,
    cluster_components,
    engine_program,
    node_component_names,
    node_routes,
)
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState, Joined, NodeState

HOST = NodeState(1)
"""A machine that joins has one host, whose files and processes are named as those of a local one."""
BOOTSTRAP = "bootstrap"
KUBELET = "kubelet"


def components_of(layout: Layout, state: ClusterState, programs: Programs) -> list[Component]:
    """Returns everything that should run now, on a machine of either kind, in the order in which it is best started."""
    if state.joined is not None:
        return joined_components(layout, state, state.joined, programs)
    return cluster_components(layout, state, programs)


def joined_components(layout: Layout, state: ClusterState, joined: Joined, programs: Programs) -> list[Component]:
    """Returns everything that should run on the machine."""
    engine, kubelet, kube_proxy = node_component_names(HOST.name)
    paths = layout.node(HOST.name)
    kubeconfig = layout.component_kubeconfig(KUBELET)
    program, wrapper = engine_program(layout, HOST.name, f"--bridge={layout.bridge}", programs)
    address = joined.address
    return [
        Component(
            engine, program, SocketProbe(paths.docker_socket, "/_ping"), wrapper, node=HOST.name, logs_itself=False
        ),
        Component(
            kubelet,
            (
                programs.script("kubelet"),
                f"--bootstrap-kubeconfig={layout.component_kubeconfig(BOOTSTRAP)}",
                f"--kubeconfig={kubeconfig}",
                f"--cert-dir={layout.pki}",
                "--rotate-server-certificates",
                f"--hostname-override={joined.node_name}",
                f"--node-ip={address}",
                f"--pod-cidr={joined.pod_cidr}",
                f"--container-runtime-endpoint=unix://{paths.docker_socket}",
                f"--root-dir={paths.kubelet_root}",
                f"--port={KUBELET_PORT}",
                f"--client-ca-file={layout.certificate('ca')}",
                "--authorization-mode=Webhook",
                f"--node-status-update-frequency={NODE_STATUS_UPDATE_FREQUENCY}",
                f"--log-file={layout.log(kubelet)}",
            ),
            OwnHttpsProbe(address, KUBELET_PORT, "/readyz"),
            needs=(engine,),
            node=HOST.name,
        ),
        Component(
            kube_proxy,
            (
                programs.script("kube-proxy"),
                f"--kubeconfig={kubeconfig}",
                f"--hostname-override={joined.node_name}",
                f"--cluster-cidr={state.pod_network}",
                f"--healthz-bind-address={address}:{KUBE_PROXY_HEALTH_PORT}",
                f"--log-file={layout.log(kube_proxy)}",
            ),
            HttpProbe(address, KUBE_PROXY_HEALTH_PORT, "/healthz"),
            needs=(kubelet,),  # which writes the kubeconfig
            node=HOST.name,
        ),
        node_routes(layout, kubeconfig, state.subnet, joined.node_name, needs=kubelet),
    ]
