"""Certificate requests as clients send them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


@cache
def request_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def request_pem(
    name: str,
    organizations: Sequence[str] = (),
    *,
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    others: Sequence[x509.GeneralName] = (),
) -> bytes:
    """Makes a request by `request_key()`, with a name and groups, and the subject's alternative names."""
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    if name:
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    builder = x509.CertificateSigningRequestBuilder(x509.Name(names))
    alternatives: list[x509.GeneralName] = [x509.DNSName(host) for host in dns]
    alternatives += [x509.IPAddress(ip_address(address)) for address in ips]
    alternatives += others
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(request_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


def encoded_request(name: str, organizations: Sequence[str] = (), **alternatives: Sequence[str]) -> str:
    """The same as it stands in `spec.request`."""
    return b64encode(request_pem(name, organizations, **alternatives)).decode()  # type: ignore[arg-type]
