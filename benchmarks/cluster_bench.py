"""Measures a cluster of two worker hosts on this machine: `make bench`.

Each round is a cluster in a new folder: the start until both nodes are Ready, the guestbook's three replicas from
`mini-kubectl apply` until they are Running and in the Service, a killed container until it runs again; then what the
daemons cost while nothing happens. Figures are medians over the rounds; they depend on the machine and its load.
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console as Screen
from rich.table import Table

from mini_cluster.api import AdminApi
from mini_cluster.errors import ApiError
from mini_cluster.launcher import Cluster

EXAMPLE = Path(__file__).parents[1] / "examples" / "guestbook"
SCRIPTS = Path(sys.executable).parent
REPLICAS = 3
POLL_SECONDS = 0.02
STEP_SECONDS = 120.0
SETTLE_SECONDS = 15.0  # after the last change, before the idle cost is measured
IDLE_SECONDS = 30.0
PODS = "/api/v1/namespaces/default/pods?labelSelector=app%3Dguestbook"
ENDPOINTS = "/api/v1/namespaces/default/endpoints/guestbook"
NOT_OURS = ("etcd", "dockerd")  # idle CPU and memory are those of the Python processes


@dataclass
class Figures:
    """The figures of all rounds, one value a round: seconds, percent of a core, or MiB."""

    up: list[float] = field(default_factory=list)
    rollout: list[float] = field(default_factory=list)
    healed: list[float] = field(default_factory=list)
    idle_percent: list[float] = field(default_factory=list)
    resident: dict[str, list[float]] = field(default_factory=dict)


def measure_round(folder: Path, archive: Path, figures: Figures) -> None:
    cluster = Cluster(folder)
    try:
        figures.up.append(timed(lambda: launch(folder)))
        cluster.load_archive(archive)
        api = AdminApi(cluster.layout, cluster.state().ports.api)
        figures.rollout.append(timed(lambda: roll_out(cluster, api)))
        figures.healed.append(kill_and_heal(cluster, api))
        time.sleep(SETTLE_SECONDS)
        figures.idle_percent.append(idle_percent(cluster))
        for name, mebibytes in resident(cluster).items():
            figures.resident.setdefault(name, []).append(mebibytes)
        api.close()
    finally:
        cluster.down(purge=True)


def timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def launch(folder: Path) -> None:
    """Brings the cluster up as a user does, with the start of the command line."""
    command = [str(SCRIPTS / "mini-cluster"), "up", "--quiet", "--nodes", "2", "--api-port", "0", "--dir", str(folder)]
    subprocess.run(command, check=True)


def roll_out(cluster: Cluster, api: AdminApi) -> None:
    environment = os.environ | {"KUBECONFIG": str(cluster.layout.kubeconfig)}
    command = [str(SCRIPTS / "mini-kubectl"), "apply", "-f", str(EXAMPLE)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    until(lambda: len(running(api)) == REPLICAS and in_service(api) == REPLICAS)


def kill_and_heal(cluster: Cluster, api: AdminApi) -> float:
    """Returns the seconds from the kill of one container until the API shows its successor running."""
    name, pod = next(iter(running(api).items()))
    engine = cluster.engine(pod["spec"]["nodeName"])
    before = pod["status"]["containerStatuses"][0]["containerID"]
    engine.kill(before.removeprefix("docker://"))

    def healed() -> bool:
        current = running(api).get(name)
        return current is not None and current["status"]["containerStatuses"][0]["containerID"] != before

    return timed(lambda: until(healed))


def running(api: AdminApi) -> dict[str, dict[str, Any]]:
    """Returns the pods whose container runs, by name."""
    pods = api.request("GET", PODS).get("items") or []
    return {
        pod["metadata"]["name"]: pod
        for pod in pods
        if any("running" in status.get("state", {}) for status in pod["status"].get("containerStatuses") or [])
    }


def in_service(api: AdminApi) -> int:
    subsets = api.request("GET", ENDPOINTS).get("subsets") or []
    return sum(len(subset.get("addresses") or []) for subset in subsets)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except ApiError:
            pass  # the object is not there yet
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"not within {STEP_SECONDS:g} s")


def python_processes(cluster: Cluster) -> dict[str, int]:
    """Maps each component to its process id, the supervisor included."""
    pids = {status.name: status.pid for status in cluster.view().components if not status.name.startswith(NOT_OURS)}
    return pids | {"supervisor": cluster.supervisor_pid()}


def idle_percent(cluster: Cluster) -> float:
    """Measures the CPU of all Python processes together, in percent of one core."""
    pids = python_processes(cluster).values()
    before = sum(map(cpu_seconds, pids))
    began = time.monotonic()
    time.sleep(IDLE_SECONDS)
    return 100 * (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - began)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(cluster: Cluster) -> dict[str, float]:
    """Maps each component to its resident memory in MiB."""
    mebibytes = {}
    for name, pid in python_processes(cluster).items():
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        mebibytes[name] = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return mebibytes


def table(figures: Figures) -> Table:
    result = Table(title=f"A cluster of two worker hosts ({os.cpu_count()} cores, {len(figures.up)} rounds)")
    result.add_column("figure")
    for heading in ("median", "least", "most", "aim"):
        result.add_column(heading, justify="right")
    rows = [
        ("up to both nodes Ready (s)", figures.up, "6"),
        (f"apply to {REPLICAS} Running and in the Service (s)", figures.rollout, "4"),
        ("killed container runs again (s)", figures.healed, "2"),
        ("idle CPU of all Python processes (% of a core)", figures.idle_percent, "5"),
        *((f"resident memory of {name} (MiB)", values, "70") for name, values in sorted(figures.resident.items())),
    ]
    for label, values, aim in rows:
        summary = (statistics.median(values), min(values), max(values))
        result.add_row(label, *(f"{value:.1f}" for value in summary), aim)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures a cluster of two worker hosts on this machine.")
    parser.add_argument("--rounds", type=int, default=3, help="clusters to measure (%(default)s)")
    options = parser.parse_args()
    figures = Figures()
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="mini-cluster-bench-") as folder:
        archive = Path(folder) / "guestbook.tar"
        subprocess.run([sys.executable, EXAMPLE / "build_image.py", archive], check=True)
        for number in range(1, options.rounds + 1):
            screen.print(
                f"round {number} of {options.rounds} (Linux {platform.release()}, load {os.getloadavg()[0]:.1f})"
            )
            measure_round(Path(folder) / f"round-{number}", archive, figures)
    screen.print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
