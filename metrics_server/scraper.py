"""Asks pods for their own metrics when somebody wants to know, and keeps the last two answers of each.

A pod that has some says so by the annotations that Prometheus made customary: prometheus.io/scrape, port, path and
scheme. Nothing is asked unless an autoscaler or a person asks here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.errors import BadRequest
from apiserver.proxy.forward import check_address, default_port, pod_context
from componentbase import logs
from componentbase.clock import Clock
from componentbase.net.authority import join_host_port
from componentbase.net.http1_client import connect, request_head
from metrics_server.answers import SharedAnswers
from metrics_server.cluster import ANNOTATIONS, Pod
from metrics_server.series import SHORTEST_SECONDS, Exposition, read_exposition

KEEP_SECONDS = 2.0
ANSWER_SECONDS = 5.0
MOST_BYTES = 4 << 20  # of an answer; a longer one is not read
PARALLEL = 32  # pods asked at once
MOST_PODS = 2000  # whose answers are kept

log = logs.logger(__name__)


@dataclass(frozen=True)
class PodSeries:
    """Holds the last answer of a pod, and the one before if there was one."""

    name: str
    last: Exposition
    before: Exposition | None


class PodScraper:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers = SharedAnswers[PodSeries | None](
            clock, keep_seconds=KEEP_SECONDS, parallel=PARALLEL, most=MOST_PODS
        )

    async def series(self, pods: Iterable[Pod]) -> list[PodSeries]:
        """Returns what those of the pods show that have metrics, run, and can be asked."""
        answers = await asyncio.gather(*(self._of(pod) for pod in pods if _has_metrics(pod)))
        return [answer for answer in answers if answer is not None]

    async def _of(self, pod: Pod) -> PodSeries | None:
        return await self._answers.get(pod.metadata.uid or pod.key, lambda before: self._ask(pod, before))

    async def _ask(self, pod: Pod, before: PodSeries | None) -> PodSeries | None:
        """Returns None for a pod that can't be asked; its answers begin anew."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                last = read_exposition(await _body(pod), self._clock.now())
        except (OSError, ValueError, BadRequest) as error:
            log.warning("pod's metrics not known", pod=pod.key, error=str(error) or type(error).__name__)
            return None
        if before is None:
            return PodSeries(pod.name, last, None)
        soon = last.time - before.last.time < SHORTEST_SECONDS
        return PodSeries(pod.name, last, before.before if soon else before.last)


def _has_metrics(pod: Pod) -> bool:
    return (
        (pod.metadata.annotations or {}).get(f"{ANNOTATIONS}scrape") == "true"
        and pod.metadata.deletionTimestamp is None
        and pod.status.phase == "Running"
        and bool(pod.status.podIP)
    )


async def _body(pod: Pod) -> str:
    """Raises: OSError, BadRequest for an address that may not be asked, ValueError for annotations or an answer that
    make no sense."""
    annotations = pod.metadata.annotations or {}
    address, scheme = pod.status.podIP or "", annotations.get(f"{ANNOTATIONS}scheme", "http")
    path = annotations.get(f"{ANNOTATIONS}path") or "/metrics"
    port = int(annotations.get(f"{ANNOTATIONS}port") or _first_port(pod) or default_port(scheme))
    if not path.startswith("/") or any(char <= " " for char in path) or not 0 < port < 65536:
        raise ValueError(f"{port}{path} is not a port with a path")
    check_address(address)
    connection = await connect(address, port, tls=pod_context() if scheme == "https" else None)
    try:
        host = join_host_port(address, port)
        accept = (b"accept", b"text/plain;version=0.0.4")
        head = request_head("GET", path.encode(), ((b"host", host.encode()), accept, (b"connection", b"close")))
        answer = await connection.start_stream(head)
        body = await answer.read_start(MOST_BYTES)
    finally:
        connection.close()
    if answer.status != 200 or len(body) == MOST_BYTES:
        raise ValueError(f"{host}{path} answered {answer.status} with {len(body)} bytes")
    return body.decode()


def _first_port(pod: Pod) -> int:
    return next((port.containerPort for each in pod.spec.containers for port in each.ports or ()), 0)
