"""A node's status from what the machine and the runtime say. Pure, but for `read_machine`."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from apimachinery.conditions import get_condition
from apimachinery.quantity import format_quantity
from apimachinery.times import format_time, parse_time
from componentbase.flags import version
from kubeapi.core.node import (
    ContainerImage,
    DaemonEndpoint,
    NodeAddress,
    NodeCondition,
    NodeDaemonEndpoints,
    NodeFeatures,
    NodeRuntimeHandler,
    NodeRuntimeHandlerFeatures,
    NodeStatus,
    NodeSystemInfo,
)
from kubeapi.core.pod.validation.resources import is_extended
from kubelet.devices.manager import DeviceCount
from kubelet.eviction.thresholds import MEMORY_AVAILABLE, NODEFS_AVAILABLE, EvictionPolicy
from kubelet.runtime.interface import ImageInfo, RuntimeInfo

MAX_IMAGES = 50  # images a status lists, the largest first
MAX_IMAGE_NAMES = 5

HUGE_PAGES = "/sys/kernel/mm/hugepages"


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts of the host that seldom change. Sizes in bytes; the disk is the one that holds --root-dir."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    huge_pages: Mapping[str, int] = field(default_factory=dict)
    """Resource -> bytes, for each size of pages that the kernel has."""
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel: str = ""
    os_image: str = ""
    architecture: str = "amd64"


@dataclass(frozen=True, slots=True)
class NodeInputs:
    """Everything that a node's status is made from. `problems`: texts that make the node not ready."""

    name: str
    ips: tuple[str, ...]
    port: int
    max_pods: int
    machine: Machine
    runtime: RuntimeInfo | None = None
    images: tuple[ImageInfo, ...] = ()
    problems: tuple[str, ...] = ()
    reserved: Mapping[str, Fraction] = field(default_factory=dict)
    eviction: EvictionPolicy = field(default_factory=EvictionPolicy)
    pressures: frozenset[str] = frozenset()
    """The pressure conditions that hold: MemoryPressure, DiskPressure, PIDPressure."""
    devices: Mapping[str, DeviceCount] = field(default_factory=dict)
    volumes_in_use: tuple[str, ...] = ()
    in_cloud: bool = False
    """A cloud-controller-manager writes the addresses; the kubelet's own hold until then."""


def read_machine(root_dir: str) -> Machine:
    """Reads /proc, /etc and the file system. Raises: OSError."""
    memory = _fields("/proc/meminfo", ":")
    disk = os.statvfs(root_dir)
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_bytes=_kib(memory, "MemTotal"),
        disk_bytes=disk.f_blocks * disk.f_frsize,
        huge_pages=_huge_pages(),
        machine_id=_text("/etc/machine-id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or _text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=_fields("/etc/os-release", "=").get("PRETTY_NAME", "Linux").strip('"'),
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    )


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def _fields(path: str, separator: str) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(separator) for line in _text(path).splitlines())}


def _kib(fields: Mapping[str, str], name: str) -> int:
    return int(fields.get(name, "0 kB").split()[0]) * 1024


def _huge_pages() -> dict[str, int]:
    try:
        names = os.listdir(HUGE_PAGES)
    except OSError:
        return {}
    sizes = {name: int(name.removeprefix("hugepages-").removesuffix("kB")) * 1024 for name in names}
    return {
        f"hugepages-{format_quantity(size, 'BinarySI')}": size * int(_text(f"{HUGE_PAGES}/{name}/nr_hugepages") or 0)
        for name, size in sizes.items()
    }


def capacity(machine: Machine, max_pods: int) -> dict[str, Fraction]:
    return {
        "cpu": Fraction(machine.cpus),
        "memory": Fraction(machine.memory_bytes),
        "ephemeral-storage": Fraction(machine.disk_bytes),
        "pods": Fraction(max_pods),
        **{name: Fraction(size) for name, size in machine.huge_pages.items()},
    }


def allocatable(facts: NodeInputs) -> dict[str, Fraction]:
    """Returns the capacity less what is reserved for the system, what a hard eviction threshold keeps free, and, of
    memory, what is set aside as huge pages."""
    total = capacity(facts.machine, facts.max_pods)
    kept = dict(facts.reserved)
    for name, signal in (("memory", MEMORY_AVAILABLE), ("ephemeral-storage", NODEFS_AVAILABLE)):
        kept[name] = kept.get(name, Fraction(0)) + int(facts.eviction.hard(signal, total[name]))
    kept["memory"] += sum(facts.machine.huge_pages.values())
    return {name: max(value - kept.get(name, Fraction(0)), Fraction(0)) for name, value in total.items()}


def node_status(old: NodeStatus, facts: NodeInputs, now: float) -> NodeStatus:
    """Makes the status to report; resources, fields and conditions that aren't the kubelet's stay as `old` has them."""
    machine = facts.machine
    status = old.model_copy()
    foreign = {name: value for name, value in (old.capacity or {}).items() if is_extended(name)}
    devices = facts.devices.items()
    status.capacity = foreign | _shown(capacity(machine, facts.max_pods))
    status.capacity |= {name: str(count.capacity) for name, count in devices}
    status.allocatable = foreign | _shown(allocatable(facts))
    status.allocatable |= {name: str(count.allocatable) for name, count in devices}
    if not (facts.in_cloud and old.addresses):
        status.addresses = [NodeAddress(type="InternalIP", address=ip) for ip in facts.ips]
        status.addresses.append(NodeAddress(type="Hostname", address=facts.name))
    status.daemonEndpoints = NodeDaemonEndpoints(kubeletEndpoint=DaemonEndpoint(Port=facts.port))
    status.nodeInfo = NodeSystemInfo(
        machineID=machine.machine_id,
        systemUUID=machine.system_uuid,
        bootID=machine.boot_id,
        kernelVersion=machine.kernel,
        osImage=machine.os_image,
        containerRuntimeVersion=f"{facts.runtime.name}://{facts.runtime.version}" if facts.runtime else "",
        kubeletVersion=version(),
        kubeProxyVersion=version(),
        operatingSystem="linux",
        architecture=machine.architecture,
    )
    if facts.runtime is not None:
        status.runtimeHandlers = _handlers(facts.runtime)
        status.features = NodeFeatures(supplementalGroupsPolicy=True)
    else:
        status.nodeInfo.containerRuntimeVersion = old.nodeInfo.containerRuntimeVersion
    status.volumesInUse = list(facts.volumes_in_use) or None
    status.images = _images(facts.images) or old.images
    status.conditions = _conditions(old.conditions or (), facts, now)
    return status


def _handlers(runtime: RuntimeInfo) -> list[NodeRuntimeHandler]:
    """Lists the default handler, which has no name, and those that a RuntimeClass may choose."""
    features = NodeRuntimeHandlerFeatures(
        recursiveReadOnlyMounts=runtime.recursive_read_only, userNamespaces=runtime.user_namespaces
    )
    return [NodeRuntimeHandler(name=name, features=features) for name in ("", *runtime.handlers)]


def _shown(resources: Mapping[str, Fraction]) -> dict[str, str]:
    """Sizes are shown in powers of 1024."""
    decimal = ("cpu", "pods")
    return {
        name: format_quantity(value, "DecimalSI" if name in decimal else "BinarySI")
        for name, value in resources.items()
    }


def _images(images: Iterable[ImageInfo]) -> list[ContainerImage] | None:
    largest = sorted(images, key=lambda image: image.size_bytes, reverse=True)[:MAX_IMAGES]
    return [
        ContainerImage(names=[*image.digests, *image.tags][:MAX_IMAGE_NAMES], sizeBytes=image.size_bytes)
        for image in largest
        if image.tags or image.digests
    ] or None


def _conditions(old: Iterable[NodeCondition], facts: NodeInputs, now: float) -> list[NodeCondition]:
    others = list(old)
    own = [*(_pressure(kind, kind in facts.pressures) for kind in PRESSURES), _ready(facts.problems)]
    for condition in own:
        before = get_condition(others, condition.type)
        same = before is not None and before.status == condition.status
        condition.lastHeartbeatTime = format_time(now)
        condition.lastTransitionTime = before.lastTransitionTime if before and same else format_time(now)
    types = {condition.type for condition in own}
    return [condition for condition in others if condition.type not in types] + own


PRESSURES = {
    "MemoryPressure": (
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ),
}
"""Condition -> reason and message while it holds, and while it does not."""


def _pressure(type: str, holds: bool) -> NodeCondition:
    reason, message = PRESSURES[type][0 if holds else 1]
    return NodeCondition(type=type, status="True" if holds else "False", reason=reason, message=message)


def _ready(problems: tuple[str, ...]) -> NodeCondition:
    if problems:
        return NodeCondition(type="Ready", status="False", reason="KubeletNotReady", message=", ".join(problems))
    return NodeCondition(type="Ready", status="True", reason="KubeletReady", message="kubelet is posting ready status")


def heartbeat_due(sent: NodeStatus, now: float, every_seconds: float) -> bool:
    """Tells whether the last report is so old that it must be repeated though nothing has changed."""
    ready = get_condition(sent.conditions, "Ready")
    if ready is None or not ready.lastHeartbeatTime:
        return True
    return now - parse_time(ready.lastHeartbeatTime) >= every_seconds


def significant(status: NodeStatus) -> NodeStatus:
    """Returns the status without its heartbeats: a report is worth sending when this part has changed."""
    conditions = [
        condition.model_copy(update={"lastHeartbeatTime": "", "lastTransitionTime": ""})
        for condition in status.conditions or ()
    ]
    return status.model_copy(update={"conditions": sorted(conditions, key=lambda condition: condition.type)})
