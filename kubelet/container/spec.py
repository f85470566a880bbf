"""Answers small questions about a pod's spec that several parts of the kubelet ask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.status import ContainerStatus
from kubelet.runtime.configs import ContainerKind
from kubelet.runtime.interface import ContainerStatus as RuntimeContainer

RestartPolicy = Literal["Always", "OnFailure", "Never"]

DEFAULT_GRACE_SECONDS = 30
"""The grace period of a pod without `terminationGracePeriodSeconds` (the API server's default)."""


def restart_policy(pod: Pod) -> RestartPolicy:
    policy = pod.spec.restartPolicy
    if policy == "Never":
        return "Never"
    return "OnFailure" if policy == "OnFailure" else "Always"


def all_containers(pod: Pod) -> Iterator[tuple[ContainerKind, Container]]:
    """Init containers first, then regular and ephemeral ones, in the order of the spec."""
    for container in pod.spec.initContainers or ():
        yield "init", container
    for container in pod.spec.containers or ():
        yield "regular", container
    for container in pod.spec.ephemeralContainers or ():
        yield "ephemeral", container


def find_container(pod: Pod, name: str) -> Container | None:
    return next((container for _, container in all_containers(pod) if container.name == name), None)


def spec_hash(container: Container) -> str:
    """Changes when a running container must be replaced: with its name or image, the only mutable fields."""
    return hashlib.blake2s(f"{container.name}\0{container.image or ''}".encode(), digest_size=8).hexdigest()


ID_PREFIX = "docker://"


def container_id(api_id: str | None) -> str:
    """ "docker://0123…" -> "0123…"."""
    return (api_id or "").removeprefix(ID_PREFIX)


def api_statuses(pod: Pod) -> dict[str, ContainerStatus]:
    """Returns container name -> the status last reported to the API."""
    status = pod.status
    groups = (status.initContainerStatuses, status.containerStatuses, status.ephemeralContainerStatuses)
    return {item.name: item for group in groups for item in group or ()}


def is_lost(reported: ContainerStatus | None, attempts: Sequence[RuntimeContainer]) -> bool:
    """Tells whether somebody removed the newest attempt that was reported to the API."""
    if reported is None or not reported.containerID:
        return False
    if any(reported.containerID.endswith(f"//{attempt.id}") for attempt in attempts):
        return False
    return not attempts or reported.restartCount >= attempts[0].attempt


def grace_seconds(pod: Pod) -> int:
    """Returns the grace period that deletion set, else the spec's."""
    if pod.metadata.deletionTimestamp and pod.metadata.deletionGracePeriodSeconds is not None:
        return pod.metadata.deletionGracePeriodSeconds
    grace = pod.spec.terminationGracePeriodSeconds
    return DEFAULT_GRACE_SECONDS if grace is None else grace


def full_name(pod: Pod) -> str:
    """Names a pod as messages do: name_namespace(uid)."""
    return f"{pod.name}_{pod.namespace}({pod.metadata.uid or ''})"
