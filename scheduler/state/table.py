"""Keeps nodes as columns: one array element a node, updated in place, so that a filter is a few operations on arrays.

A node keeps its row while it exists; `valid` marks rows in use, and `changed` holds the revision at which anything in a
row last changed, so that what was worked out for many pods alike is corrected for changed rows alone.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from kubeapi.core.pod.scheduling.tolerations import TaintKey, taint_key
from scheduler.state.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, amounts
from scheduler.state.shape import IntArray, Shape
from scheduler.views.node import Node

FIRST_CAPACITY = 64
LABEL_COLUMNS = 128  # label keys kept as columns; the longest unused is dropped and made again from the nodes' labels

BoolArray = NDArray[np.bool_]
IdArray = NDArray[np.int32]
Rows = slice | IntArray
"""A slice of all rows, or an array of row numbers. Columns are read as `column[..., rows]`."""


class LabelColumn:
    """Numbers the values of one label key: `ids[row]` is an index into `values`, -1 where the node lacks it."""

    def __init__(self, capacity: int) -> None:
        self.ids: IdArray = np.full(capacity, -1, np.int32)
        self.values: list[str] = []
        self._index: dict[str, int] = {}

    def set(self, row: int, value: str | None) -> None:
        if value is None:
            self.ids[row] = -1
            return
        number = self._index.get(value)
        if number is None:
            number = self._index[value] = len(self.values)
            self.values.append(value)
        self.ids[row] = number

    def numbers(self, values: Iterable[str]) -> list[int]:
        """Returns the numbers of those values that some node has or had."""
        return [number for value in values if (number := self._index.get(value)) is not None]

    def sums(self, counts: IntArray, mask: BoolArray) -> IntArray:
        """Adds up `counts` by topology domain: for each value number, over the rows in `mask` that have the value.

        The last element, which the -1 of rows without the label finds, is 0. `counts` and `mask` cover the whole table.
        """
        rows = np.flatnonzero(mask & (self.ids >= 0))
        sums = np.bincount(self.ids[rows], weights=counts[rows], minlength=len(self.values) + 1)
        return sums.astype(np.int64)


class NodeTable:
    """Holds everything that filters and scores read of nodes. The cache writes it."""

    def __init__(self) -> None:
        self.size = 0
        """The number of rows ever used; those beyond are not looked at."""
        self.revision = 0
        self.layout = 0
        """Grows when nodes come or go."""
        self.rows: dict[str, int] = {}
        self.names: list[str] = []
        self.labels: list[dict[str, str]] = []
        self.resources: dict[str, int] = {CPU: 0, MEMORY: 1, EPHEMERAL_STORAGE: 2, PODS: 3}
        """Resource name -> its number, the first index of `allocatable` and `free`."""
        self.taint_sets: list[tuple[TaintKey, ...]] = [()]
        """Distinct taints; `taint_set[row]` is an index, 0 for none."""
        self.port_users: dict[tuple[str, int], dict[int, Counter[str]]] = {}
        """(protocol, port) -> row -> addresses in use."""
        self.images: dict[str, dict[int, int]] = {}
        """Image name -> row -> its size in bytes."""
        self._capacity = FIRST_CAPACITY
        self.allocatable: IntArray = np.zeros((len(self.resources), FIRST_CAPACITY), np.int64)
        self.free: IntArray = np.zeros_like(self.allocatable)
        """Allocatable minus what the pods on the node ask for; below zero on an overcommitted node."""
        self.scoring: IntArray = np.zeros((2, FIRST_CAPACITY), np.int64)
        """CPU and memory asked for, with defaults for containers that ask for nothing."""
        self.valid: BoolArray = np.zeros(FIRST_CAPACITY, np.bool_)
        self.unschedulable: BoolArray = np.zeros(FIRST_CAPACITY, np.bool_)
        self.taint_set: IdArray = np.zeros(FIRST_CAPACITY, np.int32)
        self.changed: IntArray = np.zeros(FIRST_CAPACITY, np.int64)
        self._taint_numbers: dict[tuple[TaintKey, ...], int] = {(): 0}
        self._free_rows: list[int] = []
        self._columns: OrderedDict[str, LabelColumn] = OrderedDict()
        self._row_images: dict[int, dict[str, int]] = {}

    @property
    def everything(self) -> slice:
        return slice(0, self.size)

    @property
    def count(self) -> int:
        """The number of nodes that exist."""
        return len(self.rows)

    def changed_since(self, revision: int) -> IntArray:
        """Returns the rows that changed after `revision`."""
        return (self.changed[: self.size] > revision).nonzero()[0]

    def label(self, key: str) -> LabelColumn:
        """Returns the column of a label key, kept up to date from now on."""
        column = self._columns.get(key)
        if column is None or len(column.values) > 4 * self._capacity:  # values of nodes that are gone pile up
            column = self._columns[key] = LabelColumn(self._capacity)
            for row in self.rows.values():
                column.set(row, self.labels[row].get(key))
            if len(self._columns) > LABEL_COLUMNS:
                self._columns.popitem(last=False)
        else:
            self._columns.move_to_end(key)
        return column

    def vector(self, shape: Shape) -> tuple[IntArray, IntArray]:
        """Returns what a pod asks for: resource numbers, and for each the amount, above zero."""
        if shape.vector is None:
            requests = {name: value for name, value in shape.requests.items() if value > 0}
            numbers = np.array([self._resource(name) for name in requests], np.int64)
            shape.vector = (numbers, np.array(list(requests.values()), np.int64))
        return shape.vector

    # nodes

    def put(self, node: Node) -> int:
        """Takes in a node, new or changed, and returns its row."""
        row = self.rows.get(node.name)
        if row is None:
            row = self._new_row(node.name)
        self._set_allocatable(row, amounts(node.status.allocatable))
        self._set_labels(row, node.labels)
        taints = tuple(taint_key(taint) for taint in node.spec.taints or ())
        self.taint_set[row] = self._taints(taints)
        self.unschedulable[row] = bool(node.spec.unschedulable)
        self._set_images(row, node)
        self.touch(row)
        return row

    def drop(self, name: str) -> None:
        """Forgets a node, and with it what its pods ask for."""
        row = self.rows.pop(name)
        self.names[row] = ""
        self.labels[row] = {}
        self.valid[row] = False
        self.unschedulable[row] = False
        self.taint_set[row] = 0
        self.allocatable[:, row] = 0
        self.free[:, row] = 0
        self.scoring[:, row] = 0
        for column in self._columns.values():
            column.set(row, None)
        for port, users in list(self.port_users.items()):
            if users.pop(row, None) is not None and not users:
                del self.port_users[port]
        for image in self._row_images.pop(row, {}):
            self._drop_image(image, row)
        self._free_rows.append(row)
        self.layout += 1
        self.touch(row)

    def touch(self, row: int) -> None:
        self.revision += 1
        self.changed[row] = self.revision

    def _new_row(self, name: str) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
        else:
            row = self.size
            if row == self._capacity:
                self._grow()
            self.size += 1
            self.names.append("")
            self.labels.append({})
        self.names[row] = name
        self.rows[name] = row
        self.valid[row] = True
        self.layout += 1
        return row

    def _grow(self) -> None:
        """Doubles every column."""
        more = self._capacity
        self._capacity += more
        for name in ("valid", "unschedulable", "taint_set", "changed"):
            setattr(self, name, np.pad(getattr(self, name), (0, more)))
        for name in ("allocatable", "free", "scoring"):
            setattr(self, name, np.pad(getattr(self, name), ((0, 0), (0, more))))
        for column in self._columns.values():
            column.ids = np.pad(column.ids, (0, more), constant_values=-1)

    def _set_allocatable(self, row: int, allocatable: dict[str, int]) -> None:
        for name in allocatable:
            self._resource(name)
        fresh = np.zeros(len(self.resources), np.int64)
        for name, value in allocatable.items():
            fresh[self.resources[name]] = value
        self.free[:, row] += fresh - self.allocatable[:, row]
        self.allocatable[:, row] = fresh

    def _resource(self, name: str) -> int:
        number = self.resources.get(name)
        if number is None:
            number = self.resources[name] = len(self.resources)
            self.allocatable = np.pad(self.allocatable, ((0, 1), (0, 0)))
            self.free = np.pad(self.free, ((0, 1), (0, 0)))
        return number

    def _set_labels(self, row: int, labels: dict[str, str]) -> None:
        if labels != self.labels[row]:
            self.labels[row] = labels
            for key, column in self._columns.items():
                column.set(row, labels.get(key))

    def _taints(self, taints: tuple[TaintKey, ...]) -> int:
        number = self._taint_numbers.get(taints)
        if number is None:
            if len(self.taint_sets) > 2 * self._capacity:
                self._compact_taints()
            number = self._taint_numbers[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
        return number

    def _compact_taints(self) -> None:
        """Numbers anew the sets that some node has."""
        used = [()] + [self.taint_sets[number] for number in np.unique(self.taint_set) if number]
        numbers = {taints: number for number, taints in enumerate(used)}
        for row in range(self.size):
            self.taint_set[row] = numbers[self.taint_sets[self.taint_set[row]]]
        self.taint_sets, self._taint_numbers = used, numbers

    def _set_images(self, row: int, node: Node) -> None:
        sizes = {name: item.sizeBytes or 0 for item in node.status.images or () for name in item.names or ()}
        old_sizes = self._row_images.get(row, {})
        if sizes == old_sizes:
            return
        for image in old_sizes.keys() - sizes.keys():
            self._drop_image(image, row)
        for image, size in sizes.items():
            self.images.setdefault(image, {})[row] = size
        self._row_images[row] = sizes

    def _drop_image(self, image: str, row: int) -> None:
        users = self.images[image]
        del users[row]
        if not users:
            del self.images[image]

    # pods

    def take(self, row: int, shape: Shape) -> None:
        """Counts a pod of this shape that is on the node now."""
        numbers, amounts = self.vector(shape)
        self.free[numbers, row] -= amounts
        self.scoring[0, row] += shape.scoring_cpu
        self.scoring[1, row] += shape.scoring_memory
        self.use_ports(row, shape, 1)
        self.touch(row)

    def give_back(self, row: int, shape: Shape) -> None:
        """Counts off a pod of this shape that has left the node."""
        numbers, amounts = self.vector(shape)
        self.free[numbers, row] += amounts
        self.scoring[0, row] -= shape.scoring_cpu
        self.scoring[1, row] -= shape.scoring_memory
        self.use_ports(row, shape, -1)
        self.touch(row)

    @contextmanager
    def trial(self) -> Iterator[IntArray]:
        """Yields a `free` to play with, which filters see meanwhile."""
        free = self.free
        self.free = free.copy()
        try:
            yield self.free
        finally:
            self.free = free

    def use_ports(self, row: int, shape: Shape, times: int) -> None:
        """Counts the host ports of a pod in (`times` is 1) or out (-1)."""
        for protocol, address, number in shape.host_ports:
            users = self.port_users.setdefault((protocol, number), {})
            addresses = users.setdefault(row, Counter())
            addresses[address] += times
            if addresses[address] <= 0:
                del addresses[address]
            if not addresses:
                del users[row]
            if not users:
                del self.port_users[protocol, number]
