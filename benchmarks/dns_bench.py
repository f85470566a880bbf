"""Measures queries a second and their times: the server of kube-dns beside Debian's unbound and dnsmasq, in turns.

`python -m benchmarks.dns_bench` needs dnsperf, unbound and dnsmasq. All answer for the same names: of Services, each
with one address, half of them asked by a name that does not exist, as search paths do. First as many as the server
takes, then a fixed number a second, whose times are told. Everything is on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

from clusterdns.cache import EncodedAnswers
from clusterdns.configuration import DEFAULT_COREFILE
from clusterdns.corefile.directives import parse_corefile
from clusterdns.metrics import QueryMetrics
from clusterdns.resolver import Resolver
from clusterdns.server import DnsServer
from tests.fakes.dns import FakeCluster
from tests.kits.process import free_port

ADDRESS = "127.0.0.1"
SERVICES = 1000
NAME = "svc-{}.default.svc.cluster.local"
IP = "10.96.{}.{}"
PROGRAMS = ("dnsperf", "unbound", "dnsmasq")


def serve(port: int) -> None:
    """The server of kube-dns, with a cluster in memory."""
    import uvloop

    cluster, encoded = FakeCluster(), EncodedAnswers()
    for number in range(SERVICES):
        cluster.add(f"svc-{number}", IP.format(number // 250, number % 250 + 1))
    resolver = Resolver(parse_corefile(DEFAULT_COREFILE), cluster, [ADDRESS], lambda path: [])
    server = DnsServer(resolver, encoded, QueryMetrics(resolver.cache_entries), [ip_network("127.0.0.0/8")])
    uvloop.run(server.run([ADDRESS], port))


def unbound_command(folder: Path, port: int) -> list[str]:
    lines = [
        "server:", f"interface: {ADDRESS}@{port}", "do-daemonize: no", 'username: ""', 'chroot: ""', "num-threads: 1",
        f'directory: "{folder}"', 'pidfile: ""', "use-syslog: no", 'local-zone: "cluster.local." static',
    ]  # fmt: skip
    lines += [f'local-data: "{name}. 30 IN A {ip}"' for name, ip in names()]
    (folder / "unbound.conf").write_text("\n".join(lines) + "\nremote-control:\n control-enable: no\n")
    return ["unbound", "-c", str(folder / "unbound.conf")]


def dnsmasq_command(folder: Path, port: int) -> list[str]:
    (folder / "hosts").write_text("".join(f"{ip} {name}\n" for name, ip in names()))
    flags = ["--keep-in-foreground", "--no-resolv", "--no-hosts", "--bind-interfaces", "--local=/cluster.local/"]
    flags += [f"--port={port}", f"--listen-address={ADDRESS}", f"--addn-hosts={folder / 'hosts'}", "--conf-file="]
    return ["dnsmasq", *flags, f"--pid-file={folder / 'dnsmasq.pid'}", "--user=root", "--local-ttl=30"]


def names() -> Iterator[tuple[str, str]]:
    for number in range(SERVICES):
        yield NAME.format(number), IP.format(number // 250, number % 250 + 1)


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while asyncio.run(_is_served(port)) is False:
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit(f"{command[0]} does not serve")
        yield
    finally:
        process.terminate()
        process.wait()


async def _is_served(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(ADDRESS, port)
    except OSError:
        await asyncio.sleep(0.05)
        return False
    writer.close()
    return True


def perform(port: int, queries: Path, seconds: float, rate: int = 0) -> tuple[float, list[float]]:
    """Queries a second, and the milliseconds of each where the rate is fixed."""
    command = ["dnsperf", "-s", ADDRESS, "-p", str(port), "-d", str(queries), "-l", str(seconds), "-c", "16"]
    if rate:
        command += ["-Q", str(rate), "-v"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (per_second,) = re.findall(r"Queries per second:\s+([\d.]+)", out)
    times = [float(text) * 1000 for text in re.findall(r"^> \w+ \S+ \S+ ([\d.]+)$", out, re.MULTILINE)]
    return float(per_second), times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--serve", type=int, default=0, metavar="PORT", help="only serve, as one of those measured")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=5000, help="queries a second, for their times")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        sys.exit(f"install {' '.join(missing)} first")
    with tempfile.TemporaryDirectory() as path, contextlib.ExitStack() as stack:
        folder, queries = Path(path), Path(path) / "queries"
        queries.write_text("".join(f"{name} A\n{name}.default.svc.cluster.local A\n" for name, _ in names()))
        ports = {"kube-dns": free_port(), "unbound": free_port(), "dnsmasq": free_port()}
        commands = {
            "kube-dns": [sys.executable, "-m", "benchmarks.dns_bench", f"--serve={ports['kube-dns']}"],
            "unbound": unbound_command(folder, ports["unbound"]),
            "dnsmasq": dnsmasq_command(folder, ports["dnsmasq"]),
        }
        for name, command in commands.items():
            stack.enter_context(running(command, ports[name]))
            perform(ports[name], queries, 0.5)
        most: dict[str, list[float]] = {name: [] for name in commands}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, port in ports.items():
                most[name].append(perform(port, queries, options.seconds)[0])
                times[name] += perform(port, queries, options.seconds, options.rate)[1]
    print(f"{'':<10}{'queries/s':>12}{f'p50 at {options.rate}/s':>18}{'p99':>10}   (milliseconds)")
    for name in commands:
        cuts = statistics.quantiles(times[name], n=100)
        print(f"{name:<10}{statistics.median(most[name]):>12,.0f}{cuts[49]:>18.3f}{cuts[98]:>10.3f}")


if __name__ == "__main__":
    main()
