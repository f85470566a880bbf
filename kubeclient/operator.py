"""Runs controllers of one's own as a program: flags, logs, health, leader election. See docs/operators.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from componentbase import daemon, logs
from componentbase.flags import Serving, base_parser, fill
from kubeclient import manager
from kubeclient.access.config import ConfigError, load_config
from kubeclient.controller import ControllerSpec
from kubeclient.leader import Election
from kubeclient.manager import ManagerOptions

SECURE_PORT = 8443


def run_operator(
    name: str, specs: Sequence[ControllerSpec[Any]], description: str = "", argv: Sequence[str] | None = None
) -> NoReturn:
    """Runs the controllers until a signal comes or one of their loops fails, then ends the process.

    They speak as whom the kubeconfig says (--kubeconfig, KUBECONFIG, ~/.kube/config), or in a pod as its service
    account. Of several such processes one works, the holder of the Lease `name` in the configuration's namespace, which
    in a pod is its own. Metrics and health are served on port 8443. Exits with a message on a bad command line.
    """
    flags = base_parser(name, description, secure_port=SECURE_PORT, leader_elect=True)
    flags.set_defaults(leader_elect_resource_namespace="")
    manager.add_worker_flags(flags, specs)
    args = flags.parse_args(argv)
    try:
        args.leader_elect_resource_namespace = (
            args.leader_elect_resource_namespace or load_config(args.kubeconfig or None).namespace
        )
    except (ConfigError, OSError) as error:
        flags.error(str(error))
    options = fill(
        ManagerOptions,
        args,
        serving=Serving.of(args),
        election=Election.of(args),
        controllers=["*"],
        workers=manager.worker_counts(flags, args, specs),
        use_service_account_credentials=False,
    )
    logs.setup(name, options.log_file, options.verbosity)
    daemon.run(lambda: manager.run(name, {spec.name: spec for spec in specs}, options), name)
