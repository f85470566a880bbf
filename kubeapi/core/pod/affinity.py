"""Where a pod may run: affinity, tolerations, topology spread."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import LabelSelector
from apimachinery.model import Int32, Int64, Model, OneOf, Required, Time


class NodeSelectorRequirement(Model, protobuf="key operator values"):
    """A condition on one label or field of a node."""

    key: str = ""
    """The label, or in matchFields the field, that the condition is about."""
    operator: Annotated[str, OneOf("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")] = ""
    """How it is compared: In, NotIn, Exists, DoesNotExist, Gt or Lt."""
    values: list[str] | None = None
    """What is compared with: one or more for In and NotIn, one whole number for Gt and Lt, none otherwise."""


class NodeSelectorTerm(Model, protobuf="matchExpressions matchFields"):
    """Conditions on a node that must all hold. Without any, no node is selected."""

    map_type = "atomic"

    matchExpressions: list[NodeSelectorRequirement] | None = None
    """Conditions on the node's labels."""
    matchFields: list[NodeSelectorRequirement] | None = None
    """Conditions on the node's fields; metadata.name is the only one."""


class NodeSelector(Model, protobuf="nodeSelectorTerms"):
    """Selects nodes: one of the terms must hold."""

    map_type = "atomic"

    nodeSelectorTerms: Annotated[list[NodeSelectorTerm], Required()] = Field(default_factory=list)
    """The terms, at least one."""


class PreferredSchedulingTerm(Model, protobuf="weight preference"):
    """A wish about the node, with its weight."""

    weight: Int32 = 0
    """How much the wish counts among others, 1 to 100."""
    preference: Annotated[NodeSelectorTerm, Required()] = Field(default_factory=NodeSelectorTerm)
    """The nodes that are preferred."""


class NodeAffinity(
    Model,
    protobuf="requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
):
    """Which nodes a pod may, or had rather, run on, by the nodes' labels."""

    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None = None
    """What a node must be for the pod to be put there. A change of the node later does not move the pod."""
    preferredDuringSchedulingIgnoredDuringExecution: list[PreferredSchedulingTerm] | None = None
    """What a node should be: among the possible nodes the one with the highest sum of weights is liked best."""


class PodAffinityTerm(
    Model,
    protobuf="labelSelector namespaces topologyKey namespaceSelector matchLabelKeys mismatchLabelKeys",
):
    """Pods to be near to or away from, and what counts as near."""

    labelSelector: LabelSelector | None = None
    """The pods that are meant, by their labels. Absent, no pods."""
    namespaces: list[str] | None = None
    """The namespaces of the pods that are meant. Default, unless namespaceSelector is given: the pod's own."""
    topologyKey: str = ""
    """The node label that says what is near: nodes with an equal value are one place, such as
    kubernetes.io/hostname."""
    namespaceSelector: LabelSelector | None = None
    """Further namespaces of the pods that are meant, by the namespaces' labels; empty means all."""
    matchLabelKeys: list[str] | None = None
    """Labels of which the other pods must have the same value as this pod."""
    mismatchLabelKeys: list[str] | None = None
    """Labels of which the other pods must have another value than this pod."""


class WeightedPodAffinityTerm(Model, protobuf="weight podAffinityTerm"):
    """A wish about other pods, with its weight."""

    weight: Int32 = 0
    """How much it counts among the other wishes, 1 to 100."""
    podAffinityTerm: Annotated[PodAffinityTerm, Required()] = Field(default_factory=PodAffinityTerm)
    """The pods that the wish is about, and what is near."""


class PodAffinity(
    Model,
    protobuf="requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
):
    """Which other pods a pod must, or had rather, run near to."""

    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm] | None = None
    """Pods that must run in the same place already. All terms must hold."""
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm] | None = None
    """Pods that should run in the same place: places with the highest sum of weights are liked best."""


class PodAntiAffinity(
    Model,
    protobuf="requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution",
):
    """Which other pods a pod must not, or had rather not, run near to."""

    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm] | None = None
    """Pods that must not run in the same place. All terms must hold."""
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm] | None = None
    """Pods that should not run in the same place: places with the highest sum of weights are liked least."""


class Affinity(Model, protobuf="nodeAffinity podAffinity podAntiAffinity"):
    """Rules and wishes for the choice of a node."""

    nodeAffinity: NodeAffinity | None = None
    """By what the nodes are."""
    podAffinity: PodAffinity | None = None
    """By pods to be near to."""
    podAntiAffinity: PodAntiAffinity | None = None
    """By pods to be away from."""


class Toleration(Model, protobuf="key operator value effect tolerationSeconds*"):
    """Lets a pod run on nodes with a taint that it matches."""

    key: str | None = None
    """The key of the taints that are tolerated; empty with Exists, all taints."""
    operator: str | None = None
    """How the taint's value is compared: Equal (the default), Exists for any value, Lt or Gt for numbers."""
    value: str | None = None
    """The value that Equal, Lt and Gt compare with."""
    effect: str | None = None
    """The effect of the taints that are tolerated: NoSchedule, PreferNoSchedule or NoExecute; empty for all."""
    tolerationSeconds: Int64 | None = None
    """Seconds that the pod stays on a node after a NoExecute taint came. Default: for ever."""


class Taint(Model, protobuf="key value effect timeAdded"):
    """Keeps pods off a node unless they tolerate it."""

    key: str = ""
    """The taint's name, in the form of a label key."""
    value: str | None = None
    """The taint's value, in the form of a label value."""
    effect: Annotated[str, OneOf("NoSchedule", "PreferNoSchedule", "NoExecute")] = ""
    """What becomes of pods that don't tolerate it: NoSchedule keeps new ones off, PreferNoSchedule does so where
    possible, NoExecute also evicts those that run."""
    timeAdded: Time | None = None
    """When a NoExecute taint was added to the node."""


class TopologySpreadConstraint(
    Model,
    protobuf="maxSkew topologyKey whenUnsatisfiable labelSelector minDomains* nodeAffinityPolicy nodeTaintsPolicy "
    "matchLabelKeys",
):
    """How evenly pods are spread over places."""

    maxSkew: Int32 = 0
    """By how many pods the fullest place may exceed the emptiest one; 1 or more."""
    topologyKey: str = ""
    """The node label whose values are the places, such as topology.kubernetes.io/zone."""
    whenUnsatisfiable: Annotated[str, OneOf("DoNotSchedule", "ScheduleAnyway")] = ""
    """What to do when no place would do: DoNotSchedule leaves the pod pending, ScheduleAnyway takes the least bad
    place."""
    labelSelector: LabelSelector | None = None
    """The pods that are counted, by their labels."""
    minDomains: Int32 | None = None
    """How many places there must be; while there are fewer, the emptiest counts as having no pod. Default: 1."""
    nodeAffinityPolicy: Annotated[str, OneOf("Honor", "Ignore")] | None = None
    """Whether only nodes count that the pod's node affinity and selector allow: Honor (the default) or Ignore."""
    nodeTaintsPolicy: Annotated[str, OneOf("Honor", "Ignore")] | None = None
    """Whether nodes with taints that the pod does not tolerate are left out: Honor, or Ignore (the default)."""
    matchLabelKeys: list[str] | None = None
    """Labels of which counted pods must have the same value as this pod, such as pod-template-hash."""
