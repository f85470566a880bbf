"""Connects to a pod's kubelet: mutual TLS, at the address that the Node tells.

Source: Kubernetes documentation, "Communication between Nodes and the Control Plane".
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apimachinery.errors import ServiceUnavailable, StatusError, UnclassifiedError, from_status, object_not_found
from apimachinery.model import decode
from apiserver.storage import Storage
from apiserver.storage.interface import Entry
from componentbase import tls
from componentbase.net.authority import join_host_port
from componentbase.net.http1_client import Header, ResponseStream, connect, request_head

ADDRESS_TYPES = ("InternalIP", "Hostname", "InternalDNS", "ExternalIP", "ExternalDNS")
DEFAULT_PORT = 10250
HEAD_SECONDS = 30.0  # for a kubelet to begin its answer
MAX_ERROR_BYTES = 64 * 1024  # of a refusal's body; the rest is dropped


@dataclass(frozen=True, slots=True)
class Location:
    node: str
    host: str
    port: int


class Kubelets:
    """Speaks to kubelets wherever they are."""

    def __init__(self, make_context: Callable[[], ssl.SSLContext]) -> None:
        self._make_context = make_context
        self._context: ssl.SSLContext | None = None

    def tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = self._make_context()
        return self._context

    async def open(
        self, location: Location, path: str, headers: Sequence[Header] = (), *, may_switch: bool = False
    ) -> ResponseStream:
        """Asks the kubelet for `path` and returns once the head of its answer is there; close the result.

        Raises: ServiceUnavailable when the kubelet can't be reached or does not speak HTTP.
        """
        where = join_host_port(location.host, location.port)
        try:
            connection = await connect(location.host, location.port, tls=self.tls())
        except OSError as error:
            why = unreachable_reason(error)
            raise ServiceUnavailable(f"the kubelet of {location.node} can't be reached at {where}: {why}") from None
        head = request_head("GET", path.encode(), ((b"host", where.encode()), *headers))
        try:
            return await connection.start_stream(head, HEAD_SECONDS, may_switch=may_switch)
        except TimeoutError:
            raise ServiceUnavailable(f"the kubelet of {location.node} did not answer in time") from None
        except ConnectionError as error:
            raise ServiceUnavailable(f"the kubelet of {location.node} broke off: {error}") from None


class KubeletClient(Kubelets):
    """Finds kubelets by what is stored of their nodes."""

    def __init__(self, ca_file: str, cert_file: str, key_file: str, storage: Storage, nodes: Any) -> None:
        """`ca_file` signed the kubelets' certificates; the others are this server's own. `nodes` is the Node resource.

        Without `ca_file` any certificate of a kubelet is taken.
        """
        files = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
        super().__init__(lambda: tls.client_context(**files, insecure=not ca_file))
        self._storage = storage
        self._nodes = nodes

    async def locate(self, node_name: str) -> Location:
        """Looks at what is stored now where the cache has no address, for the node may just have told it.

        Raises: NotFound for an unknown node; UnclassifiedError for one without an address, as upstream has it.
        """
        location = self._location(self._storage.peek(self._nodes, "", node_name))
        if location is None:
            entry = await self._storage.get(self._nodes, "", node_name, min_revision=None)
            if entry is None:
                raise object_not_found("nodes", "", node_name)
            location = self._location(entry)
        if location is None:
            raise UnclassifiedError("no preferred addresses found; known addresses: []")
        return location

    def _location(self, entry: Entry | None) -> Location | None:
        """Returns None for a node without an address."""
        if entry is None:
            return None
        return location_of(entry.name, decode(self._nodes.model, entry.value).status)


def location_of(name: str, status: Any) -> Location | None:
    """Reads the status of a node. Returns None for one without an address."""
    addresses = {address.type: address.address for address in reversed(status.addresses or ())}
    host = next((addresses[kind] for kind in ADDRESS_TYPES if addresses.get(kind)), "")
    return Location(name, host, status.daemonEndpoints.kubeletEndpoint.Port or DEFAULT_PORT) if host else None


def unreachable_reason(error: Exception) -> str:
    """Says why a connection failed: refused, without a route, not verified, or not answered."""
    return "connection timed out" if isinstance(error, TimeoutError) else str(error)


async def refusal(answer: ResponseStream) -> StatusError:
    """Turns a kubelet's refusal into a Status: its own, or its text under its code."""
    body = await answer.read_start(MAX_ERROR_BYTES)
    answer.close()
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        status = {"message": body.decode("utf-8", "replace").strip() or "the kubelet refused the request"}
    return from_status(status, answer.status)
