"""The manifests of examples/site-operator: what they allow the operator is what it needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import yaml
from site_operator.site import NAME, Site

from apimachinery.meta import ObjectMeta
from kubeapi.coordination.lease import Lease
from kubeapi.core.event import Event
from kubeclient.access.config import kubeconfig_text
from kubeclient.rest import RestClient
from kubeclient.testing import eventually, installed
from mini_cluster.pytest_plugin import ClusterHandle

EXAMPLE = Path(__file__).parents[3] / "examples" / "site-operator"
STOP_SECONDS = 20


@pytest.fixture
async def rest(control_plane: ClusterHandle) -> AsyncIterator[RestClient]:
    files = (EXAMPLE / "site_operator" / "site.yaml", EXAMPLE / "deploy.yaml")
    manifests = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    async with control_plane.rest() as client, installed(client, *manifests):
        yield client


async def kubeconfig(control_plane: ClusterHandle, rest: RestClient, folder: Path) -> Path:
    """Writes one with a token of the operator's service account, as its pods have it."""
    path = f"/api/v1/namespaces/{NAME}/serviceaccounts/{NAME}/token"
    answer = orjson.loads(await rest.request("POST", path, body=b'{"spec":{}}'))
    cluster = {"server": control_plane.server, "certificate-authority": str(control_plane.pki / "ca.crt")}
    file = folder / "kubeconfig"
    file.write_text(kubeconfig_text(cluster, {"token": answer["status"]["token"]}, name="test", user_name=NAME))
    return file


async def test_its_account_may_do_what_the_operator_does(
    control_plane: ClusterHandle, rest: RestClient, namespace: str, tmp_path: Path
) -> None:
    config = await kubeconfig(control_plane, rest, tmp_path)
    command = [sys.executable, "-c", "from site_operator.site import main; main()", f"--kubeconfig={config}"]
    command += ["--secure-port=0", f"--leader-elect-resource-namespace={NAME}", f"--log-file={tmp_path}/log"]
    process = subprocess.Popen(command, cwd=EXAMPLE)
    try:
        site = Site(metadata=ObjectMeta(name="shop", namespace=namespace))
        site.content = {"spec": {"image": "shop:1", "replicas": 0}}
        await rest.create(site)

        async def is_ready() -> bool:
            assert process.poll() is None
            return "status" in (await rest.get(Site, "shop", namespace)).content

        await eventually(is_ready)
        assert (await rest.get(Lease, NAME, NAME)).spec.holderIdentity
        await eventually(lambda: events_of(rest, namespace))
    finally:
        process.terminate()
        log = (tmp_path / "log").read_text()
        print(log)  # pytest shows it where the test failed
        assert process.wait(STOP_SECONDS) == 0
    assert "forbidden" not in log


async def events_of(rest: RestClient, namespace: str) -> list[str]:
    events = (await rest.list(Event, namespace, field_selector="involvedObject.kind=Site")).items
    return [event.reason or "" for event in events]
