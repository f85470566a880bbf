"""Devices, their classes and claims to them, in few words."""

from __future__ import annotations

from typing import Any

from apimachinery.model import from_dict
from kubeapi.resource.deviceclass import DeviceClass
from kubeapi.resource.resourceclaim.model import ResourceClaim
from kubeapi.resource.resourceslice import ResourceSlice

DRIVER = "gpu.example.com"


def device(name: str, /, memory: str = "", **attributes: Any) -> dict[str, Any]:
    """Attributes are texts, numbers or truth values; a text that begins with "v" and a digit is a version."""
    return {
        "name": name,
        "attributes": {key: _attribute(value) for key, value in attributes.items()},
        "capacity": {"memory": {"value": memory}} if memory else {},
    }


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, bool | int):
        return {"bool" if isinstance(value, bool) else "int": value}
    return {"version": value[1:]} if value[:1] == "v" and value[1:2].isdigit() else {"string": value}


def slice_of(node: str, *devices: Any, pool: str = "", generation: int = 1, count: int = 1, **more: Any) -> Any:
    """A slice on a node, on all for "*"; devices may be names. `name`, `driver` and `nodeSelector` are its own."""
    pool = pool or node
    name = more.pop("name", f"{pool}-slice")
    place = {"allNodes": True} if node == "*" else {"nodeName": node} if node else {}
    made = [device(item) if isinstance(item, str) else item for item in devices]
    spec = {"driver": DRIVER, "devices": made} | place | more
    spec["pool"] = {"name": pool, "generation": generation, "resourceSliceCount": count}
    metadata = {"name": name, "uid": f"slice-{name}", "resourceVersion": str(generation)}
    return from_dict(ResourceSlice, {"metadata": metadata, "spec": spec})


def device_class(name: str = "gpu", *expressions: str, **spec: Any) -> Any:
    expressions = expressions or (f'device.driver == "{DRIVER}"',)
    return from_dict(DeviceClass, {"metadata": {"name": name}, "spec": {"selectors": selectors(*expressions)} | spec})


def selectors(*expressions: str) -> list[dict[str, Any]]:
    return [{"cel": {"expression": item}} for item in expressions]


def asks(name: str = "r", *expressions: str, cls: str = "gpu", count: int | None = 1, **more: Any) -> dict[str, Any]:
    """A request; `count` None is for all devices, `admin` for administration."""
    mode = {"allocationMode": "ExactCount", "count": count} if count is not None else {"allocationMode": "All"}
    if more.pop("admin", False):
        mode["adminAccess"] = True
    return {"name": name, "exactly": {"deviceClassName": cls, "selectors": selectors(*expressions)} | mode | more}


def first_of(name: str, *alternatives: dict[str, Any]) -> dict[str, Any]:
    """A request with alternatives, which are written as requests."""
    return {"name": name, "firstAvailable": [{"name": item["name"]} | item["exactly"] for item in alternatives]}


def claim(name: str = "c", *requests: dict[str, Any], **more: Any) -> Any:
    """`constraints` and `config` are of its devices; `allocated` names devices as "pool/device", on the node `on` if it
    is given; `reserved` are uids of pods."""
    metadata = {"name": name, "namespace": "default", "uid": f"claim-{name}", "resourceVersion": "5"}
    metadata |= more.pop("metadata", {})
    status: dict[str, Any] = {}
    allocated = more.pop("allocated", None)
    if allocated is not None:
        names = (item.split("/") for item in allocated)
        results = [{"request": "r", "driver": DRIVER, "pool": pool, "device": name} for pool, name in names]
        status["allocation"] = {"devices": {"results": results}}
        on = more.pop("on", "")
        if on:
            field = {"key": "metadata.name", "operator": "In", "values": [on]}
            status["allocation"]["nodeSelector"] = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    reserved = more.pop("reserved", ())
    if reserved:
        status["reservedFor"] = [{"resource": "pods", "name": uid, "uid": uid} for uid in reserved]
    devices = {"requests": [*requests] or [asks()]} | more
    return from_dict(ResourceClaim, {"metadata": metadata, "spec": {"devices": devices}, "status": status})
