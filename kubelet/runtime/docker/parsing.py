"""Turns answers of Docker's API (1.41) into the kubelet's own statuses. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast, get_args

from apimachinery.text.image_reference import normalize, parse_reference
from kubelet.runtime.configs import PodRef
from kubelet.runtime.docker import names
from kubelet.runtime.interface import (
    ContainerState,
    ContainerStats,
    ContainerStatus,
    EventType,
    ImageInfo,
    RuntimeEvent,
    RuntimeInfo,
    SandboxStatus,
)

Json = Mapping[str, Any]

CANNOT_START_EXIT_CODE = 128  # what upstream shows for a container whose process never began
COMMAND_EXIT_CODES = (126, 127)  # the engine's codes for a command that is not executable or not there

_ZERO_TIME = "0001-01-01T00:00:00Z"
_CONFLICT = re.compile(r"already in use by container \"?([0-9a-f]{12,64})")
_STATES: Mapping[str, ContainerState] = {
    "created": "created",
    "running": "running",
    "paused": "running",
    "restarting": "running",
    "removing": "exited",
    "exited": "exited",
    "dead": "exited",
}


def engine_time(text: str) -> float:
    """Unix seconds of the engine's RFC 3339 times, which carry nanoseconds; 0.0 for its "never"."""
    if not text or text == _ZERO_TIME:
        return 0.0
    seconds, dot, rest = text.partition(".")
    if not dot:
        return datetime.fromisoformat(text).timestamp()
    digits = re.match(r"\d+", rest)
    fraction = digits.group() if digits else ""
    return datetime.fromisoformat(seconds + rest[len(fraction) :]).timestamp() + float(f"0.{fraction or 0}")


def is_sandbox(item: Json) -> bool:
    """Tells whether an item of the container list is a pause container."""
    return bool(item["Labels"].get(names.TYPE) == names.SANDBOX_TYPE)


def listed_state(item: Json) -> ContainerState:
    return _STATES.get(str(item.get("State")), "exited")


def sandbox_status(item: Json, addresses: Callable[[str], tuple[str, ...]]) -> SandboxStatus:
    """Reads an item of the container list; `addresses` says what the network has given to a sandbox."""
    host_network = item.get("HostConfig", {}).get("NetworkMode") == "host"
    ready = listed_state(item) == "running"
    return SandboxStatus(
        id=item["Id"],
        pod=names.pod_of(item["Labels"]),
        attempt=names.attempt_of(item["Labels"]),
        ready=ready,
        ips=addresses(item["Id"]) if ready and not host_network else (),
        created_at=float(item["Created"]),
        host_network=host_network,
    )


def container_status(item: Json, details: Json, image_id: str, message: str) -> ContainerStatus:
    """Reads an item of the container list and its inspection; `message` is the termination message."""
    labels, state = item["Labels"], details["State"]
    created_at = engine_time(details["Created"])
    started_at, finished_at = engine_time(state["StartedAt"]), engine_time(state["FinishedAt"])
    phase = _STATES.get(state["Status"], "exited")
    exit_code, reason = int(state["ExitCode"]), ""
    if phase == "created" and state.get("Error") and not is_engine_trouble(state["Error"]):
        # It never began: the engine keeps calling that "created".
        phase, message, started_at, finished_at = "exited", state["Error"], created_at, created_at
        reason = start_failure_reason(exit_code)
        exit_code = CANNOT_START_EXIT_CODE
    elif phase == "exited":
        reason = exit_reason(exit_code, oom_killed=bool(state.get("OOMKilled")))
    else:
        exit_code, finished_at = 0, 0.0
    return ContainerStatus(
        id=item["Id"],
        pod=names.pod_of(labels),
        name=labels.get(names.CONTAINER_NAME, ""),
        kind=names.kind_of(labels),
        attempt=names.attempt_of(labels),
        state=phase,
        image=labels.get(names.IMAGE) or str(item.get("Image", "")),
        image_id=image_id,
        spec_hash=labels.get(names.HASH, ""),
        sandbox_id=labels.get(names.SANDBOX_ID, ""),
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
        exit_code=exit_code,
        reason=reason,
        message=message if phase == "exited" else "",
        grace_seconds=names.grace_of(labels),
        annotations=names.annotations_of(labels),
        user=names.user_of(labels),
        pid=int(state.get("Pid", 0)) if phase == "running" else 0,
        writable_path=str(((details.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir", "")),
        log_path=str(details.get("LogPath") or ""),
    )


def exit_reason(exit_code: int, *, oom_killed: bool) -> str:
    """Returns "Completed" for code 0 even after an OOM kill, which then hit a child alone."""
    if exit_code == 0:
        return "Completed"
    return "OOMKilled" if oom_killed else "Error"


def is_engine_trouble(message: str) -> bool:
    """Tells whether a failure is the engine's own (its containerd is down), so that it can be retried."""
    return "connection error: desc" in message or message.rstrip().endswith(": unavailable")


def start_failure_reason(exit_code: int) -> str:
    return "StartError" if exit_code in COMMAND_EXIT_CODES else "ContainerCannotRun"


def conflicting_container(message: str) -> str:
    """The id of the container that holds the asked name, from a 409's text; "" when it names none."""
    match = _CONFLICT.search(message)
    return match.group(1) if match else ""


def image_info(document: Json) -> ImageInfo:
    """Reads an inspection, or an item of the image list, which does not know the user."""
    created = document.get("Created", 0)
    return ImageInfo(
        id=document["Id"],
        tags=tuple(normalize(tag) for tag in document.get("RepoTags") or () if "<none>" not in tag),
        digests=tuple(normalize(digest) for digest in document.get("RepoDigests") or () if "<none>" not in digest),
        size_bytes=int(document.get("Size", 0)),
        created_at=engine_time(created) if isinstance(created, str) else float(created),
        user=str((document.get("Config") or {}).get("User") or ""),
    )


def shown_image_id(image: ImageInfo, name: str) -> str:
    """Returns the imageID of a container status: the digest under the repository that the spec names, else the id."""
    if not image.digests or name.startswith("sha256:"):
        return image.image_id
    repository = parse_reference(name).repository
    return next((digest for digest in image.digests if digest.startswith(f"{repository}@")), image.image_id)


def runtime_event(document: Json) -> RuntimeEvent | None:
    """Reads an event; None for one that the kubelet does not care about."""
    actor = document.get("Actor") or {}
    labels = actor.get("Attributes") or {}
    kind = document.get("Action")
    if kind not in get_args(EventType) or names.POD_UID not in labels:
        return None
    code = labels.get("exitCode", "")
    name = labels.get(names.CONTAINER_NAME, "")
    return RuntimeEvent(
        type=cast(EventType, kind),
        pod_uid=labels[names.POD_UID],
        container_id=actor.get("ID", ""),
        container_name="" if labels.get(names.TYPE) == names.SANDBOX_TYPE else name,
        time=document.get("timeNano", 0) / 1e9,
        exit_code=int(code) if code.isdigit() else 0,
    )


def container_stats(document: Json, container_id: str, pod: PodRef, name: str, now: float) -> ContainerStats:
    memory = document.get("memory_stats") or {}
    details = memory.get("stats") or {}
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    usage = int(memory.get("usage", 0))
    return ContainerStats(
        container_id=container_id,
        pod=pod,
        name=name,
        time=now,
        cpu_nanoseconds=int(((document.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0)),
        memory_working_set_bytes=max(usage - inactive, 0),
        memory_usage_bytes=usage,
        pids=int((document.get("pids_stats") or {}).get("current") or 0),
    )


def runtime_info(version: Json, info: Json) -> RuntimeInfo:
    return RuntimeInfo(
        name="docker",
        version=str(version.get("Version", "")),
        api_version=str(version.get("ApiVersion", "")),
        kernel_version=str(info.get("KernelVersion", "")),
        os_image=str(info.get("OperatingSystem", "")),
        architecture=str(version.get("Arch", "amd64")),
        data_root=str(info.get("DockerRootDir", "")),
        cpus=int(info.get("NCPU", 0)),
        memory_bytes=int(info.get("MemTotal", 0)),
        handlers=tuple(sorted(info.get("Runtimes") or ())),
        user_namespaces=offers(info, "userns"),
        shares_cgroups=info.get("CgroupDriver") == "cgroupfs",
    )


def offers(info: Json, feature: str) -> bool:
    """Tells whether the engine enforces a feature, such as "selinux"; it lists them as "name=selinux,…"."""
    return any(option.partition(",")[0] == f"name={feature}" for option in info.get("SecurityOptions") or ())
