"""Two nodes with pods in a real kernel: network namespaces on bridges, a wire between the nodes, an agent on each.

Pods are objects of an API server whose status says the address of their namespace; nobody runs them.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually
from tests.kits.machine.netns import Namespace, connect, unique
from tests.kits.node.policyoracle import Pod
from tests.kits.process import Daemon

Dict = dict[str, Any]
Probe = tuple[Pod, Pod, int, str, int]
"""Client, server, port, protocol, version of IP."""

POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
MERGE = {"Content-Type": "application/merge-patch+json"}
PROBE_SECONDS = 0.3  # for one that nobody answers
NAMESPACES = {name: {"ns": name, "kubernetes.io/metadata.name": name} for name in "xyz"}
PORTS = (80, 81)
_NAMED = (("http", "TCP", 80), ("admin", "TCP", 81), ("dns", "UDP", 81))
_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


def _pods() -> list[Pod]:
    """a and b of each namespace on the first node, c on the second. The last one has its port `http` elsewhere."""
    pods = []
    for row, namespace in enumerate(NAMESPACES):
        for column, name in enumerate("abc"):
            node, last = 1 + (name == "c"), 10 * (row + 1) + column
            named = _NAMED if (namespace, name) != ("z", "c") else (("http", "TCP", 81),)
            addresses = (f"10.244.{node}.{last}", f"fd00:{node}::{last}")
            pods.append(Pod(namespace, name, {"pod": name}, addresses, named, f"n{node}"))
    return pods


PODS = _pods()


class PolicyLab:
    def __init__(self, api: ApiServer, folder: Path) -> None:
        self.api = api
        self._stop = threading.Event()
        self._selector = selectors.DefaultSelector()
        self.nodes = {name: Namespace(unique(f"np-{name}")) for name in ("n1", "n2")}
        self.namespaces: dict[str, Namespace] = {}
        for number, node in enumerate(self.nodes.values(), 1):
            node.sysctl("net/ipv4/ip_forward", "1")
            node.sysctl("net/ipv6/conf/all/forwarding", "1")
            node.ip("link", "add", "pods", "type", "bridge")
            node.ip("addr", "add", f"10.244.{number}.1/24", "dev", "pods")
            node.ip("addr", "add", f"fd00:{number}::1/64", "dev", "pods", "nodad")
            node.ip("link", "set", "pods", "up")
        self._wire()
        for pod in PODS:
            self._add_namespace(pod)
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()
        self.agents = {}
        for name, node in self.nodes.items():
            node.forward(api.port)
            inside = ["nsenter", f"--net=/var/run/netns/{node.name}"]
            flags = [f"--hostname-override={name}"]
            self.agents[name] = Daemon("netagent", api.url, folder / name, *flags, inside=inside)

    def _wire(self) -> None:
        one, other = self.nodes["n1"], self.nodes["n2"]
        connect(one, other, "wire", "wire")
        for number, node, peer in ((1, one, 2), (2, other, 1)):
            node.ip("addr", "add", f"172.20.0.{number}/24", "dev", "wire")
            node.ip("addr", "add", f"fd00:ff::{number}/64", "dev", "wire", "nodad")
            node.ip("route", "add", f"10.244.{peer}.0/24", "via", f"172.20.0.{peer}")
            node.ip("-6", "route", "add", f"fd00:{peer}::/64", "via", f"fd00:ff::{peer}")

    def _add_namespace(self, pod: Pod) -> None:
        node, made = self.nodes[pod.node], Namespace(unique(f"np-{pod.namespace}{pod.name}"))
        link = f"v{pod.namespace}{pod.name}"
        connect(node, made, link, "eth0")
        node.ip("link", "set", link, "master", "pods")
        node.ip("link", "set", link, "type", "bridge_slave", "hairpin", "on")
        number = pod.node[1:]
        made.ip("addr", "add", f"{pod.address(4)}/24", "dev", "eth0")
        made.ip("addr", "add", f"{pod.address(6)}/64", "dev", "eth0", "nodad")
        made.ip("route", "add", "default", "via", f"10.244.{number}.1")
        made.ip("-6", "route", "add", "default", "via", f"fd00:{number}::1")
        self.namespaces[pod.key] = made
        for port in PORTS:
            for kind in _KINDS.values():
                server = made.run(socket.socket, socket.AF_INET6, kind)
                server.bind(("::", port))
                if kind == socket.SOCK_STREAM:
                    server.listen(128)
                server.setblocking(False)
                self._selector.register(server, selectors.EVENT_READ, kind)

    def create(self) -> None:
        """Makes the namespaces, the nodes and the pods, as their kubelets would report them."""
        for number, name in enumerate(self.nodes, 1):
            ranges = [f"10.244.{number}.0/24", f"fd00:{number}::/64"]
            self._post(
                "/api/v1/nodes", {"metadata": {"name": name}, "spec": {"podCIDR": ranges[0], "podCIDRs": ranges}}
            )
        for name, labels in NAMESPACES.items():
            self._post("/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels)}})
        for pod in PODS:
            self.create_pod(pod)

    def create_pod(self, pod: Pod) -> None:
        ports = [{"name": name, "protocol": its, "containerPort": number} for name, its, number in pod.ports]
        spec = {"nodeName": pod.node, "containers": [{"name": "c", "image": "i", "ports": ports}]}
        path = f"/api/v1/namespaces/{pod.namespace}/pods"
        self._post(path, {"metadata": {"name": pod.name, "labels": dict(pod.labels)}, "spec": spec})
        self.report_addresses(pod)

    def report_addresses(self, pod: Pod, *addresses: str) -> None:
        """Writes the pod's addresses, or those given, into its status; "" for none."""
        ips = [{"ip": address} for address in addresses or pod.addresses if address]
        status = {"phase": "Running" if ips else "Pending", "podIP": ips[0]["ip"] if ips else None, "podIPs": ips}
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status"
        answer = self.api.http.patch(path, json={"status": status}, headers=MERGE)
        assert answer.status_code == 200, answer.text

    def start(self) -> None:
        """Starts the agents, and waits until they have rules: only then conntrack knows who opens a connection."""
        for agent in self.agents.values():
            agent.start()
        for node in self.nodes.values():
            eventually(lambda node=node: "mini-kubernetes-policy" in node.command("nft", "list", "tables"))

    def apply(self, *policies: Dict) -> None:
        """Makes these all the policies there are: first what is new, so that no pod is without one meanwhile."""
        items = self.api.http.get("/apis/networking.k8s.io/v1/networkpolicies").json()["items"]
        there = {(item["metadata"]["namespace"], item["metadata"]["name"]): item["spec"] for item in items}
        wanted = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in policies}
        for (namespace, name), policy in wanted.items():
            path = POLICIES.format(namespace)
            if (namespace, name) not in there:
                self._post(path, policy)
            elif policy["spec"] != there[namespace, name]:
                assert self.api.http.put(f"{path}/{name}", json=policy).status_code == 200
        for namespace, name in there.keys() - wanted.keys():
            self.api.http.delete(f"{POLICIES.format(namespace)}/{name}")

    def matrix(self, pods: Iterable[Pod] | None = None, versions: Iterable[int] = (4, 6)) -> set[Probe]:
        """Returns the probes that are answered, of each pod to each on every port."""
        chosen = PODS if pods is None else list(pods)
        waiting = [
            self.namespaces[client.key]._thread.submit(self._ask_all, client, chosen, tuple(versions))
            for client in chosen
        ]
        return set().union(*(item.result() for item in waiting))

    def _ask_all(self, client: Pod, servers: list[Pod], versions: tuple[int, ...]) -> set[Probe]:
        """Runs in the client's namespace."""
        answered: set[Probe] = set()
        with contextlib.ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            for server in servers:
                for port in PORTS:
                    for protocol, kind in _KINDS.items():
                        for version in versions:
                            family = socket.AF_INET if version == 4 else socket.AF_INET6
                            asking = stack.enter_context(socket.socket(family, kind))
                            asking.setblocking(False)
                            asking.connect_ex((server.address(version), port))
                            event = selectors.EVENT_WRITE if protocol == "TCP" else selectors.EVENT_READ
                            if protocol == "UDP":
                                with contextlib.suppress(OSError):
                                    asking.send(b"?")
                            selector.register(asking, event, (client, server, port, protocol, version))
            deadline = time.monotonic() + PROBE_SECONDS
            while selector.get_map() and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    asking = key.fileobj
                    assert isinstance(asking, socket.socket)
                    selector.unregister(asking)
                    if asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                        answered.add(key.data)
        return answered

    def _serve(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.2):
                server = key.fileobj
                assert isinstance(server, socket.socket)
                with contextlib.suppress(OSError):
                    if key.data == socket.SOCK_STREAM:
                        server.accept()[0].close()
                    else:
                        data, peer = server.recvfrom(100)
                        server.sendto(data, peer)

    def _post(self, path: str, body: Dict) -> None:
        answer = self.api.http.post(path, json=body)
        assert answer.status_code == 201, answer.text

    def close(self) -> None:
        for agent in self.agents.values():
            if agent.running:
                agent.stop()
        self._stop.set()
        self._server.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        for namespace in (*self.namespaces.values(), *self.nodes.values()):
            namespace.close()
