"""ResourceClaim's fields: the devices that are asked for, and those that were found."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import Condition, Object
from apimachinery.model import Int64, ListMapKeys, MergeKey, Model, OneOf, Required
from kubeapi.core.pod.scheduling.affinity import NodeSelector
from kubeapi.resource._devices import DeviceConfiguration, DeviceSelector, Off

FINALIZER = "resource.kubernetes.io/delete-protection"
"""Keeps an allocated claim until it is deallocated."""
POD_CLAIM_NAME = "resource.kubernetes.io/pod-claim-name"
"""The annotation of a claim made for a pod: the entry of the pod's spec.resourceClaims."""

MAX_DEVICES = 32  # of one claim
EXACT_COUNT = "ExactCount"
ALL = "All"
AllocationMode = Annotated[str, OneOf(ALL, EXACT_COUNT)]


class DeviceId(NamedTuple):
    """Names a device in the cluster."""

    driver: str
    pool: str
    device: str

    def __str__(self) -> str:
        return "/".join(self)


class _Request(Model):
    """Which devices, and how many."""

    deviceClassName: str = ""
    """The DeviceClass of the devices."""
    selectors: list[DeviceSelector] | None = None
    """Conditions that the devices must meet besides those of the class, all of them."""
    allocationMode: AllocationMode | None = None
    """ExactCount: as many devices as `count` says. All: all matching devices of a pool, of which none may be in use.
    Default: ExactCount."""
    count: Int64 | None = None
    """The number of devices in mode ExactCount. Default: 1."""
    tolerations: Off = None
    """Taints that devices may have. The feature is off: the field is dropped."""
    capacity: Off = None
    """Shares of capacities. The feature is off: the field is dropped."""


class ExactDeviceRequest(_Request, protobuf="deviceClassName selectors allocationMode count adminAccess*"):
    """A request for devices of one class."""

    adminAccess: bool | None = None
    """Whether the devices are for administration, such as monitoring: then others may have them too. Only in namespaces
    with the label `resource.kubernetes.io/admin-access: "true"`."""


class DeviceSubRequest(_Request, protobuf="name deviceClassName selectors allocationMode count"):
    """One of the alternatives of a request."""

    name: str = ""
    """The name of the alternative, a DNS label; others refer to it by REQUEST/NAME."""


class DeviceRequest(Model, protobuf="name exactly firstAvailable"):
    """A request for devices: `exactly` one kind, or the `firstAvailable` of several."""

    name: str = ""
    """The name of the request, a DNS label, for containers and constraints."""
    exactly: ExactDeviceRequest | None = None
    """The devices of one class that are asked for."""
    firstAvailable: list[DeviceSubRequest] | None = None
    """Alternatives in the order in which they are tried, at most 8."""


class DeviceConstraint(Model, protobuf="requests matchAttribute*"):
    """A condition on several devices together."""

    requests: list[str] | None = None
    """The requests whose devices must meet it. Default: all of the claim."""
    matchAttribute: str | None = None
    """The attribute, with its domain, that must have the same value in all the devices."""
    distinctAttribute: Off = None
    """The attribute that must differ. The feature is off: the field is dropped."""


class DeviceClaimConfiguration(DeviceConfiguration, protobuf="requests (opaque)"):
    """Parameters for the drivers of some requests."""

    requests: list[str] | None = None
    """The requests that they are for. Default: all of the claim."""


class DeviceClaim(Model, protobuf="requests constraints config"):
    """Requests for devices that are allocated together."""

    requests: Annotated[list[DeviceRequest], NullIfEmpty(), Required(False)] = Field(default_factory=list)
    """The requests, at most 32; all must be satisfied."""
    constraints: list[DeviceConstraint] | None = None
    """Conditions on several of the devices together, at most 32."""
    config: list[DeviceClaimConfiguration] | None = None
    """Parameters for drivers, at most 32."""


class ResourceClaimSpec(Model, protobuf="devices"):
    """The devices that are asked for."""

    devices: DeviceClaim = Field(default_factory=DeviceClaim)
    """The requests for devices."""


class DeviceRequestAllocationResult(Model, protobuf="request driver pool device adminAccess*"):
    """A device that was allocated to a request."""

    request: str = ""
    """The request, or REQUEST/NAME for an alternative."""
    driver: str = ""
    """The driver of the device."""
    pool: str = ""
    """The pool of the device."""
    device: str = ""
    """The name of the device in the pool."""
    adminAccess: bool | None = None
    """Whether it was allocated for administration, so that others may have it too."""
    tolerations: Off = None
    """Taints that the request tolerated. The feature is off: the field is dropped."""
    bindingConditions: Off = None
    """Conditions that the pod waits for. The feature is off: the field is dropped."""
    bindingFailureConditions: Off = None
    """Conditions that end the wait. The feature is off: the field is dropped."""
    shareID: Off = None
    """The share of the device. The feature is off: the field is dropped."""
    consumedCapacity: Off = None
    """The capacity of the share. The feature is off: the field is dropped."""

    @property
    def id(self) -> DeviceId:
        return DeviceId(self.driver, self.pool, self.device)


class DeviceAllocationConfiguration(DeviceConfiguration, protobuf="source requests (opaque)"):
    """Parameters for a driver, from the class or from the claim."""

    source: Annotated[str, OneOf("FromClass", "FromClaim")] = ""
    """FromClass: set by an administrator. FromClaim: set by the claim's author."""
    requests: list[str] | None = None
    """The requests that they are for. Default: all of the claim."""


class DeviceAllocationResult(Model, protobuf="results config"):
    """The devices that were allocated."""

    results: list[DeviceRequestAllocationResult] | None = None
    """The devices that were allocated, at most 32."""
    config: list[DeviceAllocationConfiguration] | None = None
    """Parameters for their drivers: those of the classes first, then the claim's."""


class AllocationResult(Model, protobuf="devices - nodeSelector"):
    """What was found for a claim."""

    devices: DeviceAllocationResult = Field(default_factory=DeviceAllocationResult)
    """The devices."""
    nodeSelector: NodeSelector | None = None
    """The nodes where the devices can be used; all nodes when absent."""
    allocationTimestamp: Off = None
    """The time of the allocation. The feature is off: the field is dropped."""


class ResourceClaimConsumerReference(Model, protobuf="apiGroup - resource name uid"):
    """A user of a claim, in the claim's namespace."""

    apiGroup: str | None = None
    """The API group of the user; absent for the core group."""
    resource: str = ""
    """The plural of its kind, such as pods."""
    name: str = ""
    """Its name."""
    uid: str = ""
    """Its uid."""


class NetworkDeviceData(Model, protobuf="interfaceName ips hardwareAddress"):
    """What is known of a network device."""

    interfaceName: str | None = None
    """The name of the network interface in the pod, at most 256 characters."""
    ips: list[str] | None = None
    """Its addresses with their networks, such as 192.0.2.5/24, at most 16."""
    hardwareAddress: str | None = None
    """Its hardware address, at most 128 characters."""


class AllocatedDeviceStatus(Model, protobuf="driver pool device conditions data networkData"):
    """The state of an allocated device, as its driver reports it."""

    driver: str = ""
    """The driver of the device."""
    pool: str = ""
    """The pool of the device."""
    device: str = ""
    """The name of the device."""
    conditions: Annotated[list[Condition], ListMapKeys("type"), NullIfEmpty(), Required(False)] = Field(
        default_factory=list
    )
    """Observations of the device, at most 8. Ready is True once it is set up."""
    data: dict[str, object] | None = None
    """Whatever the driver wants to say, at most 10 KiB."""
    networkData: NetworkDeviceData | None = None
    """What is known of a network device."""
    shareID: Off = None
    """The share of the device. The feature is off: the field is dropped."""

    @property
    def id(self) -> DeviceId:
        return DeviceId(self.driver, self.pool, self.device)


class ResourceClaimStatus(Model, protobuf="allocation reservedFor - devices"):
    """The devices that were found, and who uses them."""

    allocation: AllocationResult | None = None
    """The devices, once they are allocated. To change them, deallocate first."""
    reservedFor: Annotated[list[ResourceClaimConsumerReference], MergeKey("uid")] | None = None
    """The pods that may use the claim, at most 256. While there are any, it is not deallocated."""
    devices: Annotated[list[AllocatedDeviceStatus], ListMapKeys("driver", "device", "pool", "shareID")] | None = None
    """The state of each device, written by its driver."""


class ResourceClaim(Object, protobuf="metadata spec status"):
    """Asks for devices, and tells which were found."""

    spec: Annotated[ResourceClaimSpec, Required()] = Field(default_factory=ResourceClaimSpec)
    """The devices that are asked for. It can't be changed."""
    status: ResourceClaimStatus = Field(default_factory=ResourceClaimStatus)
    """The devices that were found."""
