"""Puts together the parts that run pods. The kubelet and its tests differ in the edges alone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from componentbase.clock import Clock
from kubeclient.rest import RestClient
from kubelet.container.backoff import KeyedBackoff
from kubelet.container.downward import NodeView
from kubelet.container.env import ServiceLookup
from kubelet.container.events import Events
from kubelet.container.images.manager import ImageManager
from kubelet.container.images.pod_images import PodImages
from kubelet.pod.dns import ClusterDns
from kubelet.pod.hardware import Hardware
from kubelet.pod.host_ports import HostPorts
from kubelet.pod.node_resources import NodeResources
from kubelet.pod.pod_security import NodePolicy
from kubelet.pod.pod_volumes import PodVolumes
from kubelet.pod.publisher import Publisher
from kubelet.pod.sandboxes import Sandboxes
from kubelet.pod.starter import ContainerStarter
from kubelet.pod.status.manager import StatusManager
from kubelet.pod.sync import PodSyncer
from kubelet.pod.table import PodTable
from kubelet.pod.termination import Terminator
from kubelet.pod.workers import PodWorkers
from kubelet.probe.prober import Prober
from kubelet.runtime.interface import DnsConfig, Runtime
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
    clock: Clock
    tasks: asyncio.TaskGroup
    policy: NodePolicy = field(default_factory=NodePolicy)


@dataclass(frozen=True, slots=True)
class PodMachinery:
    """The parts that others use or run."""

    workers: PodWorkers
    statuses: StatusManager
    volumes: VolumeManager
    host_ports: HostPorts


def assemble(edges: Edges, table: PodTable) -> PodMachinery:
    """Makes the parts; none runs yet. `table` wakes a pod's worker, so the edges know it already."""
    runtime, events, node, clock = edges.runtime, edges.events, edges.node, edges.clock
    images = PodImages(ImageManager(runtime, events, clock), edges.objects, events)
    volumes = VolumeManager(edges.root_dir, edges.objects, runtime, edges.tokens, images)
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
        node,
        events,
        clock,
        KeyedBackoff(),
        edges.hardware,
        edges.policy.seccomp_default,
    )
    syncer = PodSyncer(
        runtime,
        NodeResources(runtime, events, node, table, edges.hardware, edges.policy),
        Sandboxes(runtime, edges.rest, terminator, events, edges.cluster_dns, edges.node_dns),
        PodVolumes(volumes, edges.objects, node, events, edges.cluster_dns.domain),
        starter,
        terminator,
        Publisher(prober, host_ports, statuses, node, clock),
        events,
        clock,
    )
    return PodMachinery(PodWorkers(table, syncer, statuses, clock, edges.tasks), statuses, volumes, host_ports)
