"""Keeps a certificate with its key in one file, so that both are replaced in one step."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from componentbase import logs

log = logs.logger(__name__)


class CertificateFiles:
    """`NAME-current.pem` holds the certificate and its key, `NAME.key.tmp` the key of a request that is under way."""

    def __init__(self, folder: str, name: str) -> None:
        self.current = Path(folder, f"{name}-current.pem")
        self._pending = Path(folder, f"{name}.key.tmp")

    def load(self, now: datetime) -> x509.Certificate | None:
        """Returns the certificate; None where there is none, or one that has expired or lacks its key."""
        try:
            content = self.current.read_bytes()
            certificate = x509.load_pem_x509_certificate(content)
            key = load_pem_private_key(content, password=None)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            log.warning("certificate file can't be read", file=str(self.current), error=str(error))
            return None
        if key.public_key() != certificate.public_key() or not _is_valid(certificate, now):
            return None
        return certificate

    def pending_key(self) -> ec.EllipticCurvePrivateKey:
        """Returns the key for the next certificate, on P-256; it is made once, and found again after a restart."""
        try:
            key = load_pem_private_key(self._pending.read_bytes(), password=None)
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return key
        except (FileNotFoundError, ValueError, TypeError):
            pass  # none yet, or one that was cut off by a full disk
        key = ec.generate_private_key(ec.SECP256R1())
        _write(self._pending, _key_pem(key))
        return key

    def drop_pending_key(self) -> None:
        """Gives up the request that is under way."""
        self._pending.unlink(missing_ok=True)

    def replace(self, certificates: bytes, key: ec.EllipticCurvePrivateKey) -> None:
        """Makes the certificate (PEM, with those of its issuers) the current one."""
        _write(self.current, certificates.rstrip() + b"\n" + _key_pem(key))
        self.drop_pending_key()


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """Replaces the file at once; only its owner may read it, and the folder."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
