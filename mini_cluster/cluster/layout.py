"""Names a cluster's files, and everything that it has on the machine.

Everything outside the cluster's folder (links, network namespaces, packet rules, sockets) carries `key`, a hash of the
folder's path, so that several clusters live side by side and what a crash left behind can be found again.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

MARKER = "MINI_KUBERNETES_CLUSTER"
"""Environment variable of every process of a cluster; its value is the cluster's key."""

COMPONENT_MARKER = "MINI_KUBERNETES_COMPONENT"
"""Environment variable of every process of a cluster: the component that it is or belongs to."""

DEFAULT_FOLDER = ".cluster"
SOCKET_PATH_LIMIT = 107  # bytes; Linux' sockaddr_un holds 108 with the closing zero

SERVICE_ACCOUNT_KEY = "sa"
"""Signs the tokens of service accounts; remade, it would end them all, so it is made only where there is none."""


@dataclass(frozen=True)
class NodeLayout:
    """The paths of one worker host."""

    name: str
    root: Path
    run: Path

    @property
    def docker_root(self) -> Path:
        return self.root / "docker"

    @property
    def kubelet_root(self) -> Path:
        return self.root / "kubelet"

    @property
    def manifests(self) -> Path:
        """Returns the folder of the host's static pods."""
        return self.root / "manifests"

    @property
    def docker_exec_root(self) -> Path:
        return self.run / "docker"

    @property
    def docker_socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def docker_pidfile(self) -> Path:
        return self.run / "docker.pid"


INGRESS_CONTROLLER = "ingress-controller"
METRICS_SERVER = "metrics-server"


@dataclass(frozen=True)
class Layout:
    """The paths of one cluster. `root` is absolute."""

    root: Path
    run: Path

    @classmethod
    def of(cls, folder: str | Path, *, uid: int | None = None) -> Layout:
        """Returns the layout of the cluster in `folder`; `uid` is the user's, by default the process's own."""
        root = Path(folder).resolve()
        return cls(root, runtime_folder(cluster_key(root), os.getuid() if uid is None else uid))

    @property
    def key(self) -> str:
        return cluster_key(self.root)

    @property
    def loopback(self) -> str:
        """Returns an address of loopback that no other cluster's daemons use."""
        return str(IPv4Address((127 << 24) + int(self.key, 16)))

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def conf(self) -> Path:
        return self.root / "conf"

    @property
    def scheduler_config(self) -> Path:
        """The user's KubeSchedulerConfiguration; it need not exist."""
        return self.root / "kube-scheduler.yaml"

    @property
    def encryption_config(self) -> Path:
        """The keys of the Secrets in etcd."""
        return self.pki / "encryption.yaml"

    @property
    def shared_volumes(self) -> Path:
        """The folder that all worker hosts of the machine share."""
        return self.root / "shared-volumes"

    @property
    def registry_config(self) -> Path:
        return self.conf / "registry.yaml"

    @property
    def registry_data(self) -> Path:
        """The images of the cluster's registry."""
        return self.root / "registry"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def inventory(self) -> Path:
        """Tells the local cloud of the worker hosts; the folder is watched."""
        return self.root / "cloud" / "inventory.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def supervisor_socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def supervisor_log(self) -> Path:
        return self.log("supervisor")

    @property
    def bridge(self) -> str:
        return f"mk{self.key}"

    @property
    def bridge_address(self) -> str:
        """Locally administered, the same each time."""
        return self._link_address(0x6B)

    def host_link_address(self, index: int) -> str:
        """Returns the one of a worker host, the same each time: neighbours go on where they know it from before."""
        return self._link_address(index)

    def _link_address(self, third: int) -> str:
        return ":".join(("02", "6d", f"{third:02x}", *(self.key[at : at + 2] for at in (0, 2, 4))))

    @property
    def cgroup(self) -> str:
        """Parent cgroup of all containers, the same path in every hierarchy."""
        return f"/mini-kubernetes-{self.key}"

    @property
    def route_metric(self) -> int:
        """Tells this cluster's unreachable routes on the machine from others; high, so that any real route wins."""
        return 0x10000000 + int(self.key, 16)

    @property
    def node_route_metric(self) -> int:
        """Tells the routes to nodes on other machines from others."""
        return self.route_metric - 0x08000000

    @property
    def hub_route_metric(self) -> int:
        """Tells a joined machine's routes to the control plane's from others; those to single nodes win."""
        return self.route_metric - 0x04000000

    @property
    def loopback_label(self) -> str:
        """Marks the address of the DNS on a joined machine's loopback."""
        return f"lo:{self.bridge}"

    @property
    def rule_comment(self) -> str:
        """Comment on each packet rule that the launcher adds on the machine itself."""
        return f"mini-kubernetes-{self.key}"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def component_kubeconfig(self, component: str) -> Path:
        return self.conf / f"{component}.kubeconfig"

    def certificate(self, name: str) -> Path:
        return self.pki / f"{name}.crt"

    def private_key(self, name: str) -> Path:
        return self.pki / f"{name}.key"

    def node(self, name: str) -> NodeLayout:
        return NodeLayout(name, self.root / "nodes" / name, self.run / name)

    def netns(self, node: str) -> str:
        return f"mk{self.key}-{node}"

    def veth(self, index: int) -> str:
        """Returns the machine's end of a worker host's cable; at most 15 characters, as the kernel demands."""
        return f"mk{self.key}-{index}"


def cluster_key(root: Path) -> str:
    """Six hexadecimal digits that tell this cluster from others on the machine."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:6]


def runtime_folder(key: str, uid: int) -> Path:
    """Returns the folder for sockets: a short path, because a socket's path holds at most `SOCKET_PATH_LIMIT` bytes."""
    return Path(f"/run/mini-kubernetes-{key}") if uid == 0 else Path(f"/tmp/mini-kubernetes-{uid}-{key}")
