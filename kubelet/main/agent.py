"""Puts the whole kubelet together and runs it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from fractions import Fraction

from apimachinery.times import format_micro_time
from componentbase import logs
from componentbase.clock import Clock
from componentbase.daemon import FatalError
from componentbase.host.hostnetwork import end_outside_host_network, network_namespace
from kubeapi.core.service.model import Service
from kubeclient.access.config import ConfigError, load_config
from kubeclient.informer import Informer
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient, user_agent
from kubelet.certificate.bootstrap import ensure_kubeconfig
from kubelet.certificate.loops import renewals, serving_context
from kubelet.cgroups.limits import node_limits
from kubelet.cgroups.manager import GroupOptions
from kubelet.cgroups.reserved import enforce_reserved
from kubelet.container.images.gc import GarbageCollector
from kubelet.container.images.provider_config import Plugin, ProviderConfigError, read_plugins
from kubelet.cpus.manager import STATIC, CpuError, CpuManager, check_no_state, reserved_cpus
from kubelet.cpus.topology import read_topology
from kubelet.eviction.growth import memory_grown
from kubelet.eviction.manager import EvictionManager
from kubelet.main.assembly import Edges, assemble
from kubelet.main.plugins import NodePlugins
from kubelet.network.dns import ClusterDns, parse_resolv_conf
from kubelet.node.housekeeping import Housekeeping
from kubelet.node.logind import follow_logind
from kubelet.node.pleg import Pleg
from kubelet.node.reporter import NodeReporter
from kubelet.node.runtime_health import RuntimeHealth
from kubelet.node.shutdown import NodeShutdown
from kubelet.node.status import capacity, read_machine
from kubelet.options import Options
from kubelet.pod.resources.hardware import Hardware
from kubelet.pod.resources.listing import ResourceListing
from kubelet.pod.resources.pod_security import NodePolicy
from kubelet.pod.resources.shared_cpus import SharedCpus
from kubelet.pod.table import PodTable
from kubelet.probe.probes import probe_types
from kubelet.runtime.configs import DnsConfig, Resources
from kubelet.runtime.interface import PodRuntimeStatus, Runtime
from kubelet.server.authorization import WEBHOOK, ReviewAuthorizer
from kubelet.server.figures import Figures
from kubelet.server.server import KubeletServer
from kubelet.source.api import NodePods, PodSource
from kubelet.source.files import ManifestFiles
from kubelet.source.mirrors import MirrorPods
from kubelet.source.static import StaticPods
from kubelet.stats.collector import Collector
from kubelet.stats.host import most_pids
from kubelet.volume.folders import FolderKeeper, folder_roots
from kubelet.volume.objects import ObjectStore
from kubelet.volume.tokens import TokenManager

MAX_CONNECTIONS = 512
"""Connections to the API server. Each ConfigMap and Secret in use holds one for its watch: 110 pods with a few each."""

log = logs.logger(__name__)


async def run_kubelet(
    options: Options, runtime: Runtime, clock: Clock | None = None, *, host_stops: asyncio.Event | None = None
) -> None:
    """Runs until cancelled, when containers keep running; or until `host_stops` is set and its pods have ended."""
    clock = clock or Clock()
    try:
        _make_folders(options)
        await ensure_kubeconfig(options, clock)
        config = load_config(options.kubeconfig or None)
    except (ConfigError, OSError) as error:
        raise FatalError(str(error)) from None
    try:
        async with RestClient(config, user_agent=user_agent("kubelet"), max_connections=MAX_CONNECTIONS) as rest:
            async with asyncio.TaskGroup() as tasks:
                serving = await serving_context(options, clock)
                agent = Agent(options, runtime, rest, clock, tasks)
                agent.start(serving)
                for loop in renewals(options, rest, serving, clock):
                    tasks.create_task(loop)
                if host_stops is not None:
                    if options.shutdown_periods:
                        seconds = sum(period.seconds for period in options.shutdown_periods)
                        tasks.create_task(follow_logind(host_stops, seconds, clock))
                    await host_stops.wait()
                    await agent.shutdown.end_pods()
                    raise HostStopped
    except* HostStopped:
        log.info("the host may be switched off")
    finally:
        await runtime.close()


class HostStopped(Exception):
    """The pods have ended, as the host is being switched off."""


class Agent:
    """All parts of one kubelet."""

    def __init__(
        self, options: Options, runtime: Runtime, rest: RestClient, clock: Clock, tasks: asyncio.TaskGroup
    ) -> None:
        self._options, self._runtime, self._rest, self._clock, self._tasks = options, runtime, rest, clock, tasks
        table = PodTable()
        self.recorder = EventRecorder(rest, "kubelet", options.node_name, clock=clock)
        self.source = PodSource(rest, options.node_name)
        self.services = Informer(rest, Service)
        self.pleg = Pleg(runtime, table.runtime_changed, clock)
        self.runtime_health = RuntimeHealth(runtime, self.pleg, clock)
        self.node = NodeReporter(
            rest,
            runtime,
            options,
            clock,
            self.recorder,
            self._problems,
            lambda: self.plugins.devices.counts(),
            pressures=lambda: self.eviction.conditions(),
            volumes_in_use=lambda: self.plugins.storage.in_use(),
        )
        tokens = TokenManager(rest, table.wake, clock)
        self.plugins = NodePlugins(
            options.root_dir, rest, self.node, tokens, table.wake, self.node.poke, self.recorder, clock, tasks
        )
        cpus = _cpu_manager(options, lambda: self.shared_cpus.poke())
        hardware = Hardware(self.plugins.devices, cpus, self.plugins.claims)
        self.listing = ResourceListing(options.root_dir, table.admitted, hardware)
        self.shared_cpus = SharedCpus(runtime, table, hardware, self.node, clock)
        self.pods = assemble(self._edges(table, tokens, hardware), table)
        workers, volumes = self.pods.workers, self.pods.volumes
        self.mirrors = MirrorPods(rest, table, self.pods.statuses, self.node, clock)
        self.static = StaticPods(
            ManifestFiles(options.pod_manifest_path, options.node_name, lambda: format_micro_time(clock.now())),
            options.file_check_frequency,
            table,
            workers,
            lambda problem: self._report("Warning", "InvalidStaticPod", problem),
            clock,
        )
        self.shutdown = NodeShutdown(
            options.shutdown_periods, table, workers, self.pods.statuses, self._tell_shutdown, clock
        )
        self.housekeeping = Housekeeping(
            runtime, self.source, workers, table, volumes, hardware, self.pods.groups, clock
        )
        self._make_eviction(table)
        self.folders = FolderKeeper(folder_roots(options.root_dir, options.shared_volumes_dir))
        self.server = self._make_server(table)
        self._add_checks()

    def _edges(self, table: PodTable, tokens: TokenManager, hardware: Hardware) -> Edges:
        """Gathers what the parts that run pods touch. Raises: FatalError."""
        options = self._options
        return Edges(
            runtime=self._runtime,
            rest=self._rest,
            events=self.recorder,
            objects=ObjectStore(self._rest, table.wake, self._tasks),
            tokens=tokens,
            services=self.services,
            node=self.node,
            cluster_dns=ClusterDns(options.cluster_dns, options.cluster_domain),
            node_dns=_node_dns(options.resolv_conf),
            root_dir=options.root_dir,
            hardware=hardware,
            storage=self.plugins.storage,
            clock=self._clock,
            tasks=self._tasks,
            max_restart_seconds=options.max_restart_seconds,
            policy=_policy(options),
            groups=_group_options(options),
            image_options=options.images,
            credential_plugins=_credential_plugins(options),
        )

    def _make_eviction(self, table: PodTable) -> None:
        """Makes the parts that measure the node, and free its disk and memory."""
        options = self._options
        self.garbage = GarbageCollector(
            self._runtime,
            self._clock,
            keep_images=(options.pause_image,),
            may_touch=table.is_syncing,
            has_ended=table.has_ended,
            report=lambda reason, message: self._report("Warning", reason, message),
            policy=options.resources.garbage,
        )
        self.collector = Collector(
            self._runtime,
            table.admitted,
            self.listed,
            options.root_dir,
            self._clock,
            driver_figures=self.plugins.storage.figures,
            claim_paths=self.pods.volumes.claim_paths,
            pods_group=self.pods.groups.of_all_pods,
        )
        self.eviction = EvictionManager(
            options.resources.eviction,
            self.collector,
            self.garbage,
            self.pods.workers,
            table,
            self.recorder,
            self._clock,
            self.node.current,
            self.node.poke,
            memory_grown if options.resources.memory_notification else None,
        )

    def _make_server(self, table: PodTable) -> KubeletServer:
        options = self._options
        authorizer = (
            ReviewAuthorizer(self._rest, options.node_name, self._clock)
            if options.authorization_mode == WEBHOOK
            else None
        )
        pods = NodePods(self.source, table)
        figures = Figures(
            options.node_name,
            self._runtime,
            self.collector,
            self.listed,
            self.node.machine_facts,
            options.configuration,
        )
        return KubeletServer(pods, self._runtime, self._clock, figures, authorizer=authorizer, folders=self.folders)

    def start(self, serving: ssl.SSLContext) -> None:
        """Starts every loop; the task group ends when one of them dies. Raises: FatalError."""
        options = self._options
        self.plugins.load()
        loops = (
            end_outside_host_network(options.host_netns_file, self._clock, network_namespace()),
            self.recorder.run(),
            self.pods.statuses.run(),
            self.services.run(),
            self.node.watch(),
            self.node.run(),
            self.source.run(),
            self.pleg.run(),
            self.garbage.run(),
            self.eviction.run(),
            self.collector.run(),
            self.server.run(options.address, options.port, serving),
            self.pods.host_ports.run(),
            self._runtime.follow_network(),
            self.folders.run(),
            *self.plugins.loops(),
            self.listing.run(),
            self._take_pods(),
        )
        for loop in loops:
            self._tasks.create_task(loop)
        if options.resources.cpu_policy == STATIC:
            self._tasks.create_task(self.shared_cpus.run())
        log.info("volume types", types=",".join(sorted(self.pods.volumes.types)))
        log.info("probe types", types=",".join(sorted(probe_types())))

    def _problems(self) -> tuple[str, ...]:
        shutdown = self.shutdown.problem()
        return (*self.runtime_health.problems(), *([shutdown] if shutdown else ()))

    def _report(self, type: str, reason: str, message: str) -> None:
        self.recorder.event(self.node.current(), type, reason, message)

    def _tell_shutdown(self) -> None:
        self._report("Normal", "Shutdown", "Shutdown manager detected shutdown event")
        self.node.poke()

    def listed(self) -> Mapping[str, PodRuntimeStatus]:
        """Returns what the runtime listed last."""
        return self.pleg.pods

    async def _take_pods(self) -> None:
        """Starts static pods once the runtime is ready. Others wait for Services, whose variables they get."""
        await self.runtime_health.prepare()
        await self.pods.groups.prepare(self._runtime)
        enforce_reserved(self._options.resources.reserved_groups, self._report)
        await self.pods.volumes.prepare()
        self.node.poke()
        if self._options.pod_manifest_path:
            await self.static.read()
            self._tasks.create_task(self.static.run())
        await self.services.wait_synced()
        await self.node.registered.wait()
        self.source.feed(self.pods.workers, self.mirrors.observe)
        await self.source.wait_synced()
        self._tasks.create_task(self.mirrors.run())
        await self.housekeeping.run()

    def _add_checks(self) -> None:
        health = self.server.health
        health.add_check("pleg", self.pleg.health_error)
        health.add_ready_check("runtime", self.runtime_health.error)
        health.add_ready_check("node", self.node.readiness_error)
        health.add_ready_check("pods", lambda: "" if self.source.synced else "pods are not known yet")


def _group_options(options: Options) -> GroupOptions:
    resources = options.resources

    def pods() -> Resources:
        machine = capacity(read_machine(options.root_dir), options.max_pods)
        return node_limits(machine | {"pid": Fraction(most_pids())}, resources.reserved)

    return GroupOptions(
        resources.group_per_pod,
        resources.group_root,
        resources.pids_limit,
        pods if resources.enforces_reserved else None,
    )


APPARMOR_SWITCH = "/sys/module/apparmor/parameters/enabled"


def _policy(options: Options) -> NodePolicy:
    enabled = os.path.exists(APPARMOR_SWITCH) and _read(APPARMOR_SWITCH).startswith("Y")
    default = "RuntimeDefault" if options.seccomp_default else "Unconfined"
    return NodePolicy(options.unsafe_sysctls, apparmor=enabled, seccomp_default=default)


def _cpu_manager(options: Options, on_change: Callable[[], None]) -> CpuManager | None:
    """Returns None where the policy is to leave CPUs to all. Raises: FatalError."""
    resources = options.resources
    try:
        if resources.cpu_policy != STATIC:
            check_no_state(options.root_dir)
            return None
        topology = read_topology()
        reserved = reserved_cpus(topology, resources.reserved_cpus, resources.reserved.get("cpu", Fraction(0)))
        manager = CpuManager(options.root_dir, topology, reserved, on_change)
        manager.load()
    except (CpuError, OSError, ValueError, KeyError) as error:
        raise FatalError(f"cpu manager: {error}") from None
    return manager


def _credential_plugins(options: Options) -> list[Plugin]:
    """Raises: FatalError."""
    images = options.images
    if not images.image_credential_provider_config:
        return []
    try:
        return read_plugins(images.image_credential_provider_config, images.image_credential_provider_bin_dir)
    except ProviderConfigError as error:
        raise FatalError(f"credential provider config: {error}") from None


def _make_folders(options: Options) -> None:
    """Raises: OSError."""
    os.makedirs(os.path.join(options.root_dir, "pods"), exist_ok=True)
    if options.pod_manifest_path and not os.path.exists(options.pod_manifest_path):
        os.makedirs(options.pod_manifest_path)


NO_RESOLVER = DnsConfig(("127.0.0.1",))
"""For pods of a node without a resolver: it answers nothing, where an empty configuration would mean the engine's."""


def _node_dns(path: str) -> DnsConfig:
    return parse_resolv_conf(_read(path)) if path else NO_RESOLVER


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        log.warning("file of the node not read", path=path, error=str(error))
        return ""
