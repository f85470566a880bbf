"""The contract of a volume type: one file in `types` that defines `VOLUME`, for one source in `spec.volumes[]`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from kubeapi.core.pod.model import Pod
from kubelet.container.downward import NodeFacts
from kubelet.container.env import ObjectLookup
from kubelet.container.images.pod_images import PodImages
from kubelet.runtime.interface import Runtime
from kubelet.volume.tokens import TokenManager


class VolumeError(Exception):
    """The volume cannot be set up (yet): the text of the FailedMount event."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Names a ConfigMap or Secret that a pod uses, whether it exists or not."""

    kind: Literal["ConfigMap", "Secret"]
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class VolumeContext:
    """Everything that setting up one volume of one pod may need.

    `pod_dir` is the pod's folder below --root-dir; a volume type keeps its files in `directory(plugin)`.
    """

    pod: Pod
    volume: Any
    pod_dir: str
    objects: ObjectLookup
    node: NodeFacts
    runtime: Runtime
    pod_ips: tuple[str, ...] = ()
    tokens: TokenManager | None = None
    images: PodImages | None = None
    fetched: dict[str, str] = field(default_factory=dict)
    """The texts that `prepare` leaves for `setup`, by a name of their own."""

    def directory(self, plugin: str) -> str:
        return os.path.join(self.pod_dir, "volumes", plugin, self.volume.name)

    @property
    def fs_group(self) -> int | None:
        context = self.pod.spec.securityContext
        return context.fsGroup if context else None


@dataclass(frozen=True, slots=True)
class Mounted:
    """A volume that is set up: a path on the node, or a memory volume of the runtime. `file`: it is not a folder."""

    path: str = ""
    memory_volume: str = ""
    read_only: bool = False
    file: bool = False


Setup = Callable[[VolumeContext, Any], Mounted]
"""Takes (context, source). Blocking but quick; called again for every update, so idempotent."""


@dataclass(frozen=True, slots=True)
class VolumeType:
    """One member of `Volume`.

    `setup` runs in the event loop, so it only touches local files; `prepare` is for what the runtime must do.
    `live`: its content follows the API, so it is set up again whenever the pod or one of its objects changes.
    """

    source: str
    plugin: str
    setup: Setup
    references: Callable[[Pod, Any], Iterable[ObjectRef]] = field(default=lambda pod, source: ())
    live: bool = False
    prepare: Callable[[VolumeContext, Any], Any] | None = None
