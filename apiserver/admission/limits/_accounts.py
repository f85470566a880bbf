"""Charges requests to the quotas of their namespaces, in batches: all requests of a namespace that wait while one batch
is written make up the next.

What a quota holds is written before the object is, under a guard on the revision that it was computed from: so several
API servers never give out more than a quota has. A request that fails afterwards has been charged all the same; the
quota controller corrects that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from apimachinery.errors import StatusError, UnclassifiedError
from apimachinery.model import decode, encode
from apimachinery.resource import Resource
from apimachinery.splice import split_owners, with_owners
from apiserver.admission._plugin import Attributes, Lookup, refused
from apiserver.admission.limits._charge import Ledger, Limited, NotCovered, QuotaRefusal, QuotaRequest, charge
from apiserver.storage.interface import Entry, RevisionConflict
from componentbase.clock import Clock
from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.core.resourcequota.model import ResourceQuota

TIMEOUT_SECONDS = 10.0  # for a request to be charged, as upstream


@dataclass(eq=False, slots=True)
class _Payment:
    """A request that waits to be charged."""

    attributes: Attributes
    request: QuotaRequest
    settled: bool = False
    error: StatusError | None = None


@dataclass(eq=False, slots=True)
class _Account:
    """The requests of one namespace that wait; whoever holds the lock charges all of them."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    payments: list[_Payment] = field(default_factory=list)


class QuotaAccounts:
    """The accounts of the namespaces in which requests are being charged at this moment."""

    def __init__(self, lookup: Lookup) -> None:
        self._storage, self._clock = lookup.storage, Clock()
        self._quotas: Resource[ResourceQuota] = lookup.resource("resourcequotas")
        self._accounts: dict[str, _Account] = {}

    async def charge(self, attributes: Attributes, evaluator: Evaluator, limited: tuple[Limited, ...] = ()) -> None:
        """Returns once the quotas of the namespace have been charged. Raises: StatusError (403, 500)."""
        request = QuotaRequest(evaluator, attributes.obj, attributes.old, self._clock.now(), limited)
        payment = _Payment(attributes, request)
        account = self._accounts.setdefault(attributes.namespace, _Account())
        account.payments.append(payment)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), account.lock:
                if not payment.settled:
                    await self._settle(attributes.namespace, [item for item in account.payments if not item.settled])
        except TimeoutError:
            raise UnclassifiedError("resource quota evaluation timed out") from None
        finally:
            account.payments.remove(payment)
            if not account.payments:
                self._accounts.pop(attributes.namespace, None)
        if payment.error is not None:
            raise payment.error

    async def _settle(self, namespace: str, payments: list[_Payment]) -> None:
        """Charges the payments: first by what the cache holds; where that fails, by what is stored."""
        entries, latest = self._storage.latest_in_namespace(self._quotas, namespace), False
        while True:
            ledgers = [Ledger.of(decode(ResourceQuota, split_owners(entry.value)[0])) for entry in entries]
            refusals = _charge_all(ledgers, payments)
            if refusals and not latest:
                await self._storage.catch_up()
                entries, latest = self._storage.latest_in_namespace(self._quotas, namespace), True
                continue
            for payment, error in refusals:
                payment.error, payment.settled = error, True
            payments = [payment for payment in payments if not payment.settled]
            entries, latest = await self._write(entries, ledgers), True
            if not entries:
                break
        for payment in payments:
            payment.settled = True

    async def _write(self, entries: list[Entry], ledgers: list[Ledger]) -> list[Entry]:
        """Writes the quotas that have been charged; returns what is stored of those that someone else has changed.

        A quota that is gone limits nothing any more.
        """
        conflicts: list[Entry] = []
        for entry, ledger in zip(entries, ledgers, strict=True):
            quota = ledger.quota
            if ledger.used == (quota.status.used or {}):
                continue
            quota.status.used = ledger.used
            quota.metadata.resourceVersion = None
            value = with_owners(encode(quota), split_owners(entry.value)[1])
            try:
                await self._storage.update(self._quotas, entry.namespace, entry.name, value, entry.revision, obj=quota)
            except RevisionConflict as conflict:
                if conflict.current is not None:
                    conflicts.append(conflict.current)
        return conflicts


def _charge_all(ledgers: list[Ledger], payments: list[_Payment]) -> list[tuple[_Payment, StatusError]]:
    """Books the payments one after the other; returns those that are refused. Dry runs book nothing."""
    refusals: list[tuple[_Payment, StatusError]] = []
    for payment in payments:
        dry_run = payment.attributes.dry_run
        try:
            charge([replace(ledger) for ledger in ledgers] if dry_run else ledgers, payment.request)
        except QuotaRefusal as refusal:
            refusals.append((payment, refused(payment.attributes, str(refusal))))
        except NotCovered as refusal:
            refusals.append((payment, UnclassifiedError(str(refusal))))
    return refusals
