"""Forgets UDP flows whose endpoint is gone.

NAT is decided on a flow's first packet and remembered while packets keep coming, which for UDP may be for ever: without
this a client would go on talking to a dead pod, or to nobody where the service had no endpoint at first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Counter, Histogram

from componentbase import logs, metrics
from componentbase.host.process import CommandError, run
from kubeproxy.flows.frontends import Address, Frontends, udp_targets
from kubeproxy.settings import FAMILIES, Family
from kubeproxy.topology import ServicePort

CHANGED_ADDRESSES = 4096  # kept until conntrack works; the oldest goes: its flows stay

CLEAN_DURATION = Histogram(
    "kubeproxy_conntrack_reconciler_sync_duration_seconds", "Time of one clean-up.", buckets=metrics.LATENCY_BUCKETS
)
DELETED = Counter("kubeproxy_conntrack_reconciler_deleted_entries_total", "Kinds of UDP flows that were forgotten.")

log = logs.logger(__name__)

_PAIR = re.compile(r"\b(src|dst|sport|dport)=(\S+)")


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """A tracked UDP flow: where the client sent to, and where the answer must come from."""

    address: str
    port: int
    answers: str
    answers_port: int

    @property
    def translated(self) -> bool:
        return (self.address, self.port) != (self.answers, self.answers_port)


def parse_flows(text: str) -> set[Flow]:
    """Reads `conntrack -L -p udp`: per line the original direction's addresses and ports, then the reply's."""
    flows = set()
    for line in text.splitlines():
        pairs = _PAIR.findall(line)
        if [name for name, _ in pairs] != ["src", "dst", "sport", "dport"] * 2:
            continue
        values = [value for _, value in pairs]
        flows.add(Flow(values[1], int(values[3]), values[4], int(values[6])))
    return flows


def stale_flows(flows: Iterable[Flow], frontends: Frontends, changed: Collection[Address]) -> list[Flow]:
    """Returns the flows to forget: those to an address that none of its endpoints answers.

    `changed` are the addresses that were served otherwise before: where nothing serves them now, all flows are stale.
    """
    stale = []
    for flow in flows:
        endpoints = frontends.find(flow.address, flow.port)
        if endpoints is None:
            wrong = flow.translated and ((flow.address, flow.port) in changed or ("", flow.port) in changed)
        elif endpoints:
            wrong = all((flow.answers, flow.answers_port) != (item.ip, item.port) for item in endpoints)
        else:
            wrong = flow.translated  # other flows are refused anew with each packet
        if wrong:
            stale.append(flow)
    return sorted(stale)


class Tracker(Protocol):
    """Tracks UDP flows: `Conntrack`, or a fake."""

    async def udp_flows(self) -> set[Flow]: ...
    async def forget(self, flow: Flow) -> None: ...


class UdpCleaner:
    """Forgets the flows that the present rules would not have made."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._frontends = Frontends(udp_targets)
        self._changed: dict[Address, None] = {}

    def update(self, changes: Mapping[str, tuple[ServicePort, ...]]) -> None:
        """Takes note of changes; what they make stale is forgotten by `clean`, once the rules are written."""
        self._changed |= dict.fromkeys(self._frontends.update(changes))
        self._changed = dict.fromkeys([*self._changed][-CHANGED_ADDRESSES:])

    async def clean(self) -> None:
        """Forgets flows if any UDP port has changed; a failure is logged, and tried again with the next sync."""
        if not self._changed:
            return
        try:
            with CLEAN_DURATION.time():
                stale = stale_flows(await self._tracker.udp_flows(), self._frontends, self._changed)
                for flow in stale:
                    await self._tracker.forget(flow)
        except CommandError as error:
            log.error("stale UDP flows could not be forgotten", error=error)
            return
        self._changed = {}
        if stale:
            DELETED.inc(len(stale))
            log.info("stale UDP flows forgotten", flows=len(stale))


class Conntrack:
    """The `conntrack` program. Its methods raise CommandError."""

    def __init__(self, families: Collection[Family] = FAMILIES) -> None:
        self._families = families

    async def udp_flows(self) -> set[Flow]:
        lists = [await run("conntrack", "-L", "-f", f"ipv{family}", "-p", "udp") for family in self._families]
        return set().union(*map(parse_flows, lists))

    async def forget(self, flow: Flow) -> None:
        """Drops every client's flow of this shape. A flow that has ended by itself meanwhile is not an error."""
        filters = ["--orig-dst", flow.address, "--orig-port-dst", str(flow.port)]
        filters += ["--reply-src", flow.answers, "--reply-port-src", str(flow.answers_port)]
        family = "ipv6" if ":" in flow.address else "ipv4"
        try:
            await run("conntrack", "-D", "-f", family, "-p", "udp", *filters)
        except CommandError as error:
            if "0 flow entries have been deleted" not in str(error):
                raise
