"""Describes what happens in the cluster, as far as it may help a pod that found no node."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto

from apimachinery.meta import Object
from scheduler.views.node import Node
from scheduler.views.pod import Pod


class Change(Flag):
    """Kinds of changes to an object; a pod is tried again only on those that its plugins asked for."""

    NONE = 0
    ADD = auto()
    DELETE = auto()
    LABELS = auto()
    SPEC = auto()
    """The spec of the waiting pod itself, or of any kind without changes of its own below."""
    TAINTS = auto()
    """A node's taints, or that it was (un)cordoned."""
    ALLOCATABLE = auto()
    ANY = ADD | DELETE | LABELS | SPEC | TAINTS | ALLOCATABLE


NODE = "Node"
ASSIGNED_POD = "AssignedPod"
"""A pod on a node."""
WAITING_POD = "WaitingPod"
"""The pod itself that waits for a node."""


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """`old` is None for what is new, `new` for what is gone."""

    resource: str
    """NODE, ASSIGNED_POD, WAITING_POD, or another kind's name."""
    change: Change
    old: Object | None = None
    new: Object | None = None


def node_event(old: Node | None, new: Node | None) -> ClusterEvent:
    """Makes the event of a node; its change is NONE for what no plugin looks at, such as heartbeats."""
    return ClusterEvent(NODE, _node_change(old, new), old, new)


def _node_change(old: Node | None, new: Node | None) -> Change:
    if old is None or new is None:
        return Change.ADD if old is None else Change.DELETE
    change = Change.NONE
    if old.metadata.labels != new.metadata.labels:
        change |= Change.LABELS
    if old.spec.taints != new.spec.taints or bool(old.spec.unschedulable) != bool(new.spec.unschedulable):
        change |= Change.TAINTS
    if old.status.allocatable != new.status.allocatable:
        change |= Change.ALLOCATABLE
    if old.status.images != new.status.images:
        change |= Change.SPEC
    return change


def pod_change(old: Pod, new: Pod) -> Change:
    """Tells what changed of a pod that scheduling looks at; of its status that is its claims, and a resize."""
    change = Change.NONE
    if old.metadata.labels != new.metadata.labels:
        change |= Change.LABELS
    deletion = old.metadata.deletionTimestamp != new.metadata.deletionTimestamp
    claims = old.status.resourceClaimStatuses != new.status.resourceClaimStatuses
    if deletion or claims or _spec_changed(old, new) or _held(old) != _held(new):
        change |= Change.SPEC
    return change


def _held(pod: Pod) -> object:
    """Returns what its containers hold beside the spec's; equal for pods that are not being resized."""
    status = pod.status
    if not status.containerStatuses and not status.initContainerStatuses:
        return None
    reasons = [item.reason for item in status.conditions or () if item.type == "PodResizePending"]
    return status.containerStatuses, status.initContainerStatuses, reasons


def _spec_changed(old: Pod, new: Pod) -> bool:
    """Compares generations where the server counts them, which saves comparing specs."""
    if old.metadata.generation is not None and new.metadata.generation is not None:
        return old.metadata.generation != new.metadata.generation
    return old.spec != new.spec


def other_event(kind: str, old: Object | None, new: Object | None) -> ClusterEvent:
    """Makes the event of a kind that plugins read through the `Lister`."""
    if old is None or new is None:
        change = Change.ADD if old is None else Change.DELETE
    else:
        change = Change.LABELS if old.metadata.labels != new.metadata.labels else Change.SPEC
    return ClusterEvent(kind, change, old, new)
