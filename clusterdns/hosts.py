"""PURE: names whose addresses the Corefile itself gives."""

from __future__ import annotations

from dnslib import PTR

from clusterdns.corefile.options import HostsOptions
from clusterdns.message import (
    SERVFAIL,
    TYPE_A,
    TYPE_AAAA,
    TYPE_PTR,
    Name,
    Reply,
    label,
    record,
    reverse_address,
)

NAME = "hosts"


def lookup(options: HostsOptions, name: Name, type: int) -> Reply | None:
    """Answers from the entries; None for a name that is left to the next plugin."""
    if type == TYPE_PTR:
        hosts = options.names.get(reverse_address(name), ())
        answers = tuple(record(name, options.ttl, PTR(label(host))) for host in hosts)
    else:
        records = (record(name, options.ttl, address) for address in options.addresses.get(name, ()))
        answers = tuple(item for item in records if item.rtype == type and type in (TYPE_A, TYPE_AAAA))
    if answers or name in options.addresses:
        return Reply(answers=answers, authoritative=True, plugin=NAME)
    # Denying the name needs the SOA record of a zone, and hosts have none.
    return None if options.fallthrough.covers(name) else Reply(SERVFAIL, plugin=NAME)
