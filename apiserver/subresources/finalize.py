"""`namespaces/finalize`: takes away `spec.finalizers`; the namespace controller's last step."""

from __future__ import annotations

from apiserver.handlers._shared import answer, receive
from apiserver.registry.changes import Edit
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response
from apiserver.subresources._subresource import Subresource
from kubeapi.core.namespace import Namespace


async def finalize(request: Request, store: Store[Namespace]) -> Response:
    """Keeps everything but `spec.finalizers` as it is stored. Without any left, a deleted namespace is gone."""
    sent, options, warnings = await receive(request, store.resource, "UpdateOptions", request.info.name)

    def replace_finalizers(old: Namespace) -> Namespace:
        new = old.clone()
        new.metadata.uid = sent.metadata.uid
        new.metadata.resourceVersion = sent.metadata.resourceVersion
        new.spec.finalizers = sent.spec.finalizers or None
        return new

    change = Edit(replace_finalizers)
    result = await store.update("", request.info.name, change, request.user, options, subresource="finalize")
    return answer(request, store.resource, result.value, 200, warnings)


SUBRESOURCE = Subresource("namespaces", "finalize", {"update": finalize}, kind="Namespace")
