"""The `nft` program: writes transactions, and reads what the kernel has."""

from __future__ import annotations

import json
from typing import Protocol

from componentbase.host.process import CommandError, run

NFT_TIMEOUT_SECONDS = 60.0


class Table(Protocol):
    """Holds the rules: `Nft`, or a fake."""

    async def apply(self, text: str) -> None: ...
    async def shape(self) -> dict[str, int]: ...


class Nft:
    """One table, named as in "inet filter". All methods raise CommandError, having changed nothing then."""

    def __init__(self, table: str) -> None:
        self._table = table

    async def apply(self, text: str) -> None:
        await run("nft", "-f", "-", stdin=text, timeout_seconds=NFT_TIMEOUT_SECONDS)

    async def shape(self) -> dict[str, int]:
        """Returns the number of rules of each chain, and 0 of each set and map; empty when the table is not there."""
        family, name = self._table.split()
        try:
            listing = await run(
                "nft", "--json", "--terse", "list", "table", family, name, timeout_seconds=NFT_TIMEOUT_SECONDS
            )
        except CommandError as error:
            if "No such file or directory" in str(error):
                return {}
            raise
        found: dict[str, int] = {}
        for item in json.loads(listing)["nftables"]:
            for kind in ("set", "map", "chain"):
                if kind in item:
                    found.setdefault(item[kind]["name"], 0)
            if "rule" in item:
                found[item["rule"]["chain"]] = found.get(item["rule"]["chain"], 0) + 1
        return found
