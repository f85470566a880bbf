"""The processes of a worker host, on any machine: engine, kubelet, kube-proxy, kube-dns, netagent. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mini_cluster.cluster.component import Component, HttpProbe, Programs, ReadinessProbe, SocketProbe
from mini_cluster.cluster.containerd import start_containerd, use_containerd
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import DEFAULT_OVERLAY

KUBELET_PORT = 10250
KUBE_PROXY_HEALTH_PORT = 10256
KUBE_DNS_HEALTH_PORT = 9153
NETAGENT_PORT = 10261
NODE_STATUS_UPDATE_FREQUENCY = "10s"
SHUTDOWN_SECONDS, CRITICAL_SECONDS = 10, 3
"""The time that pods have to end when their host is switched off in order; the last of it is that of critical ones."""
BEYOND_SECONDS = 12.0
"""For the kubelet to kill what did not end in time, and to tell the API; it seldom needs it."""
EVICTION_HARD = "memory.available<100Mi,nodefs.available<3%,nodefs.inodesFree<3%,imagefs.available<3%"
"""The disk is that of a machine with other uses: it may be fuller than a node's own, and keep images until it is."""


@dataclass(frozen=True)
class WorkerHost:
    """A worker host as its processes are told of it."""

    layout: Layout
    programs: Programs
    name: str
    """By which its files and processes are named."""
    node_name: str
    address: str
    """IPv4, by which the daemons are asked whether they are well."""
    node_ips: tuple[str, ...]
    """The addresses that the Node tells of: one, or one of each family."""
    pod_networks: tuple[str, ...]
    """Addresses of all pods of the cluster."""
    dns_addresses: tuple[str, ...]
    """Those of the Service kube-dns, which the host has on its loopback."""
    proxy_mode: str
    overlay: str = DEFAULT_OVERLAY
    wrapper: tuple[str, ...] = ()
    """The command that puts a process into the host's network."""

    def engine(self) -> Component:
        """Returns the container engine, which leaves the network of pods to the kubelet."""
        paths = self.layout.node(self.name)
        program: tuple[str, ...] = (
            self.programs.dockerd,
            f"--host=unix://{paths.docker_socket}",
            f"--data-root={paths.docker_root}",
            f"--exec-root={paths.docker_exec_root}",
            f"--pidfile={paths.docker_pidfile}",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-masq=false",
            "--live-restore",  # containers outlive an engine that dies and is restarted
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent={self.layout.cgroup}/{self.name}",
            "--log-level=warn",
        )
        wrapper = self.wrapper
        if self.programs.machine_has_containerd:
            program += (use_containerd(paths.docker_exec_root),)
            wrapper += start_containerd(paths.docker_exec_root, paths.docker_root)
        name = node_component_names(self.name)[0]
        probe = SocketProbe(paths.docker_socket, "/_ping")
        return Component(name, program, probe, wrapper, node=self.name, logs_itself=False)

    def kubelet(self, kubeconfig: Path, *flags: str, ready: ReadinessProbe, needs: tuple[str, ...]) -> Component:
        """Returns the kubelet; `flags` are those that only hosts of one kind have."""
        paths = self.layout.node(self.name)
        name = node_component_names(self.name)[1]
        program = (
            self.programs.script("kubelet"),
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.node_name}",
            f"--node-ip={','.join(self.node_ips)}",
            f"--container-runtime-endpoint=unix://{paths.docker_socket}",
            f"--root-dir={paths.kubelet_root}",
            f"--cgroup-root={self.layout.cgroup}/{self.name}",
            f"--pod-manifest-path={paths.manifests}",
            *(("--address=::",) if any(":" in address for address in self.node_ips) else ()),
            f"--port={KUBELET_PORT}",
            f"--client-ca-file={self.layout.certificate('ca')}",
            "--authorization-mode=Webhook",
            f"--cluster-dns={','.join(self.dns_addresses)}",
            f"--resolv-conf={self.programs.resolv_conf}",
            *flags,
            f"--node-status-update-frequency={NODE_STATUS_UPDATE_FREQUENCY}",
            f"--eviction-hard={EVICTION_HARD}",
            "--image-gc-high-threshold=100",
            f"--shutdown-grace-period={SHUTDOWN_SECONDS}s",
            f"--shutdown-grace-period-critical-pods={CRITICAL_SECONDS}s",
            f"--log-file={self.layout.log(name)}",
        )
        stop = SHUTDOWN_SECONDS + BEYOND_SECONDS
        return Component(name, program, ready, self.wrapper, needs=needs, node=self.name, host_stop_seconds=stop)

    def kube_proxy(self, kubeconfig: Path, needs: tuple[str, ...]) -> Component:
        name = node_component_names(self.name)[2]
        program = (
            self.programs.script("kube-proxy"),
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.node_name}",
            f"--proxy-mode={self.proxy_mode}",
            f"--cluster-cidr={','.join(self.pod_networks)}",
            f"--healthz-bind-address={self.address}:{KUBE_PROXY_HEALTH_PORT}",
            f"--log-file={self.layout.log(name)}",
        )
        probe = HttpProbe(self.address, KUBE_PROXY_HEALTH_PORT, "/healthz")
        return Component(name, program, probe, self.wrapper, needs=needs, node=self.name)

    def netagent(self, kubeconfig: Path, *flags: str, needs: tuple[str, ...]) -> Component:
        name = node_component_names(self.name)[4]
        program = (
            self.programs.script("netagent"),
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.node_name}",
            f"--health-address={self.address}",
            f"--health-port={NETAGENT_PORT}",
            f"--overlay={self.overlay}",
            f"--non-masquerade-cidrs={','.join(self.pod_networks)}",
            *flags,
            f"--log-file={self.layout.log(name)}",
        )
        probe = HttpProbe(self.address, NETAGENT_PORT, "/readyz")  # it has routes to other nodes' pods by then
        return Component(name, program, probe, self.wrapper, needs=needs, node=self.name)

    def kube_dns(self, kubeconfig: Path, needs: tuple[str, ...]) -> Component:
        name = node_component_names(self.name)[3]
        program = (
            self.programs.script("kube-dns"),
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={self.node_name}",
            f"--bind-address={','.join(self.dns_addresses)}",
            f"--client-cidrs={','.join((*self.pod_networks, *self.node_ips))}",
            f"--health-address={self.address}",
            f"--resolv-conf={self.programs.resolv_conf}",
            f"--log-file={self.layout.log(name)}",
        )
        probe = HttpProbe(self.address, KUBE_DNS_HEALTH_PORT, "/ready")
        return Component(name, program, probe, self.wrapper, needs=needs, node=self.name)


def is_engine(component: Component) -> bool:
    """Tells whether it is a worker host's container engine, the first process of the host."""
    return component.name == f"dockerd-{component.node}"


def node_component_names(node: str) -> tuple[str, str, str, str, str]:
    """Returns the names of the processes of a worker host."""
    return f"dockerd-{node}", f"kubelet-{node}", f"kube-proxy-{node}", f"kube-dns-{node}", f"netagent-{node}"
