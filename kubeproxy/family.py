"""Keeps the packet rules of one address family as the Services want them, in whichever mode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from componentbase.host.process import CommandError
from kubeproxy.ledger import BASE, Delta, Fragment, Ledger
from kubeproxy.metrics import LocalEndpointCounts
from kubeproxy.monitor import RuleMonitor
from kubeproxy.settings import Family, Mode
from kubeproxy.topology import ServicePort

Changes = Mapping[str, tuple[ServicePort, ...]]
"""The ports of Services that have changed, by "namespace/name"; none for one that is gone."""


class Kernel(ABC):
    """The words of a mode, and the programs that put them into the kernel. The methods raise CommandError."""

    mode: Mode
    monitor: RuleMonitor

    @abstractmethod
    def base(self, node_ports_on: tuple[str, ...] | None) -> Fragment:
        """Returns what does not depend on Services; NodePorts answer on these addresses, or on any for None."""

    @abstractmethod
    def fragment(self, ports: Sequence[ServicePort]) -> Fragment:
        """Returns what one Service's ports want."""

    @abstractmethod
    async def write(self, delta: Delta) -> None:
        """Makes a change to rules that are as this process left them."""

    @abstractmethod
    async def repair(self, ledger: Ledger, *, trusted: bool) -> None:
        """Makes the rules the ledger's, whatever they are; `trusted` if this process has written them all before."""


class FamilyRules:
    """The rules of one family. A sync costs what changed, unless somebody else touched the rules or a sync failed."""

    def __init__(self, family: Family, kernel: Kernel) -> None:
        self.family, self.kernel = family, kernel
        self._ledger = Ledger()
        self._counts = LocalEndpointCounts(family)
        self._written = False
        """Whether the kernel has what the ledger says, as far as we know."""

    def needs_check(self, *, periodic: bool) -> bool:
        """Tells whether the rules may differ from what this process wrote; `periodic` when a period is over."""
        monitor = self.kernel.monitor
        return not self._written or monitor.altered or (periodic and monitor.blind)

    async def sync(self, changes: Changes, node_ports_on: tuple[str, ...] | None, *, periodic: bool) -> bool:
        """Brings the changes into the kernel; True when everything was checked.

        Raises: CommandError. Then the changes are known all the same, and the next sync writes everything.
        """
        fragments = {}
        for key, ports in changes.items():
            own = [port for port in ports if port.family == self.family]
            fragments[key] = self.kernel.fragment(own)
            self._counts.update(key, own)
        fragments[BASE] = self.kernel.base(node_ports_on)
        check, written = self.needs_check(periodic=periodic), self._written
        self._written = False
        if check and written:
            self.kernel.monitor.reset()
            try:
                await self.kernel.repair(self._ledger, trusted=True)
            except CommandError:
                self._ledger.change(fragments)
                raise
        delta = self._ledger.change(fragments)
        if not written:
            self.kernel.monitor.reset()
            await self.kernel.repair(self._ledger, trusted=False)
        elif delta:
            await self.kernel.write(delta)
        self._written = True
        return check
