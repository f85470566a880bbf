"""Which devices the containers of this node have, and which a container gets. Pure, but for the checkpoint file.

Source: upstream's device manager: devices of init containers are used again by those that start after them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from componentbase.host.privatefiles import write_private
from kubelet.devices.messages import ContainerAllocateResponse


class DeviceError(Exception):
    """The pod can't have its devices: the text that follows "Allocate failed due to"."""


class Holder(NamedTuple):
    """One resource of one container."""

    pod_uid: str
    container: str
    resource: str


@dataclass(frozen=True, slots=True)
class Held:
    """The devices that a container has of one resource, and how it reaches them."""

    devices: tuple[str, ...]
    response: ContainerAllocateResponse


@dataclass(frozen=True, slots=True)
class Choice:
    """`fixed` devices are taken in any case; `missing` more come from `free`, in order or as the plugin prefers."""

    fixed: tuple[str, ...]
    free: tuple[str, ...]
    missing: int

    def first(self) -> tuple[str, ...]:
        return (*self.fixed, *self.free[: self.missing])

    def preferred(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Follows the plugin as far as it names free devices; the rest comes in order."""
        wished = [item for item in dict.fromkeys(ids) if item in self.free]
        rest = [item for item in self.free if item not in wished]
        return (*self.fixed, *(wished + rest)[: self.missing])


def choose(
    resource: str, needed: int, *, healthy: Collection[str], used: Collection[str], again: Iterable[str]
) -> Choice:
    """Chooses among devices that are healthy and not `used`; those to use `again` come first. Raises: DeviceError."""
    if not healthy:
        raise DeviceError(f"no healthy devices present; cannot allocate unhealthy devices {resource}")
    fixed = tuple(sorted(again))[:needed]
    free = tuple(sorted(set(healthy) - set(used)))
    missing = needed - len(fixed)
    if missing > len(free):
        raise DeviceError(
            f"requested number of devices unavailable for {resource}. Requested: {missing}, Available: {len(free)}"
        )
    return Choice(fixed, free, missing)


class Allocations:
    """The devices in use, kept in a file, so that a kubelet that starts again knows them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[Holder, Held] = {}
        self.registered: dict[str, tuple[str, ...]] = {}
        """The devices that each resource had when the file was written."""

    def load(self) -> None:
        """Raises: OSError; ValueError when the file is not one of ours."""
        if not self._path.exists():
            return
        data = json.loads(self._path.read_text())["Data"]
        self.registered = {name: tuple(ids) for name, ids in (data["RegisteredDevices"] or {}).items()}
        for entry in data["PodDeviceEntries"] or ():
            holder = Holder(entry["PodUID"], entry["ContainerName"], entry["ResourceName"])
            ids = tuple(sorted(item for group in entry["DeviceIDs"].values() for item in group))
            self._held[holder] = Held(ids, ContainerAllocateResponse.parse(base64.b64decode(entry["AllocResp"] or "")))

    def save(self) -> None:
        """Raises: OSError."""
        entries: list[dict[str, Any]] = [
            {
                "PodUID": holder.pod_uid,
                "ContainerName": holder.container,
                "ResourceName": holder.resource,
                "DeviceIDs": {"-1": list(held.devices)},
                "AllocResp": base64.b64encode(bytes(held.response)).decode(),
            }
            for holder, held in self._held.items()
        ]
        data = {
            "PodDeviceEntries": entries,
            "RegisteredDevices": {name: list(ids) for name, ids in self.registered.items()},
        }
        write_private(self._path, json.dumps({"Data": data}).encode(), durable=True)

    def of(self, pod_uid: str, container: str) -> Mapping[str, Held]:
        """Returns what the container holds, by resource."""
        return {
            holder.resource: held
            for holder, held in self._held.items()
            if (holder.pod_uid, holder.container) == (pod_uid, container)
        }

    def used(self, resource: str) -> set[str]:
        return {item for holder, held in self._held.items() if holder.resource == resource for item in held.devices}

    def hold(self, holder: Holder, held: Held) -> None:
        self._held[holder] = held

    def pods(self) -> set[str]:
        return {holder.pod_uid for holder in self._held}

    def release(self, pod_uid: str) -> bool:
        """Returns whether the pod held any device."""
        gone = [holder for holder in self._held if holder.pod_uid == pod_uid]
        for holder in gone:
            del self._held[holder]
        return bool(gone)
