"""`serviceaccounts/token` (TokenRequest, authentication.k8s.io/v1): a token that speaks for the account for a while.

Source: Kubernetes API reference, "TokenRequest".
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from apimachinery.errors import BadRequest, Conflict, FieldError, invalid, invalid_object
from apimachinery.model import decode, encode
from apimachinery.times import format_time
from apiserver.auth.authentication.tokens import ServiceAccountTokens
from apiserver.handlers._shared import receive, warning_headers
from apiserver.managedfields import tracking
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.message import Request, Response
from apiserver.subresources._subresource import Subresource
from componentbase.clock import Clock
from kubeapi.authentication.tokenrequest import RESOURCE as TOKEN_REQUESTS
from kubeapi.authentication.tokenrequest import BoundObjectReference, TokenRequestStatus

GROUP, KIND = "authentication.k8s.io", "TokenRequest"
MIN_SECONDS, MAX_SECONDS = 600, 1 << 32
DEFAULT_SECONDS = 3600
BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


async def token(
    request: Request, store: Store[Any], *, stores: Stores, tokens: ServiceAccountTokens, clock: Clock
) -> Response:
    """Answers 201 with the token in `status`. Nothing is kept: the token itself tells all that is to be known of it."""
    info = request.info
    request.refuse_transformed()
    wanted, options, warnings = await receive(request, TOKEN_REQUESTS, "CreateOptions")
    if wanted.metadata.name not in (None, "", info.name):
        raise BadRequest("name in URL does not match name in TokenRequest object")
    warnings += await store.admit(
        info.namespace, info.name, wanted, request.user, subresource="token", dry_run=options.dry_run
    )
    account = await store.read_object(info.namespace, info.name)
    spec, meta = wanted.spec, wanted.metadata
    meta.name, meta.namespace = info.name, info.namespace
    now = clock.now()
    meta.uid, meta.creationTimestamp = str(uuid4()), format_time(now)
    seconds = DEFAULT_SECONDS if spec.expirationSeconds is None else spec.expirationSeconds
    if errors := _errors(seconds):
        raise invalid_object(KIND, GROUP, "", errors)
    if tokens.max_seconds and seconds > tokens.max_seconds:
        warnings.append(f"requested expiration of {seconds} seconds shortened to {tokens.max_seconds} seconds")
        seconds = tokens.max_seconds
    spec.expirationSeconds = seconds
    tracking.own(wanted, TOKEN_REQUESTS, options, meta.creationTimestamp, "token")
    spec.audiences = spec.audiences or list(tokens.audiences)
    bound = await _bound(stores, account, spec.boundObjectRef) if spec.boundObjectRef is not None else {}
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


async def _bound(stores: Stores, account: Any, ref: BoundObjectReference) -> dict[str, Any]:
    """The objects whose end is the token's end, by the name that its claim has for them; a pod brings its node.

    Raises: BadRequest, Conflict, NotFound.
    """
    plural = BOUND.get(ref.kind or "")
    group, _, version = (ref.apiVersion or "").rpartition("/")
    if plural is None or group:
        kind = f"{group}/{version}, Kind={ref.kind or ''}"
        raise BadRequest(f"cannot bind token to object of type {kind}")
    store = stores.find(plural)
    obj = await store.read_object(account.namespace if store.resource.namespaced else "", ref.name or "")
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
        nodes = stores.find("nodes")
        node = nodes.storage.peek(nodes.resource, "", obj.spec.nodeName)
        if node is not None:
            bound["node"] = decode(nodes.resource.model, node.value)
    return bound


SUBRESOURCE = Subresource("serviceaccounts", "token", {"create": token}, kind=KIND, group=GROUP)
