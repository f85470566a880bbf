"""Token cleaner: deletes the Secrets of bootstrap tokens that have expired."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable

from apimachinery.errors import NotFound
from kubeapi.core.secret.bootstraptoken import NAMESPACE, SECRET_TYPE, expiry
from kubeapi.core.secret.model import Secret
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after

TOKENS = f"type={SECRET_TYPE}"


class TokenCleanerReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._clock = context.clock
        self._secrets = context.informers.of(Secret, namespace=NAMESPACE, field_selector=TOKENS)

    async def reconcile(self, key: str) -> Result:
        secret = self._secrets.get(key)
        if secret is None or secret.type != SECRET_TYPE or secret.metadata.deletionTimestamp is not None:
            return DONE
        seconds = expiry(secret) - self._clock.now()
        if seconds > 0:
            return DONE if math.isinf(seconds) else after(seconds)
        with contextlib.suppress(NotFound):  # someone else has just done so
            await self._rest.delete(Secret, secret.name, secret.namespace, uid=secret.metadata.uid)
        return DONE


def _own_key(_: TokenCleanerReconciler, old: Secret | None, new: Secret | None) -> Iterable[str]:
    return {secret.key for secret in (old, new) if secret is not None}


CONTROLLER = ControllerSpec(
    "token-cleaner-controller",
    TokenCleanerReconciler,
    [Watch[TokenCleanerReconciler, Secret](Secret, _own_key, namespace=NAMESPACE, field_selector=TOKENS)],
    workers=1,
    service_account="token-cleaner",
)
