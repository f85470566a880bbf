"""The pods of this node as the server shows them: the API's spec with the newest status decided here."""

from __future__ import annotations

from collections.abc import Iterable

from kubeapi.core.pod.model import Pod
from kubelet.pod.source import PodSource
from kubelet.pod.status.manager import StatusManager


class NodePods:
    """Implements `server.PodLookup`."""

    def __init__(self, source: PodSource, statuses: StatusManager) -> None:
        self._source = source
        self._statuses = statuses

    def find(self, namespace: str, name: str) -> Pod | None:
        pod = self._source.get(namespace, name)
        return self._newest(pod) if pod is not None else None

    def all(self) -> Iterable[Pod]:
        return [self._newest(pod) for pod in self._source.list()]

    def _newest(self, pod: Pod) -> Pod:
        status = self._statuses.get(pod.metadata.uid or "")
        return pod if status is None else pod.model_copy(update={"status": status})
