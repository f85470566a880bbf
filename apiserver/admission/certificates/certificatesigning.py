"""CertificateSigning: whoever issues a certificate, or fails a request, needs the right to sign for its signer."""

from __future__ import annotations

from apiserver.admission._plugin import UPDATE, Attributes, Lookup, Plugin
from apiserver.admission.certificates._signer import check_signer


async def check(attributes: Attributes, lookup: Lookup) -> None:
    new, old = attributes.obj, attributes.old
    if new.status != old.status:
        await check_signer(attributes, lookup, "sign", old.spec.signerName)


ADMISSION = Plugin(
    "CertificateSigning",
    frozenset({UPDATE}),
    frozenset({"certificatesigningrequests.certificates.k8s.io/status"}),
    validate=check,
)
