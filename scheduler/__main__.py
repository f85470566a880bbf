"""kube-scheduler: gives pods their nodes while it holds the Lease kube-system/kube-scheduler."""

from __future__ import annotations

import argparse
import asyncio
import sys

from componentbase import daemon, logs
from componentbase.clock import Clock
from componentbase.health import HealthServer
from kubeclient.config import ConfigError, load_config
from kubeclient.informer import Informers
from kubeclient.leader import LeaderElector, Timing
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient, user_agent
from scheduler.core.scheduler import SCHEDULER_NAME, Scheduler
from scheduler.options import parse


def main() -> int:
    options = parse()
    logs.setup("kube-scheduler", options.log_file, options.v)
    return daemon.run(lambda: _run(options), "kube-scheduler")


async def _run(options: argparse.Namespace) -> None:
    try:
        config = load_config(options.kubeconfig)
        timing = Timing(
            options.leader_elect_lease_duration,
            options.leader_elect_renew_deadline,
            options.leader_elect_retry_period,
        )
        timing.check()
    except (ConfigError, ValueError) as error:
        raise daemon.FatalError(str(error)) from None
    async with RestClient(config, user_agent=user_agent("kube-scheduler")) as rest:
        await _serve(options, timing, rest)


async def _serve(options: argparse.Namespace, timing: Timing, rest: RestClient) -> None:
    clock = Clock()
    informers = Informers(rest)
    recorder = EventRecorder(rest, SCHEDULER_NAME)
    scheduler = Scheduler(informers, recorder, clock)
    health = HealthServer(
        "kube-scheduler",
        options.bind_address,
        options.secure_port,
        cert_file=options.tls_cert_file,
        key_file=options.tls_private_key_file,
        cert_dir=options.cert_dir,
        client_ca_file=options.client_ca_file,
    )
    health.add_ready_check("informer-sync", scheduler.check)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(health.run())
        tasks.create_task(informers.run())
        tasks.create_task(recorder.run())
        await informers.wait_synced()
        if options.leader_elect:
            lease = f"{options.leader_elect_resource_namespace}/{options.leader_elect_resource_name}"
            tasks.create_task(LeaderElector(rest, lease, timing=timing).run(scheduler.run))
        else:
            tasks.create_task(scheduler.run())


if __name__ == "__main__":
    sys.exit(main())
