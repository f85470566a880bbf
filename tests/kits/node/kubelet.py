"""Builders for tests of the kubelet: pods as users write them, and statuses as a runtime gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from apimachinery.model import from_dict
from componentbase.clock import Clock
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.pod.model import Pod
from kubeapi.core.secret.model import Secret
from kubelet.container.images.manager import ImageManager
from kubelet.container.images.options import ImageOptions
from kubelet.container.images.pull_limits import PullLimits
from kubelet.container.images.pull_records import PullRecords
from kubelet.container.spec import spec_hash
from kubelet.runtime.configs import ContainerKind, PodRef
from kubelet.runtime.interface import ContainerState, ContainerStatus, PodRuntimeStatus, Runtime, SandboxStatus

NOW = 1_700_000_000.0
REF = PodRef("uid-1", "default", "web")


def make_pod(spec: dict[str, Any] | None = None, **metadata: Any) -> Pod:
    """One container "app" of image "app:1" unless `spec` says so. The first mounts all volumes that none does."""
    spec = {"containers": [{"name": "app", "image": "app:1"}]} | (spec or {})
    used = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", ())}
    unused = [volume["name"] for volume in spec.get("volumes") or () if volume["name"] not in used]
    if unused:
        first, *others = spec["containers"]
        mounts = [*first.get("volumeMounts", ()), *({"name": name, "mountPath": f"/{name}"} for name in unused)]
        spec = spec | {"containers": [first | {"volumeMounts": mounts}, *others]}
    metadata = {"name": "web", "namespace": "default", "uid": "uid-1"} | metadata
    return from_dict(Pod, {"metadata": metadata, "spec": spec})


def container(
    name: str = "app",
    state: ContainerState = "running",
    *,
    attempt: int = 0,
    exit_code: int = 0,
    kind: ContainerKind = "regular",
    sandbox: str = "sb-0",
    finished_at: float = NOW,
    image: str = "app:1",
    **more: Any,
) -> ContainerStatus:
    from kubeapi.core.pod.spec import Container

    ended = state == "exited"
    status = ContainerStatus(
        id=f"{name}-{attempt}",
        pod=REF,
        name=name,
        kind=kind,
        attempt=attempt,
        state=state,
        image=image,
        image_id="sha256:0123",
        spec_hash=spec_hash(Container(name=name, image=image)),
        sandbox_id=sandbox,
        created_at=NOW - 100 + attempt,
        started_at=0.0 if state == "created" else NOW - 90 + attempt,
        finished_at=finished_at if ended else 0.0,
        exit_code=exit_code if ended else 0,
        reason=("Completed" if exit_code == 0 else "Error") if ended else "",
    )
    return replace(status, **more)


def runtime_status(
    *containers: ContainerStatus, ready: bool = True, attempt: int = 0, sandboxes: Sequence[SandboxStatus] | None = None
) -> PodRuntimeStatus:
    if sandboxes is None:
        sandboxes = [sandbox(attempt, ready=ready)]
    ordered = sorted(containers, key=lambda item: item.attempt, reverse=True)
    return PodRuntimeStatus(REF, tuple(sandboxes), tuple(ordered))


def sandbox(attempt: int = 0, *, ready: bool = True) -> SandboxStatus:
    ips = ("10.244.1.5",) if ready else ()
    return SandboxStatus(f"sb-{attempt}", REF, attempt, ready, ips, NOW - 100)


def image_manager(
    runtime: Runtime, events: Any, clock: Clock, root: Path, options: ImageOptions | None = None
) -> ImageManager:
    """An image manager whose records are below `root`; without options, one that pulls as often as it likes."""
    options = options or ImageOptions(registry_qps=0)
    limits, records = PullLimits(options, clock), PullRecords(str(root), options, clock)
    return ImageManager(runtime, events, clock, limits, records)


class Objects:
    """ConfigMaps and Secrets by name, in namespace "default"."""

    def __init__(self, config_maps: dict[str, Any] | None = None, secrets: dict[str, Any] | None = None) -> None:
        self.config_maps = {name: from_dict(ConfigMap, value) for name, value in (config_maps or {}).items()}
        self.secrets = {name: from_dict(Secret, value) for name, value in (secrets or {}).items()}

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        return self.config_maps.get(name) if namespace == "default" else None

    def secret(self, namespace: str, name: str) -> Secret | None:
        return self.secrets.get(name) if namespace == "default" else None


class Events:
    """Remembers the reasons of events."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def event(self, obj: Any, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        self.reasons.append(reason)
