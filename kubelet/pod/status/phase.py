"""A pod's phase from the states of its containers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import ContainerStatus
from kubelet.pod.actions import should_restart

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


def compute_phase(
    pod: Pod, init: Iterable[ContainerStatus], regular: Iterable[ContainerStatus], *, terminal: bool
) -> Phase:
    """The phase; `terminal` says that nothing of the pod runs or will run again.

    Source: Kubernetes, "Pod Lifecycle", "Pod phase".
    """
    statuses = list(regular)
    ended = [status for status in statuses if _has_ended(status)]
    succeeded = [status for status in ended if _exit_code(status) == 0]
    if terminal:
        complete = statuses and len(succeeded) == len(statuses) and not _init_failed(pod, init)
        return "Succeeded" if complete else "Failed"
    running = [status for status in statuses if status.state.running is not None]
    if not running and not ended:
        return "Failed" if _init_failed(pod, init, for_good=True) else "Pending"
    if len(running) + len(ended) < len(statuses):
        return "Pending"
    return "Running"


def _has_ended(status: ContainerStatus) -> bool:
    """Waiting for a restart counts: the container has been there."""
    if status.state.running is not None:
        return False
    return status.state.terminated is not None or status.lastState.terminated is not None


def _exit_code(status: ContainerStatus) -> int | None:
    ended = status.state.terminated or status.lastState.terminated
    return ended.exitCode if ended else None


def _init_failed(pod: Pod, init: Iterable[ContainerStatus], *, for_good: bool = False) -> bool:
    """Tells whether an init container has failed; with `for_good`, only one that is not repeated counts."""
    containers = {item.name: item for item in pod.spec.initContainers or () if not is_sidecar(item)}
    codes = {status.name: _exit_code(status) for status in init if status.name in containers and _has_ended(status)}
    failed = {name: code for name, code in codes.items() if code}
    return any(not for_good or not should_restart(pod, containers[name], code) for name, code in failed.items())
