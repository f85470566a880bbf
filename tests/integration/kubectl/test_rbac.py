"""Roles and bindings by the real kubectl, the oldest and the newest, and what mini-kubectl shows of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.client.kubectlpair import run_in_process, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="kubectl is not on PATH")

PROGRAMS = {version: program for version, program in KUBECTLS.items() if version} or KUBECTLS

MANIFEST = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reconciled}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get, VERB]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reconciled}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ROLE}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: USER}
"""


class Kubectl:
    """One kubectl, as the administrator of one API server."""

    def __init__(self, api: ApiServer, program: Path) -> None:
        self.config = write_kubeconfig(api, api.folder / "kubeconfig")
        self._program = program

    def run(self, line: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KUBECONFIG": str(self.config)}
        command = [str(self._program), *line.split()]
        return subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    def says(self, line: str, stdin: str = "") -> str:
        done = self.run(line, stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def same(self, line: str) -> str:
        """Returns what both print: this kubectl and mini-kubectl."""
        real, mini = self.run(line), run_in_process(line.split(), {"KUBECONFIG": str(self.config)})
        assert (mini.stdout, mini.returncode) == (real.stdout, real.returncode)
        return real.stdout


@pytest.fixture(scope="module", params=PROGRAMS.values(), ids=PROGRAMS.keys())
def kubectl(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    folder = tmp_path_factory.mktemp("rbac")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, "--authorization-mode=RBAC") as api:
        yield Kubectl(api, request.param)


def test_what_it_creates_counts_and_is_shown_alike(kubectl: Kubectl) -> None:
    for line in (
        "role reads --verb=get,list --resource=pods,deployments.apps,pods/log",
        "role named --verb=get --resource=configmaps --resource-name=a --resource-name=b",
        "clusterrole logs --verb=get --non-resource-url=/logs/*",
        "clusterrole gathers --aggregation-rule=a=b",
        "rolebinding reads --role=reads --user=jane --serviceaccount=default:robot",
        "rolebinding named --role=named --user=jane",
        "clusterrolebinding logs --clusterrole=logs --user=jane --group=dev",
    ):
        assert kubectl.says(f"create {line}").endswith(" created\n")
    eventually(lambda: kubectl.run("auth can-i get /logs/x --as=jane").returncode == 0)
    answers = {
        "list pods": "yes", "get pods --subresource=log": "yes", "delete pods": "no", "get configmaps/a": "yes",
        "get configmaps/c": "no", "list deployments.apps -A": "no", "get /logs/x": "yes", "get /metrics": "no",
    }  # fmt: skip
    for question, answer in answers.items():
        assert kubectl.same(f"auth can-i {question} --as=jane") == f"{answer}\n"
    allowed = kubectl.same("auth can-i --list --as=jane")
    assert "configmaps                                      []                  [a]              [get]" in allowed
    for line in ("role reads", "role named", "clusterrole logs", "rolebinding reads", "clusterrolebinding logs"):
        assert kubectl.same(f"describe {line}")
    kubectl.same("get roles,rolebindings -o wide")


def test_it_reconciles(kubectl: Kubectl) -> None:
    first = MANIFEST.replace("VERB", "list").replace("ROLE", "reconciled").replace("USER", "jane")
    second = MANIFEST.replace("VERB", "watch").replace("ROLE", "view").replace("USER", "joe")
    assert "reconciliation required create" in kubectl.says("auth reconcile -f -", first)
    assert "required" not in kubectl.says("auth reconcile -f -", first)
    changed = kubectl.says("auth reconcile -f -", second)
    assert "reconciliation required update" in changed
    assert "reconciliation required recreate" in changed
    verbs = "get clusterrole reconciled -o jsonpath={.rules[*].verbs[*]}"
    assert kubectl.says(verbs) == "get list watch"
    assert (
        kubectl.says("get clusterrolebinding reconciled -o jsonpath={.roleRef.name},{.subjects[*].name}") == "view,joe"
    )
    kubectl.says("auth reconcile --remove-extra-permissions -f -", second)
    assert kubectl.says(verbs) == "get watch"


def test_a_users_own_limits_are_told(kubectl: Kubectl) -> None:
    kubectl.says(
        "create clusterrole writes-roles --verb=create,patch,get --resource=clusterroles.rbac.authorization.k8s.io"
    )
    kubectl.says("create clusterrolebinding writes-roles --clusterrole=writes-roles --user=joan")
    command = "create clusterrole wide --verb=get --resource=secrets --as=joan"
    eventually(lambda: "attempting to grant RBAC permissions not currently held" in kubectl.run(command).stderr)
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in kubectl.run(command).stderr
