"""Clients of service accounts: tokens are asked for once, renewed in time, and asked for again once refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import orjson
import pytest

from apimachinery.errors import Unauthorized
from kubeapi.core.configmap import ConfigMap
from kubeclient.access.config import ClientConfig
from kubeclient.accounts import AccountClients, AccountToken
from kubeclient.rest import RestClient
from tests.fakes.clock import FakeClock
from tests.fakes.http import HttpServer, Request, answer, http_server

ACCOUNTS = "/api/v1/namespaces/kube-system/serviceaccounts"
LIFETIME_SECONDS = 3600


class TokenServer:
    """Issues the tokens "NAME-1", "NAME-2" …, and answers other requests to those it has not ended."""

    def __init__(self) -> None:
        self.accounts = {"web", "job"}
        self.issued = 0
        self.ended: set[str] = set()
        self.users: list[str] = []

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        credentials = request.headers.get("authorization", "")
        if request.target.startswith(ACCOUNTS):
            assert credentials == "Bearer of-the-daemon"
            writer.write(self._accounts(request))
        elif credentials in self.ended or not credentials:
            writer.write(_status(401, "Unauthorized"))
        else:
            self.users.append(credentials.removeprefix("Bearer "))
            writer.write(answer(orjson.dumps({"metadata": {"name": "a", "namespace": "default"}})))

    def _accounts(self, request: Request) -> bytes:
        if request.target == ACCOUNTS:
            self.accounts.add(orjson.loads(request.body)["metadata"]["name"])
            return answer(request.body, "201 Created")
        name = request.target.removeprefix(ACCOUNTS).split("/")[1]
        if name not in self.accounts:
            return _status(404, "NotFound")
        self.issued += 1
        token = {"spec": {"expirationSeconds": LIFETIME_SECONDS}, "status": {"token": f"{name}-{self.issued}"}}
        return answer(orjson.dumps(token), "201 Created")


def _status(code: int, reason: str) -> bytes:
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no"}
    return answer(orjson.dumps(body), f"{code} {reason}")


@dataclass(frozen=True)
class Rig:
    http: HttpServer
    server: TokenServer
    rest: RestClient
    """The daemon's own client."""
    clients: AccountClients
    clock: FakeClock

    async def read(self, account: str) -> None:
        await self.clients.client(account).get(ConfigMap, "a", "default")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    server, clock = TokenServer(), FakeClock()
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        http = await stack.enter_async_context(http_server(server))
        config = ClientConfig(server=http.url, token="of-the-daemon")
        rest = await stack.enter_async_context(RestClient(config, user_agent="test/1", clock=clock))
        clients = AccountClients(rest, "kube-system", user_agent="test/1", clock=clock)
        yield Rig(http, server, rest, await stack.enter_async_context(clients), clock)


async def test_each_account_speaks_with_its_own_token_over_shared_connections(rig: Rig) -> None:
    for account in ("web", "job", "web"):
        await rig.read(account)
    assert rig.server.users == ["web-1", "job-2", "web-1"]
    assert rig.http.connections == 2  # the daemon's own, and the accounts'


async def test_a_token_is_asked_for_once_however_many_wait_for_it(rig: Rig) -> None:
    await asyncio.gather(*(rig.read("web") for _ in range(20)))
    assert rig.server.issued == 1


async def test_a_token_is_renewed_when_a_fifth_of_its_life_is_left(rig: Rig) -> None:
    await rig.read("web")
    rig.clock.step(LIFETIME_SECONDS * 0.79)
    await rig.read("web")
    rig.clock.step(LIFETIME_SECONDS * 0.02)
    await rig.read("web")
    assert rig.server.users == ["web-1", "web-1", "web-2"]


async def test_a_missing_account_is_created(rig: Rig) -> None:
    await rig.read("new")
    assert rig.server.users == ["new-1"]
    assert "new" in rig.server.accounts


async def test_after_a_refusal_the_next_request_has_a_new_token(rig: Rig) -> None:
    await rig.read("web")
    rig.server.ended.add("Bearer web-1")
    with pytest.raises(Unauthorized):
        await rig.read("web")
    await rig.read("web")
    assert rig.server.users == ["web-1", "web-2"]


async def test_a_late_refusal_of_an_old_token_does_not_end_the_new_one(rig: Rig) -> None:
    tokens = AccountToken(rig.rest, "kube-system", "web", clock=rig.clock)
    old = await tokens.token()
    rig.clock.step(LIFETIME_SECONDS)
    new = await tokens.token()
    tokens.refused(old)
    assert await tokens.token() == new == "web-2"


async def test_accounts_have_none_of_the_daemons_credentials() -> None:
    config = ClientConfig(server="http://127.0.0.1:1", token="secret", token_file="/nowhere")
    async with RestClient(config, user_agent="test/1") as rest:
        async with AccountClients(rest, "kube-system", user_agent="test/1", clock=FakeClock()) as clients:
            plain = clients.client("web").config
    assert (plain.token, plain.token_file, plain.cert_file, plain.key_file) == ("", "", "", "")
