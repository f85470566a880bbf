"""The processes of a cluster on one machine: the control plane, and its worker hosts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mini_cluster.cluster.cloud import cloud_components, group_flags, scheduler_config
from mini_cluster.cluster.component import Component, HttpProbe, HttpsProbe, Programs
from mini_cluster.cluster.etcd_members import ETCD, EtcdMember, etcd_members, initial_cluster
from mini_cluster.cluster.ingress import ingress_controller
from mini_cluster.cluster.layout import SERVICE_ACCOUNT_KEY, Layout
from mini_cluster.cluster.metrics import metrics_server
from mini_cluster.cluster.registry import registry
from mini_cluster.cluster.state import ClusterState, NodeState
from mini_cluster.cluster.worker_host import KUBELET_PORT, NETAGENT_PORT, WorkerHost, node_component_names

API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"

NODE_ROUTES = "node-routes"
FRONT_PROXY = "front-proxy-client"
NODE_PORTS = "30000-32767"
AUTHORIZATION_MODES = "Node,RBAC"

AUTOSCALER_SYNC_PERIOD = "5s"  # upstream's 15 s suits large clusters; here a load should be answered while one looks
NODE_MONITOR_GRACE_PERIOD = "16s"
"""A silent node stays Ready this long. Upstream's 50 s suits networks; these hosts share a machine, and healing should
be seen without waiting. The kubelet renews its Lease every 10 s."""

LEADER_ELECTION = (
    "--leader-elect=true",
    "--leader-elect-lease-duration=8s",
    "--leader-elect-renew-deadline=6s",
    "--leader-elect-retry-period=1s",
)
"""Upstream waits 15 s for a leader that was killed; here its successor is the same component, restarted at once."""

ETCD_CLIENT_CERTIFICATE = "apiserver-etcd-client"

ETCD_ALONE = ("--heartbeat-interval=50", "--election-timeout=500")
"""Milliseconds. A member without others elects itself after this long, so it is a part of every start."""


def cluster_components(layout: Layout, state: ClusterState, programs: Programs) -> list[Component]:
    """Returns everything that should run now, in the order in which it is best started."""
    members = etcd_members(layout, state)
    plane = [_etcd(layout, members, member, programs) for member in members]
    plane.append(_api_server(layout, state, members, programs))
    hosts = [
        component for node in state.nodes if not node.stopped for component in _host(layout, state, node, programs)
    ]
    managers = [_controller_manager(layout, state, programs), _scheduler(layout, state, programs)]
    routes = [_node_routes(layout, programs)] if state.has_networks else []
    registries = [registry(layout, state, programs)] if state.registry_port else []
    clouds = (
        cloud_components(layout, state.cloud, programs, partial(_manager_flags, layout), needs=API_SERVER)
        if state.cloud
        else []
    )
    servers = []
    if state.has_networks:
        servers.append(metrics_server(layout, programs, FRONT_PROXY, needs=(API_SERVER,)))
    if state.nodes:
        engines = [node_component_names(node.name)[0] for node in state.nodes if not node.stopped]
        servers.append(ingress_controller(layout, state, programs, needs=(API_SERVER, *engines[:1])))
    return [*plane, *hosts, *managers, *clouds, *servers, *routes, *registries]


def _node_routes(layout: Layout, programs: Programs) -> Component:
    """Returns the agent that keeps the machine's own routes to the pods of all nodes."""
    program = (
        programs.script("netagent"),
        f"--kubeconfig={layout.component_kubeconfig(NODE_ROUTES)}",
        f"--hostname-override={NODE_ROUTES}",
        "--rooms=routes",
        "--overlay=never",
        f"--route-metric={layout.node_route_metric}",
        f"--health-address={layout.loopback}",
        f"--health-port={NETAGENT_PORT}",
        f"--log-file={layout.log(NODE_ROUTES)}",
    )
    return Component(NODE_ROUTES, program, HttpProbe(layout.loopback, NETAGENT_PORT, "/readyz"), needs=(API_SERVER,))


def _etcd(layout: Layout, members: Sequence[EtcdMember], member: EtcdMember, programs: Programs) -> Component:
    certificate, key = layout.certificate("etcd/server"), layout.private_key("etcd/server")
    authority = layout.certificate("etcd/ca")
    program = (
        programs.etcd,
        f"--name={member.name}",
        f"--data-dir={member.data}",
        f"--listen-client-urls={member.client_url}",
        f"--advertise-client-urls={member.client_url}",
        f"--listen-peer-urls={member.peer_url}",
        f"--initial-advertise-peer-urls={member.peer_url}",
        f"--initial-cluster={initial_cluster(members)}",
        f"--initial-cluster-token={layout.key}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        f"--trusted-ca-file={authority}",
        "--client-cert-auth=true",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        f"--peer-trusted-ca-file={authority}",
        "--peer-client-cert-auth=true",
        *(ETCD_ALONE if len(members) == 1 else ()),
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=10m",
        "--quota-backend-bytes=8589934592",
        "--logger=zap",
        "--log-level=warn",
        "--log-outputs=stderr",
    )
    port = int(member.client_url.rpartition(":")[2])
    probe = HttpsProbe("127.0.0.1", port, "/health", "etcd/ca", ETCD_CLIENT_CERTIFICATE)
    return Component(member.component, program, probe, group=ETCD, logs_itself=False)


def _api_server(layout: Layout, state: ClusterState, members: Sequence[EtcdMember], programs: Programs) -> Component:
    program = (
        programs.script(API_SERVER),
        f"--etcd-servers={','.join(member.client_url for member in members)}",
        f"--etcd-cafile={layout.certificate('etcd/ca')}",
        f"--etcd-certfile={layout.certificate(ETCD_CLIENT_CERTIFICATE)}",
        f"--etcd-keyfile={layout.private_key(ETCD_CLIENT_CERTIFICATE)}",
        f"--encryption-provider-config={layout.encryption_config}",
        "--encryption-provider-config-automatic-reload=true",
        f"--bind-address={state.api_bind_address}",
        f"--secure-port={state.ports.api}",
        f"--advertise-address={state.api_advertise_address}",
        f"--tls-cert-file={layout.certificate('apiserver')}",
        f"--tls-private-key-file={layout.private_key('apiserver')}",
        f"--client-ca-file={layout.certificate('ca')}",
        f"--requestheader-client-ca-file={layout.certificate('front-proxy-ca')}",
        f"--requestheader-allowed-names={FRONT_PROXY}",
        f"--proxy-client-cert-file={layout.certificate(FRONT_PROXY)}",
        f"--proxy-client-key-file={layout.private_key(FRONT_PROXY)}",
        f"--authorization-mode={AUTHORIZATION_MODES}",
        *(("--enable-bootstrap-token-auth=true",) if state.join_address else ()),
        f"--service-cluster-ip-range={','.join(state.service_cidrs)}",
        f"--service-node-port-range={NODE_PORTS}",
        f"--kubelet-certificate-authority={layout.certificate('ca')}",
        f"--kubelet-client-certificate={layout.certificate('apiserver-kubelet-client')}",
        f"--kubelet-client-key={layout.private_key('apiserver-kubelet-client')}",
        f"--service-account-signing-key-file={layout.private_key(SERVICE_ACCOUNT_KEY)}",
        f"--log-file={layout.log(API_SERVER)}",
    )
    return Component(API_SERVER, program, HttpsProbe("127.0.0.1", state.ports.api, "/readyz"), needs=(ETCD,))


def _controller_manager(layout: Layout, state: ClusterState, programs: Programs) -> Component:
    program = (
        programs.script(CONTROLLER_MANAGER),
        *_manager_flags(layout, CONTROLLER_MANAGER, state.ports.controller_manager),
        f"--root-ca-file={layout.certificate('ca')}",
        f"--cluster-signing-cert-file={layout.certificate('ca')}",
        f"--cluster-signing-key-file={layout.private_key('ca')}",
        f"--service-account-private-key-file={layout.private_key(SERVICE_ACCOUNT_KEY)}",
        "--use-service-account-credentials=true",
        f"--node-monitor-grace-period={NODE_MONITOR_GRACE_PERIOD}",
        f"--horizontal-pod-autoscaler-sync-period={AUTOSCALER_SYNC_PERIOD}",
        *_node_ranges(state),
    )
    probe = HttpsProbe("127.0.0.1", state.ports.controller_manager, "/healthz")
    return Component(CONTROLLER_MANAGER, program, probe, needs=(API_SERVER,))


def _node_ranges(state: ClusterState) -> tuple[str, ...]:
    """Returns the flags that make the controller manager give each node a part of the pod networks."""
    if not state.has_networks:
        return ()
    networks = ",".join(each.pod_network for each in state.cluster_networks)
    services = f"--service-cluster-ip-range={','.join(state.service_cidrs)}"
    return ("--allocate-node-cidrs=true", f"--cluster-cidr={networks}", services)


def _scheduler(layout: Layout, state: ClusterState, programs: Programs) -> Component:
    flags = (*_manager_flags(layout, SCHEDULER, state.ports.scheduler), *scheduler_config(layout, "--config"))
    program = (programs.script(SCHEDULER), *flags)
    probe = HttpsProbe("127.0.0.1", state.ports.scheduler, "/healthz")
    return Component(SCHEDULER, program, probe, needs=(API_SERVER,))


def explain_scheduling(layout: Layout, programs: Programs, pod: str) -> tuple[str, ...]:
    """Returns the command that tells what the scheduler's plugins say of the pod "namespace/name"."""
    kubeconfig = f"--kubeconfig={layout.component_kubeconfig(SCHEDULER)}"
    return (programs.script(SCHEDULER), kubeconfig, *scheduler_config(layout, "--config"), f"--explain={pod}")


def _manager_flags(layout: Layout, name: str, port: int) -> tuple[str, ...]:
    return (
        f"--kubeconfig={layout.component_kubeconfig(name)}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={layout.certificate(name)}",
        f"--tls-private-key-file={layout.private_key(name)}",
        f"--client-ca-file={layout.certificate('ca')}",
        *LEADER_ELECTION,
        f"--log-file={layout.log(name)}",
    )


def _host(layout: Layout, state: ClusterState, node: NodeState, programs: Programs) -> list[Component]:
    """Returns a worker host's engine and daemons, all of them inside its network namespace."""
    host = WorkerHost(
        layout,
        programs,
        node.name,
        node_name=node.name,
        address=state.node_ip(node.index),
        node_ips=state.node_ips(node.index),
        pod_networks=tuple(each.pod_network for each in state.cluster_networks),
        dns_addresses=tuple(each.dns_address for each in state.cluster_networks),
        proxy_mode=state.proxy_mode,
        overlay=state.overlay,
        wrapper=(programs.nsenter, f"--net=/var/run/netns/{layout.netns(node.name)}", "--"),
    )
    engine, kubelet, kube_proxy, kube_dns, netagent = node_component_names(node.name)
    probe = HttpsProbe(host.address, KUBELET_PORT, "/readyz")  # it has reported its node by then
    return [
        host.engine(),
        host.kubelet(
            layout.component_kubeconfig(kubelet),
            f"--tls-cert-file={layout.certificate(f'{kubelet}-server')}",
            f"--tls-private-key-file={layout.private_key(f'{kubelet}-server')}",
            f"--shared-volumes-dir={layout.shared_volumes}",
            *group_flags(state.cloud, node),
            ready=probe,
            needs=(API_SERVER, engine),
        ),
        host.kube_proxy(layout.component_kubeconfig(kube_proxy), needs=(API_SERVER, engine)),
        host.kube_dns(layout.component_kubeconfig(kube_dns), needs=(API_SERVER, engine)),
        host.netagent(layout.component_kubeconfig(netagent), needs=(API_SERVER, engine)),
    ]
