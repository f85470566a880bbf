"""A storage driver and a device plugin beside a node's kubelet, which speaks as its node, with real containers."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.plugins.csi_driver import CsiDriver
from tests.kits.plugins.csi_sidecars import Sidecars
from tests.kits.plugins.device_plugin import DevicePlugin

pytestmark = pytest.mark.cluster

DRIVER = "f.csi.example.com"
RESOURCE = "example.com/dongle"
CDI_FILE = Path("/var/run/cdi/example.com-dongle.json")
WORK = "echo $DEVICES $DONGLE >/v/row; test -c /dev/dongle && cat /dongle/word >>/v/row; echo gone >/dev/a; sleep 1000"
ROW = "a plugged\nof the vendor\n"


@pytest.fixture
def http(cluster: ClusterHandle) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=cluster.pki / "ca.crt")
    context.load_cert_chain(cluster.pki / "admin.crt", cluster.pki / "admin.key")
    with httpx.Client(base_url=cluster.server, verify=context, timeout=60) as client:
        yield client


@pytest.fixture
def node(cluster: ClusterHandle) -> str:
    return min(cluster.node_ips)


@pytest.fixture
def driver(cluster: ClusterHandle, http: httpx.Client, node: str) -> Iterator[CsiDriver]:
    with TemporaryDirectory(prefix="csi-") as folder:
        driver = CsiDriver(DRIVER, node, Path(folder))
        registrar = driver.registrar(cluster.cluster.layout.node(node).kubelet_root)
        driver.start()
        registrar.start()
        try:
            with Sidecars(http, driver):
                eventually(lambda: registrar.told == [""])
                yield driver
        finally:
            registrar.stop()
            driver.stop()


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


@pytest.mark.usefixtures("described")
def test_a_pod_has_its_volume_and_its_device_and_gives_both_back(
    cluster: ClusterHandle, mk: CommandLine, image: str, node: str, driver: CsiDriver, plugin: DevicePlugin
) -> None:
    token = {"audience": "vault", "expirationSeconds": 3600}
    spec = {"podInfoOnMount": True, "tokenRequests": [token], "serviceAccountTokenInSecrets": True}
    mk.apply({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": DRIVER}, "spec": spec})
    late = {"volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": True}
    fast = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
    mk.apply(fast | {"provisioner": DRIVER} | late)
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "1Mi"}},
    }
    mk.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim})
    main = {
        "name": "main",
        "image": image,
        "command": ["sh", "-c", WORK],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "resources": {"limits": {RESOURCE: "1"}},
    }
    pod_spec = {
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": {"kubernetes.io/hostname": node},
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
        "containers": [main],
    }
    mk.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db"}, "spec": pod_spec})
    eventually(lambda: mk.get("pod", "db")["status"].get("phase") == "Running", "the pod runs", seconds=120)
    volume = mk.get("persistentvolumeclaim", "data")["spec"]["volumeName"]
    row = driver.data(f"vol-{volume}") / "row"
    eventually(lambda: row.exists() and row.read_text() == ROW, "the container wrote into the volume")
    assert '"vault"' in driver.last("NodePublishVolume").secrets["csi.storage.k8s.io/serviceAccount.tokens"]
    target = driver.last("NodePublishVolume").target_path

    cluster.kill(f"kubelet-{node}")
    mk.run("delete", "pod", "db", "--wait=false")
    eventually(lambda: mk.try_run("get", "pod", "db").returncode != 0, "the pod is gone", seconds=120)
    assert not driver.mounted(target)
    assert row.read_text() == ROW
    mk.run("delete", "pvc", "data", "--wait=false")
    eventually(lambda: mk.try_run("get", "pv", volume).returncode != 0, "the volume is gone", seconds=120)
    assert not row.exists()
    mk.run("delete", "storageclass", "fast")
    mk.run("delete", "csidriver", DRIVER)
