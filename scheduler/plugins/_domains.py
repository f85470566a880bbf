"""Adds up counts by topology domain: all nodes with one value of a label key."""

from __future__ import annotations

import numpy as np

from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, LabelColumn


def domain_sums(column: LabelColumn, counts: IntArray, mask: BoolArray) -> IntArray:
    """Returns, for each value number, the sum of `counts` over the rows in `mask` that have it.

    The last element, which the -1 of rows without the label finds, is 0. `counts` and `mask` cover the whole table.
    """
    rows = np.flatnonzero(mask & (column.ids >= 0))
    sums = np.bincount(column.ids[rows], weights=counts[rows], minlength=len(column.values) + 1)
    return sums.astype(np.int64)
