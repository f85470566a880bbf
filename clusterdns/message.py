"""Queries and replies, and their form on the wire (RFC 1035, EDNS0 of RFC 6891), which `dnslib` reads and writes.

A name is a tuple of labels in lower case, without the root. A reply is encoded with the question as it was asked: names
in it point there, so a client gets back the capitals that it sent.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from dnslib import AAAA, EDNS0, QTYPE, RD, RR, A, DNSHeader, DNSLabel, DNSRecord
from dnslib.dns import DNSQuestion

Name = tuple[str, ...]

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 16: "BADVERS"}
TYPE_A, TYPE_NS, TYPE_CNAME, TYPE_SOA, TYPE_PTR, TYPE_HINFO, TYPE_TXT = 1, 2, 5, 6, 12, 13, 16
TYPE_AAAA, TYPE_SRV, TYPE_OPT, TYPE_ANY = 28, 33, 41, 255

HEADER_BYTES = 12
PLAIN_UDP_BYTES = 512
LARGEST_UDP_BYTES = 1232
"""What fits into a packet on every path, so that no answer is cut into fragments; larger ones go by TCP."""
LARGEST_BYTES = 65535
DO_BIT = 0x8000


class BadQuery(Exception):
    """A query that gets an answer without records; `rcode` tells why."""

    def __init__(self, rcode: int) -> None:
        super().__init__(RCODES[rcode])
        self.rcode = rcode


class BadMessage(Exception):
    """Something that is not an answer to the question."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question, and what the client says of itself."""

    name: Name
    type: int
    id: int = 0
    question: bytes = b""
    """The question as it was sent; "" in one that is asked here."""
    recursion_desired: bool = True
    checking_disabled: bool = False
    edns: bool = False
    dnssec: bool = False
    size: int = PLAIN_UDP_BYTES
    """The most bytes of an answer by UDP."""

    @property
    def text(self) -> str:
        return text(self.name)

    @property
    def type_name(self) -> str:
        return type_name(self.type)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a query is answered with."""

    rcode: int = NOERROR
    answers: tuple[RR, ...] = ()
    authority: tuple[RR, ...] = ()
    additional: tuple[RR, ...] = ()
    authoritative: bool = False
    authenticated: bool = False
    """The AD bit of an upstream resolver."""
    plugin: str = ""
    """The plugin that answered, as a label of metrics."""

    @property
    def negative(self) -> bool:
        return self.rcode == NXDOMAIN or (self.rcode == NOERROR and not self.answers)

    def turned(self, type: int, start: int) -> Reply:
        """Returns the reply with another one of the records of a type first; others, such as aliases, stay before."""
        ours = tuple(item for item in self.answers if item.rtype == type)
        others = tuple(item for item in self.answers if item.rtype != type)
        return replace(self, answers=(*others, *ours[start:], *ours[:start]))


def parse_name(text: str) -> Name:
    """Splits "a.b.": ("a", "b"); "." is ()."""
    return tuple(label for label in text.lower().split(".") if label)


def text(name: Name) -> str:
    return ".".join(name) + "."


def type_name(number: int) -> str:
    known = QTYPE.forward.get(number)
    return str(known) if known else f"TYPE{number}"


def is_below(name: Name, zone: Name) -> bool:
    """Tells whether the name is the zone's or below it."""
    return not zone or name[-len(zone) :] == zone


def label(name: Name) -> DNSLabel:
    return DNSLabel([part.encode("latin-1") for part in name])


def name_of(label: DNSLabel) -> Name:
    return tuple(part.decode("latin-1").lower() for part in label.label)


def record(name: Name, ttl: int, value: RD | str) -> RR:
    """Makes a record of the type of its value; a text is an address."""
    if isinstance(value, str):
        value = A(value) if ip_address(value).version == 4 else AAAA(value)
    return RR(label(name), getattr(QTYPE, type(value).__name__), 1, ttl, value)


def reverse_address(name: Name) -> str:
    """Returns the address whose PTR record the name asks for; "" when it is none."""
    try:
        if name[-2:] == ("in-addr", "arpa") and len(name) == 6:
            return str(IPv4Address(".".join(reversed(name[:4]))))
        if name[-2:] == ("ip6", "arpa") and len(name) == 34:
            digits = "".join(reversed(name[:32]))
            return str(IPv6Address(int(digits, 16))) if all(len(label) == 1 for label in name[:32]) else ""
    except ValueError:
        pass
    return ""


def parse_query(data: bytes) -> Query:
    """`data` has at least a header, which says that it is a query. Raises: BadQuery, with the error to answer."""
    id, flags, questions, answers, authority, _ = struct.unpack_from("!6H", data)
    if flags & 0x7800:
        raise BadQuery(NOTIMP)
    if questions != 1 or answers or authority:
        raise BadQuery(FORMERR)
    try:
        message = DNSRecord.parse(data)
        end = _question_end(data)
    except Exception as error:  # of the parser, which meets whatever there is
        raise BadQuery(FORMERR) from error
    if message.q.qclass != 1:
        raise BadQuery(REFUSED)
    options = [item for item in message.ar if item.rtype == TYPE_OPT]
    if len(options) > 1:
        raise BadQuery(FORMERR)
    query = Query(
        name_of(message.q.qname),
        message.q.qtype,
        id,
        bytes(data[HEADER_BYTES:end]),
        recursion_desired=bool(flags & 0x0100),
        checking_disabled=bool(flags & 0x0010),
    )
    if not options:
        return query
    if options[0].ttl >> 16 & 0xFF:
        raise BadQuery(BADVERS)
    size = min(max(options[0].rclass, PLAIN_UDP_BYTES), LARGEST_UDP_BYTES)
    return replace(query, edns=True, dnssec=bool(options[0].ttl & DO_BIT), size=size)


def _question_end(data: bytes) -> int:
    """Returns where the question ends. Raises: IndexError, and ValueError for a name that points elsewhere."""
    at = HEADER_BYTES
    while length := data[at]:
        if length > 63:
            raise ValueError("a pointer in a question")
        at += length + 1
    return at + 5


def error_reply(data: bytes, rcode: int) -> bytes:
    """Answers what could not be read as a query with a header alone (and its version of EDNS, for BADVERS)."""
    id, flags = struct.unpack_from("!2H", data)
    options = b"\0\0\x29" + struct.pack("!HBBHH", LARGEST_UDP_BYTES, rcode >> 4, 0, 0, 0) if rcode > 15 else b""
    return struct.pack("!6H", id, 0x8000 | flags & 0x7900 | rcode & 15, 0, 0, 0, bool(options)) + options


def encode_query(query: Query, id: int) -> bytes:
    """Writes a query to an upstream resolver."""
    header = DNSHeader(id=id, rd=1, cd=int(query.checking_disabled), bitmap=None)
    options = EDNS0(udp_len=LARGEST_UDP_BYTES, flags="do" if query.dnssec else "")
    return bytes(DNSRecord(header, q=DNSQuestion(label(query.name), query.type), ar=[options]).pack())


def decode_reply(data: bytes, query: Query, id: int) -> tuple[Reply, bool]:
    """Reads an upstream's answer; whether it was truncated. Raises: BadMessage when it answers another question."""
    try:
        message = DNSRecord.parse(data)
        message.pack()  # it must be possible to write to the client, too
    except Exception as error:  # of the parser, which meets whatever there is
        raise BadMessage(str(error)) from error
    header = message.header
    same = header.id == id and header.qr and len(message.questions) == 1
    if not same or (name_of(message.q.qname), message.q.qtype) != (query.name, query.type):
        raise BadMessage("an answer to another question")
    additional = tuple(item for item in message.ar if item.rtype != TYPE_OPT)
    reply = Reply(header.rcode, tuple(message.rr), tuple(message.auth), additional, authenticated=bool(header.ad))
    return reply, bool(header.tc)


def encode(query: Query, reply: Reply, limit: int = LARGEST_BYTES) -> bytes:
    """Writes a reply of at most `limit` bytes: records that find no room are left out, which the TC bit tells."""
    answers, additional, truncated = reply.answers, reply.additional, False
    while True:
        data = _pack(query, reply, answers, additional, truncated)
        if len(data) <= limit:
            return data
        if additional:
            additional = ()  # nobody misses them
        elif answers:
            answers = answers[: min(len(answers) - 1, len(answers) * limit // len(data))]
            truncated = True
        else:
            reply, truncated = replace(reply, authority=()), True


def _pack(query: Query, reply: Reply, answers: Sequence[RR], additional: Sequence[RR], truncated: bool) -> bytes:
    header = DNSHeader(
        id=query.id,
        bitmap=None,
        qr=1,
        aa=int(reply.authoritative),
        tc=int(truncated),
        rd=int(query.recursion_desired),
        ra=1,
        ad=int(reply.authenticated and query.dnssec),
        cd=int(query.checking_disabled),
        rcode=reply.rcode,
    )
    options = [EDNS0(udp_len=LARGEST_UDP_BYTES, flags="do" if query.dnssec else "")] if query.edns else []
    question = DNSQuestion(label(query.name), query.type)
    message = DNSRecord(header, q=question, rr=answers, auth=reply.authority, ar=[*additional, *options])
    data = bytes(message.pack())
    return data[:HEADER_BYTES] + query.question + data[HEADER_BYTES + len(query.question) :]
