"""Prepares topology spread constraints to be counted with, and makes those of pods that state none.

Source: Kubernetes, "Pod Topology Spread Constraints".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.errors import FieldError
from apimachinery.selectors import NOTHING, Requirement, Selector, selector_from_map, selector_of
from apimachinery.validation import Errors
from kubeapi.core.pod.scheduling.affinity import TopologySpreadConstraint
from kubeapi.core.pod.validation.affinity import check_topology_spread
from scheduler.framework import Lister, PluginArguments
from scheduler.state.counters import PodKind
from scheduler.state.shape import Shape
from scheduler.views.replicaset import ReplicaSet
from scheduler.views.service import Service

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
DO_NOT_SCHEDULE, SCHEDULE_ANYWAY = "DoNotSchedule", "ScheduleAnyway"

SYSTEM, LIST = "System", "List"
SYSTEM_DEFAULTS = (
    TopologySpreadConstraint(topologyKey=HOSTNAME, maxSkew=3, whenUnsatisfiable=SCHEDULE_ANYWAY),
    TopologySpreadConstraint(topologyKey=ZONE, maxSkew=5, whenUnsatisfiable=SCHEDULE_ANYWAY),
)


class PodTopologySpreadArgs(PluginArguments):
    """The plugin's arguments."""

    defaultConstraints: list[TopologySpreadConstraint] | None = None
    """With the type List, the constraints of pods that state none and belong to a Service or ReplicaSet, by whose
    selectors pods are counted."""
    defaultingType: str = SYSTEM
    """System: nodes with a skew of 3 and zones with a skew of 5, where that is possible. List: defaultConstraints."""

    def errors(self) -> list[FieldError]:
        constraints = self.defaultConstraints or []
        errors = Errors()
        check_topology_spread(errors, ("defaultConstraints",), constraints)
        for index, item in enumerate(constraints):
            if item.labelSelector is not None:
                text = "constraint must not define a selector, as they deduced for each pod"
                errors.forbidden(("defaultConstraints", index, "labelSelector"), text)
        if self.defaultingType not in (SYSTEM, LIST):
            errors.not_supported(("defaultingType",), self.defaultingType, (SYSTEM, LIST))
        elif self.defaultingType == SYSTEM and constraints:
            errors.invalid(("defaultingType",), SYSTEM, "when .defaultConstraints are specified")
        return errors

    def constraints(self, action: str) -> list[TopologySpreadConstraint]:
        """Returns the defaults with this `whenUnsatisfiable`."""
        defaults = SYSTEM_DEFAULTS if self.defaultingType == SYSTEM else self.defaultConstraints or ()
        return [item for item in defaults if item.whenUnsatisfiable == action]


@dataclass(frozen=True, slots=True)
class Constraint:
    topology_key: str
    max_skew: int
    kind: PodKind
    """The pods that are to be spread."""
    counts_itself: bool
    """True when the pod is one of them."""
    min_domains: int = 1
    honor_affinity: bool = True
    """True when nodes that the pod's node selector and affinity exclude are left out of the count."""
    honor_taints: bool = False


def stated(shape: Shape, action: str) -> list[Constraint]:
    """Lists the pod's own constraints with this `whenUnsatisfiable`."""
    return [
        _constraint(shape, item, selector_of(item.labelSelector))
        for item in shape.spec.topologySpreadConstraints or ()
        if item.whenUnsatisfiable == action
    ]


def _constraint(shape: Shape, item: TopologySpreadConstraint, selector: Selector) -> Constraint:
    keys = [key for key in item.matchLabelKeys or () if key in shape.labels]
    if keys and not selector.nothing:
        own = tuple(Requirement(key, "in", (shape.labels[key],)) for key in keys)
        selector = Selector(selector.requirements + own)
    return Constraint(
        item.topologyKey,
        item.maxSkew,
        PodKind(((frozenset((shape.namespace,)), selector),), alive_only=True),
        selector.matches(shape.labels),
        item.minDomains or 1,
        item.nodeAffinityPolicy != "Ignore",
        item.nodeTaintsPolicy == "Honor",
    )


def default_constraints(
    shape: Shape, selector: Selector, defaults: Iterable[TopologySpreadConstraint]
) -> list[Constraint]:
    """Makes the constraints of a pod that states none, over the pods that `selector` finds in its namespace."""
    return [_constraint(shape, item, selector) for item in defaults]


def replica_set_of(shape: Shape, lister: Lister) -> ReplicaSet | None:
    """Returns the ReplicaSet that controls the pod, where there is one."""
    for ref in shape.metadata.ownerReferences or ():
        if ref.controller and ref.kind == "ReplicaSet":
            return lister.get(ReplicaSet, f"{shape.namespace}/{ref.name}")
    return None


def owner_selector(shape: Shape, lister: Lister) -> Selector:
    """Joins all that the pod's Services and its ReplicaSet select by; NOTHING when there are none."""
    parts = [_service_selectors(shape, lister.list(Service, shape.namespace))]
    replica_set = replica_set_of(shape, lister)
    if replica_set is not None:
        parts.append(selector_of(replica_set.spec.selector).requirements)
    requirements = tuple(dict.fromkeys(requirement for part in parts for requirement in part))
    return Selector(requirements) if requirements else NOTHING


def _service_selectors(shape: Shape, services: Iterable[Service]) -> tuple[Requirement, ...]:
    selectors = (selector_from_map(item.spec.selector) for item in services if item.spec.selector)
    return tuple(part for selector in selectors if selector.matches(shape.labels) for part in selector.requirements)
