"""Root CA publisher: every namespace has the ConfigMap kube-root-ca.crt, by which pods verify the API server."""

from __future__ import annotations

from pathlib import Path

from apimachinery.errors import AlreadyExists, Forbidden, NotFound
from apimachinery.meta import ObjectMeta
from kubeapi.configmap import ConfigMap
from kubeapi.namespace import Namespace
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own
from kubeclient.workqueue import WorkQueue

NAME = "kube-root-ca.crt"
FILE = "ca.crt"
DESCRIPTION = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using "
    "internal endpoints such as the internal service IP or kubernetes.default.svc."
}


class RootCAPublisher:
    """Keys are namespaces. Without --root-ca-file there is nothing to publish."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._namespaces = context.informers.of(Namespace)
        self._published = context.informers.of(ConfigMap, field_selector=f"metadata.name={NAME}")
        file = context.options.root_ca_file
        self._bundle = Path(file).read_text() if file else ""

    def use_queue(self, queue: WorkQueue) -> None:
        def wake(old: ConfigMap | None, new: ConfigMap | None) -> None:
            obj = new or old
            if obj is not None:
                queue.add(obj.namespace)

        self._published.add_handler(wake)

    async def reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if not self._bundle or namespace is None or namespace.metadata.deletionTimestamp:
            return DONE
        wanted = ConfigMap(
            metadata=ObjectMeta(name=NAME, namespace=key, annotations=DESCRIPTION), data={FILE: self._bundle}
        )
        found = self._published.get(f"{key}/{NAME}")
        if found is None:
            try:
                await self._rest.create(wanted)
            except (AlreadyExists, NotFound, Forbidden):
                pass  # the cache is behind, or the namespace is ending: then it needs none
        elif found.data != wanted.data:
            changed = found.clone()
            changed.data = wanted.data
            await self._rest.update(changed)
        return DONE


CONTROLLER = ControllerSpec("root-ca-certificate-publisher-controller", RootCAPublisher, [own(Namespace)])
