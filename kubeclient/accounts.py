"""Clients that speak as service accounts, each with a token that is asked for and renewed as it is used."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from apimachinery.errors import AlreadyExists, NotFound
from apimachinery.meta import ObjectMeta
from apimachinery.model import decode, encode
from componentbase.clock import Clock
from kubeapi.authentication.tokenrequest import TokenRequest, TokenRequestSpec
from kubeapi.core.serviceaccount import ServiceAccount
from kubeclient import wire
from kubeclient.access.config import ClientConfig
from kubeclient.rest import RestClient


@dataclass(frozen=True, slots=True)
class TokenTiming:
    """Says how long a token is asked for, and which share of its life it is used."""

    lifetime_seconds: int = 3600
    used_share: float = 0.8


class AccountToken:
    """The token of one service account: a TokenSource. The account is created where it is missing."""

    def __init__(
        self, rest: RestClient, namespace: str, name: str, *, timing: TokenTiming | None = None, clock: Clock
    ) -> None:
        """`rest` is an identity that may create service accounts and tokens for them."""
        self._rest = rest
        self._namespace, self._name = namespace, name
        self._timing = timing or TokenTiming()
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0  # monotonic: the server's clock may differ from ours
        self._renewal = asyncio.Lock()

    async def token(self) -> str:
        """Raises: StatusError, ConnectionError, TimeoutError when a token is due and none can be had."""
        if self._clock.monotonic() >= self._renew_at or not self._token:
            async with self._renewal:
                if self._clock.monotonic() >= self._renew_at or not self._token:  # nobody else has renewed it
                    await self._renew()
        return self._token

    def refused(self, token: str) -> None:
        """Forgets the token, unless it has been renewed since: its account may have been deleted and made anew."""
        if token == self._token:
            self._token = ""

    async def _renew(self) -> None:
        started = self._clock.monotonic()
        try:
            answer = await self._request()
        except NotFound:
            account = ServiceAccount(metadata=ObjectMeta(name=self._name, namespace=self._namespace))
            with suppress(AlreadyExists):
                await self._rest.create(account)
            answer = await self._request()
        lifetime = answer.spec.expirationSeconds or self._timing.lifetime_seconds  # the server may give less
        self._token = answer.status.token
        self._renew_at = started + lifetime * self._timing.used_share

    async def _request(self) -> TokenRequest:
        body = TokenRequest(
            kind="TokenRequest",
            apiVersion="authentication.k8s.io/v1",
            spec=TokenRequestSpec(expirationSeconds=self._timing.lifetime_seconds),
        )
        path = wire.path(wire.as_resource(ServiceAccount), self._namespace, self._name, "token")
        return decode(TokenRequest, await self._rest.request("POST", path, body=encode(body)))


class AccountClients:
    """Makes clients for the service accounts of a namespace; all share one pool of connections.

    The connections have no client certificate: a server that looks at certificates first would see another identity.
    """

    def __init__(self, rest: RestClient, namespace: str, *, user_agent: str, clock: Clock) -> None:
        """`rest` as for `AccountToken`."""
        self._rest = rest
        self._namespace = namespace
        self._clock = clock
        self._anonymous = RestClient(without_credentials(rest.config), user_agent=user_agent, clock=clock)
        self._clients: dict[str, RestClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._anonymous.aclose()

    def client(self, name: str) -> RestClient:
        """Returns the client of an account, the same each time. It asks for its token with its first request."""
        client = self._clients.get(name)
        if client is None:
            tokens = AccountToken(self._rest, self._namespace, name, clock=self._clock)
            client = self._clients[name] = self._anonymous.with_tokens(tokens)
        return client


def without_credentials(config: ClientConfig) -> ClientConfig:
    """Returns the way to the same server without an identity."""
    return replace(config, cert_file="", cert_data="", key_file="", key_data="", token="", token_file="")
