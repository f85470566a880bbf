"""Signs requests by the key of an authority. Without I/O but for the reading of the authority's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from kubeapi.certificates.certificatesigningrequest import MIN_SECONDS

BACKDATE = timedelta(minutes=5)  # clocks differ
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_EXTENDED: dict[str, ObjectIdentifier] = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": ObjectIdentifier("2.16.840.1.113730.4.1"),
}


class AuthorityError(Exception):
    """The authority's certificate or key can't be used."""


@dataclass(frozen=True)
class Authority:
    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def load(cls, certificate_file: str, key_file: str) -> Authority:
        """Raises: AuthorityError."""
        try:
            certificate = x509.load_pem_x509_certificate(Path(certificate_file).read_bytes())
            key = load_pem_private_key(Path(key_file).read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise AuthorityError(f"the authority in {certificate_file}, {key_file}: {error}") from None
        if not isinstance(key, PrivateKey):
            raise AuthorityError(f"{key_file}: only RSA, EC and Ed25519 keys sign certificates")
        if key.public_key() != certificate.public_key():
            raise AuthorityError(f"the key in {key_file} is not that of the certificate in {certificate_file}")
        return cls(certificate, key)

    def sign(
        self, request: x509.CertificateSigningRequest, usages: Sequence[str], lifetime: timedelta, now: datetime
    ) -> bytes:
        """Makes the certificate in PEM. It ends with the authority's own at the latest. `now` is aware (UTC)."""
        before = max(now - BACKDATE, self.certificate.not_valid_before_utc)
        builder = x509.CertificateBuilder(
            issuer_name=self.certificate.subject,
            subject_name=request.subject,
            public_key=request.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=before,
            not_valid_after=min(now + lifetime, self.certificate.not_valid_after_utc),
        )
        if (key_usage := _key_usage(usages)) != _key_usage(()):  # one without a usage makes a certificate invalid
            builder = builder.add_extension(key_usage, critical=True)
        if purposes := [_EXTENDED[usage] for usage in usages if usage in _EXTENDED]:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            builder = builder.add_extension(names.value, critical=names.critical)
        except x509.ExtensionNotFound:
            pass
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.key, algorithm).public_bytes(Encoding.PEM)


def lifetime(requested_seconds: int | None, longest: timedelta) -> timedelta:
    """Returns the time for which a certificate is valid: what is asked for, up to the signer's own, and 10 minutes."""
    if requested_seconds is None:
        return longest
    return max(min(timedelta(seconds=requested_seconds), longest), timedelta(seconds=MIN_SECONDS))


def utc(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage:
    wanted = set(usages)
    agrees = "key agreement" in wanted
    return x509.KeyUsage(
        digital_signature=bool(wanted & {"digital signature", "signing"}),
        content_commitment="content commitment" in wanted,
        key_encipherment="key encipherment" in wanted,
        data_encipherment="data encipherment" in wanted,
        key_agreement=agrees,
        key_cert_sign="cert sign" in wanted,
        crl_sign="crl sign" in wanted,
        encipher_only=agrees and "encipher only" in wanted,  # these two mean something beside that one alone
        decipher_only=agrees and "decipher only" in wanted,
    )
