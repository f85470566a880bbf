"""CertificateApproval: whoever approves or denies a certificate request needs the right to approve for its signer."""

from __future__ import annotations

from apiserver.admission._plugin import UPDATE, Attributes, Lookup, Plugin
from apiserver.admission.certificates._signer import check_signer


async def check(attributes: Attributes, lookup: Lookup) -> None:
    await check_signer(attributes, lookup, "approve", attributes.old.spec.signerName)


ADMISSION = Plugin(
    "CertificateApproval",
    frozenset({UPDATE}),
    frozenset({"certificatesigningrequests.certificates.k8s.io/approval"}),
    validate=check,
)
