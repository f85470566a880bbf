"""Extenders: lets programs elsewhere filter, rate and bind, as a plugin among the others.

They are asked before a pod's attempt, about the nodes that all other plugins let pass, and the scheduler waits for
them. The attempt itself then runs as ever, with what they said. When no node is left, they are asked about the nodes
where preemption might make room.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import orjson

from apimachinery.errors import StatusError
from apimachinery.model import to_dict
from componentbase import logs
from scheduler.events import ASSIGNED_POD, NODE, WAITING_POD, Change
from scheduler.extenders.client import MAX_PRIORITY, Document, ExtenderClient, ExtenderError
from scheduler.extenders.model import Extender
from scheduler.extenders.victims import chosen, present
from scheduler.framework import MAX_SCORE, SKIP, Cycle, Handle, Plugin, PluginArguments, PluginSpec, Rejected, Skip
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, Rows
from scheduler.state.victims import Preemption

NAME = "Extenders"
MOST_RATING = 2**53
"""An extender may answer with any number and have any weight, but the scores of all plugins are added up."""

log = logs.logger(__name__)


class ExtendersArgs(PluginArguments):
    """What the configuration has of extenders."""

    extenders: list[Extender] | None = None


@dataclass(slots=True)
class Advice:
    """What the extenders say about the nodes for one pod."""

    nodes: list[str]
    """Those that are left."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Node -> why it was refused."""
    curable: set[str] = field(default_factory=set)
    """The refused nodes that might do if pods there were gone."""
    scores: Counter[str] = field(default_factory=Counter)


class Extenders(Plugin):
    local = False
    counts_pods = False
    supposes = False  # they were asked about the nodes as they are, and only about those that would do

    def __init__(self, name: str, handle: Handle) -> None:
        """Raises: ValueError for certificates that can't be read."""
        super().__init__(name, handle)
        try:
            self._clients = [ExtenderClient(item) for item in self.args(ExtendersArgs).extenders or ()]
        except OSError as error:  # that of TLS is one
            raise ValueError(f"extenders: tlsConfig: {error}") from None

    async def run(self) -> None:
        """Closes connections at the end."""
        try:
            await asyncio.Future()
        finally:
            for client in self._clients:
                await client.aclose()

    # before the attempt

    async def consult(self, cycle: Cycle, nodes: Sequence[str]) -> Rejected | None:
        clients = [client for client in self._clients if client.concerns(cycle.shape.requests)]
        clients = [item for item in clients if item.extender.filterVerb or item.extender.prioritizeVerb]
        if not clients:
            return None
        names_suffice = all(item.extender.nodeCacheCapable for item in clients)
        try:
            pod = await self._read(_path(cycle))
            listing = {"items": []} if names_suffice else await self._read("/api/v1/nodes")
        except (StatusError, ConnectionError, TimeoutError) as error:
            return Rejected(str(error))
        whole = {item["metadata"]["name"]: item for item in listing["items"]}
        advice = Advice(list(nodes))
        for client in clients:
            try:
                await _ask(client, pod, advice, whole)
            except ExtenderError as error:
                if not client.extender.ignorable:
                    return Rejected(str(error))
                log.warning("extender ignored", pod=cycle.pod.key, error=str(error))
        cycle.state[self.name] = advice
        return None

    async def _read(self, path: str, **parameters: str) -> Document:
        """Returns a whole object or list: the scheduler's own views of them lack most. Raises as RestClient."""
        rest = self.handle.rest
        if rest is None:
            raise RuntimeError("extenders need an API server")
        answer = await rest.request("GET", path, params={"resourceVersion": "0"} | parameters)
        document: Document = orjson.loads(answer)
        return document

    # the attempt

    def pre_filter(self, cycle: Cycle) -> Skip | None:
        return None if self.name in cycle.state else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        advice: Advice = cycle.state[self.name]
        mask = np.zeros(len(self.table.valid), np.bool_)
        mask[[row for name in advice.nodes if (row := self.table.rows.get(name)) is not None]] = True
        return mask[rows]

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        advice: Advice = cycle.state[self.name]
        return Counter(advice.reasons.get(self.table.names[row], "node(s) were refused by an extender") for row in rows)

    def curable(self, cycle: Cycle, rows: IntArray) -> BoolArray:
        advice: Advice = cycle.state[self.name]
        return np.array([self.table.names[row] in advice.curable for row in rows], np.bool_)

    async def review_victims(self, cycle: Cycle, candidates: Sequence[Preemption]) -> Sequence[Preemption] | Rejected:
        clients = [client for client in self._clients if client.extender.preemptVerb]
        clients = [client for client in clients if client.concerns(cycle.shape.requests)]
        if not clients:
            return candidates
        try:
            pod = await self._read(_path(cycle))
            for client in clients:
                candidates = await self._review(client, pod, candidates) if candidates else candidates
        except (ExtenderError, StatusError, ConnectionError, TimeoutError) as error:
            return Rejected(str(error))
        return present(candidates, self.handle.cache)

    async def _review(
        self, client: ExtenderClient, pod: Document, candidates: Sequence[Preemption]
    ) -> Sequence[Preemption]:
        """Asks one extender. Raises: ExtenderError unless it is ignorable, and as RestClient."""
        pods: dict[str, Document] = {}
        for item in candidates if not client.extender.nodeCacheCapable else ():
            listing = await self._read("/api/v1/pods", fieldSelector=f"spec.nodeName={item.node}")
            whole = {document["metadata"]["uid"]: document for document in listing["items"]}
            # One that waits at Permit has no node in the API.
            pods |= {pod.uid: whole.get(pod.uid) or to_dict(pod.pod) for pod in item.victims}
        try:
            return chosen(client, await client.preempt(pod, candidates, pods), candidates, self.handle.cache)
        except ExtenderError as error:
            if not client.extender.ignorable:
                raise
            log.warning("extender ignored", pod=pod["metadata"]["name"], error=str(error))
            return candidates

    def pre_score(self, cycle: Cycle) -> Skip | None:
        return self.pre_filter(cycle)

    def score(self, cycle: Cycle, rows: Rows) -> IntArray:
        """Adds up the extenders' ratings times their weights; together they may count for more than MAX_SCORE."""
        advice: Advice = cycle.state[self.name]
        numbers = np.arange(len(self.table.names))[rows]
        scores = [advice.scores[self.table.names[row]] * (MAX_SCORE // MAX_PRIORITY) for row in numbers]
        return np.array([min(max(score, -MOST_RATING), MOST_RATING) for score in scores], np.int64)

    async def bind(self, cycle: Cycle, node: str) -> bool:
        for client in self._clients:
            if client.extender.bindVerb and client.concerns(cycle.shape.requests):
                meta = cycle.pod.metadata
                await client.bind(meta.name or "", meta.namespace or "", meta.uid or "", node)
                return True
        return False


def _path(cycle: Cycle) -> str:
    return f"/api/v1/namespaces/{cycle.pod.metadata.namespace}/pods/{cycle.pod.metadata.name}"


async def _ask(client: ExtenderClient, pod: Document, advice: Advice, whole: Mapping[str, Document]) -> None:
    """Takes in what one extender says of the nodes that those before it left. Raises: ExtenderError."""
    if client.extender.filterVerb and advice.nodes:
        filtered = await client.filter(pod, advice.nodes, whole)
        gone = [name for name in advice.nodes if name not in filtered.nodes]
        advice.curable.update(filtered.curable.intersection(gone))
        advice.reasons |= {name: filtered.reasons[name] for name in gone if name in filtered.reasons}
        advice.nodes = [name for name in advice.nodes if name in filtered.nodes]
    if client.extender.prioritizeVerb and advice.nodes:
        for name, score in (await client.prioritize(pod, advice.nodes, whole)).items():
            advice.scores[name] += score * (client.extender.weight or 0)


def extenders_spec(extenders: list[Extender]) -> PluginSpec:
    return PluginSpec(
        NAME,
        Extenders,
        weight=1,
        order=99,
        args=ExtendersArgs(extenders=extenders),
        requeue_on=dict.fromkeys((NODE, ASSIGNED_POD, WAITING_POD), Change.ANY),  # nobody knows what would help
    )


def ignoring(spec: PluginSpec, extenders: list[Extender]) -> PluginSpec:
    """Returns NodeResourcesFit, or another plugin with such an argument, without the resources extenders see to."""
    names = [item.name for extender in extenders for item in extender.managedResources or () if item.ignoredByScheduler]
    if not names or spec.arguments is None or "ignoredResources" not in spec.arguments.model_fields:
        return spec
    args = spec.args or spec.arguments()
    own: list[str] = args.model_dump().get("ignoredResources") or []
    return replace(spec, args=args.model_copy(update={"ignoredResources": names + own}))
