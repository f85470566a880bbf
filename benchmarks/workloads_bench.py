"""Measures how fast many pods of workloads come and go, what CPU that takes, and what memory they cost.

`python -m benchmarks.workloads_bench`: etcd, an API server and a controller-manager, without scheduler and kubelets.
Each case is timed from the first request until a watch has shown the last pod stored or gone; CPU is what the kernel
counts for each process meanwhile. With several checkouts of this repository (`. ../other`) each has processes of its
own, and each case runs on one after the other, so that the moods of the machine meet all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.measured import CheckoutServer
from tests.kits.eventually import eventually
from tests.kits.process import Process, free_port, kubeconfig

APPS = "/apis/apps/v1/namespaces/default"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
NODES = "/api/v1/nodes"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
MERGE_PATCH = "application/merge-patch+json"
DEADLINE_SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")
CLIENTS = 4
BACKGROUND = {"propagationPolicy": "Background"}  # by default, deleting a Job leaves its pods


def workload(name: str, **spec: Any) -> dict[str, Any]:
    """A Deployment or DaemonSet of one small container."""
    container = {"name": "web", "image": "registry.example/web:1", "resources": {"requests": {"cpu": "10m"}}}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template, **spec}}


class Counter:
    """Counts the objects that a watch shows coming, going, and changed so that `mark` is in them."""

    def __init__(self, http: httpx.Client, path: str = PODS, mark: str = "") -> None:
        self.added = self.deleted = self.marked = 0
        self._http, self._path, self._mark = http, path, mark
        self._changed = threading.Condition()
        revision = http.get(path, params={"limit": "1"}).json()["metadata"]["resourceVersion"]
        self._query = {"watch": "true", "resourceVersion": revision}
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        headers = {} if self._mark else {"accept": METADATA}
        with self._http.stream("GET", self._path, params=self._query, headers=headers, timeout=None) as answer:
            for line in answer.iter_lines():
                with self._changed:
                    self.added += line.startswith('{"type":"ADDED"')
                    self.deleted += line.startswith('{"type":"DELETED"')
                    self.marked += line.startswith('{"type":"MODIFIED"') and self._mark in line
                    self._changed.notify_all()

    def wait(self, reached: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(reached, DEADLINE_SECONDS):
                raise SystemExit(f"{self._path}: only {self.added} came, {self.marked} changed and {self.deleted} went")


class Plane:
    """The control plane of one checkout, with an etcd of its own."""

    def __init__(self, checkout: Path, folder: Path, stack: contextlib.ExitStack) -> None:
        self.checkout = checkout
        self.etcd = stack.enter_context(EtcdServer(folder / "etcd"))
        self.api = stack.enter_context(CheckoutServer(checkout, folder / "api", self.etcd.url))
        self.manager = Process("kube-controller-manager", folder / "manager")
        config = self.manager.folder / "kubeconfig"
        config.write_bytes(orjson.dumps(kubeconfig(self.api.url)))
        command = [sys.executable, "-m", "controller_manager", f"--kubeconfig={config}"]
        command += [f"--secure-port={free_port()}", f"--cert-dir={self.manager.folder}"]
        command += ["--controllers=*,-node-lifecycle-controller"]  # the nodes here have no kubelet
        stack.callback(self.manager.stop)
        self.manager.run(command, ready=lambda: self.api.http.get(LEASE).status_code == 200, cwd=checkout)
        eventually(lambda: self.api.http.get(f"{PODS[:-4]}serviceaccounts/default").status_code == 200)

    def processes(self) -> dict[str, int]:
        pairs = (("API server", self.api), ("controller-manager", self.manager), ("etcd", self.etcd))
        return {name: each.process.pid for name, each in pairs if each.process is not None}

    def cpu_seconds(self) -> dict[str, float]:
        stats = {name: Path(f"/proc/{pid}/stat").read_text() for name, pid in self.processes().items()}
        fields = {name: stat.rpartition(")")[2].split() for name, stat in stats.items()}
        return {name: (int(each[11]) + int(each[12])) / TICKS for name, each in fields.items()}

    def resident_mebibytes(self) -> dict[str, float]:
        pages = {name: Path(f"/proc/{pid}/statm").read_text().split()[1] for name, pid in self.processes().items()}
        return {name: int(count) * os.sysconf("SC_PAGE_SIZE") / 2**20 for name, count in pages.items()}

    def request(self, method: str, path: str, body: object = None, kind: str = "application/json") -> None:
        content = None if body is None else orjson.dumps(body)
        answer = self.api.http.request(method, path, content=content, headers={"content-type": kind})
        if answer.status_code >= 300:
            raise SystemExit(f"{method} {path}: {answer.text}")

    def many(self, work: Callable[[int], None], count: int) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(work, range(count)))

    @contextlib.contextmanager
    def timed(self, what: str, pods: int) -> Iterator[None]:
        """Prints what it took until the end of the block."""
        before, started = self.cpu_seconds(), time.monotonic()
        yield
        seconds, after = time.monotonic() - started, self.cpu_seconds()
        used = ", ".join(f"{name} {(after[name] - before[name]) / pods * 1e6:.0f}" for name in after)
        print(f"  {what:44} {seconds:6.2f} s   µs of CPU a pod: {used}", flush=True)


def come_and_go(
    plane: Plane,
    path: str,
    objects: list[dict[str, Any]],
    pods: int,
    what: str,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Creates the objects, whose controller makes so many pods of them, and deletes them, in the background."""
    counter = Counter(plane.api.http)
    with plane.timed(f"{what}: stored", pods):
        plane.many(lambda number: plane.request("POST", path, objects[number]), len(objects))
        counter.wait(lambda: counter.added >= pods)
    settle(plane)
    if meanwhile is not None:
        meanwhile()
        settle(plane)
    names = [each["metadata"]["name"] for each in objects]
    with plane.timed(f"{what}: deleted", pods):
        plane.many(lambda number: plane.request("DELETE", f"{path}/{names[number]}", BACKGROUND), len(objects))
        counter.wait(lambda: counter.deleted >= pods)
    settle(plane)


def settle(plane: Plane) -> None:
    """Waits until the controller-manager has nothing to do: its events are written by then, too."""
    while True:
        before = plane.cpu_seconds()["controller-manager"]
        time.sleep(1.0)
        if plane.cpu_seconds()["controller-manager"] - before < 0.1:
            return


def one_deployment(plane: Plane, size: int) -> None:
    come_and_go(plane, f"{APPS}/deployments", [workload("web", replicas=size)], size, f"1 Deployment of {size}")


def many_deployments(plane: Plane, size: int) -> None:
    count = max(size // 50, 1)
    objects = [workload(f"web-{number}", replicas=5) for number in range(count)]
    come_and_go(plane, f"{APPS}/deployments", objects, count * 5, f"{count} Deployments of 5")


def daemonset(plane: Plane, size: int) -> None:
    count = max(size // 5, 1)

    def join(number: int) -> None:
        plane.request("POST", NODES, {"metadata": {"name": f"node-{number}"}})
        plane.request("PATCH", f"{NODES}/node-{number}", {"spec": {"taints": None}}, MERGE_PATCH)  # as if it was ready

    plane.many(join, count)
    come_and_go(plane, f"{APPS}/daemonsets", [workload("agent")], count, f"DaemonSet on {count} nodes")
    plane.request("DELETE", NODES)


def jobs(plane: Plane, size: int) -> None:
    count = max(size // 5, 1)
    spec = {"template": {"spec": {**workload("run")["spec"]["template"]["spec"], "restartPolicy": "Never"}}}
    what = f"{count} Jobs of 1"

    def finish() -> None:
        pods = [pod["metadata"]["name"] for pod in plane.api.http.get(PODS).json()["items"]]
        counter = Counter(plane.api.http, JOBS, mark='"type":"Complete"')
        with plane.timed(f"{what}: finished", count):
            succeeded = {"status": {"phase": "Succeeded"}}
            plane.many(lambda n: plane.request("PATCH", f"{PODS}/{pods[n]}/status", succeeded, MERGE_PATCH), count)
            counter.wait(lambda: counter.marked >= count)

    objects = [{"metadata": {"name": f"run-{number}"}, "spec": spec} for number in range(count)]
    come_and_go(plane, JOBS, objects, count, what, meanwhile=finish)


def memory(plane: Plane, size: int) -> None:
    counter = Counter(plane.api.http)
    plane.request("POST", f"{APPS}/deployments", workload("many", replicas=2 * size))
    counter.wait(lambda: counter.added >= 2 * size)
    settle(plane)
    shown = ", ".join(f"{name} {mebibytes:.0f}" for name, mebibytes in plane.resident_mebibytes().items())
    print(f"  memory with {2 * size} pods, MiB: {shown}", flush=True)


CASES = {
    "deployment": one_deployment,
    "deployments": many_deployments,
    "daemonset": daemonset,
    "jobs": jobs,
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[Path()])
    parser.add_argument(
        "--pods", type=int, default=5000, help="pods of the largest Deployment; the rest follows from it"
    )
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        planes = [
            Plane(checkout.resolve(), Path(folder) / str(number), stack)
            for number, checkout in enumerate(args.checkouts)
        ]
        for _ in range(args.rounds):
            for case in args.cases:
                for plane in planes:
                    print(plane.checkout)
                    CASES[case](plane, args.pods)


if __name__ == "__main__":
    main()
