"""Reads metrics from the three APIs that serve them: of resources, custom and external ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson

from apimachinery.errors import NotFound, StatusError
from apimachinery.text.durations import parse_duration
from apimachinery.times import parse_time
from controller_manager.controllers.autoscaling._replicas import MetricError, Reading, thousandths
from kubeclient.rest import RestClient
from kubeclient.wire import quoted

RESOURCE_METRICS = "/apis/metrics.k8s.io/v1beta1"
CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
DEFAULT_WINDOW_SECONDS = 60.0  # of a custom metric that does not tell its own

Dict = dict[str, Any]
T = TypeVar("T")


class MetricsClient:
    """Every method raises a MetricError that names the API and what it said."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest
        self._versions: dict[str, str] = {}

    async def of_resource(
        self, namespace: str, selector: str, resource: str, container: str = ""
    ) -> dict[str, Reading]:
        """Returns what each pod, or its container of that name, uses. A pod without a whole reading is left out."""

        def read(item: Dict) -> tuple[str, Reading | None]:
            name, used = item["metadata"]["name"], item["containers"]
            if container:
                used = [each for each in used if each["name"] == container]
                if not used:
                    raise MetricError(f"container {container} not present in metrics for pod {namespace}/{name}")
            amounts = [each["usage"].get(resource) for each in used]
            if not amounts or None in amounts:
                return name, None
            total = sum(map(thousandths, amounts))
            return name, Reading(total, parse_time(item["timestamp"]), parse_duration(item["window"]))

        items = await self._read(
            "resource", f"{RESOURCE_METRICS}/namespaces/{quoted(namespace)}/pods", {"labelSelector": selector}, read
        )
        return {name: reading for name, reading in items if reading is not None}

    async def of_pods(self, namespace: str, selector: str, metric: str, metric_selector: str) -> dict[str, Reading]:
        """Returns the metric of each pod that has it."""

        def read(item: Dict) -> tuple[str, Reading]:
            window = float(item.get("windowSeconds") or DEFAULT_WINDOW_SECONDS)
            reading = Reading(thousandths(item["value"]), parse_time(item["timestamp"]), window)
            return item["describedObject"]["name"], reading

        path = f"namespaces/{quoted(namespace)}/pods/*/{quoted(metric)}"
        params = {"labelSelector": selector, "metricLabelSelector": metric_selector}
        return dict(await self._read("custom", await self._path(CUSTOM, path), params, read))

    async def of_object(self, namespace: str, resource: str, name: str, metric: str, metric_selector: str) -> int:
        """Returns the metric of one object. `resource` is its plural with its group: "ingresses.networking.k8s.io"."""
        path = f"namespaces/{quoted(namespace)}/{quoted(resource)}/{quoted(name)}/{quoted(metric)}"
        if resource == "namespaces":
            path = f"namespaces/{quoted(name)}/metrics/{quoted(metric)}"
        params = {"metricLabelSelector": metric_selector}
        return (await self._read("custom", await self._path(CUSTOM, path), params, _value))[0]

    async def external(self, namespace: str, metric: str, selector: str) -> int:
        """Returns the sum of the series of a metric that the selector selects."""
        path = await self._path(EXTERNAL, f"namespaces/{quoted(namespace)}/{quoted(metric)}")
        return sum(await self._read("external", path, {"labelSelector": selector}, _value))

    async def _path(self, group: str, path: str) -> str:
        """Puts the served version before the path. It is asked for once, and again after the API was away."""
        version = self._versions.get(group)
        if version is None:
            kind = group.partition(".")[0]
            try:
                document = orjson.loads(await self._rest.request("GET", f"/apis/{group}"))
            except NotFound:
                text = f"unable to fetch metrics from {kind} metrics API: no {kind} metrics API ({group}) registered"
                raise MetricError(text) from None
            except (StatusError, ConnectionError, TimeoutError) as error:
                raise MetricError(f"unable to fetch metrics from {kind} metrics API: {error}") from None
            version = self._versions[group] = document["preferredVersion"]["version"]
        return f"/apis/{group}/{version}/{path}"

    async def _read(self, kind: str, path: str, params: Mapping[str, str], read: Callable[[Dict], T]) -> list[T]:
        """Reads every item of the answer. Other servers may answer in a form that `read` can't take."""
        try:
            body = await self._rest.request("GET", path, params={key: text for key, text in params.items() if text})
            items = [read(item) for item in orjson.loads(body)["items"]]
        except (StatusError, ConnectionError, TimeoutError) as error:
            self._versions.clear()
            what = " (get pods.metrics.k8s.io)" if isinstance(error, NotFound) and kind == "resource" else ""
            raise MetricError(f"unable to fetch metrics from {kind} metrics API: {error}{what}") from None
        except (KeyError, TypeError, ValueError) as error:
            text = f"unable to fetch metrics from {kind} metrics API: the answer can't be read: {error!r}"
            raise MetricError(text) from None
        if not items:
            raise MetricError(f"no metrics returned from {kind} metrics API")
        return items


def _value(item: Dict) -> int:
    return thousandths(item["value"])
