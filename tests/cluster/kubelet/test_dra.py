"""Pods with devices of a driver of dynamic resources, from the template to the container's variable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.http import connect
from tests.kits.eventually import eventually
from tests.kits.plugins.dra_driver import GROUP, DraDriver, finder, publish

pytestmark = pytest.mark.cluster

DRIVER = "t.dra.example.com"
API = "resource.k8s.io/v1"
CDI = Path("/var/run/cdi")


@pytest.fixture
def http(cluster: ClusterHandle) -> Iterator[httpx.Client]:
    with connect(cluster, seconds=60) as client:
        yield client


@pytest.fixture
def node(cluster: ClusterHandle) -> str:
    return min(cluster.node_ips)


@pytest.fixture
def driver(cluster: ClusterHandle, http: httpx.Client, node: str) -> Iterator[DraDriver]:
    driver = DraDriver(DRIVER, cluster.cluster.layout.node(node).kubelet_root, CDI, finder(http))
    driver.start()
    try:
        eventually(lambda: driver.registrar.told == [""])
        publish(http, DRIVER, node, "a", "b")
        yield driver
    finally:
        driver.stop()
        http.delete(f"{GROUP}/resourceslices", params={"fieldSelector": f"spec.driver={DRIVER}"})


def pod(name: str, image: str, **claim: str) -> dict[str, Any]:
    main = {
        "name": "main",
        "image": image,
        "command": ["sh", "-c", "env; sleep 1000"],
        "resources": {"claims": [{"name": "dev"}]},
    }
    spec = {"terminationGracePeriodSeconds": 1, "resourceClaims": [{"name": "dev"} | claim], "containers": [main]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def asked(mk: CommandLine) -> Iterator[None]:
    """A class, a template and a claim for one device of the driver."""
    selector = {"cel": {"expression": f'device.driver == "{DRIVER}"'}}
    device_class = {"apiVersion": API, "kind": "DeviceClass", "metadata": {"name": "dra-test"}}
    mk.apply(device_class | {"spec": {"selectors": [selector]}})
    spec = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "dra-test"}}]}}
    mk.apply({"apiVersion": API, "kind": "ResourceClaimTemplate", "metadata": {"name": "one"}, "spec": {"spec": spec}})
    mk.apply({"apiVersion": API, "kind": "ResourceClaim", "metadata": {"name": "shared"}, "spec": spec})
    yield
    mk.run("delete", "deviceclass", "dra-test")


class Pods:
    def __init__(self, mk: CommandLine) -> None:
        self._mk = mk

    def device(self, name: str) -> str:
        """The device that the pod sees, once it runs."""
        eventually(lambda: self._mk.get("pod", name)["status"].get("phase") == "Running", name, seconds=120)
        lines = eventually(lambda: self._mk.run("logs", name).splitlines())
        return next(line for line in lines if line.startswith("DEVICE_")).removeprefix("DEVICE_GPU=")

    def remove(self, *names: str) -> None:
        self._mk.run("delete", "pod", *names, "--wait=false")
        for name in names:
            eventually(lambda name=name: self._mk.try_run("get", "pod", name).returncode != 0, name, seconds=120)


@pytest.mark.usefixtures("asked")
def test_devices_are_prepared_for_pods_and_given_back(mk: CommandLine, image: str, driver: DraDriver) -> None:
    pods = Pods(mk)
    mk.apply(pod("own", image, resourceClaimTemplateName="one"))
    mk.apply(pod("first", image, resourceClaimName="shared"))
    own, shared = pods.device("own"), pods.device("first")
    assert {own, shared} == {"a", "b"}
    made = mk.get("pod", "own")["status"]["resourceClaimStatuses"][0]["resourceClaimName"]
    assert mk.get("resourceclaim", made)["status"]["allocation"]["devices"]["results"][0]["device"] == own

    driver.stop()  # and a new version of it starts; running pods do not mind
    driver.start()
    mk.apply(pod("second", image, resourceClaimName="shared"))
    assert pods.device("second") == shared
    assert [item["name"] for item in mk.get("resourceclaim", "shared")["status"]["reservedFor"]] == ["first", "second"]
    pods.remove("own", "first", "second")
    eventually(lambda: mk.try_run("get", "resourceclaim", made).returncode != 0, "it goes with its pod")
    assert driver.methods().count("Unprepare") == 2
    assert driver.prepared() == []


@pytest.mark.slow
@pytest.mark.usefixtures("asked")
def test_a_kubelet_that_is_killed_between_preparation_and_start(
    cluster: ClusterHandle, mk: CommandLine, image: str, node: str, driver: DraDriver
) -> None:
    pods = Pods(mk)
    driver.after["NodePrepareResources"] = lambda: cluster.kill(f"kubelet-{node}")
    mk.apply(pod("own", image, resourceClaimTemplateName="one"))
    assert pods.device("own") in "ab"
    assert driver.methods() == ["Prepare", "Prepare"]
    pods.remove("own")
    assert driver.methods() == ["Prepare", "Prepare", "Unprepare"]
    assert driver.prepared() == []
