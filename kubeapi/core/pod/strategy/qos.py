"""Decides a pod's quality-of-service class from the CPU and memory of its containers.

Source: Kubernetes documentation, "Pod Quality of Service Classes".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apimachinery.quantity import parse_quantity
from kubeapi.core.pod.spec import PodSpec, ResourceRequirements

GUARANTEED = "Guaranteed"
BURSTABLE = "Burstable"
BEST_EFFORT = "BestEffort"

_RESOURCES = ("cpu", "memory")


def qos_class(spec: PodSpec) -> str:
    """Returns Guaranteed if every container has CPU and memory limits equal to its requests, BestEffort if none has
    any."""
    if spec.resources is not None and (spec.resources.limits or spec.resources.requests):
        return _class_of([spec.resources])
    return _class_of(container.resources for container in (*spec.containers, *(spec.initContainers or ())))


def _class_of(all_resources: Iterable[ResourceRequirements]) -> str:
    anything, guaranteed = False, True
    for resources in all_resources:
        limits, requests = _amounts(resources.limits), _amounts(resources.requests)
        anything = anything or bool(limits or requests)
        if len(limits) < len(_RESOURCES) or limits != {**limits, **requests}:
            guaranteed = False
    if not anything:
        return BEST_EFFORT
    return GUARANTEED if guaranteed else BURSTABLE


def _amounts(quantities: Mapping[str, str] | None) -> dict[str, object]:
    """Returns the amounts of CPU and memory, without zeros."""
    if not quantities:
        return {}
    amounts = {name: parse_quantity(quantities[name]) for name in _RESOURCES if name in quantities}
    return {name: value for name, value in amounts.items() if value}
