"""masquerade: lets pods leave the cluster with their node's address, which the world can answer to."""

from __future__ import annotations

import asyncio

from componentbase import logs
from componentbase.host.process import CommandError, run
from netagent.masquerade.rules import removal, transaction
from netagent.room import Room, RoomContext, require_nft

RETRY_SECONDS = 5.0

log = logs.logger(__name__)


async def _run(context: RoomContext) -> None:
    require_nft()
    wake = asyncio.Event()
    context.node.add_handler(lambda old, new: wake.set())
    await context.node.wait_synced()
    last = ""
    while True:
        wake.clear()
        node = context.node.get(context.node_name)
        text = transaction((node.spec.podCIDRs if node else None) or (), context.non_masquerade_cidrs)
        try:
            if text != last:
                await run("nft", "-f", "-", stdin=text)
                last = text
                log.info("pods leave with the node's address", but=",".join(context.non_masquerade_cidrs))
        except CommandError as error:
            log.error("masquerading not changed", error=str(error))
            await context.clock.sleep(RETRY_SECONDS)
            continue
        await wake.wait()


async def _cleanup() -> None:
    await run("nft", "-f", "-", stdin=removal())


ROOM = Room("masquerade", _run, _cleanup)
