"""Registers the node, reports its status when it changes (and every few minutes), and renews its Lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from apimachinery.conditions import is_true
from apimachinery.errors import AlreadyExists, Conflict, NotFound, StatusError
from apimachinery.meta import ObjectMeta, OwnerReference
from apimachinery.model import to_dict
from apimachinery.quantity import parse_quantity
from apimachinery.times import format_micro_time
from componentbase import logs
from componentbase.clock import Clock
from componentbase.flags import version
from componentbase.tasks import first_of
from kubeapi.coordination.lease import NODE_LEASES, Lease, LeaseSpec
from kubeapi.core.node import PROVIDED_NODE_IP, UNINITIALIZED_TAINT, Node, NodeSpec, NodeStatus
from kubeapi.core.pod.scheduling.affinity import Taint
from kubeclient.backoff import Backoff
from kubeclient.informer import Informer
from kubeclient.recorder import EventRecorder
from kubeclient.rest import STRATEGIC_MERGE_PATCH, RestClient
from kubelet.container.downward import NodeFacts
from kubelet.devices.manager import DeviceCount
from kubelet.node.status import NodeInputs, heartbeat_due, node_status, read_machine, significant
from kubelet.options import Options
from kubelet.runtime.interface import EngineError, Runtime
from kubelet.stats.cadvisor import MachineFacts

LEASE_SECONDS = 40
LEASE_RENEW_SECONDS = 10.0
REPORT_SECONDS = 300.0  # an unchanged status is repeated after this
FIRST_RETRY_SECONDS = 0.2
MOST_RETRY_SECONDS = 7.0
IMAGE_REFRESH_SECONDS = 300.0
ANNOTATIONS = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
UNINITIALIZED = Taint(key=UNINITIALIZED_TAINT, value="true", effect="NoSchedule")
UNREADY_RECHECK_SECONDS = 1.0  # a node that is not ready looks often whether it is again

log = logs.logger(__name__)


class NodeReporter:
    """Implements `NodeView`. `poke` has it look again.

    `problems()` gives the texts that make the node not ready, `pressures()` the pressure conditions that hold.
    """

    def __init__(
        self,
        rest: RestClient,
        runtime: Runtime,
        options: Options,
        clock: Clock,
        recorder: EventRecorder,
        problems: Callable[[], tuple[str, ...]],
        devices: Callable[[], Mapping[str, DeviceCount]] = dict,
        pressures: Callable[[], frozenset[str]] = frozenset,
        volumes_in_use: Callable[[], list[str]] = list,
    ) -> None:
        self._rest = rest
        self._runtime = runtime
        self._options = options
        self._clock = clock
        self._recorder = recorder
        self._problems = problems
        self._devices = devices
        self._pressures = pressures
        self._volumes_in_use = volumes_in_use
        self._poked = asyncio.Event()
        self._seen = asyncio.Event()
        self._reports_begun = self._reports_done = 0
        self._images_at = -IMAGE_REFRESH_SECONDS
        self._lease: Lease | None = None
        machine = read_machine(options.root_dir)
        self._inputs = NodeInputs(
            options.node_name,
            options.node_ips,
            options.port,
            options.max_pods,
            machine,
            reserved=options.resources.reserved,
            eviction=options.resources.eviction,
            in_cloud=bool(options.cloud_provider),
        )
        self.node = Node(metadata=ObjectMeta(name=options.node_name, labels=self._labels()))
        self.node.status = node_status(NodeStatus(), self._inputs, clock.now())
        self.registered = asyncio.Event()
        self._nodes = Informer(rest, Node, field_selector=f"metadata.name={options.node_name}")
        self._nodes.add_handler(self.observe)

    @property
    def memory_bytes(self) -> int:
        return self._inputs.machine.memory_bytes

    def current(self) -> Node:
        """The Node with the labels it has now."""
        return self._nodes.get(self._options.node_name) or self.node

    async def wait_until(self, holds: Callable[[Node], bool]) -> None:
        """Returns when `holds` is true of the Node as the API has it after a report that begins now.

        What an earlier report has still to change there, it does not see.
        """
        await self._nodes.wait_synced()
        report = self._reports_begun + 1
        self.poke()
        while self._reports_done < report or self._is_behind() or not holds(self.current()):
            await self._seen.wait()

    def _is_behind(self) -> bool:
        """Tells whether the cache lacks this kubelet's own last write."""
        cached, written = (node.metadata.resourceVersion or "0" for node in (self.current(), self.node))
        return int(cached) < int(written)

    def _wake_waiting(self) -> None:
        seen, self._seen = self._seen, asyncio.Event()
        seen.set()

    def facts(self) -> NodeFacts:
        allocatable = {name: parse_quantity(value) for name, value in (self.node.status.allocatable or {}).items()}
        return NodeFacts(self._options.node_name, self._options.node_ips, allocatable, self.node.labels)

    def machine_facts(self) -> MachineFacts:
        """Describes the machine as metrics name it."""
        machine, runtime = self._inputs.machine, self._inputs.runtime
        return MachineFacts(
            cpus=machine.cpus,
            memory_bytes=machine.memory_bytes,
            machine_id=machine.machine_id,
            boot_id=machine.boot_id,
            system_uuid=machine.system_uuid,
            kernel=machine.kernel,
            os_image=machine.os_image,
            runtime_version=runtime.version if runtime is not None else "",
            version=version(),
            pause_image=self._options.pause_image,
        )

    def readiness_error(self) -> str:
        """Returns "" when the API has the node as Ready."""
        if not self.registered.is_set():
            return "not registered yet"
        return "" if is_true(self.node.status.conditions, "Ready") else "not Ready yet"

    def poke(self) -> None:
        self._poked.set()

    def observe(self, _: Node | None, stored: Node | None) -> None:
        """Takes what the API has: where another hand changed the status (a silent node is declared Unknown) or deleted
        the node, it is put right at once."""
        self._wake_waiting()
        if stored is not None and stored.spec.podCIDRs and self._runtime.set_pod_ranges(stored.spec.podCIDRs):
            self.poke()
        if stored is None:
            self.node.status = NodeStatus()
            self.poke()
        elif significant(node_status(stored.status, self._inputs, self._clock.now())) != significant(stored.status):
            self.node = stored
            self.poke()

    async def watch(self) -> None:
        """Follows what others write into the Node, until cancelled."""
        await self._nodes.run()

    async def run(self) -> None:
        """Registers, then keeps status and Lease fresh until cancelled."""
        await self._register()
        self.registered.set()
        self._recorder.event(self.node, "Normal", "Starting", "Starting kubelet.")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._report_for_ever())
            tasks.create_task(self._renew_for_ever())

    # registration

    def _labels(self) -> dict[str, str]:
        architecture = self._inputs.machine.architecture
        return {
            "kubernetes.io/hostname": self._options.node_name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture,
            **self._options.node_labels,
        }

    def _annotations(self) -> dict[str, str]:
        """With a cloud they say which of the machine's addresses is meant."""
        provided = {PROVIDED_NODE_IP: ",".join(self._options.node_ips)} if self._options.cloud_provider else {}
        return ANNOTATIONS | provided

    def _spec(self) -> NodeSpec:
        """Returns the spec of a Node that is new."""
        taints = [*self._options.register_with_taints, *([UNINITIALIZED] if self._options.cloud_provider else [])]
        spec = NodeSpec(providerID=self._options.provider_id or None, taints=taints or None)
        if cidrs := self.node.spec.podCIDRs:  # of a Node that was deleted: pods go on to have these addresses
            spec.podCIDR, spec.podCIDRs = cidrs[0], list(cidrs)
        return spec

    async def _register(self) -> None:
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while True:
            try:
                await self._refresh_inputs()
                self.node = await self._create_or_adopt()
                log.info("node registered", node=self.node.name)
                return
            except (StatusError, ConnectionError, TimeoutError) as error:
                log.warning("node not registered, will retry", error=str(error))
            await self._clock.sleep(backoff.next_seconds())

    async def _create_or_adopt(self) -> Node:
        """Creates the Node. An existing one keeps what others wrote, and gets this kubelet's labels."""
        status = node_status(NodeStatus(), self._inputs, self._clock.now())
        annotations = self._annotations()
        metadata = ObjectMeta(name=self._options.node_name, labels=self._labels(), annotations=annotations)
        try:
            created = await self._rest.create(Node(metadata=metadata, spec=self._spec(), status=status))
        except AlreadyExists:
            created = await self._rest.get(Node, self._options.node_name)
        patch: dict[str, Any] = {"metadata": {"labels": self._labels(), "annotations": annotations}}
        stale = any(created.labels.get(key) != value for key, value in self._labels().items())
        stale = stale or any(created.annotations.get(key) != value for key, value in annotations.items())
        if stale:
            created = await self._rest.patch(Node, created.name, "", patch, content_type=STRATEGIC_MERGE_PATCH)
        return await self._send_status(created)

    # status

    async def _report_for_ever(self) -> None:
        while True:
            every = self._options.node_status_update_seconds
            pause = min(every, UNREADY_RECHECK_SECONDS) if self._inputs.problems else every
            await first_of(self._clock.sleep(pause), self._poked.wait())
            self._poked.clear()
            self._reports_begun += 1
            await self._refresh_inputs()
            try:
                self.node = await self._send_status(self.node)
                self._reports_done = self._reports_begun
                self._wake_waiting()
            except NotFound:
                log.warning("the node is gone from the API, registering again", node=self.node.name)
                await self._register()
            except (StatusError, ConnectionError, TimeoutError) as error:
                log.warning("node status not sent", error=str(error))

    async def _send_status(self, node: Node) -> Node:
        """Patches the changed fields, if that is worth it, and returns the Node as it then is."""
        now = self._clock.now()
        status = node_status(node.status, self._inputs, now)
        if significant(status) == significant(node.status) and not heartbeat_due(node.status, now, REPORT_SECONDS):
            return node
        before, after = to_dict(node.status), to_dict(status)
        patch: dict[str, Any] = {
            name: after.get(name) for name in {*before, *after} if before.get(name) != after.get(name)
        }
        if "addresses" in patch:
            patch["addresses"] = [{"$patch": "replace"}, *(after.get("addresses") or ())]
        sent = await self._rest.patch(
            Node, node.name, "", {"status": patch}, content_type=STRATEGIC_MERGE_PATCH, subresource="status"
        )
        self._tell_readiness(node, sent)
        return sent

    def _tell_readiness(self, before: Node, after: Node) -> None:
        """Records an event when the node has become ready, or no longer is."""
        was = is_true(before.status.conditions, "Ready")
        now = is_true(after.status.conditions, "Ready")
        if was != now:
            reason = "NodeReady" if now else "NodeNotReady"
            self._recorder.event(after, "Normal", reason, f"Node {after.name} status is now: {reason}")

    async def _refresh_inputs(self) -> None:
        problems = self._problems()
        inputs = replace(
            self._inputs,
            machine=read_machine(self._options.root_dir),
            problems=problems,
            pressures=self._pressures(),
            devices=self._devices(),
            volumes_in_use=tuple(self._volumes_in_use()),
        )
        try:
            if inputs.runtime is None or problems:
                inputs = replace(inputs, runtime=await self._runtime.info())
            if self._clock.monotonic() - self._images_at >= IMAGE_REFRESH_SECONDS:
                inputs = replace(inputs, images=tuple(await self._runtime.images()))
                self._images_at = self._clock.monotonic()
        except EngineError as error:
            if not inputs.problems:
                inputs = replace(inputs, problems=(f"container runtime is down: {error}",))
        self._inputs = inputs

    # lease

    async def _renew_for_ever(self) -> None:
        failing = False
        while True:
            try:
                self._lease = await self._renew()
                failing = False
            except (Conflict, NotFound, AlreadyExists) as error:
                self._lease = None
                log.debug("lease changed underneath, reading it again", error=str(error))
                await self._clock.sleep(FIRST_RETRY_SECONDS)
                continue
            except (StatusError, ConnectionError, TimeoutError) as error:
                self._lease = None  # what was read last may be why: a PUT of a Lease that is gone is a creation
                if not failing:
                    log.warning("lease not renewed", error=str(error))
                failing = True
                await self._clock.sleep(min(MOST_RETRY_SECONDS, LEASE_RENEW_SECONDS))
                continue
            await self._clock.sleep(LEASE_RENEW_SECONDS)

    async def _renew(self) -> Lease:
        """Renews by one PUT of the Lease as it was last; without one, reads it afresh or creates it."""
        name = self._options.node_name
        now = format_micro_time(self._clock.now())
        lease = self._lease
        if lease is None:
            try:
                lease = await self._rest.get(Lease, name, NODE_LEASES)
            except NotFound:
                owner = OwnerReference(apiVersion="v1", kind="Node", name=name, uid=self.node.metadata.uid or "")
                spec = LeaseSpec(holderIdentity=name, leaseDurationSeconds=LEASE_SECONDS, renewTime=now)
                metadata = ObjectMeta(name=name, namespace=NODE_LEASES, ownerReferences=[owner])
                return await self._rest.create(Lease(metadata=metadata, spec=spec))
        changed = lease.clone()
        changed.spec.holderIdentity, changed.spec.renewTime = name, now
        changed.spec.leaseDurationSeconds = LEASE_SECONDS
        return await self._rest.update(changed)
