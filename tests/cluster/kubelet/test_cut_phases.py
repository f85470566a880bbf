"""A host, or its kubelet and engine alone, are cut off while its pods are in every phase of their lives."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.machine.remains import of_pod, running_containers
from tests.kits.manifests import configmap, container, pod
from tests.kits.plugins.csi_driver import CsiDriver
from tests.kits.plugins.csi_site import claim, csi_site

pytestmark = pytest.mark.cluster

NODE = "worker-2"
DRIVER = "cut.csi.example.com"
PAUSE = {"exec": {"command": ["sleep", "3"]}}
DISK = {"volumes": [{"name": "disk", "emptyDir": {}}]}


def phases() -> list[dict[str, Any]]:
    """Pods whose volume grows, that wait for a volume, initialize, run a hook, run, and end."""
    larger = [{"name": "larger", "persistentVolumeClaim": {"claimName": "larger"}}]
    absent = [{"name": "late", "configMap": {"name": "late"}}]
    writer = container("sh", "-c", "echo of-steady > /disk/file; exec sleep 100000")
    steady = writer | {"volumeMounts": [{"name": "disk", "mountPath": "/disk"}], "resources": cpu("50m")}
    return [
        pod("growing", container(volumeMounts=[{"name": "larger", "mountPath": "/larger"}]), volumes=larger),
        pod("mounting", container(volumeMounts=[{"name": "late", "mountPath": "/late"}]), volumes=absent),
        pod("initing", container(), initContainers=[container("sleep", "4", name="init")]),
        pod("hooking", container(lifecycle={"postStart": PAUSE})),
        pod("steady", steady, **DISK),
        pod("ending", container(lifecycle={"preStop": PAUSE}), terminationGracePeriodSeconds=20),
    ]


def storage(amount: str) -> dict[str, Any]:
    return {"resources": {"requests": {"storage": amount}}}


def cpu(amount: str) -> dict[str, Any]:
    return {"requests": {"cpu": amount}, "limits": {"cpu": amount}}


def cut(cluster: ClusterHandle, what: str) -> None:
    if what == "power":
        cluster.stop_node(NODE)
        cluster.start_node(NODE)
    else:
        cluster.kill(f"{what}-{NODE}")
        cluster.repair()


def is_ready(mk: CommandLine, name: str) -> bool:
    conditions = mk.get("pod", name)["status"].get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


@pytest.fixture
def driver(cluster: ClusterHandle, mk: CommandLine) -> Iterator[CsiDriver]:
    with csi_site(cluster, mk, NODE, DRIVER, "Immediate") as driver:
        yield driver


@pytest.fixture
def growing(mk: CommandLine, driver: CsiDriver) -> Iterator[threading.Event]:
    """The claim of a volume that is larger than its file system; the driver grows that once the event is set."""
    goes_on = threading.Event()
    driver.after["NodeExpandVolume"] = goes_on.wait
    mk.apply(claim("larger", DRIVER))
    mk.run("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/larger", "--timeout=60s")
    mk.run("patch", "pvc", "larger", "--patch", json.dumps({"spec": storage("2Mi")}))
    eventually(lambda: "FileSystemResizePending" in str(mk.get("pvc", "larger")["status"]), "the volume is larger")
    try:
        yield goes_on
    finally:
        goes_on.set()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["kubelet", "dockerd", "power"])
def test_pods_in_every_phase_go_on(
    cluster: ClusterHandle, mk: CommandLine, driver: CsiDriver, growing: threading.Event, what: str
) -> None:
    pods = phases()
    for item in pods:
        item["spec"]["nodeName"] = NODE
    mk.apply(*pods[4:])
    mk.run("wait", "--for=condition=Ready", "pods", "--all", "--timeout=120s")
    mk.apply(*pods[:4])
    eventually(lambda: "running" in str(mk.get("pod", "initing")["status"].get("initContainerStatuses")), "initing")
    eventually(lambda: driver.methods("NodeExpand"), "the file system is being made larger")
    ending = mk.get("pod", "ending")["metadata"]["uid"]
    mk.run("delete", "pod", "ending", "--wait=false")
    patch = {"spec": {"containers": [{"name": "app", "resources": cpu("60m")}]}}
    mk.run("patch", "pod", "steady", "--subresource", "resize", "--patch", json.dumps(patch))
    cut(cluster, what)
    growing.set()
    mk.apply(configmap("late", key="value"))
    layout, names = cluster.cluster.layout, ("growing", "mounting", "initing", "hooking", "steady")
    for name in names:
        eventually(lambda name=name: is_ready(mk, name), f"{name} is Ready")  # type: ignore[misc]
    eventually(lambda: not of_pod(layout, NODE, ending), "nothing is left of the pod that was ending")
    claimed = mk.get("pvc", "larger")["status"]
    assert (claimed["capacity"], claimed.get("conditions")) == ({"storage": "2Mi"}, None)
    running = running_containers(layout, NODE)
    for name in names:
        found = mk.get("pod", name)
        status, uid = found["status"]["containerStatuses"][0], found["metadata"]["uid"]
        assert len(running[uid, ""]) == 1, f"sandboxes of {name}"
        assert [f"docker://{item}" for item in running[uid, "app"]] == [status["containerID"]], name
        if name == "steady":
            assert status["restartCount"] == (1 if what == "power" else 0)
            eventually(lambda: mk.get("pod", "steady")["status"]["containerStatuses"][0]["resources"] == cpu("60m"))
            assert mk.run("exec", "steady", "--", "cat", "/disk/file").split() == ["of-steady"]
        else:
            assert "of-steady" not in str(list((layout.node(NODE).kubelet_root / "pods" / uid).rglob("file")))
    mk.run("delete", "pod", "growing")
    given_back = ["NodeUnpublishVolume", "NodeUnstageVolume"]
    eventually(lambda: driver.methods("NodeUn") == given_back, "the volume is given back once")
    mk.run("delete", "pvc", "larger")
