"""`serviceaccounts/token` (TokenRequest, authentication.k8s.io/v1): a token that speaks for the account for a while.

Source: Kubernetes API reference, "TokenRequest".
"""

from __future__ import annotations

from typing import Any

from apimachinery.errors import BadRequest, Conflict, FieldError, invalid, invalid_object, object_not_found
from apimachinery.model import decode, encode
from apimachinery.resource import Resource
from apimachinery.times import format_time
from apiserver.codec.body import read_object
from apiserver.handlers._shared import Target, check_place, json_body, warning_headers, write_options
from apiserver.main.context import Context
from apiserver.request.message import Request, Response
from apiserver.subresources._subresource import Subresource
from kubeapi.authentication.tokenrequest import RESOURCE as TOKEN_REQUESTS
from kubeapi.authentication.tokenrequest import BoundObjectReference, TokenRequestStatus

GROUP, KIND = "authentication.k8s.io", "TokenRequest"
MIN_SECONDS, MAX_SECONDS = 600, 1 << 32
DEFAULT_SECONDS = 3600
BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


async def token(context: Context, request: Request, target: Target) -> Response:
    """201 with the token in `status`. Nothing is kept: the token itself tells all that is to be known of it."""
    info = request.info
    options = write_options(request, "CreateOptions")
    wanted, warnings = read_object(TOKEN_REQUESTS, await json_body(request), options.field_validation)
    check_place(wanted, target.resource, info.namespace, wanted.metadata.name or "")
    if wanted.metadata.name not in (None, "", info.name):
        raise BadRequest("name in URL does not match name in TokenRequest object")
    account = await _read(context, target.resource, info.namespace, info.name)
    spec, meta = wanted.spec, wanted.metadata
    meta.name, meta.namespace = info.name, info.namespace
    now = context.clock.now()
    meta.creationTimestamp = format_time(now)
    seconds = DEFAULT_SECONDS if spec.expirationSeconds is None else spec.expirationSeconds
    if errors := _errors(seconds):
        raise invalid_object(KIND, GROUP, "", errors)
    tokens = context.tokens
    if tokens.max_seconds and seconds > tokens.max_seconds:
        warnings.append(f"requested expiration of {seconds} seconds shortened to {tokens.max_seconds} seconds")
        seconds = tokens.max_seconds
    spec.expirationSeconds = seconds
    spec.audiences = spec.audiences or list(tokens.audiences)
    bound = await _bound(context, account, spec.boundObjectRef) if spec.boundObjectRef is not None else {}
    wanted.status = TokenRequestStatus(
        token=tokens.issue(account, bound, spec.audiences, seconds), expirationTimestamp=format_time(now + seconds)
    )
    return Response(encode(wanted), 201, headers=warning_headers(warnings))


def _errors(seconds: int) -> list[FieldError]:
    path = "spec.expirationSeconds"
    if seconds < MIN_SECONDS:
        return [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > MAX_SECONDS:
        return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


async def _bound(context: Context, account: Any, ref: BoundObjectReference) -> dict[str, Any]:
    """What the token ends with, by what its claim calls it; with a pod goes the node that it runs on.

    Raises: BadRequest, Conflict, NotFound.
    """
    plural = BOUND.get(ref.kind or "")
    group, _, version = (ref.apiVersion or "").rpartition("/")
    if plural is None or group:
        kind = f"{group}/{version}, Kind={ref.kind or ''}"
        raise BadRequest(f"cannot bind token to object of type {kind}")
    resource = context.core(plural)
    obj = await _read(context, resource, account.namespace if resource.namespaced else "", ref.name or "")
    if ref.kind == "Pod" and obj.spec.serviceAccountName != account.name:
        why = (
            f'cannot bind token for serviceaccount "{account.name}" to pod running with different serviceaccount name.'
        )
        raise BadRequest(why)
    if ref.uid and ref.uid != obj.metadata.uid:
        why = (
            f"the UID in the bound object reference ({ref.uid}) does not match the UID in record. The object might "
            "have been deleted and then recreated"
        )
        raise Conflict(
            f'Operation cannot be fulfilled on {ref.kind} "{ref.name}": {why}', {"name": ref.name, "kind": ref.kind}
        )
    bound = {plural[:-1]: obj}
    if ref.kind == "Pod" and obj.spec.nodeName:
        node = context.storage.peek(context.core("nodes"), "", obj.spec.nodeName)
        if node is not None:
            bound["node"] = decode(context.core("nodes").model, node.value)
    return bound


async def _read(context: Context, resource: Resource[Any], namespace: str, name: str) -> Any:
    entry = await context.storage.get(resource, namespace, name, min_revision=None)
    if entry is None:
        raise object_not_found(resource.plural, resource.group, name)
    return decode(resource.model, entry.value)


SUBRESOURCE = Subresource("serviceaccounts", "token", {"create": token}, kind=KIND, group=GROUP)
