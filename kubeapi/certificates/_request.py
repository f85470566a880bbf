"""Reads and checks what is inside a CertificateSigningRequest: the PEM of the request and of the answer.

Imported by the first request: `cryptography` costs every process that loads the kinds 50 ms and 9 MiB.
"""

from __future__ import annotations

from base64 import b64decode

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_BEGIN, _END = b"-----BEGIN ", b"-----END "


class BadPem(ValueError):
    """The text is not the PEM that it should be; the message is for the client."""


def parse_request(encoded: str) -> x509.CertificateSigningRequest:
    """Reads the base64 of a PEM block `CERTIFICATE REQUEST` (PKCS#10).

    Raises: BadPem.
    """
    pem = b64decode(encoded)
    blocks = pem_blocks(pem)
    if not blocks or blocks[0] not in ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"):
        raise BadPem("PEM block type must be CERTIFICATE REQUEST")
    try:
        request = x509.load_pem_x509_csr(pem)
        key, _ = request.public_key(), request.extensions  # these are parsed when they are looked at
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise BadPem(f"the request can't be parsed: {error}") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise BadPem("the key must be of RSA, an elliptic curve, or Ed25519")
    return request


def is_signed(request: x509.CertificateSigningRequest) -> bool:
    """Tells whether the request is signed by the key that it is about."""
    try:
        return request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        return False


def common_name(subject: x509.Name) -> str:
    """Returns the last common name; "" where there is none."""
    names = [str(item.value) for item in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return names[-1] if names else ""


def organizations(subject: x509.Name) -> list[str]:
    return [str(item.value) for item in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


def pem_blocks(text: bytes) -> list[str]:
    """Returns the types of the PEM blocks, such as "CERTIFICATE"; text between blocks is skipped."""
    return [
        line.removeprefix(_BEGIN).removesuffix(b"-----").decode(errors="replace")
        for line in (line.strip() for line in text.splitlines())
        if line.startswith(_BEGIN) and line.endswith(b"-----")
    ]


def certificate_error(encoded: str) -> str:
    """Says what is wrong with the base64 of a chain of PEM certificates; "" if nothing is."""
    text = b64decode(encoded)
    blocks = pem_blocks(text)
    for block in blocks:
        if block != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{block}"'
    if not blocks or text.count(_END) < len(blocks):
        return "must contain at least one CERTIFICATE PEM block"
    if b":" in text.partition(_BEGIN)[2].rpartition(_END)[0]:
        return "no PEM block headers are permitted"
    try:
        for certificate in x509.load_pem_x509_certificates(text):
            certificate.public_bytes(Encoding.DER)
    except ValueError as error:
        return f"failed to parse certificate: {error}"
    return ""
