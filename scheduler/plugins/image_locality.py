"""ImageLocality: prefers nodes that have the pod's images already."""

from __future__ import annotations

import numpy as np

from scheduler.framework import MAX_SCORE, SKIP, Cycle, FloatArray, Plugin, PluginSpec, Skip
from scheduler.state.shape import Shape
from scheduler.state.table import Rows

SMALLEST_BYTES = 23 * 1024 * 1024
"""The size that counts for nothing: it is pulled soon enough."""
LARGEST_BYTES = 1000 * 1024 * 1024
"""The size for each container beyond which more does not count for more."""


def normalized_name(image: str) -> str:
    """Adds the tag that nodes report: "web" -> "web:latest"."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


class ImageLocality(Plugin):
    local = False  # an image counts for less while few nodes have it, lest all pods go to those

    def pre_score(self, cycle: Cycle) -> Skip | None:
        node_images = self.table.images
        images = _images(cycle.shape)
        cycle.state[self.name] = images
        return None if any(image in node_images for image in images) else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> FloatArray:
        total = np.zeros(len(self.table.valid))
        images: list[str] = cycle.state[self.name]
        for image in images:
            holders = self.table.images.get(image)
            if holders:
                spread = len(holders) / self.table.count
                total[list(holders)] += np.array(list(holders.values())) * spread
        most = LARGEST_BYTES * len(images)
        counted: FloatArray = np.clip(total[rows], SMALLEST_BYTES, most) - SMALLEST_BYTES
        return np.floor(counted * MAX_SCORE / (most - SMALLEST_BYTES))


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
