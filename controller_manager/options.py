"""Reads kube-controller-manager's command line, in upstream's flag names."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from componentbase.flags import Serving, add_bool, add_duration, base_parser, fill, parse_list
from kubeclient.controller import ControllerSpec
from kubeclient.leader import Election
from kubeclient.manager import ManagerOptions, add_controller_flags, worker_counts

NAME = "kube-controller-manager"
CONTROLLERS = "controller_manager.controllers"
SECURE_PORT = 10257
DEFAULT_MASK_SIZES = {4: 24, 6: 64}
MOST_PARTS_BITS = 16
"""A network has at most 2^16 ranges for nodes, as upstream's."""


@dataclass(frozen=True, slots=True)
class Options(ManagerOptions):
    """Durations in seconds."""

    root_ca_file: str
    service_account_private_key_file: str
    legacy_service_account_token_clean_up_period: float
    cluster_signing_cert_file: str
    cluster_signing_key_file: str
    cluster_signing_duration: float
    node_monitor_period: float
    node_monitor_grace_period: float
    node_startup_grace_period: float
    node_eviction_rate: float
    secondary_node_eviction_rate: float
    unhealthy_zone_threshold: float
    large_cluster_size_threshold: int
    allocate_node_cidrs: bool
    node_networks: tuple[tuple[str, int], ...]
    """The cluster's pod networks, each with the prefix length of a node's part of it."""
    service_cidrs: tuple[str, ...]
    terminated_pod_gc_threshold: int
    max_endpoints_per_slice: int
    resource_quota_sync_period: float
    horizontal_pod_autoscaler_sync_period: float
    horizontal_pod_autoscaler_downscale_stabilization: float
    horizontal_pod_autoscaler_tolerance: float
    horizontal_pod_autoscaler_cpu_initialization_period: float
    horizontal_pod_autoscaler_initial_readiness_delay: float


def parse(specs: Iterable[ControllerSpec[Any]], argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does. `specs` bring their flags of concurrency."""
    specs = list(specs)
    flags = _parser(specs)
    args = flags.parse_args(argv)
    workers = worker_counts(flags, args, specs)
    if not 1 <= args.max_endpoints_per_slice <= 1000:
        flags.error("--max-endpoints-per-slice must be between 1 and 1000")
    if bool(args.cluster_signing_cert_file) != bool(args.cluster_signing_key_file):
        flags.error("--cluster-signing-cert-file and --cluster-signing-key-file go together")
    if args.cluster_signing_duration < 600:
        flags.error("--cluster-signing-duration must be at least 10m")
    if args.legacy_service_account_token_clean_up_period <= 0:
        flags.error("--legacy-service-account-token-clean-up-period must be above 0")
    if args.horizontal_pod_autoscaler_sync_period < 1:
        flags.error("--horizontal-pod-autoscaler-sync-period must be at least 1s")
    if args.horizontal_pod_autoscaler_tolerance < 0:
        flags.error("--horizontal-pod-autoscaler-tolerance must not be negative")
    if args.resource_quota_sync_period < 1:
        flags.error("--resource-quota-sync-period must be at least 1s")
    if args.node_monitor_period <= 0 or args.node_monitor_grace_period <= args.node_monitor_period:
        flags.error("--node-monitor-grace-period must be longer than --node-monitor-period")
    return fill(
        Options,
        args,
        serving=Serving.of(args),
        election=Election.of(args),
        workers=workers,
        node_networks=_node_networks(flags, args),
        service_cidrs=args.service_cluster_ip_range,
    )


def _node_networks(flags: argparse.ArgumentParser, args: argparse.Namespace) -> tuple[tuple[str, int], ...]:
    """Exits with a message for networks or sizes that don't go together."""
    networks = [ip_network(cidr) for cidr in args.cluster_cidr]
    if args.allocate_node_cidrs and not networks:
        flags.error("--allocate-node-cidrs needs --cluster-cidr")
    if len({network.version for network in networks}) < len(networks):
        flags.error("--cluster-cidr takes one network of each IP family")
    if args.node_cidr_mask_size and len(networks) > 1:
        flags.error("--node-cidr-mask-size is for one IP family: use --node-cidr-mask-size-ipv4 and -ipv6")
    sized = []
    for network in networks:
        of_family = args.node_cidr_mask_size_ipv6 if network.version == 6 else args.node_cidr_mask_size_ipv4
        size = args.node_cidr_mask_size or of_family or DEFAULT_MASK_SIZES[network.version]
        if not network.prefixlen <= size <= min(network.prefixlen + MOST_PARTS_BITS, network.max_prefixlen):
            flags.error(
                f"a node can't have a /{size} of {network}: at most 2^{MOST_PARTS_BITS} nodes, and at least one"
            )
        sized.append((str(network), size))
    return tuple(sized)


def _parser(specs: Iterable[ControllerSpec[Any]]) -> argparse.ArgumentParser:
    flags = base_parser(
        NAME,
        "Moves the cluster from what it is to what the API says it should be.",
        secure_port=SECURE_PORT,
        leader_elect=True,
    )
    add_controller_flags(flags, specs)
    flags.add_argument(
        "--root-ca-file",
        default="",
        metavar="FILE",
        help="the authority published to every namespace (default: the kubeconfig's)",
    )
    flags.add_argument(
        "--service-account-private-key-file",
        default="",
        metavar="FILE",
        help="key that signs the tokens in Secrets of the type kubernetes.io/service-account-token (PEM; default: such "
        "Secrets stay empty)",
    )
    help = (
        "how long a token of a Secret that was made with its account may be unused before it is refused, then deleted"
    )
    add_duration(flags, "--legacy-service-account-token-clean-up-period", 365 * 24 * 3600, help)
    _add_signing(flags)
    _add_nodes(flags)
    _add_pod_networks(flags)
    _add_autoscaling(flags)
    flags.add_argument(
        "--terminated-pod-gc-threshold",
        type=int,
        default=12500,
        metavar="N",
        help="ended pods that may exist before the oldest are removed; 0 or less: no limit (default 12500)",
    )
    flags.add_argument(
        "--max-endpoints-per-slice",
        type=int,
        default=100,
        metavar="N",
        help="endpoints of one EndpointSlice, up to 1000 (default 100)",
    )
    add_duration(
        flags, "--resource-quota-sync-period", 300, "how often the use of every quota is counted anew, event or not"
    )
    return flags


def _add_signing(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--cluster-signing-cert-file",
        default="",
        metavar="FILE",
        help="the authority's certificate, by which approved certificate requests are signed (default: none are)",
    )
    flags.add_argument(
        "--cluster-signing-key-file", default="", metavar="FILE", help="the private key of that certificate"
    )
    help = "the longest time for which a signed certificate is valid; a request may ask for less"
    add_duration(flags, "--cluster-signing-duration", 365 * 24 * 3600, help)


def _add_pod_networks(flags: argparse.ArgumentParser) -> None:
    add_bool(flags, "--allocate-node-cidrs", False, "give each node a range of --cluster-cidr for its pods")
    help = "the pods' networks, one or one of each IP family"
    flags.add_argument("--cluster-cidr", type=_cidrs, default=(), metavar="CIDR,…", help=help)
    help = "addresses of Services, which no node gets for its pods"
    flags.add_argument("--service-cluster-ip-range", type=_cidrs, default=(), metavar="CIDR,…", help=help)
    for family, default in (
        ("", "that of its family"),
        ("-ipv4", DEFAULT_MASK_SIZES[4]),
        ("-ipv6", DEFAULT_MASK_SIZES[6]),
    ):
        help = f"prefix length of a node's range (default {default})"
        flags.add_argument(f"--node-cidr-mask-size{family}", type=int, default=0, metavar="N", help=help)


def _cidrs(text: str) -> tuple[str, ...]:
    """Raises: argparse.ArgumentTypeError."""
    try:
        return tuple(str(ip_network(part, strict=False)) for part in parse_list(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_autoscaling(flags: argparse.ArgumentParser) -> None:
    prefix = "--horizontal-pod-autoscaler"
    add_duration(flags, f"{prefix}-sync-period", 15, "how often each autoscaler's metrics are looked at")
    help = "for how long a proposal keeps a workload from becoming smaller, if the autoscaler does not say"
    add_duration(flags, f"{prefix}-downscale-stabilization", 300, help)
    flags.add_argument(
        f"{prefix}-tolerance",
        type=float,
        default=0.1,
        metavar="PART",
        help="part by which a metric may miss its target without scaling, if the autoscaler does not say (default 0.1)",
    )
    help = "time after a pod's start in which its use of CPU counts only while it is ready"
    add_duration(flags, f"{prefix}-cpu-initialization-period", 300, help)
    help = "time after a pod's start in which becoming unready means that it never was ready"
    add_duration(flags, f"{prefix}-initial-readiness-delay", 30, help)


def _add_nodes(flags: argparse.ArgumentParser) -> None:
    add_duration(flags, "--node-monitor-period", 5, "how often the nodes' heartbeats are looked at")
    add_duration(flags, "--node-monitor-grace-period", 50, "silence after which a node counts as unreachable")
    add_duration(flags, "--node-startup-grace-period", 60, "the same for a node that never reported")
    flags.add_argument(
        "--node-eviction-rate", type=float, default=0.1, metavar="N", help="nodes a second to evict (default 0.1)"
    )
    flags.add_argument(
        "--secondary-node-eviction-rate",
        type=float,
        default=0.01,
        metavar="N",
        help="the same while a large part of a large cluster is unhealthy (default 0.01)",
    )
    flags.add_argument(
        "--unhealthy-zone-threshold",
        type=float,
        default=0.55,
        metavar="PART",
        help="part of the nodes that must be unhealthy for that (default 0.55)",
    )
    flags.add_argument(
        "--large-cluster-size-threshold",
        type=int,
        default=50,
        metavar="N",
        help="a cluster up to this size counts as small: nothing is evicted then (default 50)",
    )
