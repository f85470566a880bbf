"""`kube-scheduler --explain NAMESPACE/POD`: shows why each node was refused, or how it scored, and ends.

It schedules nothing: it reads the cluster once, like a scheduler that has just started, and asks the plugins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scheduler.core.explanation import Explanation, explain
from scheduler.core.scheduler import Scheduler
from scheduler.framework import Cycle
from scheduler.views.pod import Pod


class NothingToExplain(Exception):
    """The pod is missing or belongs to another scheduler; the text says which."""


async def explain_pod(scheduler: Scheduler, key: str) -> str:
    """Returns the text for the pod "namespace/name". One that has a node is looked at as if it had none.

    Raises: NothingToExplain.
    """
    pod = scheduler.find(key)
    if pod is None:
        raise NothingToExplain(f"there is no pod {key} that is still to run")
    if pod.spec.schedulerName not in scheduler.profiles:
        raise NothingToExplain(f"pod {key} is for the scheduler {pod.spec.schedulerName}")
    scheduler.cache.remove_pod(pod)
    node, pod = pod.spec.nodeName or "", pod.clone()
    pod.spec.nodeName = None
    await scheduler.profiles.prepare()
    explanation = await _explanation(scheduler, pod)
    return "\n".join(_lines(key, node, explanation, scheduler.cache.table.count)) + "\n"


async def _explanation(scheduler: Scheduler, pod: Pod) -> Explanation:
    """Asks the plugins, then those that they consult about the nodes that would do, then the plugins again."""
    framework, table = scheduler.profiles.framework_of(pod), scheduler.cache.table
    shape = scheduler.cache.shapes.of(pod)
    explanation = explain(framework, table, Cycle(pod, shape))
    if not framework.consults or not explanation.scores:
        return explanation
    advised = Cycle(pod, shape)
    for plugin in framework.consults:
        rejected = await plugin.consult(advised, list(explanation.scores))
        if rejected is not None:
            explanation.rejections[plugin.name] = rejected.reason
            return explanation
    return explain(framework, table, advised)


def _lines(key: str, node: str, explanation: Explanation, nodes: int) -> Iterable[str]:
    where = f"runs on {node}" if node else "has no node"
    yield f"Pod {key} {where}. Nodes that would do now: {len(explanation.scores)} of {nodes}."
    if explanation.rejections:
        yield from ("", "Whatever the node:")
        yield from _table(("PLUGIN", "REASON"), sorted(explanation.rejections.items()))
    if explanation.scores:
        plugins = list(next(iter(explanation.scores.values())))
        rows = [
            (name, f"{sum(scores.values()):g}", *(f"{scores[plugin]:g}" for plugin in plugins))
            for name, scores in explanation.scores.items()
        ]
        yield from ("", "Scores, times their weights:")
        yield from _table(("NODE", "TOTAL", *plugins), rows)
    if explanation.refusals:
        refusals = [
            (name, plugin, reason)
            for name, reasons in sorted(explanation.refusals.items())
            for plugin, reason in reasons.items()
        ]
        yield from ("", "Refused:")
        yield from _table(("NODE", "PLUGIN", "REASON"), refusals)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
