"""What nodes and pods use, as tables show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from apimachinery.columns import NAME
from apimachinery.quantity import ResourceList, format_quantity, parse_quantity
from apimachinery.resource import Column

GROUP, VERSION = "metrics.k8s.io", "v1beta1"


def usage_columns(usages: Callable[[Any], Iterable[ResourceList]]) -> tuple[Column, ...]:
    """Makes the columns of a kind whose object has these usages, which are shown as their sum."""

    def total(name: str, like: str) -> Callable[[Any, float], str]:
        return lambda obj, now: format_quantity(
            sum(parse_quantity(usage[name]) for usage in usages(obj) if name in usage), like
        )

    return (
        NAME,
        Column("cpu", total("cpu", "DecimalSI"), "The CPU time per second, in CPUs.", "quantity"),
        Column("memory", total("memory", "BinarySI"), "The working set, in bytes.", "quantity"),
        Column("Window", lambda obj, now: obj.window, "The time that CPU use is taken over.", "duration"),
    )
