"""A cluster's Services and endpoints in memory, and a resolver of the world that answers what a test says."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from dnslib import RR, DNSRecord

from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice


class FakeCluster:
    """Holds what its methods have put there; keys are "namespace/name"."""

    def __init__(self) -> None:
        self.synced = True
        self.serial = 1
        self.namespaces = {"default", "prod"}
        self.services: dict[str, Service] = {}
        self.endpoint_slices: list[EndpointSlice] = []
        self.pods: set[tuple[str, str]] = set()

    def add(self, name: str, *ips: str, namespace: str = "default", ports: str = "http/TCP/80", **spec: Any) -> None:
        """`ports` are "NAME/PROTOCOL/NUMBER", with blanks between."""
        listed = [part.split("/") for part in ports.split()]
        ports_of_spec = [{"name": name, "protocol": protocol, "port": int(port)} for name, protocol, port in listed]
        addresses = {"clusterIP": ips[0], "clusterIPs": list(ips)} if ips else {}
        self.services[f"{namespace}/{name}"] = Service.model_validate(
            {"metadata": {"name": name, "namespace": namespace}, "spec": {"ports": ports_of_spec, **addresses, **spec}}
        )

    def add_slice(self, service: str, *endpoints: dict[str, Any], ports: str = "http/TCP/8080", **more: Any) -> None:
        listed = [part.split("/") for part in ports.split()]
        metadata = {"name": f"{service}-1", "namespace": "default", "labels": {"kubernetes.io/service-name": service}}
        body = {
            "metadata": metadata,
            "addressType": "IPv4",
            "ports": [{"name": name, "protocol": protocol, "port": int(port)} for name, protocol, port in listed],
            "endpoints": list(endpoints),
        }
        self.endpoint_slices.append(EndpointSlice.model_validate(body | more))

    def service(self, namespace: str, name: str) -> Service | None:
        return self.services.get(f"{namespace}/{name}")

    def slices(self, namespace: str, name: str) -> list[EndpointSlice]:
        return [i for i in self.endpoint_slices if (i.namespace, i.service_name) == (namespace, name)]

    def has_namespace(self, name: str) -> bool:
        return name in self.namespaces

    def has_pod(self, namespace: str, address: str) -> bool:
        return (namespace, address) in self.pods

    def services_at(self, address: str) -> list[Service]:
        return [item for item in self.services.values() if address in (item.spec.clusterIPs or ())]

    def slices_at(self, address: str) -> list[EndpointSlice]:
        return [i for i in self.endpoint_slices if any(address in e.addresses for e in i.endpoints)]


class FakeResolver:
    """Answers by UDP and TCP on loopback with the records of a zone file, and NXDOMAIN with a SOA record else.

    `silent` has it answer nothing, `tamper` changes its answers by UDP.
    """

    def __init__(self, zone: str) -> None:
        self.records = RR.fromZone(zone)
        self.asked: list[str] = []
        self.by_tcp: list[str] = []
        self.silent = False
        self.tamper: Callable[[DNSRecord], bytes] = lambda reply: bytes(reply.pack())
        self.address = ""
        """ "ADDRESS#PORT", once it serves."""

    def reply(self, data: bytes) -> DNSRecord:
        query = DNSRecord.parse(data)
        name, reply = str(query.q.qname), query.reply()
        self.asked.append(name)
        same_name = [record for record in self.records if str(record.rname) == name]
        matching = [record for record in same_name if record.rtype == query.q.qtype]
        for record in matching:
            reply.add_answer(record)
        if not matching:
            reply.header.rcode = 0 if same_name else 3
            for record in RR.fromZone("example. 60 IN SOA ns.example. admin.example. 1 7200 1800 86400 20"):
                reply.add_auth(record)
        return reply

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeResolver]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = self.reply(await reader.readexactly(length))
            self.by_tcp.append(str(answer.q.qname))
            packed = bytes(answer.pack())
            writer.write(struct.pack("!H", len(packed)) + packed)
            await writer.drain()
            writer.close()

        loop, udp = asyncio.get_running_loop(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setblocking(False)
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        udp.bind(("127.0.0.1", port))  # few use UDP here
        self.address = f"127.0.0.1#{port}"

        def receive() -> None:
            data, client = udp.recvfrom(4096)
            reply = self.reply(data)
            if not self.silent:
                udp.sendto(self.tamper(reply), client)

        loop.add_reader(udp, receive)
        try:
            yield self
        finally:
            loop.remove_reader(udp)
            udp.close()
            server.close()
