"""Sets up a pod's volumes, keeps those that follow the API up to date, and makes the mounts of its containers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apimachinery.catalogue import collect
from componentbase import logs
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import environment_references
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.volumes import Volume, VolumeMount
from kubelet.container.downward import NodeFacts
from kubelet.container.env import ObjectLookup, expand
from kubelet.container.images.manager import ImageUnavailable
from kubelet.container.images.pod_images import PodImages
from kubelet.runtime.interface import EngineError, Mount, Runtime, RuntimeUnavailable
from kubelet.volume.interface import Mounted, ObjectRef, VolumeContext, VolumeError, VolumeType
from kubelet.volume.tokens import TokenManager

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class VolumeFailure(Exception):
    """The first volume that could not be set up. `image_reason`: its image is not there, for this reason."""

    volume: str
    why: str
    image_reason: str = ""

    def __str__(self) -> str:
        return f'MountVolume.SetUp failed for volume "{self.volume}" : {self.why}'


class VolumeManager:
    """Keeps everything below `root_dir`/pods/<uid>; nothing is remembered elsewhere."""

    def __init__(
        self,
        root_dir: str,
        objects: ObjectLookup,
        runtime: Runtime,
        tokens: TokenManager | None = None,
        images: PodImages | None = None,
    ) -> None:
        self._root = os.path.join(root_dir, "pods")
        self._objects = objects
        self._runtime = runtime
        self._tokens = tokens
        self._images = images
        self.types = {item.source: item for item in collect("kubelet.volume.types", "VOLUME", VolumeType).values()}

    def pod_dir(self, uid: str) -> str:
        return os.path.join(self._root, uid)

    def pod_uids(self) -> list[str]:
        """Lists the pods that have a folder here."""
        return sorted(os.listdir(self._root)) if os.path.isdir(self._root) else []

    def references(self, pod: Pod) -> set[ObjectRef]:
        """Lists the ConfigMaps and Secrets that volumes, environments and image pulls of the pod need."""
        references: set[ObjectRef] = set()
        for volume in pod.spec.volumes or ():
            kind, source = self._type_of(volume)
            if kind is not None:
                references.update(kind.references(pod, source))
        environment = environment_references(pod.spec)
        return references | {ObjectRef(kind, pod.namespace, name) for kind, name in environment}

    async def set_up(self, pod: Pod, node: NodeFacts, pod_ips: tuple[str, ...] = ()) -> dict[str, Mounted]:
        """Volume name -> where it is; also brings live volumes up to date. Raises: VolumeFailure; EngineError."""
        mounted: dict[str, Mounted] = {}
        for volume in pod.spec.volumes or ():
            kind, source = self._type_of(volume)
            if kind is None:
                raise VolumeFailure(volume.name, f"volume type {_source_name(volume) or 'none'} is not supported")
            folder = self.pod_dir(pod.metadata.uid or "")
            context = VolumeContext(
                pod,
                volume,
                folder,
                self._objects,
                node,
                self._runtime,
                pod_ips=pod_ips,
                tokens=self._tokens,
                images=self._images,
            )
            try:
                if kind.prepare is not None:
                    await kind.prepare(context, source)
                mounted[volume.name] = kind.setup(context, source)
            except ImageUnavailable as error:
                raise VolumeFailure(volume.name, error.message, image_reason=error.reason) from None
            except (VolumeError, OSError, ValueError) as error:
                raise VolumeFailure(volume.name, str(error)) from None
        return mounted

    def has_live(self, pod: Pod) -> bool:
        """Tells whether any volume of the pod follows the API."""
        return any(kind is not None and kind.live for kind, _ in map(self._type_of, pod.spec.volumes or ()))

    def forget(self, uid: str) -> None:
        """Ends the renewal of the pod's tokens: nothing of it runs any more."""
        if self._tokens is not None:
            self._tokens.forget(uid)

    async def tear_down(self, uid: str) -> None:
        """Removes the pod's memory volumes and its folder; no container of it may be left.

        A volume that the runtime does not let go (it can miscount users after its own crash) must not keep the pod in
        the API: housekeeping tries again. Raises: RuntimeUnavailable; OSError.
        """
        await remove_memory_volumes(self._runtime, lambda owner: owner == uid)
        self.remove_pod_dir(uid)

    def remove_pod_dir(self, uid: str) -> None:
        """Raises: OSError."""
        if os.path.isdir(self.pod_dir(uid)):
            shutil.rmtree(self.pod_dir(uid))

    def _type_of(self, volume: Volume) -> tuple[VolumeType | None, Any]:
        name = _source_name(volume)
        return self.types.get(name), getattr(volume, name) if name else None


def _source_name(volume: Volume) -> str:
    """Returns the member that is set: "emptyDir", "nfs" …"""
    fields = type(volume).model_fields
    return next((name for name in fields if name != "name" and getattr(volume, name) is not None), "")


def container_mounts(
    container: Container, volumes: Mapping[str, Mounted], environment: Mapping[str, str]
) -> list[Mount]:
    """Raises: VolumeError when a mount names no volume, or its subPath cannot be had."""
    mounts = []
    for mount in container.volumeMounts or ():
        volume = volumes.get(mount.name)
        if volume is None:
            raise VolumeError(f'cannot find volume "{mount.name}" to mount into container "{container.name}"')
        sub_path = _sub_path(mount, environment)
        if volume.memory_volume and sub_path:
            raise VolumeError(f'subPath of memory-backed volume "{mount.name}" is not supported')
        mounts.append(
            Mount(
                container_path=os.path.join("/", mount.mountPath),
                source=_inside(volume, sub_path) if sub_path else volume.path,
                memory_volume=volume.memory_volume,
                read_only=bool(mount.readOnly) or volume.read_only,
                propagation=mount.mountPropagation or "None",
            )
        )
    return mounts


def _sub_path(mount: VolumeMount, environment: Mapping[str, str]) -> str:
    if not mount.subPathExpr:
        return mount.subPath or ""
    path = expand(mount.subPathExpr, environment)
    if "$(" in path:
        raise VolumeError(f'missing value for "{mount.subPathExpr}"')
    if path.startswith("/") or ".." in path.split("/"):
        raise VolumeError(f'subPath "{path}" must be a relative path that stays in its volume')
    return path


def _inside(volume: Mounted, sub_path: str) -> str:
    """Returns the real path of `sub_path`, made as a folder if missing; a link must not lead out of the volume."""
    base = os.path.realpath(volume.path)
    path = os.path.realpath(os.path.join(base, sub_path))
    if path != base and not path.startswith(base + os.sep):
        raise VolumeError(f'subPath "{sub_path}" leads out of its volume')
    if not os.path.exists(path):
        if volume.read_only:
            raise VolumeError(f'subPath "{sub_path}" does not exist in its volume')
        try:
            os.makedirs(path, mode=0o755)
            os.chmod(path, os.stat(base).st_mode & 0o7777)
        except OSError as error:
            raise VolumeError(f'failed to create subPath directory for volumeMount "{sub_path}": {error}') from None
    return path


async def remove_memory_volumes(runtime: Runtime, of_pod: Callable[[str], bool]) -> None:
    """Removes those of the pods (by uid) that `of_pod` selects, as far as the runtime lets go.

    Raises: RuntimeUnavailable.
    """
    for name, uid in (await runtime.memory_volumes()).items():
        if not of_pod(uid):
            continue
        try:
            await runtime.remove_memory_volume(name)
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            log.warning("memory volume not removed", volume=name, error=str(error))
