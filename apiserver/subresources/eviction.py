"""`pods/eviction` (policy/v1): a deletion that disruption budgets may refuse; no kind of those is served."""

from __future__ import annotations

from apimachinery.errors import BadRequest
from apimachinery.meta import DeleteOptions, Object
from apimachinery.model import decode
from apiserver.context import Context
from apiserver.handlers._shared import Target, check_place, json_body, write_options
from apiserver.messages import Request, Response, json_response
from apiserver.query import check_delete_options
from apiserver.subresources._subresource import Subresource

SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class Eviction(Object):
    """Asks that a pod be deleted, unless that would leave too few of its kind."""

    deleteOptions: DeleteOptions | None = None
    """How the pod is to be deleted."""


async def evict(context: Context, request: Request, target: Target) -> Response:
    """201 with a Status, also when the pod is being deleted already."""
    info = request.info
    options = write_options(request, "CreateOptions")
    body = await json_body(request)
    if not body:
        raise BadRequest("the request body is empty: an Eviction is required")
    eviction = decode(Eviction, body)
    check_place(eviction, target.resource, info.namespace)
    if eviction.metadata.name not in (None, "", info.name):
        raise BadRequest("name in URL does not match name in Eviction object")
    deletion = check_delete_options(eviction.deleteOptions or DeleteOptions())
    if deletion.dryRun and request.query.get("dryRun") and not options.dry_run:
        raise BadRequest("Non-matching dry-run options in request and content")
    dry_run = options.dry_run or bool(deletion.dryRun)
    await target.store.delete(info.namespace, info.name, deletion, request.user, dry_run=dry_run)
    return json_response(SUCCESS, 201)


SUBRESOURCE = Subresource("pods", "eviction", {"create": evict}, kind="Eviction", group="policy")
