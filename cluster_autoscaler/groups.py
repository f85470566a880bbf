"""Sums up a node group: its nodes, those on their way, and what one more would be like. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from apimachinery.conditions import is_true
from apimachinery.meta import controller_of
from apimachinery.times import parse_time
from cloudprovider.interface import NodeGroup
from kubeapi.core.node import TO_BE_DELETED_TAINT, UNINITIALIZED_TAINT, Node, has_taint
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION, is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.affinity import Taint

CANDIDATE_TAINT = "DeletionCandidateOfClusterAutoscaler"
"""The key of a taint that has the scheduler prefer other nodes to one that may go."""
HOST_NAME = "kubernetes.io/hostname"
STARTUP_TAINTS = (
    UNINITIALIZED_TAINT,
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/network-unavailable",
)
"""A new node has them until it can take pods."""


@dataclass(frozen=True, slots=True)
class Template:
    """A node as the group's next machine would be, and the pods that would come with it."""

    node: Node
    pods: Sequence[Pod] = ()

    def instance(self, number: int) -> Template:
        """Returns the n-th such node, and its pods, under names of their own."""
        node = self.node.clone()
        node.metadata.name = name = f"{self.node.name}-{number}"
        node.metadata.labels = node.labels | {HOST_NAME: name}
        pods = []
        for pod in self.pods:
            copy = pod.clone()
            copy.metadata.uid, copy.spec.nodeName = f"{pod.metadata.uid}-{number}", name
            pods.append(copy)
        return Template(node, pods)


@dataclass(frozen=True, slots=True)
class GroupState:
    """A node group and its nodes."""

    group: NodeGroup
    nodes: Sequence[Node]
    """Registered members."""
    started: Sequence[Node]
    """Those that can take pods."""
    upcoming: int
    """Machines that are being made, or have not started yet."""
    late: Sequence[str]
    """Provider ids of machines that should have registered long ago."""
    target: int
    """The size that the group has once all that are upcoming have come."""
    template: Template
    backed_off: bool = False
    """A machine could not be made a short time ago."""

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def room(self) -> int:
        """Returns how many machines may be added now."""
        return 0 if self.backed_off else max(self.group.max_size - self.target, 0)


def is_started(node: Node) -> bool:
    return is_true(node.status.conditions, "Ready") and not has_taint(node, *STARTUP_TAINTS)


def is_daemon(pod: Pod) -> bool:
    """Tells whether the pod belongs to its node: one of a DaemonSet, or a static one."""
    owner = controller_of(pod)
    return MIRROR_ANNOTATION in pod.annotations or (owner is not None and owner.kind == "DaemonSet")


def pods_by_node(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    """Returns the pods that have a node and have not ended."""
    by_node: dict[str, list[Pod]] = {}
    for pod in pods:
        if pod.spec.nodeName and not is_terminal(pod.status.phase):
            by_node.setdefault(pod.spec.nodeName, []).append(pod)
    return by_node


def group_state(
    group: NodeGroup,
    nodes: Sequence[Node],
    on_nodes: Mapping[str, Sequence[Pod]],
    fallback: Node,
    *,
    goal: int,
    waited: Mapping[str, float],
    now: float,
    provision_seconds: float,
    backed_off: bool = False,
) -> GroupState:
    """Puts together what is known of a group.

    `goal` is the size that was asked for, as long as machines are being made for it, and 0 else. `waited` says for how
    long a member without a node has been one. `fallback` is the cloud's own template, for a group without a node to
    copy.
    """
    members = [node for node in nodes if node.spec.providerID in group.members]
    started = [node for node in members if is_started(node)]
    registered = {node.spec.providerID for node in members}
    unregistered = group.members - registered
    late = sorted(id for id in unregistered if waited.get(id, 0.0) > provision_seconds)
    starting = sum(1 for node in members if not is_started(node) and _age(node, now) <= provision_seconds)
    target = max(len(group.members), goal)
    sample = next((node for node in started if not has_taint(node, TO_BE_DELETED_TAINT)), None)
    return GroupState(
        group,
        members,
        started,
        upcoming=starting + len(unregistered) - len(late) + target - len(group.members),
        late=late,
        target=target,
        template=_template(group.name, sample or fallback, on_nodes.get(sample.name, ()) if sample else ()),
        backed_off=backed_off,
    )


def _age(node: Node, now: float) -> float:
    created = node.metadata.creationTimestamp
    return now - parse_time(created) if created else 0.0


def _template(group: str, model: Node, pods: Sequence[Pod]) -> Template:
    """Returns a node like `model`, without what is its own alone."""
    node = model.clone()
    node.metadata.name = f"template-node-for-{group}"
    node.spec.unschedulable = None
    node.spec.taints = [taint for taint in node.spec.taints or () if not _passing(taint)] or None
    return Template(node, [pod for pod in pods if is_daemon(pod)])


def _passing(taint: Taint) -> bool:
    return taint.key in (TO_BE_DELETED_TAINT, CANDIDATE_TAINT) or taint.key.startswith(
        ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
    )
