"""`namespaces/finalize`: takes away `spec.finalizers`; the namespace controller's last step."""

from __future__ import annotations

from typing import Any

from apiserver.codec.body import read_object
from apiserver.handlers._shared import Target, answer, check_place, json_body, write_options
from apiserver.main.context import Context
from apiserver.request.message import Request, Response
from apiserver.storage.interface import Entry
from apiserver.subresources._subresource import Subresource


async def finalize(context: Context, request: Request, target: Target) -> Response:
    """Everything but `spec.finalizers` stays as it is stored. Without any left, a deleted namespace is gone."""
    info = request.info
    options = write_options(request, "UpdateOptions")
    wanted, warnings = read_object(target.resource, await json_body(request), options.field_validation)
    check_place(wanted, target.resource, "", info.name)

    def change(old: Any, entry: Entry) -> Any:
        new = old.clone()
        new.metadata.uid = wanted.metadata.uid
        new.metadata.resourceVersion = wanted.metadata.resourceVersion
        new.spec.finalizers = wanted.spec.finalizers or None
        return new

    written = await target.store.update("", info.name, change, request.user, options, subresource="finalize")
    return answer(request, target.resource, written, 200, warnings)


SUBRESOURCE = Subresource("namespaces", "finalize", {"update": finalize}, kind="Namespace")
