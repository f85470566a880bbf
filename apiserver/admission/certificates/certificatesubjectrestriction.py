"""CertificateSubjectRestriction: no client certificate is asked for in the name of the group `system:masters`."""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin, refused
from apiserver.request.user import MASTERS
from kubeapi.certificates.certificatesigningrequest import KUBE_APISERVER_CLIENT


def check(attributes: Attributes, lookup: Lookup) -> None:
    """Runs after validation, so the request can be read."""
    from kubeapi.certificates._request import organizations, parse_request

    spec = attributes.obj.spec
    if spec.signerName == KUBE_APISERVER_CLIENT and MASTERS in organizations(parse_request(spec.request).subject):
        signer = KUBE_APISERVER_CLIENT
        raise refused(attributes, f"use of {signer} signer with {MASTERS} group is not allowed")


ADMISSION = Plugin(
    "CertificateSubjectRestriction",
    frozenset({CREATE}),
    frozenset({"certificatesigningrequests.certificates.k8s.io"}),
    validate=check,
)
