"""Reads service accounts of pods from the API, for the plugins that get credentials for them."""

from __future__ import annotations

from kubeapi.core.pod.model import Pod
from kubeapi.core.serviceaccount import ServiceAccount
from kubeclient.rest import RestClient
from kubelet.volume.tokens import request_token

TOKEN_SECONDS = 3600


class ApiAccounts:
    """Implements `providers.Accounts`."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    async def account(self, pod: Pod) -> ServiceAccount:
        return await self._rest.get(ServiceAccount, pod.spec.serviceAccountName or "default", pod.namespace)

    async def account_token(self, pod: Pod, audience: str) -> str:
        return (await request_token(self._rest, pod, audience, TOKEN_SECONDS)).status.token
