"""Node: a worker host."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.conditions import get_condition
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import MergeKey, Model, Time
from apimachinery.names import label_value_errors, qualified_name_errors
from apimachinery.quantity import Quantity
from apimachinery.resource import Column, Resource, Strategy
from kubeapi._affinity import Taint
from kubeapi._affinityvalidation import EFFECTS
from kubeapi._columns import AGE, NAME, NONE, UNKNOWN
from kubeapi._common import Int32, Int64
from kubeapi._resourcevalidation import check_resource_list
from kubeapi._validation import Errors, is_cidr


class ConfigMapNodeConfigSource(Model):
    namespace: str = ""
    name: str = ""
    uid: str | None = None
    resourceVersion: str | None = None
    kubeletConfigKey: str = ""


class NodeConfigSource(Model):
    configMap: ConfigMapNodeConfigSource | None = None


class NodeSpec(Model):
    podCIDR: str | None = None
    podCIDRs: Annotated[list[str], MergeKey("")] | None = None
    providerID: str | None = None
    unschedulable: bool | None = None
    taints: list[Taint] | None = None
    configSource: NodeConfigSource | None = None
    externalID: str | None = None


class NodeCondition(Model):
    type: str = ""
    status: str = ""
    lastHeartbeatTime: Time | None = None
    lastTransitionTime: Time | None = None
    reason: str | None = None
    message: str | None = None


class NodeAddress(Model):
    type: str = ""
    address: str = ""


class DaemonEndpoint(Model):
    Port: Int32 = 0


class NodeDaemonEndpoints(Model):
    kubeletEndpoint: DaemonEndpoint | None = None


class NodeSwapStatus(Model):
    capacity: Int64 | None = None


class NodeSystemInfo(Model):
    machineID: str = ""
    systemUUID: str = ""
    bootID: str = ""
    kernelVersion: str = ""
    osImage: str = ""
    containerRuntimeVersion: str = ""
    kubeletVersion: str = ""
    kubeProxyVersion: str = ""
    operatingSystem: str = ""
    architecture: str = ""
    swap: NodeSwapStatus | None = None


class ContainerImage(Model):
    names: list[str] | None = None
    sizeBytes: Int64 | None = None


class AttachedVolume(Model):
    name: str = ""
    devicePath: str = ""


class NodeConfigStatus(Model):
    assigned: NodeConfigSource | None = None
    active: NodeConfigSource | None = None
    lastKnownGood: NodeConfigSource | None = None
    error: str | None = None


class NodeRuntimeHandlerFeatures(Model):
    recursiveReadOnlyMounts: bool | None = None
    userNamespaces: bool | None = None


class NodeRuntimeHandler(Model):
    name: str = ""
    features: NodeRuntimeHandlerFeatures | None = None


class NodeFeatures(Model):
    supplementalGroupsPolicy: bool | None = None


class NodeStatus(Model):
    capacity: dict[str, Quantity] | None = None
    allocatable: dict[str, Quantity] | None = None
    phase: str | None = None
    conditions: Annotated[list[NodeCondition], MergeKey("type")] | None = None
    addresses: Annotated[list[NodeAddress], MergeKey("type")] | None = None
    daemonEndpoints: NodeDaemonEndpoints = Field(default_factory=NodeDaemonEndpoints)
    nodeInfo: NodeSystemInfo = Field(default_factory=NodeSystemInfo)
    images: list[ContainerImage] | None = None
    volumesInUse: list[str] | None = None
    volumesAttached: list[AttachedVolume] | None = None
    config: NodeConfigStatus | None = None
    runtimeHandlers: list[NodeRuntimeHandler] | None = None
    features: NodeFeatures | None = None
    declaredFeatures: list[str] | None = None


class Node(Object):
    spec: NodeSpec = Field(default_factory=NodeSpec)
    status: NodeStatus = Field(default_factory=NodeStatus)


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
