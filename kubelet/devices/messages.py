"""The messages of the device plugin API, v1beta1."""

from __future__ import annotations

from dataclasses import field

from kubelet.plugins.message import Message

VERSION = "v1beta1"
REGISTER = "/v1beta1.Registration/Register"
SERVICE = "/v1beta1.DevicePlugin"
HEALTHY = "Healthy"


class DevicePluginOptions(Message):
    """The calls that a plugin serves beside the two that all serve."""

    pre_start_required: bool = False
    get_preferred_allocation_available: bool = False


class RegisterRequest(Message):
    """A plugin offers a resource; `endpoint` is the name of its socket in the kubelet's folder."""

    version: str = ""
    endpoint: str = ""
    resource_name: str = ""
    options: DevicePluginOptions | None = None


class NUMANode(Message):
    """A NUMA node of the machine."""

    ID: int = 0


class TopologyInfo(Message):
    """The NUMA nodes that a device is near to."""

    nodes: tuple[NUMANode, ...] = ()


class Device(Message):
    """One device. Any health but "Healthy" keeps it from pods."""

    ID: str = ""
    health: str = ""
    topology: TopologyInfo | None = None


class ListAndWatchResponse(Message):
    """All devices of the resource as they are now."""

    devices: tuple[Device, ...] = ()


class ContainerAllocateRequest(Message):
    """The devices that one container gets."""

    devices_ids: tuple[str, ...] = ()


class AllocateRequest(Message):
    """Asks how containers reach their devices."""

    container_requests: tuple[ContainerAllocateRequest, ...] = ()


class MountSpec(Message):
    """A path of the node that the container gets."""

    container_path: str = ""
    host_path: str = ""
    read_only: bool = False


class DeviceSpec(Message):
    """A device node that the container gets; `permissions` is made of r, w and m."""

    container_path: str = ""
    host_path: str = ""
    permissions: str = ""


class CDIDevice(Message):
    """A device by its name in the container device interface."""

    name: str = ""


class ContainerAllocateResponse(Message):
    """All that a container needs to use its devices."""

    envs: dict[str, str] = field(default_factory=dict)
    mounts: tuple[MountSpec, ...] = ()
    devices: tuple[DeviceSpec, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)
    cdi_devices: tuple[CDIDevice, ...] = ()


class AllocateResponse(Message):
    """One answer for each container of the request."""

    container_responses: tuple[ContainerAllocateResponse, ...] = ()


class ContainerPreferredAllocationRequest(Message):
    """Asks which of the available devices one container should get."""

    available_deviceIDs: tuple[str, ...] = ()
    must_include_deviceIDs: tuple[str, ...] = ()
    allocation_size: int = 0


class PreferredAllocationRequest(Message):
    """Asks for a choice for each container."""

    container_requests: tuple[ContainerPreferredAllocationRequest, ...] = ()


class ContainerPreferredAllocationResponse(Message):
    """The plugin's choice for one container."""

    deviceIDs: tuple[str, ...] = ()


class PreferredAllocationResponse(Message):
    """One choice for each container of the request."""

    container_responses: tuple[ContainerPreferredAllocationResponse, ...] = ()


class PreStartContainerRequest(Message):
    """Tells that a container with these devices is about to start."""

    devices_ids: tuple[str, ...] = ()
