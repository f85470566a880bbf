"""ingress-controller: serves Ingresses by HAProxy, which it runs and keeps at what the API says."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import sys
from ipaddress import ip_address

from componentbase import daemon, logs
from componentbase.clock import Clock
from componentbase.health import HealthHandler
from ingress.configuration import Place
from ingress.controller import IngressController
from ingress.options import Options, parse
from ingress.owncertificate import make_certificate
from ingress.proxy import Proxy
from kubeapi.networking.ingress import IngressLoadBalancerIngress
from kubeclient.daemon import daemon_client
from kubeclient.informer import Informers
from kubeclient.recorder import EventRecorder

NAME = "ingress-controller"
WORKERS = "haproxy"


def main() -> int:
    options = parse()
    logs.setup(NAME, options.log_file, options.verbosity)
    return daemon.run(lambda: _run(options), NAME)


async def _run(options: Options) -> None:
    if shutil.which("haproxy") is None:
        raise daemon.FatalError("haproxy is not on PATH: install it (Debian: apt-get install haproxy)")
    clock, health = Clock(), HealthHandler(open_metrics=True)
    place = Place(
        str(options.folder), options.addresses, options.http_port, options.https_port, make_certificate(), _user()
    )
    options.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    proxy = Proxy(options.folder)
    async with daemon_client(options.kubeconfig, NAME) as rest:
        informers, recorder = Informers(rest, clock), EventRecorder(rest, NAME)
        published = [_published(text) for text in options.publish]
        controller = IngressController(rest, informers, recorder, proxy, place, published, clock)
        health.add_ready_check("proxy", controller.check)
        async with asyncio.TaskGroup() as tasks:
            for work in (informers.run(), recorder.run(), controller.run(), proxy.run()):
                tasks.create_task(work)
            tasks.create_task(health.serve(options.health_address, options.health_port))


def _user() -> str:
    """Returns as whom workers run: root's have less to lose."""
    try:
        return pwd.getpwnam(WORKERS).pw_name if os.geteuid() == 0 else ""
    except KeyError:
        return ""


def _published(text: str) -> IngressLoadBalancerIngress:
    try:
        return IngressLoadBalancerIngress(ip=str(ip_address(text)))
    except ValueError:
        return IngressLoadBalancerIngress(hostname=text)


if __name__ == "__main__":
    sys.exit(main())
