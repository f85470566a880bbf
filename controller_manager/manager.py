"""Runs the controllers: those that are collected and asked for, on shared informers, while this process leads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from apimachinery.catalogue import CatalogueError, collect
from componentbase import logs
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from componentbase.health import HealthServer
from controller_manager.options import Options, selected
from kubeclient.accounts import AccountClients
from kubeclient.config import ConfigError, load_config
from kubeclient.controller import ControllerContext, ControllerSpec, run_controller
from kubeclient.informer import Informers
from kubeclient.leader import LeaderElector
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient, user_agent

NAME = "kube-controller-manager"
CONTROLLERS = "controller_manager.controllers"
ACCOUNT_NAMESPACE = "kube-system"

log = logs.logger(__name__)


def collect_controllers() -> dict[str, ControllerSpec[Any]]:
    """Returns the spec of every file in the folder by the controller's name. Raises: CatalogueError."""
    specs: dict[str, ControllerSpec[Any]] = {}
    for module, spec in collect(CONTROLLERS, "CONTROLLER", ControllerSpec).items():
        if spec.name in specs:
            raise CatalogueError(f"two files define the controller {spec.name}, one is {module}")
        specs[spec.name] = spec
    return specs


def choose(specs: Mapping[str, ControllerSpec[Any]], options: Options) -> list[ControllerSpec[Any]]:
    """Returns the controllers to run. Raises: FatalError for an unknown name."""
    try:
        names = selected(options.controllers, specs)
    except ValueError as error:
        raise FatalError(str(error)) from None
    log.info("controllers collected", running=",".join(names), left_out=",".join(sorted(set(specs) - set(names))))
    return [specs[name] for name in names]


async def run(specs: Mapping[str, ControllerSpec[Any]], options: Options) -> None:
    """Runs the daemon. Raises: FatalError for a configuration that can't work."""
    chosen = choose(specs, options)
    try:
        config = load_config(options.kubeconfig or None)
        options.election.timing.check()
        rest = RestClient(config, user_agent=user_agent(NAME))
    except (ConfigError, ValueError, OSError) as error:
        raise FatalError(str(error)) from None
    health = HealthServer(NAME, options.serving)
    async with rest, asyncio.TaskGroup() as group:
        group.create_task(health.run())
        if not options.election.enabled:
            group.create_task(run_controllers(chosen, rest, options))
            return
        elector = LeaderElector(rest, options.election.lease, timing=options.election.timing)
        group.create_task(elector.run(lambda: run_controllers(chosen, rest, options)))


async def run_controllers(specs: list[ControllerSpec[Any]], rest: RestClient, options: Options) -> None:
    """Runs until cancelled; an error in one controller's loop ends all, and with them the process.

    The shared informers speak as the daemon itself, a controller's other requests as its service account if the options
    say so.
    """
    clock = Clock()
    informers = Informers(rest, clock)
    accounts = AccountClients(rest, ACCOUNT_NAMESPACE, user_agent=user_agent(NAME), clock=clock)
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
