"""Answers the paths that show figures: /stats/summary, /metrics and what stands below it, /configz."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from componentbase import metrics
from componentbase.flags import TRUE
from componentbase.logs import logger
from kubelet.probe.metrics import render_probes
from kubelet.runtime.interface import EngineError, PodRuntimeStatus, Runtime
from kubelet.stats.cadvisor import MachineFacts, cadvisor_metrics
from kubelet.stats.collector import Collector
from kubelet.stats.kubelet_metrics import kubelet_metrics
from kubelet.stats.resource_metrics import resource_metrics
from kubelet.stats.summary import summary

JSON = "application/json"
log = logger(__name__)


class Figures:
    """`machine()` is what the node's status says; `listed()` what the runtime listed last."""

    def __init__(
        self,
        node_name: str,
        runtime: Runtime,
        collector: Collector,
        listed: Callable[[], Mapping[str, PodRuntimeStatus]],
        machine: Callable[[], MachineFacts],
        configuration: Mapping[str, Any],
    ) -> None:
        self._node_name = node_name
        self._runtime = runtime
        self._collector = collector
        self._listed = listed
        self._machine = machine
        self._configuration = configuration

    async def answer(self, path: list[str], query: Mapping[str, list[str]]) -> tuple[str, bytes] | None:
        """Returns content type and body; None for a path that isn't one of these. Raises: EngineError; OSError."""
        match path:
            case ["metrics"]:
                own = kubelet_metrics(self._node_name, self._listed(), await self._collector.claims())
                return metrics.CONTENT_TYPE, metrics.render() + own
            case ["metrics", "resource"]:
                return metrics.CONTENT_TYPE, await self._resource()
            case ["metrics", "cadvisor"]:
                snapshot = await self._collector.snapshot(detailed=True, processes=True)
                return metrics.CONTENT_TYPE, cadvisor_metrics(snapshot, self._machine())
            case ["metrics", "probes"]:
                return metrics.CONTENT_TYPE, render_probes()
            case ["stats", "summary"] | ["stats"]:
                return JSON, await self._summary(query.get("only_cpu_and_memory", ["false"])[-1] in TRUE)
            case ["configz"]:
                return JSON, orjson.dumps({"kubeletconfig": self._configuration})
        return None

    async def _resource(self) -> bytes:
        """A scrape that fails says so in a metric of its own."""
        try:
            return resource_metrics(await self._collector.snapshot())
        except (EngineError, OSError) as error:
            log.warning("figures not collected", error=str(error))
            return resource_metrics(None)

    async def _summary(self, only_cpu_and_memory: bool) -> bytes:
        full = not only_cpu_and_memory
        snapshot = await self._collector.snapshot(detailed=full, disk=full)
        images = sum(image.size_bytes for image in await self._runtime.images()) if full else None
        return summary(snapshot, self._node_name, images, only_cpu_and_memory=only_cpu_and_memory)
