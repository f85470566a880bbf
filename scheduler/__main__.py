"""kube-scheduler: gives pods their nodes while it holds the Lease kube-system/kube-scheduler."""

from __future__ import annotations

import asyncio
import sys

from componentbase import daemon, logs
from componentbase.clock import Clock
from componentbase.health import HealthServer
from kubeclient.config import ConfigError, load_config
from kubeclient.informer import Informers
from kubeclient.leader import LeaderElector
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient, user_agent
from scheduler.core.scheduler import Scheduler
from scheduler.options import Options, parse


def main() -> int:
    options = parse()
    logs.setup("kube-scheduler", options.log_file, options.verbosity)
    return daemon.run(lambda: _run(options), "kube-scheduler")


async def _run(options: Options) -> None:
    try:
        config = load_config(options.kubeconfig)
        options.election.timing.check()
    except (ConfigError, ValueError) as error:
        raise daemon.FatalError(str(error)) from None
    async with RestClient(config, user_agent=user_agent("kube-scheduler")) as rest:
        await _serve(options, rest)


async def _serve(options: Options, rest: RestClient) -> None:
    clock = Clock()
    informers = Informers(rest, clock)
    names = [profile.name for profile in options.configuration.profiles]
    recorders = {name: EventRecorder(rest, name, clock=clock) for name in names}
    try:
        scheduler = Scheduler(informers, recorders, clock, options.configuration)
    except ValueError as error:
        raise daemon.FatalError(str(error)) from None
    election = options.election
    health = HealthServer("kube-scheduler", options.serving)
    health.add_ready_check("informer-sync", scheduler.check)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(health.run())
        tasks.create_task(informers.run())
        for recorder in recorders.values():
            tasks.create_task(recorder.run())
        await informers.wait_synced()
        if election.enabled:
            tasks.create_task(LeaderElector(rest, election.lease, timing=election.timing).run(scheduler.run))
        else:
            tasks.create_task(scheduler.run())


if __name__ == "__main__":
    sys.exit(main())
