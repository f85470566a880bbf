"""Makes TLS contexts for servers and clients, and self-signed certificates for servers without one.

The cryptography library is imported where a certificate is made or read: most daemons are given theirs, and would pay
some 50 ms at start for it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from componentbase.host.privatefiles import write_private

SELF_SIGNED_DAYS = 365
RENEW_BEFORE_SECONDS = 24 * 3600


def server_context(cert_file: str, key_file: str, *client_ca_files: str) -> ssl.SSLContext:
    """Makes the context of a server. With authorities, a client may show a certificate, which one must have signed.

    Of several authorities, the one that has signed is not known in a resumed session: there are none then.

    Raises: OSError (with the file's name) or ssl.SSLError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(_readable(cert_file), _readable(key_file))
    if sum(map(bool, client_ca_files)) > 1:
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    for client_ca_file in filter(None, client_ca_files):
        context.load_verify_locations(cafile=_readable(client_ca_file))
        context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def client_context(
    *,
    ca_file: str = "",
    ca_data: str = "",
    cert_file: str = "",
    key_file: str = "",
    cert_data: str = "",
    key_data: str = "",
    insecure: bool = False,
) -> ssl.SSLContext:
    """Makes the context of a client. Authority, certificate and key come as PEM files or PEM text; text wins.

    Without an authority the system's own are trusted. Raises: OSError or ssl.SSLError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_data:
        context.load_verify_locations(cadata=ca_data)
    elif ca_file:
        context.load_verify_locations(cafile=_readable(ca_file))
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if cert_file or cert_data:
        with _as_file(cert_data, cert_file) as cert, _as_file(key_data, key_file) as key:
            context.load_cert_chain(cert, key or None)
    context.set_alpn_protocols(["http/1.1"])
    return context


def trusted_authority(connection: ssl.SSLObject) -> str:
    """SHA-256 of the trusted certificate that the other end's leads to, in hexadecimal.

    "" where that is not known: without a certificate, or when the session was resumed.
    """
    inner: Any = connection if sys.version_info >= (3, 13) else getattr(connection, "_sslobj", None)
    chain = inner.get_verified_chain() if inner is not None else None
    if not chain:
        return ""
    last = chain[-1]
    return sha256(last if isinstance(last, bytes) else ssl.PEM_cert_to_DER_cert(last.public_bytes())).hexdigest()


def authorities(ca_file: str) -> frozenset[str]:
    """SHA-256 of each certificate in a PEM file, in hexadecimal. Raises: OSError or ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=_readable(ca_file))
    return frozenset(sha256(der).hexdigest() for der in context.get_ca_certs(binary_form=True))


@contextlib.contextmanager
def _as_file(data: str, file: str) -> Iterator[str]:
    """Yields `file`, or a private temporary file with `data`: the ssl module reads key pairs from files alone."""
    if not data:
        yield _readable(file) if file else ""
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as temporary:
        temporary.write(data)
        temporary.flush()
        yield temporary.name


def _readable(file: str) -> str:
    """Returns the path, or raises the OSError that names the file: the ssl module's own errors don't."""
    with open(file, "rb"):
        return file


def self_signed(cert_dir: str, name: str, addresses: tuple[str, ...] = ()) -> tuple[str, str]:
    """Returns the paths of `NAME.crt` and `NAME.key` in `cert_dir`; makes both when missing or almost expired."""
    folder = Path(cert_dir)
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    if not (key.exists() and cert.exists() and _still_valid(cert)):
        folder.mkdir(parents=True, exist_ok=True)
        cert_pem, key_pem = _make_self_signed(name, addresses)
        write_private(key, key_pem)
        write_private(cert, cert_pem, 0o644)
    return str(cert), str(key)


def private_key(cert_dir: str, name: str) -> str:
    """Returns the path of the private key `NAME.key` in `cert_dir`; makes it, on EC P-256, when it is missing."""
    key = Path(cert_dir) / f"{name}.key"
    if not key.exists():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        new_key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.PKCS8
        key.parent.mkdir(parents=True, exist_ok=True)
        write_private(key, new_key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return str(key)


def _still_valid(cert: Path) -> bool:
    from cryptography import x509

    try:
        parsed = x509.load_pem_x509_certificate(cert.read_bytes())
    except ValueError:
        return False
    return parsed.not_valid_after_utc.timestamp() > time.time() + RENEW_BEFORE_SECONDS


def _make_self_signed(name: str, addresses: tuple[str, ...]) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name}@{socket.gethostname()}"[:64])])
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in (socket.gethostname(), "localhost")]
    names += [x509.IPAddress(ip_address(address)) for address in {"127.0.0.1", *addresses}]
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_pem = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return cert.public_bytes(pem), key_pem
