"""Runs `nft` on kube-proxy's table of one family."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from componentbase.host.process import CommandError, run
from kubeproxy.family import Kernel
from kubeproxy.ledger import Delta, Fragment, Key, Ledger
from kubeproxy.monitor import RuleEvent, RuleMonitor
from kubeproxy.nftables.rules import TABLE, base_fragment, service_fragment
from kubeproxy.nftables.transaction import deletion_text, delta_text, family_word, parse_names, whole_text
from kubeproxy.settings import Family, Mode, Settings
from kubeproxy.topology import ServicePort

DELETES_AT_ONCE = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2])) >= (6, 6)
"""Whether the kernel deletes a chain that the same transaction takes out of a map."""


class NftablesKernel(Kernel):
    """All methods raise CommandError. A transaction that failed has changed nothing."""

    mode = Mode.NFTABLES

    def __init__(self, settings: Settings, monitor: RuleMonitor) -> None:
        self._settings, self.monitor = settings, monitor

    def base(self, node_ports_on: tuple[str, ...] | None) -> Fragment:
        return base_fragment(self._settings, node_ports_on)

    def fragment(self, ports: Sequence[ServicePort]) -> Fragment:
        return service_fragment(ports, self._settings)

    async def write(self, delta: Delta) -> None:
        text = delta_text(delta, self._settings)
        if DELETES_AT_ONCE:
            await self._run(text + deletion_text(delta.gone, self._settings.family))
        else:
            await self._run(text)
            await self._delete(delta.gone)

    async def repair(self, ledger: Ledger, *, trusted: bool) -> None:
        """Writes everything: whoever touched the table may have changed anything in it."""
        text, gone = whole_text(ledger, await self._installed(), self._settings)
        await self._run(text)
        await self._delete(gone)

    async def _delete(self, gone: Sequence[Key]) -> None:
        if gone:
            await self._run(deletion_text(gone, self._settings.family))

    async def _run(self, text: str) -> None:
        async with self.monitor.own(1, text.count("\n")):
            await run("nft", "-f", "-", stdin=text)

    async def _installed(self) -> list[Key]:
        """Returns the chains and sets that the table has, without their contents, which may take seconds to list."""
        family = family_word(self._settings.family)
        lists = [await run("nft", "-j", "list", what, family) for what in ("chains", "sets")]
        return [key for text in lists for key in parse_names(text)]


def watch(family: Family) -> RuleMonitor:
    """Makes a monitor of kube-proxy's table. Raises: OSError."""

    def concerns(event: RuleEvent) -> bool:
        return event.family == (2 if family == 4 else 10) and event.table in (TABLE, "")

    return RuleMonitor(concerns)


async def cleanup(family: Family) -> bool:
    """Removes kube-proxy's table; False when there was none. Raises: CommandError."""
    try:
        await run("nft", "delete", "table", family_word(family), TABLE)
    except CommandError as error:
        if _is_missing(error):
            return False
        raise
    return True


def _is_missing(error: CommandError) -> bool:
    return "No such file or directory" in str(error)
