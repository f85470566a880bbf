"""`pods/eviction` (policy/v1): a deletion that disruption budgets may refuse; no kind of those is served."""

from __future__ import annotations

from typing import Any

from apimachinery.errors import BadRequest
from apimachinery.meta import DeleteOptions
from apiserver.handlers._shared import CREATED, receive, warning_headers
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response, json_response
from apiserver.request.query import check_delete_options
from apiserver.subresources._subresource import Subresource
from kubeapi.policy.eviction import RESOURCE as EVICTIONS


async def evict(request: Request, store: Store[Any]) -> Response:
    """Answers 201 with a Status, also when the pod is being deleted already."""
    info = request.info
    eviction, options, warnings = await receive(request, EVICTIONS, "CreateOptions")
    if eviction.metadata.name not in (None, "", info.name):
        raise BadRequest("name in URL does not match name in Eviction object")
    deletion = check_delete_options(eviction.deleteOptions or DeleteOptions())
    dry_run = options.dry_run or bool(deletion.dryRun)
    await store.delete(info.namespace, info.name, deletion, request.user, dry_run=dry_run)
    return json_response(CREATED, 201, warning_headers(warnings))


SUBRESOURCE = Subresource("pods", "eviction", {"create": evict}, kind="Eviction", group="policy")
