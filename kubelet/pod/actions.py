"""Decides the next step for a pod from its spec, the runtime's truth and the probes' verdicts. Pure.

Source: the rules of upstream's pod lifecycle documentation: init containers in order, sidecars (init containers with
restartPolicy Always) that start in their turn and are kept running, restart policies, CrashLoopBackOff.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, ResourceRequirements
from kubelet.container.backoff import KeyedBackoff
from kubelet.container.spec import api_statuses, is_lost, restart_policy, spec_hash
from kubelet.pod.allocation import change_of
from kubelet.probe.state import Verdicts
from kubelet.runtime.configs import ContainerKind
from kubelet.runtime.interface import ContainerStatus, PodRuntimeStatus

KillReason = Literal["changed", "liveness", "startup", "sandbox", "resize", "hook"]

EXIT_UNKNOWN = 137
"""The exit code taken for a container that was killed or that nobody can ask any more."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Stop one running container; `message` is what its Killing event says."""

    name: str
    container_id: str
    reason: KillReason
    message: str


@dataclass(frozen=True, slots=True)
class Start:
    """Create and start one attempt of a container, unless `wait_seconds` of backoff are left."""

    name: str
    kind: ContainerKind
    attempt: int
    wait_seconds: float = 0.0
    backoff_key: str = ""
    failed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Update:
    """Give a running container the resources that it was granted."""

    name: str
    container_id: str


@dataclass(frozen=True, slots=True)
class PodActions:
    """`kill_pod` without `create_sandbox` means that the pod has run to its end."""

    kill_pod: bool = False
    create_sandbox: bool = False
    sandbox_attempt: int = 0
    kill: tuple[Kill, ...] = ()
    start: tuple[Start, ...] = ()
    update: tuple[Update, ...] = ()

    @property
    def finished(self) -> bool:
        return self.kill_pod and not self.create_sandbox


def compute_actions(
    pod: Pod,
    status: PodRuntimeStatus | None,
    *,
    now: float,
    verdicts: Verdicts,
    backoff: KeyedBackoff,
    actuated: Mapping[str, ResourceRequirements] | None = None,
) -> PodActions:
    """Decides the next step towards a running pod, or towards its end. `backoff` is only read.

    `pod` has the resources that it was granted, `actuated` those that its containers run with, by container id; None
    leaves them as they are.
    """
    return _Plan(pod, status, now, verdicts, backoff, actuated).compute()


def deadline_remaining(pod: Pod, start_time: float | None, now: float) -> float | None:
    """Returns the seconds left of activeDeadlineSeconds; None without a deadline or before the start."""
    deadline = pod.spec.activeDeadlineSeconds
    if deadline is None or start_time is None:
        return None
    return max(0.0, start_time + deadline - now)


def should_restart(pod: Pod, container: Container, exit_code: int) -> bool:
    """Asks the container's own rules, its own policy, then the pod's, whether it is started again after its end."""
    for rule in container.restartPolicyRules or ():
        codes = rule.exitCodes
        if codes is None:
            continue
        listed = exit_code in (codes.values or ())
        if listed == (codes.operator == "In"):
            return rule.action == "Restart"
    policy = container.restartPolicy or restart_policy(pod)
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def restarts_after_kill(pod: Pod, container: Container) -> bool:
    """Asks the policies alone whether a container that the kubelet kills is started again.

    Its rules are about an exit code, which it does not have yet.
    """
    return (container.restartPolicy or restart_policy(pod)) != "Never"


def may_restart(pod: Pod, container: Container) -> bool:
    """Tells whether any end of the container could be followed by another start."""
    return restarts_after_kill(pod, container) or bool(container.restartPolicyRules)


def backoff_key(pod: Pod, container: Container) -> str:
    return f"{pod.metadata.uid}/{container.name}/{spec_hash(container)}"


class _Plan:
    """One computation: the parts share the pod, its statuses and what has been decided so far."""

    def __init__(
        self,
        pod: Pod,
        status: PodRuntimeStatus | None,
        now: float,
        verdicts: Verdicts,
        backoff: KeyedBackoff,
        actuated: Mapping[str, ResourceRequirements] | None,
    ) -> None:
        self.pod = pod
        self.status = status
        self.now = now
        self.verdicts = verdicts
        self.backoff = backoff
        self.actuated = actuated
        self.reported = api_statuses(pod)
        self.start: list[Start] = []
        self.kill: list[Kill] = []
        self.update: list[Update] = []

    def compute(self) -> PodActions:
        sandbox = self.status.sandbox if self.status else None
        if sandbox is None or not sandbox.usable or self._several_ready():
            return self._new_sandbox(0 if sandbox is None else sandbox.attempt + 1)
        for container in self.pod.spec.ephemeralContainers or ():
            newest = self._newest(container)
            created = newest is not None and newest.state == "created" and newest.sandbox_id == sandbox.id
            if created or (newest is None and not self._lost(container)):
                self.start.append(Start(container.name, "ephemeral", 0))
        initialized = self._init_containers(sandbox.id)
        if initialized is None:
            return PodActions(kill_pod=True, kill=tuple(self.kill))
        if initialized:
            continuing = self._regular_containers(sandbox.id)
            regular = {container.name for container in self.pod.spec.containers or ()}
            if not continuing and not any(start.name in regular for start in self.start):
                return PodActions(kill_pod=True, kill=tuple(self.kill))
        return PodActions(kill=tuple(self.kill), start=tuple(self.start), update=tuple(self.update))

    def _several_ready(self) -> bool:
        return self.status is not None and sum(sandbox.ready for sandbox in self.status.sandboxes) > 1

    def _new_sandbox(self, attempt: int) -> PodActions:
        """Everything of the old sandbox goes; what has to run again starts in the new one, init containers first."""
        again = [container for container in self.pod.spec.containers or () if self._runs_in_new_sandbox(container)]
        ran = self.status is not None and bool(self.status.containers)
        restarts = any(may_restart(self.pod, container) for container in self.pod.spec.containers or ())
        if not again or (attempt > 0 and ran and not restarts):
            return PodActions(kill_pod=True)
        return PodActions(kill_pod=attempt > 0, create_sandbox=True, sandbox_attempt=attempt)

    def _runs_in_new_sandbox(self, container: Container) -> bool:
        newest = self._newest(container)
        if newest is None:
            return not self._lost(container) or should_restart(self.pod, container, EXIT_UNKNOWN)
        if newest.state == "exited":
            return should_restart(self.pod, container, newest.exit_code)
        return newest.state == "created" or should_restart(self.pod, container, EXIT_UNKNOWN)

    def _init_containers(self, sandbox_id: str) -> bool | None:
        """Plans them; True once regular containers may run, False while one is on its way, None when one failed."""
        containers = self.pod.spec.initContainers or []
        if not containers:
            return True
        initialized = any(
            status is not None and status.sandbox_id == sandbox_id
            for status in (self._newest(container) for container in self.pod.spec.containers or ())
        )
        reached = len(containers) if initialized else self._last_reached(containers, sandbox_id)
        for container in containers[:reached]:
            if is_sidecar(container):
                self._keep_sidecar(container, sandbox_id)
        for container in containers[reached:]:
            done = self._init_step(container, sandbox_id)
            if not done:
                return done
        return True

    def _last_reached(self, containers: list[Container], sandbox_id: str) -> int:
        """Returns the index of the last init container that was started in this sandbox."""
        for index in range(len(containers) - 1, -1, -1):
            if self._in_sandbox(containers[index], sandbox_id) is not None:
                return index
        return 0

    def _init_step(self, container: Container, sandbox_id: str) -> bool | None:
        """Plans one; True when the next may follow, False while it is under way, None when it failed for good."""
        if is_sidecar(container):
            return self._keep_sidecar(container, sandbox_id)
        status = self._in_sandbox(container, sandbox_id)
        if status is None or status.state == "created":
            self._add_start(container, "init")
            return False
        if status.state == "running":
            return False
        if status.exit_code == 0:
            return True
        if not should_restart(self.pod, container, status.exit_code):
            return None
        self._add_start(container, "init")
        return False

    def _keep_sidecar(self, container: Container, sandbox_id: str) -> bool:
        """Starts, restarts or keeps a sidecar; True once it runs and its startup probe, if any, has succeeded."""
        status = self._in_sandbox(container, sandbox_id)
        if status is None or status.state != "running":
            self._add_start(container, "init")
            return False
        started = container.startupProbe is None or self.verdicts.startup.get(status.id) == "success"
        self._replace(container, status, "Init container", "init")
        return started

    def _regular_containers(self, sandbox_id: str) -> int:
        """Plans each regular container; returns how many go on as they are."""
        continuing = 0
        for container in self.pod.spec.containers or ():
            status = self._newest(container)
            if status is None:
                if not self._lost(container) or should_restart(self.pod, container, EXIT_UNKNOWN):
                    self._add_start(container, "regular")
            elif status.state == "created":
                self._add_start(container, "regular")
            elif status.state == "exited":
                if should_restart(self.pod, container, status.exit_code):
                    self._add_start(container, "regular")
            elif status.sandbox_id != sandbox_id:
                self._add_start(container, "regular")
            elif not self._replace(container, status, "Container", "regular") or container.restartPolicyRules:
                continuing += 1  # what it is killed for may have it restarted, by a rule about its exit code
        return continuing

    def _replace(self, container: Container, status: ContainerStatus, noun: str, kind: ContainerKind) -> bool:
        """Plans the end (and, if the policy says so, the restart) of a running container; False when it may go on."""
        restart = restarts_after_kill(self.pod, container)
        reason: KillReason
        if status.spec_hash and status.spec_hash != spec_hash(container):
            reason, message, restart = "changed", f"{noun} {container.name} definition changed", True
        elif self.verdicts.liveness.get(status.id) == "failure":
            reason, message = "liveness", f"{noun} {container.name} failed liveness probe"
        elif self.verdicts.startup.get(status.id) == "failure":
            reason, message = "startup", f"{noun} {container.name} failed startup probe"
        else:
            return self._resize(container, status, kind)
        if restart:
            message += ", will be restarted" if kind == "regular" else ""
            self._add_start(container, kind)
        self.kill.append(Kill(container.name, status.id, reason, message))
        return True

    def _resize(self, container: Container, status: ContainerStatus, kind: ContainerKind) -> bool:
        """Plans the update of a container that was granted other resources; True when it restarts for them."""
        change = "none" if self.actuated is None else change_of(container, self.actuated.get(status.id))
        if change == "restart":
            message = f"Container {container.name} resize requires restart"
            self.kill.append(Kill(container.name, status.id, "resize", message))
            self._add_start(container, kind)
        elif change == "update":
            self.update.append(Update(container.name, status.id))
        return change == "restart"

    def _add_start(self, container: Container, kind: ContainerKind) -> None:
        attempts = self._attempts(container)
        newest, key = self._newest(container), backoff_key(self.pod, container)
        if newest is not None and newest.state == "running" and not self._current(newest):
            message = f"Container {container.name} runs in an old sandbox, will be restarted"
            self.kill.append(Kill(container.name, newest.id, "sandbox", message))
        failed_at = next((status.finished_at for status in attempts if status.state == "exited"), 0.0)
        wait = self.backoff.remaining(key, failed_at, self.now) if failed_at else 0.0
        if newest is None:
            reported = self.reported.get(container.name)
            attempt = reported.restartCount + 1 if reported and self._lost(container) else 0
            self.start.append(Start(container.name, kind, attempt, wait, key, failed_at))
        elif newest.state == "created" and self._current(newest):
            self.start.append(Start(container.name, kind, newest.attempt, backoff_key=key))
        else:
            self.start.append(Start(container.name, kind, newest.attempt + 1, wait, key, failed_at))

    def _current(self, status: ContainerStatus) -> bool:
        sandbox = self.status.sandbox if self.status else None
        return sandbox is not None and status.sandbox_id == sandbox.id

    def _attempts(self, container: Container) -> list[ContainerStatus]:
        return self.status.attempts(container.name) if self.status else []

    def _newest(self, container: Container) -> ContainerStatus | None:
        """Returns the newest attempt; None as well when that was removed, as older ones say nothing about it."""
        attempts = self._attempts(container)
        return attempts[0] if attempts and not self._lost(container) else None

    def _in_sandbox(self, container: Container, sandbox_id: str) -> ContainerStatus | None:
        status = self._newest(container)
        return status if status is not None and status.sandbox_id == sandbox_id else None

    def _lost(self, container: Container) -> bool:
        return is_lost(self.reported.get(container.name), self._attempts(container))
