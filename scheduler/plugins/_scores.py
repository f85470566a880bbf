"""Brings scores to 0 … MAX_SCORE."""

from __future__ import annotations

import numpy as np

from scheduler.framework import MAX_SCORE, FloatArray


def scaled(scores: FloatArray, *, reverse: bool = False) -> FloatArray:
    """Scales scores in proportion to the highest, which becomes MAX_SCORE, or with `reverse` 0; whole numbers."""
    result: FloatArray = np.floor(scores * MAX_SCORE / scores.max())
    return MAX_SCORE - result if reverse else result
