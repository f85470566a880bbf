"""ImageLocality: prefers nodes that have the pod's images already."""

from __future__ import annotations

import numpy as np

from scheduler.framework import MAX_SCORE, SKIP, Cycle, FloatArray, Plugin, PluginSpec, Skip
from scheduler.state.shape import Shape
from scheduler.state.table import Rows

SMALLEST_BYTES = 23 * 1024 * 1024
"""What counts for nothing: it is pulled soon enough."""
LARGEST_BYTES = 1000 * 1024 * 1024
"""For each container; more does not count for more."""


def normalized_name(image: str) -> str:
    """With a tag: "web" -> "web:latest"; nodes report names so."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


class ImageLocality(Plugin):
    local = False  # an image counts for less while few nodes have it, lest all pods go to those

    def pre_score(self, cycle: Cycle) -> Skip | None:
        known = self.table.images
        images = _images(cycle.shape)
        cycle.state[self.name] = images
        return None if any(image in known for image in images) else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> FloatArray:
        total = np.zeros(len(self.table.valid))
        images: list[str] = cycle.state[self.name]
        for image in images:
            holders = self.table.images.get(image)
            if holders:
                spread = len(holders) / self.table.count
                total[list(holders)] += np.array(list(holders.values())) * spread
        most = LARGEST_BYTES * len(images)
        found: FloatArray = np.clip(total[rows], SMALLEST_BYTES, most) - SMALLEST_BYTES
        return np.floor(found * MAX_SCORE / (most - SMALLEST_BYTES))


def _images(shape: Shape) -> list[str]:
    containers = (*(shape.spec.initContainers or ()), *shape.spec.containers)
    return [normalized_name(container.image) for container in containers if container.image]


PLUGIN = PluginSpec(
    "ImageLocality",
    ImageLocality,
    weight=1,
    order=95,
    reads_pod=("spec.initContainers", "spec.containers"),
)
