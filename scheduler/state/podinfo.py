"""Describes a pod that is on a node, as the cache keeps it and the counters count it."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.state.shape import Shape
from scheduler.state.storage import PodStorage
from scheduler.views.pod import Pod


@dataclass(slots=True)
class PodInfo:
    """Describes a pod on a node; `assumed` until the API says that it is there."""

    shape: Shape
    node: str
    assumed: bool
    terminating: bool
    storage: PodStorage | None = None


def pod_id(pod: Pod) -> str:
    """Returns its uid: a pod of the same name that is created later is another pod."""
    return pod.metadata.uid or pod.key
