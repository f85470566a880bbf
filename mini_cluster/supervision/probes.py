"""Asks a component whether it is ready: one HTTP GET, cheap while nothing listens yet.

By the daemons' HTTP client and not by httpx, which would make the supervisor half as large again (11 MB).
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from componentbase import tls
from componentbase.net.http1_client import connect, request_head
from mini_cluster.cluster.component import (
    HttpProbe,
    HttpsProbe,
    OwnHttpsProbe,
    ReadinessProbe,
    SocketProbe,
)

PROBE_SECONDS = 3.0  # for one question


class ReadinessProber:
    """Answers probes for the cluster whose certificates are below `pki`."""

    def __init__(self, pki: Path) -> None:
        self._pki = pki
        self._contexts: dict[tuple[str, str], ssl.SSLContext] = {}

    def forget_certificates(self) -> None:
        """Lets certificates be read again: call it after they were remade."""
        self._contexts.clear()

    async def is_ready(self, probe: ReadinessProbe) -> bool:
        """Tells whether the component answers 200 within `PROBE_SECONDS`."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                return await self._ask(probe) == 200
        except OSError:  # with it ConnectionError, ssl.SSLError and TimeoutError
            return False

    async def _ask(self, probe: ReadinessProbe) -> int:
        if isinstance(probe, SocketProbe):
            host, connection = "localhost", await connect(str(probe.socket))
        else:
            context = None if isinstance(probe, HttpProbe) else self._context(probe)
            host, connection = probe.host, await connect(probe.host, probe.port, tls=context)
        try:
            headers = [(b"Host", host.encode()), (b"Connection", b"close")]
            response = await connection.request(request_head("GET", probe.path.encode(), headers))
            return response.status
        finally:
            connection.close()

    def _context(self, probe: HttpsProbe | OwnHttpsProbe) -> ssl.SSLContext:
        if isinstance(probe, OwnHttpsProbe):
            return tls.client_context(insecure=True)
        key = (probe.authority, probe.certificate)
        if key not in self._contexts:
            certificate = self._pki / probe.certificate
            self._contexts[key] = tls.client_context(
                ca_file=str(self._pki / f"{probe.authority}.crt"),
                cert_file=f"{certificate}.crt",
                key_file=f"{certificate}.key",
            )
        return self._contexts[key]
