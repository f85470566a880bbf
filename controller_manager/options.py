"""Reads kube-controller-manager's command line, in upstream's flag names."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from componentbase.flags import Serving, add_duration, base_parser, fill
from kubeclient.controller import ControllerSpec
from kubeclient.leader import Election
from kubeclient.manager import ManagerOptions, add_controller_flags, worker_counts

NAME = "kube-controller-manager"
CONTROLLERS = "controller_manager.controllers"
SECURE_PORT = 10257


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
    return fill(Options, args, serving=Serving.of(args), election=Election.of(args), workers=workers)


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
