"""The pods bound to this node, from the API."""

from __future__ import annotations

from collections.abc import Iterable

from kubeapi.core.pod.model import Pod
from kubeclient.informer import Informer
from kubeclient.rest import RestClient
from kubelet.pod.table import PodTable
from kubelet.pod.workers import PodWorkers


class PodSource:
    """An informer that hands every change to the workers."""

    def __init__(self, rest: RestClient, node_name: str) -> None:
        self._informer = Informer(rest, Pod, field_selector=f"spec.nodeName={node_name}")

    def feed(self, workers: PodWorkers) -> None:
        """Gives the workers all pods that are here, and from now on every change."""

        def changed(old: Pod | None, new: Pod | None) -> None:
            if new is not None:
                workers.update(new)
            elif old is not None:
                workers.remove(old)

        self._informer.add_handler(changed)

    @property
    def synced(self) -> bool:
        return self._informer.synced

    async def wait_synced(self) -> None:
        await self._informer.wait_synced()

    async def run(self) -> None:
        await self._informer.run()

    def get(self, namespace: str, name: str) -> Pod | None:
        return self._informer.get(f"{namespace}/{name}")

    def list(self) -> Iterable[Pod]:
        return self._informer.list()


class NodePods:
    """Implements `server.PodLookup`: the API's pods of this node, each with the newest status decided here."""

    def __init__(self, source: PodSource, table: PodTable) -> None:
        self._source = source
        self._table = table

    def find(self, namespace: str, name: str) -> Pod | None:
        pod = self._source.get(namespace, name)
        return self._newest(pod) if pod is not None else None

    def all(self) -> Iterable[Pod]:
        return [self._newest(pod) for pod in self._source.list()]

    def _newest(self, pod: Pod) -> Pod:
        work = self._table.get(pod.metadata.uid or "")
        return pod if work is None else pod.model_copy(update={"status": work.asked.status})
