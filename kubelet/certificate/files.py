"""Keeps a certificate with its key in one file, so that both are replaced in one step."""

from __future__ import annotations

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
from componentbase.clock import Clock
from componentbase.host.privatefiles import write_private

log = logs.logger(__name__)


class CertificateFiles:
    """`NAME-current.pem` holds the certificate and its key, `NAME.key.tmp` the key of a request that is under way."""

    def __init__(self, folder: str, name: str, clock: Clock) -> None:
        self.current = Path(folder, f"{name}-current.pem")
        self._pending = Path(folder, f"{name}.key.tmp")
        self._clock = clock

    def load(self) -> x509.Certificate | None:
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
        if key.public_key() != certificate.public_key() or not _is_valid(certificate, self._clock.now()):
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
        write_private(self._pending, _key_pem(key), durable=True)
        return key

    def drop_pending_key(self) -> None:
        """Gives up the request that is under way."""
        self._pending.unlink(missing_ok=True)

    def replace(self, certificates: bytes, key: ec.EllipticCurvePrivateKey) -> None:
        """Makes the certificate (PEM, with those of its issuers) the current one."""
        write_private(self.current, certificates.rstrip() + b"\n" + _key_pem(key), durable=True)
        self.drop_pending_key()


def _is_valid(certificate: x509.Certificate, now: float) -> bool:
    return certificate.not_valid_before_utc.timestamp() <= now < certificate.not_valid_after_utc.timestamp()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
