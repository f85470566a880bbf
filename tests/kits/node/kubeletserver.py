"""A kubelet's server over real TLS on loopback, on the fake runtime, and clients for it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from componentbase import tls
from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubelet.runtime.configs import ContainerConfig, PodRef, SandboxConfig
from kubelet.runtime.interface import PodRuntimeStatus
from kubelet.server.figures import Figures
from kubelet.server.server import KubeletServer
from kubelet.server.stream.spdy import frames as spdy
from kubelet.server.stream.spdy.connection import DEFAULT_LIMITS, SpdyLimits
from kubelet.server.stream.spdy.frames import Frame, Framer
from kubelet.stats.cadvisor import MachineFacts
from kubelet.stats.collector import Collector
from kubelet.volume.folders import FolderKeeper, folder_roots
from tests.fakes.runtime import FakeRuntime
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import make_pod

V5 = "v5.channel.k8s.io"
RUNNING = ("sh", "-c", "echo one; echo two >&2; sleep 1000")


class Pods:
    def __init__(self, *pods: Pod) -> None:
        self.pods = list(pods)

    def find(self, namespace: str, name: str) -> Pod | None:
        return next((pod for pod in self.pods if pod.key == f"{namespace}/{name}"), None)

    def all(self) -> Iterable[Pod]:
        return self.pods


class Bench:
    """A server with one pod "default/web", whose container "app" runs `command`."""

    def __init__(self, files: dict[str, Path], port: int, spdy_limits: SpdyLimits) -> None:
        self.files = files
        self.port = port
        self.runtime = FakeRuntime()
        self.runtime.add_image("app:1")
        self.pods = Pods()
        listed = dict[str, PodRuntimeStatus]
        self.collector = Collector(self.runtime, self.pods.all, listed, "/", Clock())
        machine = MachineFacts(2, 1 << 30, "m", "b", "s", "6.1", "Debian", "20.10", "v1.35.0", "pause:1")
        figures = Figures("worker-1", self.runtime, self.collector, listed, lambda: machine, {"maxPods": 110})
        self.root_dir = files["ca"].parent / "kubelet"
        folders = FolderKeeper(folder_roots(str(self.root_dir), ""))
        self.server = KubeletServer(self.pods, self.runtime, Clock(), figures, spdy_limits, folders=folders)
        self.container_id = ""

    def context(self, *, certificate: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.files["ca"]))
        if certificate:
            context.load_cert_chain(self.files["client"], self.files["client-key"])
        return context

    async def start(self, *command: str, **spec: Any) -> None:
        container = {"name": "app", "image": "app:1", **spec}
        pod = make_pod({"containers": [container]})
        self.pods.pods = [pod]
        ref = PodRef("uid-1", "default", "web")
        sandbox = await self.runtime.create_sandbox(SandboxConfig(ref))
        config = ContainerConfig(ref, "app", "app:1", "app:1", command=command)
        self.container_id = await self.runtime.create_container(sandbox.id, config)
        await self.runtime.start_container(self.container_id)

    def client(self, *, certificate: bool = True) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self.context(certificate=certificate), base_url=f"https://127.0.0.1:{self.port}"
        )

    async def get(self, path: str, *, certificate: bool = True) -> httpx.Response:
        async with self.client(certificate=certificate) as client:
            return await client.get(path)

    def socket(self, path: str, *, protocol: str = V5, certificate: bool = True) -> connect:
        context = self.context(certificate=certificate)
        url = f"wss://127.0.0.1:{self.port}{path}"
        return connect(url, ssl=context, subprotocols=[Subprotocol(protocol)], compression=None)


@asynccontextmanager
async def server_bench(files: dict[str, Path], spdy_limits: SpdyLimits = DEFAULT_LIMITS) -> AsyncIterator[Bench]:
    """A running server of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    bench = Bench(files, port, spdy_limits)
    context = tls.server_context(str(files["server"]), str(files["server-key"]), str(files["ca"]))
    serving = asyncio.ensure_future(bench.server.run("127.0.0.1", port, context))
    try:
        await eventually_async(lambda: serving.done() or _listening(port), "the kubelet's server listens")
        async with asyncio.timeout(30):
            yield bench
    finally:
        serving.cancel()
        await asyncio.wait((serving,))


async def _listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def messages(connection: ClientConnection) -> list[tuple[int, bytes]]:
    """(channel, data) until the server closes."""
    found = []
    async for data in connection:
        assert isinstance(data, bytes)
        found.append((data[0], data[1:]))
    assert connection.close_code == 1000
    return found


class SpdyClient:
    """The client's side of a SPDY connection, as kubectl up to 1.30 has it."""

    def __init__(self, read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]) -> None:
        self._read = read
        self.write = write
        self._framer = Framer()
        self._next = 1
        self.received: dict[int, bytearray] = {}
        self.ended: set[int] = set()
        self.frames: list[Frame] = []
        """All but data and replies."""

    async def stream(self, *, fin: bool = False, **headers: str) -> int:
        number, self._next = self._next, self._next + 2
        self.received[number] = bytearray()
        await self.write(self._framer.syn_stream(number, headers))
        if fin:
            await self.send(number, b"", fin=True)
        return number

    async def send(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        await self.write(spdy.data_frame(stream, data, fin=fin))

    async def until(self, done: Callable[[], bool]) -> None:
        """Reads until `done`. Raises: EOFError when the server closes first."""
        while not done():
            data = await self._read()
            if not data:
                raise EOFError
            for frame in self._framer.feed(data):
                if frame.kind == 0:
                    self.received[frame.stream] += frame.data
                    self.ended |= {frame.stream} if frame.fin else set()
                elif frame.kind != spdy.SYN_REPLY:
                    self.frames.append(frame)

    async def end_of(self, stream: int) -> bytes:
        await self.until(lambda: stream in self.ended)
        return bytes(self.received[stream])


@asynccontextmanager
async def spdy_client(bench: Bench, path: str, *protocols: str) -> AsyncIterator[tuple[SpdyClient, str]]:
    """A client, and the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port, ssl=bench.context())
    lines = [f"POST {path} HTTP/1.1", "host: x", "content-length: 0", "connection: Upgrade", "upgrade: SPDY/3.1"]
    lines += [f"x-stream-protocol-version: {name}" for name in protocols]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()

    async def read() -> bytes:
        return await reader.read(65536)

    async def write(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    try:
        yield SpdyClient(read, write), head
    finally:
        writer.close()
