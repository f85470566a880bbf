"""Reads cloud-controller-manager's command line, in upstream's flag names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cloudprovider.flags import add_cloud_flags, provider_of
from cloudprovider.interface import Provider
from componentbase.flags import Serving, add_bool, base_parser, fill
from kubeclient.controller import ControllerSpec
from kubeclient.leader import Election
from kubeclient.manager import ManagerOptions, add_controller_flags, worker_counts

NAME = "cloud-controller-manager"
CONTROLLERS = "cloud_controller_manager.controllers"
SECURE_PORT = 10258


@dataclass(frozen=True, slots=True)
class Options(ManagerOptions):
    configure_cloud_routes: bool
    provider: Provider


def parse(specs: Iterable[ControllerSpec[Any]], argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    specs = list(specs)
    flags = base_parser(
        NAME, "Tells the cluster of the cloud that it runs on.", secure_port=SECURE_PORT, leader_elect=True
    )
    add_controller_flags(flags, specs)
    add_cloud_flags(flags)
    help = "give the pods of each node a route, where the cloud has routes"
    add_bool(flags, "--configure-cloud-routes", True, help)
    args = flags.parse_args(argv)
    return fill(
        Options,
        args,
        serving=Serving.of(args),
        election=Election.of(args),
        workers=worker_counts(flags, args, specs),
        provider=provider_of(flags, args),
    )
