"""The core group: Bindings that are sent without naming the pod in the path, and how the control plane is."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from apimachinery.errors import object_not_found
from apimachinery.meta import ObjectMeta
from apimachinery.model import encode
from apimachinery.times import parse_time
from apiserver.handlers._shared import answer, check_shape
from apiserver.handlers.list import answer_page
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.message import Answer, Request, Response
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry, ListPage
from apiserver.subresources.pods.binding import bind_pod
from apiserver.virtual._virtual import Virtual
from componentbase.clock import Clock
from kubeapi.core.binding import Binding
from kubeapi.core.componentstatus import HEALTHY, ComponentCondition, ComponentStatus

LEADERS = ("controller-manager", "scheduler")


async def bind(request: Request, store: Store[Binding], *, stores: Stores, clock: Clock) -> Response:
    return await bind_pod(request, stores.find("pods"), "", clock)


async def list_components(
    request: Request, store: Store[ComponentStatus], *, storage: CachedStorage, stores: Stores, clock: Clock
) -> Answer:
    components = _components(storage, stores, clock)
    if request.representation.shape:
        check_shape(store.resource, request.representation, many=True)
    page = ListPage([Entry("", "", obj.name, 0, encode(obj), {}, {}) for obj in components], 0)
    return await answer_page(request, store.resource, page)


async def get_component(
    request: Request, store: Store[ComponentStatus], *, storage: CachedStorage, stores: Stores, clock: Clock
) -> Response:
    for obj in _components(storage, stores, clock):
        if obj.name == request.info.name:
            return answer(request, store.resource, encode(obj))
    raise object_not_found(store.resource.plural, "", request.info.name)


def _components(storage: CachedStorage, stores: Stores, clock: Clock) -> Iterator[ComponentStatus]:
    """A component with leader election is well while its leader renews its lease."""
    leases = stores.find("leases", "coordination.k8s.io")
    for name in LEADERS:
        lease = leases.storage.peek(leases.resource, "kube-system", f"kube-{name}")
        yield _component(name, "ok", _why_no_leader(lease, clock))
    yield _component("etcd-0", "ok", "" if storage.ready else "the watch cache does not follow etcd")


def _component(name: str, message: str, why: str) -> ComponentStatus:
    condition = ComponentCondition(type=HEALTHY, status="False" if why else "True")
    condition.message, condition.error = (None, why) if why else (message, None)
    meta = ObjectMeta(name=name)
    return ComponentStatus(kind="ComponentStatus", apiVersion="v1", metadata=meta, conditions=[condition])


def _why_no_leader(lease: Entry | None, clock: Clock) -> str:
    spec = orjson.loads(lease.value)["spec"] if lease is not None else {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return "no instance leads"
    late = clock.now() - parse_time(spec["renewTime"]) - spec.get("leaseDurationSeconds", 0)
    return f"its leader has been silent for {int(late)}s too long" if late > 0 else ""


VIRTUAL = Virtual(
    "",
    {
        "bindings": {"create": bind},
        "componentstatuses": {"list": list_components, "get": get_component},
    },
)
