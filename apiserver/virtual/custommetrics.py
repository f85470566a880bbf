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
from apiserver.custommetrics.scraper import PodScraper, PodSeries
from apiserver.custommetrics.series import Value, values
from apiserver.handlers.list import read_page
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.message import Request, Response
from apiserver.request.query import parse_list_options
from apiserver.virtual._virtual import ANY_RESOURCE, Virtual
from componentbase.clock import Clock
from kubeapi.core._references import ObjectReference
from kubeapi.metrics.metricvaluelist import RESOURCE, MetricIdentifier, MetricValue, MetricValueList

EVERY_NAME = "*"


async def of_namespace(
    request: Request, store: Store[Any], *, stores: Stores, scraper: PodScraper, clock: Clock
) -> Response:
    """The metric of the namespace: NAME of `metrics/NAME`."""
    info = request.info
    described = ObjectReference(kind="Namespace", name=info.namespace, apiVersion="v1")
    return await _of_object(request, info.name, described, None, stores, scraper, clock)


async def of_objects(
    request: Request, store: Store[Any], *, stores: Stores, scraper: PodScraper, clock: Clock
) -> Response:
    info = request.info
    if info.resource != "pods":
        plural, _, group = info.resource.partition(".")
        try:
            kind = stores.find(plural, group).resource
        except LookupError:
            raise _unknown(info.subresource, info.resource) from None
        described = ObjectReference(
            kind=kind.kind, namespace=info.namespace, name=info.name, apiVersion=kind.api_version
        )
        label = (kind.singular_name, info.name)
        return await _of_object(request, info.subresource, described, label, stores, scraper, clock)
    pods = await scraped(request, stores, scraper, by_label=info.name == EVERY_NAME)
    items = []
    for pod in pods:
        if info.name in (EVERY_NAME, pod.name) and (series := _selected(request, info.subresource, [pod])):
            described = ObjectReference(kind="Pod", namespace=info.namespace, name=pod.name, apiVersion="v1")
            items.append(_total(request, info.subresource, described, series, pod.last.time))
    if not items:
        raise _unknown(info.subresource, info.resource)
    return _answer(items)


async def scraped(request: Request, stores: Stores, scraper: PodScraper, *, by_label: bool = False) -> list[PodSeries]:
    """Asks the pods of the request's namespace, `by_label` those alone that the request selects."""
    options = parse_list_options(request.query if by_label else {})
    return await scraper.series((await read_page(stores.find("pods"), request.info.namespace, options)).entries)


async def _of_object(
    request: Request,
    metric: str,
    described: ObjectReference,
    label: tuple[str, str] | None,
    stores: Stores,
    scraper: PodScraper,
    clock: Clock,
) -> Response:
    series = _selected(request, metric, await scraped(request, stores, scraper), label)
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
