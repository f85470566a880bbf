"""secret: the keys of a Secret as files, updated while the pod runs."""

from __future__ import annotations

from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.volumes import SecretVolumeSource
from kubelet.volume.interface import Mounted, ObjectRef, VolumeContext, VolumeType
from kubelet.volume.types import _atomic
from kubelet.volume.types._payload import secret_files

PLUGIN = "kubernetes.io~secret"


def setup(context: VolumeContext, source: SecretVolumeSource) -> Mounted:
    files = secret_files(context, source.secretName or "", source.items, source.defaultMode, source.optional)
    directory = context.directory(PLUGIN)
    _atomic.write(directory, files, group=context.fs_group)
    return Mounted(directory, read_only=True, managed=True)


def references(pod: Pod, source: SecretVolumeSource) -> list[ObjectRef]:
    return [ObjectRef("Secret", pod.namespace, source.secretName or "")]


VOLUME = VolumeType("secret", PLUGIN, setup, references, live=True)
