"""Decides whether the quotas of a namespace have room for one request, and what they hold afterwards.

Source: Kubernetes documentation, "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apimachinery.quantity import ResourceList, parse_quantity
from kubeapi.core.resourcequota.amounts import among, exceeding, growth, positive, total
from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.core.resourcequota.model import ResourceQuota, ScopedResourceSelectorRequirement, conditions


class QuotaRefusal(Exception):
    """A quota refuses the request."""


class NotCovered(Exception):
    """No quota of the namespace is about a scope that may not be used without one."""


@dataclass(frozen=True, slots=True)
class Limited:
    """A use of a kind that is refused in a namespace that has no quota for it."""

    group: str
    plural: str
    parts: tuple[str, ...]
    """Parts of the names of resources: "cpu" is in "requests.cpu"."""
    scopes: tuple[ScopedResourceSelectorRequirement, ...]


@dataclass(frozen=True, slots=True)
class QuotaRequest:
    """`old` is the object before an update, None for a new one; `now` is Unix seconds."""

    evaluator: Evaluator
    obj: Any
    old: Any
    now: float
    limited: tuple[Limited, ...] = ()


@dataclass(slots=True)
class Ledger:
    """A quota, and what is used of it with the charges of a batch."""

    quota: ResourceQuota
    used: ResourceList

    @classmethod
    def of(cls, quota: ResourceQuota) -> Ledger:
        return cls(quota, dict(quota.status.used or {}))

    @property
    def hard(self) -> ResourceList:
        return self.quota.status.hard or {}


def charge(ledgers: Sequence[Ledger], request: QuotaRequest) -> None:
    """Books the use of a request on all quotas that are about it.

    Raises: QuotaRefusal, NotCovered, and nothing is booked.
    """
    concerned = [ledger for ledger in ledgers if _concerns(ledger, request)]
    if not concerned and not request.limited:
        return
    usage = request.evaluator.usage(request.obj, request.now)
    negative = sorted(name for name, value in usage.items() if parse_quantity(value) < 0)
    if negative:
        raise QuotaRefusal(f"quota usage is negative for resource(s): {','.join(negative)}")
    if request.limited:
        _check_covered(ledgers, concerned, request, usage)
    booked = [(ledger, _booking(ledger, request, usage)) for ledger in concerned]
    for ledger, amounts in booked:
        _check_room(ledger, amounts)
    for ledger, amounts in booked:
        ledger.used = total(ledger.used, amounts)


def _concerns(ledger: Ledger, request: QuotaRequest) -> bool:
    """Raises: QuotaRefusal if the object does not state what the quota counts, or the use so far is not known."""
    evaluator, name, hard = request.evaluator, ledger.quota.name, ledger.hard
    if not evaluator.concerns(ledger.quota, request.obj, hard):
        return False
    measured = [resource for resource in hard if evaluator.measures(resource)]
    if missing := evaluator.missing(request.obj, measured):
        raise QuotaRefusal(f"failed quota: {name}: {missing}")
    if any(resource not in ledger.used for resource in measured):
        raise QuotaRefusal(f"status unknown for quota: {name}, resources: {','.join(sorted(measured))}")
    return True


def _booking(ledger: Ledger, request: QuotaRequest, usage: Mapping[str, str]) -> ResourceList:
    """Returns what a quota is charged: of an object that it was about before, the growth alone."""
    old = request.old
    if old is not None and request.evaluator.concerns(ledger.quota, old, ledger.hard):
        usage = growth(usage, request.evaluator.usage(old, request.now))
    return among(positive(usage), ledger.hard)


def _check_covered(
    ledgers: Sequence[Ledger], concerned: Sequence[Ledger], request: QuotaRequest, usage: Mapping[str, str]
) -> None:
    """Raises: QuotaRefusal, NotCovered if the request uses what is limited, and no quota is about that."""
    evaluator, obj, old = request.evaluator, request.obj, request.old
    grown = positive(growth(usage, evaluator.usage(old, request.now)) if old is not None else usage)
    if not grown:
        return
    covered = {name for ledger in concerned for name in ledger.hard if evaluator.measures(name)}
    parts = [
        part
        for limited in request.limited
        if (limited.group, limited.plural) == (evaluator.group, evaluator.plural)
        for part in limited.parts
    ]
    names = sorted(name for name in grown if name not in covered and any(part in name for part in parts))
    if names:
        raise QuotaRefusal(f"insufficient quota to consume: {','.join(names)}")
    scopes = {
        item.scopeName for ledger in ledgers for item in conditions(ledger.quota.spec) if evaluator.in_scope(obj, item)
    }
    without = [
        item
        for limited in request.limited
        for item in limited.scopes
        if evaluator.in_scope(obj, item) and item.scopeName not in scopes
    ]
    if without:
        texts = (f"{{{item.scopeName} {item.operator} [{' '.join(item.values or ())}]}}" for item in without)
        raise NotCovered(f"insufficient quota to match these scopes: [{' '.join(texts)}]")


def _check_room(ledger: Ledger, amounts: ResourceList) -> None:
    over = exceeding(among(total(ledger.used, amounts), amounts), ledger.hard)
    if over:
        raise QuotaRefusal(
            f"exceeded quota: {ledger.quota.name}, requested: {_text(amounts, over)}, "
            f"used: {_text(ledger.used, over)}, limited: {_text(ledger.hard, over)}"
        )


def _text(amounts: Mapping[str, str], names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in sorted(names))
