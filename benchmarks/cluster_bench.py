"""Measures a cluster of two worker hosts on this machine: `make bench`.

Each round is a cluster in a new folder: the start until both nodes are Ready, the guestbook's three replicas from
`mini-kubectl apply` until they are Running and in the Service, a killed container until it runs again, what people
wait for (`felt_timings.py`); then what the daemons cost while nothing happens. Figures are medians over the rounds.
They depend on the machine and its load, so the timings of the last commit are taken in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console as Screen
from rich.table import Table

from benchmarks.felt_timings import DELETION, SCRIPTS, Place, measure, timed, until
from mini_cluster.api import AdminApi
from mini_cluster.launcher import Cluster

REPOSITORY = Path(__file__).parents[1]
EXAMPLE = REPOSITORY / "examples" / "guestbook"
REPLICAS = 3
UP = "up to both nodes Ready (s)"
ROLLOUT = f"apply to {REPLICAS} Running and in the Service (s)"
HEALED = "killed container runs again (s)"
IDLE = "idle CPU of all Python processes (% of a core)"
AIMS = {UP: "6", ROLLOUT: "4", HEALED: "2", IDLE: "5", DELETION: "0.3"}
SETTLE_SECONDS = 15.0  # after the last change, before the idle cost is measured
IDLE_SECONDS = 30.0
PODS = "/api/v1/namespaces/default/pods?labelSelector=app%3Dguestbook"
ENDPOINTS = "/api/v1/namespaces/default/endpoints/guestbook"
NOT_OURS = ("etcd", "dockerd")  # idle CPU and memory are those of the Python processes


@dataclass
class Figures:
    """The figures of all rounds, one value a round: seconds, percent of a core, or MiB."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    idle_percent: list[float] = field(default_factory=list)
    resident: dict[str, list[float]] = field(default_factory=dict)

    def add_seconds(self, seconds: Mapping[str, float]) -> None:
        for name, value in seconds.items():
            self.seconds.setdefault(name, []).append(value)


def measure_round(folder: Path, archive: Path, figures: Figures, source: Path | None = None) -> None:
    """With `source` the cluster's programs are those of that folder, and only their timings are taken."""
    environment = os.environ | ({"PYTHONPATH": str(source)} if source is not None else {})
    cluster = Cluster(folder)
    try:
        figures.add_seconds({UP: timed(lambda: launch(folder, environment))})
        cluster.load_archive(archive)
        place = Place(cluster.layout, cluster.state().ports.api, environment)
        api = place.api()
        figures.add_seconds({ROLLOUT: timed(lambda: roll_out(place, api)), HEALED: kill_and_heal(cluster, api)})
        figures.add_seconds(measure(place, folder))
        if source is None:
            time.sleep(SETTLE_SECONDS)
            figures.idle_percent.append(idle_percent(python_processes(cluster).values(), IDLE_SECONDS))
            for name, mebibytes in resident(cluster).items():
                figures.resident.setdefault(name, []).append(mebibytes)
        api.close()
    finally:
        cluster.down(purge=True)


@contextlib.contextmanager
def last_commit(folder: Path) -> Iterator[Path]:
    """Checks out what changes are compared with: the last commit, or the one before it while nothing is changed."""
    git = ("git", "-C", str(REPOSITORY))
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False).returncode != 0
    subprocess.run(
        [*git, "worktree", "add", "--quiet", "--detach", folder, "HEAD" if changed else "HEAD~1"], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", folder], check=True)


def launch(folder: Path, environment: Mapping[str, str]) -> None:
    """Brings the cluster up as a user does, with the start of the command line."""
    command = [str(SCRIPTS / "mini-cluster"), "up", "--quiet", "--nodes", "2", "--api-port", "0", "--dir", str(folder)]
    subprocess.run(command, env=dict(environment), check=True)


def roll_out(place: Place, api: AdminApi) -> None:
    place.kubectl("apply", "-f", str(EXAMPLE))
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


def python_processes(cluster: Cluster) -> dict[str, int]:
    """Maps each component to its process id, the supervisor included."""
    pids = {status.name: status.pid for status in cluster.view().components if not status.name.startswith(NOT_OURS)}
    return pids | {"supervisor": cluster.supervisor_pid()}


def idle_percent(pids: Collection[int], seconds: float) -> float:
    """Measures the CPU of these processes together for so long, in percent of one core."""
    before = sum(map(cpu_seconds, pids))
    began = time.monotonic()
    time.sleep(seconds)
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


def table(figures: Figures, before: Figures) -> Table:
    rounds = len(figures.idle_percent)
    result = Table(title=f"A cluster of two worker hosts ({os.cpu_count()} cores, {rounds} rounds)")
    result.add_column("figure")
    for heading in ("median", "least", "most", "last commit", "aim"):
        result.add_column(heading, justify="right")
    rows = [
        *((name, values, 3) for name, values in figures.seconds.items()),
        (IDLE, figures.idle_percent, 1),
        *((f"resident memory of {name} (MiB)", values, 1) for name, values in sorted(figures.resident.items())),
    ]
    for label, values, digits in rows:
        summary = [f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))]
        earlier = before.seconds.get(label)
        summary.append(f"{statistics.median(earlier):.{digits}f}" if earlier else "")
        result.add_row(label, *summary, AIMS.get(label, "70" if label.startswith("resident") else ""))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures a cluster of two worker hosts on this machine.")
    parser.add_argument("--rounds", type=int, default=3, help="clusters to measure (%(default)s)")
    options = parser.parse_args()
    figures, before = Figures(), Figures()
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="mini-cluster-bench-") as temporary:
        folder = Path(temporary)
        archive = folder / "guestbook.tar"
        subprocess.run([sys.executable, EXAMPLE / "build_image.py", archive], check=True)
        with last_commit(folder / "last-commit") as earlier:
            for number in range(1, options.rounds + 1):
                screen.print(
                    f"round {number} of {options.rounds} (Linux {platform.release()}, load {os.getloadavg()[0]:.1f})"
                )
                measure_round(folder / f"earlier-{number}", archive, before, earlier)
                measure_round(folder / f"round-{number}", archive, figures)
    screen.print(table(figures, before))
    return 0


if __name__ == "__main__":
    sys.exit(main())
