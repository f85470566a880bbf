"""Agents on the node learn over grpcio which devices and CPUs its containers have."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from kubelet.cpus.manager import CpuManager
from kubelet.cpus.topology import Place
from kubelet.devices.manager import DeviceManager
from kubelet.pod.resources.hardware import Hardware
from kubelet.pod.resources.listing import ResourceListing
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import make_pod
from tests.kits.plugins.device_plugin import DevicePlugin
from tests.kits.plugins.proto import call, messages
from tests.kits.tasks import Tasks

RESOURCE = "example.com/dongle"
SERVICE = "/v1.PodResourcesLister"
pb = messages(
    "v1",
    {
        "Empty": "",
        "NUMANode": "int64 ID = 1",
        "TopologyInfo": "NUMANode* nodes = 1",
        "ContainerDevices": "string resource_name = 1; string* device_ids = 2; TopologyInfo topology = 3",
        "ContainerResources": "string name = 1; ContainerDevices* devices = 2; int64* cpu_ids = 3",
        "PodResources": "string name = 1; string namespace = 2; ContainerResources* containers = 3",
        "ListPodResourcesResponse": "PodResources* pod_resources = 1",
        "AllocatableResourcesResponse": "ContainerDevices* devices = 1; int64* cpu_ids = 2",
        "GetPodResourcesRequest": "string pod_name = 1; string pod_namespace = 2",
        "GetPodResourcesResponse": "PodResources pod_resources = 1",
    },
)


def container(name: str, dongles: int, **more: Any) -> dict[str, Any]:
    amounts = {"cpu": "1", "memory": "1Mi", RESOURCE: str(dongles)}
    return {"name": name, "image": "app:1", "resources": {"limits": amounts, "requests": amounts}} | more


def told(devices: Any) -> list[tuple[str, list[str], list[int]]]:
    return [(item.resource_name, list(item.device_ids), [n.ID for n in item.topology.nodes]) for item in devices]


async def test_agents_see_who_has_what(tmp_path: Path) -> None:
    tasks = Tasks()
    manager = DeviceManager(str(tmp_path), lambda: None, cast(asyncio.TaskGroup, tasks))
    manager.load()
    cpus = CpuManager(str(tmp_path), {cpu: Place(0, cpu) for cpu in range(4)}, frozenset({0}), lambda: None)
    cpus.load()
    hardware = Hardware(manager, cpus)
    side = container("side", 1, restartPolicy="Always")
    pod = make_pod({"initContainers": [container("init", 1), side], "containers": [container("app", 1)]})
    plugin = None
    try:
        tasks.create_task(manager.run())
        tasks.create_task(ResourceListing(str(tmp_path), lambda: [pod], hardware).run())
        await eventually_async((tmp_path / "device-plugins/kubelet.sock").exists)
        plugin = DevicePlugin(tmp_path / "device-plugins", RESOURCE, ["a", "b", "c"], numa_node=1)
        await asyncio.to_thread(plugin.register)
        await eventually_async(lambda: manager.healthy().get(RESOURCE))
        assert await hardware.allocate(pod) is None
        socket = tmp_path / "pod-resources/kubelet.sock"

        async def ask(method: str, answer: Any, request: Any = None) -> Any:
            return await asyncio.to_thread(call, str(socket), f"{SERVICE}/{method}", request or pb.Empty(), answer)

        await eventually_async(socket.exists)
        (listed,) = (await ask("List", pb.ListPodResourcesResponse)).pod_resources
        assert (listed.name, listed.namespace) == ("web", "default")
        assert [(item.name, told(item.devices), list(item.cpu_ids)) for item in listed.containers] == [
            ("side", [(RESOURCE, ["a"], [1])], [1]),
            ("app", [(RESOURCE, ["b"], [1])], [2]),
        ]
        request = pb.GetPodResourcesRequest(pod_name="web", pod_namespace="default")
        assert (await ask("Get", pb.GetPodResourcesResponse, request)).pod_resources == listed
        free = await ask("GetAllocatableResources", pb.AllocatableResourcesResponse)
        assert told(free.devices) == [(RESOURCE, [name], [1]) for name in "abc"]
        assert list(free.cpu_ids) == [1, 2, 3]
        other = pb.GetPodResourcesRequest(pod_name="x", pod_namespace="default")
        with pytest.raises(grpc.RpcError, match="pod x in namespace default not found"):
            await ask("Get", pb.GetPodResourcesResponse, other)
    finally:
        if plugin is not None:
            await asyncio.to_thread(plugin.stop)
        await tasks.end()
