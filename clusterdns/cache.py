"""Two bounded caches: answers of others for as long as they may be kept, and encoded answers for the next client.

An entry of the second is bytes that fit one query exactly, but for its id: a look-up is all the work that a query for a
name which was asked for before makes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from dnslib import RR

from clusterdns.corefile.options import CacheOptions, CachePart
from clusterdns.message import NOERROR, NXDOMAIN, SERVFAIL, TYPE_SOA, Name, Query, Reply, is_below

ENCODED_ANSWERS = 10_000
"""When there are more, all are forgotten: each is made again in a fraction of a millisecond."""

ReplyKey = tuple[Name, int, bool, bool]


@dataclass(frozen=True, slots=True)
class _Kept:
    reply: Reply
    since: float
    seconds: int


class ReplyCache:
    """Answers of upstream resolvers, by question; the longest unused goes first. Times are monotonic seconds."""

    def __init__(self, options: CacheOptions) -> None:
        self._options = options
        self._parts: dict[bool, dict[ReplyKey, _Kept]] = {False: {}, True: {}}
        """By whether they are denials."""

    def get(self, query: Query, now: float) -> Reply | None:
        """Returns the answer with the time that it has left."""
        key = _key(query)
        for part in self._parts.values():
            kept = part.pop(key, None)
            if kept is not None and now < kept.since + kept.seconds:
                part[key] = kept
                return _with_ttl(kept.reply, kept.seconds - int(now - kept.since))
        return None

    def put(self, query: Query, reply: Reply, now: float) -> Reply:
        """Keeps what may be kept, and returns the answer with the times that hold for the client."""
        options = self._options
        denial = reply.negative or reply.rcode == SERVFAIL
        part = options.denial if denial else options.success
        if not any(is_below(query.name, zone) for zone in options.zones) or reply.rcode not in (0, SERVFAIL, NXDOMAIN):
            return reply
        if any(is_below(query.name, zone) for zone in part.disabled):
            return reply
        seconds = _seconds(reply, options, part)
        if not seconds or not part.capacity:
            return reply
        entries = self._parts[denial]
        entries.pop(_key(query), None)
        while len(entries) >= part.capacity:
            del entries[next(iter(entries))]
        entries[_key(query)] = _Kept(reply, now, seconds)
        return _with_ttl(reply, seconds)

    def counts(self) -> tuple[int, int]:
        """Returns how many answers with records there are, and how many denials."""
        return len(self._parts[False]), len(self._parts[True])


def _key(query: Query) -> ReplyKey:
    return query.name, query.type, query.dnssec, query.checking_disabled


def _seconds(reply: Reply, options: CacheOptions, part: CachePart) -> int:
    """Returns how long a reply may be kept: a denial says so by its SOA record (RFC 2308), or it is not kept."""
    if reply.rcode == SERVFAIL:
        return options.servfail_seconds
    ttl: int
    if reply.rcode == NOERROR and reply.answers:
        ttl = min(item.ttl for item in (*reply.answers, *reply.authority, *reply.additional))
    else:
        soa = [item for item in reply.authority if item.rtype == TYPE_SOA]
        if not soa:
            return 0
        ttl = min(soa[0].ttl, soa[0].rdata.times[4])
    return max(min(ttl, part.most_seconds), min(part.least_seconds, part.most_seconds))


def _with_ttl(reply: Reply, seconds: int) -> Reply:
    """Returns the reply with records that all hold for the same time, as its parts are kept together."""

    def timed(records: tuple[RR, ...]) -> tuple[RR, ...]:
        return tuple(RR(item.rname, item.rtype, item.rclass, seconds, item.rdata) for item in records)

    answers, authority, additional = map(timed, (reply.answers, reply.authority, reply.additional))
    return replace(reply, answers=answers, authority=authority, additional=additional)


@dataclass(slots=True)
class Encoded:
    """An answer as bytes behind the id, in as many orders as it is given out in, one after the other."""

    bodies: list[bytes]
    labels: tuple[str, ...]
    """Those of its metrics."""
    expires: float = inf
    turn: int = 0


class EncodedAnswers:
    """Encoded answers by the bytes of the query behind its id, and by the Service whose change makes them wrong."""

    def __init__(self, most: int = ENCODED_ANSWERS) -> None:
        self.entries: dict[bytes, Encoded] = {}
        self._most = most
        self._keys: dict[str, list[bytes]] = {}

    def put(self, key: bytes, answer: Encoded, subject: str) -> None:
        if len(self.entries) >= self._most:
            self.clear()
        if key not in self.entries:
            self._keys.setdefault(subject, []).append(key)
        self.entries[key] = answer

    def forget(self, subject: str) -> None:
        """Forgets the answers that depend on a Service, and those that depend on many."""
        for name in (subject, ""):
            for key in self._keys.pop(name, ()):
                self.entries.pop(key, None)

    def clear(self) -> None:
        self.entries.clear()
        self._keys.clear()
