"""Measures one worker host: `make bench-node`.

The start of a pod beside `docker run` of the same image on the same engine, pods a minute from none to a hundred, what
the kubelet costs while these do nothing, and the time from a ConfigMap's update until the mounted file shows it. The
last commit is measured the same way in the same run, as figures depend on the machine and its load.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import docker
from rich.console import Console as Screen
from rich.table import Table

from benchmarks.cluster_bench import EXAMPLE, idle_percent, last_commit, python_processes, resident
from benchmarks.felt_timings import IMAGE, NAMESPACE, OBEDIENT, SCRIPTS, Place, container, create_pod, timed, until
from mini_cluster.api import AdminApi
from mini_cluster.launcher import Cluster

NODE = "worker-1"
STARTS = 30
PODS = 100
UPDATES = 10
SETTLE_SECONDS = 30.0
IDLE_SECONDS = 60.0
RUN, RUN_WORST = "docker run, until it runs: median (s)", "docker run: worst (s)"
START, START_WORST = "pod, from create to Running: median (s)", "pod: worst (s)"
MINUTE = f"pods a minute, from 0 to {PODS}"
IDLE, MEMORY = f"the kubelet's CPU with {PODS} idle pods (% of a core)", "the kubelet's memory then (MiB)"
FILE = "ConfigMap update to mounted file: median (s)"
AIMS = {IDLE: "3", MEMORY: "110", FILE: "5"}


def measure(folder: Path, archive: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Returns the figures of a cluster whose programs are those that `environment` leads to."""
    cluster = Cluster(folder)
    try:
        command = [str(SCRIPTS / "mini-cluster"), "up", "--quiet", "--nodes", "1", "--api-port", "0"]
        subprocess.run([*command, "--dir", str(folder)], env=dict(environment), check=True)
        cluster.load_archive(archive)
        api = Place(cluster.layout, cluster.state().ports.api, environment).api()
        figures = starts(cluster, api) | {FILE: update_to_file(cluster, api)} | hundred(cluster, api)
        api.close()
        return figures
    finally:
        cluster.down(purge=True)


def starts(cluster: Cluster, api: AdminApi) -> dict[str, float]:
    """Takes turns, so that both meet the machine in the same mood."""
    engine = docker.DockerClient(base_url=f"unix://{cluster.layout.node(NODE).docker_socket}")
    plain: list[float] = []
    pods: list[float] = []
    for number in range(STARTS):
        plain.append(timed(lambda: engine.containers.run(IMAGE, OBEDIENT, detach=True, name="plain")))
        engine.containers.get("plain").remove(force=True)
        name = f"start-{number}"
        pods.append(timed(partial(create_pod, api, name, OBEDIENT)))
        delete(api, name)
    engine.close()
    return {
        RUN: statistics.median(plain),
        RUN_WORST: max(plain),
        START: statistics.median(pods),
        START_WORST: max(pods),
    }


def hundred(cluster: Cluster, api: AdminApi) -> dict[str, float]:
    def all_run() -> bool:
        pods = api.request("GET", f"{NAMESPACE}/pods").get("items") or []
        return [pod["status"].get("phase") for pod in pods].count("Running") == PODS

    began = time.monotonic()
    for number in range(PODS):
        body = {"metadata": {"name": f"many-{number}"}, "spec": {"containers": [container(OBEDIENT)]}}
        api.request("POST", f"{NAMESPACE}/pods", body)
    until(all_run)
    minutes = (time.monotonic() - began) / 60
    time.sleep(SETTLE_SECONDS)
    kubelet = f"kubelet-{NODE}"
    percent = idle_percent([python_processes(cluster)[kubelet]], IDLE_SECONDS)
    return {MINUTE: PODS / minutes, IDLE: percent, MEMORY: resident(cluster)[kubelet]}


def update_to_file(cluster: Cluster, api: AdminApi) -> float:
    api.request("POST", f"{NAMESPACE}/configmaps", {"metadata": {"name": "shown"}, "data": {"key": "0"}})
    mounted: dict[str, Any] = container(OBEDIENT) | {"volumeMounts": [{"name": "shown", "mountPath": "/shown"}]}
    volumes = [{"name": "shown", "configMap": {"name": "shown"}}]
    body = {"metadata": {"name": "reader"}, "spec": {"containers": [mounted], "volumes": volumes}}
    pod = api.request("POST", f"{NAMESPACE}/pods", body)
    volume = cluster.layout.node(NODE).kubelet_root / "pods" / pod["metadata"]["uid"] / "volumes"
    file = volume / "kubernetes.io~configmap" / "shown" / "key"

    def shows(value: int) -> Callable[[], bool]:
        return lambda: file.exists() and file.read_text() == str(value)

    until(shows(0))
    seconds = []
    for value in range(1, UPDATES + 1):
        api.request(
            "PUT", f"{NAMESPACE}/configmaps/shown", {"metadata": {"name": "shown"}, "data": {"key": str(value)}}
        )
        seconds.append(timed(partial(until, shows(value))))
    delete(api, "reader")
    return statistics.median(seconds)


def delete(api: AdminApi, name: str) -> None:
    api.request("DELETE", f"{NAMESPACE}/pods/{name}")
    until(lambda: name not in {pod["metadata"]["name"] for pod in api.request("GET", f"{NAMESPACE}/pods")["items"]})


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures one worker host beside plain Docker and the last commit.")
    parser.add_argument("--alone", action="store_true", help="leave out the last commit")
    options = parser.parse_args()
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="mini-cluster-bench-") as temporary:
        folder = Path(temporary)
        archive = folder / "guestbook.tar"
        subprocess.run([sys.executable, EXAMPLE / "build_image.py", archive], check=True)
        screen.print(f"Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")
        before: dict[str, float] = {}
        if not options.alone:
            with last_commit(folder / "last-commit") as earlier:
                before = measure(folder / "earlier", archive, os.environ | {"PYTHONPATH": str(earlier)})
        figures = measure(folder / "now", archive, os.environ)
    table = Table("figure", "now", "last commit", "aim", title=f"One worker host ({os.cpu_count()} cores)")
    for name, value in figures.items():
        earlier_value = f"{before[name]:.3f}" if name in before else ""
        table.add_row(name, f"{value:.3f}", earlier_value, AIMS.get(name, ""))
    screen.print(table)
    screen.print(f"a pod's start is {figures[START] / figures[RUN]:.2f} times that of docker run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
