"""Removes certificate requests that nobody waits for any more.

A request goes an hour after it was issued, denied or has failed, a day after it was made if nobody decides, and once
its certificate has expired.
"""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress

from cryptography import x509

from apimachinery.errors import NotFound
from apimachinery.times import parse_time
from kubeapi.certificates.certificatesigningrequest import APPROVED, DENIED, FAILED, CertificateSigningRequest
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, after, own

DECIDED_SECONDS = 3600.0
PENDING_SECONDS = 24 * 3600.0


class CleanerReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._requests = context.informers.of(CertificateSigningRequest)

    async def reconcile(self, key: str) -> Result:
        request = self._requests.get(key)
        if request is None or request.metadata.deletionTimestamp is not None:
            return DONE
        end = end_of(request)
        if end is None:
            return DONE
        left = end - self._clock.now()
        if left > 0:
            return after(left)
        with suppress(NotFound):
            await self._rest.delete(CertificateSigningRequest, request.name, uid=request.metadata.uid)
        return DONE


def end_of(request: CertificateSigningRequest) -> float | None:
    """Returns the Unix time from which on the request may go; None for an approved one that waits for its signer."""
    status = request.status
    if not status.conditions:
        return parse_time(request.metadata.creationTimestamp or "") + PENDING_SECONDS
    ends = [
        parse_time(condition.lastUpdateTime) + DECIDED_SECONDS
        for condition in status.conditions
        if condition.type in (DENIED, FAILED) or (condition.type == APPROVED and status.certificate)
    ]
    if status.certificate:
        ends.append(_expiry(status.certificate))
    return min(ends) if ends else None


def _expiry(encoded: str) -> float:
    certificates = x509.load_pem_x509_certificates(b64decode(encoded))
    return certificates[0].not_valid_after_utc.timestamp()


CONTROLLER = ControllerSpec(
    "certificatesigningrequest-cleaner-controller",
    CleanerReconciler,
    [own(CertificateSigningRequest)],
    workers=1,
    service_account="certificate-controller",
)
