"""external.metrics.k8s.io: what pods tell about things outside of the cluster, such as the length of a queue.

`METRIC` is every series of that name that a pod of the namespace serves for Prometheus and whose labels are selected.

Source: the design of the external metrics API, kubernetes/metrics.
"""

from __future__ import annotations

from typing import Any

from apimachinery.meta import ListMeta
from apimachinery.model import to_dict
from apimachinery.selectors import parse_label_selector
from apimachinery.times import format_time
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response, json_response
from apiserver.virtual._virtual import ANY_RESOURCE, Virtual
from metrics_server.cluster import Cluster
from metrics_server.handlers.custommetrics import quantity, scraped
from metrics_server.kinds.externalmetricvalue import RESOURCE, ExternalMetricValue
from metrics_server.scraper import PodScraper
from metrics_server.series import values


async def list_series(request: Request, store: Store[Any], *, cluster: Cluster, scraper: PodScraper) -> Response:
    metric, selector = request.info.resource, parse_label_selector(request.parameter("labelSelector") or "")
    items = [
        ExternalMetricValue(
            metricName=metric,
            metricLabels=dict(value.labels),
            timestamp=format_time(pod.last.time),
            window=round(value.window_seconds) or None,
            value=quantity(value.value),
        )
        for pod in await scraped(request, cluster, scraper)
        for value in values(metric, pod.last, pod.before)
        if selector.matches(value.labels)
    ]
    return json_response(
        {
            "kind": RESOURCE.list_kind,
            "apiVersion": RESOURCE.api_version,
            "metadata": to_dict(ListMeta()),
            "items": list(map(to_dict, items)),
        }
    )


VIRTUAL = Virtual(RESOURCE.group, {RESOURCE.plural: {"list": list_series}, ANY_RESOURCE: {"list": list_series}})
