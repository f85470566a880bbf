"""Measures how many pods a second the scheduler binds, on 5,000 nodes, through etcd and an API server.

`python -m benchmarks.binding_bench [CASE ...]`: the cases of scheduler_bench, and two that upstream's scheduler_perf
disturbs by five pods a second which preempt, or fit nowhere. The pods are stored before the scheduler starts; the time
is that from the first binding to the last, as a watch shows them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from apimachinery.model import to_dict
from benchmarks.scheduler_bench import CASES, NODES, ZONE, Case, Make, large, small
from scheduler.views.pod import Pod
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.scheduler import node, pod
from tests.kits.process import Process, scheduler

PODS = "/api/v1/namespaces/default/pods"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
UNTAINTED = "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition"  # the nodes here have no kubelet
CLIENTS = 6
DEADLINE_SECONDS = 240.0
CHURN_SECONDS = 0.2
CHURNING: dict[str, tuple[Case, Make]] = {
    "PreemptionAsync": (Case(570, None, small, full=True), large),
    "UnschedulableAsync": (
        replace(CASES["SchedulingBasic"], demanded=590),
        lambda index: pod(f"huge-{index}", cpu="9", priority=10),
    ),
}


def document(item: Pod, **spec: Any) -> dict[str, Any]:
    """The pod as a client sends it."""
    made: dict[str, Any] = to_dict(item)
    made.pop("status", None)
    made["metadata"] = {"name": item.name, "labels": {**item.labels, "measured": "yes"}}
    made["spec"]["containers"][0] |= {"name": "app", "image": "app:1"}
    if made["spec"].pop("priority", 0):
        made["spec"]["priorityClassName"] = "high"
    made["spec"] |= {"terminationGracePeriodSeconds": 0, **spec}
    return made


class Plane:
    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def post(self, path: str, body: dict[str, Any]) -> None:
        answer = self._api.http.post(path, content=orjson.dumps(body), headers={"content-type": "application/json"})
        if answer.status_code != 201:
            raise SystemExit(f"{path}: {answer.text}")

    def many(self, make: Callable[[int], dict[str, Any]], count: int, path: str = PODS) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda index: self.post(path, make(index)), range(count)))

    def fill(self, case: Case) -> None:
        """Makes the nodes, and the pods that are there before."""
        nodes = [
            node(f"n{index}", cpu="4", memory="32Gi", labels={ZONE: f"moon-{index % 3}"}) for index in range(NODES)
        ]
        self.many(lambda index: to_dict(nodes[index]), NODES, "/api/v1/nodes")
        self.post("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "high"}, "value": 10})
        self.many(lambda index: low(index, nodeName=f"n{index % NODES}"), 4 * NODES if case.full else 0)
        if (first := case.first) is not None:
            self.many(lambda index: unmeasured(document(first(-index - 1), nodeName=f"n{index}")), case.already)

    def bindings(self, count: int, begun: Callable[[], None]) -> list[float]:
        """Waits for so many bindings of measured pods; when each was shown (monotonic)."""
        query = {"watch": "true", "labelSelector": "measured=yes", "fieldSelector": "spec.nodeName!="}
        times: list[float] = []
        with self._api.http.stream(
            "GET", PODS, params=query, headers={"accept": METADATA}, timeout=DEADLINE_SECONDS
        ) as answer:
            for line in answer.iter_lines():
                if line.startswith('{"type":"ADDED"'):
                    times.append(time.monotonic())
                    if len(times) == 1:
                        begun()
                if len(times) >= count:
                    break
        return times

    @contextlib.contextmanager
    def churn(self, make: Make | None) -> Iterator[None]:
        """Meanwhile makes five more pods a second."""
        over = threading.Event()

        def work() -> None:
            index = 0
            while make is not None and not over.wait(CHURN_SECONDS):
                self.post(PODS, unmeasured(document(make(index))))
                index += 1

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def low(index: int, **spec: Any) -> dict[str, Any]:
    return unmeasured(document(pod(f"low-{index}", cpu="900m", memory="500Mi"), **spec))


def unmeasured(made: dict[str, Any]) -> dict[str, Any]:
    del made["metadata"]["labels"]["measured"]
    return made


def used(programs: dict[str, Process]) -> dict[str, float]:
    return {name: cpu_seconds(program) for name, program in programs.items()}


def cpu_seconds(program: Process) -> float:
    assert program.process is not None
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(case: Case, disturbing: Make | None, folder: Path) -> tuple[float, str]:
    """Returns the rate, and what CPU a pod took."""
    with EtcdServer(folder / "etcd") as etcd, ApiServer(folder / "api", etcd.url, UNTAINTED) as api:
        plane = Plane(api)
        plane.fill(case)
        pods = [document(case.pods(index)) for index in range(case.count)]
        plane.many(lambda index: pods[index], case.count)
        with scheduler(api.url, folder / "scheduler", "--leader-elect=false") as running:
            programs = {"scheduler": running, "API server": api, "etcd": etcd}
            before: dict[str, float] = {}
            with plane.churn(disturbing):
                times = plane.bindings(case.count, lambda: before.update(used(programs)))
            cpu = {name: (seconds - before[name]) / case.count * 1e6 for name, seconds in used(programs).items()}
    rate = (len(times) - 1) / (times[-1] - times[0])
    return rate, ", ".join(f"{name} {microseconds:.0f}" for name, microseconds in cpu.items())


def main() -> None:
    cases: dict[str, tuple[Case, Make | None]] = {
        **{name: (case, None) for name, case in CASES.items() if name != "Unschedulable"},
        **CHURNING,
    }
    for name in sys.argv[1:] or cases:
        with tempfile.TemporaryDirectory() as folder:
            rate, cpu = measure(*cases[name], Path(folder))
        demanded = cases[name][0].demanded
        wanted = f" (upstream demands {demanded})" if demanded else ""
        print(f"{name:36} {rate:6,.0f} pods/s{wanted:24} µs of CPU a pod: {cpu}", flush=True)


if __name__ == "__main__":
    main()
