"""Sets up a pod's volumes, keeps those that follow the API up to date, and makes the mounts of its containers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from apimachinery.catalogue import collect
from componentbase import logs
from componentbase.host.mountinfo import mounts_below
from kubeapi.core.persistentvolume.model import PersistentVolume, PersistentVolumeSource
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import environment_references
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.volumes import Volume
from kubelet.container.downward import NodeFacts
from kubelet.container.env import ObjectLookup
from kubelet.container.images.manager import ImageUnavailable
from kubelet.container.images.pod_images import PodImages
from kubelet.container.spec import all_containers
from kubelet.runtime.configs import Mount
from kubelet.runtime.interface import EngineError, Runtime, RuntimeUnavailable
from kubelet.volume import mounts
from kubelet.volume.claims import Claims, claim_name
from kubelet.volume.container_mounts import MountPlace, container_mounts
from kubelet.volume.csi.volumes import CsiVolumes
from kubelet.volume.interface import Mounted, ObjectRef, VolumeContext, VolumeError, VolumeHost, VolumeType
from kubelet.volume.ownership import give_to_group
from kubelet.volume.tokens import TokenManager

GROUP_ANNOTATION = "pv.beta.kubernetes.io/gid"

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class VolumeFailure(Exception):
    """The first volume that could not be set up. `image_reason`: its image is not there, for this reason.

    `device`: containers ask for it as a block device.
    """

    volume: str
    why: str
    image_reason: str = ""
    device: bool = False

    def __str__(self) -> str:
        step = "MapVolume.SetUpDevice" if self.device else "MountVolume.SetUp"
        return f'{step} failed for volume "{self.volume}" : {self.why}'


class VolumeManager:
    """Keeps everything below `root_dir`/pods/<uid>, and knows what is mounted from the kernel: a restart loses nothing.

    `claims` finds the volumes of claims; without it there are none.
    """

    def __init__(
        self,
        root_dir: str,
        objects: ObjectLookup,
        runtime: Runtime,
        tokens: TokenManager | None = None,
        images: PodImages | None = None,
        claims: Claims | None = None,
        csi: CsiVolumes | None = None,
    ) -> None:
        self._root = os.path.join(root_dir, "pods")
        self._host = VolumeHost(objects, runtime, tokens, images, csi)
        self._claims = claims
        self._can_mount: bool | None = None  # what the runtime says, once it is asked
        self._grouped: dict[str, set[str]] = {}  # pod uid -> names of volumes whose files have its fsGroup
        self._claim_paths: dict[str, dict[str, str]] = {}  # pod uid -> name of a volume with a claim -> its path
        self.types = {item.source: item for item in collect("kubelet.volume.types", "VOLUME", VolumeType).values()}

    async def prepare(self) -> None:
        """Lets mounts reach containers that ask for mountPropagation, before the first pod is set up."""
        self._can_mount = (await self._host.runtime.info()).sees_mounts
        if self._can_mount:
            try:
                mounts.make_shared(os.path.dirname(self._root))
            except OSError as error:
                log.warning("mounts of pods will not propagate", path=self._root, error=str(error))

    def pod_dir(self, uid: str) -> str:
        return os.path.join(self._root, uid)

    def pod_uids(self) -> list[str]:
        """Lists the pods that have a folder here."""
        return sorted(os.listdir(self._root)) if os.path.isdir(self._root) else []

    def references(self, pod: Pod) -> set[ObjectRef]:
        """Lists the ConfigMaps and Secrets that volumes, environments and image pulls of the pod need."""
        references: set[ObjectRef] = set()
        for volume in used_volumes(pod):
            kind, source = self._type_of(volume)
            if kind is not None:
                references.update(kind.references(pod, source))
        environment = environment_references(pod.spec)
        return references | {ObjectRef(kind, pod.namespace, name) for kind, name in environment}

    async def set_up(self, pod: Pod, node: NodeFacts, pod_ips: tuple[str, ...] = ()) -> dict[str, Mounted]:
        """Volume name -> where it is; also brings live volumes up to date. Raises: VolumeFailure; EngineError."""
        if self._can_mount is None:
            self._can_mount = (await self._host.runtime.info()).sees_mounts
        mounted: dict[str, Mounted] = {}
        for volume in used_volumes(pod):
            folder = self.pod_dir(pod.metadata.uid or "")
            context = VolumeContext(pod, volume, folder, self._host, node, pod_ips=pod_ips, can_mount=self._can_mount)
            try:
                mounted[volume.name] = await self._set_up(context)
            except ImageUnavailable as error:
                raise VolumeFailure(volume.name, error.message, image_reason=error.reason) from None
            except (VolumeError, OSError, ValueError) as error:
                raise VolumeFailure(volume.name, str(error), device=_is_device(pod, volume.name)) from None
        return mounted

    async def _set_up(self, context: VolumeContext) -> Mounted:
        kind, source = self._type_of(context.volume)
        name = claim_name(context.pod, context.volume)
        if name is not None:
            if self._claims is None:
                raise VolumeError("volumes of claims are not supported here")
            persistent = await self._claims.volume_of(context.pod, name, context.node)
            context = replace(context, persistent=persistent, read_only=name.read_only)
            kind, source = self._source_of(persistent)
        if kind is None:
            owner = context.persistent.spec if context.persistent is not None else context.volume
            raise VolumeError(f"volume type {source_name(owner) or 'none'} is not supported")
        if context.mount_options and not kind.mount_options:
            raise VolumeError("Mount options are not supported for this volume type")
        setup = kind.set_up_block if context.block else kind.setup
        if setup is None:
            raise VolumeError(f"volume type {kind.source} does not support volumeMode Block")
        if kind.prepare is not None:
            await kind.prepare(context, source)
        mounted = setup(context, source)
        if mounted.group_owned:
            await self._give_to_group(context, mounted)
        if context.persistent is not None and context.persistent.spec.hostPath is None and mounted.path:
            self._claim_paths.setdefault(context.pod.metadata.uid or "", {})[context.volume.name] = mounted.path
        group = _volume_group(context.persistent)
        return replace(mounted, read_only=mounted.read_only or context.read_only, group=group)

    async def _give_to_group(self, context: VolumeContext, mounted: Mounted) -> None:
        """Does so once for each pod and start of the kubelet, as the volume may be a large one."""
        uid, name, group = context.pod.metadata.uid or "", context.volume.name, context.fs_group
        grouped = self._grouped.setdefault(uid, set())
        if group is None or not mounted.path or context.read_only or name in grouped:
            return
        security = context.pod.spec.securityContext
        policy = security.fsGroupChangePolicy if security is not None else None
        await asyncio.to_thread(give_to_group, mounted.path, group, policy=policy)
        grouped.add(name)

    def container_mounts(
        self, pod: Pod, container: Container, volumes: Mapping[str, Mounted], environment: Mapping[str, str]
    ) -> list[Mount]:
        """Raises: VolumeError."""
        place = MountPlace(self.pod_dir(pod.metadata.uid or ""), bool(self._can_mount))
        return container_mounts(container, volumes, environment, place)

    def has_live(self, pod: Pod) -> bool:
        """Tells whether any volume of the pod follows the API, or its driver wants to be asked again."""
        csi = self._host.csi
        if csi is not None and csi.is_due(pod.metadata.uid or ""):
            return True
        return any(kind is not None and kind.live for kind, _ in map(self._type_of, used_volumes(pod)))

    def forget(self, uid: str) -> None:
        """Ends the renewal of the pod's tokens: nothing of it runs any more."""
        if self._host.tokens is not None:
            self._host.tokens.forget(uid)
        if self._claims is not None:
            self._claims.forget(uid)
        self._grouped.pop(uid, None)
        self._claim_paths.pop(uid, None)

    def claim_paths(self, uid: str) -> Mapping[str, str]:
        """Returns where the pod's volumes with claims are, by name, once this kubelet has set them up.

        A hostPath is left out, as its file system is the node's own.
        """
        return self._claim_paths.get(uid, {})

    async def sweep(self) -> None:
        """Ends what a driver still holds for pods of an earlier kubelet. Raises: VolumeError; OSError."""
        try:
            if self._host.csi is not None:
                await self._host.csi.unstage_unused()
        except ValueError as error:
            raise VolumeError(f"what drivers have staged can't be read: {error}") from None

    async def unmount(self, uid: str) -> None:
        """Ends every mount of the pod; no container of it may run. Raises: VolumeError; OSError."""
        folder = self.pod_dir(uid)
        for kind in self.types.values():
            if kind.tear_down is not None:
                for path in _entries(os.path.join(folder, "volumes", kind.plugin)):
                    await kind.tear_down(self._host, path)
        if mounts_below(folder):
            await asyncio.to_thread(mounts.unmount_below, folder)  # a server may not answer

    async def tear_down(self, uid: str) -> None:
        """Removes the pod's mounts, its memory volumes and its folder; no container of it may be left.

        A volume that the runtime does not let go (it can miscount users after its own crash) must not keep the pod in
        the API: housekeeping tries again. What is mounted is never removed. Raises: RuntimeUnavailable; VolumeError;
        OSError.
        """
        await self.unmount(uid)
        await remove_memory_volumes(self._host.runtime, lambda owner: owner == uid)
        await asyncio.to_thread(mounts.remove_tree, self.pod_dir(uid))  # there may be a million files in it

    def _type_of(self, volume: Volume) -> tuple[VolumeType | None, Any]:
        name = source_name(volume)
        return self.types.get(name), getattr(volume, name) if name else None

    def _source_of(self, volume: PersistentVolume) -> tuple[VolumeType | None, Any]:
        name = source_name(volume.spec)
        return self.types.get(name), getattr(volume.spec, name) if name else None


def used_volumes(pod: Pod) -> list[Volume]:
    """Leaves out those that no container mounts: as upstream, they don't keep the pod from starting."""
    names: set[str] = set()
    for _, container in all_containers(pod):
        names.update(mount.name for mount in container.volumeMounts or ())
        names.update(device.name for device in container.volumeDevices or ())
    return [volume for volume in pod.spec.volumes or () if volume.name in names]


def _is_device(pod: Pod, name: str) -> bool:
    return any(device.name == name for _, container in all_containers(pod) for device in container.volumeDevices or ())


def source_name(owner: Volume | PersistentVolumeSource) -> str:
    """Returns the member that is set: "emptyDir", "nfs" …"""
    fields = PersistentVolumeSource.model_fields if isinstance(owner, PersistentVolumeSource) else Volume.model_fields
    return next((name for name in fields if name != "name" and getattr(owner, name) is not None), "")


def _entries(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except FileNotFoundError:
        return []


def _volume_group(volume: PersistentVolume | None) -> int | None:
    """Returns the group that the volume's files belong to, as its maker says."""
    text = ((volume.metadata.annotations if volume is not None else None) or {}).get(GROUP_ANNOTATION, "")
    return int(text) if text.isdecimal() else None


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
