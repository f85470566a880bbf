"""Looks up what containers need to use devices of the Container Device Interface, in the files that vendors leave.

The kubelet applies them itself, so any engine will do, but for what only a container's creator can: hooks.
Source: the Container Device Interface specification, v1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apimachinery.text.yaml import YamlError, read_document
from componentbase import logs
from kubelet.devices.messages import DeviceSpec, MountSpec

FOLDERS = ("/etc/cdi", "/var/run/cdi")
"""A device of a later folder hides one of the same name in an earlier one."""
EDITS = frozenset({"env", "deviceNodes", "mounts", "additionalGids"})
DEVICE_FIELDS = frozenset({"path", "hostPath", "type", "major", "minor", "permissions"})
MOUNT_FIELDS = frozenset({"hostPath", "containerPath", "options", "type"})

log = logs.logger(__name__)


class CdiError(Exception):
    """A device is not described on this node, or in a way that can't be carried out here."""


@dataclass(frozen=True, slots=True)
class CdiEdits:
    """Holds what a container gets for its devices."""

    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[MountSpec, ...] = ()
    devices: tuple[DeviceSpec, ...] = ()
    groups: tuple[int, ...] = ()


def cdi_edits(names: Sequence[str], folders: Iterable[str] = FOLDERS) -> CdiEdits:
    """Gathers the edits of devices such as "vendor.com/class=name", and once those of each file. Raises: CdiError."""
    described: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for spec in _specs(folders):
        for device in spec.get("devices") or ():
            described[f"{spec['kind']}={device['name']}"] = spec, device
    missing = [name for name in names if name not in described]
    if missing:
        raise CdiError(f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}")
    edits = CdiEdits()
    applied: list[Mapping[str, Any]] = []
    try:
        for name in dict.fromkeys(names):
            for owner in described[name]:
                if owner not in applied:
                    applied.append(owner)
                    edits = _with(edits, owner.get("containerEdits") or {})
    except (KeyError, TypeError, ValueError) as error:
        raise CdiError(f"CDI device injection failed: {error}") from None
    return edits


def _specs(folders: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """Yields the files that can be read. A broken one is passed over: it may be another vendor's."""
    for path in (path for folder in folders for path in sorted(Path(folder).glob("*"))):
        if path.suffix not in (".json", ".yaml"):
            continue
        try:
            spec = read_document(path.read_bytes()).value
        except (OSError, YamlError) as error:
            log.warning("CDI file not read", path=str(path), error=str(error))
            continue
        if isinstance(spec, dict) and isinstance(spec.get("kind"), str):
            yield spec


def _with(before: CdiEdits, edits: Mapping[str, Any]) -> CdiEdits:
    """Raises: KeyError, TypeError and ValueError for what is malformed or can't be done."""
    _only(edits, EDITS)
    pairs = (text.partition("=") for text in edits.get("env") or ())
    return CdiEdits(
        before.env | {name: value for name, _, value in pairs},
        (*before.mounts, *map(_mount, edits.get("mounts") or ())),
        (*before.devices, *map(_device, edits.get("deviceNodes") or ())),
        (*before.groups, *map(int, edits.get("additionalGids") or ())),
    )


def _mount(item: Mapping[str, Any]) -> MountSpec:
    _only(item, MOUNT_FIELDS)
    if item.get("type") not in (None, "", "none", "bind"):
        raise ValueError(f"mounts of type {item['type']} are not served on this node")
    return MountSpec(item["containerPath"], item["hostPath"], "ro" in (item.get("options") or ()))


def _device(item: Mapping[str, Any]) -> DeviceSpec:
    """The node's own device says type and numbers; the engine takes its owner and mode, too."""
    _only(item, DEVICE_FIELDS)
    return DeviceSpec(item["path"], item.get("hostPath") or item["path"], item.get("permissions") or "rwm")


def _only(item: Mapping[str, Any], fields: Collection[str]) -> None:
    others = sorted(name for name, value in item.items() if name not in fields and value)
    if others:
        raise ValueError(f"{', '.join(others)} not served on this node")
