"""Measures kube-proxy's rules in both modes, in a network namespace of its own (root): how long syncs take with so many
Services, how soon a changed endpoint is reached, and what a new connection costs.

    .venv/bin/python -m benchmarks.proxy_bench --services 10 1000 10000

Each Service has two endpoints; pods' and Services' addresses are on loopback. Times are medians in milliseconds, of new
connections microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import resource
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Address

from kubeproxy.family import FamilyRules, Kernel
from kubeproxy.flows.relay import Relay
from kubeproxy.iptables import kernel as iptables
from kubeproxy.nftables import kernel as nftables
from kubeproxy.settings import Family, LocalTraffic, Mode, Settings
from kubeproxy.topology import Balance, Endpoint, ServicePort

CLONE_NEWNET = 0x40000000
SERVER_PORT = 8080
REPEATS = 9
CONNECTIONS = 500
CLIENT_IP, POD_NETWORK = "10.128.0.1", "10.128.0.0/10"
FIRST_CLUSTER_IP, FIRST_POD_IP = IPv4Address("10.96.0.1"), IPv4Address("10.129.0.1")


def enter_namespace() -> None:
    """Puts this process into a new network namespace, in which all addresses of pods and Services are its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare: root is needed")
    lines = ["link set lo up", f"address add {CLIENT_IP}/32 dev lo", f"route add local {POD_NETWORK} dev lo"]
    lines.append(f"route add 10.96.0.0/12 dev lo src {CLIENT_IP}")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def service(number: int, *, generation: int = 0, balance: Balance = Balance.RANDOM) -> ServicePort:
    """Returns Service so-and-so; another generation has other endpoints."""
    first = FIRST_POD_IP + 2 * number + 100_000 * generation
    ends = tuple(Endpoint(str(first + offset), SERVER_PORT) for offset in (0, 1))
    return ServicePort(
        "bench", f"web-{number}", "http", "tcp", str(FIRST_CLUSTER_IP + number), 80,
        cluster_endpoints=ends, balance=balance, has_endpoints=True,
    )  # fmt: skip


async def kernel_of(mode: Mode, settings: Settings) -> Kernel:
    if mode is Mode.IPTABLES:
        return iptables.IptablesKernel(settings, await iptables.watch(4))
    return nftables.NftablesKernel(settings, nftables.watch(4))


def serve() -> None:
    """Accepts connections, and closes each when its client does."""
    listener = socket.create_server(("", SERVER_PORT), backlog=1024)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            connection.close()

    threading.Thread(target=accept, daemon=True).start()


def connect(address: str) -> None:
    """Connects, and waits for the server to close."""
    with socket.create_connection((address, 80), timeout=5) as client:
        client.recv(1)


async def milliseconds(action: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await action()
    return (time.perf_counter() - started) * 1000


class Bench:
    """One mode with so many Services."""

    def __init__(self, rules: FamilyRules, count: int) -> None:
        self._rules, self._count = rules, count

    async def _sync(self, number: int, *ports: ServicePort) -> None:
        await self._rules.sync({f"bench/web-{number}": ports}, None, periodic=False)

    async def run(self) -> dict[str, float]:
        everything = {f"bench/web-{number}": (service(number),) for number in range(self._count)}
        found = {"first": await milliseconds(lambda: self._rules.sync(everything, None, periodic=False))}
        last, new = self._count - 1, self._count
        added, removed, changed, reached = [], [], [], []
        for generation in range(1, REPEATS + 1):
            added.append(await milliseconds(lambda: self._sync(new, service(new))))
            removed.append(await milliseconds(lambda: self._sync(new)))
            started = time.perf_counter()
            port = service(last, generation=generation)
            changed.append(await milliseconds(lambda port=port: self._sync(last, port)))  # type: ignore[misc]
            await asyncio.to_thread(connect, port.cluster_ip)
            reached.append((time.perf_counter() - started) * 1000)
        for name, times in (("add", added), ("remove", removed), ("endpoint", changed), ("packet", reached)):
            found[name] = statistics.median(times)
        found["connection us"] = await asyncio.to_thread(self._connections, service(last).cluster_ip)
        self._rules.kernel.monitor.altered = True
        found["check"] = await milliseconds(lambda: self._rules.sync({}, None, periodic=False))
        return found

    @staticmethod
    def _connections(address: str) -> float:
        times = []
        for _ in range(CONNECTIONS):
            started = time.perf_counter()
            connect(address)
            times.append((time.perf_counter() - started) * 1e6)
        return statistics.median(times)


async def measure(mode: Mode, count: int) -> dict[str, float]:
    rules = FamilyRules(4, await kernel_of(mode, Settings(local=LocalTraffic(POD_NETWORK))))
    try:
        return await Bench(rules, count).run()
    finally:
        rules.kernel.monitor.close()
        await (iptables.cleanup(4) if mode is Mode.IPTABLES else nftables.cleanup(4))


async def measure_relay(mode: Mode) -> tuple[float, float, float]:
    """Returns microseconds of a new connection by rules and by the relay, and of the relay's CPU for each."""
    families: list[Family] = [4]
    relay = Relay(families)
    rules = FamilyRules(4, await kernel_of(mode, Settings(relay_port=relay.port)))
    serving = asyncio.get_running_loop().create_task(relay.run())
    found = []
    cpu = 0.0
    for balance in (Balance.RANDOM, Balance.LEAST_CONNECTIONS):
        port = replace(service(0), balance=balance)
        relay.update({"bench/web-0": (port,)})
        await rules.sync({"bench/web-0": (port,)}, None, periodic=False)
        before = resource.getrusage(resource.RUSAGE_THREAD)
        found.append(await asyncio.to_thread(Bench._connections, port.cluster_ip))
        after = resource.getrusage(resource.RUSAGE_THREAD)
        cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / CONNECTIONS * 1e6
    serving.cancel()
    rules.kernel.monitor.close()
    await (iptables.cleanup(4) if mode is Mode.IPTABLES else nftables.cleanup(4))
    return found[0], found[1], cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, nargs="+", default=[10, 1000], metavar="N")
    parser.add_argument("--modes", type=Mode, nargs="+", default=list(Mode), choices=list(Mode))
    args = parser.parse_args()
    enter_namespace()
    serve()
    print(f"{os.cpu_count()} CPUs; milliseconds, but of a connection microseconds")
    titles = ("first", "add", "remove", "endpoint", "packet", "check", "connection us")
    print(f"{'mode':<10}{'services':>9}", *(f"{title:>14}" for title in titles))
    for count in args.services:
        for mode in args.modes:
            found = asyncio.run(measure(mode, count))
            print(f"{mode.value:<10}{count:>9}", *(f"{found[title]:>14.1f}" for title in titles), flush=True)
    for mode in args.modes:
        by_rules, by_relay, cpu = asyncio.run(measure_relay(mode))
        print(
            f"{mode.value}: a connection by rules {by_rules:.0f} us, by the relay {by_relay:.0f} us ({cpu:.0f} us CPU)"
        )


if __name__ == "__main__":
    main()
