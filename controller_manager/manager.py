"""Runs the controllers: those that are collected and asked for, on shared informers, while this process leads."""

from __future__ import annotations

import argparse
import asyncio

from apimachinery.catalogue import CatalogueError, collect
from componentbase import logs
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from componentbase.health import HealthServer
from controller_manager.options import selected
from kubeclient.config import ConfigError, load_config
from kubeclient.controller import ControllerContext, ControllerSpec, run_controller
from kubeclient.informer import Informers
from kubeclient.leader import LeaderElector, Timing
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient, user_agent

NAME = "kube-controller-manager"
CONTROLLERS = "controller_manager.controllers"

log = logs.logger(__name__)


def collect_controllers() -> dict[str, ControllerSpec]:
    """Controller name -> its spec, of every file in the folder. Raises: CatalogueError."""
    found: dict[str, ControllerSpec] = {}
    for module, spec in collect(CONTROLLERS, "CONTROLLER", ControllerSpec).items():
        if spec.name in found:
            raise CatalogueError(f"two files define the controller {spec.name}, one is {module}")
        found[spec.name] = spec
    return found


def choose(options: argparse.Namespace) -> list[ControllerSpec]:
    """The controllers to run. Raises: FatalError for an unknown name."""
    known = collect_controllers()
    try:
        names = selected(options.controllers, known)
    except ValueError as error:
        raise FatalError(str(error)) from None
    log.info("controllers collected", running=",".join(names), left_out=",".join(sorted(set(known) - set(names))))
    return [known[name] for name in names]


async def run(options: argparse.Namespace) -> None:
    """The daemon's main. Raises: FatalError for a configuration that can't work."""
    specs = choose(options)
    try:
        config = load_config(options.kubeconfig or None)
        timing = Timing(
            options.leader_elect_lease_duration,
            options.leader_elect_renew_deadline,
            options.leader_elect_retry_period,
        )
        timing.check()
        rest = RestClient(config, user_agent=user_agent(NAME))
    except (ConfigError, ValueError, OSError) as error:
        raise FatalError(str(error)) from None
    health = HealthServer(
        NAME,
        options.bind_address,
        options.secure_port,
        cert_file=options.tls_cert_file,
        key_file=options.tls_private_key_file,
        cert_dir=options.cert_dir,
        client_ca_file=options.client_ca_file,
    )
    async with rest, asyncio.TaskGroup() as group:
        group.create_task(health.run())
        if not options.leader_elect:
            group.create_task(run_controllers(specs, rest, options))
            return
        lease = f"{options.leader_elect_resource_namespace}/{options.leader_elect_resource_name}"
        elector = LeaderElector(rest, lease, timing=timing)
        group.create_task(elector.run(lambda: run_controllers(specs, rest, options)))


async def run_controllers(specs: list[ControllerSpec], rest: RestClient, options: argparse.Namespace) -> None:
    """Until cancelled; an error in one controller's loop ends all, and with them the process."""
    informers = Informers(rest)
    clock = Clock()
    async with asyncio.TaskGroup() as group:
        for spec in specs:
            recorder = EventRecorder(rest, spec.name, clock=clock)
            context = ControllerContext(rest, informers, recorder, clock, options)
            group.create_task(recorder.run())
            group.create_task(run_controller(spec, context))
        # Last: by its first step every controller above has asked for its informers.
        group.create_task(informers.run())
