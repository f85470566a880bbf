"""The kubelet's HTTPS server: logs, exec, attach and port-forward for the API server, health and metrics beside them.

A bare ASGI app. Everything but the health probes needs a client certificate; errors are plain text, which the API
server turns into a `Status`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from typing import Any
from urllib.parse import unquote

from apimachinery.model import encode
from componentbase import logs, tls
from componentbase.clock import Clock
from componentbase.health import HealthApp, Receive, Scope, Send
from kubelet.container.log_requests import BadLogRequest, log_container, parse_log_request
from kubelet.runtime.interface import EngineError, Runtime
from kubelet.server.serving import serve
from kubelet.server.sessions import ACTIONS, PodLookup, Refusal, Sessions, find_pod, parse_query
from kubelet.server.stats import stats_summary

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

log = logs.logger(__name__)


class KubeletServer:
    """`health` answers /healthz, /livez, /readyz and /metrics: add checks there."""

    def __init__(self, node_name: str, pods: PodLookup, runtime: Runtime, clock: Clock) -> None:
        self._node_name = node_name
        self._pods = pods
        self._runtime = runtime
        self._clock = clock
        self._sessions = Sessions(pods, runtime)
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
                await self._sessions.serve(scope, receive, send)
            elif scope["type"] == "http":
                await self._answer(scope, receive, send)
        except Refusal as refusal:
            await _refuse(scope, send, refusal)

    # --- plain requests

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = [unquote(part) for part in scope["path"].strip("/").split("/")]
        verified = bool((scope.get("extensions") or {}).get("tls", {}).get("client_cert_verified"))
        if path[0] not in ("pods", "containerLogs", "stats", *ACTIONS):
            status, content_type, body = self.health.respond(scope["path"], scope.get("query_string", b""), verified)
            await _respond(send, status, content_type, body)
            return
        if not verified:
            raise Refusal(401, "Unauthorized")
        if path[0] in ACTIONS:
            await self._sessions.serve(scope, receive, send)
            return
        if scope["method"] != "GET":
            raise Refusal(405, "Method Not Allowed")
        if path[0] == "containerLogs" and len(path) == 4:
            await self._logs(path[1], path[2], path[3], parse_query(scope), receive, send)
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
        pod = find_pod(self._pods, namespace, name)
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
