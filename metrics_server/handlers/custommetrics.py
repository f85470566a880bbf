"""custom.metrics.k8s.io: metrics that pods serve for Prometheus, for autoscalers.

`pods/*/METRIC` is the sum of each pod's series. `RESOURCE/NAME/METRIC` is the sum of those series of the namespace
that name the object in a label, such as `service="web"`, and `metrics/METRIC` the sum of all series of the namespace.

Source: the design of the custom metrics API, kubernetes/metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from apimachinery.errors import NotFound
from apimachinery.model import encode
from apimachinery.quantity import format_quantity
from apimachinery.selectors import Selector, parse_label_selector
from apimachinery.times import format_time
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response
from apiserver.request.query import NO_LIST_OPTIONS, parse_list_options
from apiserver.virtual._virtual import ANY_RESOURCE, Virtual
from componentbase.clock import Clock
from kubeapi.core._references import ObjectReference
from metrics_server.cluster import Cluster
from metrics_server.kinds.metricvaluelist import RESOURCE, MetricIdentifier, MetricValue, MetricValueList
from metrics_server.kinds_of_api import KindsOfApi
from metrics_server.scraper import PodScraper, PodSeries
from metrics_server.series import Value, values

EVERY_NAME = "*"


async def of_namespace(
    request: Request, store: Store[Any], *, cluster: Cluster, scraper: PodScraper, clock: Clock
) -> Response:
    """The metric of the namespace: NAME of `metrics/NAME`."""
    info = request.info
    described = ObjectReference(kind="Namespace", name=info.namespace, apiVersion="v1")
    return await _of_object(request, info.name, described, None, cluster, scraper, clock)


async def of_objects(
    request: Request, store: Store[Any], *, cluster: Cluster, kinds: KindsOfApi, scraper: PodScraper, clock: Clock
) -> Response:
    info = request.info
    if info.resource != "pods":
        plural, _, group = info.resource.partition(".")
        kind = await kinds.find(plural, group)
        if kind is None:
            raise _unknown(info.subresource, info.resource)
        described = ObjectReference(
            kind=kind.kind, namespace=info.namespace, name=info.name, apiVersion=kind.api_version
        )
        label = (kind.singular_name, info.name)
        return await _of_object(request, info.subresource, described, label, cluster, scraper, clock)
    pods = await scraped(request, cluster, scraper, by_label=info.name == EVERY_NAME)
    items = []
    for pod in pods:
        if info.name in (EVERY_NAME, pod.name) and (series := _selected(request, info.subresource, [pod])):
            described = ObjectReference(kind="Pod", namespace=info.namespace, name=pod.name, apiVersion="v1")
            items.append(_total(request, info.subresource, described, series, pod.last.time))
    if not items:
        raise _unknown(info.subresource, info.resource)
    return _answer(items)


async def scraped(
    request: Request, cluster: Cluster, scraper: PodScraper, *, by_label: bool = False
) -> list[PodSeries]:
    """Asks the pods of the request's namespace, `by_label` those alone that the request selects."""
    options = parse_list_options(request.query) if by_label else NO_LIST_OPTIONS
    return await scraper.series(cluster.pods(request.info.namespace, options))


async def _of_object(
    request: Request,
    metric: str,
    described: ObjectReference,
    label: tuple[str, str] | None,
    cluster: Cluster,
    scraper: PodScraper,
    clock: Clock,
) -> Response:
    series = _selected(request, metric, await scraped(request, cluster, scraper), label)
    if not series:
        raise _unknown(metric, request.info.resource)
    return _answer([_total(request, metric, described, series, clock.now())])


def _selected(
    request: Request, metric: str, pods: Iterable[PodSeries], label: tuple[str, str] | None = None
) -> list[Value]:
    selector = _metric_selector(request)
    return [
        value
        for pod in pods
        for value in values(metric, pod.last, pod.before)
        if selector.matches(value.labels) and (label is None or value.labels.get(label[0]) == label[1])
    ]


def _metric_selector(request: Request) -> Selector:
    return parse_label_selector(request.parameter("metricLabelSelector") or "")


def _total(
    request: Request, metric: str, described: ObjectReference, series: Sequence[Value], time: float
) -> MetricValue:
    window = max(value.window_seconds for value in series)
    return MetricValue(
        describedObject=described,
        metric=MetricIdentifier(name=metric),
        timestamp=format_time(time),
        windowSeconds=round(window) or None,
        value=quantity(sum(value.value for value in series)),
    )


def quantity(value: float) -> str:
    """Rounds to thousandths: 2.50049 -> "2500m"."""
    return format_quantity(Fraction(round(value * 1000), 1000))


def _unknown(metric: str, resource: str) -> NotFound:
    return NotFound(f"the server could not find the metric {metric} for {resource}")


def _answer(items: list[MetricValue]) -> Response:
    return Response(encode(MetricValueList(kind=RESOURCE.kind, apiVersion=RESOURCE.api_version, items=items)))


VIRTUAL = Virtual(RESOURCE.group, {RESOURCE.plural: {"get": of_namespace}, ANY_RESOURCE: {"get": of_objects}})
