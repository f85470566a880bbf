"""Answers a question as the Corefile says: rewrite, hosts, kubernetes and forward, in this order, whatever theirs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from time import monotonic

from prometheus_client import Counter

from clusterdns import hosts
from clusterdns.cache import ReplyCache
from clusterdns.corefile.options import Config, ForwardOptions, ServerBlock
from clusterdns.forward import Forwarder
from clusterdns.message import NXDOMAIN, REFUSED, SERVFAIL, TYPE_HINFO, Name, Query, Reply, is_below, text
from clusterdns.records import Alias, Cluster, Zone
from clusterdns.rewrite import restored, rewritten
from componentbase import logs

ALIASES = 8  # a chain of names that is longer is a circle

CACHE_HITS = Counter("coredns_cache_hits_total", "Answers from the cache.", ["server", "type", "zones", "view"])
CACHE_MISSES = Counter("coredns_cache_misses_total", "Questions not in the cache.", ["server", "zones", "view"])

log = logs.logger(__name__)


class Site:
    """A server block with what it needs at run time."""

    def __init__(self, block: ServerBlock, forwarders: Sequence[Forwarder], zones: Sequence[Zone], label: str) -> None:
        """`label` is its zone in metrics."""
        self.block, self.forwarders, self.label = block, forwarders, label
        self.zones = sorted(zones, key=lambda zone: -len(zone.zone))
        self.cache = ReplyCache(block.cache) if block.cache else None
        self.logged = "log" in block.served
        self.balanced = "loadbalance" in block.served
        """Whether addresses are given out in turns."""
        self.looping = False
        self.probe: Name = ()
        """A name that nobody asks for, unless an upstream sends questions back here."""

    def forwarder(self, name: Name) -> Forwarder | None:
        """Returns the forwarder with the longest zone that the name is in."""
        fitting = [
            item for item in self.forwarders
            if is_below(name, item.options.zone) and not any(is_below(name, zone) for zone in item.options.excluded)
        ]  # fmt: skip
        return max(fitting, key=lambda item: len(item.options.zone), default=None)


NOWHERE = Site(ServerBlock(()), (), (), "")
"""Where questions go that no server block is for."""


@dataclass(frozen=True)
class Answered:
    """A reply, and for how long its encoded form holds."""

    reply: Reply
    site: Site = NOWHERE
    subject: str = ""
    """The Service, as "namespace/name", whose changes alone change the answer; "" when others may."""
    seconds: float | None = None
    """How long it holds if nothing changes; None for ever."""


@dataclass(frozen=True)
class Pending:
    """A question whose answer others have to be asked for."""

    site: Site
    query: Query
    instead: Query
    """What is asked in its place, by the rules of `rewrite`."""
    alias: Alias | None = None


class Resolver:
    """Replaced as a whole when the Corefile or the node's resolv.conf changes."""

    def __init__(
        self, config: Config, cluster: Cluster, servers: Sequence[str], name_servers: Callable[[str], Iterable[str]]
    ) -> None:
        """`servers` are the addresses of this DNS, `name_servers` reads those of a file such as /etc/resolv.conf."""
        self._sites = []
        for block in config.blocks:
            forwarders = [Forwarder(item, _resolvers(item, servers, name_servers)) for item in block.forwards]
            options = block.kubernetes
            zones = [Zone(zone, options, cluster, servers) for zone in options.zones] if options else []
            self._sites.append(Site(block, forwarders, zones, text(block.zones[0])))

    def _site(self, name: Name) -> Site:
        """Returns the server block with the longest zone that the name is in."""
        fitting = [(len(zone), site) for site in self._sites for zone in site.block.zones if is_below(name, zone)]
        return max(fitting, key=lambda pair: pair[0], default=(0, NOWHERE))[1]

    def answer(self, query: Query) -> Answered | Pending:
        """Answers at once, from what is known here, or says what is missing."""
        site = self._site(query.name)
        if site is NOWHERE:
            return Answered(Reply(REFUSED))
        if site.probe and query.type == TYPE_HINFO and query.name == site.probe:
            site.looping = True
            log.error("an upstream sends questions back, so nothing is forwarded any more", zone=site.label)
            return Answered(Reply(SERVFAIL, plugin="loop"), site, seconds=0.0)
        block = site.block
        name = rewritten(block.rewrites, query.name) if block.rewrites else query.name
        instead = query if name == query.name else replace(query, name=name, question=b"")
        if block.hosts and (reply := hosts.lookup(block.hosts, name, query.type)) is not None:
            return Answered(restored(reply, query.name, name), site)
        zone = next((zone for zone in site.zones if is_below(name, zone.zone)), None)
        if zone is not None and block.kubernetes:
            looked_up = zone.lookup(name, query.type)
            if isinstance(looked_up, Alias):
                return Pending(site, query, instead, looked_up)
            if looked_up.rcode != NXDOMAIN or not block.kubernetes.fallthrough.covers(name):
                seconds = 0.0 if looked_up.rcode == SERVFAIL else None
                return Answered(restored(looked_up, query.name, name), site, zone.subject(name), seconds)
        return self._cached(site, query, instead) or Pending(site, query, instead)

    def _cached(self, site: Site, query: Query, instead: Query) -> Answered | None:
        if site.cache is None:
            return None
        reply = site.cache.get(instead, monotonic())
        if reply is None:
            CACHE_MISSES.labels("dns://:53", site.label, "").inc()
            return None
        CACHE_HITS.labels("dns://:53", "denial" if reply.negative else "success", site.label, "").inc()
        return Answered(restored(reply, query.name, instead.name), site, seconds=1.0)

    async def resolve(self, query: Query, depth: int = 0) -> Answered:
        answered = self.answer(query)
        return answered if isinstance(answered, Answered) else await self.finish(answered, depth)

    async def finish(self, pending: Pending, depth: int = 0) -> Answered:
        """Asks others. Never raises: what can't be found out is SERVFAIL."""
        site, query, instead = pending.site, pending.query, pending.instead
        if pending.alias is not None:
            reply = await self._follow(pending.alias, instead, depth)
        elif (forwarder := site.forwarder(instead.name)) is None:
            reply = Reply(SERVFAIL)  # nobody is left to ask
        elif site.looping:
            reply = Reply(SERVFAIL, plugin="loop")
        else:
            reply = await forwarder.ask(instead)
            if site.cache is not None:
                reply = site.cache.put(instead, reply, monotonic())
        return Answered(restored(reply, query.name, instead.name), site, seconds=0.0)

    async def _follow(self, alias: Alias, query: Query, depth: int) -> Reply:
        """Answers with the alias, and with what the other name has."""
        reply = Reply(answers=(alias.record,), authoritative=True, plugin="kubernetes")
        if query.type == alias.record.rtype:
            return reply
        if depth >= ALIASES:
            return replace(reply, rcode=SERVFAIL)
        target = (await self.resolve(replace(query, name=alias.target, question=b""), depth + 1)).reply
        return replace(reply, rcode=target.rcode, answers=(alias.record, *target.answers), authority=target.authority)

    async def look_for_loops(self) -> None:
        """Asks each upstream for a name that only here anybody could ask for: who gets the question is in a circle."""
        for site in self._sites:
            if "loop" in site.block.served:
                for forwarder in site.forwarders:
                    site.probe = (secrets.token_hex(12), secrets.token_hex(12), *forwarder.options.zone)
                    await forwarder.ask(Query(site.probe, TYPE_HINFO))

    @property
    def loops(self) -> bool:
        return any(site.looping for site in self._sites)

    def cache_entries(self) -> list[tuple[str, int, int]]:
        """Returns, for each zone, how many answers are kept: with records, and denials."""
        return [(site.label, *site.cache.counts()) for site in self._sites if site.cache]


def _resolvers(
    options: ForwardOptions, servers: Sequence[str], name_servers: Callable[[str], Iterable[str]]
) -> list[str]:
    """Returns the resolvers of a directive, without this DNS itself, which some nodes have in their resolv.conf."""
    own = {f"{ip_address(server)}#53" for server in servers}
    from_files = [f"{address}#53" for path in options.files for address in name_servers(path)]
    resolvers = [item for item in (*options.to, *from_files) if item not in own]
    if not resolvers:
        log.warning("there is nobody to forward to", zone=text(options.zone))
    return resolvers
