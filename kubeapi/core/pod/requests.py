"""Adds up what a pod's containers request of a node, and what limits them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

from apimachinery.quantity import Quantity, ResourceList, format_quantity, notation, parse_quantity
from kubeapi.core.pod.amounts import add_amounts, peak_requests
from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.spec import Container, PodSpec, ResourceRequirements

Field = Literal["requests", "limits"]
HUGE_PAGES_PREFIX = "hugepages-"
"""The beginning of the resources that are huge pages, as in hugepages-2Mi."""


def pod_resources(spec: PodSpec, field: Field, *, overhead: bool = True) -> ResourceList:
    """Returns the most of each resource that the pod's containers request, or may use, at one time.

    Amounts given for the pod as a whole take the place of the sums. The overhead of the pod is part of its requests,
    and of those limits that it has; `overhead` False leaves it out.
    """
    total = peak_requests(
        (_amounts(container.resources, field) for container in spec.containers),
        ((_amounts(container.resources, field), is_sidecar(container)) for container in spec.initContainers or ()),
    )
    if spec.resources is not None:
        total.update(_amounts(spec.resources, field))
    if overhead and spec.overhead:
        extra = {name: parse_quantity(value) for name, value in spec.overhead.items()}
        add_amounts(total, {name: value for name, value in extra.items() if field == "requests" or name in total})
    notations = dict(_notations(spec, field))
    return {name: format_quantity(value, notations[name]) for name, value in total.items()}


def bounding_limits(spec: PodSpec) -> ResourceList:
    """Returns the limits that bound the pod as a whole: its own, and those that each of its containers has."""
    own = [container.resources for container in (*spec.containers, *(spec.initContainers or ()))]
    whole = _amounts(spec.resources, "limits") if spec.resources is not None else {}
    everyone = [{name for name, value in _amounts(resources, "limits").items() if value} for resources in own]
    bounded = {name for name, value in whole.items() if value} | set.intersection(*everyone)
    return {name: value for name, value in pod_resources(spec, "limits").items() if name in bounded}


def _amounts(resources: ResourceRequirements, field: Field) -> dict[str, Fraction]:
    quantities: ResourceList | None = getattr(resources, field)
    return {name: parse_quantity(value) for name, value in quantities.items()} if quantities else {}


def _notations(spec: PodSpec, field: Field) -> Iterable[tuple[str, str]]:
    """Yields resources with the notation to write their sums in: that of the first amount comes last."""
    everything = [
        spec.resources,
        *(container.resources for container in (*spec.containers, *(spec.initContainers or ()))),
    ]
    quantities = [getattr(resources, field) for resources in everything if resources is not None]
    for amounts in reversed([*quantities, spec.overhead]):
        for name, value in (amounts or {}).items():
            yield name, notation(value)


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
