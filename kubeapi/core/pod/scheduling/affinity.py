"""Models of scheduling rules: affinity, tolerations, topology spread."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import LabelSelector
from apimachinery.model import Int32, Int64, Model, OneOf, Required, Time


class NodeSelectorRequirement(Model, protobuf="key operator values"):
    """A condition on one label or field of a node."""

    key: str = ""
    """The key of the label or, in matchFields, the name of the field."""
    operator: Annotated[str, OneOf("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")] = ""
    """The comparison: In, NotIn, Exists, DoesNotExist, Gt or Lt."""
    values: list[str] | None = None
    """The values to compare with: one or more for In and NotIn, one whole number for Gt and Lt, else none."""


class NodeSelectorTerm(Model, protobuf="matchExpressions matchFields"):
    """Conditions on a node that must all hold. A term without conditions selects no node."""

    map_type = "atomic"

    matchExpressions: list[NodeSelectorRequirement] | None = None
    """Conditions on the node's labels."""
    matchFields: list[NodeSelectorRequirement] | None = None
    """Conditions on the node's fields. Only metadata.name is supported."""


class NodeSelector(Model, protobuf="nodeSelectorTerms"):
    """Selects nodes that match at least one of the terms."""

    map_type = "atomic"

    nodeSelectorTerms: Annotated[list[NodeSelectorTerm], Required()] = Field(default_factory=list)
    """The terms, at least one."""


class TopologySelectorLabelRequirement(Model, protobuf="key values"):
    """A label of a node, and the values that it may have."""

    key: str = ""
    """The key of the node label."""
    values: Annotated[list[str], Required(), NullIfEmpty()] = Field(default_factory=list)
    """The possible values, of which a volume has one."""


class TopologySelectorTerm(Model, protobuf="matchLabelExpressions"):
    """Labels of nodes that must all fit: a place where volumes can be made."""

    map_type = "atomic"

    matchLabelExpressions: list[TopologySelectorLabelRequirement] | None = None
    """The labels."""


class PreferredSchedulingTerm(Model, protobuf="weight preference"):
    """A weighted preference for some nodes."""

    weight: Int32 = 0
    """The weight of the preference among others, 1 to 100."""
    preference: Annotated[NodeSelectorTerm, Required()] = Field(default_factory=NodeSelectorTerm)
    """The nodes that are preferred."""


class NodeAffinity(
    Model,
    protobuf="requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
):
    """The nodes that a pod may run on or prefers, by their labels."""

    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None = None
    """The nodes that the pod may be scheduled to. A later change of a node does not move the pod."""
    preferredDuringSchedulingIgnoredDuringExecution: list[PreferredSchedulingTerm] | None = None
    """The nodes that the scheduler prefers: those with the highest sum of weights."""


class PodAffinityTerm(
    Model,
    protobuf="labelSelector namespaces topologyKey namespaceSelector matchLabelKeys mismatchLabelKeys",
):
    """The other pods that a rule refers to, and the topology that counts as one place."""

    labelSelector: LabelSelector | None = None
    """Selects the other pods by their labels. If absent, it selects none."""
    namespaces: list[str] | None = None
    """The namespaces of the other pods. Default, unless namespaceSelector is given: the pod's own namespace."""
    topologyKey: str = ""
    """The node label that defines a place, such as kubernetes.io/hostname: nodes with the same value are one place."""
    namespaceSelector: LabelSelector | None = None
    """Selects further namespaces of the other pods, by the labels of the namespaces; empty means all."""
    matchLabelKeys: list[str] | None = None
    """Labels that must have the same value on the other pods as on this pod."""
    mismatchLabelKeys: list[str] | None = None
    """Labels that must have another value on the other pods than on this pod."""


class WeightedPodAffinityTerm(Model, protobuf="weight podAffinityTerm"):
    """A weighted preference about other pods."""

    weight: Int32 = 0
    """The weight of this preference about other pods, 1 to 100."""
    podAffinityTerm: Annotated[PodAffinityTerm, Required()] = Field(default_factory=PodAffinityTerm)
    """The other pods and the topology."""


class PodAffinity(
    Model,
    protobuf="requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
):
    """The other pods that a pod must or should run in one place with."""

    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm] | None = None
    """Pods that must already run in the same place. All terms must hold."""
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm] | None = None
    """Pods that should run in the same place: the scheduler prefers the highest sum of weights."""


class PodAntiAffinity(
    Model,
    protobuf="requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
):
    """The other pods that a pod must not or should not run in one place with."""

    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm] | None = None
    """Pods that must not run in the same place. All terms must hold."""
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm] | None = None
    """Pods that should not run in the same place: the scheduler prefers the lowest sum of weights."""


class Affinity(Model, protobuf="nodeAffinity podAffinity podAntiAffinity"):
    """Rules and preferences for the choice of a node."""

    nodeAffinity: NodeAffinity | None = None
    """Rules about the nodes themselves."""
    podAffinity: PodAffinity | None = None
    """Rules about pods to run in one place with."""
    podAntiAffinity: PodAntiAffinity | None = None
    """Rules about pods to keep away from."""


class Toleration(Model, protobuf="key operator value effect tolerationSeconds*"):
    """Lets a pod run on nodes with a matching taint."""

    key: str | None = None
    """The key of the tolerated taints; empty together with Exists means all taints."""
    operator: str | None = None
    """The comparison of the taint's value: Equal (the default), Exists for any value, Lt or Gt for numbers."""
    value: str | None = None
    """The value that Equal, Lt and Gt compare with."""
    effect: str | None = None
    """The effect of the tolerated taints: NoSchedule, PreferNoSchedule or NoExecute; empty for all."""
    tolerationSeconds: Int64 | None = None
    """Seconds that the pod stays on a node after a NoExecute taint was added. Default: for ever."""


class Taint(Model, protobuf="key value effect timeAdded"):
    """Keeps pods off a node unless they tolerate it."""

    key: str = ""
    """The taint's name, in the form of a label key."""
    value: str | None = None
    """The taint's value, in the form of a label value."""
    effect: Annotated[str, OneOf("NoSchedule", "PreferNoSchedule", "NoExecute")] = ""
    """The effect on pods that don't tolerate the taint: NoSchedule keeps new pods off, PreferNoSchedule does so where
    possible, NoExecute also evicts running pods."""
    timeAdded: Time | None = None
    """The time at which a NoExecute taint was added to the node."""


class TopologySpreadConstraint(
    Model,
    protobuf="maxSkew topologyKey whenUnsatisfiable labelSelector minDomains* nodeAffinityPolicy* nodeTaintsPolicy* "
    "matchLabelKeys",
):
    """A rule for spreading pods evenly over places."""

    maxSkew: Int32 = 0
    """The number of pods by which the fullest place may exceed the emptiest one; 1 or more."""
    topologyKey: str = ""
    """The node label whose values are the places, such as topology.kubernetes.io/zone."""
    whenUnsatisfiable: Annotated[str, OneOf("DoNotSchedule", "ScheduleAnyway")] = ""
    """The behaviour when no place satisfies the rule: DoNotSchedule leaves the pod pending, ScheduleAnyway chooses the
    best of the rest."""
    labelSelector: LabelSelector | None = None
    """Selects the pods to count, by their labels."""
    minDomains: Int32 | None = None
    """The minimum number of places; while there are fewer, the emptiest one counts as having no pods. Default: 1."""
    nodeAffinityPolicy: Annotated[str, OneOf("Honor", "Ignore")] | None = None
    """Whether nodes that the pod's node affinity and selector exclude are left out: Honor (the default) or Ignore."""
    nodeTaintsPolicy: Annotated[str, OneOf("Honor", "Ignore")] | None = None
    """Whether nodes with taints that the pod does not tolerate are left out: Honor or Ignore (the default)."""
    matchLabelKeys: list[str] | None = None
    """Labels that must have the same value on counted pods as on this pod, such as pod-template-hash."""
