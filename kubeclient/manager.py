"""Runs a daemon made of controllers: those that are collected and asked for, on shared informers, while it leads."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apimachinery.catalogue import CatalogueError, collect
from componentbase import logs
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from componentbase.flags import Serving, add_bool, parse_list
from componentbase.health import HealthServer
from kubeclient.accounts import AccountClients
from kubeclient.controller import ControllerContext, ControllerSpec, run_controller
from kubeclient.daemon import daemon_client
from kubeclient.informer import Informers
from kubeclient.leader import Election, LeaderElector
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient, user_agent

ACCOUNT_NAMESPACE = "kube-system"

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class ManagerOptions:
    """Base of the options of daemons made of controllers, which get all of them."""

    kubeconfig: str
    serving: Serving
    election: Election
    controllers: list[str]
    workers: Mapping[str, int]
    """Controller -> the number of keys it reconciles at once."""
    use_service_account_credentials: bool
    log_file: str
    verbosity: int


def collect_controllers(package: str) -> dict[str, ControllerSpec[Any]]:
    """Returns the spec of every file in the folder by the controller's name. Raises: CatalogueError."""
    specs: dict[str, ControllerSpec[Any]] = {}
    for module, spec in collect(package, "CONTROLLER", ControllerSpec).items():
        if spec.name in specs:
            raise CatalogueError(f"two files define the controller {spec.name}, one is {module}")
        specs[spec.name] = spec
    return specs


def add_controller_flags(flags: argparse.ArgumentParser, specs: Iterable[ControllerSpec[Any]]) -> None:
    """Adds the flags that choose controllers, their identities, and how many keys each works on at once."""
    flags.add_argument(
        "--controllers",
        type=parse_list,
        default=["*"],
        metavar="NAME,…",
        help="controllers to run: '*' all, 'name' that one, '-name' not that one (default *)",
    )
    add_bool(
        flags,
        "--use-service-account-credentials",
        False,
        "each controller speaks as a service account of kube-system, which has the rights of that controller alone",
    )
    add_worker_flags(flags, specs)


def add_worker_flags(flags: argparse.ArgumentParser, specs: Iterable[ControllerSpec[Any]]) -> None:
    """Adds the flags that say how many keys each controller works on at once."""
    for spec in specs:
        if spec.workers_flag:
            help = f"{spec.subjects}: how many are worked on at once (default {spec.workers})"
            flags.add_argument(
                spec.workers_flag, dest=spec.name, type=int, default=spec.workers, metavar="N", help=help
            )


def worker_counts(
    flags: argparse.ArgumentParser, args: argparse.Namespace, specs: Iterable[ControllerSpec[Any]]
) -> dict[str, int]:
    """Returns controller -> the number of keys it works on at once. Exits with a message for a number below 1."""
    workers = {spec.name: getattr(args, spec.name) if spec.workers_flag else spec.workers for spec in specs}
    for spec in specs:
        if workers[spec.name] < 1:
            flags.error(f"{spec.workers_flag} must be at least 1")
    return workers


def selected(requested: Iterable[str], names: Iterable[str]) -> list[str]:
    """Returns those of `names` that --controllers asks for; "-name" wins over "name", and that over "*".

    Raises: ValueError for a name that nobody has.
    """
    requested, names = list(requested), list(names)
    named = {name.removeprefix("-") for name in requested} - {"*"}
    unknown = sorted(named - set(names))
    if unknown:
        raise ValueError(f"--controllers: unknown {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    return [name for name in names if f"-{name}" not in requested and (name in requested or "*" in requested)]


def choose(specs: Mapping[str, ControllerSpec[Any]], options: ManagerOptions) -> list[ControllerSpec[Any]]:
    """Returns the controllers to run. Raises: FatalError for an unknown name."""
    try:
        names = selected(options.controllers, specs)
    except ValueError as error:
        raise FatalError(str(error)) from None
    log.info("controllers collected", running=",".join(names), left_out=",".join(sorted(set(specs) - set(names))))
    return [specs[name] for name in names]


async def run(
    name: str,
    specs: Mapping[str, ControllerSpec[Any]],
    options: ManagerOptions,
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
) -> None:
    """Runs the daemon, and `beside` its controllers what they need. Raises: FatalError for a wrong configuration."""
    chosen = choose(specs, options)
    try:
        options.election.timing.check()
    except ValueError as error:
        raise FatalError(str(error)) from None
    rest = daemon_client(options.kubeconfig, name)
    health = HealthServer(name, options.serving)
    async with rest, asyncio.TaskGroup() as group:
        group.create_task(health.run())
        for companion in beside:
            group.create_task(companion())
        if not options.election.enabled:
            group.create_task(run_controllers(name, chosen, rest, options))
            return
        elector = LeaderElector(rest, options.election.lease, timing=options.election.timing)
        fenced = rest.fenced(elector.require)
        group.create_task(elector.run(lambda: run_controllers(name, chosen, fenced, options)))


async def run_controllers(
    name: str, specs: Iterable[ControllerSpec[Any]], rest: RestClient, options: ManagerOptions
) -> None:
    """Runs until cancelled; an error in one controller's loop ends all, and with them the process.

    The shared informers speak as the daemon itself, a controller's other requests as its service account if the options
    say so.
    """
    clock = Clock()
    informers = Informers(rest, clock)
    accounts = AccountClients(rest, ACCOUNT_NAMESPACE, user_agent=user_agent(name), clock=clock)
    async with accounts, asyncio.TaskGroup() as group:
        for spec in specs:
            by_account = options.use_service_account_credentials and not spec.speaks_as_daemon
            own = accounts.client(spec.account) if by_account else rest
            recorder = EventRecorder(own, spec.event_source or spec.name, clock=clock)
            context = ControllerContext(own, informers, recorder, clock, options)
            group.create_task(recorder.run())
            group.create_task(run_controller(spec, context, options.workers[spec.name]))
        # Last: by its first step every controller above has asked for its informers.
        group.create_task(informers.run())
