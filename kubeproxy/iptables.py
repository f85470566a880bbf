"""Reads which of our rules the kernel has, and puts a text of `restore` in place in one atomic run."""

from __future__ import annotations

from componentbase.process import run
from kubeproxy.restore import Installed, cleanup_text, parse_save

XTABLES_WAIT_SECONDS = "5"
"""How long a legacy iptables waits for the lock that another program holds; the nft variant has no lock."""


class Iptables:
    """All methods raise CommandError; a failed restore has changed nothing in the table that failed."""

    async def installed(self) -> Installed:
        return parse_save(await run("iptables-save"))

    async def restore(self, text: str) -> None:
        """Foreign chains and rules stay: `--noflush` flushes only the chains that the text declares."""
        await run("iptables-restore", "--noflush", "--wait", XTABLES_WAIT_SECONDS, stdin=text)

    async def cleanup(self) -> bool:
        """Removes every chain and jump of kube-proxy; False when there were none."""
        text = cleanup_text(await self.installed())
        if text:
            await self.restore(text)
        return bool(text)
