"""metrics.k8s.io: what nodes and pods use, for `kubectl top` and autoscalers. Kubelets measure it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from apimachinery.errors import object_not_found
from apimachinery.meta import ObjectMeta
from apimachinery.model import encode
from apimachinery.times import format_time
from apiserver.handlers._shared import answer, check_shape
from apiserver.handlers.list import answer_page, read_page
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.message import Answer, Request, Response
from apiserver.request.query import check_fields, parse_list_options
from apiserver.resourcemetrics.collector import UsageCollector
from apiserver.resourcemetrics.usage import WINDOW
from apiserver.storage.interface import Entry, ListPage
from apiserver.virtual._virtual import Virtual
from componentbase.clock import Clock
from kubeapi.metrics.nodemetrics import NodeMetrics
from kubeapi.metrics.podmetrics import ContainerMetrics, PodMetrics


async def list_nodes(
    request: Request, store: Store[NodeMetrics], *, stores: Stores, usage: UsageCollector, clock: Clock
) -> Answer:
    entries = await _selected(request, stores.find("nodes"), "")
    return await _answer_list(request, store, await _node_metrics(entries, usage, clock))


async def get_node(
    request: Request, store: Store[NodeMetrics], *, stores: Stores, usage: UsageCollector, clock: Clock
) -> Response:
    entry = await _entry(stores.find("nodes"), "", request.info.name)
    return _answer_one(request, store, await _node_metrics([entry] if entry else [], usage, clock))


async def list_pods(
    request: Request, store: Store[PodMetrics], *, stores: Stores, usage: UsageCollector, clock: Clock
) -> Answer:
    entries = await _selected(request, stores.find("pods"), request.info.namespace)
    return await _answer_list(request, store, await _pod_metrics(entries, usage, clock))


async def get_pod(
    request: Request, store: Store[PodMetrics], *, stores: Stores, usage: UsageCollector, clock: Clock
) -> Response:
    entry = await _entry(stores.find("pods"), request.info.namespace, request.info.name)
    return _answer_one(request, store, await _pod_metrics([entry] if entry else [], usage, clock))


async def _selected(request: Request, measured: Store[Any], namespace: str) -> Sequence[Entry]:
    """Returns the nodes or pods that the request's selectors choose. Raises: BadRequest."""
    options = parse_list_options(request.query)
    check_fields(measured.resource, options)
    return (await read_page(measured, namespace, options)).entries


async def _entry(measured: Store[Any], namespace: str, name: str) -> Entry | None:
    return await measured.storage.get(measured.resource, namespace, name, min_revision=None)


async def _node_metrics(entries: Iterable[Entry], usage: UsageCollector, clock: Clock) -> list[NodeMetrics]:
    entries = list(entries)
    known = await usage.of_nodes(entry.name for entry in entries)
    return [
        NodeMetrics(metadata=_metadata(entry, clock), timestamp=used.time, window=WINDOW, usage=used.resources())
        for entry in entries
        if entry.name in known and (used := known[entry.name].node) is not None
    ]


async def _pod_metrics(entries: Iterable[Entry], usage: UsageCollector, clock: Clock) -> list[PodMetrics]:
    """Makes those of pods whose containers have all been measured."""
    placed = [(entry, node) for entry in entries if (node := entry.fields.get("spec.nodeName"))]
    running = [(entry, node) for entry, node in placed if entry.fields.get("status.phase") == "Running"]
    known = await usage.of_nodes(node for _, node in running)
    metrics = []
    for entry, node in running:
        used = known[node].pods.get(f"{entry.namespace}/{entry.name}") if node in known else None
        if used:
            containers = [ContainerMetrics(name=name, usage=one.resources()) for name, one in used.items()]
            time = max(one.time for one in used.values())
            metadata = _metadata(entry, clock)
            metrics.append(PodMetrics(metadata=metadata, timestamp=time, window=WINDOW, containers=containers))
    return metrics


def _metadata(entry: Entry, clock: Clock) -> ObjectMeta:
    return ObjectMeta(
        name=entry.name,
        namespace=entry.namespace or None,
        labels=dict(entry.labels) or None,
        creationTimestamp=format_time(int(clock.now())),
    )


async def _answer_list(request: Request, store: Store[Any], objects: Sequence[NodeMetrics | PodMetrics]) -> Answer:
    if request.representation.shape:
        check_shape(store.resource, request.representation, many=True)
    entries = [
        Entry("", obj.namespace, obj.name, 0, _encoded(store, obj), obj.metadata.labels or {}, {}) for obj in objects
    ]
    return await answer_page(request, store.resource, ListPage(entries, 0))


def _answer_one(request: Request, store: Store[Any], objects: Sequence[NodeMetrics | PodMetrics]) -> Response:
    for obj in objects:
        return answer(request, store.resource, _encoded(store, obj))
    info = request.info
    name = f"{info.namespace}/{info.name}" if info.namespace else info.name
    raise object_not_found(store.resource.singular_name, store.resource.group, name)


def _encoded(store: Store[Any], obj: NodeMetrics | PodMetrics) -> bytes:
    obj.kind, obj.apiVersion = store.resource.kind, store.resource.api_version
    return encode(obj)


VIRTUAL = Virtual(
    "metrics.k8s.io",
    {
        "nodes": {"list": list_nodes, "get": get_node},
        "pods": {"list": list_pods, "get": get_pod},
    },
)
