"""Opens connections to pods, with errors in the words of Go's network library."""

from __future__ import annotations

import asyncio
import ssl

from componentbase.net.authority import join_host_port


class DialError(Exception):
    """The pod cannot be reached, or does not answer as it should; the text is for a probe's event."""


async def dial(host: str, port: int, timeout_seconds: float) -> None:
    """Opens and closes a TCP connection. Raises: DialError."""
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise DialError(f"dial tcp {_address(host, port)}: i/o timeout") from None
    except OSError as error:
        raise DialError(dial_error(host, port, error)) from None
    writer.transport.abort()


def dial_error(host: str, port: int, error: OSError) -> str:
    """ "dial tcp 10.0.0.1:80: connect: connection refused"."""
    if isinstance(error, ssl.SSLError):
        return f"tls: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {_address(host, port)}: connect: connection refused"
    text = (error.strerror or str(error)).lower()
    return f"dial tcp {_address(host, port)}: connect: {text}"


def _address(host: str, port: int) -> str:
    return join_host_port(host, port)
