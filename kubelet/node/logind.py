"""Hears from systemd-logind that the host is about to be switched off, and has it wait until the pods have ended.

Four calls and one signal of D-Bus are all that this takes, so they are written and read here.
Source: systemd's "Inhibitor Locks"; the D-Bus specification, "Message Protocol" and "Authentication Protocol".
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from struct import pack, unpack_from

from componentbase import logs
from componentbase.clock import Clock
from kubeclient.backoff import Backoff

SYSTEM_BUS = "/run/dbus/system_bus_socket"
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 60.0
BUS, LOGIND, MANAGER = "org.freedesktop.DBus", "org.freedesktop.login1", "org.freedesktop.login1.Manager"
LOGIND_PATH, BUS_PATH = "/org/freedesktop/login1", "/org/freedesktop/DBus"
SIGNAL = f"type='signal',sender='{LOGIND}',interface='{MANAGER}',member='PrepareForShutdown'"
WHO, WHY = "kubelet", "Kubelet needs time to handle node shutdown"
HELLO, MATCH, DELAY, INHIBIT = 1, 2, 3, 4  # serial numbers of the calls, by which answers name them
CALLS = (
    (HELLO, BUS, BUS_PATH, BUS, "Hello", ()),
    (MATCH, BUS, BUS_PATH, BUS, "AddMatch", (SIGNAL,)),
    (DELAY, LOGIND, LOGIND_PATH, "org.freedesktop.DBus.Properties", "Get", (MANAGER, "InhibitDelayMaxUSec")),
    (INHIBIT, LOGIND, LOGIND_PATH, MANAGER, "Inhibit", ("shutdown", WHO, WHY, "delay")),
)
_CALL_TYPE = 1
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _ANSWERS, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8
_HEAD_BYTES = 16

log = logs.logger(__name__)


class BusError(Exception):
    """The bus or logind refuses what it is asked."""


async def follow_logind(begins: asyncio.Event, seconds: float, clock: Clock, bus: str = SYSTEM_BUS) -> None:
    """Sets `begins` when the host is to be switched off, which logind puts off by up to `seconds` while this runs.

    Runs until cancelled, but on a host without a system bus, which has no logind.
    """
    backoff, told = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS), ""
    while True:
        try:
            await _follow(begins, seconds, bus, backoff.reset)
        except FileNotFoundError:
            return
        except (OSError, BusError) as error:
            if str(error) != told:
                log.warning("systemd-logind does not tell of a shutdown, will retry", error=str(error))
            told = str(error)
        await clock.sleep(backoff.next_seconds())


async def _follow(begins: asyncio.Event, seconds: float, bus: str, following: Callable[[], None]) -> None:
    """Calls `following` once logind holds shutdowns up. Raises: BusError; OSError."""
    with ExitStack() as held, socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, bus)
        identity = str(os.getuid()).encode().hex().encode()
        await loop.sock_sendall(connection, b"\0AUTH EXTERNAL %s\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n" % identity)
        await loop.sock_sendall(connection, b"".join(_call(*call) for call in CALLS))
        received = b""
        while received.count(b"\r\n") < 2:  # the bus agrees to who we are, and to pass files
            received += await _receive(connection, held)
        received = received.split(b"\r\n", 2)[2]
        while True:
            while message := _first_message(received):
                received = received[message.size :]
                if message.error:
                    raise BusError(message.error)
                if message.member == "PrepareForShutdown" and unpack_from("=I", message.body)[0]:
                    log.info("systemd-logind announces a shutdown")
                    begins.set()
                elif message.answers == DELAY and (most := unpack_from("=Q", message.body, 8)[0] / 1e6) < seconds:
                    log.warning("InhibitDelayMaxSec in logind.conf is too short", seconds=most, wanted=seconds)
                elif message.answers == INHIBIT:
                    following()
                    log.info("a shutdown of the host waits for its pods")
            received += await _receive(connection, held)


async def _receive(connection: socket.socket, held: ExitStack) -> bytes:
    """Returns what comes next. The lock is an open file, which `held` keeps. Raises: OSError."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    data, files, _, _ = socket.recv_fds(connection, 65536, 1, socket.MSG_CMSG_CLOEXEC)
    for file in files:
        held.callback(os.close, file)
    if not data:
        raise ConnectionResetError("the system bus has ended the connection")
    return data


def _call(serial: int, destination: str, path: str, interface: str, member: str, arguments: tuple[str, ...]) -> bytes:
    """Writes the call of a method that takes strings."""
    texts = ((_PATH, b"o", path), (_INTERFACE, b"s", interface), (_MEMBER, b"s", member))
    fields = [bytes((code, 1)) + kind + b"\0" + _text(value) for code, kind, value in texts]
    fields.append(bytes((_DESTINATION, 1)) + b"s\0" + _text(destination))
    if arguments:
        fields.append(bytes((_SIGNATURE, 1)) + b"g\0" + bytes((len(arguments),)) + b"s" * len(arguments) + b"\0")
    header, body = _joined(fields, 8), _joined([_text(argument) for argument in arguments], 4)
    order = b"l" if sys.byteorder == "little" else b"B"
    head = order + bytes((_CALL_TYPE, 0, 1)) + pack("=III", len(body), serial, len(header))
    return _joined([head + header, body], 8)


def _text(value: str) -> bytes:
    return pack("=I", len(value.encode())) + value.encode() + b"\0"


def _joined(parts: list[bytes], alignment: int) -> bytes:
    """Joins the parts, each at a multiple of the alignment."""
    data = b""
    for part in parts:
        data += bytes(-len(data) % alignment) + part
    return data


@dataclass(frozen=True, slots=True)
class _Message:
    """`size` is that of all its bytes; `answers` the serial number of the call, 0 for a signal."""

    size: int
    body: bytes
    member: str
    answers: int
    error: str


def _first_message(data: bytes) -> _Message | None:
    """Returns None while the message isn't there as a whole. All on a host write numbers in its own order."""
    if len(data) < _HEAD_BYTES:
        return None
    body_size, _, fields_size = unpack_from("=III", data, 4)
    begin = _HEAD_BYTES + fields_size + -fields_size % 8
    if len(data) < begin + body_size:
        return None
    texts, answers, at = {}, 0, _HEAD_BYTES
    while at < _HEAD_BYTES + fields_size:
        code, kind = data[at], data[at + 2 : at + 3]
        number, at = (data[at + 4], at + 5) if kind == b"g" else (unpack_from("=I", data, at + 4)[0], at + 8)
        if kind == b"u":
            answers = number if code == _ANSWERS else answers
        else:
            texts[code] = data[at : at + number].decode()
            at += number + 1
        at += -at % 8
    body = data[begin : begin + body_size]
    return _Message(begin + body_size, body, texts.get(_MEMBER, ""), answers, texts.get(_ERROR_NAME, ""))
