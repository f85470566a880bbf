"""Token cleaner: deletes the Secrets of bootstrap tokens that have expired."""

from __future__ import annotations

import contextlib

from apimachinery.errors import NotFound
from kubeapi.core.secret.bootstraptoken import FIELD_SELECTOR, NAMESPACE, NEVER, SECRET_TYPE, expiry
from kubeapi.core.secret.model import Secret
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, after, own


class TokenCleanerReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._clock = context.clock
        self._secrets = context.informers.of(Secret, namespace=NAMESPACE, field_selector=FIELD_SELECTOR)

    async def reconcile(self, key: str) -> Result:
        secret = self._secrets.get(key)
        if secret is None or secret.type != SECRET_TYPE or secret.metadata.deletionTimestamp is not None:
            return DONE
        expires = expiry(secret)
        if expires == NEVER:
            return DONE
        left = expires - self._clock.now()
        if left > 0:
            return after(left)
        with contextlib.suppress(NotFound):  # someone else has just done so
            await self._rest.delete(Secret, secret.name, secret.namespace, uid=secret.metadata.uid)
        return DONE


CONTROLLER = ControllerSpec(
    "token-cleaner-controller",
    TokenCleanerReconciler,
    [own(Secret, namespace=NAMESPACE, field_selector=FIELD_SELECTOR)],
    workers=1,
    service_account="token-cleaner",
)
