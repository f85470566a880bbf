"""CertificateSigningRequests, with the subject that is in the request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.columns import label_text
from apimachinery.model import from_dict
from apimachinery.times import human_duration
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter, when
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    # Late: these bring a library that no other command needs.
    from kubeapi.certificates._request import parse_request
    from kubeapi.certificates.certificatesigningrequest import CertificateSigningRequest, condition_text

    meta, spec = obj["metadata"], obj["spec"]
    writer.field("Name", meta["name"])
    for label, key in (("Labels", "labels"), ("Annotations", "annotations")):
        writer.field(label, label_text(meta.get(key)))
    writer.field("CreationTimestamp", when(meta.get("creationTimestamp")))
    writer.field("Requesting User", spec.get("username", ""))
    writer.present(spec, [("Signer", "signerName")])
    if spec.get("expirationSeconds") is not None:
        writer.field("Requested Duration", human_duration(spec["expirationSeconds"]))
    writer.field("Status", condition_text(from_dict(CertificateSigningRequest, obj)))
    _write_request(writer, parse_request(spec["request"]))


def _write_request(writer: TextWriter, request: Any) -> None:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    def subject(oid: Any) -> list[str]:
        return [str(attribute.value) for attribute in request.subject.get_attributes_for_oid(oid)]

    writer.heading("Subject")
    for label, oid in (("Common Name", NameOID.COMMON_NAME), ("Serial Number", NameOID.SERIAL_NUMBER)):
        writer.line(f"\t{label}:\t{(subject(oid) or [''])[-1]}")
    for label, oid in (
        ("Organization", NameOID.ORGANIZATION_NAME),
        ("Organizational Unit", NameOID.ORGANIZATIONAL_UNIT_NAME),
        ("Country", NameOID.COUNTRY_NAME),
        ("Locality", NameOID.LOCALITY_NAME),
        ("Province", NameOID.STATE_OR_PROVINCE_NAME),
        ("StreetAddress", NameOID.STREET_ADDRESS),
        ("PostalCode", NameOID.POSTAL_CODE),
    ):
        _list(writer, label, subject(oid))
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    writer.heading("Subject Alternative Names")
    _list(writer, "DNS Names", names.get_values_for_type(x509.DNSName))
    _list(writer, "Email Addresses", names.get_values_for_type(x509.RFC822Name))
    _list(writer, "URIs", names.get_values_for_type(x509.UniformResourceIdentifier))
    _list(writer, "IP Addresses", names.get_values_for_type(x509.IPAddress))


def _list(writer: TextWriter, label: str, values: Iterable[Any]) -> None:
    texts = [str(value) for value in values]
    if texts:
        writer.line(f"\t{label}:\t{texts[0]}")
        for text in texts[1:]:
            writer.line(f"\t\t{text}")


DESCRIBE = DescribeSection(_write, "certificates.k8s.io")
