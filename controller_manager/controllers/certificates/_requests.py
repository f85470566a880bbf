"""Tells what the signers of Kubernetes refuse to sign. Pure.

Source: Kubernetes documentation, "Certificates and Certificate Signing Requests", "Kubernetes signers".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography import x509

from kubeapi.certificates._request import common_name, organizations
from kubeapi.certificates.certificatesigningrequest import (
    CLIENT_AUTH,
    DIGITAL_SIGNATURE,
    KEY_ENCIPHERMENT,
    KUBE_APISERVER_CLIENT,
    KUBE_APISERVER_CLIENT_KUBELET,
    KUBELET_SERVING,
    LEGACY_UNKNOWN,
    SERVER_AUTH,
)
from kubeapi.core.node import NODE_GROUP, NODE_USER_PREFIX

_FORBIDDEN_NAMES: tuple[tuple[type[x509.GeneralName], str], ...] = (
    (x509.DNSName, "DNS"),
    (x509.RFC822Name, "Email"),
    (x509.IPAddress, "IP"),
    (x509.UniformResourceIdentifier, "URI"),
)


def client_error(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    """Says why a request for any user's client certificate can't be signed; "" if it can."""
    for usage in usages:
        if usage not in (DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, CLIENT_AUTH):
            return f"invalid usage for client certificate: {usage}"
    return "" if CLIENT_AUTH in usages else f"missing required usage for client certificate: {CLIENT_AUTH}"


def kubelet_client_error(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    """Says why a request for a kubelet's client certificate can't be signed; "" if it can."""
    if why := _node_name_error(request):
        return why
    for kind, name in _FORBIDDEN_NAMES:
        if _alternative_names(request, kind):
            return f"{name} subjectAltNames are not allowed"
    return _usages_error(usages, CLIENT_AUTH)


def kubelet_serving_error(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    """Says why a request for a kubelet's serving certificate can't be signed; "" if it can."""
    if why := _node_name_error(request):
        return why
    if not _alternative_names(request, x509.DNSName) and not _alternative_names(request, x509.IPAddress):
        return "DNS or IP subjectAltName is required"
    for kind, name in _FORBIDDEN_NAMES:
        if name in ("Email", "URI") and _alternative_names(request, kind):
            return f"{name} subjectAltNames are not allowed"
    return _usages_error(usages, SERVER_AUTH)


def _anything(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    return ""


CHECKS: dict[str, Callable[[x509.CertificateSigningRequest, Sequence[str]], str]] = {
    KUBE_APISERVER_CLIENT: client_error,
    KUBE_APISERVER_CLIENT_KUBELET: kubelet_client_error,
    KUBELET_SERVING: kubelet_serving_error,
    LEGACY_UNKNOWN: _anything,
}
"""Signer -> why it refuses a request."""


def is_of_its_own_node(request: x509.CertificateSigningRequest, username: str) -> bool:
    """Tells whether a node asks for the certificate that it speaks by already."""
    return common_name(request.subject) == username


def _node_name_error(request: x509.CertificateSigningRequest) -> str:
    if organizations(request.subject) != [NODE_GROUP]:
        return f"subject organization is not {NODE_GROUP}"
    if not common_name(request.subject).startswith(NODE_USER_PREFIX):
        return f"subject common name does not begin with {NODE_USER_PREFIX}"
    return ""


def _usages_error(usages: Sequence[str], purpose: str) -> str:
    required = {DIGITAL_SIGNATURE, purpose}
    if set(usages) - {KEY_ENCIPHERMENT} == required:
        return ""
    return f"usages did not match [{' '.join(sorted(required))}]"


def _alternative_names(request: x509.CertificateSigningRequest, kind: type[x509.GeneralName]) -> bool:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return any(isinstance(name, kind) for name in names)
