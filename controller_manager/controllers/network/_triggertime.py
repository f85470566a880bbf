"""When the change began that endpoints follow: what they say of it tells how long it takes to reach the nodes.

Source: Kubernetes API reference, the annotation `endpoints.kubernetes.io/last-change-trigger-time`.
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.conditions import get_condition
from apimachinery.meta import Object
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.model import Service

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


class TriggerTimes:
    """Remembers, for each Service, the last change of it and of each of its pods."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, dict[str, str]]] = {}

    def forget(self, key: str) -> None:
        self._seen.pop(key, None)

    def next(self, service: Service, pods: Iterable[Pod]) -> str:
        """Returns the earliest of the changes since the last call for this Service; "" if there were none."""
        created = service.metadata.creationTimestamp or ""
        ready = {pod.name: get_condition(pod.status.conditions, "Ready") for pod in pods}
        times = {name: condition.lastTransitionTime for name, condition in ready.items() if condition is not None}
        before, pod_times = self._seen.get(service.key, ("", {}))
        self._seen[service.key] = created, times
        changed = [time for name, time in times.items() if time > pod_times.get(name, "")]
        return min([*changed, *([created] if created > before else [])], default="")


def annotate(obj: Object, time: str) -> None:
    """Says when the change began; an older time does not stay, as it is not this change's."""
    annotations = {name: value for name, value in obj.annotations.items() if name != TRIGGER_TIME}
    obj.metadata.annotations = (annotations | ({TRIGGER_TIME: time} if time else {})) or None
