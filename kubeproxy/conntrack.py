"""Forgets UDP flows whose endpoint is gone.

NAT is decided on a flow's first packet and remembered while packets keep coming, which for UDP may be for ever: without
this a client would go on talking to a dead pod, or to nobody where the service had no endpoint at first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from componentbase.process import CommandError, run
from kubeproxy.topology import ServicePort

Frontends = Mapping[tuple[str, int], frozenset[tuple[str, int]]]
"""(address, port) that UDP clients use -> the (address, port) of its endpoints; a NodePort has address ""."""

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


def udp_frontends(ports: Iterable[ServicePort]) -> Frontends:
    frontends: dict[tuple[str, int], frozenset[tuple[str, int]]] = {}
    for port in ports:
        if port.protocol != "udp":
            continue
        endpoints = frozenset((item.ip, item.port) for item in port.endpoints)
        for address in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
            frontends[address, port.port] = endpoints
        if port.node_port:
            frontends["", port.node_port] = endpoints
    return frontends


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


def stale_flows(flows: Iterable[Flow], frontends: Frontends, gone: Frontends) -> list[Flow]:
    """Returns the flows to forget: those to a frontend that none of its endpoints answers.

    `gone` are frontends that were served until now: all flows to their former endpoints are stale.
    """
    stale = []
    for flow in flows:
        endpoints = _endpoints(flow, frontends)
        if endpoints is None:
            former = _endpoints(flow, gone)
            wrong = former is not None and flow.translated
        elif endpoints:
            wrong = (flow.answers, flow.answers_port) not in endpoints
        else:
            wrong = flow.translated  # other flows are refused anew with each packet
        if wrong:
            stale.append(flow)
    return sorted(stale)


def _endpoints(flow: Flow, frontends: Frontends) -> frozenset[tuple[str, int]] | None:
    endpoints = frontends.get((flow.address, flow.port))
    return endpoints if endpoints is not None else frontends.get(("", flow.port))


class Conntrack:
    """The `conntrack` program. Its methods raise CommandError."""

    async def udp_flows(self) -> set[Flow]:
        return parse_flows(await run("conntrack", "-L", "-f", "ipv4", "-p", "udp"))

    async def forget(self, flow: Flow) -> None:
        """Drops every client's flow of this shape. A flow that has ended by itself meanwhile is not an error."""
        filters = ["--orig-dst", flow.address, "--orig-port-dst", str(flow.port)]
        filters += ["--reply-src", flow.answers, "--reply-port-src", str(flow.answers_port)]
        try:
            await run("conntrack", "-D", "-f", "ipv4", "-p", "udp", *filters)
        except CommandError as error:
            if "0 flow entries have been deleted" not in str(error):
                raise
