"""The wire: what is read from clients, and what they get."""

from __future__ import annotations

import struct

import pytest
from dnslib import EDNS0, QTYPE, RR, TXT, A, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.message import (
    BadMessage,
    BadQuery,
    Query,
    Reply,
    decode_reply,
    encode,
    encode_query,
    error_reply,
    parse_query,
    record,
    reverse_address,
)
from clusterdns.server import varies

NAME = ("web", "default", "svc", "cluster", "local")


def asked(name: str = "WEB.default.svc.Cluster.local", type: int = 1, **edns: object) -> bytes:
    options = [EDNS0(**edns)] if edns else []
    return bytes(DNSRecord(DNSHeader(id=7, rd=1, bitmap=None), q=DNSQuestion(name, type), ar=options).pack())


def test_a_client_gets_its_capitals_back_in_every_name_that_points_at_them() -> None:
    query = parse_query(asked())
    assert (query.name, query.type, query.id, query.edns, query.size) == (NAME, 1, 7, False, 512)
    reply = DNSRecord.parse(encode(query, Reply(answers=(record(NAME, 5, "10.0.0.1"),), authoritative=True)))
    assert bytes(reply.q.qname.label[0]) == b"WEB"
    assert bytes(reply.rr[0].rname.label[0]) == b"WEB"
    assert (reply.header.id, reply.header.aa, reply.header.ra, reply.header.rd, len(reply.ar)) == (7, 1, 1, 1, 0)


def test_sizes_of_edns_are_kept_within_bounds() -> None:
    assert [parse_query(asked(udp_len=size)).size for size in (100, 1000, 4096)] == [512, 1000, 1232]
    query = parse_query(asked(udp_len=4096, flags="do"))
    assert (query.edns, query.dnssec) == (True, True)
    (options,) = DNSRecord.parse(encode(query, Reply())).ar
    assert (options.rclass, options.get_do()) == (1232, 1)


def test_what_does_not_fit_is_left_out_and_told() -> None:
    query = parse_query(asked())
    answers = tuple(record(NAME, 5, f"10.0.{n // 256}.{n % 256}") for n in range(100))
    more = tuple(record(("x", str(n)), 5, "10.0.0.1") for n in range(100))
    cut = encode(query, Reply(answers=answers, additional=more), 512)
    message = DNSRecord.parse(cut)
    assert len(cut) <= 512
    assert (message.header.tc, len(message.ar)) == (1, 0)
    assert 20 < len(message.rr) < 100
    whole = DNSRecord.parse(encode(query, Reply(answers=answers[:2], additional=more), 512))
    assert (whole.header.tc, len(whole.rr), len(whole.ar)) == (0, 2, 0), "additional records are not missed"
    big = RR("a", QTYPE.TXT, 1, 5, TXT([b"x" * 250] * 4))
    nothing = DNSRecord.parse(encode(query, Reply(answers=(big,), authority=(big,)), 512))
    assert (nothing.header.tc, nothing.rr, nothing.auth) == (1, [], [])


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (asked()[:20], 1),
        (struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1", 1),
        (struct.pack("!6H", 7, 0x0100, 2, 0, 0, 0) + asked()[12:] * 2, 1),
        (struct.pack("!6H", 7, 0x0100, 0, 0, 0, 0), 1),
        (struct.pack("!6H", 7, 0x2000, 1, 0, 0, 0) + asked()[12:], 4),
        (asked()[:-2] + b"\0\3", 5),
        (asked(udp_len=1232, version=1), 16),
    ],
)
def test_a_query_that_is_none_gets_an_error(data: bytes, rcode: int) -> None:
    with pytest.raises(BadQuery) as caught:
        parse_query(data)
    assert caught.value.rcode == rcode
    reply = DNSRecord.parse(error_reply(data, rcode))
    assert (reply.header.id, reply.header.qr, reply.header.rcode) == (7, 1, rcode & 15)
    assert [item.edns_rcode for item in reply.ar] == ([1] if rcode == 16 else [])


@given(st.binary(min_size=12, max_size=80))
def test_whatever_arrives_is_a_query_or_an_error(data: bytes) -> None:
    try:
        query = parse_query(data)
        answer = encode(query, Reply(3), query.size)
    except BadQuery as error:
        answer = error_reply(data, error.rcode)
    assert answer[:2] == data[:2]


@given(st.binary(max_size=60), st.integers(0, 40))
def test_whatever_an_upstream_says_is_an_answer_or_none(noise: bytes, at: int) -> None:
    query = Query(("a",), 1)
    answer = bytes(DNSRecord.parse(encode_query(query, 9)).reply().pack())
    for data in (noise, answer[:at] + noise, answer[:at] + noise + answer[at + len(noise) :]):
        try:
            reply, _ = decode_reply(data, query, 9)
        except BadMessage:
            continue
        encode(query, reply)


def test_an_answer_to_another_question_is_none() -> None:
    query = Query(("a", "example"), 1)
    record = DNSRecord.parse(encode_query(query, 9))
    answer = bytes(record.reply().pack())
    assert decode_reply(answer, query, 9) == (Reply(), False)
    for other in ((answer, query, 8), (answer, Query(("b", "example"), 1), 9), (answer, Query(query.name, 28), 9)):
        with pytest.raises(BadMessage):
            decode_reply(*other)
    with pytest.raises(BadMessage):
        decode_reply(encode_query(query, 9), query, 9)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("1.0.96.10.in-addr.arpa", "10.96.0.1"),
        ("0.96.10.in-addr.arpa", ""),
        ("x.0.96.10.in-addr.arpa", ""),
        ("1" + ".0" * 27 + ".0.0.d.f.ip6.arpa", "fd00::1"),
        ("11" + ".0" * 27 + ".0.0.d.f.ip6.arpa", ""),
        ("a.example", ""),
    ],
)
def test_reverse_names(name: str, address: str) -> None:
    assert reverse_address(tuple(name.split("."))) == address


def test_queries_that_differ_each_time_are_known() -> None:
    assert [varies(data, parse_query(data)) for data in (asked(), asked(udp_len=1232))] == [False, False]
    with_cookie = asked(udp_len=1232)[:-2] + b"\0\x0c\0\x0a\0\x08abcdefgh"
    assert varies(with_cookie, parse_query(with_cookie))


def test_records_say_their_type() -> None:
    assert isinstance(record(("a",), 1, "10.0.0.1").rdata, A)
    assert record(("a",), 1, "fd00::1").rtype == QTYPE.AAAA
