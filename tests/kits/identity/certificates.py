"""A throw-away CA with a server and a client certificate for 127.0.0.1."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def write_certificates(folder: Path, server_name: str = "", authority: str = "test CA") -> dict[str, Path]:
    """PEM files: "ca", "server" and "client", and the keys "ca-key" …; for `server_name` instead of 127.0.0.1.

    Authorities that one server believes need different names.
    """
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate(authority, ca_key, None, ca_key, server_name)
    files = {
        "ca": _write(folder / "ca.crt", ca.public_bytes(serialization.Encoding.PEM)),
        "ca-key": _write(folder / "ca.key", _key_pem(ca_key)),
    }
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, key, ca, ca_key, server_name)
        files[name] = _write(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
        files[f"{name}-key"] = _write(folder / f"{name}.key", _key_pem(key))
    return files


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate | None,
    ca_key: ec.EllipticCurvePrivateKey,
    server_name: str,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    if ca is not None:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        loopback = x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))
        address = x509.DNSName(server_name) if server_name else loopback
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(ca_key, hashes.SHA256())
