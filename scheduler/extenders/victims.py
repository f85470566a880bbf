"""Turns the victims that an extender names into preemptions, by what the cache has of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scheduler.extenders.client import ExtenderClient, ExtenderError, NamedVictims
from scheduler.state.cache import SchedulerCache
from scheduler.state.podinfo import PodInfo
from scheduler.state.victims import Preemption, preemption


def chosen(
    client: ExtenderClient, named: Mapping[str, NamedVictims], asked: Sequence[Preemption], cache: SchedulerCache
) -> list[Preemption]:
    """Returns what the extender left of what it was `asked`; it may name other nodes and other pods on them.

    Raises: ExtenderError for pods that are not there, and for a node without victims unless it is ignorable.
    """
    victims = {(item.node, pod.uid): pod for item in asked for pod in item.victims}
    nodes = {item.node for item in asked}
    result = []
    for node, answer in named.items():
        if node not in cache.table.rows and node not in nodes:
            raise ExtenderError(f'nodeinfo not found for node name "{node}"')
        if answer.uids:
            pods = [victims.get((node, uid)) or _resident(client, uid, node, cache) for uid in answer.uids]
            result.append(preemption(node, pods, answer.violated))
        elif not client.extender.ignorable:
            raise ExtenderError(f'expected at least one victim pod on node "{node}"')
    return result


def _resident(client: ExtenderClient, uid: str, node: str, cache: SchedulerCache) -> PodInfo:
    pod = cache.get(uid)
    if pod is None or pod.node != node:
        raise ExtenderError(
            f"extender: {client.name} claims to preempt pod (UID: {uid}) on node: {node}, but the pod is not found on "
            "that node"
        )
    return pod


def present(candidates: Sequence[Preemption], cache: SchedulerCache) -> list[Preemption]:
    """Returns the candidates with those of their victims that are still there."""
    result = []
    for item in candidates:
        residents = [cache.get(pod.uid) for pod in item.victims]
        victims = [pod for pod in residents if pod is not None and pod.node == item.node]
        if victims and item.node in cache.table.rows:
            result.append(Preemption(item.node, victims, item.violated))
    return result
