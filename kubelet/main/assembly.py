"""Puts together the parts that run pods. The kubelet and its tests differ in the edges alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from componentbase.clock import Clock
from kubeclient.rest import RestClient
from kubelet.cgroups.manager import GroupOptions, PodGroups
from kubelet.container.backoff import MAX_SECONDS, KeyedBackoff
from kubelet.container.downward import NodeView
from kubelet.container.env import ServiceLookup
from kubelet.container.events import Events
from kubelet.container.images.manager import ImageManager
from kubelet.container.images.node_config import node_credentials
from kubelet.container.images.options import ImageOptions
from kubelet.container.images.pod_images import PodImages
from kubelet.container.images.provider_config import Plugin
from kubelet.container.images.providers import CredentialProvider
from kubelet.container.images.pull_limits import PullLimits
from kubelet.container.images.pull_records import PullRecords
from kubelet.main.accounts import ApiAccounts
from kubelet.network.dns import ClusterDns
from kubelet.network.host_ports import HostPorts
from kubelet.pod.pod_volumes import PodVolumes
from kubelet.pod.publisher import Publisher
from kubelet.pod.resources.hardware import Hardware
from kubelet.pod.resources.node_resources import NodeResources
from kubelet.pod.resources.pod_security import NodePolicy
from kubelet.pod.sandboxes import Sandboxes
from kubelet.pod.starter import ContainerStarter
from kubelet.pod.status.manager import StatusManager
from kubelet.pod.sync import PodSyncer
from kubelet.pod.table import PodTable
from kubelet.pod.termination import Terminator
from kubelet.pod.workers import PodWorkers
from kubelet.probe.prober import Prober
from kubelet.runtime.configs import DnsConfig
from kubelet.runtime.interface import Runtime
from kubelet.volume.claims import Claims
from kubelet.volume.csi.volumes import CsiVolumes
from kubelet.volume.manager import VolumeManager
from kubelet.volume.objects import ObjectStore
from kubelet.volume.tokens import TokenManager


@dataclass(frozen=True, slots=True)
class Edges:
    """Everything that the parts which run pods touch outside themselves. `node_dns` is the node's own resolver."""

    runtime: Runtime
    rest: RestClient
    events: Events
    objects: ObjectStore
    tokens: TokenManager | None
    services: ServiceLookup
    node: NodeView
    cluster_dns: ClusterDns
    node_dns: DnsConfig
    root_dir: str
    hardware: Hardware
    storage: CsiVolumes | None
    clock: Clock
    tasks: asyncio.TaskGroup
    max_restart_seconds: float = MAX_SECONDS
    policy: NodePolicy = field(default_factory=NodePolicy)
    groups: GroupOptions = field(default_factory=GroupOptions)
    image_options: ImageOptions = field(default_factory=ImageOptions)
    credential_plugins: Sequence[Plugin] = ()


@dataclass(frozen=True, slots=True)
class PodMachinery:
    """The parts that others use or run."""

    workers: PodWorkers
    statuses: StatusManager
    volumes: VolumeManager
    host_ports: HostPorts
    groups: PodGroups


def assemble(edges: Edges, table: PodTable) -> PodMachinery:
    """Makes the parts; none runs yet. `table` wakes a pod's worker, so the edges know it already."""
    runtime, events, node, clock = edges.runtime, edges.events, edges.node, edges.clock
    images = _pod_images(edges)
    groups = PodGroups(edges.groups, edges.hardware.has_own_cpus)
    volumes = VolumeManager(
        edges.root_dir, edges.objects, runtime, edges.tokens, images, Claims(edges.rest), edges.storage
    )
    statuses = StatusManager(edges.rest, clock)
    host_ports = HostPorts(clock)
    prober = Prober(runtime, events, table.wake, clock, edges.tasks)
    terminator = Terminator(runtime, events, clock)
    starter = ContainerStarter(
        runtime,
        images,
        volumes,
        edges.objects,
        edges.services,
        terminator,
        node,
        events,
        clock,
        KeyedBackoff(max_seconds=edges.max_restart_seconds),
        edges.hardware,
        groups,
        edges.policy.seccomp_default,
    )
    syncer = PodSyncer(
        runtime,
        NodeResources(runtime, events, node, table, edges.hardware, groups, edges.policy),
        Sandboxes(runtime, edges.rest, terminator, events, edges.cluster_dns, edges.node_dns, groups),
        PodVolumes(volumes, edges.objects, node, events, edges.cluster_dns.domain),
        starter,
        terminator,
        Publisher(prober, host_ports, statuses, node, clock),
        events,
        clock,
    )
    workers = PodWorkers(table, syncer, statuses, clock, edges.tasks)
    return PodMachinery(workers, statuses, volumes, host_ports, groups)


def _pod_images(edges: Edges) -> PodImages:
    clock, options = edges.clock, edges.image_options
    records = PullRecords(edges.root_dir, options, clock)
    manager = ImageManager(edges.runtime, edges.events, clock, PullLimits(options, clock), records)
    accounts = ApiAccounts(edges.rest)
    providers = [CredentialProvider(plugin, accounts, clock) for plugin in edges.credential_plugins]
    return PodImages(manager, edges.objects, edges.events, lambda: node_credentials(edges.root_dir), providers)
