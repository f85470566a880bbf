"""Claim protection: a claim that is deleted stays until no pod uses it.

The server gives new claims the finalizer; older ones get it here.
Source: Kubernetes documentation, "Storage Object in Use Protection".
"""

from __future__ import annotations

from collections.abc import Iterable

from controller_manager.controllers.volumes._poduse import CLAIM_INDEX, claim_keys, index_by_claim, uses
from controller_manager.writes import protect
from kubeapi.core.persistentvolumeclaim.model import PROTECTION_FINALIZER, PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, own


class ClaimProtection:
    """Keys are claims."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._pods = context.informers.of(Pod)
        index_by_claim(self._pods)

    def claims_of_pod(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes the claims of a pod that is gone: it may have been the last one."""
        return claim_keys(old) if old is not None and new is None else ()

    async def reconcile(self, key: str) -> Result:
        claim = self._claims.get(key)
        if claim is not None:
            await protect(self._rest, claim, PROTECTION_FINALIZER, lambda: self._is_in_use(claim))
        return DONE

    async def _is_in_use(self, claim: PersistentVolumeClaim) -> bool:
        """Asks the server before it says no: the cache may not know yet that a pod was just bound."""
        if any(uses(pod, claim) for pod in self._pods.by_index(CLAIM_INDEX, claim.key)):
            return True
        listing = await self._rest.list(Pod, claim.namespace)
        return any(uses(pod, claim) for pod in listing.items)


CONTROLLER = ControllerSpec(
    "persistentvolumeclaim-protection-controller",
    ClaimProtection,
    [own(PersistentVolumeClaim), Watch(Pod, ClaimProtection.claims_of_pod)],
    service_account="pvc-protection-controller",
)
