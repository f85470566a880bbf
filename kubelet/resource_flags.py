"""Adds the flags about the node's resources: what is kept from pods, when they are evicted, what is cleaned up."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from apimachinery.quantity import parse_quantity
from componentbase.flags import add_bool, add_duration, parse_list, parse_map
from kubelet.cgroups.reserved import PODS, ReservedGroup, reserved_groups
from kubelet.container.images.gc import GarbagePolicy
from kubelet.cpus.manager import NONE, STATIC
from kubelet.cpus.topology import parse_cpus
from kubelet.eviction.thresholds import (
    DEFAULT_HARD,
    EvictionPolicy,
    eviction_thresholds,
    parse_thresholds,
    with_allocatable,
)

RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")

WHOSE = {"the system's daemons": "--system-reserved", "the kubelet and the engine": "--kube-reserved"}


@dataclass(frozen=True)
class ResourceOptions:
    """`reserved` is for the system and the kubelet together, in base units. `pids_limit` is a pod's; 0: none.
    `enforces_reserved`: the kernel holds the pods back from it, as far as they have groups (`group_per_pod`)."""

    reserved: Mapping[str, Fraction] = field(default_factory=dict)
    eviction: EvictionPolicy = field(default_factory=EvictionPolicy)
    garbage: GarbagePolicy = field(default_factory=GarbagePolicy)
    pids_limit: int = 0
    cpu_policy: str = NONE
    reserved_cpus: frozenset[int] = frozenset()
    group_per_pod: bool = True
    group_root: str = ""
    enforces_reserved: bool = True
    reserved_groups: tuple[ReservedGroup, ...] = ()
    memory_notification: bool = False


def add_resource_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("resources")
    for whom, flag in WHOSE.items():
        group.add_argument(
            flag,
            type=parse_map,
            default={},
            metavar="RESOURCE=QUANTITY,…",
            help=f"kept from pods for {whom}: {', '.join(RESERVABLE)}, e.g. cpu=200m,memory=256Mi",
        )
        group.add_argument(f"{flag}-cgroup", default="", metavar="PATH", help=f"control group of {whom}")
    group.add_argument(
        "--pod-max-pids", type=int, default=-1, metavar="N", help="processes of a pod at most (default: no limit)"
    )
    group.add_argument(
        "--cpu-manager-policy",
        choices=(NONE, STATIC),
        default=NONE,
        help=f"{STATIC}: containers of Guaranteed pods get the whole CPUs that they ask for to themselves",
    )
    group.add_argument(
        "--reserved-cpus",
        default="",
        metavar="CPUS",
        help="CPUs kept for the system, e.g. 0-1,8, in place of the cpu in --system-reserved and --kube-reserved",
    )
    _add_group_flags(parser.add_argument_group("control groups"))
    _add_eviction_flags(parser.add_argument_group("eviction"))
    _add_garbage_flags(parser.add_argument_group("garbage collection"))


def _add_group_flags(group: argparse._ArgumentGroup) -> None:
    add_bool(group, "--cgroups-per-qos", True, "make a control group for each class of service, and in it for each pod")
    group.add_argument(
        "--cgroup-root", default="", metavar="PATH", help="group that they are made in (default: that of the machine)"
    )
    group.add_argument(
        "--enforce-node-allocatable",
        type=parse_list,
        default=[PODS],
        metavar="WHAT,…",
        help=f"{PODS} (default): all pods together are held back from what is reserved for the system; system-reserved "
        "and kube-reserved: those that it is reserved for are held to it, with -compressible behind it of cpu alone",
    )


def _add_eviction_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--eviction-hard",
        type=parse_thresholds,
        default=DEFAULT_HARD,
        metavar="SIGNAL<QUANTITY|PERCENT%,…",
        help=f"pods are evicted at once while less is available (default {DEFAULT_HARD.replace('%', '%%')})",
    )
    group.add_argument(
        "--eviction-soft",
        type=parse_thresholds,
        default={},
        metavar="SIGNAL<QUANTITY|PERCENT%,…",
        help="pods are evicted when less is available for the grace period",
    )
    for flag, metavar, help in (
        ("--eviction-soft-grace-period", "SIGNAL=DURATION,…", "grace periods of --eviction-soft, one for each signal"),
        ("--eviction-minimum-reclaim", "SIGNAL=QUANTITY|PERCENT%,…", "freed beyond the threshold, once it is crossed"),
    ):
        group.add_argument(flag, type=parse_map, default={}, metavar=metavar, help=help.replace("%", "%%"))
    group.add_argument(
        "--eviction-max-pod-grace-period",
        type=int,
        default=0,
        metavar="SECONDS",
        help="longest grace period of a pod that a soft threshold evicts (default 0)",
    )
    help = "have the kernel tell when a threshold of memory is crossed; control groups of version 1 alone can"
    add_bool(group, "--kernel-memcg-notification", False, help)
    help = "how long a pressure condition stays after its signal has recovered"
    add_duration(group, "--eviction-pressure-transition-period", 300, help)


def _add_garbage_flags(group: argparse._ArgumentGroup) -> None:
    policy = GarbagePolicy()
    for flag, default, help in (
        ("--image-gc-high-threshold", policy.high_percent, "percent of the disk in use at which images are removed"),
        ("--image-gc-low-threshold", policy.low_percent, "percent of the disk in use at which that ends"),
        ("--maximum-dead-containers-per-container", policy.dead_per_container, "old instances kept of a container"),
        ("--maximum-dead-containers", -1, "old instances kept on the node; -1 for any number"),
    ):
        group.add_argument(flag, type=int, default=default, metavar="N", help=f"{help} (default {default})")
    add_duration(group, "--minimum-image-ttl-duration", policy.min_image_age_seconds, "age of an image to be removed")
    help = "an image unused for longer is removed, whatever room there is; 0 keeps them"
    add_duration(group, "--image-maximum-gc-age", 0, help)
    add_duration(group, "--minimum-container-ttl-duration", 0, "age of a dead container to be removed")


def resource_options(args: argparse.Namespace) -> ResourceOptions:
    """Raises: ValueError."""
    system = _reservation("--system-reserved", args.system_reserved)
    kube = _reservation("--kube-reserved", args.kube_reserved)
    reserved = {name: system.get(name, Fraction(0)) + kube.get(name, Fraction(0)) for name in system | kube}
    try:
        cpus = parse_cpus(args.reserved_cpus)
    except ValueError:
        raise ValueError(f"--reserved-cpus: want CPUs as in 0-1,8: {args.reserved_cpus!r}") from None
    if cpus:
        reserved["cpu"] = Fraction(len(cpus))
    if args.eviction_max_pod_grace_period < 0:
        raise ValueError("--eviction-max-pod-grace-period must not be negative")
    thresholds = eviction_thresholds(
        args.eviction_hard, args.eviction_soft, args.eviction_soft_grace_period, args.eviction_minimum_reclaim
    )
    groups = reserved_groups(
        args.enforce_node_allocatable,
        {
            "system": (_group_path("--system-reserved-cgroup", args.system_reserved_cgroup), system),
            "kube": (_group_path("--kube-reserved-cgroup", args.kube_reserved_cgroup), kube),
        },
    )
    enforces_reserved = args.cgroups_per_qos and PODS in args.enforce_node_allocatable
    if enforces_reserved:
        thresholds = with_allocatable(thresholds)
    return ResourceOptions(
        reserved,
        EvictionPolicy(thresholds, args.eviction_pressure_transition_period, args.eviction_max_pod_grace_period),
        _garbage_policy(args),
        max(args.pod_max_pids, 0),
        args.cpu_manager_policy,
        cpus,
        args.cgroups_per_qos,
        _group_path("--cgroup-root", args.cgroup_root),
        enforces_reserved,
        groups,
        args.kernel_memcg_notification,
    )


def _reservation(flag: str, values: Mapping[str, str]) -> dict[str, Fraction]:
    """Raises: ValueError."""
    for name, value in values.items():
        if name not in RESERVABLE:
            raise ValueError(f"{flag}: cannot reserve {name!r} resource")
        if parse_quantity(value) < 0:
            raise ValueError(f"{flag}: resource quantity for {name!r} cannot be negative: {value}")
    return {name: parse_quantity(value) for name, value in values.items()}


def _group_path(flag: str, path: str) -> str:
    """Raises: ValueError."""
    if path and (not path.startswith("/") or ".." in path.split("/")):
        raise ValueError(f"{flag}: want the path of a control group, as in /kube: {path!r}")
    return path.rstrip("/")


def _garbage_policy(args: argparse.Namespace) -> GarbagePolicy:
    """Raises: ValueError."""
    high, low = args.image_gc_high_threshold, args.image_gc_low_threshold
    for flag, percent in (("--image-gc-high-threshold", high), ("--image-gc-low-threshold", low)):
        if not 0 <= percent <= 100:
            raise ValueError(f"{flag} must be between 0 and 100, inclusive: {percent}")
    if low >= high:
        raise ValueError(f"--image-gc-low-threshold {low} must be less than --image-gc-high-threshold {high}")
    oldest, youngest = args.image_maximum_gc_age, args.minimum_image_ttl_duration
    if oldest and oldest <= youngest:
        raise ValueError("--image-maximum-gc-age must be greater than --minimum-image-ttl-duration")
    return GarbagePolicy(
        high_percent=high,
        low_percent=low,
        min_image_age_seconds=youngest,
        max_image_age_seconds=oldest,
        dead_per_container=max(args.maximum_dead_containers_per_container, 0),
        max_dead_containers=args.maximum_dead_containers,
        min_dead_age_seconds=args.minimum_container_ttl_duration,
    )
