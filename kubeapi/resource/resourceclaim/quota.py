"""What resource claims use of a quota: their number, and the devices of each class that they may get.

Source: Kubernetes documentation, "Resource Quotas", "Quota for dynamic resource allocation".
"""

from __future__ import annotations

from collections import Counter

from apimachinery.quantity import ResourceList
from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.resource.resourceclaim.model import (
    ALL,
    MAX_DEVICES,
    DeviceRequest,
    DeviceSubRequest,
    ExactDeviceRequest,
    ResourceClaim,
)

_DEVICES = ".deviceclass.resource.k8s.io/devices"
"""Stands behind the name of a class."""


class ResourceClaimEvaluator(Evaluator):
    model = ResourceClaim

    def measures(self, name: str) -> bool:
        return name == self.count or name.endswith(_DEVICES)

    def usage(self, obj: ResourceClaim, now: float) -> ResourceList:
        devices = Counter[str]()
        for request in obj.spec.devices.requests:
            devices.update(_most_devices(request))
        return {self.count: "1", **{f"{name}{_DEVICES}": str(count) for name, count in devices.items()}}


def _most_devices(request: DeviceRequest) -> dict[str, int]:
    """Returns the most devices of each class that a request may get, whichever alternative is taken."""
    most: dict[str, int] = {}
    parts: tuple[ExactDeviceRequest | DeviceSubRequest, ...] = tuple(request.firstAvailable or ())
    for part in parts or ((request.exactly,) if request.exactly is not None else ()):
        count = MAX_DEVICES if part.allocationMode == ALL else part.count or 0
        most[part.deviceClassName] = max(count, most.get(part.deviceClassName, 0))
    return most
