"""The Docker Engine as the kubelet's runtime. The only module that knows Docker's SDK.

The SDK blocks, so its calls run in one bounded thread pool; a cancelled call is waited out, because its thread goes on
and might act after whatever the caller does next. Calls that wait or stream are in `docker_calls`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests
from docker import errors as docker_errors
from prometheus_client import Histogram

from componentbase import logs, metrics
from kubelet.runtime.docker import names
from kubelet.runtime.docker.bodies import (
    Host,
    container_body,
    memory_volume_body,
    probe_body,
    sandbox_body,
    update_body,
)
from kubelet.runtime.docker.calls import StreamingCalls
from kubelet.runtime.docker.host import POSSIBLE_HOSTS, visible_host
from kubelet.runtime.docker.parsing import (
    CANNOT_START_EXIT_CODE,
    conflicting_container,
    container_status,
    image_info,
    is_engine_trouble,
    is_sandbox,
    listed_state,
    runtime_info,
    sandbox_status,
    shown_image_id,
    start_failure_reason,
)
from kubelet.runtime.docker.pause import DEFAULT_IMAGE, MACHINES, pause_archive
from kubelet.runtime.docker.streams import API_VERSION, EngineStreams
from kubelet.runtime.image_reference import short_name
from kubelet.runtime.interface import (
    ContainerConfig,
    ContainerStartError,
    ContainerStatus,
    EngineError,
    ImageInfo,
    ImagePullError,
    LogOptions,
    NotFound,
    PodRef,
    PodRuntimeStatus,
    RegistryAuth,
    Resources,
    RuntimeEvent,
    RuntimeInfo,
    RuntimeUnavailable,
    SandboxConfig,
    SandboxStatus,
)

THREADS = 8  # SDK calls at once; more wait their turn
CALL_SECONDS = 120  # no answer for so long means that the engine hangs
MAX_MESSAGE_BYTES = 4096  # of a termination message file
MAX_LOG_MESSAGE_BYTES, MAX_LOG_MESSAGE_LINES = 2048, 80  # of a message taken from the log

DURATION = Histogram(
    "kubelet_runtime_operations_duration_seconds",
    "Time of calls to the container runtime, waiting for a thread included.",
    ["operation_type"],
    buckets=metrics.LATENCY_BUCKETS,
)

R = TypeVar("R")

log = logs.logger(__name__)


class DockerRuntime(StreamingCalls):
    """Implements `interface.Runtime`. `endpoint` is "unix:///path"; `seccomp_root` holds Localhost profiles."""

    def __init__(
        self, endpoint: str, *, pause_image: str = DEFAULT_IMAGE, seccomp_root: str = "/var/lib/kubelet/seccomp"
    ) -> None:
        if not endpoint.startswith("unix://"):
            raise ValueError(f"container runtime endpoint {endpoint!r}: want unix:///path/to/docker.sock")
        self._socket_path = endpoint.removeprefix("unix://")
        super().__init__(EngineStreams(self._socket_path))
        self._client = docker.APIClient(
            base_url=endpoint, version=API_VERSION.removeprefix("v"), timeout=CALL_SECONDS, max_pool_size=THREADS
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")
        self._pause_image = pause_image
        self._seccomp_root = Path(seccomp_root)
        self._host: Host | None = None  # not yet learnt
        self._learning = asyncio.Lock()
        self._info: RuntimeInfo | None = None
        self._seen: dict[str, ContainerStatus] = {}  # by id, dropped by events and when no longer listed
        self._images: dict[str, ImageInfo] = {}  # by id, of listed containers

    async def _call(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """Runs an SDK call in the pool. Raises the interface's errors."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, functools.partial(_translated, function, *args, **kwargs))
        with DURATION.labels(function.__name__).time():
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                await asyncio.wait((future,))
                raise

    # --- the engine

    async def info(self) -> RuntimeInfo:
        if self._info is None:
            version, info = (
                await self._call(self._client.version, api_version=False),
                await self._call(self._client.info),
            )
            self._info = runtime_info(version, info)
        try:
            await self._streams.json("GET", "/version")
        except RuntimeUnavailable:
            self._info = None
            raise
        return self._info

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)
        self._client.close()

    # --- what exists

    async def pods(self) -> Mapping[str, PodRuntimeStatus]:
        items = await self._list({"label": [names.TYPE]})
        found = await self._statuses(items)
        listed = {item["Id"] for item in items}
        self._seen = {container_id: status for container_id, status in self._seen.items() if container_id in listed}
        used = {item["ImageID"] for item in items}
        self._images = {image_id: image for image_id, image in self._images.items() if image_id in used}
        return found

    async def pod(self, uid: str) -> PodRuntimeStatus | None:
        items = await self._list({"label": [f"{names.POD_UID}={uid}", names.TYPE]})
        return (await self._statuses(items)).get(uid)

    async def _list(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return await self._call(self._client.containers, all=True, filters=dict(filters))

    async def _statuses(self, items: Iterable[dict[str, Any]]) -> dict[str, PodRuntimeStatus]:
        sandboxes: dict[str, list[SandboxStatus]] = {}
        containers: dict[str, list[ContainerStatus]] = {}
        refs: dict[str, PodRef] = {}
        for item in items:
            ref = names.pod_of(item["Labels"])
            refs[ref.uid] = ref
            if is_sandbox(item):
                sandboxes.setdefault(ref.uid, []).append(sandbox_status(item))
            elif (status := await self._status(item)) is not None:
                containers.setdefault(ref.uid, []).append(status)
        return {
            uid: PodRuntimeStatus(
                ref,
                tuple(sorted(sandboxes.get(uid, ()), key=lambda s: (s.attempt, s.created_at), reverse=True)),
                tuple(sorted(containers.get(uid, ()), key=lambda c: (c.attempt, c.created_at), reverse=True)),
            )
            for uid, ref in refs.items()
        }

    async def _status(self, item: dict[str, Any]) -> ContainerStatus | None:
        """Inspected once per state: a container that runs or is over does not change. None when it is just gone."""
        known = self._seen.get(item["Id"])
        if known is not None and known.state == listed_state(item) and known.state != "created":
            return known
        try:
            details = await self._call(self._client.inspect_container, item["Id"])
        except NotFound:
            return None
        image_id = await self._shown_image_id(item)
        status = container_status(item, details, image_id, await self._termination_message(item, details))
        self._seen[status.id] = status
        return status

    async def _shown_image_id(self, item: Mapping[str, Any]) -> str:
        image_id: str = item["ImageID"]
        image = self._images.get(image_id) or await self.image_status(image_id)
        if image is None:
            return image_id
        self._images[image_id] = image
        return shown_image_id(image, item["Labels"].get(names.IMAGE) or image_id)

    async def _termination_message(self, item: Mapping[str, Any], details: Mapping[str, Any]) -> str:
        """What the container left in its message file, or at the end of its log when it failed and is asked to."""
        labels, state = item["Labels"], details["State"]
        if state["Running"] or state["Status"] == "created":
            return ""
        path = labels.get(names.MESSAGE_HOST_PATH)
        message = await asyncio.to_thread(_read_message, path) if path else ""
        wants_log = labels.get(names.MESSAGE_POLICY) == "FallbackToLogsOnError"
        if message or not wants_log or (state["ExitCode"] == 0 and not state.get("OOMKilled")):
            return message
        tail = b""
        with contextlib.suppress(EngineError):
            async for data in self.logs(item["Id"], LogOptions(tail_lines=MAX_LOG_MESSAGE_LINES)):
                tail = (tail + data)[-MAX_LOG_MESSAGE_BYTES:]
        return tail.decode(errors="replace")

    def _on_event(self, event: RuntimeEvent) -> None:
        self._seen.pop(event.container_id, None)

    # --- sandboxes

    async def create_sandbox(self, config: SandboxConfig) -> SandboxStatus:
        name = names.sandbox_name(config.pod, config.attempt)
        body = sandbox_body(config, self._pause_image, await self._learnt_host())
        try:
            sandbox_id = await self._create(name, body)
        except NotFound:
            await self._load_pause_image()
            sandbox_id = await self._create(name, body)
        try:
            await self.start_container(sandbox_id)
        except ContainerStartError as error:
            await self.remove_sandbox(sandbox_id)
            raise EngineError(f"failed to start sandbox: {error}") from None
        items = await self._list({"id": [sandbox_id]})
        if not items or not sandbox_status(items[0]).ready:
            raise EngineError("the sandbox ended right after its start")
        return sandbox_status(items[0])

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self.stop_container(sandbox_id, 0)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.remove_container(sandbox_id)

    async def prepare(self) -> None:
        if await self.image_status(self._pause_image) is None:
            await self._load_pause_image()
        await self._learnt_host()

    async def _load_pause_image(self) -> None:
        architecture = MACHINES.get(os.uname().machine, "")
        if not architecture:
            raise NotFound(f"no pause image {self._pause_image}, and none can be made for {os.uname().machine}")
        await self.load_image(pause_archive(architecture, self._pause_image))
        log.info("loaded the pause image", image=self._pause_image)

    async def _learnt_host(self) -> Host:
        async with self._learning:
            if self._host is None:
                self._host = await asyncio.to_thread(visible_host, self._socket_path) or await self._tried_host()
                log.info("learnt what the host grants", host=str(self._host))
            return self._host

    async def _tried_host(self) -> Host:
        """Asks a throwaway container for the most a pod may need, and for less until the machine grants it.

        A refusal comes without its reason ("can't get final child's PID from pipe"), so it can only be tried.
        """
        for host in POSSIBLE_HOSTS:
            if await self._grants(host):
                return host
        raise EngineError("the container runtime cannot start a container")

    async def _grants(self, host: Host) -> bool:
        try:
            created = await self._call(self._client.create_container_from_config, probe_body(self._pause_image, host))
        except NotFound:
            await self._load_pause_image()
            created = await self._call(self._client.create_container_from_config, probe_body(self._pause_image, host))
        try:
            await self._call(self._client.start, created["Id"])
        except (RuntimeUnavailable, NotFound):
            raise
        except EngineError:
            return False
        finally:
            await self.remove_container(created["Id"])
        return True

    # --- containers

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        if config.termination_message_host_path:
            await asyncio.to_thread(_create_message_file, config.termination_message_host_path)
        security = config.security
        image_user = seccomp = ""
        if security.run_as_group is not None and security.run_as_user is None:
            image = await self.image_status(config.image_ref)
            image_user = image.user if image else ""
        if security.seccomp.startswith("Localhost/"):
            path = self._seccomp_root / security.seccomp.removeprefix("Localhost/")
            try:
                seccomp = await asyncio.to_thread(path.read_text)
            except OSError as error:
                raise EngineError(f"cannot load seccomp profile: {error}") from None
        host = await self._learnt_host()
        body = container_body(sandbox_id, config, host, image_user=image_user, seccomp_profile=seccomp)
        return await self._create(names.container_name(config.pod, config.name, config.attempt), body)

    async def _create(self, name: str, body: Mapping[str, Any]) -> str:
        """The id of the container called `name`; one that exists already is taken, unless it cannot be used."""
        try:
            created = await self._call(self._client.create_container_from_config, dict(body), name)
        except Conflict as conflict:
            holder = conflicting_container(str(conflict)) or name
            items = await self._list({"id": [holder]})
            if items and self._is_usable(items[0], body):
                return str(items[0]["Id"])
            log.info("removing a container that holds a needed name", container=holder, name=name)
            await self.remove_container(holder)
            created = await self._call(self._client.create_container_from_config, dict(body), name)
        return str(created["Id"])

    @staticmethod
    def _is_usable(item: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
        """A container is; a sandbox only while it can still hold namespaces."""
        if item["Labels"].get(names.TYPE) != body["Labels"][names.TYPE] or item["State"] in ("dead", "removing"):
            return False
        return not is_sandbox(item) or listed_state(item) != "exited"

    async def start_container(self, container_id: str) -> None:
        try:
            await self._call(self._client.start, container_id)
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            # 404 may also mean that the command does not exist; only the container itself can tell.
            details = await self._call(self._client.inspect_container, container_id)
            code, message = int(details["State"]["ExitCode"]), details["State"]["Error"] or str(error)
            if is_engine_trouble(message):
                raise RuntimeUnavailable(message) from None
            raise ContainerStartError(
                message,
                reason=start_failure_reason(code),
                exit_code=CANNOT_START_EXIT_CODE,
            ) from None

    async def update_container(self, container_id: str, resources: Resources) -> None:
        await self._streams.json("POST", f"/containers/{container_id}/update", body=update_body(resources))

    async def remove_container(self, container_id: str) -> None:
        """Removal that another caller has begun counts as done."""
        try:
            await self._call(self._client.remove_container, container_id, v=True, force=True)
        except NotFound:
            pass
        except Conflict as error:
            if "is already in progress" not in str(error):
                raise

    # --- images

    async def images(self) -> Sequence[ImageInfo]:
        return [image_info(item) for item in await self._call(self._client.images)]

    async def image_status(self, reference: str) -> ImageInfo | None:
        try:
            return image_info(await self._call(self._client.inspect_image, short_name(reference)))
        except NotFound:
            return None

    async def pull_image(self, reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        await self._pull(reference, auth)
        image = await self.image_status(reference)
        if image is None:
            raise ImagePullError(f'image "{reference}" is gone right after it was pulled')
        return image

    async def remove_image(self, image_id: str) -> None:
        """Tag by tag: an image with several tags cannot be removed by its id alone, and force would not spare users."""
        image = await self.image_status(image_id)
        if image is None:
            return
        for name in image.tags or image.digests or (image.id,):
            with contextlib.suppress(NotFound):
                await self._call(self._client.remove_image, short_name(name))

    async def load_image(self, archive: bytes) -> None:
        await self._call(_load, self._client, archive)

    # --- memory volumes

    async def create_memory_volume(self, name: str, size_bytes: int, pod: PodRef, mode: int = 0o777) -> None:
        body = memory_volume_body(name, size_bytes, mode, {names.POD_UID: pod.uid})
        await self._call(self._client.create_volume, **body)

    async def memory_volumes(self) -> Mapping[str, str]:
        answer = await self._call(self._client.volumes, filters={"label": names.POD_UID})
        return {volume["Name"]: volume["Labels"][names.POD_UID] for volume in answer["Volumes"] or ()}

    async def remove_memory_volume(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            await self._call(self._client.remove_volume, name)


class Conflict(EngineError):
    """The engine's 409: the name is taken, or the thing is in use."""


def _translated(function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    """Calls the SDK and raises the interface's errors for its own."""
    try:
        return function(*args, **kwargs)
    except docker_errors.APIError as error:
        message = str(error.explanation or error)
        status = error.status_code
        raise (NotFound if status == 404 else Conflict if status == 409 else EngineError)(message) from None
    except (requests.exceptions.RequestException, docker_errors.DockerException) as error:
        raise RuntimeUnavailable(f"cannot connect to the container runtime: {error}") from None


def _load(client: docker.APIClient, archive: bytes) -> None:
    """The engine reports a bad archive inside its answer."""
    for line in client.load_image(archive) or ():  # type: ignore[no-untyped-call]
        if "error" in line:
            raise EngineError(str(line["error"]))


def _read_message(path: str) -> str:
    """The container's termination message; a file that is gone or was never written is an empty one."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_MESSAGE_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _create_message_file(path: str) -> None:
    """Empty, and writable for whatever user the container runs as."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    file.chmod(0o666)
