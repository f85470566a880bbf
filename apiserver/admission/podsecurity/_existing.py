"""Warnings about pods that were there before their namespace asked for a stricter level."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from apimachinery.meta import controller_of
from apimachinery.model import decode
from apiserver.admission._plugin import Lookup
from apiserver.admission.podsecurity._policy import LevelVersion
from apiserver.admission.podsecurity._standards import reasons, violations
from apiserver.admission.podsecurity._violation import plural
from kubeapi.core.pod.model import Pod

T = TypeVar("T")

PODS_BETWEEN_PAUSES = 50  # checked in one go, some milliseconds; then other requests have their turn


@dataclass(frozen=True)
class Limits:
    """How far the pods of a namespace are looked at; upstream's bounds."""

    pods: int = 3000
    seconds: float = 1.0


DEFAULT_LIMITS = Limits()


async def warnings(
    lookup: Lookup, namespace: str, asked: LevelVersion, exempt_runtimes: frozenset[str], limits: Limits
) -> list[str]:
    """Returns what to say about the pods of a namespace that break the level it asks for now."""
    page = await lookup.storage.list(lookup.resource("pods"), namespace, revision=0)
    deadline = asyncio.get_running_loop().time() + limits.seconds
    decoded = [decode(Pod, entry.value) async for entry in _paced(page.entries[: limits.pods], deadline)]
    left_out = len(page.entries) - len(decoded)
    pods = one_of_each_owner_first(pod for pod in decoded if (pod.spec.runtimeClassName or "") not in exempt_runtimes)
    names_by_rules: dict[str, list[str]] = {}
    checked = 0
    async for pod in _paced(pods, deadline):
        if broken := reasons(violations(asked, pod.annotations, pod.spec)):
            names_by_rules.setdefault(broken, []).append(pod.name)
        checked += 1
    total = len(pods) + left_out
    lines = []
    if checked < total:
        lines.append(f"new PodSecurity enforce level only checked against the first {checked} of {total} existing pods")
    if names_by_rules:
        lines.append(f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{asked}"')
    return lines + sorted(f"{_first_of(names)}: {broken}" for broken, names in names_by_rules.items())


def _first_of(names: Sequence[str]) -> str:
    """["b", "a"] -> "a (and 1 other pod)"."""
    others = len(names) - 1
    more = f" (and {others} other {plural(others, 'pod', 'pods')})" if others else ""
    return f"{min(names)}{more}"


async def _paced(items: Sequence[T], deadline: float) -> AsyncIterator[T]:
    """Yields items with pauses for other requests, until the loop's time is `deadline`."""
    for index, item in enumerate(items):
        if index % PODS_BETWEEN_PAUSES == PODS_BETWEEN_PAUSES - 1:
            await asyncio.sleep(0)
            if asyncio.get_running_loop().time() > deadline:
                return
        yield item


def one_of_each_owner_first(pods: Iterable[Pod]) -> list[Pod]:
    """Sorts so that a bound leaves out repetitions: pods of one controller are much alike."""
    first: list[Pod] = []
    repeated: list[Pod] = []
    owners: set[str] = set()
    for pod in pods:
        owner = controller_of(pod)
        if owner is None or owner.uid not in owners:
            first.append(pod)
        else:
            repeated.append(pod)
        if owner is not None:
            owners.add(owner.uid)
    return first + repeated
