"""Turns ConfigMaps, Secrets and the downward API into files, for their own volumes and for projected ones."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from kubeapi.core.pod.volumes import DownwardAPIVolumeFile, KeyToPath
from kubelet.container.downward import FieldError, field_value, resource_value
from kubelet.container.spec import find_container
from kubelet.volume.interface import VolumeContext, VolumeError
from kubelet.volume.types._atomic import File

DEFAULT_MODE = 0o644


def config_map_files(
    context: VolumeContext, name: str, items: Sequence[KeyToPath] | None, mode: int | None, optional: bool | None
) -> dict[str, File]:
    """Raises: VolumeError when the ConfigMap or a named key is missing and not optional."""
    namespace = context.pod.namespace
    config_map = context.host.objects.config_map(namespace, name)
    if config_map is None:
        if optional:
            return {}
        raise VolumeError(f'configmap "{name}" not found')
    content = {key: value.encode() for key, value in (config_map.data or {}).items()}
    content |= {key: base64.b64decode(value) for key, value in (config_map.binaryData or {}).items()}
    return _select("config", content, items, mode, optional)


def secret_files(
    context: VolumeContext, name: str, items: Sequence[KeyToPath] | None, mode: int | None, optional: bool | None
) -> dict[str, File]:
    """Raises: VolumeError, as for ConfigMaps."""
    namespace = context.pod.namespace
    secret = context.host.objects.secret(namespace, name)
    if secret is None:
        if optional:
            return {}
        raise VolumeError(f'secret "{name}" not found')
    content = {key: base64.b64decode(value) for key, value in (secret.data or {}).items()}
    return _select("secret", content, items, mode, optional)


def _select(
    kind: str, content: Mapping[str, bytes], items: Sequence[KeyToPath] | None, mode: int | None, optional: bool | None
) -> dict[str, File]:
    default = DEFAULT_MODE if mode is None else mode
    if not items:
        return {key: File(value, default) for key, value in content.items()}
    files = {}
    for item in items:
        if item.key in content:
            files[item.path] = File(content[item.key], default if item.mode is None else item.mode)
        elif not optional:
            raise VolumeError(f"references non-existent {kind} key: {item.key}")
    return files


def downward_files(
    context: VolumeContext, items: Sequence[DownwardAPIVolumeFile] | None, mode: int | None
) -> dict[str, File]:
    """Raises: VolumeError for a field that does not exist."""
    files = {}
    default = DEFAULT_MODE if mode is None else mode
    for item in items or ():
        try:
            text = _downward_text(context, item)
        except FieldError as error:
            raise VolumeError(str(error)) from None
        files[item.path] = File(text.encode(), default if item.mode is None else item.mode)
    return files


def _downward_text(context: VolumeContext, item: DownwardAPIVolumeFile) -> str:
    if item.fieldRef is not None:
        return field_value(context.pod, item.fieldRef.fieldPath, context.node, context.pod_ips)
    if item.resourceFieldRef is None:
        raise FieldError(f"no field is named for {item.path}")
    container = find_container(context.pod, item.resourceFieldRef.containerName or "")
    if container is None:
        raise FieldError(f"container {item.resourceFieldRef.containerName} not found")
    return resource_value(context.pod, container, item.resourceFieldRef, context.node)
