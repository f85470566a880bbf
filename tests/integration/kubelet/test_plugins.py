"""A storage driver and a device plugin beside a whole kubelet, with the real API server and controllers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from kubelet.volume.mounts import unmount_below
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually
from tests.kits.node.agent import NODE, Kubelet
from tests.kits.plugins.csi_driver import CsiDriver
from tests.kits.plugins.csi_sidecars import Sidecars
from tests.kits.plugins.device_plugin import DevicePlugin
from tests.kits.process import Daemon, controller_manager

Dict = dict[str, Any]

DRIVER = "folders.csi.example.com"
CSI_NODE = f"/apis/storage.k8s.io/v1/csinodes/{NODE}"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the driver mounts")


@pytest.fixture(scope="module")
def manager(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with controller_manager(api.url, tmp_path_factory.mktemp("manager")) as running:
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    """A path short enough for sockets below it, which the kernel limits to 107 characters."""
    with TemporaryDirectory(prefix="csi-") as name:
        yield Path(name)
        unmount_below(name)  # the kubelet's folder, which it shares with drivers


@pytest.fixture
def kubelet(api: ApiServer, folder: Path) -> Iterator[Kubelet]:
    kubelet = Kubelet(api, folder)
    kubelet.runtime.mounts_are_seen = True
    kubelet.start()
    try:
        yield kubelet
    finally:
        kubelet.stop()
        unmount_below(kubelet.options.root_dir)


@pytest.fixture
def driver(api: ApiServer, kubelet: Kubelet, folder: Path) -> Iterator[CsiDriver]:
    driver = CsiDriver(DRIVER, NODE, folder / "driver")
    registrar = driver.registrar(Path(kubelet.options.root_dir))
    driver.start()
    eventually(registrar.path.parent.is_dir)
    registrar.start()
    try:
        with Sidecars(api.http, driver):
            eventually(lambda: registrar.told == [""])
            yield driver
    finally:
        registrar.stop()
        driver.stop()


def get(api: ApiServer, path: str) -> Dict:
    answer = api.http.get(path)
    found: Dict = answer.json() if answer.status_code == 200 else {}
    return found


def create(api: ApiServer, path: str, body: Dict) -> None:
    answer = api.http.post(path, json=body)
    assert answer.status_code == 201, answer.text


def phase(api: ApiServer, path: str) -> str:
    return str(get(api, path).get("status", {}).get("phase"))


def test_a_claim_of_a_driver_ends_as_a_volume_in_a_pod(
    api: ApiServer, manager: Daemon, kubelet: Kubelet, driver: CsiDriver, namespace: str
) -> None:
    assert [item["name"] for item in get(api, CSI_NODE)["spec"]["drivers"]] == [DRIVER]
    create(api, "/apis/storage.k8s.io/v1/csidrivers", {"metadata": {"name": DRIVER}, "spec": {"podInfoOnMount": True}})
    fast: Dict = {"metadata": {"name": "fast"}, "provisioner": DRIVER, "allowVolumeExpansion": True}
    create(api, "/apis/storage.k8s.io/v1/storageclasses", fast)
    root = f"/api/v1/namespaces/{namespace}"
    spec: Dict = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}
    spec["resources"] = {"requests": {"storage": "1Gi"}}
    create(api, f"{root}/persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": spec})
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    container = {"name": "app", "image": "app:1", "volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    pod = {"metadata": {"name": "db"}, "spec": {"nodeName": NODE, "containers": [container], "volumes": volumes}}
    create(api, f"{root}/pods", pod)
    eventually(lambda: phase(api, f"{root}/pods/db") == "Running")

    claim = get(api, f"{root}/persistentvolumeclaims/data")
    uid = get(api, f"{root}/pods/db")["metadata"]["uid"]
    (mount,) = [item for item in kubelet.runtime.find(uid, "app").config.mounts if item.container_path == "/data"]
    assert mount.source.endswith(f"/pods/{uid}/volumes/kubernetes.io~csi/{claim['spec']['volumeName']}/mount")
    Path(mount.source, "row").write_text("1")
    handle = f"vol-{claim['spec']['volumeName']}"
    assert (driver.data(handle) / "row").read_text() == "1"
    unique = f"kubernetes.io/csi/{DRIVER}^{handle}"
    status = get(api, f"/api/v1/nodes/{NODE}")["status"]
    assert status["volumesInUse"] == [unique]
    assert [item["name"] for item in status["volumesAttached"]] == [unique]
    assert dict(driver.last("NodeStageVolume").publish_context) == {"device": f"disk-of-{NODE}"}
    assert driver.last("NodePublishVolume").volume_context["csi.storage.k8s.io/pod.name"] == "db"

    kubelet.stop()  # another kubelet finds the volume, and gives it back
    kubelet.start()
    api.http.delete(f"{root}/pods/db")
    eventually(lambda: not get(api, f"{root}/pods/db"))
    eventually(lambda: not get(api, "/apis/storage.k8s.io/v1/volumeattachments")["items"])
    eventually(lambda: not get(api, f"/api/v1/nodes/{NODE}")["status"].get("volumesAttached"))
    assert not driver.mounted(mount.source)
    assert (driver.data(handle) / "row").read_text() == "1"

    grown = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    headers = {"content-type": "application/merge-patch+json"}
    assert api.http.patch(f"{root}/persistentvolumeclaims/data", json=grown, headers=headers).status_code == 200
    create(api, f"{root}/pods", pod)  # finds its data, and is grown as it is mounted
    eventually(lambda: phase(api, f"{root}/pods/db") == "Running")
    size = eventually(lambda: get(api, f"{root}/persistentvolumeclaims/data")["status"]["capacity"]["storage"] == "2Gi")
    assert size
    assert driver.last("NodeExpandVolume").capacity_range.required_bytes == 2 << 30
    api.http.delete(f"{root}/pods/db")
    api.http.delete(f"{root}/persistentvolumeclaims/data")
    eventually(lambda: not get(api, "/api/v1/persistentvolumes")["items"])
    assert not driver.data(handle).exists()
    left = [path for path in (Path(kubelet.options.root_dir) / "plugins").rglob("*") if path.is_file()]
    assert left == []


def test_a_device_reaches_its_pod(api: ApiServer, kubelet: Kubelet, namespace: str) -> None:
    folder, resource = Path(kubelet.options.root_dir) / "device-plugins", "example.com/dongle"
    eventually((folder / "kubelet.sock").exists)
    plugin = DevicePlugin(folder, resource, ["a", "b"])
    try:
        plugin.register()
        node = f"/api/v1/nodes/{NODE}"
        eventually(lambda: get(api, node).get("status", {}).get("allocatable", {}).get(resource) == "2")
        container = {"name": "app", "image": "app:1", "resources": {"limits": {resource: "1"}}}
        spec = {"nodeName": NODE, "containers": [container]}
        root = f"/api/v1/namespaces/{namespace}"
        create(api, f"{root}/pods", {"metadata": {"name": "web"}, "spec": spec})
        eventually(lambda: phase(api, f"{root}/pods/web") == "Running")
        uid = get(api, f"{root}/pods/web")["metadata"]["uid"]
        assert dict(kubelet.runtime.find(uid, "app").config.env)["DEVICES"] == "a"
        plugin.health({"a": "Healthy", "b": "Unhealthy"})
        eventually(lambda: get(api, node)["status"]["allocatable"][resource] == "1")
        assert get(api, node)["status"]["capacity"][resource] == "2"
    finally:
        plugin.stop()
