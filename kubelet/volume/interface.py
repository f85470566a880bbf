"""The contract of a volume type: one file in `types` that defines `VOLUME`, for one source in `spec.volumes[]`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import BLOCK
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.volumes import Volume
from kubelet.container.downward import NodeFacts
from kubelet.container.env import ObjectLookup
from kubelet.container.images.pod_images import PodImages
from kubelet.runtime.interface import Runtime
from kubelet.volume.csi.volumes import CsiVolumes
from kubelet.volume.tokens import TokenManager


class VolumeError(Exception):
    """The volume cannot be set up (yet): the text of the event."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Names a ConfigMap or Secret that a pod uses, whether it exists or not."""

    kind: Literal["ConfigMap", "Secret"]
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class VolumeHost:
    """The parts of the kubelet that volume types work with."""

    objects: ObjectLookup
    runtime: Runtime
    tokens: TokenManager | None = None
    images: PodImages | None = None
    csi: CsiVolumes | None = None


@dataclass(frozen=True, slots=True)
class VolumeContext:
    """Everything that setting up one volume of one pod may need.

    `pod_dir` is the pod's folder below --root-dir; a volume type keeps its files in `directory(plugin)`. `persistent`
    is the volume that the pod's claim is bound to, whose source is then the one to set up. `can_mount`: the runtime
    sees what the kubelet mounts.
    """

    pod: Pod
    volume: Volume
    pod_dir: str
    host: VolumeHost
    node: NodeFacts
    pod_ips: tuple[str, ...] = ()
    persistent: PersistentVolume | None = None
    read_only: bool = False
    can_mount: bool = False
    fetched: dict[str, str] = field(default_factory=dict)
    """The texts that `prepare` leaves for `setup`, by a name of their own."""

    def directory(self, plugin: str) -> str:
        name = self.persistent.name if self.persistent is not None else self.volume.name
        return os.path.join(self.pod_dir, "volumes", plugin, name)

    @property
    def fs_group(self) -> int | None:
        context = self.pod.spec.securityContext
        return context.fsGroup if context else None

    @property
    def mount_options(self) -> list[str]:
        return (self.persistent.spec.mountOptions if self.persistent is not None else None) or []

    @property
    def block(self) -> bool:
        """Whether containers get a device, and no file system on it."""
        return self.persistent is not None and self.persistent.spec.volumeMode == BLOCK

    def require_mounts(self) -> None:
        """Raises: VolumeError where a mount of the kubelet would not reach containers."""
        if not self.can_mount:
            raise VolumeError(
                "the container engine does not see what this kubelet mounts: they need one mount namespace"
            )


@dataclass(frozen=True, slots=True)
class Mounted:
    """A volume that is set up: a path on the node, a memory volume of the runtime, or a block device of the node.

    `file`: it is not a folder. `managed`: nobody but the kubelet changes its files. `group_owned`: its files are to be
    the pod's fsGroup's. `group` owns it, and the pod's containers are to be in it.
    """

    path: str = ""
    memory_volume: str = ""
    device: str = ""
    read_only: bool = False
    file: bool = False
    managed: bool = False
    group_owned: bool = False
    group: int | None = None


Setup = Callable[[VolumeContext, Any], Mounted]
"""Takes (context, source). Blocking but quick; called again for every update, so idempotent."""


@dataclass(frozen=True, slots=True)
class VolumeType:
    """One member of `Volume`, or of a PersistentVolume's spec.

    `setup` runs in the event loop, so it only touches local files; `prepare` is for what takes time.
    `live`: its content follows the API, so it is set up again whenever the pod or one of its objects changes.
    `set_up_block` serves a PersistentVolume with volumeMode Block.
    `tear_down` gets the folder that the volume had below `plugin`, when nothing of the pod runs any more; the kubelet
    may have been restarted since. What is still mounted there afterwards is unmounted.
    """

    source: str
    plugin: str
    setup: Setup
    references: Callable[[Pod, Any], Iterable[ObjectRef]] = field(default=lambda pod, source: ())
    live: bool = False
    prepare: Callable[[VolumeContext, Any], Awaitable[None]] | None = None
    set_up_block: Setup | None = None
    mount_options: bool = False
    tear_down: Callable[[VolumeHost, str], Awaitable[None]] | None = None
