"""Records events about pods and about single containers of them."""

from __future__ import annotations

from typing import Any, Protocol

from kubeapi.core.pod.model import Pod
from kubelet.container.spec import all_containers


class Events(Protocol):
    """`kubeclient.recorder.EventRecorder`: never waits."""

    def event(self, obj: Any, type: str, reason: str, message: str, *, field_path: str = "") -> None: ...


def field_path(pod: Pod, name: str) -> str:
    """Names a container as events do: "spec.containers{app}"; "" when the pod does not have it."""
    groups = {"init": "initContainers", "regular": "containers", "ephemeral": "ephemeralContainers"}
    for kind, container in all_containers(pod):
        if container.name == name:
            return f"spec.{groups[kind]}{{{name}}}"
    return ""


class ContainerEvents:
    """Events about one container of a pod, whatever object the caller names."""

    def __init__(self, events: Events, pod: Pod, name: str) -> None:
        self._events = events
        self._pod = pod
        self._path = field_path(pod, name)

    def event(self, type: str, reason: str, message: str) -> None:
        self._events.event(self._pod, type, reason, message, field_path=self._path)
