"""masquerade: lets pods leave the cluster with their node's address, which the world can answer to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from componentbase import logs
from componentbase.clock import Clock
from componentbase.host.process import CommandError
from componentbase.tasks import wait_for
from netagent.masquerade.rules import TABLE, removal, transaction
from netagent.nft import Nft, Table
from netagent.room import CHECK_SECONDS, RETRY_SECONDS, Room, RoomContext, require_nft

log = logs.logger(__name__)


async def _run(context: RoomContext) -> None:
    require_nft()
    wake = asyncio.Event()
    context.node.add_handler(lambda old, new: wake.set())
    await context.node.wait_synced()

    def wanted() -> str:
        node = context.node.get(context.node_name)
        return transaction((node.spec.podCIDRs if node else None) or (), context.non_masquerade_cidrs)

    await keep(Nft(TABLE), wanted, wake, context.clock)


async def keep(
    table: Table, wanted: Callable[[], str], wake: asyncio.Event, clock: Clock, *, check_seconds: float = CHECK_SECONDS
) -> None:
    """Writes what is wanted, whenever that is another text and where others have touched it, until cancelled."""
    last, written = "", dict[str, int]()
    while True:
        wake.clear()
        text = wanted()
        try:
            if text != last or await table.shape() != written:
                await table.apply(text)
                last, written = text, await table.shape()
                log.info("pods leave with the node's address", chains=len(written), rules=sum(written.values()))
        except CommandError as error:
            log.error("masquerading not changed", error=str(error))
            await clock.sleep(RETRY_SECONDS)
            continue
        await wait_for(wake, check_seconds)


async def _cleanup() -> None:
    await Nft(TABLE).apply(removal())


ROOM = Room("masquerade", _run, _cleanup)
