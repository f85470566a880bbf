"""A storage driver beside a node of a cluster, with its sidecars and its StorageClass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.http import connect
from tests.kits.eventually import eventually
from tests.kits.manifests import Dict
from tests.kits.plugins.csi_driver import CsiDriver
from tests.kits.plugins.csi_sidecars import Sidecars


@contextmanager
def csi_site(cluster: ClusterHandle, mk: CommandLine, node: str, name: str, binding: str) -> Iterator[CsiDriver]:
    """The StorageClass is called as the driver; `binding` is its volumeBindingMode."""
    storage_class = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    mk.apply(storage_class | {"provisioner": name, "volumeBindingMode": binding, "allowVolumeExpansion": True})
    with (
        connect(cluster, seconds=60) as http,
        TemporaryDirectory(prefix="csi-") as folder,
    ):
        driver = CsiDriver(name, node, Path(folder))
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
            mk.run("delete", "storageclass", name)


def claim(name: str, driver: str, **spec: object) -> Dict:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    whole = wanted | {"storageClassName": driver} | spec
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": whole}
