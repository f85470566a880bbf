"""DELETE of one object."""

from __future__ import annotations

from apimachinery.meta import DeleteOptions
from apiserver.handlers._shared import Target, answer, json_body
from apiserver.main.context import Context
from apiserver.registry.deletion import success
from apiserver.request.message import Request, Response, json_response
from apiserver.request.query import parse_delete_options

RETURNED_KINDS = frozenset({"Pod", "Service", "ServiceAccount", "PersistentVolumeClaim", "PersistentVolume"})
"""Answered with their last state; the others with a Status, as upstream has it."""


async def delete(context: Context, request: Request, target: Target) -> Response:
    """200 with the Status of the deletion or the object; 202 with the object while a requested cascade is under way."""
    resource, info = target.resource, request.info
    options = parse_delete_options(request.query, await json_body(request))
    written = await target.store.delete(
        info.namespace if resource.namespaced else "", info.name, options, request.user, dry_run=bool(options.dryRun)
    )
    if written.removed and resource.kind not in RETURNED_KINDS:
        return json_response(success(resource, info.name, written.uid))
    return answer(request, resource, written, 202 if not written.removed and _cascades(options) else 200, ())


def _cascades(options: DeleteOptions) -> bool:
    return options.propagationPolicy == "Foreground" or options.orphanDependents is False
