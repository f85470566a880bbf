"""Approves the client certificates of kubelets: of new nodes that may ask for one, and of nodes that renew their own.

Source: Kubernetes documentation, "TLS bootstrapping", "Approval controller".
"""

from __future__ import annotations

from apimachinery.conditions import set_condition
from apimachinery.meta import ObjectMeta
from componentbase import logs
from controller_manager.controllers.certificates._requests import is_of_its_own_node, kubelet_client_error
from kubeapi.authorization.subjectaccessreview import (
    ResourceAttributes,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
)
from kubeapi.certificates._request import parse_request
from kubeapi.certificates.certificatesigningrequest import (
    APPROVAL,
    APPROVED,
    GROUP,
    KUBE_APISERVER_CLIENT_KUBELET,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    is_decided,
)
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, after, own

RETRY_SECONDS = 60.0  # the right may be granted later; nothing tells when

log = logs.logger(__name__)


class ApprovingReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._requests = context.informers.of(CertificateSigningRequest)

    async def reconcile(self, key: str) -> Result:
        request = self._requests.get(key)
        if request is None or request.status.certificate or is_decided(request):
            return DONE
        rights = _rights(request)
        if not rights:
            return DONE
        for subresource, message in rights.items():
            if await self._is_allowed(request, subresource):
                await self._approve(request, message)
                return DONE
        log.info("requester may not get a kubelet's certificate", request=key, user=request.spec.username or "")
        return after(RETRY_SECONDS)

    async def _is_allowed(self, request: CertificateSigningRequest, subresource: str) -> bool:
        spec = request.spec
        attributes = ResourceAttributes(
            group=GROUP, version="*", resource="certificatesigningrequests", subresource=subresource, verb="create"
        )
        question = SubjectAccessReviewSpec(
            user=spec.username, uid=spec.uid, groups=spec.groups, extra=spec.extra, resourceAttributes=attributes
        )
        answer = await self._rest.create(SubjectAccessReview(metadata=ObjectMeta(), spec=question))
        return answer.status.allowed

    async def _approve(self, request: CertificateSigningRequest, message: str) -> None:
        approved = request.clone()
        condition = CertificateSigningRequestCondition(
            type=APPROVED, status="True", reason="AutoApproved", message=message
        )
        approved.status.conditions = set_condition(approved.status.conditions, condition)
        await self._rest.update(approved, subresource=APPROVAL)


def _rights(request: CertificateSigningRequest) -> dict[str, str]:
    """Returns the rights, as subresources of requests, that each suffice for an approval, with its message."""
    spec = request.spec
    if spec.signerName != KUBE_APISERVER_CLIENT_KUBELET:
        return {}
    content = parse_request(spec.request)
    if kubelet_client_error(content, spec.usages):
        return {}
    rights = {"nodeclient": "Auto approving kubelet client certificate after SubjectAccessReview."}
    if is_of_its_own_node(content, spec.username or ""):
        own = {"selfnodeclient": "Auto approving self kubelet client certificate after SubjectAccessReview."}
        rights = own | rights
    return rights


CONTROLLER = ControllerSpec(
    "certificatesigningrequest-approving-controller",
    ApprovingReconciler,
    [own(CertificateSigningRequest)],
    service_account="certificate-controller",
)
