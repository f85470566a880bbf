"""Computes what the status of a quota should say, and remembers which charges may be younger than what is seen.

The API server charges a quota before it stores the object. Whoever counts objects meanwhile misses it, and would give
its share out a second time: so what was charged within the last IN_FLIGHT_SECONDS is taken as used, seen or not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from apimachinery.quantity import ResourceList, add_quantities, parse_quantity
from kubeapi.core.resourcequota.amounts import growth, positive, total
from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.core.resourcequota.model import ResourceQuota, conditions

IN_FLIGHT_SECONDS = 2.0
"""The longest that storing an object and hearing of it is expected to take."""
MAX_CHARGES = 1000
"""The most charges of a quota to keep apart; further ones count as made with the last."""


def usage_of(quota: ResourceQuota, evaluator: Evaluator, objects: Iterable[tuple[Any, ResourceList]]) -> ResourceList:
    """Adds up what objects of one kind use of a quota; `objects` come with their use of everything."""
    used = {name: "0" for name in quota.spec.hard or () if evaluator.measures(name)}
    scopes = conditions(quota.spec)
    for obj, amounts in objects:
        if all(evaluator.in_scope(obj, condition) for condition in scopes):
            for name in used:
                if name in amounts:
                    used[name] = add_quantities(used[name], amounts[name])
    return used


def settled(used: Mapping[str, str], counted: Mapping[str, str], charged: Mapping[str, str]) -> ResourceList:
    """Returns what is used, resource by resource: what was counted, and of what was charged lately as much as the
    status has of it. Resources that were not counted keep their amount."""
    result = dict(used)
    for name, value in counted.items():
        most = add_quantities(value, charged[name]) if name in charged else value
        stated = used.get(name, "0")
        if parse_quantity(stated) <= parse_quantity(value):
            result[name] = value
        else:
            result[name] = min(stated, most, key=parse_quantity)
    return result


class Charges:
    """The recent charges to quotas, as seen in their statuses."""

    def __init__(self) -> None:
        self._charges: dict[str, deque[tuple[float, ResourceList]]] = {}

    def note(self, old: ResourceQuota | None, new: ResourceQuota, now: float) -> None:
        """Notes what a status has more than before. Of a quota that is new to this process, all is as if charged just
        now. `now` is monotonic seconds."""
        before = old.status.used if old is not None else None
        if charged := positive(growth(new.status.used or {}, before or {})):
            charges = self._charges.setdefault(new.key, deque())
            if len(charges) >= MAX_CHARGES:
                charged = total(charges.pop()[1], charged)
            charges.append((now, charged))

    def since(self, key: str, seconds: float, now: float) -> ResourceList:
        """Returns what was charged to a quota in the last so many seconds."""
        charges = self._charges.get(key)
        while charges and charges[0][0] < now - seconds:
            charges.popleft()
        if not charges:
            self._charges.pop(key, None)
            return {}
        charged: ResourceList = {}
        for _, amounts in charges:
            charged = total(charged, amounts)
        return charged

    def forget(self, key: str) -> None:
        self._charges.pop(key, None)
