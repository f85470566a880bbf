"""Legacy token cleaner: first has unused tokens of old Secrets refused, and then deletes the Secrets.

Only Secrets that were made for an account without being asked for are meant: those that the account lists. A Secret
whose token nobody has used for the period, and that no pod mounts, gets a label by which API servers refuse the token;
after another period it goes.
Source: Kubernetes documentation, "Managing Service Accounts", "Legacy ServiceAccount token cleaner".
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from apimachinery.errors import Conflict, NotFound
from apimachinery.times import format_date, parse_date, parse_time
from componentbase import logs
from controller_manager.controllers.cluster.serviceaccounttoken import TOKEN_SECRETS
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.pod.model import Pod
from kubeapi.core.secret import accounttoken
from kubeapi.core.secret.model import Secret
from kubeapi.core.serviceaccount import ServiceAccount
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Source
from kubeclient.workqueue import WorkQueue

DAY_SECONDS = 24 * 3600.0

log = logs.logger(__name__)


def step(secret: Secret, now: float, period_seconds: float) -> Literal["", "mark", "delete"]:
    """Decides about a Secret that no pod mounts and that its account lists."""
    before = now - period_seconds
    last_used = secret.labels.get(accounttoken.LAST_USED, "")
    if parse_time(secret.metadata.creationTimestamp or "") >= before or last_used >= format_date(before):
        return ""
    invalid_since = parse_date(secret.labels.get(accounttoken.INVALID_SINCE, ""))
    if invalid_since is None:
        return "mark"
    return "delete" if invalid_since < before else ""


class LegacyTokenReconciler:
    """Its one key stands for all Secrets."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._period = context.options.legacy_service_account_token_clean_up_period
        self._secrets = context.informers.of(Secret, field_selector=TOKEN_SECRETS)
        self._accounts = context.informers.of(ServiceAccount)
        self._pods = context.informers.of(Pod)

    async def look_daily(self, queue: WorkQueue) -> None:
        while True:
            queue.add("all")
            await self._clock.sleep(DAY_SECONDS)

    async def reconcile(self, key: str) -> Result:
        now = self._clock.now()
        since = await self._tracked_since()
        # Uses are known from the day after the first on which they were noted.
        if since is None or since + DAY_SECONDS > now - self._period:
            return DONE
        for secret in self._secrets.list():
            if secret.metadata.deletionTimestamp is None and self._is_listed(secret) and not self._is_mounted(secret):
                await self._perform(step(secret, now, self._period), secret)
        return DONE

    async def _tracked_since(self) -> float | None:
        try:
            tracking = await self._rest.get(ConfigMap, accounttoken.TRACKING_NAME, accounttoken.TRACKING_NAMESPACE)
        except NotFound:
            return None
        return parse_date((tracking.data or {}).get(accounttoken.TRACKED_SINCE, ""))

    def _is_listed(self, secret: Secret) -> bool:
        account = self._accounts.get(f"{secret.namespace}/{secret.annotations.get(accounttoken.ACCOUNT_NAME, '')}")
        return account is not None and any(ref.name == secret.name for ref in account.secrets or ())

    def _is_mounted(self, secret: Secret) -> bool:
        return any(
            volume.secret is not None and volume.secret.secretName == secret.name
            for pod in self._pods.list(secret.namespace)
            for volume in pod.spec.volumes or ()
        )

    async def _perform(self, step: Literal["", "mark", "delete"], secret: Secret) -> None:
        """Leaves a Secret that has changed meanwhile to the next time."""
        meta = secret.metadata
        with suppress(NotFound, Conflict):
            if step == "mark":
                labels = {accounttoken.INVALID_SINCE: format_date(self._clock.now())}
                patch = {"metadata": {"labels": labels, "uid": meta.uid, "resourceVersion": meta.resourceVersion}}
                await self._rest.patch(Secret, secret.name, secret.namespace, patch)
                log.info("unused token marked as invalid", secret=secret.key)
            elif step == "delete":
                await self._rest.delete(
                    Secret, secret.name, secret.namespace, uid=meta.uid, resource_version=meta.resourceVersion
                )
                log.info("unused token deleted", secret=secret.key)


CONTROLLER = ControllerSpec(
    "legacy-serviceaccount-token-cleaner-controller",
    LegacyTokenReconciler,
    [Source(LegacyTokenReconciler.look_daily)],
    workers=1,
    service_account="legacy-service-account-token-cleaner",
)
