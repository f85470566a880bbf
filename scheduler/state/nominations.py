"""Remembers which node a waiting pod was promised: others of the same or a lower priority leave it room there.

What the scheduler has just decided counts from that moment on, before the pod's status says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.state.podinfo import pod_id
from scheduler.state.shape import Shape, Shapes
from scheduler.views.pod import Pod


@dataclass(frozen=True, slots=True)
class Nomination:
    uid: str
    pod: Pod
    shape: Shape
    priority: int
    node: str


class Nominations:
    """Is bounded by the pods that have no node."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._by_uid: dict[str, Nomination] = {}

    def __len__(self) -> int:
        return len(self._by_uid)

    def put(self, pod: Pod, node: str) -> None:
        """Promises the pod this node; "" takes the promise back."""
        uid = pod_id(pod)
        if node:
            self._by_uid[uid] = Nomination(uid, pod, self._shapes.of(pod), pod.spec.priority or 0, node)
        else:
            self._by_uid.pop(uid, None)

    def remove(self, uid: str) -> None:
        self._by_uid.pop(uid, None)

    def seen(self, old: Pod | None, new: Pod) -> None:
        """Takes in what the API says of a waiting pod; a status that says nothing new leaves a younger decision."""
        node = new.status.nominatedNodeName or ""
        if old is None or node != (old.status.nominatedNodeName or ""):
            self.put(new, node)

    def before(self, priority: int, uid: str) -> list[Nomination]:
        """Lists the promises to other pods that a pod of this priority has to respect."""
        return [item for item in self._by_uid.values() if item.priority >= priority and item.uid != uid]
