"""Signs approved certificate requests to the signers of Kubernetes, by the cluster's authority.

The authority's files are read for each certificate, so that a renewed one is used at once.
Source: Kubernetes documentation, "Certificates and Certificate Signing Requests", "Kubernetes signers".
"""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta

from apimachinery.conditions import set_condition
from componentbase import logs
from controller_manager.controllers.certificates._authority import Authority, lifetime, utc
from controller_manager.controllers.certificates._requests import CHECKS
from kubeapi.certificates._request import parse_request
from kubeapi.certificates.certificatesigningrequest import (
    FAILED,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    has_failed,
    is_approved,
)
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own

log = logs.logger(__name__)


class SigningReconciler:
    def __init__(self, context: ControllerContext) -> None:
        options = context.options
        self._rest, self._clock = context.rest, context.clock
        self._requests = context.informers.of(CertificateSigningRequest)
        self._certificate, self._key = options.cluster_signing_cert_file, options.cluster_signing_key_file
        self._longest = timedelta(seconds=options.cluster_signing_duration)
        if not self._certificate:
            log.info("no certificates are signed: --cluster-signing-cert-file and --cluster-signing-key-file are unset")

    async def reconcile(self, key: str) -> Result:
        request = self._requests.get(key)
        if request is None or request.status.certificate or not is_approved(request) or has_failed(request):
            return DONE
        check = CHECKS.get(request.spec.signerName)
        if check is None or not self._certificate:
            return DONE
        content, changed = parse_request(request.spec.request), request.clone()
        if why := check(content, request.spec.usages):
            condition = CertificateSigningRequestCondition(
                type=FAILED, status="True", reason="SignerValidationFailure", message=why
            )
            changed.status.conditions = set_condition(changed.status.conditions, condition)
        else:
            authority = Authority.load(self._certificate, self._key)
            seconds = lifetime(request.spec.expirationSeconds, self._longest)
            pem = authority.sign(content, request.spec.usages, seconds, utc(self._clock.now()))
            changed.status.certificate = b64encode(pem).decode()
        await self._rest.update(changed, subresource="status")
        return DONE


CONTROLLER = ControllerSpec(
    "certificatesigningrequest-signing-controller",
    SigningReconciler,
    [own(CertificateSigningRequest)],
    service_account="certificate-controller",
)
