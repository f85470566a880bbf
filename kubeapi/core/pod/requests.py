"""Adds up what a pod's containers request of a node."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from apimachinery.quantity import Quantity, format_quantity, parse_quantity
from kubeapi.core.pod.amounts import peak_requests
from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.spec import Container, PodSpec


def containers_request(spec: PodSpec, name: str) -> Quantity | None:
    """Returns the most that the containers request of one resource at one time; None for nothing."""
    peak = peak_requests(
        (_request(container, name) for container in spec.containers),
        ((_request(container, name), is_sidecar(container)) for container in spec.initContainers or ()),
    )
    amount = peak.get(name)
    return format_quantity(amount, "DecimalSI" if name == "cpu" else "BinarySI") if amount else None


def _request(container: Container, name: str) -> Mapping[str, Fraction]:
    text = (container.resources.requests or {}).get(name)
    return {name: parse_quantity(text)} if text else {}
