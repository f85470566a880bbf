"""Node: a worker host."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, NONE, UNKNOWN
from apimachinery.conditions import get_condition
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, Int64, MergeKey, Model, Required, Time
from apimachinery.names import label_value_errors, qualified_name_errors
from apimachinery.quantity import Quantity
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, is_cidr
from kubeapi.core.pod.affinity import Taint
from kubeapi.core.pod.validation.affinity import EFFECTS
from kubeapi.core.pod.validation.resources import check_resource_list


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
    """Where a kubelet's configuration comes from. No longer used."""

    configMap: ConfigMapNodeConfigSource | None = None
    """The ConfigMap with it."""


class NodeSpec(Model, protobuf="podCIDR externalID providerID unschedulable taints configSource podCIDRs"):
    """What is set for a node."""

    podCIDR: str | None = None
    """The range that the addresses of the node's pods come from."""
    podCIDRs: Annotated[list[str], MergeKey("")] | None = None
    """The ranges of pod addresses, at most one of each family; the first is podCIDR."""
    providerID: str | None = None
    """The node's id at its cloud, as in PROVIDER://ID."""
    unschedulable: bool | None = None
    """Whether new pods are kept off the node; `kubectl cordon` sets it. Default: false."""
    taints: list[Taint] | None = None
    """What keeps pods off the node that do not tolerate it."""
    configSource: NodeConfigSource | None = None
    """Where the kubelet's configuration comes from. No longer used."""
    externalID: str | None = None
    """An id of the node elsewhere. No longer used."""


class NodeCondition(Model, protobuf="type status lastHeartbeatTime lastTransitionTime reason message"):
    """One thing that is, or is not, true of a node."""

    type: str = ""
    """What is observed: Ready, MemoryPressure, DiskPressure, PIDPressure or NetworkUnavailable."""
    status: str = ""
    """Whether it is so: True, False or Unknown."""
    lastHeartbeatTime: Time | None = None
    """When the kubelet last told."""
    lastTransitionTime: Time | None = None
    """When `status` last changed from one value to another."""
    reason: str | None = None
    """One CamelCase word that says why, for machines."""
    message: str | None = None
    """A sentence that says why, for people."""


class NodeAddress(Model, protobuf="type address"):
    """An address or name of a node."""

    type: str = ""
    """What it is: Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS."""
    address: str = ""
    """The address or name itself."""


class DaemonEndpoint(Model, protobuf="Port"):
    """Where a daemon listens."""

    Port: Int32 = 0
    """The port that it listens on."""


class NodeDaemonEndpoints(Model, protobuf="kubeletEndpoint"):
    """Where the node's daemons listen."""

    kubeletEndpoint: DaemonEndpoint | None = None
    """The kubelet's own server, for logs and exec."""


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
    """The id that the machine's firmware tells."""
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
    """Its size in bytes."""


class AttachedVolume(Model, protobuf="name devicePath"):
    """A volume that is attached to the node."""

    name: str = ""
    """The volume's unique name."""
    devicePath: str = ""
    """The path of its device on the node."""


class NodeConfigStatus(Model, protobuf="assigned active lastKnownGood error"):
    """What became of a configuration from a ConfigMap. No longer used."""

    assigned: NodeConfigSource | None = None
    """The configuration that was to be used."""
    active: NodeConfigSource | None = None
    """The configuration in use."""
    lastKnownGood: NodeConfigSource | None = None
    """The configuration that is gone back to."""
    error: str | None = None
    """What was wrong with the assigned one."""


class NodeRuntimeHandlerFeatures(Model, protobuf="recursiveReadOnlyMounts* userNamespaces*"):
    """What a runtime handler can do."""

    recursiveReadOnlyMounts: bool | None = None
    """Whether mounts below a read-only one can be made read-only too."""
    userNamespaces: bool | None = None
    """Whether pods can have user ids of their own."""


class NodeRuntimeHandler(Model, protobuf="name features"):
    """One way in which the node runs containers."""

    name: Annotated[str, Required(False)] = ""
    """The handler's name, as a RuntimeClass gives it; empty for the default one."""
    features: NodeRuntimeHandlerFeatures | None = None
    """What the handler can do."""


class NodeFeatures(Model, protobuf="supplementalGroupsPolicy*"):
    """What the node's runtime can do whatever the handler."""

    supplementalGroupsPolicy: bool | None = None
    """Whether it can leave out groups of the image."""


class NodeStatus(
    Model,
    protobuf="capacity allocatable phase conditions addresses daemonEndpoints nodeInfo images volumesInUse "
    "volumesAttached config runtimeHandlers features",
):
    """What is known of a node, mostly told by its kubelet."""

    capacity: dict[str, Quantity] | None = None
    """All that the machine has, by resource."""
    allocatable: dict[str, Quantity] | None = None
    """What of it pods may request, by resource. Default: the capacity."""
    phase: str | None = None
    """No longer set."""
    conditions: Annotated[list[NodeCondition], MergeKey("type")] | None = None
    """What is, or is not, true of the node."""
    addresses: Annotated[list[NodeAddress], MergeKey("type")] | None = None
    """How the node can be reached."""
    daemonEndpoints: NodeDaemonEndpoints = Field(default_factory=NodeDaemonEndpoints)
    """The ports of its daemons."""
    nodeInfo: NodeSystemInfo = Field(default_factory=NodeSystemInfo)
    """Its machine and software."""
    images: list[ContainerImage] | None = None
    """The images it has, the largest first."""
    volumesInUse: list[str] | None = None
    """The attachable volumes that are mounted."""
    volumesAttached: list[AttachedVolume] | None = None
    """The volumes that are attached."""
    config: NodeConfigStatus | None = None
    """What became of its configuration. No longer used."""
    runtimeHandlers: list[NodeRuntimeHandler] | None = None
    """The ways in which it runs containers."""
    features: NodeFeatures | None = None
    """What its runtime can do."""
    declaredFeatures: list[str] | None = None
    """Features of the kubelet that the scheduler looks at."""


class Node(Object, protobuf="metadata spec status"):
    """A machine that runs pods."""

    spec: NodeSpec = Field(default_factory=NodeSpec)
    """What is set for the machine: its pod addresses, its taints, whether it takes new pods."""
    status: NodeStatus = Field(default_factory=NodeStatus)
    """What is known of the machine: its size, addresses, software and health."""


_ROLE_LABEL = "node-role.kubernetes.io/"
_ROLE_LABEL_OLD = "kubernetes.io/role"


class NodeStrategy(Strategy[Node]):
    """A node registers itself with its status, so create takes it.

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
        cidrs = obj.spec.podCIDRs or []
        for index, cidr in enumerate(cidrs):
            if not is_cidr(cidr):
                errors.invalid(("spec", "podCIDRs", index), cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24)")
        if len(cidrs) > 2 or len({":" in cidr for cidr in cidrs}) < len(cidrs):
            text = "may specify no more than one CIDR for each IP family"
            errors.invalid(("spec", "podCIDRs"), cidrs, text)
        _check_status(errors, obj.status)
        return errors

    def validate_update(self, obj: Node, old: Node) -> list[FieldError]:
        errors = Errors()
        if old.spec.podCIDRs and obj.spec.podCIDRs != old.spec.podCIDRs:
            text = 'node updates may not change podCIDR except from "" to valid'
            errors.forbidden(("spec", "podCIDRs"), text)
        if old.spec.providerID and obj.spec.providerID != old.spec.providerID:
            text = 'node updates may not change providerID except from "" to valid'
            errors.forbidden(("spec", "providerID"), text)
        return errors

    def validate_status_update(self, obj: Node, old: Node) -> list[FieldError]:
        errors = Errors()
        _check_status(errors, obj.status)
        return errors


def _check_taints(errors: Errors, taints: list[Taint]) -> None:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        at = ("spec", "taints", index)
        errors.check_messages((*at, "key"), taint.key, qualified_name_errors(taint.key))
        if taint.value:
            errors.check_messages((*at, "value"), taint.value, label_value_errors(taint.value))
        errors.check_one_of((*at, "effect"), taint.effect, EFFECTS)
        if (taint.key, taint.effect) in seen:
            shown = taint.model_dump(exclude_none=True)
            errors.duplicate(at, shown, "taints must be unique by key and effect pair")
        seen.add((taint.key, taint.effect))


def _check_status(errors: Errors, status: NodeStatus) -> None:
    check_resource_list(errors, ("status", "capacity"), status.capacity)
    check_resource_list(errors, ("status", "allocatable"), status.allocatable)
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate(status.addresses or ()):
        if (address.type, address.address) in seen:
            errors.duplicate(("status", "addresses", index), address.model_dump())
        seen.add((address.type, address.address))


def _status_text(node: Node, now: float) -> str:
    ready = get_condition(node.status.conditions, "Ready")
    text = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if node.spec.unschedulable else text


def _roles(node: Node, now: float) -> str:
    roles = {label.removeprefix(_ROLE_LABEL) for label in node.labels if label.startswith(_ROLE_LABEL)}
    roles.add(node.labels.get(_ROLE_LABEL_OLD, ""))
    return ",".join(sorted(roles - {""})) or NONE


def _address(node: Node, kind: str) -> str:
    return next((item.address for item in node.status.addresses or () if item.type == kind), NONE)


_COLUMNS = (
    NAME,
    Column("Status", _status_text, description="Whether the node is ready, and takes new pods."),
    Column("Roles", _roles, description="The roles that its labels give the node."),
    AGE,
    Column("Version", lambda node, now: node.status.nodeInfo.kubeletVersion, description="The kubelet's version."),
    Column(
        "Internal-IP",
        lambda node, now: _address(node, "InternalIP"),
        description="The address by which other nodes reach it.",
        priority=1,
    ),
    Column(
        "External-IP",
        lambda node, now: _address(node, "ExternalIP"),
        description="The address by which the outside reaches it.",
        priority=1,
    ),
    Column(
        "OS-Image",
        lambda node, now: node.status.nodeInfo.osImage or UNKNOWN,
        description="The operating system.",
        priority=1,
    ),
    Column(
        "Kernel-Version",
        lambda node, now: node.status.nodeInfo.kernelVersion or UNKNOWN,
        description="The kernel.",
        priority=1,
    ),
    Column(
        "Container-Runtime",
        lambda node, now: node.status.nodeInfo.containerRuntimeVersion or UNKNOWN,
        description="What runs the containers.",
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
