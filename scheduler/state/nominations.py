"""Remembers which node a waiting pod was promised: others of the same or a lower priority leave it room there.

What the scheduler has just decided counts from that moment on, before the pod's status says so.
"""

from __future__ import annotations

from scheduler.state.podinfo import PodInfo, pod_id
from scheduler.state.shape import Shapes
from scheduler.state.storage import pod_storage
from scheduler.views.pod import Pod


class Nominations:
    """Is bounded by the pods that have no node."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._by_uid: dict[str, PodInfo] = {}
        self._by_node: dict[str, dict[str, PodInfo]] = {}

    def __len__(self) -> int:
        return len(self._by_uid)

    def put(self, pod: Pod, node: str) -> None:
        """Promises the pod this node; "" takes the promise back."""
        self.remove(pod_id(pod))
        if node:
            promised = PodInfo(
                pod, self._shapes.of(pod), node, assumed=True, terminating=False, storage=pod_storage(pod)
            )
            self._by_uid[promised.uid] = promised
            self._by_node.setdefault(node, {})[promised.uid] = promised

    def remove(self, uid: str) -> None:
        promised = self._by_uid.pop(uid, None)
        if promised is not None:
            others = self._by_node[promised.node]
            del others[uid]
            if not others:
                del self._by_node[promised.node]

    def seen(self, old: Pod | None, new: Pod) -> None:
        """Takes in what the API says of a waiting pod; a status that says nothing new leaves a younger decision."""
        node = new.status.nominatedNodeName or ""
        if old is None or node != (old.status.nominatedNodeName or ""):
            self.put(new, node)

    def node_of(self, uid: str) -> str:
        """Returns the node that the pod is promised; "" for none."""
        promised = self._by_uid.get(uid)
        return promised.node if promised is not None else ""

    def nodes(self) -> list[str]:
        return list(self._by_node)

    def on_node(self, name: str) -> list[PodInfo]:
        return list(self._by_node.get(name, {}).values())

    def before(self, name: str, priority: int, uid: str) -> list[PodInfo]:
        """Lists the other pods that are promised this node and that a pod of this priority has to leave room for."""
        pods = self._by_node.get(name)
        return [pod for pod in pods.values() if pod.priority >= priority and pod.uid != uid] if pods else []
