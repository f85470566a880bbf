"""The Docker Engine as the kubelet's runtime: pods, sandboxes, containers and memory volumes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from componentbase import logs
from componentbase.tasks import Locks
from kubelet.runtime.configs import ContainerConfig, PodRef, Resources, SandboxConfig, Security
from kubelet.runtime.docker import names, netns
from kubelet.runtime.docker.accounts import Accounts
from kubelet.runtime.docker.bodies import (
    Host,
    container_body,
    memory_volume_body,
    probe_body,
    sandbox_body,
    update_arguments,
)
from kubelet.runtime.docker.client import EngineClient, EngineConflict
from kubelet.runtime.docker.host import POSSIBLE_HOSTS, shares_mounts, visible_host
from kubelet.runtime.docker.images import Images
from kubelet.runtime.docker.parsing import (
    CANNOT_START_EXIT_CODE,
    conflicting_container,
    container_stats,
    container_status,
    is_engine_trouble,
    is_sandbox,
    listed_state,
    offers,
    runtime_event,
    runtime_info,
    sandbox_status,
    shown_image_id,
    start_failure_reason,
)
from kubelet.runtime.docker.pause import DEFAULT_IMAGE, MACHINES, pause_archive
from kubelet.runtime.docker.sessions import Sessions
from kubelet.runtime.docker.users import linux_user
from kubelet.runtime.interface import (
    ContainerStartError,
    ContainerStats,
    ContainerStatus,
    EngineError,
    EngineNotFound,
    EventType,
    ImageInfo,
    LogOptions,
    PodRuntimeStatus,
    RuntimeEvent,
    RuntimeInfo,
    RuntimeUnavailable,
    SandboxStatus,
)
from kubelet.runtime.network import NetworkRequest, SandboxNetwork

EVENT_TYPES: tuple[EventType, ...] = ("start", "die", "oom", "destroy")
KILL_WAIT_SECONDS = 30.0  # for a container to be gone after SIGKILL
PARALLEL_STATS = 4  # requests; the rest wait
MAX_MESSAGE_BYTES = 4096  # of a termination message file
MAX_LOG_MESSAGE_BYTES, MAX_LOG_MESSAGE_LINES = 2048, 80  # of a message taken from the log

T = TypeVar("T")

log = logs.logger(__name__)


class DockerRuntime(Images, Sessions):
    """Implements `interface.Runtime`. `endpoint` is "unix:///path"; `seccomp_root` holds Localhost profiles."""

    def __init__(
        self,
        endpoint: str,
        network: SandboxNetwork,
        *,
        pause_image: str = DEFAULT_IMAGE,
        seccomp_root: str = "/var/lib/kubelet/seccomp",
    ) -> None:
        client = EngineClient(endpoint)
        Images.__init__(self, client)
        Sessions.__init__(self, client)
        self._sdk = self._client.sdk
        self._network = network
        self._accounts = Accounts(client)
        self._stats_slots = asyncio.Semaphore(PARALLEL_STATS)
        self._pause_image = pause_image
        self._seccomp_root = Path(seccomp_root)
        self._host: Host | None = None  # not yet learnt
        self._learning = asyncio.Lock()
        self._creations = Locks[str]()  # by container name
        self._info: RuntimeInfo | None = None
        self._inspected: dict[str, ContainerStatus] = {}  # by id, dropped by events and when no longer listed
        self._images: dict[str, ImageInfo] = {}  # by id, of listed containers
        self._ended: set[str] = set()
        """Ids of what certainly has ended: an engine whose disk is full goes on listing it as running."""

    # --- the engine

    async def info(self) -> RuntimeInfo:
        if self._info is None:
            version = await self._client.call(self._sdk.version, api_version=False)
            info = runtime_info(version, await self._client.call(self._sdk.info))
            sees_mounts = await asyncio.to_thread(shares_mounts, self._client.socket_path)
            self._info = replace(info, sees_mounts=sees_mounts, shares_cgroups=info.shares_cgroups and sees_mounts)
        try:
            await self._client.call(self._sdk.ping)
        except RuntimeUnavailable:
            self._info = None
            raise
        return self._info

    async def close(self) -> None:
        self._folders.close()
        await self._client.close()

    # --- what exists

    async def pods(self) -> Mapping[str, PodRuntimeStatus]:
        items = await self._list({"label": [names.TYPE]})
        pods = await self._statuses(items)
        listed = {item["Id"] for item in items}
        self._inspected = {
            container_id: status for container_id, status in self._inspected.items() if container_id in listed
        }
        self._ended &= listed
        used = {item["ImageID"] for item in items}
        self._images = {image_id: image for image_id, image in self._images.items() if image_id in used}
        return pods

    async def pod(self, uid: str) -> PodRuntimeStatus | None:
        items = await self._list({"label": [f"{names.POD_UID}={uid}", names.TYPE]})
        return (await self._statuses(items)).get(uid)

    async def _list(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = await self._client.call(self._sdk.containers, all=True, filters=dict(filters))
        for item in items:
            if item["Id"] in self._ended and listed_state(item) == "running":
                item["State"] = "exited"
        return items

    async def _statuses(self, items: Iterable[dict[str, Any]]) -> dict[str, PodRuntimeStatus]:
        sandboxes: dict[str, list[SandboxStatus]] = {}
        containers: dict[str, list[ContainerStatus]] = {}
        refs: dict[str, PodRef] = {}
        for item in items:
            ref = names.pod_of(item["Labels"])
            refs[ref.uid] = ref
            if is_sandbox(item):
                sandboxes.setdefault(ref.uid, []).append(sandbox_status(item, self._network.addresses))
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
        """Inspects once per state, as a container that runs or is over does not change. None when it is just gone."""
        cached = self._inspected.get(item["Id"])
        if cached is not None and cached.state == listed_state(item) and cached.state != "created":
            return cached
        try:
            details = await self._client.call(self._sdk.inspect_container, item["Id"])
        except EngineNotFound:
            return None
        image_id = await self._shown_image_id(item)
        status = container_status(item, details, image_id, await self._termination_message(item, details))
        self._inspected[status.id] = status
        return status

    async def _shown_image_id(self, item: Mapping[str, Any]) -> str:
        image_id: str = item["ImageID"]
        image = self._images.get(image_id) or await self.image_status(image_id)
        if image is None:
            return image_id
        self._images[image_id] = image
        return shown_image_id(image, item["Labels"].get(names.IMAGE) or image_id)

    async def _termination_message(self, item: Mapping[str, Any], details: Mapping[str, Any]) -> str:
        """Reads the message file of a container that is over, or the end of its log if it failed and wants that."""
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

    # --- events, stats

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        filters = {"type": ["container"], "event": list(EVENT_TYPES), "label": [names.TYPE]}
        return self._read_events(
            await self._client.documents("GET", "/events", params={"filters": json.dumps(filters)})
        )

    async def _read_events(self, documents: AsyncIterator[Any]) -> AsyncIterator[RuntimeEvent]:
        async for document in documents:
            event = runtime_event(document)
            if event is not None:
                self._inspected.pop(event.container_id, None)
                if event.type == "die":
                    self._ended.add(event.container_id)
                elif event.type == "start":
                    self._ended.discard(event.container_id)
                yield event
        raise RuntimeUnavailable("the container runtime ended the event stream")

    async def stats(self, container_ids: Collection[str]) -> Sequence[ContainerStats]:
        answers = await asyncio.gather(*(self._one_stats(container_id) for container_id in container_ids))
        return [stats for stats in answers if stats is not None]

    async def _one_stats(self, container_id: str) -> ContainerStats | None:
        async with self._stats_slots:
            try:
                document = await self._client.call(self._sdk.stats, container_id, stream=False, one_shot=True)
                details = await self._client.call(self._sdk.inspect_container, container_id)
            except EngineNotFound:
                return None
        if not details["State"]["Running"]:
            return None
        labels = details["Config"]["Labels"]
        name = "" if labels.get(names.TYPE) == names.SANDBOX_TYPE else labels.get(names.CONTAINER_NAME, "")
        return container_stats(document, container_id, names.pod_of(labels), name, time.time())

    # --- sandboxes

    async def create_sandbox(self, config: SandboxConfig) -> SandboxStatus:
        name = names.sandbox_name(config.pod, config.attempt)
        host = await self._learnt_host()
        if not config.host_users and not host.user_namespaces:
            handler = config.runtime_handler
            raise EngineError(f'RuntimeClass handler "{handler}" does not support user namespaces')
        body = sandbox_body(config, self._pause_image, host)
        sandbox_id = await self._with_pause_image(lambda: self._create(name, body))
        try:
            await self.start_container(sandbox_id)
        except ContainerStartError as error:
            await self.remove_sandbox(sandbox_id)
            raise EngineError(f"failed to start sandbox: {error}") from None
        if not config.host_network:
            await self._attach(sandbox_id, config)
        items = await self._list({"id": [sandbox_id]})
        status = sandbox_status(items[0], self._network.addresses) if items else None
        if status is None or not status.ready:
            raise EngineError("the sandbox ended right after its start")
        return status

    async def _attach(self, sandbox_id: str, config: SandboxConfig) -> None:
        """Gives a sandbox its network, or removes it. Raises: EngineError."""
        state = (await self._client.call(self._sdk.inspect_container, sandbox_id))["State"]
        pid = await asyncio.to_thread(netns.own_pid, sandbox_id, int(state["Pid"]))
        if not pid and state["Pid"]:
            raise EngineError("the sandbox's process is out of sight: the kubelet has to see those of its engine")
        request = NetworkRequest(sandbox_id, config.pod, f"/proc/{pid}/ns/net", config.ports, config.bandwidth)
        try:
            await self._network.attach(request)
        except EngineError:
            await self.remove_sandbox(sandbox_id)
            raise

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self._network.detach(sandbox_id)
        await self.stop_container(sandbox_id, 0)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self._network.detach(sandbox_id)
        await self.remove_container(sandbox_id)

    def network_problem(self) -> str:
        return self._network.problem()

    def set_pod_ranges(self, cidrs: Sequence[str]) -> bool:
        return self._network.set_ranges(cidrs)

    async def follow_network(self) -> None:
        await self._network.follow()

    async def sweep_network(self) -> None:
        attached = self._network.attached()  # before the list: what is attached after that is not missing in it
        listed = {item["Id"] for item in await self._list({"label": [names.TYPE]}) if listed_state(item) == "running"}
        for sandbox_id in attached - listed:
            try:
                await self._network.detach(sandbox_id)
            except EngineError as error:
                log.warning("the network of a sandbox that is gone is not given back, will retry", error=str(error))

    async def prepare(self) -> None:
        await self._client.negotiate()
        await self._accounts.clean_up()
        if await self.image_status(self._pause_image) is None:
            await self._load_pause_image()
        await self._learnt_host()
        await self.sweep_network()
        await self._network.check(self._network.attached())

    async def _with_pause_image(self, create: Callable[[], Awaitable[T]]) -> T:
        """Does `create`, once more with the pause image where the engine has lost it."""
        try:
            return await create()
        except EngineNotFound:
            await self._load_pause_image()
            return await create()

    async def _load_pause_image(self) -> None:
        architecture = MACHINES.get(os.uname().machine, "")
        if not architecture:
            raise EngineNotFound(f"no pause image {self._pause_image}, and none can be made for {os.uname().machine}")
        await self.load_image(pause_archive(architecture, self._pause_image))
        log.info("loaded the pause image", image=self._pause_image)

    async def _learnt_host(self) -> Host:
        async with self._learning:
            if self._host is None:
                host = await asyncio.to_thread(visible_host, self._client.socket_path) or await self._tried_host()
                info = await self._client.call(self._sdk.info)
                self._host = replace(host, selinux=offers(info, "selinux"), user_namespaces=offers(info, "userns"))
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
        body = probe_body(self._pause_image, host)
        created = await self._with_pause_image(lambda: self._client.call(self._sdk.create_container_from_config, body))
        try:
            await self._client.call(self._sdk.start, created["Id"])
        except (RuntimeUnavailable, EngineNotFound):
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
        user = linux_user(config.security, await self._accounts.of(config.image_ref))
        seccomp = await self._seccomp_profile(config.security)
        body = container_body(sandbox_id, config, await self._learnt_host(), user, seccomp_profile=seccomp)
        return await self._create(names.container_name(config.pod, config.name, config.attempt), body)

    async def _seccomp_profile(self, security: Security) -> str:
        """Reads the text of a Localhost profile; "" for others."""
        if not security.seccomp.startswith("Localhost/"):
            return ""
        path = self._seccomp_root / security.seccomp.removeprefix("Localhost/")
        try:
            return await asyncio.to_thread(path.read_text)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise EngineError(f'cannot load seccomp profile "{path}": open {path}: {why}') from None

    async def unmet(self, security: Security) -> Sequence[str]:
        return (await self._learnt_host()).unmet(security)

    async def _create(self, name: str, body: Mapping[str, Any]) -> str:
        """Creates the container called `name`, or takes the existing one if it can be used; returns its id.

        One creation of a name at a time: the engine reserves a name before it lists the container, so a second request
        at that moment is refused in favour of a holder that cannot be found.
        """
        async with self._creations.of(name):
            try:
                created = await self._client.call(self._sdk.create_container_from_config, dict(body), name)
            except EngineConflict as conflict:
                holder = conflicting_container(str(conflict)) or name
                items = await self._list({"id": [holder]})
                if items and self._is_usable(items[0], body):
                    return str(items[0]["Id"])
                log.info("removing a container that holds a needed name", container=holder, name=name)
                await self.remove_container(holder)
                created = await self._client.call(self._sdk.create_container_from_config, dict(body), name)
        return str(created["Id"])

    @staticmethod
    def _is_usable(item: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
        """Tells whether an existing container can be taken; a sandbox only while it can still hold namespaces."""
        if item["Labels"].get(names.TYPE) != body["Labels"][names.TYPE] or item["State"] in ("dead", "removing"):
            return False
        return not is_sandbox(item) or listed_state(item) != "exited"

    async def start_container(self, container_id: str) -> None:
        self._ended.discard(container_id)
        try:
            await self._client.call(self._sdk.start, container_id)
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            # 404 may also mean that the command does not exist; only the container itself can tell.
            details = await self._client.call(self._sdk.inspect_container, container_id)
            code, message = int(details["State"]["ExitCode"]), details["State"]["Error"] or str(error)
            if is_engine_trouble(message):
                raise RuntimeUnavailable(message) from None
            reason = start_failure_reason(code)
            raise ContainerStartError(message, reason=reason, exit_code=CANNOT_START_EXIT_CODE) from None

    async def update_container(self, container_id: str, resources: Resources) -> None:
        await self._client.call(self._sdk.update_container, container_id, **update_arguments(resources))

    async def kill_container(self, container_id: str, signal: str = "SIGKILL") -> None:
        try:
            await self._client.call(self._sdk.kill, container_id, signal)
        except (EngineNotFound, RuntimeUnavailable):
            raise
        except EngineError as error:
            if "is not running" not in str(error):
                raise

    async def stop_container(self, container_id: str, grace_seconds: float, signal: str = "") -> None:
        try:
            if grace_seconds > 0:
                await self.kill_container(container_id, signal or await self._stop_signal(container_id))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(grace_seconds):
                        await self.wait_container(container_id)
                    self._ended.add(container_id)
                    return
            await self.kill_container(container_id)
            async with asyncio.timeout(KILL_WAIT_SECONDS):
                await self.wait_container(container_id)
            self._ended.add(container_id)
        except EngineNotFound:
            return
        except TimeoutError:
            raise EngineError(f"container {container_id} is still running after SIGKILL") from None

    async def _stop_signal(self, container_id: str) -> str:
        details = await self._client.call(self._sdk.inspect_container, container_id)
        return str(details["Config"].get("StopSignal") or "SIGTERM")

    async def remove_container(self, container_id: str) -> None:
        """Removal that another caller has begun counts as done."""
        try:
            await self._client.call(self._sdk.remove_container, container_id, v=True, force=True)
        except EngineNotFound:
            pass
        except EngineConflict as error:
            if "is already in progress" not in str(error):
                raise

    # --- memory volumes

    async def create_memory_volume(
        self, name: str, size_bytes: int, pod: PodRef, mode: int = 0o777, page_bytes: int = 0
    ) -> None:
        body = memory_volume_body(name, size_bytes, mode, page_bytes, {names.POD_UID: pod.uid})
        await self._client.call(self._sdk.create_volume, **body)

    async def memory_volumes(self) -> Mapping[str, str]:
        answer = await self._client.call(self._sdk.volumes, filters={"label": names.POD_UID})
        return {volume["Name"]: volume["Labels"][names.POD_UID] for volume in answer["Volumes"] or ()}

    async def remove_memory_volume(self, name: str) -> None:
        with contextlib.suppress(EngineNotFound):
            await self._client.call(self._sdk.remove_volume, name)


def _read_message(path: str) -> str:
    """Reads the container's termination message; a file that is gone or was never written counts as empty."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_MESSAGE_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _create_message_file(path: str) -> None:
    """Makes the file empty and writable for every user, as the container may run as any."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    file.chmod(0o666)
