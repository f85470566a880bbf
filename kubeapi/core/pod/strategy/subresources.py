"""Rules for writes to `pods/ephemeralcontainers` and to `pods/resize`.

Source: Kubernetes documentation, "Ephemeral Containers" and "Resize CPU and Memory Resources assigned to Containers".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apimachinery.errors import forbidden, invalid_object
from apimachinery.model import to_dict
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, PodSpec, ResourceRequirements
from kubeapi.core.pod.strategy.qos import qos_class

EPHEMERAL_CONTAINERS = "ephemeralcontainers"
RESIZE = "resize"
RESIZABLE = ("cpu", "memory")

_SPEC: Path = ("spec",)
_EPHEMERAL: Path = ("spec", "ephemeralContainers")


def keep_all_but(pod: Pod, old: Pod, subresource: str) -> None:
    """Restores every field that the subresource must not change. Raises: Invalid for a pod that does not support it."""
    meta, old_meta = pod.metadata, old.metadata
    meta.labels, meta.annotations = old_meta.labels, old_meta.annotations
    meta.finalizers, meta.ownerReferences = old_meta.finalizers, old_meta.ownerReferences
    meta.deletionTimestamp, meta.deletionGracePeriodSeconds = (
        old_meta.deletionTimestamp,
        old_meta.deletionGracePeriodSeconds,
    )
    pod.status = old.status
    if subresource == EPHEMERAL_CONTAINERS:
        _refuse(pod, [("static pods do not support ephemeral containers", MIRROR_ANNOTATION in old.annotations)])
        pod.spec = old.spec.model_copy(update={"ephemeralContainers": pod.spec.ephemeralContainers})
        return
    resources = [item.resources for item in (pod.spec, old.spec) if item.resources is not None]
    reasons = [
        ("pods with pod-level resources cannot be resized", any(item.requests or item.limits for item in resources)),
        ("static pods cannot be resized", MIRROR_ANNOTATION in old.annotations),
        ("windows pods cannot be resized", old.spec.os is not None and old.spec.os.name == "windows"),
    ]
    _refuse(pod, reasons)
    changes: dict[str, Any] = {"containers": _resized(pod.spec.containers, old.spec.containers)}
    if pod.spec.initContainers or old.spec.initContainers:
        changes["initContainers"] = _resized(pod.spec.initContainers or [], old.spec.initContainers or [])
    pod.spec = old.spec.model_copy(update=changes)


def _refuse(pod: Pod, reasons: Sequence[tuple[str, bool]]) -> None:
    for message, applies in reasons:
        if applies:
            raise invalid_object("Pod", "", pod.name, [forbidden("", message)])


def _resized(new: list[Container], old: list[Container]) -> list[Container]:
    """Returns the old containers with the new resources. Where names differ it returns the new ones, for validation to
    refuse."""
    if [item.name for item in new] != [item.name for item in old]:
        return new
    return [
        before.model_copy(update={"resources": after.resources, "resizePolicy": after.resizePolicy})
        for after, before in zip(new, old, strict=True)
    ]


def check_ephemeral_containers(errors: Errors, pod: Pod, old: Pod) -> None:
    """Allows containers to be added, and not to be changed or removed."""
    by_name = {item.name: item for item in pod.spec.ephemeralContainers or ()}
    for before in old.spec.ephemeralContainers or ():
        after = by_name.get(before.name)
        if after is None:
            errors.forbidden(_EPHEMERAL, f'existing ephemeral containers "{before.name}" may not be removed\n')
        elif after != before:
            changed = _changed(to_dict(before), to_dict(after))
            text = f'existing ephemeral containers "{before.name}" may not be changed\nchanged: {changed}'
            errors.forbidden(_EPHEMERAL, text)


def check_resize(errors: Errors, pod: Pod, old: Pod) -> None:
    """Allows the CPU and memory of containers and sidecars to change within the pod's class, and not to be removed."""
    if (old.status.qosClass or qos_class(old.spec)) != qos_class(pod.spec):
        text = "Pod QOS Class may not change as a result of resizing"
        errors.invalid(_SPEC, pod.status.qosClass or "", text)
    if not _is_supported(old):
        errors.forbidden(_SPEC, "Pod running on node without support for resize")
    count = len(errors)
    _check_order(errors, "containers", pod.spec.containers, old.spec.containers)
    _check_order(errors, "initContainers", pod.spec.initContainers or [], old.spec.initContainers or [])
    if len(errors) == count:
        _check_containers(errors, pod.spec, old.spec)


def _is_supported(pod: Pod) -> bool:
    """Tells whether the kubelet supports resizing: it then reports the resources of running containers."""
    running = (item for item in pod.status.containerStatuses or () if item.state.running is not None)
    first = next(running, None)
    return first is None or first.resources is not None


def _check_order(errors: Errors, field: str, new: list[Container], old: list[Container]) -> None:
    if len(new) != len(old):
        errors.forbidden((*_SPEC, field), f"{field} may not be added or removed on resize")
        return
    for index, (after, before) in enumerate(zip(new, old, strict=True)):
        if after.name != before.name:
            errors.forbidden((*_SPEC, field, index, "name"), f"{field} may not be renamed or reordered on resize")


def _check_containers(errors: Errors, new: PodSpec, old: PodSpec) -> None:
    for index, (after, before) in enumerate(zip(new.initContainers or (), old.initContainers or (), strict=True)):
        _check_removals(errors, (*_SPEC, "initContainers", index, "resources"), after.resources, before.resources)
    for index, (after, before) in enumerate(zip(new.containers, old.containers, strict=True)):
        _check_removals(errors, (*_SPEC, "containers", index, "resources"), after.resources, before.resources)
    if any(_differs_elsewhere(*pair) for pair in zip(new.containers, old.containers, strict=True)):
        errors.forbidden(_SPEC, "only cpu and memory resources are mutable")
    for after, before in zip(new.initContainers or (), old.initContainers or (), strict=True):
        if before.restartPolicy != "Always" and after != before:
            errors.forbidden(_SPEC, "resources for non-sidecar init containers are immutable")
        elif _differs_elsewhere(after, before):
            errors.forbidden(_SPEC, "only cpu and memory resources for sidecar containers are mutable")


def _check_removals(errors: Errors, at: Path, new: ResourceRequirements, old: ResourceRequirements) -> None:
    for field in ("requests", "limits"):
        had: Mapping[str, str] = getattr(old, field) or {}
        if not had.keys() <= (getattr(new, field) or {}).keys():
            errors.forbidden((*at, field), f"resource {field} cannot be removed")


def _differs_elsewhere(new: Container, old: Container) -> bool:
    """Tells whether anything but CPU and memory has changed."""
    return _without_resizable(new) != _without_resizable(old)


def _without_resizable(container: Container) -> dict[str, Any]:
    fields = to_dict(container)
    for field in ("limits", "requests"):
        quantities = fields["resources"].get(field) or {}
        fields["resources"][field] = {name: value for name, value in quantities.items() if name not in RESIZABLE}
    fields["resizePolicy"] = fields.get("resizePolicy") or None
    return fields


def _changed(before: dict[str, Any], after: dict[str, Any]) -> str:
    return ", ".join(name for name in sorted({*before, *after}) if before.get(name) != after.get(name))
