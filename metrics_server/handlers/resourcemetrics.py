"""metrics.k8s.io: what nodes and pods use, for `kubectl top` and autoscalers. Kubelets measure it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apimachinery.errors import object_not_found
from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import encode
from apimachinery.resource import Resource
from apimachinery.times import format_time
from apiserver.handlers._shared import answer, check_shape
from apiserver.handlers.list import answer_page
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request, Response
from apiserver.request.query import ListOptions, check_fields, parse_list_options
from apiserver.storage.interface import Entry, ListPage
from apiserver.virtual._virtual import Virtual
from componentbase.clock import Clock
from metrics_server.cluster import NODES, PODS, Cluster, Node, Pod
from metrics_server.kinds._usage import GROUP
from metrics_server.kinds.nodemetrics import NodeMetrics
from metrics_server.kinds.podmetrics import ContainerMetrics, PodMetrics
from metrics_server.kubelets import UsageCollector
from metrics_server.usage import WINDOW


async def list_nodes(
    request: Request, store: Store[NodeMetrics], *, cluster: Cluster, usage: UsageCollector, clock: Clock
) -> Answer:
    nodes = cluster.nodes(_options(request, NODES))
    return await _answer_list(request, store, await _node_metrics(nodes, usage, clock))


async def get_node(
    request: Request, store: Store[NodeMetrics], *, cluster: Cluster, usage: UsageCollector, clock: Clock
) -> Response:
    node = cluster.node(request.info.name)
    return _answer_one(request, store, await _node_metrics([node] if node else [], usage, clock))


async def list_pods(
    request: Request, store: Store[PodMetrics], *, cluster: Cluster, usage: UsageCollector, clock: Clock
) -> Answer:
    pods = cluster.pods(request.info.namespace, _options(request, PODS))
    return await _answer_list(request, store, await _pod_metrics(pods, usage, clock))


async def get_pod(
    request: Request, store: Store[PodMetrics], *, cluster: Cluster, usage: UsageCollector, clock: Clock
) -> Response:
    pod = cluster.pod(request.info.namespace, request.info.name)
    return _answer_one(request, store, await _pod_metrics([pod] if pod else [], usage, clock))


def _options(request: Request, measured: Resource[Any]) -> ListOptions:
    """Reads the selectors, which choose among the nodes or pods. Raises: BadRequest."""
    options = parse_list_options(request.query)
    check_fields(measured, options)
    return options


async def _node_metrics(nodes: Sequence[Node], usage: UsageCollector, clock: Clock) -> list[NodeMetrics]:
    known = await usage.of_nodes(node.name for node in nodes)
    return [
        NodeMetrics(metadata=_metadata(node, clock), timestamp=used.time, window=WINDOW, usage=used.resources())
        for node in nodes
        if node.name in known and (used := known[node.name].node) is not None
    ]


async def _pod_metrics(pods: Sequence[Pod], usage: UsageCollector, clock: Clock) -> list[PodMetrics]:
    """Makes those of pods whose containers have all been measured."""
    running = [(pod, node) for pod in pods if (node := pod.spec.nodeName) and pod.status.phase == "Running"]
    known = await usage.of_nodes(node for _, node in running)
    metrics = []
    for pod, node in running:
        used = known[node].pods.get(pod.key) if node in known else None
        if used:
            containers = [ContainerMetrics(name=name, usage=one.resources()) for name, one in used.items()]
            time = max(one.time for one in used.values())
            metadata = _metadata(pod, clock)
            metrics.append(PodMetrics(metadata=metadata, timestamp=time, window=WINDOW, containers=containers))
    return metrics


def _metadata(obj: Object, clock: Clock) -> ObjectMeta:
    return ObjectMeta(
        name=obj.name,
        namespace=obj.namespace or None,
        labels=obj.metadata.labels,
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
    GROUP,
    {
        "nodes": {"list": list_nodes, "get": get_node},
        "pods": {"list": list_pods, "get": get_pod},
    },
)
