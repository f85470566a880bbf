"""Writes pods into Docker's names and labels and reads them back, so that a restarted kubelet adopts them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast, get_args

from kubelet.runtime.configs import ContainerConfig, ContainerKind, PodRef, SandboxConfig
from kubelet.runtime.interface import LinuxUser

TYPE = "io.kubernetes.docker.type"
SANDBOX_TYPE, CONTAINER_TYPE = "podsandbox", "container"
POD_UID = "io.kubernetes.pod.uid"
POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
CONTAINER_NAME = "io.kubernetes.container.name"
SANDBOX_ID = "io.kubernetes.sandbox.id"
KIND = "io.kubernetes.container.kind"
IMAGE = "io.kubernetes.container.image"
ATTEMPT = "annotation.io.kubernetes.container.restartCount"
HASH = "annotation.io.kubernetes.container.hash"
MESSAGE_PATH = "annotation.io.kubernetes.container.terminationMessagePath"
MESSAGE_HOST_PATH = "annotation.io.kubernetes.container.terminationMessageHostPath"
MESSAGE_POLICY = "annotation.io.kubernetes.container.terminationMessagePolicy"
TTY = "annotation.io.kubernetes.container.tty"
GRACE_SECONDS = "annotation.io.kubernetes.pod.terminationGracePeriod"
USER = "annotation.io.kubernetes.container.user"
ANNOTATIONS = "annotation.io.kubernetes.container.annotations"

_RESERVED_PREFIXES = ("io.kubernetes.", "annotation.io.kubernetes.")

SANDBOX_NAME = "POD"  # takes a container's place in a sandbox's name; no container can be called that


def container_name(pod: PodRef, container: str, attempt: int) -> str:
    """ "k8s_web_web-1_default_<uid>_0"; pod and container names hold no underscore, so it can be split again."""
    return "_".join(("k8s", container, pod.name, pod.namespace, pod.uid, str(attempt)))


def sandbox_name(pod: PodRef, attempt: int) -> str:
    return container_name(pod, SANDBOX_NAME, attempt)


def _free_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The pod's own labels, without those that would pass for the kubelet's."""
    return {key: value for key, value in labels.items() if not key.startswith(_RESERVED_PREFIXES)}


def _pod_labels(pod: PodRef) -> dict[str, str]:
    return {POD_UID: pod.uid, POD_NAME: pod.name, POD_NAMESPACE: pod.namespace}


def sandbox_labels(config: SandboxConfig) -> dict[str, str]:
    own = {TYPE: SANDBOX_TYPE, CONTAINER_NAME: SANDBOX_NAME, ATTEMPT: str(config.attempt)}
    return {**_free_labels(config.labels), **_pod_labels(config.pod), **own}


def container_labels(sandbox_id: str, config: ContainerConfig, user: LinuxUser) -> dict[str, str]:
    own = {
        TYPE: CONTAINER_TYPE,
        CONTAINER_NAME: config.name,
        SANDBOX_ID: sandbox_id,
        KIND: config.kind,
        IMAGE: config.image,
        ATTEMPT: str(config.attempt),
        HASH: config.spec_hash,
        MESSAGE_PATH: config.termination_message_path,
        MESSAGE_HOST_PATH: config.termination_message_host_path,
        MESSAGE_POLICY: config.termination_message_policy,
        TTY: "true" if config.tty else "",
        GRACE_SECONDS: "" if config.grace_seconds is None else str(config.grace_seconds),
        USER: " ".join(map(str, (user.uid, *user.groups))),
        ANNOTATIONS: json.dumps(dict(config.annotations)) if config.annotations else "",
    }
    return {
        **_free_labels(config.labels),
        **_pod_labels(config.pod),
        **{key: value for key, value in own.items() if value},
    }


def pod_of(labels: Mapping[str, str]) -> PodRef:
    return PodRef(labels.get(POD_UID, ""), labels.get(POD_NAMESPACE, ""), labels.get(POD_NAME, ""))


def attempt_of(labels: Mapping[str, str]) -> int:
    text = labels.get(ATTEMPT, "")
    return int(text) if text.isdigit() else 0


def kind_of(labels: Mapping[str, str]) -> ContainerKind:
    kind = labels.get(KIND, "")
    return cast(ContainerKind, kind) if kind in get_args(ContainerKind) else "regular"


def grace_of(labels: Mapping[str, str]) -> int | None:
    text = labels.get(GRACE_SECONDS, "")
    return int(text) if text.isdigit() else None


def user_of(labels: Mapping[str, str]) -> LinuxUser | None:
    """Reads "UID GID GROUP…"; None for a container of an older kubelet, which did not say."""
    ids = [int(word) for word in labels.get(USER, "").split() if word.isdigit()]
    return LinuxUser(ids[0], ids[1], tuple(ids[1:])) if len(ids) > 1 else None


def annotations_of(labels: Mapping[str, str]) -> dict[str, str]:
    return cast("dict[str, str]", json.loads(labels.get(ANNOTATIONS) or "{}"))
