"""Custom objects with other people's clients: what they create, change and watch is what the server has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kr8s
import pytest
from kr8s.objects import new_class
from kubernetes import config
from kubernetes.dynamic import DynamicClient
from lightkube import ApiError, Client, KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.types import PatchType

from tests.kits.client.kubectlpair import write_kubeconfig
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.definitions import GROUP, custom, definition, establish, version
from tests.kits.eventually import eventually
from tests.kits.identity.certificates import write_certificates
from tests.kits.process import free_port

STOP_SECONDS = 20
MERGE = {"content-type": "application/merge-patch+json"}
SPEC = {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}}
OPERATOR = f"""
import os
import kopf

@kopf.on.startup()
def configure(settings, **_):
    files = {{name: os.environ[name] for name in ("certfile", "pkeyfile", "cafile")}}
    port = int(os.environ["port"])
    settings.admission.server = kopf.WebhookServer(addr="127.0.0.1", host="127.0.0.1", port=port, **files)
    settings.admission.managed = "robots.{GROUP}"

@kopf.on.mutate("{GROUP}", "v1", "robots", operation="CREATE", id="grow")
def grow(spec, patch, **_):
    patch.spec["size"] = spec["size"] + 1

@kopf.on.validate("{GROUP}", "v1", "robots", id="limit")
def limit(spec, warnings, **_):
    if spec["size"] > 100:
        raise kopf.AdmissionError("a robot that large")
    warnings.append("robots are dangerous")

@kopf.on.create("{GROUP}", "v1", "robots")
def create(spec, patch, retry, **_):
    if retry == 0:
        raise kopf.TemporaryError("not at the first try", delay=0.1)
    patch.status["size"] = spec["size"]

@kopf.on.update("{GROUP}", "v1", "robots", field="spec.size")
def update(old, new, patch, **_):
    patch.status["size"] = new
    patch.status["was"] = old

@kopf.on.delete("{GROUP}", "v1", "robots")
def delete(name, **_):
    print("goodbye", name, flush=True)
"""


@pytest.fixture(scope="module")
def kubeconfig(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For a server that has the kind Robot."""
    establish(api, definition("robots", [version("v1", SPEC)]))
    return write_kubeconfig(api, tmp_path_factory.mktemp("clients") / "kubeconfig")


def test_the_dynamic_client_finds_the_kind_and_its_objects(kubeconfig: Path, namespace: str) -> None:
    client = DynamicClient(config.new_client_from_config(str(kubeconfig)))
    robots = client.resources.get(api_version=f"{GROUP}/v1", kind="Robot")
    made = robots.create(body=custom("Robot", "one", {"size": 1}), namespace=namespace)
    events = robots.watch(namespace=namespace, resource_version=made.metadata.resourceVersion, timeout=60)
    body = {"status": {"phase": "Up"}}
    robots.status.patch(name="one", namespace=namespace, body=body, content_type=MERGE["content-type"])
    seen = next(iter(events))
    assert (seen["type"], seen["object"].status.phase, seen["object"].spec.size) == ("MODIFIED", "Up", 1)
    bigger = custom("Robot", "one", {"size": 2}, namespace=namespace)
    applied = robots.server_side_apply(bigger, field_manager="dyn", force_conflicts=True)
    assert applied.spec.size == 2
    assert [item.metadata.name for item in robots.get(namespace=namespace).items] == ["one"]
    robots.delete(name="one", namespace=namespace)


def test_kr8s_makes_a_class_of_the_kind(kubeconfig: Path, namespace: str) -> None:
    api = kr8s.api(kubeconfig=str(kubeconfig), namespace=namespace)
    robots = new_class("Robot", f"{GROUP}/v1", asyncio=False, plural="robots")
    robot = robots(custom("Robot", "one", {"size": 1}, namespace=namespace), api=api)
    robot.create()
    robot.patch({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, subresource="status")
    robot.wait("condition=Ready", timeout=60)
    assert [(item.name, item.spec.size) for item in api.get(f"robots.v1.{GROUP}")] == [("one", 1)]
    robot.delete()
    robot.wait("delete", timeout=60)


def test_lightkube_applies_generic_resources(kubeconfig: Path, namespace: str) -> None:
    robots = create_namespaced_resource(GROUP, "v1", "Robot", "robots")
    with Client(KubeConfig.from_file(str(kubeconfig)), namespace=namespace, field_manager="light") as client:
        applied = client.apply(robots(metadata={"name": "one"}, spec={"size": 1}))
        assert applied["spec"] == {"size": 1}
        client.patch(robots.Status, "one", {"status": {"phase": "Up"}}, patch_type=PatchType.MERGE)
        assert [item.status["phase"] for item in client.list(robots)] == ["Up"]
        with pytest.raises(ApiError) as refused:
            client.apply(robots(metadata={"name": "one"}, spec={"size": "large"}))
        assert 'spec.size: Invalid value: "string"' in refused.value.status.message
        client.delete(robots, "one")


@pytest.fixture
def operator(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Path]:
    """The log of a kopf operator with webhooks, while it runs."""
    files = write_certificates(tmp_path)
    (tmp_path / "robots.py").write_text(OPERATOR)
    command = [sys.executable, "-m", "kopf", "run", "--standalone", f"--namespace={namespace}"]
    command.append(str(tmp_path / "robots.py"))
    served = {"certfile": str(files["server"]), "pkeyfile": str(files["server-key"]), "cafile": str(files["ca"])}
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "port": str(free_port()), **served}
    log = tmp_path / "operator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield log
        finally:
            print(log.read_text())  # pytest shows it where the test failed
            process.terminate()
            assert process.wait(STOP_SECONDS) == 0


def test_a_kopf_operator_admits_reconciles_and_says_goodbye(api: ApiServer, operator: Path, namespace: str) -> None:
    configurations = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"  # kopf's second

    def hooked() -> bool:
        return any(item.get("webhooks") for item in api.http.get(configurations).json()["items"])

    eventually(hooked, "the operator's webhooks")
    robots = f"/apis/{GROUP}/v1/namespaces/{namespace}/robots"
    made = api.http.post(robots, json=custom("Robot", "one", {"size": 1}))
    assert (made.status_code, made.json()["spec"]) == (201, {"size": 2}), made.text
    assert "robots are dangerous" in made.headers["warning"]
    eventually(lambda: api.http.get(f"{robots}/one").json().get("status", {}).get("size") == 2, "its status")
    refused = api.http.patch(f"{robots}/one", json={"spec": {"size": 101}}, headers=MERGE)
    assert refused.status_code >= 400
    assert "a robot that large" in refused.json()["message"]
    api.http.patch(f"{robots}/one", json={"spec": {"size": 9}}, headers=MERGE)
    eventually(lambda: api.http.get(f"{robots}/one").json().get("status", {}).get("was") == 2, "the change's handler")
    assert api.http.get(f"{robots}/one").json()["metadata"]["finalizers"]
    api.http.delete(f"{robots}/one")
    eventually(lambda: api.http.get(f"{robots}/one").status_code == 404, "its end")
    assert "goodbye one" in operator.read_text()
