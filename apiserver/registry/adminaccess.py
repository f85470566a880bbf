"""Checks that devices are asked for, and allocated, for administration only where the namespace allows it.

Source: Kubernetes documentation, "Dynamic Resource Allocation", "Admin access".
"""

from __future__ import annotations

from apimachinery.errors import forbidden, invalid_object
from apimachinery.model import decode
from apiserver.admission._plugin import Attributes, Lookup
from apiserver.registry.hooks import Hooks
from kubeapi.core.namespace import Namespace
from kubeapi.resource._devices import GROUP
from kubeapi.resource.resourceclaim.model import DeviceRequest, ResourceClaim, ResourceClaimSpec, ResourceClaimStatus

CLAIMS = [(GROUP, "resourceclaims"), (GROUP, "resourceclaimtemplates")]
LABEL = "resource.kubernetes.io/admin-access"
"""The label of namespaces that allow it."""


class AdminAccessHooks(Hooks):
    """The hooks of claims and of their templates."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def check_rights(self, attributes: Attributes) -> None:
        """Raises: Invalid. What is asked for doesn't change later, nor does an allocation."""
        path = _path(attributes)
        if not path:
            return
        entry = self._lookup.storage.latest(self._lookup.resource("namespaces"), "", attributes.namespace)
        labels = decode(Namespace, entry.value).labels if entry is not None else {}
        if labels.get(LABEL) != "true":
            text = f"admin access to devices requires the `{LABEL}: true` label on the containing namespace"
            kind = attributes.resource.kind
            raise invalid_object(kind, GROUP, attributes.name, [forbidden(path, text)])


def _path(attributes: Attributes) -> str:
    """Returns the first field that asks for it anew; "" if none does."""
    obj, old = attributes.obj, attributes.old
    if attributes.subresource:
        before = _granted(old.status) if isinstance(old, ResourceClaim) else ""
        return "" if before else _granted(obj.status)
    if old is not None:
        return ""
    spec: ResourceClaimSpec = obj.spec if isinstance(obj, ResourceClaim) else obj.spec.spec
    asking = (index for index, request in enumerate(spec.devices.requests) if _asks(request))
    return next((f"spec.devices.requests[{index}].adminAccess" for index in asking), "")


def _asks(request: DeviceRequest) -> bool:
    return request.exactly is not None and bool(request.exactly.adminAccess)


def _granted(status: ResourceClaimStatus) -> str:
    results = status.allocation.devices.results or [] if status.allocation is not None else []
    granted = (index for index, result in enumerate(results) if result.adminAccess)
    return next((f"status.allocation.devices.results[{index}].adminAccess" for index in granted), "")
