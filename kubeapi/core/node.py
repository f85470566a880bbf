"""Node: a worker host."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import AGE, NAME, NONE, UNKNOWN
from apimachinery.conditions import get_condition, is_true
from apimachinery.errors import FieldError
from apimachinery.meta import Object, StatusCondition
from apimachinery.model import Int32, Int64, MergeKey, Model, Required, Time
from apimachinery.names import label_value_errors, qualified_name_errors
from apimachinery.quantity import ResourceList
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import CIDR_RULE, Errors, is_cidr
from kubeapi.core.pod.scheduling.affinity import Taint
from kubeapi.core.pod.validation.affinity import EFFECTS
from kubeapi.core.pod.validation.resources import check_resource_list

NODE_GROUP, NODE_USER_PREFIX = "system:nodes", "system:node:"
"""The group of the kubelets, and the beginning of their user names."""

OUT_OF_SERVICE_TAINT = "node.kubernetes.io/out-of-service"
"""The key of a taint by which someone vouches that nothing runs on the node any more."""
UNINITIALIZED_TAINT = "node.cloudprovider.kubernetes.io/uninitialized"
"""The key of a taint that a kubelet gives its new Node where a cloud has yet to say what it knows of it."""
TO_BE_DELETED_TAINT = "ToBeDeletedByClusterAutoscaler"
"""The key of a taint that the cluster autoscaler gives a node which it empties and removes."""
EXCLUDED_FROM_BALANCERS = "node.kubernetes.io/exclude-from-external-load-balancers"
"""The label of a node to which no balancer may send."""
PROVIDED_NODE_IP = "alpha.kubernetes.io/provided-node-ip"
"""The annotation by which a kubelet tells the cloud which of the machine's addresses are the node's."""


class ConfigMapNodeConfigSource(Model, protobuf="namespace name uid resourceVersion kubeletConfigKey"):
    """A ConfigMap with a kubelet's configuration."""

    namespace: str = ""
    """The namespace of that ConfigMap."""
    name: str = ""
    """The name of that ConfigMap."""
    uid: str | None = None
    """The uid of that ConfigMap."""
    resourceVersion: str | None = None
    """The revision of that ConfigMap."""
    kubeletConfigKey: str = ""
    """The key that holds the configuration."""


class NodeConfigSource(Model, protobuf="- configMap"):
    """The source of a kubelet's configuration. No longer used."""

    configMap: ConfigMapNodeConfigSource | None = None
    """The ConfigMap with the configuration."""


class NodeSpec(Model, protobuf="podCIDR externalID providerID unschedulable taints configSource podCIDRs"):
    """The desired state of a node."""

    podCIDR: str | None = None
    """The range that the addresses of the node's pods come from."""
    podCIDRs: Annotated[list[str], MergeKey("")] | None = None
    """The ranges of pod addresses, at most one of each family; the first is podCIDR."""
    providerID: str | None = None
    """The id of the node at its cloud provider, as in PROVIDER://ID."""
    unschedulable: bool | None = None
    """Whether the node refuses new pods; `kubectl cordon` sets it. Default: false."""
    taints: list[Taint] | None = None
    """The taints of the node. Pods that do not tolerate them stay off the node."""
    configSource: NodeConfigSource | None = None
    """The source of the kubelet's configuration. No longer used."""
    externalID: str | None = None
    """An id of the node elsewhere. No longer used."""


class NodeCondition(StatusCondition, protobuf="type status lastHeartbeatTime lastTransitionTime reason message"):
    """A condition of a node."""

    type: str = ""
    """The aspect of the node: Ready, MemoryPressure, DiskPressure, PIDPressure or NetworkUnavailable."""
    lastHeartbeatTime: Annotated[Time, NullIfEmpty()] = ""
    """The time of the kubelet's last report."""


class NodeAddress(Model, protobuf="type address"):
    """An address or name of a node."""

    type: str = ""
    """The type of the address: Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS."""
    address: str = ""
    """The address or name itself."""


class DaemonEndpoint(Model, protobuf="Port"):
    """The port of a daemon."""

    Port: Int32 = 0
    """The port that the daemon listens on."""


class NodeDaemonEndpoints(Model, protobuf="kubeletEndpoint"):
    """The ports of the node's daemons."""

    kubeletEndpoint: DaemonEndpoint = Field(default_factory=DaemonEndpoint)
    """The kubelet's server, for logs and exec."""


class NodeSwapStatus(Model, protobuf="capacity*"):
    """The node's swap."""

    capacity: Int64 | None = None
    """The size of the swap in bytes."""


class NodeSystemInfo(
    Model,
    protobuf="machineID systemUUID bootID kernelVersion osImage containerRuntimeVersion kubeletVersion "
    "kubeProxyVersion operatingSystem architecture swap",
):
    """The node's machine and software."""

    machineID: str = ""
    """The id in /etc/machine-id."""
    systemUUID: str = ""
    """The id from the firmware of the machine."""
    bootID: str = ""
    """An id that is new with each boot."""
    kernelVersion: str = ""
    """The kernel's version."""
    osImage: str = ""
    """The operating system's name and version."""
    containerRuntimeVersion: str = ""
    """The container runtime and its version, as in docker://27.0."""
    kubeletVersion: str = ""
    """The version of the kubelet."""
    kubeProxyVersion: str = ""
    """The version of kube-proxy. No longer set."""
    operatingSystem: str = ""
    """The kind of operating system: linux or windows."""
    architecture: str = ""
    """The processor's architecture, such as amd64."""
    swap: NodeSwapStatus | None = None
    """The swap of the machine."""


class ContainerImage(Model, protobuf="names sizeBytes"):
    """An image on the node."""

    names: list[str] | None = None
    """All names of the image, with tags and digests."""
    sizeBytes: Int64 | None = None
    """The size of the image in bytes."""


class AttachedVolume(Model, protobuf="name devicePath"):
    """A volume that is attached to the node."""

    name: str = ""
    """The volume's unique name."""
    devicePath: str = ""
    """The path of its device on the node."""


class NodeConfigStatus(Model, protobuf="assigned active lastKnownGood error"):
    """The state of a configuration from a ConfigMap. No longer used."""

    assigned: NodeConfigSource | None = None
    """The assigned configuration."""
    active: NodeConfigSource | None = None
    """The configuration in use."""
    lastKnownGood: NodeConfigSource | None = None
    """The last configuration that worked."""
    error: str | None = None
    """The error in the assigned configuration."""


class NodeRuntimeHandlerFeatures(Model, protobuf="recursiveReadOnlyMounts* userNamespaces*"):
    """The features of a runtime handler."""

    recursiveReadOnlyMounts: bool | None = None
    """Whether the handler can make mounts below a read-only mount read-only too."""
    userNamespaces: bool | None = None
    """Whether the handler supports user namespaces."""


class NodeRuntimeHandler(Model, protobuf="name features"):
    """A runtime handler of the node."""

    name: Annotated[str, Required(False)] = ""
    """The handler's name, as a RuntimeClass gives it; empty for the default one."""
    features: NodeRuntimeHandlerFeatures | None = None
    """The features of the handler."""


class NodeFeatures(Model, protobuf="supplementalGroupsPolicy*"):
    """The features of the node's runtime that all handlers share."""

    supplementalGroupsPolicy: bool | None = None
    """Whether the runtime supports supplementalGroupsPolicy."""


class NodeStatus(
    Model,
    protobuf="capacity allocatable phase conditions addresses daemonEndpoints nodeInfo images volumesInUse "
    "volumesAttached config runtimeHandlers features",
):
    """The observed state of a node, mostly reported by its kubelet."""

    capacity: ResourceList | None = None
    """The total resources of the machine."""
    allocatable: ResourceList | None = None
    """The resources that pods may request. Default: the capacity."""
    phase: str | None = None
    """No longer set."""
    conditions: Annotated[list[NodeCondition], MergeKey("type")] | None = None
    """The conditions of the node, one of each type."""
    addresses: Annotated[list[NodeAddress], MergeKey("type")] | None = None
    """The addresses of the node."""
    daemonEndpoints: NodeDaemonEndpoints = Field(default_factory=NodeDaemonEndpoints)
    """The ports of the daemons on the node."""
    nodeInfo: NodeSystemInfo = Field(default_factory=NodeSystemInfo)
    """The machine and software of the node."""
    images: list[ContainerImage] | None = None
    """The images on the node, the largest first."""
    volumesInUse: list[str] | None = None
    """The attachable volumes that are mounted."""
    volumesAttached: list[AttachedVolume] | None = None
    """The volumes that are attached."""
    config: NodeConfigStatus | None = None
    """The state of the kubelet's configuration. No longer used."""
    runtimeHandlers: list[NodeRuntimeHandler] | None = None
    """The runtime handlers of the node."""
    features: NodeFeatures | None = None
    """The features of the node's runtime."""
    declaredFeatures: list[str] | None = None
    """Features of the kubelet that the scheduler looks at."""


class Node(Object, protobuf="metadata spec status"):
    """A machine that runs pods."""

    spec: NodeSpec = Field(default_factory=NodeSpec)
    """The settings of the machine: its pod addresses, its taints, and whether it accepts new pods."""
    status: NodeStatus = Field(default_factory=NodeStatus)
    """The observed state of the machine: its size, addresses, software and health."""


_ROLE_LABEL = "node-role.kubernetes.io/"
_ROLE_LABEL_OLD = "kubernetes.io/role"


class NodeStrategy(Strategy[Node]):
    """Create keeps `status`, as a node registers itself with it.

    Source: Kubernetes documentation, "Nodes", "Taints and Tolerations".
    """

    generation_tracks_spec = False
    resets_status = False

    def default(self, obj: Node) -> None:
        if obj.status.allocatable is None and obj.status.capacity:
            obj.status.allocatable = dict(obj.status.capacity)
        spec = obj.spec
        if spec.podCIDR and (not spec.podCIDRs or spec.podCIDRs[0] != spec.podCIDR):
            spec.podCIDRs = [spec.podCIDR]
        elif spec.podCIDRs:
            spec.podCIDR = spec.podCIDRs[0]

    def prepare_update(self, obj: Node, old: Node) -> None:
        obj.status = old.status

    def validate(self, obj: Node) -> list[FieldError]:
        errors = Errors()
        _check_taints(errors, obj.spec.taints or [])
        _check_resources(errors, obj.status)
        cidrs = obj.spec.podCIDRs or []
        for index, cidr in enumerate(cidrs):
            if not is_cidr(cidr):
                errors.invalid(("spec", "podCIDRs", index), cidr, CIDR_RULE)
        if len(cidrs) > 2 or len({":" in cidr for cidr in cidrs}) < len(cidrs):
            text = "may specify no more than one CIDR for each IP family"
            errors.invalid(("spec", "podCIDRs"), cidrs, text)
        return errors

    def validate_update(self, obj: Node, old: Node) -> list[FieldError]:
        errors = Errors()
        _check_addresses(errors, obj.status)
        if old.spec.podCIDRs and obj.spec.podCIDRs != old.spec.podCIDRs:
            text = 'node updates may not change podCIDR except from "" to valid'
            errors.forbidden(("spec", "podCIDRs"), text)
        if old.spec.providerID and obj.spec.providerID != old.spec.providerID:
            text = 'node updates may not change providerID except from "" to valid'
            errors.forbidden(("spec", "providerID"), text)
        return errors

    def validate_status_update(self, obj: Node, old: Node) -> list[FieldError]:
        errors = Errors()
        _check_resources(errors, obj.status)
        _check_addresses(errors, obj.status)
        return errors


def _check_taints(errors: Errors, taints: list[Taint]) -> None:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        at = ("metadata", "taints", index)  # as upstream names it
        errors.check_messages((*at, "key"), taint.key, qualified_name_errors(taint.key))
        if taint.value:
            errors.check_messages((*at, "value"), taint.value, label_value_errors(taint.value))
        errors.check_one_of((*at, "effect"), taint.effect, EFFECTS)
        if (taint.key, taint.effect) in seen:
            shown = taint.model_dump(exclude_none=True)
            errors.duplicate(at, shown, "taints must be unique by key and effect pair")
        seen.add((taint.key, taint.effect))


def _check_resources(errors: Errors, status: NodeStatus) -> None:
    check_resource_list(errors, ("status", "capacity"), status.capacity)
    check_resource_list(errors, ("status", "allocatable"), status.allocatable)


def _check_addresses(errors: Errors, status: NodeStatus) -> None:
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate(status.addresses or ()):
        if (address.type, address.address) in seen:
            errors.duplicate(("status", "addresses", index), address.model_dump())
        seen.add((address.type, address.address))


def internal_addresses(node: Node) -> tuple[str, ...]:
    """Returns the addresses by which other nodes reach it: one, or one of each family."""
    return tuple(item.address for item in node.status.addresses or () if item.type == "InternalIP")


def has_taint(node: Node, *keys: str) -> bool:
    """Tells whether the node has a taint with one of these keys, whatever its value and effect."""
    return any(taint.key in keys for taint in node.spec.taints or ())


def takes_balanced_traffic(node: Node) -> bool:
    """Tells whether a balancer may send to the node."""
    leaving = has_taint(node, TO_BE_DELETED_TAINT, UNINITIALIZED_TAINT)
    return is_true(node.status.conditions, "Ready") and not leaving and EXCLUDED_FROM_BALANCERS not in node.labels


def _status_text(node: Node, now: float) -> str:
    ready = get_condition(node.status.conditions, "Ready")
    text = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if node.spec.unschedulable else text


def _roles(node: Node, now: float) -> str:
    roles = {label.removeprefix(_ROLE_LABEL) for label in node.labels if label.startswith(_ROLE_LABEL)}
    roles.add(node.labels.get(_ROLE_LABEL_OLD, ""))
    return ",".join(sorted(roles - {""})) or NONE


def _kernel(node: Node, now: float) -> str:
    info = node.status.nodeInfo
    kernel = info.kernelVersion or UNKNOWN
    return f"{kernel} ({info.architecture})" if info.architecture else kernel


def _address(node: Node, kind: str) -> str:
    return next((item.address for item in node.status.addresses or () if item.type == kind), NONE)


_COLUMNS = (
    NAME,
    Column("Status", _status_text, "Whether the node is ready and accepts new pods."),
    Column("Roles", _roles, "The roles that the node's labels name."),
    AGE,
    Column("Version", lambda node, now: node.status.nodeInfo.kubeletVersion, "The kubelet's version."),
    Column("Internal-IP", lambda node, now: _address(node, "InternalIP"), "The address for other nodes.", priority=1),
    Column(
        "External-IP", lambda node, now: _address(node, "ExternalIP"), "The address for external clients.", priority=1
    ),
    Column("OS-Image", lambda node, now: node.status.nodeInfo.osImage or UNKNOWN, "The operating system.", priority=1),
    Column("Kernel-Version", _kernel, "The kernel.", priority=1),
    Column(
        "Container-Runtime",
        lambda node, now: node.status.nodeInfo.containerRuntimeVersion or UNKNOWN,
        "The container runtime.",
        priority=1,
    ),
)


RESOURCE = Resource(
    kind="Node",
    plural="nodes",
    model=Node,
    namespaced=False,
    short_names=("no",),
    strategy=NodeStrategy(),
    columns=_COLUMNS,
    fields={"spec.unschedulable": lambda node: "true" if node.spec.unschedulable else "false"},
    status=True,
    storage_prefix="minions",
)


def with_taint(node: Node, taint: Taint) -> Node | None:
    """Returns the node with the taint; None where it has one with that key."""
    if has_taint(node, taint.key):
        return None
    changed = node.clone()
    changed.spec.taints = [*(node.spec.taints or ()), taint]
    return changed


def without_taints(node: Node, *keys: str) -> Node | None:
    """Returns the node without the taints with these keys; None where it has none of them."""
    if not has_taint(node, *keys):
        return None
    changed = node.clone()
    changed.spec.taints = [taint for taint in node.spec.taints or () if taint.key not in keys] or None
    return changed
