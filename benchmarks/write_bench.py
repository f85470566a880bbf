"""Measures the CPU that a write costs the API server, for several checkouts of this repository in turns.

`python -m benchmarks.write_bench . ../other`: a server of each checkout, on this environment's packages, has an etcd of
its own. Rounds of pods' creates and of kubelets' status patches go to one server after the other, so that the moods of
the machine meet all alike. CPU is what the kernel counts for the server's process.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.measured import CheckoutServer

PODS = 250  # of a round
PATH = "/api/v1/namespaces/default/pods"
STRATEGIC = "application/strategic-merge-patch+json"
CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
IMAGE = "registry.example/web:1"
NOW = "2026-01-01T00:00:00Z"


def pod(name: str) -> dict[str, Any]:
    """A pod as the ReplicaSet controller makes it."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "1", "controller": True}
    meta = {"name": name, "labels": {"app": "web", "pod-template-hash": "1"}, "ownerReferences": [owner]}
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    env = [{"name": "A", "value": "b"}, {"name": "C", "value": name}]
    container = {"name": "web", "image": IMAGE, "ports": [{"containerPort": 80}], "env": env, "resources": resources}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": meta,
        "spec": {"containers": [container], "schedulerName": "none"},
    }


def status(*, ready: bool) -> dict[str, Any]:
    """A kubelet's patch for a pod that starts, or runs."""
    truth = "True" if ready else "False"
    conditions = [{"type": kind, "status": truth, "lastTransitionTime": NOW} for kind in CONDITIONS]
    state = {"running": {"startedAt": NOW}} if ready else {"waiting": {"reason": "ContainerCreating"}}
    container = {"name": "web", "image": IMAGE, "imageID": "", "restartCount": 0, "state": state, "ready": ready}
    patch = {"hostIP": "10.0.0.1", "startTime": NOW, "conditions": conditions, "containerStatuses": [container]}
    running = {"phase": "Running", "podIP": "10.244.1.2", "podIPs": [{"ip": "10.244.1.2"}]}
    return {"status": patch | (running if ready else {"phase": "Pending"})}


class WritingServer(CheckoutServer):
    """The API server of a checkout, and the writes that it is measured by."""

    def write(self, method: str, path: str, body: object, agent: str, kind: str = "application/json") -> None:
        headers = {"content-type": kind, "user-agent": f"{agent}/v1.35.0"}
        answer = self.http.request(method, path, content=orjson.dumps(body), headers=headers)
        if answer.status_code >= 300:
            raise SystemExit(f"{method} {path}: {answer.text}")

    def round(self, number: int) -> None:
        names = [f"pod-{number}-{index}" for index in range(PODS)]

        def create(name: str) -> None:
            self.write("POST", PATH, pod(name), "kube-controller-manager")

        def patch(name: str, *, ready: bool) -> None:
            self.write("PATCH", f"{PATH}/{name}/status", status(ready=ready), "kubelet", STRATEGIC)

        def replace(name: str) -> None:
            obj = self.http.get(f"{PATH}/{name}").json()
            obj["metadata"]["labels"]["tier"] = "front"
            self.write("PUT", f"{PATH}/{name}", obj, "labeller")

        self.measure("create", create, names)
        self.measure("first status patch", partial(patch, ready=False), names)
        self.measure("second status patch", partial(patch, ready=True), names)
        self.measure("get and update", replace, names)

    def stored_bytes(self) -> float:
        items = self.http.get(PATH).json()["items"]
        return statistics.mean(len(orjson.dumps(item)) for item in items)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        servers: list[WritingServer] = []
        for number, checkout in enumerate(args.checkouts):
            place = Path(folder) / str(number)
            place.mkdir()
            etcd = stack.enter_context(EtcdServer(place))
            server = WritingServer(checkout.resolve(), place / "api", etcd.url)
            stack.enter_context(server)
            servers.append(server)
        for number in range(args.rounds):
            for server in servers:
                server.round(number)
        for server in servers:
            print(f"{server.checkout}: {server.stored_bytes():.0f} bytes a pod")
            for what, samples in server.microseconds.items():
                print(f"  {what:22} median {statistics.median(samples):6.1f} µs, least {min(samples):6.1f} µs")


if __name__ == "__main__":
    main()
