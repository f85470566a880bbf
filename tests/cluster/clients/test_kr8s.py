"""`kr8s`: objects that know how to do things; dict-like, kubectl-like."""

from __future__ import annotations

import httpx
import kr8s
import pytest
from kr8s.objects import ConfigMap, Deployment, Node, Pod, Service

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.eventually import eventually
from tests.kits.manifests import container, deployment, pod, service, web_container

READY_SECONDS = 60


@pytest.fixture
def api(cluster: ClusterHandle, namespace: str) -> kr8s.Api:
    return kr8s.api(kubeconfig=str(cluster.kubeconfig), namespace=namespace)


def test_objects_are_made_changed_and_watched(api: kr8s.Api, namespace: str) -> None:
    assert api.version()["major"] == "1"
    assert {"pods", "deployments"} <= {resource["name"] for resource in api.api_resources()}
    manifest = {"metadata": {"name": "settings", "namespace": namespace}, "data": {"a": "1"}}
    settings = ConfigMap(manifest, api=api)
    settings.create()
    assert settings.exists()
    revision = settings.metadata.resourceVersion
    settings.patch({"data": {"b": "2"}})
    settings.raw["metadata"]["resourceVersion"] = revision
    kind, changed = next(settings.watch())
    assert (kind, changed.data.to_dict()) == ("MODIFIED", {"a": "1", "b": "2"})
    settings.label(team="blue")
    settings.annotate(note="kept")
    found = list(api.get("configmaps", label_selector={"team": "blue"}))
    assert [obj.name for obj in found] == ["settings"]
    assert found[0].annotations.note == "kept"
    settings.remove_label("team")
    settings.delete()
    settings.wait("delete", timeout=READY_SECONDS)
    with pytest.raises(kr8s.NotFoundError):
        ConfigMap.get("settings", namespace=namespace, api=api)


@pytest.mark.usefixtures("image")
def test_a_deployment_is_scaled_and_used(api: kr8s.Api, namespace: str) -> None:
    web = Deployment({**deployment("web", 1, web_container())}, api=api, namespace=namespace)
    web.create()
    web.wait("condition=Available", timeout=READY_SECONDS)
    web.scale(2)
    web.wait("jsonpath='{.status.readyReplicas}'=2", timeout=READY_SECONDS)
    assert len(list(web.pods())) == 2
    balanced = Service(service("web"), api=api, namespace=namespace)
    balanced.create()
    assert balanced.ready()
    one = next(iter(web.pods()))
    with one.portforward(remote_port=8080) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/ok").text == "ok\n"
    with balanced.portforward(remote_port=8080) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/ok").text == "ok\n"


@pytest.mark.usefixtures("image")
def test_a_pod_is_run_and_asked(api: kr8s.Api, namespace: str) -> None:
    shell = Pod(pod("shell", container("sh", "-c", "echo one; echo two; sleep 1000")), api=api, namespace=namespace)
    shell.create()
    shell.wait("condition=Ready", timeout=READY_SECONDS)
    eventually(lambda: list(shell.logs()) == ["one", "two"], "its lines are logged")
    done = shell.exec(["sh", "-c", "echo out; echo err >&2; exit 4"], check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 4)
    shell.delete(grace_period=0)


def test_nodes_are_cordoned(api: kr8s.Api) -> None:
    node = Node.get("worker-1", api=api)
    node.cordon()
    try:
        node.refresh()
        assert node.unschedulable
    finally:
        node.uncordon()
    node.refresh()
    assert not node.unschedulable
