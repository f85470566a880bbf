"""`pods/eviction` (policy/v1): a deletion that disruption budgets may refuse; no kind of those is served."""

from __future__ import annotations

from apimachinery.errors import BadRequest
from apimachinery.meta import DeleteOptions
from apiserver.codec.body import read_object
from apiserver.handlers._shared import Target, check_place, json_body, warning_headers, write_options
from apiserver.main.context import Context
from apiserver.request.message import Request, Response, json_response
from apiserver.request.query import check_delete_options
from apiserver.subresources._subresource import Subresource
from kubeapi.policy.eviction import RESOURCE as EVICTIONS

SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def evict(context: Context, request: Request, target: Target) -> Response:
    """201 with a Status, also when the pod is being deleted already."""
    info = request.info
    options = write_options(request, "CreateOptions")
    eviction, warnings = read_object(EVICTIONS, await json_body(request), options.field_validation)
    check_place(eviction, target.resource, info.namespace)
    if eviction.metadata.name not in (None, "", info.name):
        raise BadRequest("name in URL does not match name in Eviction object")
    deletion = check_delete_options(eviction.deleteOptions or DeleteOptions())
    dry_run = options.dry_run or bool(deletion.dryRun)
    await target.store.delete(info.namespace, info.name, deletion, request.user, dry_run=dry_run)
    return json_response(SUCCESS, 201, warning_headers(warnings))


SUBRESOURCE = Subresource("pods", "eviction", {"create": evict}, kind="Eviction", group="policy")
