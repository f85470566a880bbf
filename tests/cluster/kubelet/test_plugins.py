"""A storage driver and a device plugin beside a node's kubelet, which speaks as its node, with real containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import container, pod
from tests.kits.plugins.csi_driver import CsiDriver
from tests.kits.plugins.csi_site import claim, csi_site
from tests.kits.plugins.device_plugin import DevicePlugin

pytestmark = pytest.mark.cluster

DRIVER = "f.csi.example.com"
RESOURCE = "example.com/dongle"
CDI_FILE = Path("/var/run/cdi/example.com-dongle.json")
WORK = (
    "echo written >/dev/disk; echo $DEVICES $DONGLE >/v/row; "
    "test -c /dev/dongle && cat /dongle/word >>/v/row; echo gone >/dev/a; sleep 1000"
)
ROW = "a plugged\nof the vendor\n"


@pytest.fixture
def node(cluster: ClusterHandle) -> str:
    return min(cluster.node_ips)


@pytest.fixture
def driver(cluster: ClusterHandle, mk: CommandLine, node: str) -> Iterator[CsiDriver]:
    with csi_site(cluster, mk, node, DRIVER, "WaitForFirstConsumer") as driver:
        yield driver


@pytest.fixture
def plugin(cluster: ClusterHandle, node: str) -> Iterator[DevicePlugin]:
    plugin = DevicePlugin(cluster.cluster.layout.node(node).kubelet_root / "device-plugins", RESOURCE, ["a"])
    plugin.cdi = "example.com/dongle=a"
    plugin.register()
    try:
        yield plugin
    finally:
        plugin.stop()


@pytest.fixture
def described(tmp_path: Path) -> Iterator[None]:
    """A vendor's file says what else a container gets with the device: a variable, a folder, another device."""
    (tmp_path / "word").write_text("of the vendor\n")
    edits = {
        "env": ["DONGLE=plugged"],
        "mounts": [{"hostPath": str(tmp_path), "containerPath": "/dongle", "options": ["ro"]}],
        "deviceNodes": [{"path": "/dev/dongle", "hostPath": "/dev/null"}],
    }
    device = {"name": "a", "containerEdits": edits}
    CDI_FILE.parent.mkdir(exist_ok=True)
    CDI_FILE.write_text(json.dumps({"cdiVersion": "0.6.0", "kind": "example.com/dongle", "devices": [device]}))
    try:
        yield
    finally:
        CDI_FILE.unlink()


@pytest.mark.usefixtures("described", "plugin")
def test_a_pod_has_its_volumes_and_its_device_and_gives_all_back(
    cluster: ClusterHandle, mk: CommandLine, node: str, driver: CsiDriver
) -> None:
    token = {"audience": "vault", "expirationSeconds": 3600}
    spec = {"podInfoOnMount": True, "tokenRequests": [token], "serviceAccountTokenInSecrets": True}
    mk.apply({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": DRIVER}, "spec": spec})
    mk.apply(claim("data", DRIVER), claim("disk", DRIVER, volumeMode="Block"))
    places = {
        "volumeMounts": [{"name": "data", "mountPath": "/v"}],
        "volumeDevices": [{"name": "disk", "devicePath": "/dev/disk"}],
    }
    main = container("sh", "-c", WORK, resources={"limits": {RESOURCE: "1"}}, **places)
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("data", "disk")]
    selector = {"kubernetes.io/hostname": node}
    mk.apply(pod("db", main, volumes=volumes, nodeSelector=selector, terminationGracePeriodSeconds=1))
    eventually(lambda: mk.get("pod", "db")["status"].get("phase") == "Running", "the pod runs", seconds=120)
    names = [mk.get("persistentvolumeclaim", name)["spec"]["volumeName"] for name in ("data", "disk")]
    data, disk = (driver.data(f"vol-{name}") for name in names)
    row = data / "row"
    eventually(lambda: row.exists() and row.read_text() == ROW, "the container wrote into the volume")
    published = [request for method, request in driver.calls if method == "NodePublishVolume"]
    assert all('"vault"' in item.secrets["csi.storage.k8s.io/serviceAccount.tokens"] for item in published)

    cluster.kill(f"kubelet-{node}")
    mk.run("delete", "pod", "db", "--wait=false")
    eventually(lambda: mk.try_run("get", "pod", "db").returncode != 0, "the pod is gone", seconds=120)
    assert not any(driver.mounted(item.target_path) for item in published)
    assert (row.read_text(), disk.read_bytes()[:8]) == (ROW, b"written\n")
    mk.run("delete", "pvc", "--all", "--wait=false")
    for name in names:
        eventually(lambda name=name: mk.try_run("get", "pv", name).returncode != 0, "it is gone", 120)  # type: ignore[misc]
    assert not data.exists()
    assert not disk.exists()
    mk.run("delete", "csidriver", DRIVER)
