"""The contract between the kubelet and a container runtime. Nothing here knows Docker.

The kubelet keeps no state of its own: everything it must remember about a container (pod uid, attempt, spec hash, grace
period) goes into the config, and comes back in the status, also after the kubelet or the runtime restarted.
Times are unix seconds (0.0 = never), sizes bytes, durations seconds.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from kubelet.runtime.configs import ContainerConfig, ContainerKind, PodRef, Resources, SandboxConfig, Security

ContainerState = Literal["created", "running", "exited"]
StreamName = Literal["stdout", "stderr"]
EventType = Literal["start", "die", "oom", "destroy"]


class EngineError(Exception):
    """The runtime refused or failed an operation; the text is fit for an event's message."""


class RuntimeUnavailable(EngineError):
    """The runtime does not answer (it is down or restarting). Whether the operation happened is not known."""


class EngineNotFound(EngineError):
    """No such sandbox, container, exec session or image."""


class ContainerStartError(EngineError):
    """The container was created but its process could not be started (no such command, bad mount, …).

    The container then exists as "exited" with the same reason and exit code, so a later status says the same.
    """

    def __init__(self, message: str, *, reason: str = "StartError", exit_code: int = 128) -> None:
        super().__init__(message)
        self.reason = reason  # "StartError" | "ContainerCannotRun"
        self.exit_code = exit_code


class ImagePullError(EngineError):
    """A pull failed; the text is the registry's or the transport's, as in upstream's "Failed to pull image" event.

    `registry_unavailable`: the registry said itself that it can't serve anyone now.
    """

    def __init__(self, message: str, *, registry_unavailable: bool = False) -> None:
        super().__init__(message)
        self.registry_unavailable = registry_unavailable


@dataclass(frozen=True, slots=True)
class LinuxUser:
    """The ids that a container's first process starts with; `groups` has all of them, `gid` first."""

    uid: int
    gid: int
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """`ready` while the pause process runs. `ips` is empty with host networking and when not ready."""

    id: str
    pod: PodRef
    attempt: int
    ready: bool
    ips: tuple[str, ...]
    created_at: float
    host_network: bool = False

    @property
    def usable(self) -> bool:
        """Tells whether containers can run in it: it is ready, and has a network."""
        return self.ready and (self.host_network or bool(self.ips))


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """`reason` is set once exited: Completed | Error | OOMKilled | ContainerCannotRun | StartError.

    `image` is the name the spec gave, `image_id` what upstream shows as imageID: "docker.io/library/x@sha256:…" for a
    pulled image, else "sha256:…". `started_at`/`finished_at` are 0.0 when it never did.
    """

    id: str
    pod: PodRef
    name: str
    kind: ContainerKind
    attempt: int
    state: ContainerState
    image: str
    image_id: str
    spec_hash: str
    sandbox_id: str
    created_at: float
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    grace_seconds: int | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    user: LinuxUser | None = None
    pid: int = 0
    """Its first process, as the engine numbers it; 0 while it does not run."""
    writable_path: str = ""
    log_path: str = ""
    """The folder of its writable layer, and its log file, on the engine's host; "" where that has no such thing."""


@dataclass(frozen=True, slots=True)
class PodRuntimeStatus:
    """Everything the runtime holds of one pod: sandboxes and containers, each newest first."""

    pod: PodRef
    sandboxes: tuple[SandboxStatus, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()

    @property
    def sandbox(self) -> SandboxStatus | None:
        """The newest sandbox."""
        return self.sandboxes[0] if self.sandboxes else None

    def container(self, name: str) -> ContainerStatus | None:
        """The newest attempt of the container called `name`."""
        return next((status for status in self.containers if status.name == name), None)

    def attempts(self, name: str) -> list[ContainerStatus]:
        """All attempts that still exist, newest first."""
        return [status for status in self.containers if status.name == name]

    @property
    def running(self) -> bool:
        """Tells whether a process of the pod (pause included) is left."""
        return any(s.ready for s in self.sandboxes) or any(c.state == "running" for c in self.containers)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """`id` is "sha256:…"; `user` is the image's USER ("" = root): a number makes `uid`, a name does not."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    created_at: float = 0.0
    user: str = ""

    @property
    def uid(self) -> int | None:
        """The numeric user the image runs as; None when USER is a name that only the image can resolve."""
        name = self.user.partition(":")[0]
        return int(name) if name.isdigit() else (0 if not name else None)

    @property
    def image_id(self) -> str:
        """The imageID that a container status shows."""
        return self.digests[0] if self.digests else self.id


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """Credentials for one registry host, from an image pull secret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    server: str = ""


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`tail_lines` None = all; `since` unix seconds, 0.0 = from the start; `stream` "" = both."""

    follow: bool = False
    tail_lines: int | None = None
    since: float = 0.0
    timestamps: bool = False
    stream: StreamName | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something happened to a container or sandbox of a pod."""

    type: EventType
    pod_uid: str
    container_id: str
    container_name: str  # "" for a sandbox
    time: float
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """CPU time since start, and the working set (usage minus inactive file cache)."""

    container_id: str
    pod: PodRef
    name: str  # "" for a sandbox
    time: float
    cpu_nanoseconds: int
    memory_working_set_bytes: int
    memory_usage_bytes: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """For the node's status: name "docker", version, and what the engine says about the machine.

    `handlers` are the names that a RuntimeClass may choose from. `sees_mounts`: what this process mounts is seen by the
    runtime, and so by containers. `shares_cgroups`: control groups that this process makes can hold containers.
    """

    name: str
    version: str
    api_version: str = ""
    kernel_version: str = ""
    os_image: str = ""
    architecture: str = "amd64"
    data_root: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    handlers: tuple[str, ...] = ()
    user_namespaces: bool = False
    sees_mounts: bool = False
    shares_cgroups: bool = False

    @property
    def recursive_read_only(self) -> bool:
        """Tells whether a mount can be read-only with all that is mounted below it, which takes Linux 5.12."""
        release = re.match(r"(\d+)\.(\d+)", self.kernel_version)
        return self.sees_mounts and release is not None and (int(release[1]), int(release[2])) >= (5, 12)


class Session(Protocol):
    """A running exec or attach: bytes both ways. Close it in a `finally`; closing never waits for the process."""

    async def write(self, data: bytes) -> None:
        """Writes to stdin; waits while the process does not read. Writing to a process that is gone is not an error."""

    async def close_stdin(self) -> None:
        """Ends the input."""

    def output(self) -> AsyncIterator[tuple[StreamName, bytes]]:
        """Yields chunks until the process has closed both streams; with a tty everything is "stdout"."""

    async def resize(self, width: int, height: int) -> None:
        """Sets the terminal's size, in characters."""

    async def exit_code(self) -> int | None:
        """Returns the exit code of a command whose output is over; None for an attach."""

    async def close(self) -> None:
        """Gives the connection back. An exec'd process goes on when it ignores the end of its streams."""


class Runtime(Protocol):
    """A container runtime.

    Every method raises RuntimeUnavailable when the runtime does not answer and EngineError when it refuses.
    Creating what exists already (same pod, name and attempt) returns the existing id; stopping or removing what is
    gone succeeds. Methods are safe to call concurrently and to cancel.
    """

    async def info(self) -> RuntimeInfo:
        """Describes the runtime and its machine; serves as the health check, too."""

    async def prepare(self) -> None:
        """Loads and learns what creating pods needs, so that the first pod need not wait for it."""

    async def pods(self) -> Mapping[str, PodRuntimeStatus]:
        """Lists by pod uid all that the kubelet created and that still exists. One request when nothing changed."""

    async def pod(self, uid: str) -> PodRuntimeStatus | None:
        """Returns the same for one pod; None when nothing of it is left."""

    def network_problem(self) -> str:
        """Says why no sandbox can be given a network now; "" when one can."""

    def set_pod_ranges(self, cidrs: Sequence[str]) -> bool:
        """Takes the ranges that sandboxes get their addresses from; tells whether they are others than before."""

    async def follow_network(self) -> None:
        """Keeps the network of sandboxes as the node's links change, until cancelled."""

    async def sweep_network(self) -> None:
        """Gives back what sandboxes hold of the network that ended without this kubelet."""

    async def create_sandbox(self, config: SandboxConfig) -> SandboxStatus:
        """Creates and starts the pause container; ready, with its ips, on return."""

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kills the pause process. Stop the containers before: they lose their network with it."""

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Removes it forcibly; its containers must be removed before."""

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        """Returns the new id. Raises: EngineNotFound when the image is gone; EngineError for a bad config."""

    async def unmet(self, security: Security) -> Sequence[str]:
        """Says what of a security context this machine can't give, though containers start without it."""

    async def start_container(self, container_id: str) -> None:
        """Starts the process. Raises: ContainerStartError; EngineNotFound."""

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """Changes the CPU weight and quota and the memory limit of a running container; 0 leaves one as it is.

        Raises: EngineNotFound; EngineError, for a memory limit that the container already exceeds as well.
        """

    async def stop_container(self, container_id: str, grace_seconds: float, signal: str = "") -> None:
        """Sends the stop signal ("" = the image's, else SIGTERM), waits, then SIGKILL; returns when it has exited.

        Cancelling leaves the signal sent; a second call (with a shorter grace, for example) is allowed meanwhile.
        """

    async def wait_container(self, container_id: str) -> None:
        """Returns when the container does not run (any more), and all that it wrote is in its log."""

    async def kill_container(self, container_id: str, signal: str = "SIGKILL") -> None:
        """Sends a signal and does not wait for its effect."""

    async def remove_container(self, container_id: str) -> None:
        """Removes it with its log; forcibly when it still runs."""

    async def exec_sync(
        self, container_id: str, argv: Sequence[str], timeout_seconds: float = 0.0
    ) -> tuple[int, bytes, bytes]:
        """Runs a command to its end: (exit code, stdout, stderr), each cut at OUTPUT_LIMIT; 0 = no time limit.

        A command that cannot start exits 126 or 127.
        Raises: TimeoutError; EngineNotFound when the container is not running.
        """

    async def exec_stream(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
    ) -> Session:
        """Starts a command in a running container. Raises: EngineNotFound; ContainerStartError."""

    async def attach(self, container_id: str, *, stdin: bool, stdout: bool = True, stderr: bool = True) -> Session:
        """Joins the container's own process, with the tty that it was created with. Raises: EngineNotFound."""

    async def connect(self, sandbox: SandboxStatus, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connects to a TCP port inside the sandbox's network, loopback first. Raises: EngineError; EngineNotFound."""

    def logs(self, container_id: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """Yields raw bytes, with RFC 3339 nanosecond times before lines if asked; ends with a container it follows.

        Raises: EngineNotFound.
        """

    async def images(self) -> Sequence[ImageInfo]:
        """Lists all images, dangling ones included."""

    async def image_status(self, reference: str) -> ImageInfo | None:
        """Finds an image by its normalised reference or id; None when it is absent."""

    async def pull_image(self, reference: str, auth: RegistryAuth | None = None) -> ImageInfo:
        """Fetches an image from its registry. Raises: ImagePullError."""

    async def remove_image(self, image_id: str) -> None:
        """Untags and deletes. Raises: EngineError when a container uses it."""

    async def save_image(self, image_id: str, path: str) -> None:
        """Writes the image as an archive (`componentbase.image_archive`) to a file.

        Raises: EngineNotFound; EngineError; OSError.
        """

    async def load_image(self, archive: bytes) -> None:
        """Loads an image archive (`componentbase.image_archive`)."""

    async def create_memory_volume(
        self, name: str, size_bytes: int, pod: PodRef, mode: int = 0o777, page_bytes: int = 0
    ) -> None:
        """A tmpfs that a pod's containers share (memory-backed emptyDir); `size_bytes` 0 = the kernel's default.

        With `page_bytes` it is made of huge pages of this size.

        Its content lives as long as a sandbox or container that mounts it runs.
        """

    async def memory_volumes(self) -> Mapping[str, str]:
        """Returns name -> pod uid of all memory volumes."""

    async def remove_memory_volume(self, name: str) -> None:
        """Removes it, or succeeds when it is gone. Raises: EngineError while a container uses it."""

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Subscribed on return; the iterator raises RuntimeUnavailable when the stream breaks.

        What happens between two streams is lost: list after subscribing.
        """

    async def stats(self, container_ids: Collection[str]) -> Sequence[ContainerStats]:
        """Returns the statistics of running containers only."""

    async def close(self) -> None:
        """Gives up all connections and threads; waits for calls under way."""


OUTPUT_LIMIT = 16 * 1024  # bytes kept of each stream of `exec_sync`; the rest is read and dropped
