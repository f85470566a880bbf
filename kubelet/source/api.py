"""The pods bound to this node, from the API, and what others see of all pods that run here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.model import Pod
from kubeclient.informer import Informer
from kubeclient.rest import RestClient
from kubelet.container.limits import SOURCE_ANNOTATION
from kubelet.pod.table import PodTable
from kubelet.pod.workers import PodWorkers

API = "api"


def from_api(pod: Pod) -> Pod:
    """Corrects an annotation by which a pod of the API would pass for a static one, which the node never evicts."""
    if pod.annotations.get(SOURCE_ANNOTATION, API) == API:
        return pod
    annotations = {**pod.annotations, SOURCE_ANNOTATION: API}
    return pod.model_copy(update={"metadata": pod.metadata.model_copy(update={"annotations": annotations})})


class PodSource:
    """An informer that hands every change to the workers; mirrors of static pods go to those who keep them."""

    def __init__(self, rest: RestClient, node_name: str) -> None:
        self._informer = Informer(rest, Pod, field_selector=f"spec.nodeName={node_name}")

    def feed(self, workers: PodWorkers, observe_mirror: Callable[[Pod | None, Pod | None], None]) -> None:
        """Hands on all pods that are here, and from now on every change."""

        def changed(old: Pod | None, new: Pod | None) -> None:
            pod = new or old
            if pod is not None and MIRROR_ANNOTATION in pod.annotations:
                observe_mirror(old, new)
            elif new is not None:
                workers.update(from_api(new))
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
    """Implements `server.PodLookup`: the pods of this node, each with the newest status decided here.

    A static pod stands in the place of its mirror: its containers have its own uid.
    """

    def __init__(self, source: PodSource, table: PodTable) -> None:
        self._source = source
        self._table = table

    def find(self, namespace: str, name: str) -> Pod | None:
        key = f"{namespace}/{name}"
        static = next((work.asked for work in self._table.static() if work.asked.key == key), None)
        pod = static or self._source.get(namespace, name)
        return self._newest(pod) if pod is not None else None

    def all(self) -> Iterable[Pod]:
        from_api = (pod for pod in self._source.list() if MIRROR_ANNOTATION not in pod.annotations)
        return [*(work.asked for work in self._table.static()), *map(self._newest, from_api)]

    def _newest(self, pod: Pod) -> Pod:
        work = self._table.get(pod.metadata.uid or "")
        return pod if work is None else pod.model_copy(update={"status": work.asked.status})
