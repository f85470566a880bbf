"""The network of pods by CNI plugins of Debian, on a real engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from componentbase.host.process import run
from kubelet.network.cni.plugins import CniPlugins
from kubelet.network.pod_network import PodNetwork
from kubelet.runtime.configs import Bandwidth, PortMapping, SandboxConfig
from kubelet.runtime.docker.runtime import DockerRuntime
from kubelet.runtime.interface import EngineError
from tests.kits.machine.docker import WorkerHost, worker_host
from tests.kits.node.runtime_contract import new_pod

pytestmark = pytest.mark.cluster

BIN_DIR = "/usr/lib/cni"
NETWORK: dict[str, Any] = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}]},
            "capabilities": {"ipRanges": True},
        },
        {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
    ],
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerHost]:
    if not Path(BIN_DIR, "bridge").exists():
        pytest.skip("needs containernetworking-plugins")
    yield from worker_host("cni", tmp_path_factory.mktemp("cni"), 9)


class Node:
    """A kubelet's runtime with plugins; `crash` is what a killed kubelet's successor finds."""

    def __init__(self, host: WorkerHost, folder: Path) -> None:
        self.host, self.folder = host, folder
        (folder / "conf").mkdir()
        data = {"ipam": NETWORK["plugins"][0]["ipam"] | {"dataDir": str(folder / "leases")}}
        plugins = [NETWORK["plugins"][0] | data, *NETWORK["plugins"][1:]]
        self.configuration = folder / "conf" / "10-pods.conflist"
        self.configuration.write_text(json.dumps(NETWORK | {"plugins": plugins}))
        self.crash()

    def crash(self) -> None:
        async def inside(*argv: str, **options: Any) -> str:
            return await run("nsenter", f"--net=/var/run/netns/{self.host.name}", *argv, **options)

        self.network = PodNetwork(
            str(self.folder / "network"), CniPlugins(str(self.folder / "conf"), (BIN_DIR,), inside)
        )
        self.runtime = DockerRuntime(self.host.endpoint, self.network)

    def leases(self) -> set[str]:
        return {path.name for path in self.folder.glob("leases/pods/10.*")}


@pytest.fixture
async def node(host: WorkerHost, tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(host, tmp_path)
    yield node
    for pod in (await node.runtime.pods()).values():
        for sandbox in pod.sandboxes:
            await node.runtime.remove_sandbox(sandbox.id)
    await node.runtime.close()


async def test_plugins_give_pods_addresses_ports_and_limits_and_take_them_back(node: Node) -> None:
    assert node.runtime.network_problem() == "the Node has no podCIDR yet"
    assert node.runtime.set_pod_ranges(["10.244.9.0/28"])
    assert node.runtime.network_problem() == ""
    config = SandboxConfig(new_pod(), ports=(PortMapping(8088, 80),), bandwidth=Bandwidth(ingress=8_000_000))
    first, second = [await node.runtime.create_sandbox(each) for each in (config, SandboxConfig(new_pod()))]
    assert (first.ips, second.ips) == (("10.244.9.2",), ("10.244.9.3",))
    assert node.leases() == {"10.244.9.2", "10.244.9.3"}
    rules = node.host.run("iptables-save", "-t", "nat")
    assert "--dport 8088" in rules
    assert "--to-destination 10.244.9.2:80" in rules
    assert "tbf" in node.host.run("tc", "qdisc", "show")

    # The kubelet is killed; meanwhile one pod ends, and the network of the other is damaged.
    await node.runtime.stop_container(first.id, 0)
    node.host.run("ip", "link", "delete", "cni0")
    node.crash()
    await node.runtime.prepare()
    assert node.leases() == {"10.244.9.3"}
    assert "--dport 8088" not in node.host.run("iptables-save", "-t", "nat")
    assert node.network.addresses(second.id) == (), "CHECK has failed"
    await node.runtime.remove_sandbox(second.id)
    assert node.leases() == set()


async def test_what_plugins_say_of_a_failure_is_told_and_nothing_stays(node: Node) -> None:
    node.runtime.set_pod_ranges(["10.244.9.0/29"])
    for _ in range(5):
        await node.runtime.create_sandbox(SandboxConfig(new_pod()))
    config = SandboxConfig(new_pod())
    with pytest.raises(EngineError, match=r'plugin type="bridge" failed \(add\): .*no IP addresses available'):
        await node.runtime.create_sandbox(config)
    assert await node.runtime.pod(config.pod.uid) is None
    assert len(node.leases()) == 5
    node.configuration.write_text("{}")
    assert "cniVersion" in node.runtime.network_problem()
    node.configuration.unlink()
    assert "no network config found" in node.runtime.network_problem()
