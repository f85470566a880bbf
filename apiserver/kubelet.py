"""The way to a pod's kubelet, for what only the node can tell: logs and exec. Mutual TLS, addresses from the Node.

Source: Kubernetes documentation, "Communication between Nodes and the Control Plane".
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import Any

import httptools
import orjson

from apimachinery.errors import ServiceUnavailable, StatusError, from_status
from apimachinery.model import decode
from apiserver.options import Options
from apiserver.storage import Storage
from componentbase import tls

ADDRESS_TYPES = ("InternalIP", "Hostname", "InternalDNS", "ExternalIP", "ExternalDNS")
DEFAULT_PORT = 10250
CONNECT_SECONDS = 10.0
HEAD_SECONDS = 30.0  # for a kubelet to begin its answer
MAX_HEAD_BYTES = 64 * 1024
MAX_ERROR_BYTES = 64 * 1024  # of a refusal's body; the rest is dropped
CHUNK_BYTES = 64 * 1024  # read at once from a kubelet; a slow client makes it wait there


@dataclass(frozen=True, slots=True)
class Location:
    node: str
    host: str
    port: int


class KubeletClient:
    def __init__(self, options: Options, storage: Storage, nodes: Any) -> None:
        """`nodes` is the Node resource."""
        self._options = options
        self._storage = storage
        self._nodes = nodes
        self._context: ssl.SSLContext | None = None

    def locate(self, node_name: str) -> Location:
        """Raises: ServiceUnavailable for a node that is unknown or has no address."""
        entry = self._storage.peek(self._nodes, "", node_name)
        if entry is None:
            raise ServiceUnavailable(f'the node "{node_name}" of the pod is not known')
        status = decode(self._nodes.model, entry.value).status
        addresses = {address.type: address.address for address in reversed(status.addresses or ())}
        host = next((addresses[kind] for kind in ADDRESS_TYPES if addresses.get(kind)), "")
        if not host:
            raise ServiceUnavailable(f'the node "{node_name}" has no address')
        endpoint = status.daemonEndpoints.kubeletEndpoint
        return Location(node_name, host, endpoint.Port if endpoint and endpoint.Port else DEFAULT_PORT)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            options = self._options
            self._context = tls.client_context(
                ca_file=options.kubelet_certificate_authority,
                cert_file=options.kubelet_client_certificate,
                key_file=options.kubelet_client_key,
                insecure=not options.kubelet_certificate_authority,
            )
        return self._context

    async def open(self, location: Location, request: bytes) -> KubeletResponse:
        """Sends a request head and returns once the answer's head is there; close the result.

        Raises: ServiceUnavailable when the kubelet can't be reached or does not speak HTTP.
        """
        where = f"{location.host}:{location.port}"
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    location.host, location.port, ssl=self._tls(), limit=MAX_HEAD_BYTES
                )
        except TimeoutError:
            raise ServiceUnavailable(f"the kubelet of {location.node} did not answer at {where}") from None
        except OSError as error:  # refused, no route, a certificate that does not verify
            raise ServiceUnavailable(f"the kubelet of {location.node} can't be reached at {where}: {error}") from None
        try:
            writer.write(request)
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            return KubeletResponse(head, reader, writer)
        except TimeoutError:
            writer.close()
            raise ServiceUnavailable(f"the kubelet of {location.node} did not answer in time") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, httptools.HttpParserError) as error:
            writer.close()
            raise ServiceUnavailable(f"the kubelet of {location.node} broke off: {error}") from None
        except BaseException:
            writer.close()
            raise


class KubeletResponse:
    """An answer whose body is read as it comes."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises: httptools.HttpParserError."""
        self.head = head
        self.reader = reader
        self.writer = writer
        self._chunks: list[bytes] = []
        self._ended = False
        self._parser = httptools.HttpResponseParser(self)
        with contextlib.suppress(httptools.HttpParserUpgrade):
            self._parser.feed_data(head)
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        self._ended = True

    async def next_chunk(self) -> bytes:
        """b"" at the end, and when the kubelet broke off: what came until then has been sent on already."""
        while not self._chunks:
            if self._ended:
                return b""
            try:
                data = await self.reader.read(CHUNK_BYTES)
                if not data:
                    return b""
                self._parser.feed_data(data)
            except (OSError, httptools.HttpParserError):
                return b""
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        return chunk

    def __aiter__(self) -> KubeletResponse:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.next_chunk()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def error(self) -> StatusError:
        """The refusal as a Status: the kubelet's own, or its text under its code."""
        body = b""
        while len(body) < MAX_ERROR_BYTES and (chunk := await self.next_chunk()):
            body += chunk
        self.close()
        try:
            status = orjson.loads(body)
        except orjson.JSONDecodeError:
            status = None
        if not isinstance(status, dict) or status.get("kind") != "Status":
            status = {"message": body.decode("utf-8", "replace").strip() or "the kubelet refused the request"}
        return from_status(status, self.status)

    def close(self) -> None:
        self.writer.close()
