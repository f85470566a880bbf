"""grpc: asks the gRPC health service; the status SERVING is success."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from apimachinery.text.durations import format_duration
from componentbase.net.authority import join_host_port
from componentbase.net.http2 import Http2Connection, Http2Error, Http2Stream, header_block
from componentbase.net.varint import varint
from kubeapi.core.pod.probes import GRPCAction
from kubelet.probe.dial import dial_error
from kubelet.probe.interface import ProbedContainer, ProbeType
from kubelet.probe.state import ProbeResult

PATH = "/grpc.health.v1.Health/Check"
STATUS_NAMES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
MESSAGE_LIMIT = 64 * 1024
PREFIX_BYTES = 5  # of a message: whether it is compressed, and its length


async def attempt(container: ProbedContainer, action: GRPCAction, limit_seconds: float) -> ProbeResult:
    host, port = container.pod_ip, action.port
    try:
        async with asyncio.timeout(limit_seconds):
            status = await _check(host, port, action.service or "")
    except TimeoutError:
        why = f'timeout: failed to connect service "{host}:{port}" within {format_duration(limit_seconds)}'
        return ProbeResult("failure", why + ": context deadline exceeded")
    except OSError as error:
        return ProbeResult("failure", f"error: {dial_error(host, port, error)}")
    except GrpcError as error:
        return ProbeResult("failure", f"error: health rpc failed: {error}")
    if status == "SERVING":
        return ProbeResult("success", "service healthy")
    return ProbeResult("failure", f'service unhealthy (responded with "{status}")')


class GrpcError(Exception):
    """The server gave no health status."""


async def _check(host: str, port: int, service: str) -> str:
    """The name of the service's status: "SERVING", "NOT_SERVING" …

    Raises: GrpcError; OSError. Set a timeout around it.
    """
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Http2Connection, host, port)
    try:
        call = _Call(loop)
        connection.open(call, _headers(join_host_port(host, port)), _request(service))
        body = await call.body
    except Http2Error as error:
        raise GrpcError(str(error)) from None
    finally:
        connection.ready.cancel()
        connection.abort()
    if len(body) < PREFIX_BYTES:
        raise GrpcError("the server does not implement the gRPC health protocol or does not know the service")
    return STATUS_NAMES.get(_status(body[PREFIX_BYTES:]), "UNKNOWN")


class _Call(Http2Stream):
    """Response headers say nothing here: an answer with a message is a status, and one without is a failure."""

    __slots__ = ("_received", "body")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.body: asyncio.Future[bytes] = loop.create_future()
        self._received = b""

    def on_headers(self, headers: Mapping[str, str], last: bool) -> None:
        if last:
            self._end(None)

    def on_data(self, data: bytes, last: bool) -> None:
        self._received += data
        if len(self._received) > MESSAGE_LIMIT:
            self._end(GrpcError("the answer is too long"))
        elif last:
            self._end(None)

    def on_failure(self, error: Http2Error) -> None:
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self.body.done():
            return
        if error is None:
            self.body.set_result(self._received)
        else:
            self.body.set_exception(error)


def _headers(authority: str) -> bytes:
    return header_block(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", PATH),
            (":authority", authority),
            ("content-type", "application/grpc"),
            ("user-agent", "kube-probe/1.35"),
            ("te", "trailers"),
        ]
    )


def _request(service: str) -> bytes:
    """HealthCheckRequest{service = 1}, with gRPC's prefix before it."""
    name = service.encode()
    message = b"\x0a" + varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _status(message: bytes) -> int:
    """HealthCheckResponse{status = 1}; an absent field is 0."""
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


PROBE = ProbeType("grpc", attempt)
