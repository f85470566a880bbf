"""Measures how long people at the command line wait, on a control plane without worker hosts; part of `make bench`.

`kubectl get pods` with 10,000 pods, discovery from a cold cache, and server-side apply: of new objects, of unchanged
ones, and of changed ones. Without a real kubectl on PATH only mini-kubectl is timed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console as Screen
from rich.table import Table

from kubeclient.access.config import load_config
from kubeclient.rest import RestClient
from mini_cluster.console import Console
from mini_cluster.launcher import Cluster

PODS = 10_000
APPLIED = 500
AT_ONCE = 16
ROUNDS = 5
NAMESPACE = "/api/v1/namespaces/default"
APPLY = "application/apply-patch+yaml"
MANAGER = {"fieldManager": "bench"}
SCRIPTS = Path(sys.executable).parent


def pod(number: int) -> dict[str, Any]:
    """A pod that the scheduler leaves alone, since it names another one."""
    spec = {"schedulerName": "none", "containers": [{"name": "main", "image": "registry.example/web:1"}]}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": f"pod-{number:05}"}, "spec": spec}


def deployment(number: int, image: str) -> dict[str, Any]:
    """A Deployment without replicas, so that only the API server's work is measured."""
    labels = {"app": f"web-{number}"}
    container = {"name": "web", "image": image, "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "b"}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"web-{number}"}, "spec": spec}


async def per_second(work: Callable[[int], Awaitable[object]], count: int) -> float:
    """Runs `work(0)` … `work(count - 1)`, AT_ONCE of them at a time."""
    numbers: Iterable[int] = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)

    began = time.monotonic()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return count / (time.monotonic() - began)


async def measure_server(kubeconfig: Path) -> list[tuple[str, list[float]]]:
    """Measures server-side apply, in applications per second; leaves PODS pods behind."""
    async with RestClient(load_config(str(kubeconfig)), user_agent="bench") as client:

        async def apply(number: int, image: str) -> None:
            path = f"/apis/apps/v1/namespaces/default/deployments/web-{number}"
            body = orjson.dumps(deployment(number, image))
            await client.request("PATCH", path, params=MANAGER, body=body, content_type=APPLY)

        async def create(number: int) -> None:
            await client.request("POST", f"{NAMESPACE}/pods", body=orjson.dumps(pod(number)))

        rates = []
        for label, image in (("new", "web:1"), ("unchanged", "web:1"), ("changed", "web:2")):
            rate = await per_second(lambda number, image=image: apply(number, image), APPLIED)  # type: ignore[misc]
            rates.append((f"server-side apply of {label} Deployments (per s)", [rate]))
        await per_second(create, PODS)
    return rates


def measure_programs(kubeconfig: Path, folder: Path) -> list[tuple[str, list[float]]]:
    """Measures whole commands, in seconds."""
    programs = {"mini-kubectl": str(SCRIPTS / "mini-kubectl")}
    if real := shutil.which("kubectl"):
        programs["kubectl"] = real
    timings = []
    for name, program in programs.items():
        home = folder / name
        home.mkdir()
        command = [program, "--kubeconfig", str(kubeconfig)]
        timings.append((f"{name} get pods, {PODS:,} pods (s)", seconds([*command, "get", "pods"], home)))
        timings.append((f"{name} api-resources, cold cache (s)", seconds([*command, "api-resources"], home, cold=True)))
    return timings


def seconds(command: list[str], home: Path, *, cold: bool = False) -> list[float]:
    """Times ROUNDS runs of a command, after one that warms up."""
    durations = []
    for _ in range(ROUNDS + 1):
        if cold:
            shutil.rmtree(home / ".kube", ignore_errors=True)
        began = time.monotonic()
        subprocess.run(command, env=os.environ | {"HOME": str(home)}, check=True, stdout=subprocess.DEVNULL)
        durations.append(time.monotonic() - began)
    return durations[1:]


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="mini-cluster-bench-") as name:
        folder = Path(name)
        cluster = Cluster(folder / "cluster", Console(quiet=True))
        try:
            cluster.up(0, api_port=None)
            screen.print(f"applying {3 * APPLIED:,} times and creating {PODS:,} pods")
            rows = asyncio.run(measure_server(cluster.layout.kubeconfig))
            rows += measure_programs(cluster.layout.kubeconfig, folder)
        finally:
            cluster.down(purge=True)
    result = Table(title=f"The command line's waits ({os.cpu_count()} cores, median of {ROUNDS})")
    result.add_column("figure")
    result.add_column("median", justify="right")
    for label, values in rows:
        result.add_row(label, f"{statistics.median(values):.2f}")
    screen.print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
