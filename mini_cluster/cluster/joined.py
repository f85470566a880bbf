"""The processes of a worker host whose control plane is on another machine: its engine and daemons. Pure.

They run in the machine's own network, beside whatever else runs there; the engine is another one than the machine's.
"""

from __future__ import annotations

from mini_cluster.cluster.component import Component, OwnHttpsProbe, Programs
from mini_cluster.cluster.components import cluster_components
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState, Joined, NodeState
from mini_cluster.cluster.worker_host import KUBELET_PORT, WorkerHost, node_component_names

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
    host = WorkerHost(
        layout,
        programs,
        HOST.name,
        node_name=joined.node_name,
        address=joined.address,
        node_ips=(joined.address,),
        pod_networks=(state.pod_network,),
        dns_addresses=(state.networks[0].dns_address,),
        proxy_mode=state.proxy_mode,
    )
    engine, kubelet, *_ = node_component_names(HOST.name)
    kubeconfig = layout.component_kubeconfig(KUBELET)
    return [
        host.engine(),
        host.kubelet(
            kubeconfig,
            f"--bootstrap-kubeconfig={layout.component_kubeconfig(BOOTSTRAP)}",
            f"--cert-dir={layout.pki}",
            "--rotate-server-certificates",
            f"--pod-bridge={layout.bridge}",
            ready=OwnHttpsProbe(joined.address, KUBELET_PORT, "/readyz"),
            needs=(engine,),
        ),
        host.kube_proxy(kubeconfig, needs=(kubelet,)),  # which writes the kubeconfig
        host.kube_dns(kubeconfig, needs=(kubelet,)),
        host.netagent(kubeconfig, f"--route-metric={layout.node_route_metric}", needs=(kubelet,)),
    ]
