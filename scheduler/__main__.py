"""kube-scheduler: gives pods their nodes while it holds the Lease kube-system/kube-scheduler."""

from __future__ import annotations

import asyncio
import logging
import sys

from componentbase import daemon, logs
from componentbase.clock import Clock
from componentbase.health import HealthServer
from kubeclient.daemon import daemon_client
from kubeclient.informer import Informers
from kubeclient.leader import LeaderElector
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient
from scheduler.core.scheduler import Scheduler
from scheduler.explain import NothingToExplain, explain_pod
from scheduler.options import Options, parse


def main() -> int:
    options = parse()
    logs.setup("kube-scheduler", options.log_file, options.verbosity)
    if options.explain:
        return _explain(options)
    return daemon.run(lambda: _run(options), "kube-scheduler")


class _Parts:
    """Holds the parts of a scheduler. Raises: FatalError for options that can't be followed."""

    def __init__(self, options: Options, rest: RestClient, fenced: RestClient) -> None:
        """`fenced` sends writes while this scheduler leads."""
        clock = Clock()
        self.informers = Informers(fenced, clock)
        names = [profile.name for profile in options.configuration.profiles]
        self.recorders = {name: EventRecorder(rest, name, clock=clock) for name in names}
        try:
            self.scheduler = Scheduler(self.informers, self.recorders, clock, options.configuration)
        except ValueError as error:
            raise daemon.FatalError(str(error)) from None


def _client(options: Options, *, limited: bool = True) -> RestClient:
    """Raises: FatalError."""
    configuration = options.configuration
    return daemon_client(
        options.kubeconfig,
        "kube-scheduler",
        per_second=configuration.requests_per_second if limited else 0,
        burst=configuration.burst,
    )


async def _run(options: Options) -> None:
    election = options.election
    try:
        election.timing.check()
    except ValueError as error:
        raise daemon.FatalError(str(error)) from None
    # Renewing the Lease must not wait for its turn: it has a client of its own.
    async with _client(options) as rest, _client(options, limited=False) as lease_rest, asyncio.TaskGroup() as tasks:
        elector = LeaderElector(lease_rest, election.lease, timing=election.timing)
        parts = _Parts(options, rest, rest.fenced(elector.require) if election.enabled else rest)
        health = HealthServer("kube-scheduler", options.serving)
        health.add_ready_check("informer-sync", parts.scheduler.check)
        tasks.create_task(health.run())
        tasks.create_task(parts.informers.run())
        for recorder in parts.recorders.values():
            tasks.create_task(recorder.run())
        await parts.informers.wait_synced()
        if election.enabled:
            tasks.create_task(elector.run(parts.scheduler.run))
        else:
            tasks.create_task(parts.scheduler.run())


def _explain(options: Options) -> int:
    logging.getLogger().setLevel(logging.WARNING)  # the terminal is for the answer

    async def answer() -> str:
        async with _client(options) as rest:
            parts = _Parts(options, rest, rest)  # outside the group, which would wrap its error
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(parts.informers.run())
                await parts.informers.wait_synced()
                watching.cancel()
            return await explain_pod(parts.scheduler, options.explain)

    try:
        print(asyncio.run(answer()), end="")
    except (NothingToExplain, daemon.FatalError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
