"""Lets others see a pod: its probes and host ports follow it, and its status goes to the API."""

from __future__ import annotations

from dataclasses import dataclass

from componentbase.clock import Clock
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.status import PodStatus
from kubelet.container.downward import NodeView, pod_addresses
from kubelet.network.host_ports import HostPorts
from kubelet.pod.status.compute import Failure, StatusInputs, compute_status, rejected_status
from kubelet.pod.status.manager import StatusManager
from kubelet.pod.work import PodWork
from kubelet.probe.prober import Prober
from kubelet.probe.state import Verdicts
from kubelet.runtime.interface import PodRuntimeStatus


@dataclass(frozen=True, slots=True)
class Publisher:
    """A status goes one way: decided here, kept in the pod's work, sent by the status manager."""

    prober: Prober
    host_ports: HostPorts
    statuses: StatusManager
    node: NodeView
    clock: Clock

    def verdicts(self, work: PodWork) -> Verdicts:
        """The probe results that may kill a container."""
        return self.prober.verdicts(work.uid)

    def follow(self, work: PodWork, status: PodRuntimeStatus | None, *, terminating: bool = False) -> None:
        """Leads probes and host ports to where the pod is now."""
        pod_ips = pod_addresses(status.sandbox if status else None, self.node.facts().ips)
        self.prober.update(work.pod, status, pod_ips[0] if pod_ips else "", terminating=terminating)
        self.host_ports.update(work.pod, pod_ips)

    def forget(self, work: PodWork) -> None:
        """Ends the pod's probes and host ports."""
        self.prober.forget(work.uid)
        self.host_ports.forget(work.uid)

    def report(self, work: PodWork, status: PodRuntimeStatus | None, *, terminal: bool = False) -> None:
        """Decides the pod's status. With `terminal`, nothing of it runs or will run again."""
        if status is None and is_terminal(work.pod.status.phase):
            return  # rejected, or over before this kubelet started: what was said last stands
        for container in status.containers if status else ():
            if container.state == "running":
                work.waiting.pop(container.name, None)
        inputs = StatusInputs(
            now=self.clock.now(),
            node_ips=self.node.facts().ips,
            waiting=dict(work.waiting),
            readiness=self.prober.results(work.uid, "readiness"),
            startup=self.prober.results(work.uid, "startup"),
            terminal=terminal,
            failure=work.failure,
            allocation=work.allocation,
            recursive_read_only=self._recursive_read_only(),
        )
        self._publish(work, compute_status(work.pod, status, inputs))

    def _recursive_read_only(self) -> bool:
        handlers = self.node.current().status.runtimeHandlers or ()
        return any(item.features is not None and item.features.recursiveReadOnlyMounts for item in handlers)

    def report_rejected(self, work: PodWork, failure: Failure) -> None:
        """Decides the status of a pod that the node does not take."""
        self._publish(work, rejected_status(work.pod, failure, self.clock.now()))

    def finish(self, work: PodWork) -> None:
        """Lets the pod leave the API once its deletion is asked for: nothing of it runs on this node."""
        self.statuses.finish(work.pod)

    def _publish(self, work: PodWork, status: PodStatus) -> None:
        if status != work.pod.status:
            work.decide_status(status)
            self.statuses.set(work.pod, status)
