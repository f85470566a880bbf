"""What daemons share: flags in upstream's syntax, log lines, exit codes, health endpoints."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from componentbase import tls
from componentbase.flags import Serving, base_parser, parse_bool, parse_duration, parse_map
from componentbase.health import HealthHandler, HealthServer
from componentbase.logs import LineFormatter
from componentbase.tasks import alongside
from tests.kits.eventually import eventually_async
from tests.kits.process import free_port


@pytest.mark.parametrize(
    ("text", "seconds"), [("40s", 40), ("1m30s", 90), ("1.5h", 5400), ("300ms", 0.3), ("0", 0), ("-2s", -2)]
)
def test_go_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "40", "s", "4 s", "1m30", "abc"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_duration(text)


def test_booleans_and_maps() -> None:
    assert (parse_bool("true"), parse_bool("F")) == (True, False)
    with pytest.raises(argparse.ArgumentTypeError):
        parse_bool("yes")
    assert parse_map("a=1,b=x=y") == {"a": "1", "b": "x=y"}
    with pytest.raises(argparse.ArgumentTypeError):
        parse_map("a")


def test_every_daemon_takes_the_shared_flags() -> None:
    parser = base_parser("kube-x", "x", secure_port=10257, leader_elect=True)
    options = parser.parse_args(["--leader-elect=false", "-v", "4", "--kubeconfig=f"])
    assert (options.leader_elect, options.verbosity, options.secure_port) == (False, 4, 10257)
    assert parser.parse_args(["--leader-elect"]).leader_elect is True
    assert parser.parse_args([]).leader_elect_lease_duration == 15
    with pytest.raises(SystemExit):
        parser.parse_args(["--leader-elec"])


def test_a_record_is_one_line_with_its_fields() -> None:
    record = logging.makeLogRecord({"levelname": "WARNING", "msg": "pod failed", "created": 0.5, "msecs": 500.0})
    record.__dict__["fields"] = {"pod": "a/b", "error": 'two "words"\nand lines', "empty": ""}
    line = LineFormatter("kubelet").format(record)
    expected = '1970-01-01T00:00:00.500Z WARN kubelet pod failed pod=a/b error="two \\"words\\"\\nand lines" empty=""'
    assert line == expected


DAEMON = """
import asyncio, sys
from componentbase import daemon, logs
logs.setup("test")
async def main():
    print("up", flush=True)
    {body}
sys.exit(daemon.run(main, "test", shutdown_seconds=0.5))
"""


def run_daemon(body: str, *signals: int) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DAEMON.format(body=body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    for number in signals:
        os.kill(process.pid, number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_a_signal_ends_it_well() -> None:
    code, logged = run_daemon("await asyncio.Future()", signal.SIGTERM)
    assert (code, "stopped" in logged) == (0, True)


def test_an_error_ends_it_and_is_logged() -> None:
    code, logged = run_daemon("raise OSError('disk on fire')")
    assert code == 1
    assert 'ERROR test fatal error="OSError: disk on fire"' in logged


def test_a_fatal_error_is_a_message_without_traceback() -> None:
    code, logged = run_daemon("raise daemon.FatalError('give me a flag')")
    assert (code, "Traceback" in logged, "give me a flag" in logged) == (1, False, True)


def test_one_that_hangs_at_shutdown_is_ended() -> None:
    body = "\n    ".join(["while True:", "    try: await asyncio.sleep(60)", "    except asyncio.CancelledError: pass"])
    code, logged = run_daemon(body, signal.SIGTERM)
    assert (code, "did not stop in time" in logged) == (1, True)


def test_probes_and_their_checks() -> None:
    app = HealthHandler()
    problem = ""
    app.add_ready_check("caches", lambda: problem)
    assert app.respond("/healthz", b"", False) == (200, "text/plain; charset=utf-8", b"ok")
    assert app.respond("/readyz", b"", False)[0] == 200
    problem = "not synced"
    status, _, body = app.respond("/readyz", b"verbose", False)
    assert (status, body) == (500, b"[+]ping ok\n[-]caches failed: not synced\nreadyz check failed\n")
    assert app.respond("/livez", b"", False)[0] == 200
    assert app.respond("/readyz/caches", b"", False)[0] == 500
    assert app.respond("/readyz/none", b"", False)[0] == 404
    assert app.respond("/else", b"", False)[0] == 404


def test_metrics_are_for_verified_clients() -> None:
    app = HealthHandler()
    assert app.respond("/metrics", b"", False)[0] == 401
    status, _, body = app.respond("/metrics", b"", True)
    assert status == 200
    assert b"process_resident_memory_bytes" in body


async def fetch(port: int, path: str, context: ssl.SSLContext) -> str:
    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        with suppress(ConnectionRefusedError):
            return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        return None

    reader, writer = await eventually_async(connect)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_the_server_makes_its_certificate_and_knows_its_clients(tmp_path: Path) -> None:
    client_cert, client_key = tls.self_signed(str(tmp_path / "client"), "client")

    port = free_port()
    serving = Serving("127.0.0.1", port, client_ca_file=client_cert, cert_dir=str(tmp_path))
    ca = str(tmp_path / "test.crt")
    async with alongside(HealthServer("test", serving).run()), asyncio.timeout(20):
        await asyncio.sleep(0)
        anonymous = tls.client_context(ca_file=ca)
        verified = tls.client_context(ca_file=ca, cert_file=client_cert, key_file=client_key)
        assert "200 OK" in await fetch(port, "/healthz", anonymous)
        assert "401 Unauthorized" in await fetch(port, "/metrics", anonymous)
        assert "process_cpu_seconds_total" in await fetch(port, "/metrics", verified)
    assert tls.self_signed(str(tmp_path), "test") == (ca, str(tmp_path / "test.key"))
    assert (tmp_path / "test.key").stat().st_mode & 0o777 == 0o600
