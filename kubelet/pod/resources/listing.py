"""Tells monitoring agents on the node which devices and CPUs its containers have: the pod resources API, v1.

Source: Kubernetes documentation, "Device Plugins: Monitoring device plugin resources".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubelet.devices.messages import CDIDevice, TopologyInfo
from kubelet.dra.claims import ClaimsError
from kubelet.plugins.message import Empty, Message, number
from kubelet.plugins.rpc import Method, PluginServer, RpcError
from kubelet.pod.resources.hardware import Hardware

FOLDER, SOCKET = "pod-resources", "kubelet.sock"
SERVICE = "/v1.PodResourcesLister"


class ContainerDevices(Message):
    """Devices of one resource, and the NUMA nodes that they are near to."""

    resource_name: str = ""
    device_ids: tuple[str, ...] = ()
    topology: TopologyInfo | None = None


class ClaimResource(Message):
    """A device of a claim."""

    cdi_devices: tuple[CDIDevice, ...] = ()
    driver_name: str = ""
    pool_name: str = ""
    device_name: str = ""


class DynamicResource(Message):
    """The devices that a container has by a claim."""

    claim_name: str = number(2, default="")
    claim_namespace: str = number(3, default="")
    claim_resources: tuple[ClaimResource, ...] = number(4, default=())


class ContainerResources(Message):
    """The devices and CPUs that one container has for itself."""

    name: str = ""
    devices: tuple[ContainerDevices, ...] = ()
    cpu_ids: tuple[int, ...] = ()
    dynamic_resources: tuple[DynamicResource, ...] = number(5, default=())


class PodResources(Message):
    """One pod, with its sidecars and containers."""

    name: str = ""
    namespace: str = ""
    containers: tuple[ContainerResources, ...] = ()


class ListPodResourcesResponse(Message):
    """Lists the pods that hold resources of the node."""

    pod_resources: tuple[PodResources, ...] = ()


class AllocatableResourcesResponse(Message):
    """Lists what the node may give to containers, whether they have it or not."""

    devices: tuple[ContainerDevices, ...] = ()
    cpu_ids: tuple[int, ...] = ()


class GetPodResourcesRequest(Message):
    """Asks for one pod."""

    pod_name: str = ""
    pod_namespace: str = ""


class GetPodResourcesResponse(Message):
    """The pod that was asked for."""

    pod_resources: PodResources | None = None


class ResourceListing:
    """`pods()` are the pods that hold this node's resources."""

    def __init__(self, root_dir: str, pods: Callable[[], Iterable[Pod]], hardware: Hardware) -> None:
        self._folder = Path(root_dir, FOLDER)
        self._pods = pods
        self._hardware = hardware

    async def run(self) -> None:
        """Serves until cancelled. Raises: OSError."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        methods: dict[str, Method] = {
            f"{SERVICE}/List": (Empty, ListPodResourcesResponse, self._list),
            f"{SERVICE}/Get": (GetPodResourcesRequest, GetPodResourcesResponse, self._get),
            f"{SERVICE}/GetAllocatableResources": (Empty, AllocatableResourcesResponse, self._allocatable),
        }
        await PluginServer(str(self._folder / SOCKET), methods).run()

    async def _list(self, request: Empty) -> ListPodResourcesResponse:
        return ListPodResourcesResponse(tuple(map(self._pod, self._pods())))

    async def _get(self, request: GetPodResourcesRequest) -> GetPodResourcesResponse:
        """Raises: RpcError."""
        for pod in self._pods():
            if (pod.name, pod.namespace) == (request.pod_name, request.pod_namespace):
                return GetPodResourcesResponse(self._pod(pod))
        raise RpcError("Unknown", f"pod {request.pod_name} in namespace {request.pod_namespace} not found")

    async def _allocatable(self, request: Empty) -> AllocatableResourcesResponse:
        cpus = self._hardware.cpus
        healthy = self._devices(self._hardware.devices.healthy())
        return AllocatableResourcesResponse(healthy, tuple(sorted(cpus.allocatable)) if cpus is not None else ())

    def _pod(self, pod: Pod) -> PodResources:
        uid, cpus = pod.metadata.uid or "", self._hardware.cpus
        containers = [*filter(is_sidecar, pod.spec.initContainers or ()), *pod.spec.containers]
        return PodResources(
            pod.name,
            pod.namespace,
            tuple(
                ContainerResources(
                    item.name,
                    self._devices(self._hardware.devices.held(uid, item.name)),
                    tuple(sorted(cpus.own(uid, item.name))) if cpus is not None else (),
                    self._dynamic(pod, item),
                )
                for item in containers
            ),
        )

    def _dynamic(self, pod: Pod, container: Container) -> tuple[DynamicResource, ...]:
        """Lists nothing for a pod whose claims are not prepared."""
        claims = self._hardware.claims
        if claims is None:
            return ()
        by_claim: dict[tuple[str, str], list[ClaimResource]] = {}
        try:
            for held, device in claims.devices(pod, container):
                cdi = tuple(map(CDIDevice, device.cdi_names))
                resource = ClaimResource(cdi, device.driver, device.pool, device.name)
                by_claim.setdefault((held.name, held.namespace), []).append(resource)
        except ClaimsError:
            return ()
        return tuple(DynamicResource(*key, tuple(found)) for key, found in by_claim.items())

    def _devices(self, devices: Mapping[str, Iterable[str]]) -> tuple[ContainerDevices, ...]:
        """Lists each device by itself, as each may have a place of its own."""
        return tuple(
            ContainerDevices(resource, (device,), self._hardware.devices.topology(resource, device))
            for resource, ids in sorted(devices.items())
            for device in sorted(ids)
        )
