"""The kubelet's HTTPS server: logs, exec and attach for the API server, health and metrics for whoever may ask.

A bare ASGI app. Everything but the health probes needs a client certificate; errors are plain text, which the API
server turns into a `Status`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote

from apimachinery.model import encode
from componentbase import logs, tls
from componentbase.clock import Clock
from componentbase.health import HealthApp, Receive, Scope, Send
from kubelet.container_logs import BadLogRequest, log_container, parse_log_request
from kubelet.podspec import find_container
from kubelet.runtime.interface import (
    ContainerStartError,
    ContainerStatus,
    EngineError,
    NotFound,
    Runtime,
    RuntimeUnavailable,
    Session,
)
from kubelet.serving import serve
from kubelet.stats_summary import stats_summary
from kubelet.streaming import ChannelStream, StreamOptions, choose_protocol

if TYPE_CHECKING:
    from kubeapi._podspec import Container
    from kubeapi.pod import Pod

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

log = logs.logger(__name__)


class PodLookup(Protocol):
    """What the server asks of the rest of the kubelet."""

    def find(self, namespace: str, name: str) -> Pod | None:
        """The pod with the newest status that this kubelet knows."""

    def all(self) -> Iterable[Pod]: ...


class Refusal(Exception):
    """An answer with this HTTP status and text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class KubeletServer:
    """`health` answers /healthz, /livez, /readyz and /metrics: add checks there."""

    def __init__(self, node_name: str, pods: PodLookup, runtime: Runtime, clock: Clock) -> None:
        self._node_name = node_name
        self._pods = pods
        self._runtime = runtime
        self._clock = clock
        self.health = HealthApp()

    async def run(
        self, host: str, port: int, *, cert_file: str, key_file: str, client_ca_file: str, cert_dir: str
    ) -> None:
        """Serves until cancelled; without a certificate it makes its own. Raises: OSError."""
        if not cert_file:
            addresses = (host,) if host not in ("0.0.0.0", "::") else ()
            cert_file, key_file = await asyncio.to_thread(tls.self_signed, cert_dir, "kubelet", addresses)
        log.info("serving", address=host, port=port)
        await serve(self, host, port, tls.server_context(cert_file, key_file, client_ca_file))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["type"] == "websocket":
                await self._stream(scope, receive, send)
            elif scope["type"] == "http":
                await self._answer(scope, receive, send)
        except Refusal as refusal:
            await _refuse(scope, send, refusal)

    # --- plain requests

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = [unquote(part) for part in scope["path"].strip("/").split("/")]
        verified = bool((scope.get("extensions") or {}).get("tls", {}).get("client_cert_verified"))
        if path[0] not in ("pods", "containerLogs", "stats", "exec", "attach"):
            status, content_type, body = self.health.respond(scope["path"], scope.get("query_string", b""), verified)
            await _respond(send, status, content_type, body)
            return
        if not verified:
            raise Refusal(401, "Unauthorized")
        if path[0] in ("exec", "attach"):
            raise Refusal(400, "upgrade to the WebSocket protocol is needed: v5.channel.k8s.io or v4.channel.k8s.io")
        if scope["method"] != "GET":
            raise Refusal(405, "Method Not Allowed")
        if path[0] == "containerLogs" and len(path) == 4:
            await self._logs(path[1], path[2], path[3], _query(scope), receive, send)
        elif path == ["pods"]:
            items = b",".join(encode(pod) for pod in self._pods.all())
            await _respond(send, 200, JSON, b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[%s]}' % items)
        elif path == ["stats", "summary"]:
            await _respond(send, 200, JSON, await self._summary())
        else:
            raise Refusal(404, "404 page not found")

    async def _summary(self) -> bytes:
        try:
            statuses = await self._runtime.pods()
            running = [c.id for pod in statuses.values() for c in pod.containers if c.state == "running"]
            stats = await self._runtime.stats(running)
        except EngineError as error:
            raise Refusal(500, str(error)) from None
        return stats_summary(self._node_name, stats, self._clock.now())

    async def _logs(
        self, namespace: str, name: str, container: str, query: Mapping[str, list[str]], receive: Receive, send: Send
    ) -> None:
        pod = self._find(namespace, name)
        try:
            request = parse_log_request({key: values[-1] for key, values in query.items()}, self._clock.now())
            status = await self._runtime.pod(pod.metadata.uid or "")
            found = log_container(pod, status, container, previous=request.previous)
        except BadLogRequest as error:
            raise Refusal(400, str(error)) from None
        except EngineError as error:
            raise Refusal(500, str(error)) from None
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", TEXT.encode())]})
        left = request.limit_bytes

        async def copy() -> None:
            nonlocal left
            try:
                async with contextlib.aclosing(self._runtime.logs(found.id, request.options)) as chunks:
                    async for data in chunks:
                        if left is not None:
                            data, left = data[:left], left - len(data)
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                        if left is not None and left <= 0:
                            return
            except EngineError as error:
                # The head is out: all that is left is to end. A container may be removed while it is read.
                log.info("log ended early", pod=f"{namespace}/{name}", container=container, error=str(error))

        await _until_client_leaves(copy(), receive)
        await send({"type": "http.response.body", "body": b""})

    # --- exec and attach

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = [unquote(part) for part in scope["path"].strip("/").split("/")]
        if path[0] not in ("exec", "attach") or len(path) != 4:
            raise Refusal(404, "404 page not found")
        protocol = choose_protocol(scope.get("subprotocols") or ())
        if not protocol:
            raise Refusal(400, "no subprotocol in common: want v5.channel.k8s.io or v4.channel.k8s.io")
        query = _query(scope)
        options = stream_options(query)
        if why := options.error():
            raise Refusal(400, why)
        pod = self._find(path[1], path[2])
        container = find_container(pod, path[3])
        if container is None:
            raise Refusal(404, f"container not found ({path[3]!r})".replace("'", '"'))
        status = await self._running(pod, container)
        command = query.get("command", [])
        if path[0] == "exec" and not command:
            raise Refusal(400, "you must specify at least one command for the container")
        # Before the handshake is answered: what cannot be started is then a plain error.
        session, options = await self._open(status, container, command if path[0] == "exec" else None, options)
        try:
            await receive()
            await send({"type": "websocket.accept", "subprotocol": protocol})
        except BaseException:
            await session.close()
            raise
        await ChannelStream(receive, send, session, options).run()

    async def _running(self, pod: Pod, container: Container) -> ContainerStatus:
        try:
            status = await self._runtime.pod(pod.metadata.uid or "")
        except EngineError as error:
            raise Refusal(500, str(error)) from None
        found = status.container(container.name) if status else None
        if found is None or found.state != "running":
            raise Refusal(404, f'container not found ("{container.name}")')
        return found

    async def _open(
        self, status: ContainerStatus, container: Container, command: list[str] | None, options: StreamOptions
    ) -> tuple[Session, StreamOptions]:
        """Starts the command, or attaches: then stdin and tty are what the container was made with."""
        try:
            if command is None:
                stdin, tty = options.stdin and bool(container.stdin), bool(container.tty)
                session = await self._runtime.attach(
                    status.id, stdin=stdin, stdout=options.stdout, stderr=options.stderr
                )
                return session, StreamOptions(stdin, options.stdout, options.stderr and not tty, tty)
            session = await self._runtime.exec_stream(
                status.id,
                command,
                tty=options.tty,
                stdin=options.stdin,
                stdout=options.stdout,
                stderr=options.stderr,
            )
            return session, options
        except NotFound as error:
            raise Refusal(404, str(error)) from None
        except RuntimeUnavailable as error:
            raise Refusal(503, str(error)) from None
        except (ContainerStartError, EngineError) as error:
            raise Refusal(500, str(error)) from None

    def _find(self, namespace: str, name: str) -> Pod:
        pod = self._pods.find(namespace, name)
        if pod is None:
            raise Refusal(404, "pod does not exist")
        return pod


def stream_options(query: Mapping[str, list[str]]) -> StreamOptions:
    """The kubelet's own names (input, output, error) and the API's (stdin, stdout, stderr) both count."""

    def asked(*names: str) -> bool:
        return any(query.get(name, [""])[-1].lower() in ("1", "true") for name in names)

    tty = asked("tty")
    return StreamOptions(asked("input", "stdin"), asked("output", "stdout"), asked("error", "stderr") and not tty, tty)


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


async def _until_client_leaves(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Runs `work`; cancels it when the client closes the connection."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(work), tasks.create_task(watch())]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()


async def _respond(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """On a WebSocket too: as the plain HTTP answer to its handshake."""
    kind = "websocket.http" if scope["type"] == "websocket" else "http"
    body = refusal.message.encode()
    headers = [(b"content-type", TEXT.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})
