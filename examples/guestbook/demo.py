"""Shows the guestbook on a cluster of two worker hosts, step by step; `make demo` runs it.

Brings the cluster up, applies the example with mini-kubectl, fetches the page through both nodes, then kills a
container, cuts a whole host's power, and watches the cluster heal. Exit code 0 only if every step held.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from build_image import BUSYBOX, guestbook_archive

from mini_cluster.api import AdminApi
from mini_cluster.cluster.layout import DEFAULT_FOLDER
from mini_cluster.console import DIM, Console
from mini_cluster.errors import ApiError, LauncherError
from mini_cluster.launcher import Cluster
from mini_cluster.machine.programs import install_packages

EXAMPLE = Path(__file__).parent
REPLICAS = 3
NODE_PORT = 30080
PAGE_MARK = "This page comes from a ConfigMap."
PODS_PATH = "/api/v1/namespaces/default/pods?labelSelector=app%3Dguestbook"
STEP_SECONDS = 120.0  # the longest that one step may take before the demonstration has failed
POLL_SECONDS = 0.2
FETCH_SECONDS = 2.0
FETCHES = 12  # of a page through one node: nearly always enough for three pods to have their turn

T = TypeVar("T")


class StepFailed(LauncherError):
    """A step did not hold."""


class Demo:
    """The steps, on one cluster."""

    def __init__(self, folder: str, console: Console) -> None:
        self.console = console
        self.cluster = Cluster(folder, console)

    def run(self) -> None:
        """Raises: StepFailed, or what the launcher raises."""
        self.bring_up()
        self.load_image()
        self.apply()
        self.console.title("\n4. The page, through the NodePort of each node")
        self.fetch_through(self.addresses())
        self.kill_a_container()
        self.lose_a_host()
        self.console.title(f"\nEvery step held ({self.console.seconds():.0f} s). The cluster is still up:")
        self.console.step(f"  export KUBECONFIG={self.cluster.layout.kubeconfig}")
        for address in self.addresses().values():
            self.console.step(f"  curl http://{address}:{NODE_PORT}/")
        self.console.step("  make down")

    def bring_up(self) -> None:
        self.console.title("1. A control plane and two worker hosts")
        self.cluster.up(2)
        self.api = AdminApi.local(self.cluster.layout, self.cluster.state().ports.api)

    def load_image(self) -> None:
        self.console.title("\n2. The example's image, built here and loaded onto both nodes")
        if not BUSYBOX.exists():
            self.console.step("  installing busybox-static")
            install_packages(["busybox-static"])
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            file.write(guestbook_archive(BUSYBOX.read_bytes(), platform.machine()))
            file.flush()
            for node, messages in self.cluster.load_archive(Path(file.name)).items():
                self.console.good(f"{node}: {' '.join(messages)}")

    def apply(self) -> None:
        self.console.title("\n3. Its YAML, applied")
        self.kubectl("apply", "-f", os.path.relpath(EXAMPLE))
        self.kubectl("rollout", "status", "deployment/guestbook", "--timeout=120s")
        self.kubectl("get", "pods,services", "-l", "app=guestbook", "-o", "wide")
        self.console.good(f"{REPLICAS} pods are ready")

    def fetch_through(self, addresses: dict[str, str]) -> None:
        """Fetches the page through the NodePort of each of these nodes, from whichever pod answers."""
        for node, address in addresses.items():
            self.wait_for(f"a page through {node}", partial(fetch, address))
            pages = [page for page in (fetch(address) for _ in range(FETCHES)) if page]
            served_by = {pod for pod in self.pods() for page in pages if pod in page}
            if len(pages) < FETCHES or not served_by:
                raise StepFailed(f"{node} answered {len(pages)} of {FETCHES} requests")
            self.console.good(f"http://{address}:{NODE_PORT}/ ({len(served_by)} pods answered)")

    def kill_a_container(self) -> None:
        self.console.title("\n5. One container killed behind the kubelet's back")
        name, pod = next(iter(self.ready_pods().items()))
        node = str(pod["spec"]["nodeName"])
        before = restarts(pod)
        engine = self.cluster.engine(node)
        own = [
            item["Id"]
            for item in engine.containers(f"io.kubernetes.pod.name={name}")
            if item["Labels"].get("io.kubernetes.container.name") == "guestbook"
        ]
        engine.kill(own[0])
        self.console.step(f"  killed the container of {name} on {node}")
        began = time.monotonic()

        def restarted() -> bool:
            current = self.ready_pods().get(name)
            return current is not None and restarts(current) > before

        self.wait_for(f"{name} to be restarted", restarted)
        self.console.good(f"{name} was restarted and is ready after {time.monotonic() - began:.1f} s")

    def lose_a_host(self) -> None:
        self.console.title("\n6. One whole worker host loses its power")
        lost = str(next(iter(self.ready_pods().values()))["spec"]["nodeName"])
        left = {node: address for node, address in self.addresses().items() if node != lost}
        began = time.monotonic()
        self.cluster.stop_node(lost)
        self.console.step(f"  {lost} is off")
        self.wait_for(f"{lost} to be NotReady", lambda: self.api.nodes()[lost].ready != "True")
        self.console.good(f"{lost} is NotReady after {time.monotonic() - began:.1f} s")

        def moved() -> bool:
            ready = self.ready_pods()
            return len(ready) == REPLICAS and all(pod["spec"]["nodeName"] != lost for pod in ready.values())

        self.wait_for(f"{REPLICAS} pods on the other node", moved)
        self.console.good(f"{REPLICAS} pods are ready on {', '.join(left)} after {time.monotonic() - began:.1f} s")
        self.fetch_through(left)
        self.console.title("\n7. The host comes back")
        self.cluster.start_node(lost)
        self.fetch_through(self.addresses())
        self.kubectl("get", "nodes")

    # --- helpers ---

    def addresses(self) -> dict[str, str]:
        return self.cluster.node_addresses()

    def pods(self) -> dict[str, dict[str, Any]]:
        """Returns the example's pods that are not being deleted, by name."""
        items = self.api.request("GET", PODS_PATH).get("items") or []
        return {pod["metadata"]["name"]: pod for pod in items if "deletionTimestamp" not in pod["metadata"]}

    def ready_pods(self) -> dict[str, dict[str, Any]]:
        return {name: pod for name, pod in self.pods().items() if condition(pod, "Ready") == "True"}

    def kubectl(self, *arguments: str) -> None:
        """Runs mini-kubectl with its output on the terminal. Raises: StepFailed."""
        command = "mini-kubectl " + " ".join(arguments)
        self.console.step(self.console.paint(f"  $ {command}", DIM))
        program = Path(sys.executable).parent / "mini-kubectl"
        environment = os.environ | {"KUBECONFIG": str(self.cluster.layout.kubeconfig)}
        done = subprocess.run([program, *arguments], env=environment, check=False)
        if done.returncode != 0:
            raise StepFailed(f"`{command}` ended with exit code {done.returncode}")

    def wait_for(self, what: str, holds: Callable[[], T]) -> T:
        """Polls until `holds` is true. Raises: StepFailed after `STEP_SECONDS`."""
        deadline = time.monotonic() + STEP_SECONDS
        problem = ""
        while time.monotonic() < deadline:
            try:
                result = holds()
                if result:
                    return result
            except ApiError as error:
                problem = f" ({error})"
            time.sleep(POLL_SECONDS)
        raise StepFailed(f"waited {STEP_SECONDS:g} s for {what}{problem}")


def fetch(address: str) -> str:
    """Fetches the page through the node with this address; "" when it doesn't come."""
    try:
        with urllib.request.urlopen(f"http://{address}:{NODE_PORT}/", timeout=FETCH_SECONDS) as response:
            page: str = response.read().decode()
    except OSError:
        return ""
    return page if PAGE_MARK in page else ""


def condition(pod: dict[str, Any], kind: str) -> str:
    conditions = pod.get("status", {}).get("conditions") or []
    return next((str(item["status"]) for item in conditions if item["type"] == kind), "")


def restarts(pod: dict[str, Any]) -> int:
    return sum(int(item["restartCount"]) for item in pod["status"].get("containerStatuses") or [])


def main() -> int:
    parser = argparse.ArgumentParser(description="The guestbook on a cluster of two worker hosts, step by step.")
    parser.add_argument("--dir", default=DEFAULT_FOLDER, help="the cluster's folder (%(default)s)")
    options = parser.parse_args()
    console = Console(sys.stdout)
    try:
        Demo(options.dir, console).run()
    except LauncherError as error:
        console.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
