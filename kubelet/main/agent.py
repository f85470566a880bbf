"""Puts the kubelet together and runs it: every part gets what it needs here, and nowhere else."""

from __future__ import annotations

import asyncio
import os

from apimachinery.quantity import parse_quantity
from componentbase import logs
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.model import Service
from kubeclient.config import ConfigError, load_config
from kubeclient.informer import Informer
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient, user_agent
from kubelet.container.backoff import Backoff
from kubelet.container.downward import NodeFacts
from kubelet.container.images.gc import GarbageCollector
from kubelet.container.images.manager import ImageManager
from kubelet.node.eviction import Eviction
from kubelet.node.housekeeping import Housekeeping
from kubelet.node.pleg import Pleg
from kubelet.node.reporter import NodeAgent
from kubelet.options import Options
from kubelet.pod.dns import ClusterDns, parse_resolv_conf, pod_dns
from kubelet.pod.host_ports import HostPorts
from kubelet.pod.lookup import NodePods
from kubelet.pod.resizer import Resizer
from kubelet.pod.source import PodSource
from kubelet.pod.starter import ContainerStarter, StarterParts
from kubelet.pod.status.manager import StatusManager
from kubelet.pod.sync import PodSyncer, SyncParts
from kubelet.pod.termination import Terminator
from kubelet.pod.workers import PodWorkers
from kubelet.probe.prober import Prober
from kubelet.runtime.interface import DnsConfig, EngineError, Runtime
from kubelet.server.server import KubeletServer
from kubelet.volume.manager import VolumeManager
from kubelet.volume.objects import ObjectStore
from kubelet.volume.tokens import TokenManager

MAX_CONNECTIONS = 512
"""To the API server. Each ConfigMap and Secret in use holds one for its watch: 110 pods with a few each."""
RUNTIME_RETRY_SECONDS = 1.0

log = logs.logger(__name__)


async def run_kubelet(options: Options, runtime: Runtime, clock: Clock | None = None) -> None:
    """Until cancelled. Containers keep running when it ends."""
    try:
        os.makedirs(os.path.join(options.root_dir, "pods"), exist_ok=True)
        config = load_config(options.kubeconfig or None)
    except (ConfigError, OSError) as error:
        raise FatalError(str(error)) from None
    try:
        async with RestClient(config, user_agent=user_agent("kubelet"), max_connections=MAX_CONNECTIONS) as rest:
            async with asyncio.TaskGroup() as tasks:
                Agent(options, runtime, rest, clock or Clock(), tasks).start()
    finally:
        await runtime.close()


class Agent:
    """All parts of one kubelet."""

    def __init__(
        self, options: Options, runtime: Runtime, rest: RestClient, clock: Clock, tasks: asyncio.TaskGroup
    ) -> None:
        self._options = options
        self._runtime = runtime
        self._clock = clock
        self._tasks = tasks
        self._runtime_error = "container runtime is not ready yet"
        self._node_dns = parse_resolv_conf(_read(options.resolv_conf))
        self._cluster_dns = ClusterDns(options.cluster_dns, options.cluster_domain)
        self.recorder = EventRecorder(rest, "kubelet", options.node_name, clock=clock)
        self.source = PodSource(rest, options.node_name)
        self.services = Informer(rest, Service)
        self.nodes = Informer(rest, Node, field_selector=f"metadata.name={options.node_name}")
        self.node = NodeAgent(rest, runtime, options, clock, self.recorder, self._problems)
        self.nodes.add_handler(self.node.observe)
        self.statuses = StatusManager(rest, clock)
        self.objects = ObjectStore(rest, self._wake, tasks)
        self.tokens = TokenManager(rest, self._wake, clock)
        self.volumes = VolumeManager(options.root_dir, self.objects, runtime, self.tokens)
        self.prober = Prober(runtime, self.recorder, self._wake, clock, tasks)
        self.host_ports = HostPorts(clock)
        self.images = ImageManager(runtime, self.recorder, clock)
        self.pleg = Pleg(runtime, self._wake, clock)
        self.workers = PodWorkers(self._syncer(), self.statuses, clock, tasks)
        self.housekeeping = Housekeeping(runtime, self.source, self.workers, self.volumes, clock)
        self.eviction = Eviction(self.workers, self.volumes, self.recorder, clock)
        self.garbage = GarbageCollector(
            runtime, clock, keep_images=(options.pause_image,), may_touch=self.workers.is_syncing
        )
        self.server = KubeletServer(options.node_name, NodePods(self.source, self.statuses), runtime, clock)
        self._add_checks()

    def start(self) -> None:
        """Starts every loop; the task group ends when one of them dies."""
        loops = (
            self.recorder.run(),
            self.statuses.run(),
            self.services.run(),
            self.nodes.run(),
            self.node.run(),
            self.source.run(),
            self.pleg.run(),
            self.garbage.run(),
            self.eviction.run(),
            self._serve(),
            self.host_ports.run(),
            self._take_pods(),
        )
        for loop in loops:
            self._tasks.create_task(loop)
        log.info("volume types", types=",".join(sorted(self.volumes.types)))

    async def _take_pods(self) -> None:
        """Pods start once the runtime is ready and Services are known: their variables go into every environment."""
        while self._runtime_error:
            try:
                await self._runtime.prepare()
                self._runtime_error = ""
            except EngineError as error:
                if self._runtime_error != str(error):
                    log.warning("container runtime is not ready", error=str(error))
                self._runtime_error = str(error)
                await self._clock.sleep(RUNTIME_RETRY_SECONDS)
        self.node.poke()
        await self.services.wait_synced()
        await self.node.registered.wait()
        self.source.feed(self.workers)
        await self.housekeeping.run()

    async def _serve(self) -> None:
        options = self._options
        await self.server.run(
            options.address,
            options.port,
            cert_file=options.tls_cert_file,
            key_file=options.tls_private_key_file,
            client_ca_file=options.client_ca_file,
            cert_dir=options.cert_dir,
        )

    def _add_checks(self) -> None:
        health = self.server.health
        health.add_check("pleg", self.pleg.health_error)
        health.add_ready_check("runtime", lambda: self._runtime_error or self.pleg.runtime_error())
        health.add_ready_check("node", lambda: "" if self.node.registered.is_set() else "not registered yet")
        health.add_ready_check("pods", lambda: "" if self.source.synced else "pods are not known yet")

    def _syncer(self) -> PodSyncer:
        options, backoff = self._options, Backoff()
        starter = ContainerStarter(
            StarterParts(
                runtime=self._runtime,
                images=self.images,
                events=self.recorder,
                objects=self.objects,
                volumes=self.volumes,
                backoff=backoff,
                clock=self._clock,
                node=self._facts,
                services=lambda: tuple(self.services.list()),
                memory_bytes=self.node.facts.machine.memory_bytes,
            )
        )
        return PodSyncer(
            SyncParts(
                runtime=self._runtime,
                starter=starter,
                terminator=Terminator(self._runtime, self.recorder, self._clock),
                resizer=Resizer(
                    self._runtime,
                    self.recorder,
                    self._current_node,
                    lambda: self.workers.admitted(),
                    self.node.facts.machine.memory_bytes,
                ),
                prober=self.prober,
                host_ports=self.host_ports,
                statuses=self.statuses,
                volumes=self.volumes,
                objects=self.objects,
                events=self.recorder,
                backoff=backoff,
                clock=self._clock,
                node=self._current_node,
                facts=self._facts,
                dns=self._pod_dns,
                pods=lambda: self.workers.admitted(),
                cluster_domain=options.cluster_domain,
            )
        )

    def _wake(self, uid: str) -> None:
        self.workers.wake(uid)

    def _problems(self) -> tuple[str, ...]:
        """What makes the node not ready."""
        errors = (self._runtime_error or self.pleg.runtime_error(), self.pleg.health_error())
        return tuple(
            f"container runtime is down: {error}" if i == 0 else error for i, error in enumerate(errors) if error
        )

    def _current_node(self) -> Node:
        """The Node with the labels it has now."""
        return self.nodes.get(self._options.node_name) or self.node.node

    def _facts(self) -> NodeFacts:
        allocatable = self.node.node.status.allocatable or {}
        return NodeFacts(
            self._options.node_name,
            self._options.node_ips,
            {name: parse_quantity(value) for name, value in allocatable.items()},
        )

    def _pod_dns(self, pod: Pod) -> DnsConfig | None:
        return pod_dns(pod, self._cluster_dns, self._node_dns)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        log.warning("resolver configuration not read", path=path, error=str(error))
        return ""
