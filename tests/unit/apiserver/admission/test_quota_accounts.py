"""How requests wait for one another while their quotas are written, and what happens when a write fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from apimachinery.errors import Forbidden
from apimachinery.model import decode, encode
from apiserver.admission._plugin import CREATE, Attributes, Lookup
from apiserver.admission.limits._accounts import QuotaAccounts
from apiserver.auth.authorization.authorizer import AlwaysAllow
from apiserver.request.user import ANONYMOUS
from apiserver.storage.interface import Entry, RevisionConflict
from kubeapi._evaluators import evaluator_of
from kubeapi.core.configmap import RESOURCE as CONFIGMAPS
from kubeapi.core.resourcequota.model import ResourceQuota
from kubeapi.core.resourcequota.resource import RESOURCE as QUOTAS
from tests.kits.kinds import load


async def a_turn() -> None:
    """A write takes its time: others come meanwhile."""
    await asyncio.sleep(0)


class Quotas:
    """The quotas of a namespace as etcd has them, and as the cache of this server shows them."""

    def __init__(self, limit: int, used: int = 0) -> None:
        self.stored = self.cached = entry(limit, used, 1)
        self.writes = 0
        self.before_write: Callable[[], Awaitable[None]] = a_turn

    def latest_in_namespace(self, resource: Any, namespace: str) -> list[Entry]:
        return [self.cached] if self.cached is not None else []

    async def catch_up(self) -> None:
        self.cached = self.stored

    async def update(
        self, resource: Any, namespace: str, name: str, value: bytes, revision: int, *, obj: ResourceQuota
    ) -> Entry:
        await self.before_write()
        if revision != self.stored.revision:
            raise RevisionConflict(self.stored)
        self.writes += 1
        self.stored = self.cached = Entry("q", "ns", "q", revision + 1, value, {}, {})
        return self.stored

    @property
    def used(self) -> int:
        return int((decode(ResourceQuota, self.stored.value).status.used or {})["configmaps"])


def entry(limit: int, used: int, revision: int) -> Entry:
    status = {"hard": {"configmaps": str(limit)}, "used": {"configmaps": str(used)}}
    quota = load(QUOTAS, {"metadata": {"name": "q", "namespace": "ns"}, "status": status})
    return Entry("q", "ns", "q", revision, encode(quota), {}, {})


def accounts(quotas: Quotas) -> QuotaAccounts:
    return QuotaAccounts(Lookup(quotas, {("", "resourcequotas"): QUOTAS}, AlwaysAllow(), None))  # type: ignore[arg-type]


async def pay(account: QuotaAccounts, *, dry_run: bool = False) -> bool:
    """Tells whether a new ConfigMap has been paid for."""
    evaluator = evaluator_of("", "configmaps")
    assert evaluator is not None
    obj = load(CONFIGMAPS, {"metadata": {"name": "c"}})
    try:
        await account.charge(Attributes(CREATE, CONFIGMAPS, "", "ns", "c", obj, None, ANONYMOUS, dry_run), evaluator)
    except Forbidden:
        return False
    return True


async def test_requests_that_wait_for_a_write_share_the_next() -> None:
    quotas = Quotas(limit=10)
    account = accounts(quotas)
    assert sum(await asyncio.gather(*(pay(account) for _ in range(64)))) == 10
    assert quotas.used == 10
    assert quotas.writes <= 2


async def test_a_write_that_another_server_was_faster_with_is_computed_again() -> None:
    quotas = Quotas(limit=10, used=3)
    account = accounts(quotas)

    async def other_server() -> None:
        quotas.before_write = a_turn
        quotas.stored = entry(10, 9, 7)

    quotas.before_write = other_server
    assert sum(await asyncio.gather(pay(account), pay(account))) == 1
    assert quotas.used == 10


async def test_a_cache_that_is_behind_refuses_nothing() -> None:
    quotas = Quotas(limit=1, used=1)
    quotas.stored = entry(1, 0, 5)
    assert await pay(accounts(quotas))
    assert quotas.used == 1


async def test_a_quota_that_is_deleted_meanwhile_limits_nothing() -> None:
    quotas = Quotas(limit=1)

    async def delete() -> None:
        raise RevisionConflict(None)

    quotas.before_write = delete
    assert await pay(accounts(quotas))


async def test_a_dry_run_is_refused_like_others_and_charged_nothing() -> None:
    quotas = Quotas(limit=1)
    account = accounts(quotas)
    assert await pay(account, dry_run=True)
    assert (quotas.used, quotas.writes) == (0, 0)
    assert await pay(account)
    assert not await pay(account, dry_run=True)


async def test_when_the_request_that_writes_is_cancelled_another_one_writes() -> None:
    quotas = Quotas(limit=10)
    account = accounts(quotas)
    writing, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        writing.set()
        await never.wait()

    quotas.before_write = hang
    async with asyncio.TaskGroup() as group:
        first = group.create_task(pay(account))
        others = [group.create_task(pay(account)) for _ in range(3)]
        await writing.wait()
        quotas.before_write = a_turn
        first.cancel()
    assert [task.result() for task in others] == [True] * 3
    with pytest.raises(asyncio.CancelledError):
        first.result()
    assert quotas.used >= 3


async def test_an_account_is_closed_when_nobody_waits() -> None:
    account = accounts(Quotas(limit=10))
    await asyncio.gather(*(pay(account) for _ in range(3)))
    assert account._accounts == {}
