"""The flags of kube-controller-manager, in upstream's names."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from componentbase.flags import add_duration, base_parser, parse_list

SECURE_PORT = 10257

CONCURRENCY = {
    "--concurrent-deployment-syncs": (5, "Deployments"),
    "--concurrent-replicaset-syncs": (5, "ReplicaSets"),
    "--concurrent-endpoint-syncs": (5, "Services, for their Endpoints"),
    "--concurrent-service-endpoint-syncs": (5, "Services, for their EndpointSlices"),
    "--concurrent-namespace-syncs": (10, "Namespaces"),
    "--concurrent-serviceaccount-token-syncs": (5, "Namespaces, for their default ServiceAccount"),
    "--concurrent-gc-syncs": (20, "objects looked at by the garbage collector"),
}


def parser() -> argparse.ArgumentParser:
    flags = base_parser(
        "kube-controller-manager",
        "Moves the cluster from what it is to what the API says it should be.",
        secure_port=SECURE_PORT,
        leader_elect=True,
    )
    flags.add_argument(
        "--controllers",
        type=parse_list,
        default=["*"],
        metavar="NAME,…",
        help="controllers to run: '*' all, 'name' that one, '-name' not that one (default *)",
    )
    flags.add_argument(
        "--root-ca-file",
        default="",
        metavar="FILE",
        help="the authority published to every namespace (default: the kubeconfig's)",
    )
    _add_nodes(flags)
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
    for flag, (default, what) in CONCURRENCY.items():
        flags.add_argument(
            flag, type=int, default=default, metavar="N", help=f"{what} worked on at once (default {default})"
        )
    return flags


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


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Exits with a message for a wrong flag or value."""
    flags = parser()
    options = flags.parse_args(arguments)
    for flag in CONCURRENCY:
        if getattr(options, flag.strip("-").replace("-", "_")) < 1:
            flags.error(f"{flag} must be at least 1")
    if not 1 <= options.max_endpoints_per_slice <= 1000:
        flags.error("--max-endpoints-per-slice must be between 1 and 1000")
    if options.node_monitor_period <= 0 or options.node_monitor_grace_period <= options.node_monitor_period:
        flags.error("--node-monitor-grace-period must be longer than --node-monitor-period")
    return options


def selected(wanted: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names of `known` that --controllers asks for; "-name" wins over "name", and that over "*".

    Raises: ValueError for a name that nobody has.
    """
    wanted, known = list(wanted), list(known)
    named = {name.removeprefix("-") for name in wanted} - {"*"}
    unknown = sorted(named - set(known))
    if unknown:
        raise ValueError(f"--controllers: unknown {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [name for name in known if f"-{name}" not in wanted and (name in wanted or "*" in wanted)]
