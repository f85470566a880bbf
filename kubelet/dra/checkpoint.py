"""Remembers which claims the drivers of this node have prepared for which pods."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from componentbase.host.privatefiles import write_private

FILE = "dra_manager_state"


@dataclass(frozen=True, slots=True)
class PreparedDevice:
    """`requests` are those of the claim that it is for, all if there are none."""

    driver: str
    pool: str
    name: str
    requests: tuple[str, ...]
    cdi_names: tuple[str, ...]

    def serves(self, request: str) -> bool:
        """Tells whether a container that names this request, or with "" the whole claim, gets the device."""
        return not request or not self.requests or request in (name.partition("/")[0] for name in self.requests)


@dataclass(slots=True)
class HeldClaim:
    """A claim that pods of this node use, with all of its drivers. `prepared`: this kubelet has seen it done."""

    namespace: str
    name: str
    uid: str
    drivers: tuple[str, ...]
    pods: set[str] = field(default_factory=set)
    devices: list[PreparedDevice] = field(default_factory=list)
    prepared: bool = False

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


class Checkpoint:
    def __init__(self, root_dir: str) -> None:
        self._path = Path(root_dir, FILE)

    def load(self) -> list[HeldClaim]:
        """Raises: OSError; ValueError and KeyError when the file is not one of ours."""
        if not self._path.exists():
            return []
        entries = json.loads(self._path.read_text())["Data"]["Entries"]
        return [_read(entry) for entry in entries]

    def save(self, claims: Iterable[HeldClaim]) -> None:
        """Raises: OSError."""
        document = {"Data": {"Entries": [_written(claim) for claim in claims]}}
        write_private(self._path, json.dumps(document).encode(), durable=True)


def _written(claim: HeldClaim) -> dict[str, Any]:
    drivers: dict[str, list[dict[str, Any]]] = {name: [] for name in claim.drivers}
    for device in claim.devices:
        drivers[device.driver].append(
            {
                "PoolName": device.pool,
                "DeviceName": device.name,
                "RequestNames": list(device.requests),
                "CDIDeviceIDs": list(device.cdi_names),
            }
        )
    return {
        "ClaimUID": claim.uid,
        "ClaimName": claim.name,
        "Namespace": claim.namespace,
        "PodUIDs": sorted(claim.pods),
        "DriverState": {name: {"Devices": devices} for name, devices in drivers.items()},
    }


def _read(entry: dict[str, Any]) -> HeldClaim:
    devices = [
        PreparedDevice(
            driver, item["PoolName"], item["DeviceName"], tuple(item["RequestNames"]), tuple(item["CDIDeviceIDs"])
        )
        for driver, state in entry["DriverState"].items()
        for item in state["Devices"]
    ]
    drivers = tuple(entry["DriverState"])
    pods = set(entry["PodUIDs"])
    return HeldClaim(entry["Namespace"], entry["ClaimName"], entry["ClaimUID"], drivers, pods, devices)
