"""What of a pod decides where it may run, shared by all pods that are alike.

Pods of one ReplicaSet have the same shape: what is worked out for the first of them (requests, selectors, masks and
scores over all nodes) holds for the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apimachinery.meta import controller_of
from apimachinery.model import encode
from kubeapi.core.pod.affinity import Affinity, Toleration, TopologySpreadConstraint
from kubeapi.core.pod.lifecycle import is_sidecar
from scheduler.state.affinity import HeldTerm, PodTerms, pod_terms
from scheduler.state.resources import CPU, MEMORY, PODS, SCORING_DEFAULTS, counted_spec, pod_requests
from scheduler.views.pod import Container, Pod, PodSpec

SHAPES = 2048  # shapes kept for lookups; the longest unused is forgotten and, if it is seen again, made anew

HostPort = tuple[str, str, int]
"""(protocol, address, port); the address is "0.0.0.0" for all."""
Labels = dict[str, str]
IntArray = NDArray[np.int64]
LabelsKey = frozenset[tuple[str, str]]


class Shape:
    """Immutable; equal shapes are one object while they are in the `Shapes` that made them."""

    __slots__ = (
        "affinity",
        "held",
        "host_ports",
        "images",
        "labels",
        "labels_key",
        "namespace",
        "node_selector",
        "owner",
        "priority",
        "requests",
        "scoring_cpu",
        "scoring_memory",
        "terms",
        "tolerations",
        "topology_spread",
        "vector",
    )

    def __init__(self, pod: Pod) -> None:
        spec = counted_spec(pod)
        self.namespace = pod.namespace
        self.labels: Labels = pod.labels
        self.labels_key: LabelsKey = frozenset(self.labels.items())
        owner = controller_of(pod)
        self.owner: tuple[str, str] = (owner.kind, owner.name) if owner else ("", "")
        """Kind and name of the controller; ("", "") for a pod of none."""
        self.requests: dict[str, int] = pod_requests(spec) | {PODS: 1}
        scoring = pod_requests(spec, SCORING_DEFAULTS)
        self.scoring_cpu, self.scoring_memory = scoring.get(CPU, 0), scoring.get(MEMORY, 0)
        self.host_ports: tuple[HostPort, ...] = tuple(dict.fromkeys(_host_ports(spec)))
        self.node_selector: dict[str, str] = spec.nodeSelector or {}
        self.affinity: Affinity | None = spec.affinity
        self.terms: PodTerms = pod_terms(spec.affinity, pod.namespace)
        """Of affinity and anti-affinity to other pods."""
        self.held: tuple[HeldTerm, ...] = self.terms.held
        self.tolerations: list[Toleration] = spec.tolerations or []
        self.topology_spread: list[TopologySpreadConstraint] = spec.topologySpreadConstraints or []
        self.images: tuple[str, ...] = tuple(
            item.image for item in (*(spec.initContainers or ()), *spec.containers) if item.image
        )
        self.priority = spec.priority or 0
        self.vector: tuple[IntArray, IntArray] | None = None
        """`requests` as resource numbers and amounts of a `NodeTable`, which fills this in."""


def _host_ports(spec: PodSpec) -> list[HostPort]:
    """Of containers and of sidecars, which run as long; other init containers are gone by then."""
    sidecars = [item for item in spec.initContainers or () if is_sidecar(item)]
    return [
        (port.protocol, port.hostIP or "0.0.0.0", port.hostPort)
        for container in (*sidecars, *spec.containers)
        for port in container.ports or ()
        if port.hostPort
    ]


def shape_key(pod: Pod) -> Hashable:
    """Equal for pods of equal shape. Called for every pod that is seen, so it builds no models."""
    spec, meta = counted_spec(pod), pod.metadata
    return (
        meta.namespace,
        frozenset(meta.labels.items()) if meta.labels else None,
        _owner_key(pod),
        _containers_key(spec.containers),
        _containers_key(spec.initContainers) if spec.initContainers else None,
        frozenset(spec.nodeSelector.items()) if spec.nodeSelector else None,
        encode(spec.affinity) if spec.affinity else None,
        tuple((item.key, item.operator, item.value, item.effect) for item in spec.tolerations or ()),
        tuple(encode(item) for item in spec.topologySpreadConstraints or ()),
        frozenset(spec.overhead.items()) if spec.overhead else None,
        encode(spec.resources) if spec.resources else None,
        spec.priority,
    )


def _owner_key(pod: Pod) -> Hashable:
    owner = controller_of(pod) if pod.metadata.ownerReferences else None
    return (owner.kind, owner.name) if owner else None


def _containers_key(containers: list[Container]) -> Hashable:
    return tuple([_container_key(item) for item in containers])


def _container_key(container: Container) -> Hashable:
    requests = container.resources.requests if container.resources else None
    ports: Any = None
    if container.ports:
        ports = tuple([(port.protocol, port.hostIP, port.hostPort) for port in container.ports if port.hostPort])
    return (container.image, tuple(requests.items()) if requests else None, ports, container.restartPolicy)


class Shapes:
    """Makes shapes, one for all pods that are alike."""

    def __init__(self) -> None:
        self._shapes: OrderedDict[Hashable, Shape] = OrderedDict()

    def of(self, pod: Pod) -> Shape:
        key = shape_key(pod)
        found = self._shapes.get(key)
        if found is None:
            found = self._shapes[key] = Shape(pod)
            if len(self._shapes) > SHAPES:
                self._shapes.popitem(last=False)
        else:
            self._shapes.move_to_end(key)
        return found
