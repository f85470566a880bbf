"""Decides which certificates the kubelet requests, and when it renews them. Pure."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from apimachinery.meta import ObjectMeta
from kubeapi.certificates.certificatesigningrequest import (
    CLIENT_AUTH,
    DIGITAL_SIGNATURE,
    KUBE_APISERVER_CLIENT_KUBELET,
    KUBELET_SERVING,
    SERVER_AUTH,
    CertificateSigningRequest,
    CertificateSigningRequestSpec,
)
from kubeapi.core.node import NODE_GROUP, NODE_USER_PREFIX

EARLIEST, LATEST = 0.7, 0.9
"""The parts of a certificate's lifetime between which it is renewed, at random: nodes don't ask all at once."""


@dataclass(frozen=True, slots=True)
class WantedCertificate:
    """A certificate of this node."""

    node: str
    signer: str
    purpose: str
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


def client_certificate(node: str) -> WantedCertificate:
    return WantedCertificate(node, KUBE_APISERVER_CLIENT_KUBELET, CLIENT_AUTH)


def serving_certificate(node: str, addresses: tuple[str, ...]) -> WantedCertificate:
    return WantedCertificate(node, KUBELET_SERVING, SERVER_AUTH, (node,), addresses)


def make_request(wanted: WantedCertificate, key: ec.EllipticCurvePrivateKey) -> CertificateSigningRequest:
    """Makes the object to create. Its name follows from key and content: a kubelet that was killed finds it again."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, NODE_GROUP),
            x509.NameAttribute(NameOID.COMMON_NAME, NODE_USER_PREFIX + wanted.node),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder(subject)
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted.dns_names]
    names += [x509.IPAddress(ip_address(address)) for address in wanted.addresses]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    spec = CertificateSigningRequestSpec(
        request=b64encode(pem).decode(), signerName=wanted.signer, usages=[DIGITAL_SIGNATURE, wanted.purpose]
    )
    return CertificateSigningRequest(metadata=ObjectMeta(name=_name(wanted, key)), spec=spec)


def _name(wanted: WantedCertificate, key: ec.EllipticCurvePrivateKey) -> str:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "node-csr-" + hashlib.sha256(public + repr(wanted).encode()).hexdigest()[:40]


def renewal_time(certificate: x509.Certificate, part: float) -> datetime:
    """Returns when to ask for the next one; `part`, 0 to 1, chooses between the earliest and the latest time."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return start + (end - start) * (EARLIEST + (LATEST - EARLIEST) * part)


def covers(certificate: x509.Certificate, wanted: WantedCertificate) -> bool:
    """Tells whether the certificate has all names and addresses that are wanted: a node's addresses may change."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return not wanted.dns_names and not wanted.addresses
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return {*wanted.dns_names} <= {*names.get_values_for_type(x509.DNSName)} and {*wanted.addresses} <= addresses
