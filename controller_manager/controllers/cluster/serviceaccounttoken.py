"""ServiceAccount tokens: fills Secrets of the type kubernetes.io/service-account-token, and deletes orphaned ones.

The key of --service-account-private-key-file signs the tokens; API servers have to verify with it, too. Nothing is done
without the flag. The controller speaks as the daemon itself, because no default role is about it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from apimachinery.errors import NotFound
from componentbase import logs
from componentbase.daemon import FatalError
from componentbase.signing_keys import BadKey, PrivateKey, read_private_key, sign
from controller_manager.controllers.cluster.rootcacert import root_ca
from kubeapi.core.secret import accounttoken
from kubeapi.core.secret.model import Secret
from kubeapi.core.serviceaccount import ServiceAccount
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, latest, own

log = logs.logger(__name__)

TOKEN_SECRETS = f"type={accounttoken.TYPE}"


def filled(secret: Secret, account: ServiceAccount, authority: str, key: PrivateKey) -> Secret | None:
    """Returns the Secret with what it lacks, None when it lacks nothing. `authority` is PEM text."""
    data = dict(secret.data or {})
    data["ca.crt"] = _base64(authority)
    data["namespace"] = _base64(account.namespace)
    if not data.get("token"):
        data["token"] = _base64(sign(accounttoken.token_claims(account, secret.name), key))
    if data == secret.data and secret.annotations.get(accounttoken.ACCOUNT_UID) == account.metadata.uid:
        return None
    changed = secret.clone()
    changed.data = data
    changed.metadata.annotations = {**secret.annotations, accounttoken.ACCOUNT_UID: account.metadata.uid or ""}
    return changed


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def signing_key(file: str) -> PrivateKey | None:
    """Reads the key; None if no file is named. Raises: FatalError if it can't be read."""
    try:
        return read_private_key(Path(file).read_bytes()) if file else None
    except (OSError, BadKey) as error:
        raise FatalError(f"--service-account-private-key-file: {file}: {error}") from None


class TokenReconciler:
    """Keys are Secrets."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._key = signing_key(context.options.service_account_private_key_file)
        self._authority = root_ca(context.options.root_ca_file, context.rest.config)
        self._secrets = context.informers.of(Secret, field_selector=TOKEN_SECRETS)
        self._accounts = context.informers.of(ServiceAccount)
        if self._key is None:
            log.info("token secrets stay empty: --service-account-private-key-file is unset")

    async def reconcile(self, key: str) -> Result:
        secret = self._secrets.get(key)
        if self._key is None:
            return DONE
        if secret is None:
            await self._end_references(key)
        elif secret.metadata.deletionTimestamp is None:
            account = await self._account_of(secret)
            if account is None:
                await self._delete(secret)
            elif changed := filled(secret, account, self._authority, self._key):
                await self._rest.update(changed)
        return DONE

    async def _account_of(self, secret: Secret) -> ServiceAccount | None:
        """Returns the account; asks the server before it says that there is none, as the cache may be behind."""
        name, uid = (secret.annotations.get(key, "") for key in (accounttoken.ACCOUNT_NAME, accounttoken.ACCOUNT_UID))
        account = self._accounts.get(f"{secret.namespace}/{name}")
        if account is None or uid not in ("", account.metadata.uid):
            try:
                account = await self._rest.get(ServiceAccount, name, secret.namespace)
            except NotFound:
                return None
        return account if uid in ("", account.metadata.uid) else None

    async def _delete(self, secret: Secret) -> None:
        meta = secret.metadata
        try:
            await self._rest.delete(
                Secret, secret.name, secret.namespace, uid=meta.uid, resource_version=meta.resourceVersion
            )
        except NotFound:
            return

    async def _end_references(self, key: str) -> None:
        """Takes a deleted Secret out of the accounts that list it."""
        namespace, _, name = key.partition("/")
        for account in self._accounts.list(namespace):
            if any(ref.name == name for ref in account.secrets or ()):
                changed = account.clone()
                changed.secrets = [ref for ref in account.secrets or () if ref.name != name] or None
                try:
                    await self._rest.update(changed)
                except NotFound:
                    continue

    def secrets_of(self, old: ServiceAccount | None, new: ServiceAccount | None) -> Iterable[str]:
        account = latest(old, new)
        return [
            secret.key
            for secret in self._secrets.list(account.namespace)
            if secret.annotations.get(accounttoken.ACCOUNT_NAME) == account.name
        ]


CONTROLLER = ControllerSpec(
    "serviceaccount-token-controller",
    TokenReconciler,
    [
        own(Secret, field_selector=TOKEN_SECRETS),
        Watch(ServiceAccount, TokenReconciler.secrets_of),
    ],
    speaks_as_daemon=True,
)
