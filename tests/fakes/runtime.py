"""A container runtime in memory: deterministic, scriptable, and held to the same contract suite as Docker."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kubelet.runtime.configs import ContainerConfig, PodRef, Resources, SandboxConfig, Security
from kubelet.runtime.interface import (
    OUTPUT_LIMIT,
    ContainerStartError,
    ContainerStats,
    ContainerStatus,
    EngineError,
    EngineNotFound,
    EventType,
    ImageInfo,
    ImagePullError,
    LogOptions,
    PodRuntimeStatus,
    RegistryAuth,
    Runtime,
    RuntimeEvent,
    RuntimeInfo,
    RuntimeUnavailable,
    SandboxStatus,
    StreamName,
)
from tests.fakes.programs import FakeSession, Script, script_of


@dataclass
class FakeContainer:
    """A container and what its process would do."""

    status: ContainerStatus
    config: ContainerConfig
    lines: list[tuple[float, StreamName, bytes]] = field(default_factory=list)
    ignores_sigterm: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class FakeRuntime:
    """Implements `kubelet.runtime.interface.Runtime`.

    Script it: `add_image`, `pullable`, `fail_next`, `programs` (by container name), `exit`, `oom`, `break_events`,
    `exec_results` (by command line). `calls` lists every changing call as "verb argument".
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.now = now
        self._sleep = sleep
        self.calls: list[str] = []
        self.pod_ranges: tuple[str, ...] = ("10.244.0.0/24",)
        self.programs: dict[str, Script] = {}
        self.exec_results: dict[tuple[str, ...], tuple[int, bytes, bytes]] = {}
        self.exec_hangs: set[tuple[str, ...]] = set()
        self.pullable: dict[str, ImageInfo] = {}
        self.pull_auth: dict[str, RegistryAuth | None] = {}  # what the registry asks for, by image
        self.archives: dict[str, bytes] = {}  # of images, by id
        self.pull_errors: dict[str, str] = {}
        self.pulled_with: list[tuple[str, RegistryAuth | None]] = []
        self.sizes: list[tuple[int, int]] = []
        self.unmet_texts: list[tuple[str, Callable[[Security], object]]] = []
        self.used_memory = 4096  # bytes, by each container
        self.available = True
        self.mounts_are_seen = False
        self.containers: dict[str, FakeContainer] = {}
        self.sandboxes: dict[str, tuple[SandboxStatus, SandboxConfig]] = {}
        self._images: dict[str, ImageInfo] = {}
        self._volumes: dict[str, str] = {}
        self._failures: dict[str, list[Exception]] = {}
        self._subscribers: list[asyncio.Queue[RuntimeEvent | None]] = []
        self._ids = itertools.count(1)

    # --- scripting

    def add_image(self, *names: str, user: str = "", size_bytes: int = 1000) -> ImageInfo:
        """Makes an image present, under normalised names such as "docker.io/library/app:1"."""
        image = ImageInfo(f"sha256:{next(self._ids):064x}", names, (), size_bytes, self.now(), user)
        self._images[image.id] = image
        return image

    def fail_next(self, method: str, error: Exception, times: int = 1) -> None:
        """The next calls of `method` raise `error`."""
        self._failures.setdefault(method, []).extend([error] * times)

    def find(self, pod_uid: str, name: str) -> FakeContainer:
        """The newest attempt of a container."""
        found = [c for c in self.containers.values() if c.status.pod.uid == pod_uid and c.status.name == name]
        return max(found, key=lambda c: c.status.attempt)

    def exit(self, container_id: str, code: int = 0, *, reason: str = "", signal: int = 0, message: str = "") -> None:
        """The container's process ends by itself."""
        container = self.containers[container_id]
        reason = reason or ("Completed" if code == 0 else "Error")
        container.status = replace(
            container.status,
            state="exited",
            exit_code=code,
            reason=reason,
            signal=signal,
            finished_at=self.now(),
            message=message or self._fallback_message(container, code),
        )
        container.notify()
        self._publish("die", container.status.pod.uid, container_id, container.status.name, code)

    def oom(self, container_id: str) -> None:
        """The kernel kills the container's process for want of memory."""
        container = self.containers[container_id]
        self._publish("oom", container.status.pod.uid, container_id, container.status.name)
        self.exit(container_id, 137, reason="OOMKilled")

    def kill_sandbox(self, pod_uid: str) -> None:
        """The pause process dies behind the kubelet's back."""
        for sandbox_id, (status, config) in self.sandboxes.items():
            if status.pod.uid == pod_uid and status.ready:
                self.sandboxes[sandbox_id] = (replace(status, ready=False, ips=()), config)
                self._publish("die", pod_uid, sandbox_id, "", 137)

    def break_events(self) -> None:
        """All event streams end with RuntimeUnavailable."""
        for queue in self._subscribers:
            queue.put_nowait(None)

    # --- Runtime

    async def info(self) -> RuntimeInfo:
        self._check("info")
        return RuntimeInfo("docker", "0.0.1", cpus=4, memory_bytes=8 << 30, sees_mounts=self.mounts_are_seen)

    async def prepare(self) -> None:
        self._check("prepare")

    async def pods(self) -> Mapping[str, PodRuntimeStatus]:
        self._check("pods")
        refs = [s.pod for s, _ in self.sandboxes.values()] + [c.status.pod for c in self.containers.values()]
        return {ref.uid: self._pod_status(ref) for ref in refs}

    async def pod(self, uid: str) -> PodRuntimeStatus | None:
        return (await self.pods()).get(uid)

    def _pod_status(self, ref: PodRef) -> PodRuntimeStatus:
        sandboxes = [status for status, _ in self.sandboxes.values() if status.pod.uid == ref.uid]
        containers = [c.status for c in self.containers.values() if c.status.pod.uid == ref.uid]
        return PodRuntimeStatus(
            ref,
            tuple(sorted(sandboxes, key=lambda s: (s.created_at, s.attempt), reverse=True)),
            tuple(sorted(containers, key=lambda c: (c.created_at, c.attempt), reverse=True)),
        )

    def network_problem(self) -> str:
        return "" if self.pod_ranges else "the Node has no podCIDR yet"

    def set_pod_ranges(self, cidrs: Sequence[str]) -> bool:
        changed, self.pod_ranges = self.pod_ranges != tuple(cidrs), tuple(cidrs)
        return changed

    async def follow_network(self) -> None:
        await asyncio.Event().wait()

    async def sweep_network(self) -> None:
        self._check("sweep_network")

    async def create_sandbox(self, config: SandboxConfig) -> SandboxStatus:
        try:
            self._check("create_sandbox", f"{config.pod.name}/{config.attempt}")
        except EngineError:  # Docker tells of the end of what it could not start
            self._publish("die", config.pod.uid, "none", "", 128)
            raise
        for sandbox_id, (status, known) in self.sandboxes.items():
            if (known.pod.uid, known.attempt) == (config.pod.uid, config.attempt):
                ready = replace(status, ready=True)
                self.sandboxes[sandbox_id] = (ready, config)
                return ready
        number = next(self._ids)
        ips = () if config.host_network else (f"10.244.0.{number % 250 + 2}",)
        status = SandboxStatus(
            f"sandbox-{number}", config.pod, config.attempt, True, ips, self.now(), config.host_network
        )
        self.sandboxes[status.id] = (status, config)
        self._publish("start", config.pod.uid, status.id, "")
        return status

    async def stop_sandbox(self, sandbox_id: str) -> None:
        self._check("stop_sandbox", sandbox_id)
        if sandbox_id in self.sandboxes:
            status, config = self.sandboxes[sandbox_id]
            self.sandboxes[sandbox_id] = (replace(status, ready=False, ips=()), config)
            if status.ready:
                self._publish("die", status.pod.uid, sandbox_id, "", 0)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        self._check("remove_sandbox", sandbox_id)
        found = self.sandboxes.pop(sandbox_id, None)
        if found:
            self._publish("destroy", found[0].pod.uid, sandbox_id, "")

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        self._check("create_container", f"{config.name}/{config.attempt}")
        if sandbox_id not in self.sandboxes:
            raise EngineNotFound(f"no such sandbox: {sandbox_id}")
        if await self.image_status(config.image_ref) is None:
            raise EngineNotFound(f"No such image: {config.image_ref}")
        for known in self.containers.values():
            if (known.config.pod.uid, known.config.name, known.config.attempt) == (
                config.pod.uid,
                config.name,
                config.attempt,
            ):
                return known.status.id
        status = ContainerStatus(
            id=f"container-{next(self._ids)}",
            pod=config.pod,
            name=config.name,
            kind=config.kind,
            attempt=config.attempt,
            state="created",
            image=config.image,
            image_id=config.image_ref,
            spec_hash=config.spec_hash,
            sandbox_id=sandbox_id,
            created_at=self.now(),
            grace_seconds=config.grace_seconds,
            annotations=dict(config.annotations),
        )
        self.containers[status.id] = FakeContainer(status, config)
        return status.id

    async def unmet(self, security: Security) -> Sequence[str]:
        return [text for text, asked in self.unmet_texts if asked(security)]

    async def start_container(self, container_id: str) -> None:
        container = self._container(container_id)
        self._check("start_container", container.status.name)
        if container.status.state == "running":
            return
        script = self.programs.get(container.status.name) or script_of(
            [*container.config.command, *container.config.args]
        )
        if not script.startable:
            message = f'exec: "{container.config.command[0]}": stat: no such file or directory'
            self.exit(container_id, 128, reason="StartError", message=message)
            raise ContainerStartError(message)
        container.ignores_sigterm = script.ignores_sigterm
        container.status = replace(container.status, state="running", started_at=self.now())
        container.lines += [(self.now(), stream, data) for stream, data in script.output]
        container.notify()
        self._publish("start", container.status.pod.uid, container_id, container.status.name)
        if script.exit_code is not None and not script.copies_stdin:
            self.exit(container_id, script.exit_code)

    async def update_container(self, container_id: str, resources: Resources) -> None:
        container = self._container(container_id)
        self._check("update_container", container.status.name)
        if resources.memory_limit_bytes and self.used_memory > resources.memory_limit_bytes:
            raise EngineError("unable to set memory limit")
        container.config = replace(container.config, resources=resources)

    async def stop_container(self, container_id: str, grace_seconds: float, signal: str = "") -> None:
        self._check("stop_container", f"{container_id} {grace_seconds:g}")
        container = self.containers.get(container_id)
        if container is None or container.status.state != "running":
            return
        if grace_seconds > 0:
            if not container.ignores_sigterm:
                self.exit(container_id, 143, signal=15)
                return
            await self._sleep(grace_seconds)
        if container.status.state == "running":
            self.exit(container_id, 137, signal=9)

    async def wait_container(self, container_id: str) -> None:
        self._check("wait_container")
        while (container := self.containers.get(container_id)) and container.status.state == "running":
            await container.changed.wait()

    async def kill_container(self, container_id: str, signal: str = "SIGKILL") -> None:
        container = self._container(container_id)
        self._check("kill_container", f"{container_id} {signal}")
        if container.status.state == "running" and (signal == "SIGKILL" or not container.ignores_sigterm):
            self.exit(container_id, 137 if signal == "SIGKILL" else 143)

    async def remove_container(self, container_id: str) -> None:
        self._check("remove_container", container_id)
        container = self.containers.get(container_id)
        if container is None:
            return
        if container.status.state == "running":
            self.exit(container_id, 137, signal=9)
        del self.containers[container_id]
        container.notify()
        self._publish("destroy", container.status.pod.uid, container_id, container.status.name)

    async def exec_sync(
        self, container_id: str, argv: Sequence[str], timeout_seconds: float = 0.0
    ) -> tuple[int, bytes, bytes]:
        container = self._container(container_id)
        self._check("exec_sync", " ".join(argv))
        if container.status.state != "running":
            raise EngineNotFound(f"container {container_id} is not running")
        if tuple(argv) in self.exec_hangs:
            await self._sleep(timeout_seconds)
            raise TimeoutError(f"command {list(argv)} timed out")
        if tuple(argv) in self.exec_results:
            return self.exec_results[tuple(argv)]
        script = script_of(argv)
        if script.exit_code is None:
            await self._sleep(timeout_seconds)
            raise TimeoutError(f"command {list(argv)} timed out")
        out = b"".join(data for stream, data in script.output if stream == "stdout")
        err = b"".join(data for stream, data in script.output if stream == "stderr")
        return (script.exit_code if script.startable else 127), out[:OUTPUT_LIMIT], err[:OUTPUT_LIMIT]

    async def exec_stream(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
    ) -> FakeSession:
        container = self._container(container_id)
        self._check("exec_stream", " ".join(argv))
        if container.status.state != "running":
            raise EngineNotFound(f"container {container_id} is not running")
        script = script_of(argv)
        if not script.startable:
            script = Script((("stdout", f'exec: "{argv[0]}": not found\n'.encode()),), 127)
        return FakeSession(script, self.sizes)

    async def attach(self, container_id: str, *, stdin: bool, stdout: bool = True, stderr: bool = True) -> FakeSession:
        container = self._container(container_id)
        self._check("attach", container.status.name)
        script = script_of([*container.config.command, *container.config.args])
        return FakeSession(replace(script, exit_code=None), self.sizes)

    async def connect(self, sandbox: SandboxStatus, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To what listens on the test's own loopback."""
        if sandbox.id not in self.sandboxes:
            raise EngineNotFound(f"no sandbox {sandbox.id}")
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            raise EngineError(f"failed to connect to localhost:{port}: {error.strerror}") from None

    async def logs(self, container_id: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        self._check("logs")
        container = self._container(container_id)
        lines = [line for line in container.lines if self._wanted(line, options)]
        position = len(container.lines)
        for line in lines[-options.tail_lines :] if options.tail_lines else ([] if options.tail_lines == 0 else lines):
            yield self._line(line, options)
        while options.follow and container.status.state == "running" and container_id in self.containers:
            await container.changed.wait()
            for line in container.lines[position:]:
                if self._wanted(line, options):
                    yield self._line(line, options)
            position = len(container.lines)

    async def images(self) -> Sequence[ImageInfo]:
        self._check("images")
        return list(self._images.values())

    async def image_status(self, reference: str) -> ImageInfo | None:
        self._check("image_status")
        for image in self._images.values():
            if reference in (image.id, *image.tags, *image.digests):
                return image
        return None

    async def pull_image(self, reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        self._check("pull_image", reference)
        self.pulled_with.append((reference, auth))
        if reference in self.pull_errors or reference not in self.pullable:
            raise ImagePullError(self.pull_errors.get(reference, f"failed to pull {reference}: not found"))
        if (want := self.pull_auth.get(reference)) and want != auth:
            raise ImagePullError(f"failed to pull {reference}: unauthorized")
        image = self.pullable[reference]
        self._images[image.id] = image
        return image

    async def remove_image(self, image_id: str) -> None:
        self._check("remove_image", image_id)
        if any(c.status.image_id == image_id for c in self.containers.values()):
            raise EngineError(f"conflict: image {image_id} is being used")
        self._images.pop(image_id, None)

    async def save_image(self, image_id: str, path: str) -> None:
        self._check("save_image", image_id)
        if image_id not in self.archives:
            raise EngineNotFound(f"No such image: {image_id}")
        with open(path, "wb") as file:
            file.write(self.archives[image_id])

    async def load_image(self, archive: bytes) -> None:
        self._check("load_image", str(len(archive)))

    async def create_memory_volume(
        self, name: str, size_bytes: int, pod: PodRef, mode: int = 0o777, page_bytes: int = 0
    ) -> None:
        pages = f" of {page_bytes}" if page_bytes else ""
        self._check("create_memory_volume", f"{name} {size_bytes}{pages}")
        self._volumes[name] = pod.uid

    async def memory_volumes(self) -> Mapping[str, str]:
        self._check("memory_volumes")
        return dict(self._volumes)

    async def remove_memory_volume(self, name: str) -> None:
        self._check("remove_memory_volume", name)
        if any(mount.memory_volume == name for c in self.containers.values() for mount in c.config.mounts):
            raise EngineError(f"volume {name} is in use")
        self._volumes.pop(name, None)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        self._check("events")
        queue: asyncio.Queue[RuntimeEvent | None] = asyncio.Queue()
        self._subscribers.append(queue)
        return self._read_events(queue)

    async def _read_events(self, queue: asyncio.Queue[RuntimeEvent | None]) -> AsyncIterator[RuntimeEvent]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._subscribers.remove(queue)
        raise RuntimeUnavailable("the event stream broke")

    async def stats(self, container_ids: Collection[str]) -> Sequence[ContainerStats]:
        self._check("stats")
        return [
            ContainerStats(c.status.id, c.status.pod, c.status.name, self.now(), 1_000_000, self.used_memory)
            for c in self.containers.values()
            if c.status.id in container_ids and c.status.state == "running"
        ]

    async def close(self) -> None:
        self.break_events()

    # --- inside

    def _check(self, method: str, argument: str = "") -> None:
        if argument:
            self.calls.append(f"{method} {argument}")
        if not self.available:
            raise RuntimeUnavailable("Cannot connect to the container runtime")
        failures = self._failures.get(method)
        if failures:
            raise failures.pop(0)

    def _container(self, container_id: str) -> FakeContainer:
        if container_id not in self.containers:
            raise EngineNotFound(f"No such container: {container_id}")
        return self.containers[container_id]

    def _publish(self, kind: EventType, pod_uid: str, container_id: str, name: str, exit_code: int = 0) -> None:
        for queue in self._subscribers:
            queue.put_nowait(RuntimeEvent(kind, pod_uid, container_id, name, self.now(), exit_code))

    def _fallback_message(self, container: FakeContainer, code: int) -> str:
        if code == 0 or container.config.termination_message_policy != "FallbackToLogsOnError":
            return ""
        return b"".join(data for _, _, data in container.lines)[-2048:].decode()

    @staticmethod
    def _wanted(line: tuple[float, StreamName, bytes], options: LogOptions) -> bool:
        return line[0] >= options.since and options.stream in ("", line[1])

    @staticmethod
    def _line(line: tuple[float, StreamName, bytes], options: LogOptions) -> bytes:
        if not options.timestamps:
            return line[2]
        return time.strftime("%Y-%m-%dT%H:%M:%S.000000000Z ", time.gmtime(line[0])).encode() + line[2]


def is_runtime(runtime: Runtime) -> Runtime:
    """For the type checker: the fake has the whole interface."""
    return runtime


is_runtime(FakeRuntime())
