"""Asks kubelets for their use of resources when somebody wants to know, and keeps each answer for a few seconds.

A question about pods goes to their own nodes alone, so that an autoscaler's costs what its pods are spread over, not
what the cluster has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import orjson

from apimachinery.errors import StatusError
from apiserver.proxy.kubelet import Kubelets, Location, refusal
from componentbase import logs
from componentbase.clock import Clock
from metrics_server.answers import SharedAnswers
from metrics_server.usage import NodeUsage, read_summary

PATH = "/stats/summary?only_cpu_and_memory=true"
KEEP_SECONDS = 5.0
ANSWER_SECONDS = 10.0
PARALLEL = 32  # kubelets asked at once; the rest wait
MAX_NODES = 10_000  # whose answers are kept

log = logs.logger(__name__)


class UsageCollector:
    def __init__(self, kubelets: Kubelets, locate: Callable[[str], Location | None], clock: Clock) -> None:
        """`locate` tells where the kubelet of a node listens, by the node's name."""
        self._kubelets, self._locate = kubelets, locate
        self._answers = SharedAnswers[NodeUsage | None](
            clock, keep_seconds=KEEP_SECONDS, parallel=PARALLEL, most=MAX_NODES
        )

    async def of_nodes(self, names: Iterable[str]) -> dict[str, NodeUsage]:
        """Returns the answers by node; a kubelet that can't be asked has none."""
        wanted = list(dict.fromkeys(names))
        answers = await asyncio.gather(*(self._of_node(name) for name in wanted))
        return {name: answer for name, answer in zip(wanted, answers, strict=True) if answer is not None}

    async def _of_node(self, name: str) -> NodeUsage | None:
        location = self._locate(name)
        if location is None:
            return None  # to be asked as soon as it is known where it is
        return await self._answers.get(name, lambda before: self._ask(location))

    async def _ask(self, location: Location) -> NodeUsage | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return read_summary(orjson.loads(await self._body(location)))
        except (StatusError, ConnectionError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("node's use of resources not known", node=location.node, error=str(error))
            return None

    async def _body(self, location: Location) -> bytes:
        answer = await self._kubelets.open(location, PATH, [(b"connection", b"close")])
        if answer.status != 200:
            raise await refusal(answer)
        try:
            return await answer.read()
        finally:
            answer.close()
