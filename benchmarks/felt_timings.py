"""Times what people wait for in a cluster that runs: deletion, apply, a rollout, exec and logs."""

from __future__ import annotations

import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from apimachinery.times import parse_time
from componentbase import tls
from mini_cluster.api import AdminApi
from mini_cluster.cluster.layout import Layout
from mini_cluster.errors import ApiError

IMAGE = "mini-kubernetes/guestbook:1.0"
SCRIPTS = Path(sys.executable).parent
NAMESPACE = "/api/v1/namespaces/default"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
DELETION = "deletion of a pod that ends at once (s)"
OBJECTS = 100
REPLICAS = 10
TIMES = 5  # each of the quick ones, of which the median counts
LINES = 20
POLL_SECONDS = 0.02
STEP_SECONDS = 120.0
OBEDIENT = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
CHATTY = ["sh", "-c", "trap 'exit 0' TERM; while :; do echo line; sleep 0.1; done"]


@dataclass(frozen=True)
class Place:
    """The cluster under test; commands for it run with `environment`."""

    layout: Layout
    port: int
    environment: Mapping[str, str]

    def api(self) -> AdminApi:
        return AdminApi.local(self.layout, self.port)

    def tls(self) -> ssl.SSLContext:
        certificate, key = str(self.layout.certificate("admin")), str(self.layout.private_key("admin"))
        return tls.client_context(ca_file=str(self.layout.certificate("ca")), cert_file=certificate, key_file=key)

    def kubectl(self, *arguments: str) -> None:
        command = [str(SCRIPTS / "mini-kubectl"), *arguments]
        environment = {**self.environment, "KUBECONFIG": str(self.layout.kubeconfig)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def until(holds: Callable[[], bool]) -> None:
    """Raises: TimeoutError."""
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except ApiError:
            pass  # the object is not there yet
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"not within {STEP_SECONDS:g} s")


def measure(place: Place, folder: Path) -> dict[str, float]:
    """Returns seconds by the name of the figure."""
    api = place.api()
    try:
        create_pod(api, "obedient", OBEDIENT)
        create_pod(api, "chatty", CHATTY)
        return {
            "exec round trip (s)": statistics.median(timed(lambda: run_command(place)) for _ in range(TIMES)),
            "log line to its follower (s)": log_latency(place),
            DELETION: deletion(api),
            f"apply of {OBJECTS} objects (s)": apply_many(place, folder),
            f"rollout of {REPLICAS} replicas (s)": rollout(api),
        }
    finally:
        api.close()


def container(command: list[str]) -> dict[str, Any]:
    return {"name": "main", "image": IMAGE, "command": command}


def create_pod(api: AdminApi, name: str, command: list[str]) -> None:
    body = {"metadata": {"name": name}, "spec": {"containers": [container(command)]}}
    api.request("POST", f"{NAMESPACE}/pods", body)
    path = f"{NAMESPACE}/pods/{name}"
    until(lambda: api.request("GET", path)["status"].get("phase") == "Running")


def run_command(place: Place) -> None:
    """Runs a command as kubectl does: over a WebSocket, until its exit status has come."""
    query = "container=main&command=sh&command=-c&command=:&stdout=true&stderr=true"
    url = f"wss://127.0.0.1:{place.port}{NAMESPACE}/pods/obedient/exec?{query}"
    with connect(url, ssl=place.tls(), subprotocols=[Subprotocol("v5.channel.k8s.io")]) as socket:
        last = b""
        try:
            while True:
                last = socket.recv()  # type: ignore[assignment]
        except ConnectionClosed:
            if b'"Success"' not in last:
                raise RuntimeError(f"exec failed: {last!r}") from None


def log_latency(place: Place) -> float:
    """Returns the median of the time from the engine's stamp on a line to its arrival here."""
    path = f"{NAMESPACE}/pods/chatty/log?follow=true&timestamps=true&tailLines=0"
    delays = []
    with (
        httpx.Client(base_url=f"https://127.0.0.1:{place.port}", verify=place.tls(), trust_env=False) as client,
        client.stream("GET", path) as answer,
    ):
        for line in answer.iter_lines():
            delays.append(time.time() - parse_time(line.partition(" ")[0]))
            if len(delays) == LINES:
                break
    return statistics.median(delays)


def deletion(api: AdminApi) -> float:
    """Returns the median of the time from the request until the API has the pod no more."""
    seconds = []
    for number in range(TIMES):
        name = f"brief-{number}"
        create_pod(api, name, OBEDIENT)

        def gone(name: str = name) -> bool:
            pods = api.request("GET", f"{NAMESPACE}/pods").get("items") or []
            return all(pod["metadata"]["name"] != name for pod in pods)

        began = time.monotonic()
        api.request("DELETE", f"{NAMESPACE}/pods/{name}")
        until(gone)
        seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def apply_many(place: Place, folder: Path) -> float:
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"many-{number}"}, "data": {"key": str(number)}}
        for number in range(OBJECTS)
    ]
    file = folder / "many.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return timed(lambda: place.kubectl("apply", "-f", str(file)))


def rollout(api: AdminApi) -> float:
    """Returns the time from a change of the template until all replicas are new and available."""
    labels = {"app": "felt"}
    template: dict[str, Any] = {"metadata": {"labels": labels}, "spec": {"containers": [container(OBEDIENT)]}}
    spec: dict[str, Any] = {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template}
    body: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "felt"}, "spec": spec}
    path = f"{DEPLOYMENTS}/felt"

    def complete() -> bool:
        current = api.request("GET", path)
        status = current["status"]
        counts = {status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")}
        return counts == {REPLICAS} and bool(status["observedGeneration"] == current["metadata"]["generation"])

    api.request("POST", DEPLOYMENTS, body)
    until(complete)
    began = time.monotonic()
    template["metadata"]["annotations"] = {"changed": "yes"}
    api.request("PUT", path, body)
    until(complete)
    seconds = time.monotonic() - began
    api.request("DELETE", path)
    return seconds
