"""What a connection tells about its client: the ASGI `tls` extension, made once for each connection.

Source: ASGI TLS extension 0.2; `client_cert_subject`, `client_cert_digest` and `user` are our own additions.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any


def tls_extension(transport: asyncio.BaseTransport) -> dict[str, Any]:
    """Empty for a connection without TLS. A certificate that is there has been verified by the handshake."""
    connection = transport.get_extra_info("ssl_object")
    if connection is None:
        return {}
    certificate = connection.getpeercert() or {}
    cipher = connection.cipher()
    return {
        "server_cert": None,
        "client_cert_chain": _Chain(connection) if certificate else (),
        "client_cert_name": _distinguished_name(certificate.get("subject", ())) or None,
        "client_cert_error": None,
        "client_cert_subject": certificate.get("subject", ()),
        "client_cert_digest": sha256(connection.getpeercert(binary_form=True)).hexdigest() if certificate else "",
        "tls_version": {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}.get(connection.version()),
        "cipher_suite": cipher[0] if cipher else None,
    }


class _Chain:
    """The client's certificate as PEM, encoded only for whoever looks at it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __iter__(self) -> Any:
        import ssl

        der = self._connection.getpeercert(binary_form=True)
        return iter([ssl.DER_cert_to_PEM_cert(der)] if der else [])


_SHORT = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C"}


def _distinguished_name(subject: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """RFC 4514: the most specific part first."""
    parts = ["+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in part) for part in subject]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    return "".join(f"\\{char}" if char in ',+"\\<>;=' else char for char in value)
