"""What a pod's containers request together.

Source: Kubernetes documentation, "Init Containers: Resource sharing within containers".
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from apimachinery.quantity import Quantity, format_quantity, parse_quantity

if TYPE_CHECKING:
    from kubeapi.core.pod.spec import Container, PodSpec


def containers_request(spec: PodSpec, name: str) -> Quantity | None:
    """What the containers request together (one after the other while they initialize); None for nothing."""
    running, peak = Fraction(0), Fraction(0)
    for container in spec.initContainers or ():
        amount = _request(container, name)
        if container.restartPolicy == "Always":
            running += amount
        peak = max(peak, running if container.restartPolicy == "Always" else running + amount)
    total = max(peak, running + sum(_request(container, name) for container in spec.containers))
    return format_quantity(total, "DecimalSI" if name == "cpu" else "BinarySI") if total else None


def _request(container: Container, name: str) -> Fraction:
    text = (container.resources.requests or {}).get(name)
    return parse_quantity(text) if text else Fraction(0)
