"""What workloads show with `kubectl get -o wide`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.resource import Column
from kubeapi._shared.columns import selector_text
from kubeapi.core.pod.spec import Container


def _containers(obj: Any) -> Iterable[Container]:
    containers: list[Container] = obj.spec.template.spec.containers
    return containers


WORKLOAD_WIDE = (
    Column(
        "Containers",
        lambda obj, now: ",".join(container.name for container in _containers(obj)),
        description="Names of each container in the template.",
        priority=1,
    ),
    Column(
        "Images",
        lambda obj, now: ",".join(container.image or "" for container in _containers(obj)),
        description="Images of each container in the template.",
        priority=1,
    ),
    Column(
        "Selector",
        lambda obj, now: selector_text(obj.spec.selector),
        description="Which pods belong to the object.",
        priority=1,
    ),
)
