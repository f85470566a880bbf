"""Reads from the node table how much there is of the resources that nodes are compared by, and how much would be used.

Source: Kubernetes, "Resource Bin Packing"; kube-scheduler Configuration (v1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from apimachinery.errors import FieldError, duplicate, invalid, required
from apimachinery.model import Model
from scheduler.state.resources import CPU, EPHEMERAL_STORAGE, MEMORY
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import NodeTable, Rows

CORE = {CPU: 1, MEMORY: 1}
"""The resources, with their weights, that nodes are compared by unless a configuration names others."""


class ResourceSpec(Model):
    """A resource that nodes are compared by."""

    name: str = ""
    """Such as cpu, memory or example.com/gpu."""
    weight: int | None = None
    """Its weight against the others', 1 to 100. Default: 1."""


def resource_errors(resources: list[ResourceSpec] | None, path: str, heaviest: int = 100) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, item in enumerate(resources or ()):
        where = f"{path}[{index}]"
        if not item.name:
            errors.append(required(f"{where}.name"))
        if item.name in names:
            errors.append(duplicate(f"{where}.name", item.name))
        names.add(item.name)
        if item.weight is not None and not 1 <= item.weight <= heaviest:
            errors.append(invalid(f"{where}.weight", item.weight, f"resource weight not in valid range [1-{heaviest}]"))
    return errors


@dataclass(frozen=True, slots=True)
class Usage:
    """Has one row for each resource, and one column for each node."""

    capacity: IntArray
    used: IntArray
    """With the pod."""
    weights: IntArray
    """A column."""


class ComparedResources:
    """The resources that nodes are compared by, with their weights."""

    def __init__(self, resources: list[ResourceSpec] | None) -> None:
        self.weights: Mapping[str, int] = {item.name: item.weight or 1 for item in resources or ()} or CORE
        self.are_core = self.weights.keys() == CORE.keys()
        """True for CPU and memory, in this order: most pods, for which fewer steps are taken."""
        self._core_weights = np.array([[self.weights.get(name, 0)] for name in CORE], np.int64)

    def usage(self, table: NodeTable, shape: Shape, rows: Rows, *, defaults: bool) -> Usage:
        """With `defaults`, containers that ask for no CPU or memory count with some nevertheless."""
        if not self.are_core:
            return self._usage(table, shape, rows, defaults=defaults)
        capacity = table.allocatable[:2, rows]
        if defaults:
            asked = np.array(((shape.scoring_cpu,), (shape.scoring_memory,)))
            return Usage(capacity, table.scoring[:, rows] + asked, self._core_weights)
        asked = np.array(((shape.requests.get(CPU, 0),), (shape.requests.get(MEMORY, 0),)))
        return Usage(capacity, capacity - table.free[:2, rows] + asked, self._core_weights)

    def _usage(self, table: NodeTable, shape: Shape, rows: Rows, *, defaults: bool) -> Usage:
        """Leaves out extended resources that the pod doesn't ask for."""
        names = [name for name in self.weights if name in table.resources and _counts(name, shape)]
        numbers = np.array([table.resources[name] for name in names], np.int64)
        capacity = table.allocatable[numbers][:, rows]
        used = capacity - table.free[numbers][:, rows] + _column(shape.requests.get(name, 0) for name in names)
        if defaults:
            for row, name in enumerate(names):
                if name in CORE:
                    used[row] = table.scoring[table.resources[name], rows]
                    used[row] += shape.scoring_cpu if name == CPU else shape.scoring_memory
        return Usage(capacity, used, _column(self.weights[name] for name in names))


def _column(values: Iterable[int]) -> IntArray:
    return np.fromiter(values, np.int64).reshape(-1, 1)


def _counts(name: str, shape: Shape) -> bool:
    return name in (CPU, MEMORY, EPHEMERAL_STORAGE) or bool(shape.requests.get(name))
