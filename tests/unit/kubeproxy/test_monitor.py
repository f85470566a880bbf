"""Which changes of the kernel's rules are noticed."""

from __future__ import annotations

import struct

from kubeproxy.monitor import RuleEvent, parse_events


def message(kind: int, *attributes: tuple[int, bytes], family: int = 2, subsystem: int = 10) -> bytes:
    body = struct.pack("=BBH", family, 0, 0)
    for number, value in attributes:
        body += struct.pack("=HH", len(value) + 4, number) + value + b"\0" * (-len(value) % 4)
    return struct.pack("=IHHII", len(body) + 16, subsystem << 8 | kind, 0, 1, 0) + body


def test_messages_name_a_table_and_a_chain() -> None:
    rule = message(6, (1, b"nat\0"), (2, b"KUBE-SERVICES\0"), (3, b"\0\0\0\0\0\0\0\5"))
    flush = message(8, (1, b"filter\0"), (2, b"FORWARD\0"), family=10)
    table = message(2, (1, b"kube-proxy\0"))
    assert list(parse_events(rule + flush + table)) == [
        RuleEvent(2, 6, "nat", ("KUBE-SERVICES",)), RuleEvent(10, 8, "filter", ("FORWARD",)),
        RuleEvent(2, 2, "kube-proxy"),
    ]  # fmt: skip
    assert [event.deletion for event in parse_events(rule + flush + table)] == [False, True, True]


def test_other_subsystems_and_torn_messages_are_skipped() -> None:
    assert list(parse_events(message(6, (1, b"nat\0"), subsystem=1))) == []
    assert list(parse_events(b"\0" * 40)) == []
    assert list(parse_events(message(6, (1, b"nat\0"))[:18])) == []
