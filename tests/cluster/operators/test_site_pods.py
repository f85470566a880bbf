"""The example operator in its own pods: its manifests as they are, and no more rights than its account has.

There is no registry here to take a Python from, so the image has no program: the pods see that of the machine.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from site_operator.site import NAME, Site

from apimachinery.meta import ObjectMeta
from componentbase.image_archive import Entry, ImageConfig, image_archive, layer
from kubeapi.apps.deployment import Deployment
from kubeapi.coordination.lease import Lease
from kubeclient.rest import RestClient
from kubeclient.testing import eventually, installed
from mini_cluster.pytest_plugin import ClusterHandle
from tests.cluster.conftest import ARCHITECTURES

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[3]
EXAMPLE = PROJECT / "examples" / "site-operator"
PROGRAM = "import sys; sys.argv[0] = 'site-operator'; from site_operator.site import main; main()"
FOLDERS = dict.fromkeys(("/usr", "/lib", "/lib64", sys.base_prefix, sys.prefix, str(PROJECT)))
READY_SECONDS = 120


def with_program_of_the_machine(manifest: dict[str, Any]) -> dict[str, Any]:
    if manifest["kind"] == "Deployment":
        spec = manifest["spec"]["template"]["spec"]
        folders = {f"folder-{number}": path for number, path in enumerate(FOLDERS)}
        spec["volumes"] = [{"name": name, "hostPath": {"path": path}} for name, path in folders.items()]
        (container,) = spec["containers"]
        mounts = [{"name": name, "mountPath": path, "readOnly": True} for name, path in folders.items()]
        container |= {"volumeMounts": mounts, "command": [sys.executable, "-c", PROGRAM]}
        container["env"] = [{"name": "PYTHONPATH", "value": f"{PROJECT}:{EXAMPLE}"}]
    return manifest


@pytest.fixture
async def rest(cluster: ClusterHandle, tmp_path: Path) -> AsyncIterator[RestClient]:
    files = (EXAMPLE / "site_operator" / "site.yaml", EXAMPLE / "deploy.yaml")
    manifests = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    (image,) = (
        container["image"]
        for manifest in manifests
        if manifest["kind"] == "Deployment"
        for container in manifest["spec"]["template"]["spec"]["containers"]
    )
    config = ImageConfig(architecture=ARCHITECTURES[platform.machine()])
    archive = tmp_path / "image.tar"
    archive.write_bytes(image_archive([image], [layer({"/tmp": Entry(None, 0o1777)})], config))
    cluster.load_archive(archive)
    async with cluster.rest() as client, installed(client, *map(with_program_of_the_machine, manifests)):
        yield client


async def test_it_works_from_its_pods(cluster: ClusterHandle, rest: RestClient, namespace: str, image: str) -> None:
    async def both_run() -> bool:
        return (await rest.get(Deployment, NAME, NAME)).status.readyReplicas == 2

    await eventually(both_run, seconds=READY_SECONDS)
    site = Site(metadata=ObjectMeta(name="shop", namespace=namespace))
    site.content = {"spec": {"image": image, "replicas": 1}}
    await rest.create(site)

    async def is_told() -> bool:
        return "status" in (await rest.get(Site, "shop", namespace)).content

    await eventually(is_told, seconds=READY_SECONDS)
    assert (await rest.get(Deployment, "shop", namespace)).spec.replicas == 1
    leader = (await rest.get(Lease, NAME, NAME)).spec.holderIdentity or ""
    pods = orjson.loads(await rest.request("GET", f"/api/v1/namespaces/{NAME}/pods"))["items"]
    assert any(pod["metadata"]["name"] in leader for pod in pods)
    for pod in pods:
        log = await rest.request("GET", f"/api/v1/namespaces/{NAME}/pods/{pod['metadata']['name']}/log")
        assert b"forbidden" not in log
