"""Admission plugins that are off by default, switched on together on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer

PLUGINS = (
    "AlwaysPullImages",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "LimitPodHardAntiAffinityTopology",
    "OwnerReferencesPermissionEnforcement",
)
CONFIGURATION = """\
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: EventRateLimit
    configuration:
      apiVersion: eventratelimit.admission.k8s.io/v1alpha1
      kind: Configuration
      limits:
        - {type: Namespace, qps: 1, burst: 5}
"""
ROLE = {
    "metadata": {"name": "writer"},
    "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "update", "get", "patch"]}],
}
BINDING = {
    "metadata": {"name": "writer"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "writer"},
    "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}],
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("plugins")
    file = folder / "admission.yaml"
    file.write_text(CONFIGURATION)
    flags = [
        f"--enable-admission-plugins={','.join(PLUGINS)}",
        "--disable-admission-plugins=ServiceAccount",
        f"--admission-control-config-file={file}",
        "--authorization-mode=RBAC",
    ]
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        for plural, body in (("clusterroles", ROLE), ("clusterrolebindings", BINDING)):
            answer = server.http.post(f"/apis/rbac.authorization.k8s.io/v1/{plural}", json=body)
            assert answer.status_code == 201, answer.text
        yield server


def test_a_pod_is_changed_by_all_that_concern_it(api: ApiServer, namespace: str) -> None:
    container = {"name": "c", "image": "i:1", "resources": {"limits": {"example.com/gpu": "1"}}}
    body = {"metadata": {"name": "p"}, "spec": {"containers": [container]}}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/pods", json=body)
    assert answer.status_code == 201, answer.text
    spec: dict[str, Any] = answer.json()["spec"]
    assert spec["containers"][0]["imagePullPolicy"] == "Always"
    assert {"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]


def test_events_beyond_the_burst_get_a_429(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/events"
    about = {"kind": "Pod", "name": "p", "namespace": namespace}
    answers = [
        api.http.post(path, json={"metadata": {"name": f"e{number}"}, "involvedObject": about}) for number in range(40)
    ]
    codes = [answer.status_code for answer in answers]
    assert codes[:5] == [201] * 5
    assert 429 in codes
    refused = answers[codes.index(429)].json()
    assert refused["reason"] == "TooManyRequests"
    assert refused["message"] == f"Too many requests: limit reached on type Namespace for key {namespace}"


def test_owners_are_set_by_who_may_delete(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "11111111-1111-4111-8111-111111111111"}
    with api.client("other-token") as jane:
        assert jane.post(path, json={"metadata": {"name": "c"}}).status_code == 201
        patch = {"metadata": {"ownerReferences": [owner]}}
        headers = {"content-type": "application/merge-patch+json"}
        refused = jane.patch(f"{path}/c", json=patch, headers=headers)
    assert refused.status_code == 403
    text = 'configmaps "c" is forbidden: cannot set an ownerRef on a resource you can\'t delete: '
    assert refused.json()["message"].startswith(text)
    assert api.http.patch(f"{path}/c", json=patch, headers=headers).status_code == 200


def test_a_plugin_without_its_configuration_keeps_the_server_from_starting(api: ApiServer) -> None:
    folder = api.folder / "unconfigured"
    folder.mkdir()
    server = ApiServer(folder, "http://127.0.0.1:1", "--enable-admission-plugins=EventRateLimit")
    with pytest.raises(RuntimeError, match="EventRateLimit: this admission plugin does nothing until it is configured"):
        server.start()
