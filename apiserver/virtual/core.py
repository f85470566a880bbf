"""The core group: Bindings that are sent without naming the pod in the path, and how the control plane is."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from apimachinery.errors import object_not_found
from apimachinery.meta import ObjectMeta
from apimachinery.model import encode
from apimachinery.times import parse_time
from apiserver.codec import tables
from apiserver.handlers._shared import Target, answer, check_shape
from apiserver.handlers.list import list_head
from apiserver.main.context import Context
from apiserver.registry.store import Written
from apiserver.request.message import Request, Response
from apiserver.storage.interface import Entry, ListPage
from apiserver.subresources.binding import bind_pod
from apiserver.virtual._virtual import Virtual
from kubeapi.core.componentstatus import HEALTHY, ComponentCondition, ComponentStatus

LEADERS = ("controller-manager", "scheduler")


async def bind(context: Context, request: Request, target: Target) -> Response:
    pods = context.store("pods")
    return await bind_pod(context, request, Target(pods.resource, pods), "")


async def list_components(context: Context, request: Request, target: Target) -> Response:
    entries = [Entry("", "", obj.name, 0, encode(obj), {}, {}) for obj in _components(context)]
    page, wanted = ListPage(entries, 0), request.wanted
    if wanted.shape:
        check_shape(target.resource, wanted, many=True)
        include = tables.include_object(request.parameter("includeObject"))
        pieces = [piece async for piece in tables.transform_list(target.resource, entries, b"", wanted, include)]
        return Response(b"".join(pieces))
    return Response(b"".join([list_head(target.resource, page), *page.items(), b"]}"]))


async def get_component(context: Context, request: Request, target: Target) -> Response:
    for obj in _components(context):
        if obj.name == request.info.name:
            return answer(request, target.resource, Written(encode(obj)), 200, ())
    raise object_not_found(target.resource.plural, "", request.info.name)


def _components(context: Context) -> Iterator[ComponentStatus]:
    """A component with leader election is well while its leader renews its lease."""
    for name in LEADERS:
        why = _why_no_leader(context, f"kube-{name}")
        yield _component(name, "ok", why)
    yield _component("etcd-0", "ok", "" if context.storage.ready else "the watch cache does not follow etcd")


def _component(name: str, message: str, why: str) -> ComponentStatus:
    condition = ComponentCondition(type=HEALTHY, status="False" if why else "True")
    condition.message, condition.error = (None, why) if why else (message, None)
    meta = ObjectMeta(name=name)
    return ComponentStatus(kind="ComponentStatus", apiVersion="v1", metadata=meta, conditions=[condition])


def _why_no_leader(context: Context, name: str) -> str:
    leases = context.stores[("coordination.k8s.io", "leases")].resource
    entry = context.storage.peek(leases, "kube-system", name)
    spec = orjson.loads(entry.value)["spec"] if entry is not None else {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return "no instance leads"
    late = context.clock.now() - parse_time(spec["renewTime"]) - spec.get("leaseDurationSeconds", 0)
    return f"its leader has been silent for {int(late)}s too long" if late > 0 else ""


VIRTUAL = Virtual(
    "",
    {
        "bindings": {"create": bind},
        "componentstatuses": {"list": list_components, "get": get_component},
    },
)
