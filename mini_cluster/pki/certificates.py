"""The cluster's certificates: three authorities (the cluster's, etcd's, the front proxy's) and a leaf per identity.

A `Certificate` describes one; `ensure` makes those that are missing, about to expire or no longer as described, and
leaves the rest alone. Keys are EC P-256, made in microseconds, and readable by their owner only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from componentbase.host.privatefiles import write_private
from mini_cluster.cluster.layout import SERVICE_ACCOUNT_KEY
from mini_cluster.cluster.state import is_ipv4

AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
CLOCK_SKEW = timedelta(minutes=5)  # a certificate is valid a little before it was made

CLUSTER_AUTHORITY = "ca"
ETCD_AUTHORITY = "etcd/ca"
FRONT_PROXY_AUTHORITY = "front-proxy-ca"
AUTHORITIES = {
    CLUSTER_AUTHORITY: "kubernetes",
    ETCD_AUTHORITY: "etcd-ca",
    FRONT_PROXY_AUTHORITY: "front-proxy-ca",
}


@dataclass(frozen=True)
class Certificate:
    """A leaf certificate that some component needs."""

    name: str
    """Path below the PKI folder, without suffix: "apiserver" is in apiserver.crt and apiserver.key."""
    common_name: str
    organization: str = ""
    hosts: tuple[str, ...] = ()
    """DNS names and IP addresses of a server; empty for a pure client."""
    authority: str = CLUSTER_AUTHORITY
    client: bool = True


@dataclass(frozen=True)
class _Issuer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure(folder: Path, certificates: list[Certificate], now: datetime) -> list[str]:
    """Makes every authority and every described certificate valid; returns the names of those that were (re)made.

    The key that signs tokens is made with them, once. `now` is aware (UTC). A remade authority remakes its leaves.
    """
    remade: list[str] = []
    issuers: dict[str, _Issuer] = {}
    for name, common_name in AUTHORITIES.items():
        issuer = _load_issuer(folder, name, now)
        if issuer is None:
            issuer = _make_authority(common_name, now)
            _write_pair(folder, name, issuer.certificate, issuer.key)
            remade.append(name)
        issuers[name] = issuer
    for certificate in certificates:
        issuer = issuers[certificate.authority]
        if not _is_good(_load_certificate(folder, certificate.name), certificate, issuer, now):
            leaf, key = _make_leaf(certificate, issuer, now)
            _write_pair(folder, certificate.name, leaf, key)
            remade.append(certificate.name)
    if not (folder / f"{SERVICE_ACCOUNT_KEY}.key").exists():
        write_private(folder / f"{SERVICE_ACCOUNT_KEY}.key", _pem(ec.generate_private_key(ec.SECP256R1())))
    return remade


def _load_certificate(folder: Path, name: str) -> x509.Certificate | None:
    """Reads a certificate; None when it or its key is missing, or they are not a pair."""
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        key = load_pem_private_key((folder / f"{name}.key").read_bytes(), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return certificate if key.public_key() == certificate.public_key() else None


def _load_issuer(folder: Path, name: str, now: datetime) -> _Issuer | None:
    certificate = _load_certificate(folder, name)
    if certificate is None or certificate.not_valid_after_utc - now < RENEW_BEFORE:
        return None
    key = load_pem_private_key((folder / f"{name}.key").read_bytes(), password=None)
    return _Issuer(certificate, key) if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _is_good(have: x509.Certificate | None, want: Certificate, issuer: _Issuer, now: datetime) -> bool:
    """Tells whether the certificate on disk is as described, by this issuer, and valid for long enough."""
    if have is None or have.not_valid_after_utc - now < RENEW_BEFORE or have.not_valid_before_utc > now:
        return False
    if have.subject != _subject(want.common_name, want.organization) or _hosts_of(have) != set(want.hosts):
        return False
    try:
        have.verify_directly_issued_by(issuer.certificate)
    except Exception:  # the library raises several types that share no base
        return False
    return True


def _hosts_of(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)}


def _subject(common_name: str, organization: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _make_authority(common_name: str, now: datetime) -> _Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(common_name, "")
    usage = _key_usage(signs_certificates=True)
    builder = _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _Issuer(builder.sign(key, hashes.SHA256()), key)


def _make_leaf(
    want: Certificate, issuer: _Issuer, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(want.common_name, want.organization)
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] if want.client else []
    if want.hosts:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = _builder(subject, issuer.certificate.subject, key.public_key(), now, LEAF_LIFETIME)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = builder.add_extension(authority_key, critical=False)
    if want.hosts:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in want.hosts]), critical=False
        )
    return builder.sign(issuer.key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - CLOCK_SKEW,
        not_valid_after=now + lifetime,
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    if is_ipv4(host):
        return x509.IPAddress(IPv4Address(host))
    return x509.IPAddress(ip_address(host)) if ":" in host else x509.DNSName(host)


def _write_pair(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """The key first: a certificate on disk has its key."""
    write_private(folder / f"{name}.key", _pem(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(Encoding.PEM), mode=0o644)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
