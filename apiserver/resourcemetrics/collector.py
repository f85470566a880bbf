"""Asks kubelets for their use of resources when somebody wants to know, and keeps each answer for a few seconds.

A question about pods goes to their own nodes alone, so that an autoscaler's costs what its pods are spread over, not
what the cluster has.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

import orjson

from apimachinery.errors import StatusError
from apiserver.proxy.kubelet import KubeletClient, refusal
from apiserver.resourcemetrics.usage import NodeUsage, read_summary
from componentbase import logs
from componentbase.clock import Clock

PATH = "/stats/summary?only_cpu_and_memory=true"
KEEP_SECONDS = 5.0
ANSWER_SECONDS = 10.0
PARALLEL = 32  # kubelets asked at once; the rest wait
MAX_NODES = 10_000  # answers kept; the oldest goes first

log = logs.logger(__name__)


class UsageCollector:
    """One question to a kubelet at a time: those that come meanwhile share its answer."""

    def __init__(self, kubelet: KubeletClient, clock: Clock) -> None:
        self._kubelet = kubelet
        self._clock = clock
        self._slots = asyncio.Semaphore(PARALLEL)
        self._answers: OrderedDict[str, tuple[float, asyncio.Future[NodeUsage | None]]] = OrderedDict()

    async def of_nodes(self, names: Iterable[str]) -> dict[str, NodeUsage]:
        """Returns the answers by node; a kubelet that can't be asked has none."""
        wanted = list(dict.fromkeys(names))
        answers = await asyncio.gather(*(self._of_node(name) for name in wanted))
        return {name: answer for name, answer in zip(wanted, answers, strict=True) if answer is not None}

    async def _of_node(self, name: str) -> NodeUsage | None:
        now = self._clock.monotonic()
        asked_at, answer = self._answers.get(name, (0.0, None))
        if answer is None or now - asked_at >= KEEP_SECONDS:
            answer = asyncio.ensure_future(self._ask(name))
            self._answers[name] = now, answer
            self._answers.move_to_end(name)
            if len(self._answers) > MAX_NODES:
                self._answers.popitem(last=False)
        return await asyncio.shield(answer)  # others may wait for it, too

    async def _ask(self, name: str) -> NodeUsage | None:
        try:
            async with self._slots, asyncio.timeout(ANSWER_SECONDS):
                return read_summary(orjson.loads(await self._body(name)))
        except (StatusError, ConnectionError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("node's use of resources not known", node=name, error=str(error))
            return None

    async def _body(self, name: str) -> bytes:
        answer = await self._kubelet.open(await self._kubelet.locate(name), PATH, [(b"connection", b"close")])
        if answer.status != 200:
            raise await refusal(answer)
        try:
            return await answer.read()
        finally:
            answer.close()
