"""Serves exec, attach and port-forward: joins a client, by WebSocket or SPDY, to a process or port of a pod.

A session that cannot be started is refused before the handshake is answered, as a plain HTTP error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from typing import Protocol
from urllib.parse import parse_qs, unquote

from componentbase.net.http1_exchange import HttpExchange, response_head
from componentbase.net.websocket import BadHandshake, Handshake, asks_upgrade
from componentbase.net.websocket_channels import (
    PORT_PROTOCOLS,
    PROTOCOLS,
    SPDY_TUNNEL,
    ChannelSocket,
    choose_protocol,
    refusal_text,
)
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubelet.container.spec import find_container
from kubelet.runtime.interface import (
    ContainerStartError,
    ContainerStatus,
    EngineError,
    EngineNotFound,
    PodRuntimeStatus,
    Runtime,
    RuntimeUnavailable,
    Session,
)
from kubelet.server.stream.portforward import PROTOCOL as PORT_FORWARD
from kubelet.server.stream.portforward import BadPorts, ChannelForward, Forwarder, SpdyForward, parse_ports
from kubelet.server.stream.spdy import command as spdy_command
from kubelet.server.stream.spdy.connection import ByteStream, SpdyLimits
from kubelet.server.stream.streaming import RemoteCommand, StreamOptions
from kubelet.server.stream.websocket import WebSocketBytes, WebSocketChannels

ACTIONS = ("exec", "attach", "portForward")
SPDY = b"spdy/3.1"


class PodLookup(Protocol):
    """The pods of this kubelet, as its server looks them up."""

    def find(self, namespace: str, name: str) -> Pod | None:
        """Returns the pod with its newest status."""

    def all(self) -> Iterable[Pod]: ...


class HttpRefusal(Exception):
    """An answer with this HTTP status and text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class UpgradeRequest:
    """A request that asks for an upgrade to a WebSocket or to SPDY."""

    def __init__(self, exchange: HttpExchange) -> None:
        """Raises: HttpRefusal for a WebSocket's handshake that is not valid."""
        self._exchange = exchange
        try:
            self.websocket = Handshake(exchange) if asks_upgrade(exchange.headers, b"websocket") else None
        except BadHandshake as error:
            raise HttpRefusal(error.status, str(error)) from None

    def spdy_protocols(self) -> list[str]:
        """Lists the protocols that a SPDY request offers. Raises: HttpRefusal when it does not ask for SPDY."""
        if not asks_upgrade(self._exchange.headers, SPDY):
            raise HttpRefusal(400, "unable to upgrade: want a WebSocket or SPDY/3.1")
        offers = [value for name, value in self._exchange.headers if name == b"x-stream-protocol-version"]
        return [offer.strip() for value in offers for offer in value.decode("latin-1").split(",") if offer.strip()]

    @contextlib.asynccontextmanager
    async def spdy(self, protocol: str) -> AsyncIterator[ByteStream]:
        """Answers, and closes the connection at the end of the block. Raises: OSError."""
        raw = self._exchange.take_over()
        headers = ((b"Connection", b"Upgrade"), (b"Upgrade", b"SPDY/3.1"))
        try:
            await raw.write(response_head(101, (*headers, (b"X-Stream-Protocol-Version", protocol.encode()))))
            yield raw
        finally:
            raw.close()


class Sessions:
    """Answers upgrade requests."""

    def __init__(self, pods: PodLookup, runtime: Runtime, spdy_limits: SpdyLimits) -> None:
        self._spdy_limits = spdy_limits
        self._pods = pods
        self._runtime = runtime

    async def serve(self, exchange: HttpExchange) -> None:
        """Returns when the session is over. Raises: HttpRefusal, ClientDisconnected, OSError."""
        path = [unquote(part) for part in exchange.path.strip("/").split("/")]
        client, query = UpgradeRequest(exchange), parse_query(exchange)
        if path[0] in ("exec", "attach") and len(path) == 4:
            await self._command(client, path, query)
        elif path[0] == "portForward" and len(path) == 3:
            await self._port_forward(client, path, query)
        else:
            raise HttpRefusal(404, "404 page not found")

    # --- exec and attach

    async def _command(self, client: UpgradeRequest, path: list[str], query: Mapping[str, list[str]]) -> None:
        requested = stream_options(query)
        join = _websocket_command(client.websocket) if client.websocket else _spdy_command(client, requested)
        if why := requested.error():
            raise HttpRefusal(400, why)
        pod = find_pod(self._pods, path[1], path[2])
        container = find_container(pod, path[3])
        if container is None:
            raise HttpRefusal(404, f'container not found ("{path[3]}")')
        status = await self._running(pod, container)
        command = query.get("command", [])
        if path[0] == "exec" and not command:
            raise HttpRefusal(400, "you must specify at least one command for the container")
        session, options = await self._open(status, container, command if path[0] == "exec" else None, requested)
        try:
            await join(session, options)
        finally:
            await session.close()

    async def _running(self, pod: Pod, container: Container) -> ContainerStatus:
        status = await self._status(pod)
        running = status.container(container.name) if status else None
        if running is None or running.state != "running":
            raise HttpRefusal(404, f'container not found ("{container.name}")')
        return running

    async def _status(self, pod: Pod) -> PodRuntimeStatus | None:
        try:
            return await self._runtime.pod(pod.metadata.uid or "")
        except EngineError as error:
            raise HttpRefusal(500, str(error)) from None

    async def _open(
        self, status: ContainerStatus, container: Container, command: list[str] | None, requested: StreamOptions
    ) -> tuple[Session, StreamOptions]:
        """Starts the command, or attaches: then the container decides on stdin and tty."""
        try:
            if command is None:
                stdin, tty = requested.stdin and bool(container.stdin), bool(container.tty)
                session = await self._runtime.attach(
                    status.id, stdin=stdin, stdout=requested.stdout, stderr=requested.stderr
                )
                return session, StreamOptions(stdin, requested.stdout, requested.stderr and not tty, tty)
            session = await self._runtime.exec_stream(
                status.id,
                command,
                tty=requested.tty,
                stdin=requested.stdin,
                stdout=requested.stdout,
                stderr=requested.stderr,
            )
            return session, requested
        except EngineNotFound as error:
            raise HttpRefusal(404, str(error)) from None
        except RuntimeUnavailable as error:
            raise HttpRefusal(503, str(error)) from None
        except (ContainerStartError, EngineError) as error:
            raise HttpRefusal(500, str(error)) from None

    # --- port-forward

    async def _port_forward(self, client: UpgradeRequest, path: list[str], query: Mapping[str, list[str]]) -> None:
        pod = find_pod(self._pods, path[1], path[2])
        status = await self._status(pod)
        sandbox = status.sandbox if status else None
        if sandbox is None or not sandbox.ready:
            raise HttpRefusal(404, f"pod not found or not running: {pod.key}")

        async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await self._runtime.connect(sandbox, port)

        forwarder = Forwarder(f"{pod.key}, uid {pod.metadata.uid}", dial)
        if client.websocket is None:
            offered = client.spdy_protocols()
            if offered and PORT_FORWARD not in offered:
                raise HttpRefusal(403, f"unable to upgrade: {refusal_text(offered, [PORT_FORWARD])}")
            async with client.spdy(PORT_FORWARD) as transport:
                await SpdyForward(transport, forwarder, self._spdy_limits).run()
        elif SPDY_TUNNEL in client.websocket.subprotocols:
            async with client.websocket.accept(SPDY_TUNNEL) as socket:
                await SpdyForward(WebSocketBytes(socket), forwarder, self._spdy_limits).run()
        else:
            await _channel_forward(client.websocket, forwarder, query)


async def _channel_forward(handshake: Handshake, forwarder: Forwarder, query: Mapping[str, list[str]]) -> None:
    protocol = choose_protocol(handshake.subprotocols, PORT_PROTOCOLS)
    if protocol is None:
        supported = [SPDY_TUNNEL, *(protocol.name for protocol in PORT_PROTOCOLS)]
        raise HttpRefusal(400, refusal_text(handshake.subprotocols, supported))
    try:
        ports = parse_ports(query)
    except BadPorts as error:
        raise HttpRefusal(400, str(error)) from None
    async with handshake.accept(protocol.name) as socket:
        await ChannelForward(ChannelSocket(socket, protocol), forwarder, ports).run()


class Join(Protocol):
    """Answers the handshake and joins the client to the session, until either is over."""

    def __call__(self, session: Session, options: StreamOptions) -> Awaitable[None]: ...


def _websocket_command(handshake: Handshake) -> Join:
    """Raises: HttpRefusal when there is no protocol in common."""
    protocol = choose_protocol(handshake.subprotocols)
    if protocol is None:
        raise HttpRefusal(400, refusal_text(handshake.subprotocols, [protocol.name for protocol in PROTOCOLS]))

    async def join(session: Session, options: StreamOptions) -> None:
        async with handshake.accept(protocol.name) as socket:
            channels = WebSocketChannels(socket, protocol)
            await channels.started(options)
            await RemoteCommand(channels, session, options).run()

    return join


def _spdy_command(client: UpgradeRequest, requested: StreamOptions) -> Join:
    """Raises: HttpRefusal when there is no protocol in common."""
    offered = client.spdy_protocols()
    name = spdy_command.choose_protocol(offered)
    if name is None:
        raise HttpRefusal(403, f"unable to upgrade: {refusal_text(offered, list(spdy_command.PROTOCOLS))}")

    async def join(session: Session, options: StreamOptions) -> None:
        async with client.spdy(name) as transport:
            await spdy_command.serve(transport, spdy_command.PROTOCOLS[name], session, requested, options)

    return join


def find_pod(pods: PodLookup, namespace: str, name: str) -> Pod:
    """Raises: HttpRefusal."""
    pod = pods.find(namespace, name)
    if pod is None:
        raise HttpRefusal(404, "pod does not exist")
    return pod


def stream_options(query: Mapping[str, list[str]]) -> StreamOptions:
    """Reads the streams by the kubelet's names (input, output, error) or the API's (stdin, stdout, stderr)."""

    def is_set(*names: str) -> bool:
        return any(query.get(name, [""])[-1].lower() in ("1", "true") for name in names)

    tty = is_set("tty")
    return StreamOptions(
        is_set("input", "stdin"), is_set("output", "stdout"), is_set("error", "stderr") and not tty, tty
    )


def parse_query(exchange: HttpExchange) -> dict[str, list[str]]:
    return parse_qs(exchange.query_string.decode("latin-1"), keep_blank_values=True)
