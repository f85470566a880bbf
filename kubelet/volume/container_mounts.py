"""Makes the mounts and devices of a container from the volumes of its pod."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from componentbase.host.mountinfo import is_mounted
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.volumes import VolumeMount
from kubelet.container.env import expand
from kubelet.runtime.configs import Mount
from kubelet.volume import mounts
from kubelet.volume.interface import Mounted, VolumeError
from kubelet.volume.subpath import open_sub_path

ENABLED, IF_POSSIBLE = "Enabled", "IfPossible"


@dataclass(frozen=True, slots=True)
class MountPlace:
    """`pod_dir` takes the mounts that the kubelet makes for the pod's containers, if it `can_mount`."""

    pod_dir: str
    can_mount: bool


def container_mounts(
    container: Container, volumes: Mapping[str, Mounted], environment: Mapping[str, str], place: MountPlace
) -> list[Mount]:
    """Raises: VolumeError when a mount names no volume, or its subPath cannot be had."""
    result = []
    for index, mount in enumerate(container.volumeMounts or ()):
        volume = volumes.get(mount.name)
        if volume is None:
            raise VolumeError(f'cannot find volume "{mount.name}" to mount into container "{container.name}"')
        if volume.device:
            raise VolumeError(f'volume "{mount.name}" has volumeMode Block, but is specified in volumeMounts')
        where = os.path.join(place.pod_dir, "volume-subpaths", mount.name, container.name, str(index))
        result.append(
            Mount(
                container_path=os.path.join("/", mount.mountPath),
                source=_source(mount, volume, _sub_path(mount, environment), where, place.can_mount),
                memory_volume=volume.memory_volume,
                read_only=bool(mount.readOnly) or volume.read_only,
                propagation=mount.mountPropagation or "None",
            )
        )
    return result


def container_devices(container: Container, volumes: Mapping[str, Mounted]) -> list[tuple[str, str, str]]:
    """Returns (device on the node, path in the container, permissions). Raises: VolumeError."""
    devices = []
    for device in container.volumeDevices or ():
        volume = volumes.get(device.name)
        if volume is None:
            raise VolumeError(f'cannot find volume "{device.name}" to pass into container "{container.name}"')
        if not volume.device:
            raise VolumeError(f'volume "{device.name}" has volumeMode Filesystem, but is specified in volumeDevices')
        devices.append((volume.device, device.devicePath, "r" if volume.read_only else "rwm"))
    return devices


def volume_groups(volumes: Mapping[str, Mounted]) -> list[int]:
    """Returns the groups that the volumes say they belong to."""
    return sorted({volume.group for volume in volumes.values() if volume.group is not None})


def _source(mount: VolumeMount, volume: Mounted, sub_path: str, where: str, can_mount: bool) -> str:
    """Returns the path for the runtime to mount: the volume's own, or one that nobody but the kubelet can change.

    A volume whose files the kubelet alone writes needs no mount for that.
    """
    recursive = mount.recursiveReadOnly == ENABLED or (mount.recursiveReadOnly == IF_POSSIBLE and can_mount)
    if recursive and not can_mount:
        why = "it is not supported by the runtime"
        raise VolumeError(f'volume "{mount.name}" requested recursive read-only mode, but {why}')
    if not sub_path and not recursive:
        return volume.path
    if volume.memory_volume:
        raise VolumeError(f'subPath of memory-backed volume "{mount.name}" is not supported')
    descriptor = open_sub_path(volume.path, sub_path or ".", make=not volume.read_only)
    try:
        if not can_mount or (volume.managed and not recursive):
            return os.readlink(f"/proc/self/fd/{descriptor}")
        return _bind(descriptor, where, mount.recursiveReadOnly, recursive)
    except OSError as error:
        raise VolumeError(f'failed to prepare subPath for volumeMount "{mount.name}": {error}') from None
    finally:
        os.close(descriptor)


def _bind(descriptor: int, target: str, mode: str | None, recursive: bool) -> str:
    """Uses the mount that an earlier attempt of the container left, if it is of the same file."""
    if is_mounted(target):
        if os.path.samestat(os.stat(target), os.fstat(descriptor)):
            return target
        mounts.unmount_below(target)
    mounts.make_target(target, like=descriptor)
    try:
        mounts.bind(descriptor, target, read_only=recursive)
    except OSError as error:
        if error.errno != errno.ENOSYS or mode != IF_POSSIBLE:
            raise
        mounts.bind(descriptor, target)
    return target


def _sub_path(mount: VolumeMount, environment: Mapping[str, str]) -> str:
    if not mount.subPathExpr:
        return mount.subPath or ""
    path = expand(mount.subPathExpr, {name: value for name, value in environment.items() if value})
    if missing := re.findall(r"\$\((.*?)\)", path):  # an empty one would give the container the whole volume
        raise VolumeError(f"missing value for {', '.join(sorted(set(missing)))}")
    if path.startswith("/") or ".." in path.split("/"):
        raise VolumeError(f'subPath "{path}" must be a relative path that stays in its volume')
    return path
