"""PodSecurity with a configuration of its own: defaults of the cluster, exemptions, and warnings about pods that are
there. What the levels refuse is told by golden cases and unit tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually

CONFIGURATION = """\
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: PodSecurity
    configuration:
      apiVersion: pod-security.admission.config.k8s.io/v1
      kind: PodSecurityConfiguration
      defaults: {enforce: baseline, enforce-version: v1.30}
      exemptions:
        usernames: [jane]
        namespaces: [exempt]
        runtimeClasses: [sandbox]
"""
REFUSED = (
    'pods "p" is forbidden: violates PodSecurity "baseline:v1.30": privileged (container "c" must not set '
    "securityContext.privileged=true)"
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("podsecurity")
    file = folder / "admission.yaml"
    file.write_text(CONFIGURATION)
    policy = folder / "policy.yaml"
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
    flags = [f"--admission-control-config-file={file}", f"--audit-policy-file={policy}"]
    flags.append(f"--audit-log-path={folder}/audit.log")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        server.make_namespace("exempt")
        yield server


def privileged(name: str = "p", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i", "securityContext": {"privileged": True}}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def warnings(answer: httpx.Response) -> list[str]:
    assert answer.status_code < 300, answer.text
    texts = answer.headers.get_list("warning")
    return [text.split(" ", 2)[2][1:-1].replace('\\"', '"') for text in texts]


def test_the_default_holds_where_no_label_says_otherwise(api: ApiServer) -> None:
    pods = f"{api.make_namespace('plain')}/pods"
    answer = api.http.post(pods, json=privileged())
    assert (answer.status_code, answer.json()["message"]) == (403, REFUSED)
    assert api.http.get(f"{pods}/p").status_code == 404
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    merge = {"content-type": "application/merge-patch+json"}
    assert api.http.patch("/api/v1/namespaces/plain", json=labels, headers=merge).status_code == 200
    assert warnings(api.http.post(pods, json=privileged())) == []


def test_exempt_namespaces_users_and_runtime_classes(api: ApiServer) -> None:
    assert warnings(api.http.post("/api/v1/namespaces/exempt/pods", json=privileged())) == []
    pods = f"{api.make_namespace('users')}/pods"
    with api.client("other-token") as jane:
        assert warnings(jane.post(pods, json=privileged())) == []
    runtime = {"metadata": {"name": "sandbox"}, "handler": "sandbox"}
    assert api.http.post("/apis/node.k8s.io/v1/runtimeclasses", json=runtime).status_code == 201
    assert warnings(api.http.post(pods, json=privileged("q", runtimeClassName="sandbox"))) == []
    assert api.http.post(pods, json=privileged("r")).status_code == 403


def test_labels_of_an_exempt_namespace_are_told_to_have_no_effect(api: ApiServer) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/audit-version": "v1.2"}
    body = {"metadata": {"labels": labels}}
    ignored = (
        'namespace "exempt" is exempt from Pod Security, and the policy (enforce=restricted:v1.30) will be ignored'
    )
    merge = {"content-type": "application/merge-patch+json"}
    assert warnings(api.http.patch("/api/v1/namespaces/exempt", json=body, headers=merge)) == [ignored]


def test_pods_of_one_violation_share_a_warning(api: ApiServer) -> None:
    pods = f"{api.make_namespace('crowd')}/pods"
    with api.client("other-token") as jane:
        for name in ("b", "a", "c"):
            assert warnings(jane.post(pods, json=privileged(name))) == []
        assert warnings(jane.post(pods, json=privileged("host", hostNetwork=True))) == []
    stricter = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce-version": "latest"}}}
    merge = {"content-type": "application/merge-patch+json"}
    answer = api.http.patch("/api/v1/namespaces/crowd?dryRun=All", json=stricter, headers=merge)
    assert warnings(answer) == [
        'existing pods in namespace "crowd" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): privileged",
        "host: host namespaces, privileged",
    ]
    assert warnings(api.http.patch("/api/v1/namespaces/crowd", json={"metadata": {}}, headers=merge)) == []


def test_what_is_found_stands_in_the_audit_log_also_of_a_request_that_is_refused(api: ApiServer) -> None:
    labels = {"pod-security.kubernetes.io/audit": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.29"}
    api.http.post("/api/v1/namespaces", json={"metadata": {"name": "audited", "labels": labels}})
    answer = api.http.post("/api/v1/namespaces/audited/pods", json=privileged())
    assert answer.status_code == 403
    why = 'privileged (container "c" must not set securityContext.privileged=true)'
    assert annotations_of(api, answer.headers["audit-id"]) == {
        "pod-security.kubernetes.io/audit-violations": f'would violate PodSecurity "baseline:latest": {why}',
        "pod-security.kubernetes.io/enforce-policy": "baseline:v1.29",
    }
    answer = api.http.post("/api/v1/namespaces/exempt/pods", json=privileged("noted"))
    assert annotations_of(api, answer.headers["audit-id"]) == {"pod-security.kubernetes.io/exempt": "namespace"}


def annotations_of(api: ApiServer, audit_id: str) -> dict[str, str]:
    """What PodSecurity noted of a request, once its event is written."""
    log = api.folder.parent / "audit.log"

    def noted() -> dict[str, str] | None:
        for event in map(json.loads, log.read_text().splitlines()):
            if event["auditID"] == audit_id and event["stage"] == "ResponseComplete":
                annotations = event["annotations"].items()
                return {key: text for key, text in annotations if key.startswith("pod-security.")}
        return None

    return eventually(noted, f"the audit event {audit_id}")


def test_a_configuration_that_is_wrong_ends_the_server(api: ApiServer, tmp_path: Any) -> None:
    (tmp_path / "admission.yaml").write_text(CONFIGURATION.replace("baseline", "basline"))
    flag = f"--admission-control-config-file={tmp_path}/admission.yaml"
    server = ApiServer(tmp_path, "http://127.0.0.1:1", flag)
    with pytest.raises(RuntimeError, match=r"defaults\.enforce: Invalid value: .*: must be one of privileged"):
        server.start()
    server.stop()
