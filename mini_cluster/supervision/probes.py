"""Asks a component whether it is ready: one HTTP GET, cheap while nothing listens yet."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

from mini_cluster.cluster.components import HttpProbe, HttpsProbe, Probe, SocketProbe

PROBE_SECONDS = 3.0  # for one question


class Prober:
    """Answers probes for the cluster whose certificates are below `pki`."""

    def __init__(self, pki: Path) -> None:
        self._pki = pki
        self._contexts: dict[tuple[str, str], ssl.SSLContext] = {}

    def forget_certificates(self) -> None:
        """Certificates are read anew: call it after they were remade."""
        self._contexts.clear()

    async def is_ready(self, probe: Probe) -> bool:
        """Whether the component answers 200 within `PROBE_SECONDS`."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._ask(probe)
        except (OSError, ssl.SSLError, TimeoutError, EOFError, ValueError):
            return False

    async def _ask(self, probe: Probe) -> bool:
        if isinstance(probe, SocketProbe):
            reader, writer = await asyncio.open_unix_connection(str(probe.socket))
            return await _get(reader, writer, "localhost", probe.path)
        connection = await _connect(probe.host, probe.port)
        if isinstance(probe, HttpProbe):
            reader, writer = await asyncio.open_connection(sock=connection)
        else:
            context = self._context(probe)
            reader, writer = await asyncio.open_connection(sock=connection, ssl=context, server_hostname=probe.host)
        return await _get(reader, writer, probe.host, probe.path)

    def _context(self, probe: HttpsProbe) -> ssl.SSLContext:
        key = (probe.authority, probe.certificate)
        if key not in self._contexts:
            context = ssl.create_default_context(cafile=str(self._pki / f"{probe.authority}.crt"))
            certificate = self._pki / probe.certificate
            context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
            self._contexts[key] = context
        return self._contexts[key]


async def _connect(host: str, port: int) -> socket.socket:
    """Raises: OSError; a refused connection is far cheaper than a TLS context, so it comes before that."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (host, port))
    except BaseException:
        connection.close()
        raise
    return connection


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> bool:
    """Whether the answer is a 200. It is read to its end: a server may complain of a client that hangs up."""
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        return answer.split(b" ", 2)[1:2] == [b"200"]
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
