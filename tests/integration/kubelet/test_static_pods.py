"""Static pods of a whole kubelet: with their mirrors on a real API server, and without any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kubelet.test_agent import NODE, Kubelet, get, pod_ready, ready
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually

UID, MIRROR = "kubernetes.io/config.hash", "kubernetes.io/config.mirror"


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    folder = tmp_path / "manifests"
    folder.mkdir()
    return folder


@pytest.fixture
def kubelet(api: ApiServer, tmp_path: Path, manifests: Path) -> Iterator[Kubelet]:
    kubelet = Kubelet(api, tmp_path, f"--pod-manifest-path={manifests}")
    kubelet.start()
    try:
        yield kubelet
    finally:
        for file in manifests.iterdir():
            file.unlink()
        eventually(lambda: not kubelet.runtime.containers, "all static pods are gone")
        kubelet.stop()
        api.http.delete(f"/api/v1/nodes/{NODE}")


def write(manifests: Path, namespace: str, name: str = "web", image: str = "app:1") -> str:
    """The path of the mirror."""
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    pod += f"spec: {{terminationGracePeriodSeconds: 1, containers: [{{name: app, image: '{image}'}}]}}\n"
    (manifests / f"{name}.yaml").write_text(pod)
    return f"/api/v1/namespaces/{namespace}/pods/{name}-{NODE}"


def uid_of(pod: dict[str, Any]) -> str:
    """The uid that the containers of a mirrored pod have."""
    uid: str = pod["metadata"]["annotations"][UID]
    return uid


def test_a_mirror_shows_the_pod_and_comes_back(
    api: ApiServer, kubelet: Kubelet, manifests: Path, namespace: str
) -> None:
    path = write(manifests, namespace)
    pod = eventually(lambda: pod_ready(api, path), "the mirror is Ready")
    uid = uid_of(pod)
    assert pod["metadata"]["annotations"][MIRROR] == uid != pod["metadata"]["uid"]
    node = get(api, f"/api/v1/nodes/{NODE}")["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": node, "controller": True}
    assert pod["metadata"]["ownerReferences"] == [owner]
    container = kubelet.runtime.find(uid, "app").status.id

    api.http.delete(path)

    def another() -> dict[str, Any]:
        now = pod_ready(api, path)
        return now if now and now["metadata"]["uid"] != pod["metadata"]["uid"] else {}

    assert uid_of(eventually(another, "a new mirror is Ready")) == uid
    assert kubelet.runtime.find(uid, "app").status.id == container
    kubelet.do(lambda: kubelet.runtime.exit(container, 1))

    def restarted() -> bool:
        statuses = get(api, path).get("status", {}).get("containerStatuses") or [{}]
        return bool(statuses[0].get("restartCount") == 1)

    eventually(restarted, "the mirror shows the restart")


def test_a_changed_file_replaces_the_pod_and_a_removed_one_ends_it(
    api: ApiServer, kubelet: Kubelet, manifests: Path, namespace: str
) -> None:
    kubelet.runtime.add_image("docker.io/library/app:2")
    path = write(manifests, namespace)
    before = uid_of(eventually(lambda: pod_ready(api, path), "the mirror is Ready"))
    write(manifests, namespace, image="app:2")

    def replaced() -> dict[str, Any]:
        now = pod_ready(api, path)
        return now if now and uid_of(now) != before else {}

    after = eventually(replaced, "the mirror of the new pod is Ready")
    assert after["spec"]["containers"][0]["image"] == "app:2"
    assert {status.pod.uid for status, _ in kubelet.runtime.sandboxes.values()} == {uid_of(after)}
    (manifests / "web.yaml").unlink()
    eventually(lambda: not get(api, path), "the mirror is gone")
    eventually(lambda: not kubelet.runtime.sandboxes, "nothing of the pod is left")


def test_a_file_that_is_wrong_is_told_by_the_node(
    api: ApiServer, kubelet: Kubelet, manifests: Path, namespace: str
) -> None:
    eventually(lambda: ready(api), "the node is Ready")
    (manifests / "bad.yaml").write_text("kind: Pod")

    def told() -> bool:
        events = get(api, "/api/v1/namespaces/default/events")["items"]
        return any(item["reason"] == "InvalidStaticPod" and "bad.yaml" in item["message"] for item in events)

    eventually(told, "an event tells of it")


def test_static_pods_need_no_api_server(api: ApiServer, tmp_path: Path, manifests: Path, namespace: str) -> None:
    path = write(manifests, namespace)
    api.kill()
    kubelet = Kubelet(api, tmp_path, f"--pod-manifest-path={manifests}")
    kubelet.start()
    try:
        eventually(lambda: bool(kubelet.runtime.containers), "its container is there")
        (container,) = kubelet.runtime.containers.values()
        eventually(lambda: container.status.state == "running", "it runs")
        kubelet.do(lambda: kubelet.runtime.exit(container.status.id, 1))
        uid = container.status.pod.uid
        eventually(lambda: kubelet.runtime.find(uid, "app").status.attempt == 1, "it is started again")
        api.start()
        assert uid_of(eventually(lambda: pod_ready(api, path), "the mirror follows", seconds=60)) == uid
        kubelet.stop()
        (manifests / "web.yaml").unlink()
        kubelet.start()
        eventually(lambda: not get(api, path), "a mirror without its pod is removed")
        eventually(lambda: not kubelet.runtime.sandboxes, "so is what ran")
    finally:
        kubelet.stop()
        api.http.delete(f"/api/v1/nodes/{NODE}")
