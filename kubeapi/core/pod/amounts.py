"""Adds up amounts by resource name as the containers of a pod need them: together, or one after the other.

Source: Kubernetes documentation, "Init Containers: Resource sharing within containers" and "Sidecar Containers".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TypeVar

N = TypeVar("N", int, Fraction)


def peak_requests(
    containers: Iterable[Mapping[str, N]], init: Iterable[tuple[Mapping[str, N], bool]] = ()
) -> dict[str, N]:
    """Returns the most that the containers request at one time, by resource name.

    Containers and sidecars run together; an init container runs beside the sidecars that are started before it. `init`
    has, in the order of the spec, what each init container requests and whether it is a sidecar.
    """
    total: dict[str, N] = {}
    for amounts in containers:
        add_amounts(total, amounts)
    sidecars: dict[str, N] = {}
    peak: dict[str, N] = {}
    for amounts, sidecar in init:
        if sidecar:
            add_amounts(sidecars, amounts)
        else:
            turn = dict(sidecars)
            add_amounts(turn, amounts)
            raise_amounts(peak, turn)
    add_amounts(total, sidecars)
    raise_amounts(total, peak)
    return total


def add_amounts(total: dict[str, N], amounts: Mapping[str, N]) -> None:
    """Adds each of the amounts to the total of its resource, in place."""
    for name, value in amounts.items():
        total[name] = total[name] + value if name in total else value


def raise_amounts(total: dict[str, N], amounts: Mapping[str, N]) -> None:
    """Raises each total to at least the amount of its resource, in place."""
    for name, value in amounts.items():
        if name not in total or value > total[name]:
            total[name] = value
