"""A pod's status from its spec, the runtime's truth and what the kubelet has decided. Pure.

Source: Kubernetes, "Pod Lifecycle"; reasons and messages of conditions and states as upstream's kubelet words them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apimachinery.conditions import set_condition
from apimachinery.times import format_time, parse_time
from kubeapi.core.pod.lifecycle import is_sidecar, is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.status import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    ContainerUser,
    HostIP,
    LinuxContainerUser,
    PodCondition,
    PodIP,
    PodStatus,
    VolumeMountStatus,
)
from kubeapi.core.pod.volumes import VolumeMount
from kubelet.container.downward import pod_addresses
from kubelet.container.limits import qos_class
from kubelet.container.spec import ID_PREFIX, api_statuses, is_lost
from kubelet.pod.actions import EXIT_UNKNOWN, should_restart
from kubelet.pod.allocation import RESIZE_CONDITIONS, Allocation
from kubelet.pod.status.phase import compute_phase
from kubelet.probe.state import Verdict
from kubelet.runtime.configs import ContainerKind
from kubelet.runtime.interface import ContainerStatus as RuntimeContainer
from kubelet.runtime.interface import LinuxUser, PodRuntimeStatus

MAX_POD_MESSAGE_BYTES = 12 * 1024
"""The termination messages of all containers of a pod together."""

TERMINATION_BY_KUBELET = "TerminationByKubelet"
"""The reason of a DisruptionTarget condition that is the kubelet's own; others write that condition, too."""

_GONE = "The container could not be located when the pod was terminated"
_GONE_BEFORE_DELETE = "The container could not be located when the pod was deleted.  The container used to be Running"


@dataclass(frozen=True, slots=True)
class Waiting:
    """The reason (CrashLoopBackOff, ErrImagePull …) and message of a container that does not run."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The kubelet has failed the pod as a whole: DeadlineExceeded, or it was never admitted.

    `disruption`: it is no fault of the pod's own (eviction, a host that is switched off), so that Jobs may ignore it.
    """

    reason: str
    message: str
    disruption: bool = False


@dataclass(frozen=True, slots=True)
class StatusInputs:
    """Everything that a status depends on beside the pod and the runtime.

    `waiting` is by container name; `readiness` and `startup` are probe results by container id. `terminal`: every
    container has stopped for good and the phase must be a final one. `now` is unix seconds.
    """

    now: float
    node_ips: tuple[str, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    readiness: Mapping[str, Verdict] = field(default_factory=dict)
    startup: Mapping[str, Verdict] = field(default_factory=dict)
    terminal: bool = False
    failure: Failure | None = None
    allocation: Allocation = field(default_factory=Allocation)
    recursive_read_only: bool = False
    """What the node can do."""


def compute_status(pod: Pod, runtime: PodRuntimeStatus | None, inputs: StatusInputs) -> PodStatus:
    """Makes the whole status. `pod.status` is the last one reported: transition times and lost containers come from it.

    `pod` has the resources that it was granted.
    """
    return _Status(pod, runtime, inputs).compute()


def rejected_status(pod: Pod, failure: Failure, now: float) -> PodStatus:
    """Makes the status of a pod that the node does not take."""
    old = pod.status
    return PodStatus(
        observedGeneration=pod.metadata.generation,
        phase="Failed",
        reason=failure.reason,
        message=f"Pod was rejected: {failure.message}",
        qosClass=qos_class(pod),
        startTime=old.startTime or format_time(now),
        conditions=old.conditions,
        resourceClaimStatuses=old.resourceClaimStatuses,
    )


class _Status:
    def __init__(self, pod: Pod, runtime: PodRuntimeStatus | None, inputs: StatusInputs) -> None:
        self.pod = pod
        self.runtime = runtime
        self.inputs = inputs
        self.old = api_statuses(pod)
        self.failure = inputs.failure if inputs.terminal else None  # a pod has failed once nothing of it runs

    def compute(self) -> PodStatus:
        spec, old = self.pod.spec, self.pod.status
        init = [self._container(container, "init") for container in spec.initContainers or ()]
        regular = [self._container(container, "regular") for container in spec.containers]
        ephemeral = [self._container(container, "ephemeral") for container in spec.ephemeralContainers or ()]
        if self.inputs.terminal:
            self._end_all(init, regular)
        self._shorten_messages([*init, *regular, *ephemeral])
        phase: str = compute_phase(self.pod, init, regular, terminal=self.inputs.terminal)
        if is_terminal(old.phase):
            phase = old.phase
        elif self.failure is not None:
            phase = "Failed"
        pod_ips = self._pod_ips()
        status = PodStatus(
            observedGeneration=self.pod.metadata.generation,
            phase=phase,
            reason=self.failure.reason if self.failure else old.reason,
            message=self.failure.message if self.failure else old.message,
            nominatedNodeName=old.nominatedNodeName,
            hostIP=self.inputs.node_ips[0] if self.inputs.node_ips else None,
            hostIPs=[HostIP(ip=ip) for ip in self.inputs.node_ips] or None,
            podIP=pod_ips[0] if pod_ips else None,
            podIPs=[PodIP(ip=ip) for ip in pod_ips] or None,
            startTime=old.startTime or format_time(self.inputs.now),
            initContainerStatuses=init or None,
            containerStatuses=sorted(regular, key=lambda item: item.name),
            ephemeralContainerStatuses=sorted(ephemeral, key=lambda item: item.name) or None,
            qosClass=qos_class(self.pod),
            resourceClaimStatuses=old.resourceClaimStatuses,
        )
        status.conditions = self._conditions(status)
        return status

    def _pod_ips(self) -> tuple[str, ...]:
        """A pod that has ended keeps showing the addresses it had."""
        if self.pod.spec.hostNetwork:
            return self.inputs.node_ips
        sandbox = self.runtime.sandbox if self.runtime else None
        if sandbox is not None and sandbox.ready:
            return pod_addresses(sandbox, self.inputs.node_ips)
        return tuple(item.ip for item in self.pod.status.podIPs or ())

    # containers

    def _container(self, container: Container, kind: ContainerKind) -> ContainerStatus:
        attempts = self.runtime.attempts(container.name) if self.runtime else []
        if is_lost(self.old.get(container.name), attempts):
            attempts = []
        status = self._known(container, attempts) if attempts else self._unknown(container, kind)
        status.volumeMounts = [
            VolumeMountStatus(
                name=mount.name,
                mountPath=mount.mountPath,
                readOnly=mount.readOnly,
                recursiveReadOnly=self._recursive_read_only(mount) if mount.readOnly else None,
            )
            for mount in container.volumeMounts or ()
        ] or None
        status.allocatedResources = container.resources.requests
        status.resources = container.resources
        if attempts and attempts[0].state == "running":
            status.resources = self.inputs.allocation.actuated.get(attempts[0].id, container.resources)
        status.stopSignal = container.lifecycle.stopSignal if container.lifecycle else None
        self._set_ready(container, kind, status, attempts[0].id if attempts else "")
        return status

    def _recursive_read_only(self, mount: VolumeMount) -> str:
        asked = mount.recursiveReadOnly in ("Enabled", "IfPossible")
        return "Enabled" if asked and self.inputs.recursive_read_only else "Disabled"

    def _known(self, container: Container, attempts: list[RuntimeContainer]) -> ContainerStatus:
        newest, old = attempts[0], self.old.get(container.name)
        status = ContainerStatus(
            name=container.name,
            image=newest.image or container.image or "",
            imageID=newest.image_id,
            containerID=ID_PREFIX + newest.id,
            restartCount=newest.attempt,
            user=_user(newest.user),
            state=self._state(container, newest),
            lastState=ContainerState(),
        )
        if len(attempts) > 1 and attempts[1].state == "exited":
            status.lastState = ContainerState(terminated=_terminated(attempts[1]))
        elif old is not None and newest.attempt > 0:
            same = old.containerID == status.containerID
            status.lastState = old.lastState if same else _ended(old)
        waiting = self.inputs.waiting.get(container.name)
        if waiting is not None and not self.inputs.terminal and status.state.running is None:
            if status.state.terminated is not None:
                status.lastState = status.state
            status.state = _waiting(waiting)
        return status

    def _state(self, container: Container, newest: RuntimeContainer) -> ContainerState:
        if newest.state == "running":
            return ContainerState(running=ContainerStateRunning(startedAt=format_time(newest.started_at)))
        if newest.state == "exited":
            return ContainerState(terminated=_terminated(newest))
        return self._default_waiting()

    def _unknown(self, container: Container, kind: ContainerKind) -> ContainerStatus:
        """The runtime has no such container: it has not started yet, or somebody removed it."""
        old = self.old.get(container.name)
        if old is not None and old.containerID:
            return self._lost(container, kind, old)
        waiting = self.inputs.waiting.get(container.name)
        state = _waiting(waiting) if waiting else self._default_waiting()
        return ContainerStatus(
            name=container.name, image=container.image or "", state=state, lastState=ContainerState()
        )

    def _lost(self, container: Container, kind: ContainerKind, old: ContainerStatus) -> ContainerStatus:
        status = old.model_copy()
        if old.state.terminated is not None:
            return status
        ended = _ended(old)
        if self.inputs.terminal or not self._starts_again(container, kind):
            status.state = ended if ended.terminated else ContainerState(terminated=_unknown_end(_GONE))
        else:
            waiting = self.inputs.waiting.get(container.name)
            status.state = _waiting(waiting) if waiting else self._default_waiting()
            status.lastState = ended
        return status

    def _starts_again(self, container: Container, kind: ContainerKind) -> bool:
        if kind == "ephemeral":
            return False
        return is_sidecar(container) or should_restart(self.pod, container, EXIT_UNKNOWN)

    def _default_waiting(self) -> ContainerState:
        return _waiting(Waiting("PodInitializing" if self.pod.spec.initContainers else "ContainerCreating"))

    def _set_ready(self, container: Container, kind: ContainerKind, status: ContainerStatus, runtime_id: str) -> None:
        running = status.state.running is not None
        if kind == "init" and not is_sidecar(container):
            ended = status.state.terminated
            status.started = False
            status.ready = ended is not None and ended.exitCode == 0
            return
        if kind == "ephemeral":
            status.ready = False
            return
        started = container.startupProbe is None or self.inputs.startup.get(runtime_id) == "success"
        passes = container.readinessProbe is None or self.inputs.readiness.get(runtime_id) == "success"
        status.started = running and started
        status.ready = running and started and passes

    def _end_all(self, init: list[ContainerStatus], regular: list[ContainerStatus]) -> None:
        """Fails the containers whose end is not known, as nothing runs any more, unless their turn never came."""
        begun = [index for index, item in enumerate(init) if _has_begun(item)]
        unknown = init[: max(begun, default=0) + 1]
        if not init or any(map(_has_begun, regular)) or _has_completed(init[-1]):
            unknown += regular
        for status in unknown:
            if status.state.terminated is None:
                status.state = ContainerState(terminated=_unknown_end(_GONE))

    def _shorten_messages(self, statuses: list[ContainerStatus]) -> None:
        """Divides what the termination messages of a pod may take among its containers."""
        limit = MAX_POD_MESSAGE_BYTES // max(len(statuses), 1)
        for status in statuses:
            status.state, status.lastState = _shortened(status.state, limit), _shortened(status.lastState, limit)

    # conditions

    def _conditions(self, status: PodStatus) -> list[PodCondition]:
        own = [
            self._sandbox_condition(),
            self._initialized(status),
            self._ready(status),
            self._containers_ready(status),
            PodCondition(type="PodScheduled", status="True"),
            *self._disruption(),
        ]
        for condition in own:
            condition.observedGeneration = self.pod.metadata.generation
        own += self.inputs.allocation.conditions()
        types = {condition.type for condition in own}
        conditions = [
            item
            for item in self.pod.status.conditions or ()
            if item.type in types or item.type not in RESIZE_CONDITIONS
        ]
        for condition in own:
            condition.lastTransitionTime = format_time(self.inputs.now)
            conditions = set_condition(conditions, condition)
        order = {condition.type: index for index, condition in enumerate(own)}
        return sorted(conditions, key=lambda condition: order.get(condition.type, len(order)))

    def _disruption(self) -> list[PodCondition]:
        if self.failure is None or not self.failure.disruption:
            return []
        reason, message = TERMINATION_BY_KUBELET, self.failure.message
        return [PodCondition(type="DisruptionTarget", status="True", reason=reason, message=message)]

    def _sandbox_condition(self) -> PodCondition:
        sandbox = self.runtime.sandbox if self.runtime else None
        ready = sandbox is not None and sandbox.usable
        return PodCondition(type="PodReadyToStartContainers", status="True" if ready else "False")

    def _initialized(self, status: PodStatus) -> PodCondition:
        spec, done = self.pod.spec, PodCondition(type="Initialized", status="True")
        if status.phase == "Succeeded":
            done.reason = "PodCompleted"
            return done
        if any(_has_started(item) for item in status.containerStatuses or ()):
            return done
        containers = {container.name: container for container in spec.initContainers or ()}
        incomplete = [
            item.name
            for item in status.initContainerStatuses or ()
            if not (item.started if is_sidecar(containers[item.name]) else item.ready)
        ]
        if not incomplete:
            return done
        message = f"containers with incomplete status: {_names(incomplete)}"
        return PodCondition(type="Initialized", status="False", reason="ContainersNotInitialized", message=message)

    def _containers_ready(self, status: PodStatus, type: str = "ContainersReady") -> PodCondition:
        if is_terminal(status.phase):
            reason = "PodCompleted" if status.phase == "Succeeded" else "PodFailed"
            return PodCondition(type=type, status="False", reason=reason)
        sidecars = {container.name for container in self.pod.spec.initContainers or () if is_sidecar(container)}
        counted = [item for item in status.initContainerStatuses or () if item.name in sidecars]
        unready = [item.name for item in (*counted, *(status.containerStatuses or ())) if not item.ready]
        if not unready:
            return PodCondition(type=type, status="True")
        message = f"containers with unready status: {_names(unready)}"
        return PodCondition(type=type, status="False", reason="ContainersNotReady", message=message)

    def _ready(self, status: PodStatus) -> PodCondition:
        condition = self._containers_ready(status, "Ready")
        if condition.status != "True":
            return condition
        present = {item.type: item.status for item in self.pod.status.conditions or ()}
        messages = []
        for gate in self.pod.spec.readinessGates or ():
            name = gate.conditionType
            if name not in present:
                messages.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
            elif present[name] != "True":
                messages.append(f'the status of pod readiness gate "{name}" is not "True", but {present[name]}')
        if not messages:
            return condition
        text = ", ".join(messages)
        return PodCondition(type="Ready", status="False", reason="ReadinessGatesNotReady", message=text)


def start_time(pod: Pod) -> float | None:
    """Returns when the kubelet first saw the pod, in unix seconds."""
    return parse_time(pod.status.startTime) if pod.status.startTime else None


def _user(user: LinuxUser | None) -> ContainerUser | None:
    if user is None:
        return None
    return ContainerUser(linux=LinuxContainerUser(uid=user.uid, gid=user.gid, supplementalGroups=list(user.groups)))


def _waiting(waiting: Waiting) -> ContainerState:
    return ContainerState(waiting=ContainerStateWaiting(reason=waiting.reason, message=waiting.message or None))


def _terminated(status: RuntimeContainer) -> ContainerStateTerminated:
    """A container that never ran shows the epoch, as upstream's does, so that times are always comparable."""
    return ContainerStateTerminated(
        exitCode=status.exit_code,
        signal=status.signal or None,
        reason=status.reason or ("Completed" if status.exit_code == 0 else "Error"),
        message=status.message or None,
        startedAt=format_time(status.started_at),
        finishedAt=format_time(status.finished_at),
        containerID=ID_PREFIX + status.id,
    )


def _unknown_end(message: str) -> ContainerStateTerminated:
    return ContainerStateTerminated(exitCode=EXIT_UNKNOWN, reason="ContainerStatusUnknown", message=message)


def _ended(old: ContainerStatus) -> ContainerState:
    """Says how a container whose traces are gone has ended, as far as the last report tells."""
    if old.state.terminated is not None:
        return old.state
    if old.state.running is not None:
        return ContainerState(terminated=_unknown_end(_GONE_BEFORE_DELETE))
    return old.lastState


def _shortened(state: ContainerState, limit: int) -> ContainerState:
    message = (state.terminated.message or "").encode() if state.terminated else b""
    if state.terminated is None or len(message) <= limit:
        return state
    text = message[:limit].decode(errors="ignore")
    return ContainerState(terminated=state.terminated.model_copy(update={"message": text}))


def _has_begun(status: ContainerStatus) -> bool:
    return status.state.waiting is None or status.lastState.terminated is not None


def _has_completed(status: ContainerStatus) -> bool:
    return any(state.terminated and state.terminated.exitCode == 0 for state in (status.state, status.lastState))


def _has_started(status: ContainerStatus) -> bool:
    return status.state.running is not None or status.state.terminated is not None or status.restartCount > 0


def _names(names: list[str]) -> str:
    return f"[{' '.join(names)}]"
