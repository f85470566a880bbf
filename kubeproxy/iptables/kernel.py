"""Reads which of our rules the kernel has, and puts texts of `restore` in place in one atomic run a table."""

from __future__ import annotations

from collections.abc import Sequence

from componentbase.host.process import run
from kubeproxy.family import Kernel
from kubeproxy.iptables.restore import (
    ALL_JUMPS,
    TABLES,
    Writes,
    cleanup_texts,
    in_batches,
    is_ours,
    parse_save,
    repair,
    restore_text,
)
from kubeproxy.iptables.rules import base_fragment, service_fragment
from kubeproxy.ledger import Delta, Fragment, Ledger
from kubeproxy.monitor import RuleEvent, RuleMonitor
from kubeproxy.settings import Family, Mode, Settings
from kubeproxy.topology import ServicePort

XTABLES_WAIT_SECONDS = "5"
"""How long a legacy iptables waits for the lock that another program holds; the nft variant has no lock."""

_BUILT_IN = frozenset(chain for _, chain, _ in ALL_JUMPS)


class IptablesKernel(Kernel):
    """All methods raise CommandError; a failed restore has changed nothing in the table that failed."""

    mode = Mode.IPTABLES

    def __init__(self, settings: Settings, monitor: RuleMonitor) -> None:
        self._settings, self.monitor = settings, monitor

    def base(self, node_ports_on: tuple[str, ...] | None) -> Fragment:
        return base_fragment(self._settings, node_ports_on)

    def fragment(self, ports: Sequence[ServicePort]) -> Fragment:
        return service_fragment(ports, self._settings)

    async def write(self, delta: Delta) -> None:
        await self._restore(Writes(delta))

    async def repair(self, ledger: Ledger, *, trusted: bool) -> None:
        installed = parse_save(await save(self._settings.family))
        await self._restore(repair(ledger, installed, trusted=trusted))

    async def _restore(self, writes: Writes) -> None:
        for text in filter(None, map(restore_text, in_batches(writes))):
            async with self.monitor.own(sum(f"*{table}\n" in text for table in TABLES), text.count("\n")):
                await restore(text, self._settings.family)


async def watch(family: Family) -> RuleMonitor:
    """Makes a monitor of kube-proxy's rules in iptables. Raises: CommandError; OSError."""

    def concerns(event: RuleEvent) -> bool:
        if event.family != (2 if family == 4 else 10) or event.table not in ("", *TABLES):
            return False
        name = event.names[0] if event.names else ""
        return is_ours(event.table, name) or (event.deletion and (not name or name in _BUILT_IN))

    return RuleMonitor(concerns, blind="legacy" in await run(_program(family, ""), "--version"))


def _program(family: Family, suffix: str) -> str:
    return f"{'iptables' if family == 4 else 'ip6tables'}{suffix}"


async def save(family: Family) -> str:
    return await run(_program(family, "-save"))


async def restore(text: str, family: Family) -> None:
    """Foreign chains and rules stay: `--noflush` flushes only the chains that the text declares."""
    await run(_program(family, "-restore"), "--noflush", "--wait", XTABLES_WAIT_SECONDS, stdin=text)


async def cleanup(family: Family) -> bool:
    """Removes every chain and jump of kube-proxy; False when there were none. Raises: CommandError."""
    texts = cleanup_texts(parse_save(await save(family)))
    for text in texts:
        await restore(text, family)
    return bool(texts)
