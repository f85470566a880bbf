"""Pods with claims to devices, on a real API server; the test stands for the controller that takes devices back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.schedulercluster import Cluster, cluster_in
from tests.kits.devices import DRIVER, asks
from tests.kits.eventually import eventually
from tests.kits.process import scheduler

MERGE = {"content-type": "application/merge-patch+json"}
GROUP = "/apis/resource.k8s.io/v1"


class Devices(Cluster):
    """A class and the devices of nodes, named by the namespace."""

    def post(self, path: str, name: str, **body: Any) -> None:
        answer = self.api.http.post(path, json={"metadata": {"name": name}} | body)
        assert answer.status_code == 201, answer.text

    def offer(self, node: str, *devices: str) -> None:
        pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": DRIVER, "pool": pool, "nodeName": node, "devices": [{"name": name} for name in devices]}
        self.post(f"{GROUP}/resourceslices", f"{self.namespace}-{node}", spec=spec)

    def claim(self, name: str) -> None:
        spec = {"devices": {"requests": [asks("r", f'device.driver == "{DRIVER}"', cls=self.namespace)]}}
        self.post(f"{GROUP}/namespaces/{self.namespace}/resourceclaims", name, spec=spec)

    def claim_status(self, name: str) -> dict[str, Any]:
        found = self.api.http.get(f"{GROUP}/namespaces/{self.namespace}/resourceclaims/{name}").json()
        return dict(found.get("status") or {})

    def take_back(self, name: str) -> None:
        path = f"{GROUP}/namespaces/{self.namespace}/resourceclaims/{name}/status"
        for status in ({"reservedFor": None}, {"allocation": None}):
            answer = self.api.http.patch(path, json={"status": status}, headers=MERGE)
            assert answer.status_code == 200, answer.text

    def using(self, name: str, claim: str, **spec: Any) -> None:
        self.pod(name, resourceClaims=[{"name": "r", "resourceClaimName": claim}], **spec)

    def message(self, name: str) -> str:
        return str(self.condition(name).get("message", ""))


@pytest.fixture
def devices(api: ApiServer, namespace: str) -> Iterator[Devices]:
    with cluster_in(api, namespace):
        made = Devices(api, namespace)
        made.post(f"{GROUP}/deviceclasses", namespace, spec={})
        yield made
        api.http.delete(f"{GROUP}/deviceclasses/{namespace}")
        api.http.delete(f"{GROUP}/resourceslices")


def test_devices_are_given_shared_and_given_on(
    api: ApiServer, devices: Devices, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with scheduler(api.url, tmp_path_factory.mktemp("scheduler"), "--leader-elect=false"):
        devices.node("n1")
        devices.node("n2")
        devices.offer("n2", "a")
        devices.using("early", "one")
        devices.claim("one")
        assert devices.where("early") == "n2"  # it waited for its claim
        status = devices.claim_status("one")
        device = {"request": "r", "driver": DRIVER, "pool": "n2", "device": "a"}
        assert status["allocation"]["devices"]["results"] == [device]
        assert [item["name"] for item in status["reservedFor"]] == ["early"]

        devices.using("mate", "one")
        assert devices.where("mate") == "n2"  # a second user of the claim follows it
        devices.claim("two")
        devices.using("late", "two")
        eventually(lambda: "2 cannot allocate all claims." in devices.message("late"))
        devices.take_back("one")
        assert devices.where("late") == "n2"  # the device is free again
        devices.claim("three")
        devices.using("third", "three", nodeSelector={"kubernetes.io/hostname": "n1"})
        eventually(lambda: "1 cannot allocate all claims" in devices.message("third"))
        devices.offer("n1", "b")
        assert devices.where("third") == "n1"  # a new device has come
