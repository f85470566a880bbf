"""Describes what of a pod decides where it may run, shared by all pods that are alike.

Pods of one ReplicaSet have the same shape: what is worked out for the first of them (requests, selectors, masks and
scores over all nodes) holds for the rest. So a shape has no other fields of a pod than those that make it equal to
another: what the node table and the counters read, and what plugins declare in `reads_pod`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from apimachinery.model import Model, encode
from kubeapi.core.pod.lifecycle import is_sidecar
from scheduler.state.affinity import HeldTerm, PodTerms, pod_terms
from scheduler.state.resources import CPU, MEMORY, PODS, SCORING_DEFAULTS, counted_spec, pod_requests
from scheduler.views.pod import Pod, PodSpec

if TYPE_CHECKING:  # for their fields' types alone: the scheduler's views are enough at run time, and start faster
    from apimachinery.meta import ObjectMeta
    from kubeapi.core.pod.spec import PodSpec as WholePodSpec

SHAPES = 2048  # shapes kept for lookups; the longest unused is forgotten and, if it is seen again, made anew
CORE_FIELDS = (
    "metadata.namespace",
    "metadata.labels",
    "spec.schedulerName",
    "spec.containers",
    "spec.initContainers",
    "spec.overhead",
    "spec.resources",
    "spec.affinity",
)
"""The fields that the node table and the counters read of every pod."""

HostPort = tuple[str, str, int]
"""(protocol, address, port); the address is "0.0.0.0" for all."""
Labels = dict[str, str]
IntArray = NDArray[np.int64]


class UndeclaredField(Exception):
    """Says that a plugin read a field which a pod's shape lacks: pods would get each other's answer."""


class Part:
    """Holds the fields of a pod's metadata or spec that were declared. Raises: UndeclaredField for any other."""

    def __init__(self, path: str, fields: dict[str, Any]) -> None:
        self.__dict__.update(fields)
        self.__dict__["_path"] = path

    def __getattr__(self, name: str) -> Any:
        field = f"{self.__dict__['_path']}.{name}"
        raise UndeclaredField(f"{field} is not part of a pod's shape: declare it in the plugin's reads_pod")


class Shape:
    """Immutable; equal shapes are one object while they are in the `Shapes` that made them."""

    __slots__ = (
        "held",
        "host_ports",
        "labels",
        "metadata",
        "namespace",
        "requests",
        "scoring_cpu",
        "scoring_memory",
        "spec",
        "terms",
        "vector",
    )

    def __init__(self, pod: Pod, metadata: Part, spec: Part) -> None:
        """`metadata` and `spec` hold the declared fields of the pod."""
        self.metadata = cast("ObjectMeta", metadata)
        self.spec = cast("WholePodSpec", spec)
        counted = counted_spec(pod)
        self.namespace = pod.namespace
        self.labels: Labels = pod.labels
        self.requests: dict[str, int] = pod_requests(counted) | {PODS: 1}
        scoring = pod_requests(counted, SCORING_DEFAULTS)
        self.scoring_cpu, self.scoring_memory = scoring.get(CPU, 0), scoring.get(MEMORY, 0)
        self.host_ports: tuple[HostPort, ...] = tuple(dict.fromkeys(_host_ports(counted)))
        self.terms: PodTerms = pod_terms(counted.affinity, pod.namespace)
        """Its affinity and anti-affinity to other pods."""
        self.held: tuple[HeldTerm, ...] = self.terms.held
        self.vector: tuple[IntArray, IntArray] | None = None
        """`requests` as resource numbers and amounts of a `NodeTable`, which fills this in."""


def _host_ports(spec: PodSpec) -> list[HostPort]:
    """Lists those of containers and of sidecars, which run as long; other init containers are gone by then."""
    sidecars = [item for item in spec.initContainers or () if is_sidecar(item)]
    return [
        (port.protocol, port.hostIP or "0.0.0.0", port.hostPort)
        for container in (*sidecars, *spec.containers)
        for port in container.ports or ()
        if port.hostPort
    ]


class Shapes:
    """Makes shapes, one for all pods that are alike in `fields`, such as "spec.nodeSelector"."""

    def __init__(self, fields: Iterable[str] = ()) -> None:
        self._shapes: OrderedDict[Hashable, Shape] = OrderedDict()
        self.fields = tuple(dict.fromkeys((*CORE_FIELDS, *fields)))
        parts: dict[str, list[str]] = {"metadata": [], "spec": []}
        for field in self.fields:
            part, _, name = field.partition(".")
            parts[part].append(name)
        self._metadata, self._spec = parts["metadata"], parts["spec"]
        self._metadata_values, self._spec_values = attrgetter(*self._metadata), attrgetter(*self._spec)

    def of(self, pod: Pod) -> Shape:
        key = self.key(pod)
        shape = self._shapes.get(key)
        if shape is None:
            metadata = dict(zip(self._metadata, self._metadata_values(pod.metadata), strict=True))
            spec = dict(zip(self._spec, self._spec_values(counted_spec(pod)), strict=True))
            shape = self._shapes[key] = Shape(pod, Part("metadata", metadata), Part("spec", spec))
            if len(self._shapes) > SHAPES:
                self._shapes.popitem(last=False)
        else:
            self._shapes.move_to_end(key)
        return shape

    def key(self, pod: Pod) -> Hashable:
        """Returns what is equal for pods of equal shape. Called for every pod that is seen, so it builds no models."""
        values = (*self._metadata_values(pod.metadata), *self._spec_values(counted_spec(pod)))
        return tuple([None if value is None else _frozen(value) for value in values])


def _frozen(value: object) -> Hashable:
    if isinstance(value, list):
        return tuple([encode(item) if isinstance(item, Model) else item for item in value])
    if isinstance(value, dict):
        return frozenset(value.items())
    return encode(value) if isinstance(value, Model) else value
