"""A small device plugin: devices by name, reached by variables, a mount and device nodes."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.kits.plugins.proto import PluginServer, call, messages

pb = messages(
    "v1beta1",
    {
        "Empty": "",
        "DevicePluginOptions": "bool pre_start_required = 1; bool get_preferred_allocation_available = 2",
        "RegisterRequest": "string version = 1; string endpoint = 2; string resource_name = 3; "
        "DevicePluginOptions options = 4",
        "NUMANode": "int64 ID = 1",
        "TopologyInfo": "NUMANode* nodes = 1",
        "Device": "string ID = 1; string health = 2; TopologyInfo topology = 3",
        "ListAndWatchResponse": "Device* devices = 1",
        "ContainerAllocateRequest": "string* devices_ids = 1",
        "AllocateRequest": "ContainerAllocateRequest* container_requests = 1",
        "Mount": "string container_path = 1; string host_path = 2; bool read_only = 3",
        "DeviceSpec": "string container_path = 1; string host_path = 2; string permissions = 3",
        "CDIDevice": "string name = 1",
        "ContainerAllocateResponse": "map envs = 1; Mount* mounts = 2; DeviceSpec* devices = 3; map annotations = 4; "
        "CDIDevice* cdi_devices = 5",
        "AllocateResponse": "ContainerAllocateResponse* container_responses = 1",
        "ContainerPreferredAllocationRequest": "string* available_deviceIDs = 1; string* must_include_deviceIDs = 2; "
        "int32 allocation_size = 3",
        "PreferredAllocationRequest": "ContainerPreferredAllocationRequest* container_requests = 1",
        "ContainerPreferredAllocationResponse": "string* deviceIDs = 1",
        "PreferredAllocationResponse": "ContainerPreferredAllocationResponse* container_responses = 1",
        "PreStartContainerRequest": "string* devices_ids = 1",
        "PreStartContainerResponse": "",
    },
)
SERVICE = "/v1beta1.DevicePlugin"


class DevicePlugin:
    """Offers `resource` from a socket in the kubelet's folder. It prefers the devices with the highest names."""

    def __init__(
        self, folder: Path, resource: str, devices: list[str], *, prefers: bool = False, numa_node: int | None = None
    ) -> None:
        self.folder = folder
        self.resource = resource
        self.allocated: list[list[str]] = []
        self.started: list[list[str]] = []
        self.refusal = ""
        self.cdi = ""
        self.numa_node = numa_node
        self._options = pb.DevicePluginOptions(pre_start_required=True, get_preferred_allocation_available=prefers)
        self._lists: queue.Queue[dict[str, str] | None] = queue.Queue()
        self.health(dict.fromkeys(devices, "Healthy"))
        self.endpoint = resource.replace("/", "_") + ".sock"
        self._server = self._serve()

    def _serve(self) -> PluginServer:
        path = self.folder / self.endpoint
        path.unlink(missing_ok=True)
        server = PluginServer(
            str(path),
            {
                f"{SERVICE}/GetDevicePluginOptions": (pb.Empty, lambda request, context: self._options, False),
                f"{SERVICE}/ListAndWatch": (pb.Empty, self._list, True),
                f"{SERVICE}/GetPreferredAllocation": (pb.PreferredAllocationRequest, self._prefer, False),
                f"{SERVICE}/Allocate": (pb.AllocateRequest, self._allocate, False),
                f"{SERVICE}/PreStartContainer": (pb.PreStartContainerRequest, self._pre_start, False),
            },
        )
        server.start()
        return server

    def health(self, devices: dict[str, str]) -> None:
        """Tells the health of all devices from now on."""
        self._lists.put(devices)

    def register(self, version: str = "v1beta1") -> None:
        """Raises: grpc.RpcError."""
        request = pb.RegisterRequest(
            version=version, endpoint=self.endpoint, resource_name=self.resource, options=self._options
        )
        call(str(self.folder / "kubelet.sock"), "/v1beta1.Registration/Register", request, pb.Empty)

    def stop(self) -> None:
        self._lists.put(None)
        self._server.stop()

    def _list(self, request: Any, context: Any) -> Iterator[Any]:
        while (devices := self._lists.get()) is not None:
            place = pb.TopologyInfo(nodes=[pb.NUMANode(ID=self.numa_node)]) if self.numa_node is not None else None
            yield pb.ListAndWatchResponse(
                devices=[pb.Device(ID=name, health=health, topology=place) for name, health in devices.items()]
            )

    def _prefer(self, request: Any, context: Any) -> Any:
        answers = []
        for one in request.container_requests:
            ids = sorted(one.available_deviceIDs, reverse=True)[: one.allocation_size]
            answers.append(pb.ContainerPreferredAllocationResponse(deviceIDs=ids))
        return pb.PreferredAllocationResponse(container_responses=answers)

    def _allocate(self, request: Any, context: Any) -> Any:
        if self.refusal:
            import grpc

            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, self.refusal)
        answers = []
        for one in request.container_requests:
            ids = list(one.devices_ids)
            self.allocated.append(ids)
            answers.append(
                pb.ContainerAllocateResponse(
                    envs={"DEVICES": ",".join(ids)},
                    mounts=[pb.Mount(container_path="/lib/device", host_path="/etc", read_only=True)],
                    devices=[
                        pb.DeviceSpec(container_path=f"/dev/{name}", host_path="/dev/null", permissions="rw")
                        for name in ids
                    ],
                    annotations={"example.com/devices": ",".join(ids)},
                    cdi_devices=[pb.CDIDevice(name=self.cdi)] if self.cdi else [],
                )
            )
        return pb.AllocateResponse(container_responses=answers)

    def _pre_start(self, request: Any, context: Any) -> Any:
        self.started.append(list(request.devices_ids))
        return pb.PreStartContainerResponse()
