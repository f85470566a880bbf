"""Measures a node's heartbeat while another client keeps 500 LISTs of all pods going at once.

`python -m benchmarks.fairness_bench`: with priority and fairness, without it, and without the lists. The lists run in a
process of their own, so that reading them does not delay the measuring client.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.process import TOKEN

PODS = 2000
LISTS = 500
SECONDS = 15.0
PAUSE_SECONDS = 0.1
WARM_UP_SECONDS = 5.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
TOKENS = f"{TOKEN},admin,1,system:masters\ngreedy,greedy,2\nnode,system:node:n1,3,system:nodes\n"


def pod(name: str) -> dict[str, object]:
    """A pod of about 700 bytes when stored."""
    env = [{"name": f"VARIABLE_{number}", "value": "a value of some length"} for number in range(8)]
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "web", "image": "none:1", "env": env}]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists-of", type=int, default=0, metavar="PORT", help="only lists, from this port, for ever")
    args = parser.parse_args()
    if args.lists_of:
        asyncio.run(keep_listing(args.lists_of))
        return
    print("a node's heartbeat, ms        median      worst")
    for name, fair, lists in (("alone", True, False), ("500 lists, fair", True, True), ("500 lists", False, True)):
        latencies = measure(fair=fair, lists=lists)
        print(f"{name:26}{statistics.median(latencies) * 1000:10.1f} {max(latencies) * 1000:10.1f}")


def measure(*, fair: bool, lists: bool) -> list[float]:
    """Returns the seconds that each heartbeat took."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        tokens = folder / "bench-tokens.csv"
        tokens.write_text(TOKENS)
        flags = (f"--enable-priority-and-fairness={str(fair).lower()}", f"--token-auth-file={tokens}")
        with EtcdServer(folder) as etcd, ApiServer(folder / "api", etcd.url, *flags) as api:
            for number in range(PODS):
                api.http.post("/api/v1/namespaces/default/pods", json=pod(f"pod-{number}")).raise_for_status()
            with lister(api.port) if lists else contextlib.nullcontext():
                return heartbeats(api.client("node"))


@contextlib.contextmanager
def lister(port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.fairness_bench", f"--lists-of={port}"])
    try:
        time.sleep(WARM_UP_SECONDS)
        yield
    finally:
        process.kill()
        process.wait()


def heartbeats(http: httpx.Client) -> list[float]:
    lease = {"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1", "leaseDurationSeconds": 40}}
    stored = http.post(LEASES, json=lease).raise_for_status().json()
    latencies: list[float] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        stored["spec"]["leaseTransitions"] = len(latencies)
        begin = time.monotonic()
        stored = http.put(f"{LEASES}/n1", json=stored).raise_for_status().json()
        latencies.append(time.monotonic() - begin)
        time.sleep(PAUSE_SECONDS)
    return latencies


async def keep_listing(port: int) -> None:
    """As many clients as there are lists; one that is refused asks again a second later, as it is told to."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = {"Authorization": "Bearer greedy", "Accept-Encoding": "identity"}
    limits = httpx.Limits(max_connections=LISTS)
    async with (
        httpx.AsyncClient(verify=context, headers=headers, limits=limits, timeout=None) as http,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(LISTS):
            group.create_task(list_again(http, f"https://127.0.0.1:{port}/api/v1/pods"))


async def list_again(http: httpx.AsyncClient, url: str) -> None:
    while True:
        async with http.stream("GET", url) as answer:
            async for _ in answer.aiter_raw():
                continue
        if answer.status_code == 429:
            await asyncio.sleep(float(answer.headers["retry-after"]))


if __name__ == "__main__":
    main()
