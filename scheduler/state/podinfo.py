"""Describes a pod that is on a node, as the cache keeps it and the counters count it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from apimachinery.times import parse_time
from scheduler.state.shape import Shape
from scheduler.state.storage import PodStorage
from scheduler.views.pod import Pod


@dataclass(slots=True)
class PodInfo:
    """Describes a pod on a node; `assumed` until the API says that it is there."""

    pod: Pod
    """As the API showed it last."""
    shape: Shape
    node: str
    assumed: bool
    terminating: bool
    storage: PodStorage | None = None

    @property
    def uid(self) -> str:
        return pod_id(self.pod)

    @property
    def priority(self) -> int:
        return self.pod.spec.priority or 0

    @property
    def start(self) -> float:
        """Returns when it started, in Unix seconds; one that has not started yet comes after all that have."""
        text = self.pod.status.startTime
        return parse_time(text) if text else inf


def pod_id(pod: Pod) -> str:
    """Returns its uid: a pod of the same name that is created later is another pod."""
    return pod.metadata.uid or pod.key
