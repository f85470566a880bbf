"""What is kept, for how long, and what makes it wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dnslib import RR

from clusterdns.cache import Encoded, EncodedAnswers, ReplyCache
from clusterdns.corefile.options import CacheOptions, CachePart
from clusterdns.message import Query, Reply, record

A = Query(("a", "example"), 1)
SOA = tuple(RR.fromZone("example. 300 IN SOA ns.example. admin.example. 1 7200 1800 86400 20"))


def answer(ttl: int) -> Reply:
    return Reply(answers=(record(("a", "example"), ttl, "10.0.0.1"),))


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (answer(60), 60),
        (answer(5000), 3600),
        (answer(1), 5),
        (Reply(3, authority=SOA), 20),
        (Reply(0, authority=SOA), 20),
        (Reply(3), 0),
        (Reply(2), 5),
        (Reply(5), 0),
    ],
)
def test_how_long(reply: Reply, seconds: int) -> None:
    cache = ReplyCache(CacheOptions())
    given = cache.put(A, reply, 100.0)
    assert {item.ttl for item in (*given.answers, *given.authority)} <= {seconds or 300}
    if seconds:
        kept = cache.get(A, 100.0 + seconds - 1)
        assert kept is not None
        assert {item.ttl for item in kept.answers} <= {1}
    assert cache.get(A, 100.0 + seconds) is None


def test_what_is_not_kept() -> None:
    elsewhere = ReplyCache(CacheOptions(zones=(("other",),)))
    disabled = ReplyCache(CacheOptions(success=CachePart(disabled=(("example",),)), servfail_seconds=0))
    for cache in (elsewhere, disabled):
        assert cache.put(A, answer(60), 0.0) == answer(60)
        assert cache.put(A, Reply(2), 0.0) == Reply(2)
        assert cache.get(A, 0.0) is None
    assert disabled.put(A, Reply(3, authority=SOA), 0.0).rcode == 3
    assert disabled.get(A, 1.0) is not None


def test_the_longest_unused_goes_first_and_flags_are_other_questions() -> None:
    cache = ReplyCache(CacheOptions(success=CachePart(capacity=2)))
    first, second, third = (Query((name,), 1) for name in "abc")
    for query in (first, second):
        cache.put(query, answer(60), 0.0)
    assert cache.get(first, 1.0)
    assert not cache.get(replace(first, dnssec=True), 1.0)
    assert not cache.get(replace(first, checking_disabled=True), 1.0)
    cache.put(third, answer(60), 1.0)
    assert [bool(cache.get(query, 2.0)) for query in (first, second, third)] == [True, False, True]
    assert cache.counts() == (2, 0)


def test_a_change_of_a_service_makes_its_answers_wrong_and_those_that_depend_on_many() -> None:
    answers = EncodedAnswers(most=4)
    entry = Encoded([b""], ("",))
    for key, subject in ((b"web", "default/web"), (b"web2", "default/web"), (b"db", "default/db"), (b"ptr", "")):
        answers.put(key, entry, subject)
    answers.forget("default/web")
    assert set(answers.entries) == {b"db"}
    answers.forget("")
    assert set(answers.entries) == {b"db"}
    for number in range(4):
        answers.put(bytes([number]), entry, "")
    assert len(answers.entries) == 1, "one too many, and all begin anew"
