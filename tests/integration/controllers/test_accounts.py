"""A controller manager whose controllers have an account each; no other publishes the authority here meanwhile."""

from __future__ import annotations

from pathlib import Path

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually
from tests.kits.process import controller_manager


def test_each_controller_speaks_as_its_own_service_account(api: ApiServer, tmp_path: Path) -> None:
    flags = ("--use-service-account-credentials=true", "--controllers=root-ca-certificate-publisher-controller")
    accounts = "/api/v1/namespaces/kube-system/serviceaccounts"
    name = "root-ca-cert-publisher"
    with controller_manager(api.url, tmp_path, *flags):
        namespace = api.make_namespace("speaks")
        eventually(lambda: api.http.get(f"{namespace}/configmaps/kube-root-ca.crt").status_code == 200)
        uid = api.http.get(f"{accounts}/{name}").json()["metadata"]["uid"]
        # A deleted account ends its token: the controller makes both anew.
        assert api.http.delete(f"{accounts}/{name}").status_code == 200
        namespace = api.make_namespace("speaks-again")
        eventually(lambda: api.http.get(f"{namespace}/configmaps/kube-root-ca.crt").status_code == 200)
        assert api.http.get(f"{accounts}/{name}").json()["metadata"]["uid"] != uid


def test_a_policy_is_told_what_its_types_do_not_have(api: ApiServer, tmp_path: Path) -> None:
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object.replicas > 1"}, {"expression": "object.spec.template.spec.nope == 'a'"}],
    }
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    flags = ("--use-service-account-credentials=true", "--controllers=validatingadmissionpolicy-status-controller")
    assert api.http.post(path, json={"metadata": {"name": "typed"}, "spec": spec}).status_code == 201
    with controller_manager(api.url, tmp_path, *flags):
        eventually(lambda: api.http.get(f"{path}/typed").json()["status"].get("observedGeneration") == 1)
    warnings = api.http.get(f"{path}/typed").json()["status"]["typeChecking"]["expressionWarnings"]
    assert [warning["fieldRef"] for warning in warnings] == [f"spec.validations[{n}].expression" for n in (0, 1)]
    assert warnings[0]["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'")
    api.http.delete(f"{path}/typed")
