"""Reads cluster-autoscaler's command line, in upstream's flag names and with its defaults."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from cloudprovider.flags import add_cloud_flags, provider_of
from cloudprovider.interface import Provider
from cluster_autoscaler.drainability import DrainRules
from cluster_autoscaler.expanders._expander import Expander, expanders
from componentbase.configfile import ConfigFileError
from componentbase.flags import Serving, add_bool, add_duration, base_parser, fill, parse_list
from kubeclient.leader import Election
from kubeclient.manager import ManagerOptions
from scheduler.configuration.load import Configuration, load_configuration

NAME = "cluster-autoscaler"
SECURE_PORT = 8085


@dataclass(frozen=True, slots=True)
class Options(ManagerOptions):
    """Durations in seconds."""

    provider: Provider
    expander: Sequence[Expander]
    scan_interval: float
    max_node_provision_time: float
    expendable_pods_priority_cutoff: int
    initial_node_group_backoff_duration: float
    max_node_group_backoff_duration: float
    scale_down_enabled: bool
    scale_down_unneeded_time: float
    scale_down_unready_time: float
    scale_down_delay_after_add: float
    scale_down_delay_after_failure: float
    scale_down_utilization_threshold: float
    drain_rules: DrainRules
    max_graceful_termination_sec: int
    max_pod_eviction_time: float
    namespace: str
    status_config_map_name: str
    scheduler_config: Configuration


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    flags = base_parser(
        NAME, "Adds nodes for pods that fit nowhere, and removes those that nobody needs.", secure_port=SECURE_PORT,
        leader_elect=True,
    )  # fmt: skip
    add_cloud_flags(flags)
    _add_scale_up(flags)
    _add_scale_down(flags)
    flags.add_argument("--namespace", default="kube-system", metavar="NAME", help="where its ConfigMaps are")
    flags.add_argument(
        "--status-config-map-name", default="cluster-autoscaler-status", metavar="NAME", help="where it tells its state"
    )
    flags.add_argument(
        "--scheduler-config-file",
        default="",
        metavar="FILE",
        help="the KubeSchedulerConfiguration whose profiles it plays; without it, the scheduler's defaults",
    )
    args = flags.parse_args(argv)
    try:
        scheduler_config = load_configuration(args.scheduler_config_file)
    except ConfigFileError as error:
        flags.error(f"--scheduler-config-file: {error}")
    available = expanders()
    if wrong := [name for name in args.expander if name not in available]:
        flags.error(f"--expander: unknown {', '.join(wrong)}; there are {', '.join(sorted(available))}")
    rules = DrainRules(
        local_storage=args.skip_nodes_with_local_storage,
        system_pods=args.skip_nodes_with_system_pods,
        custom_controllers=args.skip_nodes_with_custom_controller_pods,
    )
    return fill(
        Options,
        args,
        serving=Serving.of(args),
        election=Election.of(args),
        provider=provider_of(flags, args),
        expander=[available[name] for name in args.expander],
        drain_rules=rules,
        scheduler_config=scheduler_config,
        workers={NAME: 1},
        controllers=["*"],
        use_service_account_credentials=False,
    )


def _add_scale_up(flags: argparse.ArgumentParser) -> None:
    add_duration(flags, "--scan-interval", 10, "how often it looks when nothing has changed")
    flags.add_argument(
        "--expander",
        type=parse_list,
        default=["least-waste"],
        metavar="NAME,…",
        help=f"which group grows, where several would help: {', '.join(sorted(expanders()))}; each chooses among what "
        "the one before left (default least-waste)",
    )
    add_duration(flags, "--max-node-provision-time", 15 * 60, "how long a machine may take to become a Ready node")
    flags.add_argument(
        "--expendable-pods-priority-cutoff",
        type=int,
        default=-10,
        metavar="PRIORITY",
        help="pods of a lower priority neither add nodes nor keep them (default -10)",
    )
    help = "how long a group is left alone after a machine could not be made; doubled each time"
    add_duration(flags, "--initial-node-group-backoff-duration", 5 * 60, help)
    add_duration(flags, "--max-node-group-backoff-duration", 30 * 60, "the most that this grows to")


def _add_scale_down(flags: argparse.ArgumentParser) -> None:
    add_bool(flags, "--scale-down-enabled", True, "remove nodes that nobody needs")
    add_duration(flags, "--scale-down-unneeded-time", 10 * 60, "how long a node must have been unneeded")
    add_duration(flags, "--scale-down-unready-time", 20 * 60, "the same for a node that is not ready")
    add_duration(flags, "--scale-down-delay-after-add", 10 * 60, "how long after a scale-up no node is removed")
    add_duration(flags, "--scale-down-delay-after-failure", 3 * 60, "how long after a removal that failed")
    flags.add_argument(
        "--scale-down-utilization-threshold",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="a node may go whose pods ask for less than this share of its CPU and of its memory (default 0.5)",
    )
    add_bool(flags, "--skip-nodes-with-local-storage", True, "keep nodes with pods that have an emptyDir or hostPath")
    add_bool(flags, "--skip-nodes-with-system-pods", True, "keep nodes with pods of kube-system without a budget")
    help = "keep nodes with pods of controllers that are not Kubernetes' own"
    add_bool(flags, "--skip-nodes-with-custom-controller-pods", True, help)
    flags.add_argument(
        "--max-graceful-termination-sec",
        type=int,
        default=600,
        metavar="SECONDS",
        help="the most that a pod has to end when its node goes (default 600)",
    )
    add_duration(flags, "--max-pod-eviction-time", 2 * 60, "how long it tries to evict a pod")
