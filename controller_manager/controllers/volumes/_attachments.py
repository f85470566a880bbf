"""Decides which volumes of one node to attach and which to detach. Pure.

Source: upstream's attach/detach controller: its order of steps, its waits and its messages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from apimachinery.conditions import is_true
from kubeapi.core.node import OUT_OF_SERVICE_TAINT, Node, has_taint
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.pod.model import Pod
from kubeapi.storage.volumeattachment import VolumeAttachment

MANAGED_ANNOTATION = "volumes.kubernetes.io/controller-managed-attach-detach"
UNMOUNT_SECONDS = 360.0  # for the kubelet of a node that is not ready to unmount; then the volume is taken from it


@dataclass(frozen=True, slots=True)
class WantedVolume:
    """A volume that pods on the node use. `users_elsewhere` are pods on other nodes that it is attached to."""

    volume: PersistentVolume
    pods: tuple[Pod, ...]
    other_nodes: tuple[str, ...] = ()
    users_elsewhere: tuple[str, ...] = ()

    @property
    def exclusive(self) -> bool:
        modes = self.volume.spec.accessModes or ()
        return bool(modes) and not set(modes) & {"ReadOnlyMany", "ReadWriteMany"}

    @property
    def multi_attach_error(self) -> str:
        """Says why it can't be attached here yet; "" when it can."""
        if not self.exclusive or not self.other_nodes:
            return ""
        why = "Volume is already exclusively attached to one node and can't be attached to another"
        if self.users_elsewhere:
            why = f"Volume is already used by pod(s) {', '.join(self.users_elsewhere)}"
        return f'Multi-Attach error for volume "{self.volume.name}" {why}'


@dataclass(frozen=True, slots=True)
class AttachPlan:
    """Names of volumes as a Node has them. `detach` are to be taken from the Node's status first.

    `forced` are those of `detach` that the node may still have mounted.
    """

    attach: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    detach: tuple[str, ...] = ()
    forced: frozenset[str] = frozenset()
    next_check_seconds: float = 0.0


def is_managed(node: Node | None) -> bool:
    """Tells whether this node's kubelet leaves attaching to the controller."""
    return node is not None and MANAGED_ANNOTATION in node.annotations


def plan_attachments(
    node: Node | None,
    wanted: Mapping[str, WantedVolume],
    existing: Mapping[str, VolumeAttachment],
    unwanted_seconds: Mapping[str, float],
) -> AttachPlan:
    """`unwanted_seconds`: for how long nobody on the node has wanted a volume that is attached to it."""
    attach = tuple(name for name in wanted if name not in existing and not wanted[name].multi_attach_error)
    refused = tuple(name for name in wanted if name not in existing and wanted[name].multi_attach_error)
    in_use = set(node.status.volumesInUse or ()) if node is not None else set[str]()
    detach, forced, waits = list[str](), set[str](), list[float]()
    for name, attachment in existing.items():
        if name in wanted or attachment.metadata.deletionTimestamp is not None:
            continue
        if name not in in_use:
            detach.append(name)
        elif node is not None and _is_lost(node, unwanted_seconds.get(name, 0.0)):
            detach.append(name)
            forced.add(name)
        else:
            waits.append(max(UNMOUNT_SECONDS - unwanted_seconds.get(name, 0.0), 1.0))
    return AttachPlan(attach, refused, tuple(detach), frozenset(forced), min(waits, default=0.0))


def _is_lost(node: Node, unwanted_seconds: float) -> bool:
    """Tells whether nobody will unmount on this node: a person says so, or it has been silent for long."""
    if has_taint(node, OUT_OF_SERVICE_TAINT):
        return True
    return unwanted_seconds >= UNMOUNT_SECONDS and not is_true(node.status.conditions, "Ready")


def attached_names(existing: Mapping[str, VolumeAttachment], detaching: Collection[str]) -> list[str]:
    """Lists what the Node's status has as attached."""
    return sorted(
        name
        for name, attachment in existing.items()
        if name not in detaching and attachment.status.attached and attachment.metadata.deletionTimestamp is None
    )
