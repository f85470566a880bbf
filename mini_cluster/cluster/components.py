"""The processes of a cluster: their command lines, what each waits for, and how to see that it is ready. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mini_cluster.cluster.containerd import start_containerd, use_containerd
from mini_cluster.cluster.etcd_members import ETCD, EtcdMember, etcd_members, initial_cluster
from mini_cluster.cluster.layout import SERVICE_ACCOUNT_KEY, Layout
from mini_cluster.cluster.state import SERVICE_CIDR, ClusterState, NodeState

API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"

NODE_ROUTES = "node-routes"
KUBELET_PORT = 10250
KUBE_PROXY_HEALTH_PORT = 10256
NODE_PORTS = "30000-32767"
AUTHORIZATION_MODES = "Node,RBAC"

NODE_MONITOR_GRACE_PERIOD = "16s"
"""A silent node stays Ready this long. Upstream's 50 s suits networks; these hosts share a machine, and a demonstration
of healing should not be a lesson in patience. The kubelet renews its Lease every 10 s."""

LEADER_ELECTION = (
    "--leader-elect=true",
    "--leader-elect-lease-duration=8s",
    "--leader-elect-renew-deadline=6s",
    "--leader-elect-retry-period=1s",
)
"""Upstream waits 15 s for a leader that was killed; here its successor is the same component, restarted at once."""

NODE_STATUS_UPDATE_FREQUENCY = "10s"

ETCD_CLIENT_CERTIFICATE = "apiserver-etcd-client"

ETCD_ALONE = ("--heartbeat-interval=50", "--election-timeout=500")
"""Milliseconds. A member without others elects itself after this long, so it is a part of every start."""


@dataclass(frozen=True)
class HttpsProbe:
    """Ready when `path` answers 200. Certificates are names below the PKI folder."""

    host: str
    port: int
    path: str
    authority: str = "ca"
    certificate: str = "admin"


@dataclass(frozen=True)
class HttpProbe:
    """Ready when `path` answers 200, without TLS."""

    host: str
    port: int
    path: str


@dataclass(frozen=True)
class SocketProbe:
    """Ready when the HTTP server on a unix socket answers `path` with 200."""

    socket: Path
    path: str


@dataclass(frozen=True)
class OwnHttpsProbe:
    """Ready when `path` answers 200 to a client that trusts whoever answers: a kubelet whose certificate waits for its
    approval has signed one itself."""

    host: str
    port: int
    path: str


@dataclass(frozen=True)
class FileProbe:
    """Ready when the file is there."""

    file: Path


NetworkProbe = HttpsProbe | OwnHttpsProbe | HttpProbe | SocketProbe
ReadinessProbe = NetworkProbe | FileProbe


@dataclass(frozen=True)
class Component:
    """One process to keep alive."""

    name: str
    program: tuple[str, ...]
    """Path and arguments, as the process itself sees them."""
    ready: ReadinessProbe
    wrapper: tuple[str, ...] = ()
    """A command that goes before the program and replaces itself with it (nsenter)."""
    needs: tuple[str, ...] = ()
    """Components, or groups of them by majority, that must be ready before this one is started."""
    group: str = ""
    """The group that it is a member of."""
    node: str = ""
    """The worker host that it belongs to; "" for the control plane."""
    logs_itself: bool = True
    """Writes its log file; else its standard error goes there."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def argv(self) -> tuple[str, ...]:
        return self.wrapper + self.program


@dataclass(frozen=True)
class Programs:
    """Paths of the executables: `scripts` is the folder of our console scripts, the others are paths."""

    scripts: Path
    etcd: str
    dockerd: str
    nsenter: str
    machine_has_containerd: bool = False
    """An engine would use the machine's containerd unless it is given another."""

    def script(self, name: str) -> str:
        return str(self.scripts / name)


def cluster_components(layout: Layout, state: ClusterState, programs: Programs) -> list[Component]:
    """Returns everything that should run now, in the order in which it is best started."""
    members = etcd_members(layout, state)
    plane = [_etcd(layout, members, member, programs) for member in members]
    plane.append(_api_server(layout, state, members, programs))
    hosts = [
        component for node in state.nodes if not node.stopped for component in _host(layout, state, node, programs)
    ]
    managers = [_controller_manager(layout, state, programs), _scheduler(layout, state, programs)]
    routes = [node_routes(layout, layout.component_kubeconfig(NODE_ROUTES), state.subnet)] if state.join_address else []
    return [*plane, *hosts, *managers, *routes]


def node_routes(
    layout: Layout, kubeconfig: Path, own_network: str, own_name: str = "", *, needs: str = API_SERVER
) -> Component:
    """Returns the process that keeps the routes to nodes on other machines."""
    program = (
        sys.executable,
        "-P",
        "-m",
        "mini_cluster.join.routes",
        f"--kubeconfig={kubeconfig}",
        f"--own-network={own_network}",
        f"--own-name={own_name}",
        f"--metric={layout.node_route_metric}",
        f"--ready-file={layout.run / NODE_ROUTES}",
        f"--log-file={layout.log(NODE_ROUTES)}",
    )
    return Component(NODE_ROUTES, program, FileProbe(layout.run / NODE_ROUTES), needs=(needs,))


def is_engine(component: Component) -> bool:
    """Tells whether it is a worker host's container engine, the first process of the host."""
    return component.name == f"dockerd-{component.node}"


def node_component_names(node: str) -> tuple[str, str, str]:
    """Returns the names of the processes of a worker host."""
    return f"dockerd-{node}", f"kubelet-{node}", f"kube-proxy-{node}"


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
        f"--authorization-mode={AUTHORIZATION_MODES}",
        *(("--enable-bootstrap-token-auth=true",) if state.join_address else ()),
        f"--service-cluster-ip-range={SERVICE_CIDR}",
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
    )
    probe = HttpsProbe("127.0.0.1", state.ports.controller_manager, "/healthz")
    return Component(CONTROLLER_MANAGER, program, probe, needs=(API_SERVER,))


def _scheduler(layout: Layout, state: ClusterState, programs: Programs) -> Component:
    program = (programs.script(SCHEDULER), *_manager_flags(layout, SCHEDULER, state.ports.scheduler))
    probe = HttpsProbe("127.0.0.1", state.ports.scheduler, "/healthz")
    return Component(SCHEDULER, program, probe, needs=(API_SERVER,))


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
    wrapper = (programs.nsenter, f"--net=/var/run/netns/{layout.netns(node.name)}", "--")
    return [
        _dockerd(layout, state, node, programs, wrapper),
        _kubelet(layout, state, node, programs, wrapper),
        _kube_proxy(layout, state, node, programs, wrapper),
    ]


def _dockerd(
    layout: Layout, state: ClusterState, node: NodeState, programs: Programs, wrapper: tuple[str, ...]
) -> Component:
    paths = layout.node(node.name)
    program, start = engine_program(layout, node.name, f"--bip={state.pod_gateway(node.index)}", programs)
    wrapper += start
    probe = SocketProbe(paths.docker_socket, "/_ping")
    return Component(f"dockerd-{node.name}", program, probe, wrapper, node=node.name, logs_itself=False)


def engine_program(layout: Layout, node: str, pods: str, programs: Programs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the command line of a host's engine, and the command to put before it; `pods` is its flag for the network
    of pods."""
    paths = layout.node(node)
    program: tuple[str, ...] = (
        programs.dockerd,
        f"--host=unix://{paths.docker_socket}",
        f"--data-root={paths.docker_root}",
        f"--exec-root={paths.docker_exec_root}",
        f"--pidfile={paths.docker_pidfile}",
        pods,
        "--iptables=false",
        "--ip6tables=false",
        "--ip-masq=false",
        "--userland-proxy=false",  # then the bridge lets a pod reach itself through its own Service
        "--live-restore",  # containers outlive an engine that dies and is restarted
        "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--cgroup-parent={layout.cgroup}/{node}",
        "--log-level=warn",
    )
    if programs.machine_has_containerd:
        program += (use_containerd(paths.docker_exec_root),)
        return program, start_containerd(paths.docker_exec_root, paths.docker_root)
    return program, ()


def _kubelet(
    layout: Layout, state: ClusterState, node: NodeState, programs: Programs, wrapper: tuple[str, ...]
) -> Component:
    name = f"kubelet-{node.name}"
    paths = layout.node(node.name)
    address = state.node_ip(node.index)
    program = (
        programs.script("kubelet"),
        f"--kubeconfig={layout.component_kubeconfig(name)}",
        f"--hostname-override={node.name}",
        f"--node-ip={address}",
        f"--pod-cidr={state.pod_cidr(node.index)}",
        f"--container-runtime-endpoint=unix://{paths.docker_socket}",
        f"--root-dir={paths.kubelet_root}",
        f"--port={KUBELET_PORT}",
        f"--client-ca-file={layout.certificate('ca')}",
        "--authorization-mode=Webhook",
        f"--tls-cert-file={layout.certificate(f'{name}-server')}",
        f"--tls-private-key-file={layout.private_key(f'{name}-server')}",
        f"--node-status-update-frequency={NODE_STATUS_UPDATE_FREQUENCY}",
        f"--log-file={layout.log(name)}",
    )
    probe = HttpsProbe(address, KUBELET_PORT, "/readyz")  # it has reported its node by then
    return Component(name, program, probe, wrapper, needs=(API_SERVER, f"dockerd-{node.name}"), node=node.name)


def _kube_proxy(
    layout: Layout, state: ClusterState, node: NodeState, programs: Programs, wrapper: tuple[str, ...]
) -> Component:
    name = f"kube-proxy-{node.name}"
    address = state.node_ip(node.index)
    program = (
        programs.script("kube-proxy"),
        f"--kubeconfig={layout.component_kubeconfig(name)}",
        f"--hostname-override={node.name}",
        f"--cluster-cidr={state.pod_network}",
        f"--healthz-bind-address={address}:{KUBE_PROXY_HEALTH_PORT}",
        f"--log-file={layout.log(name)}",
    )
    probe = HttpProbe(address, KUBE_PROXY_HEALTH_PORT, "/healthz")
    return Component(name, program, probe, wrapper, needs=(API_SERVER, f"dockerd-{node.name}"), node=node.name)
