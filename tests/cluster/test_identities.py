"""Who may do what in a running cluster: every process and every pod works with its own rights, and has no others."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller_manager.options import CONTROLLERS
from kubeclient.manager import collect_controllers
from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.http import connect
from tests.kits.eventually import eventually
from tests.kits.manifests import container, deployment, pod, service, web_container

pytestmark = pytest.mark.cluster
Dict = dict[str, Any]

SECRETS = "/api/v1/namespaces/kube-system/secrets"
REFUSED = {
    "kube-controller-manager": ("DELETE", "/api/v1/namespaces/default/pods/any"),
    "kube-scheduler": ("GET", SECRETS),
    "ingress-controller": ("GET", "/api/v1/pods"),
    "kube-proxy-worker-1": ("GET", "/api/v1/pods"),
    "netagent-worker-1": ("GET", SECRETS),
    "kube-dns-worker-1": ("GET", "/api/v1/namespaces/kube-system/configmaps"),
    "kubelet-worker-1": ("GET", SECRETS),
    "kubelet-worker-2": ("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/worker-1"),
}
"""Identity, by the name of its certificate -> a request that is none of its business."""

IN_CLUSTER = {
    "kubernetes": """
from kubernetes import client, config
config.load_incluster_config()
core = client.CoreV1Api()
print(sorted(pod.metadata.name for pod in core.list_namespaced_pod(namespace).items))
try:
    core.list_namespaced_secret(namespace)
except client.ApiException as error:
    print(error.status)
""",
    "kr8s": """
import kr8s
print(sorted(pod.name for pod in kr8s.get("pods", namespace=namespace)))
try:
    list(kr8s.get("secrets", namespace=namespace))
except kr8s.ServerError as error:
    print(error.response.status_code)
""",
}
"""Programs that list pods, and are refused Secrets; each prints the names and the status."""


def request_token(admin: httpx.Client, account: str) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return str(admin.post(f"{account}/token", json=request).raise_for_status().json()["status"]["token"])


@pytest.mark.parametrize("identity", REFUSED)
def test_a_process_is_refused_what_is_not_its_business(cluster: ClusterHandle, identity: str) -> None:
    method, path = REFUSED[identity]
    with connect(cluster, identity) as client:
        answer = client.request(method, path)
    assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden"), answer.text


def test_a_controller_is_refused_what_another_may(cluster: ClusterHandle) -> None:
    accounts = {spec.account for spec in collect_controllers(CONTROLLERS).values()}
    refused = {}
    with connect(cluster) as admin, connect(cluster, "") as client:
        root = "/api/v1/namespaces/kube-system/serviceaccounts"
        for account in accounts:
            created = admin.post(root, json={"metadata": {"name": account}})
            assert created.status_code in (201, 409), created.text
            token = request_token(admin, f"{root}/{account}")
            path = "/apis/apps/v1/deployments" if account == "certificate-controller" else f"{root}/default/token"
            method = "GET" if account == "certificate-controller" else "POST"
            answer = client.request(method, path, headers={"Authorization": f"Bearer {token}"})
            refused[account] = answer.status_code
    assert refused == dict.fromkeys(accounts, 403)


def test_a_kubelet_serves_the_api_server_and_no_other_process(cluster: ClusterHandle) -> None:
    answers = {}
    for identity in ("apiserver-kubelet-client", "kube-proxy-worker-2", "kubelet-worker-2", "kube-scheduler"):
        with connect(cluster, identity) as client:
            answers[identity] = client.get(f"https://{cluster.node_ips['worker-1']}:10250/pods").status_code
    refused = dict.fromkeys(answers, 403)
    assert answers == refused | {"apiserver-kubelet-client": 200}


def test_who_issues_tokens_is_told_to_their_holders(cluster: ClusterHandle) -> None:
    with connect(cluster) as admin, connect(cluster, "") as client:
        token = request_token(admin, "/api/v1/namespaces/default/serviceaccounts/default")
        for path in ("/.well-known/openid-configuration", "/openid/v1/jwks"):
            assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200
            assert client.get(path).status_code == 403


@pytest.mark.parametrize("library", IN_CLUSTER)
def test_a_pod_uses_the_api_as_its_account(cluster: ClusterHandle, mk: CommandLine, library: str) -> None:
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "Role",
        "metadata": {"name": "viewer"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "viewer"},
        "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": mk.namespace}],
        "roleRef": {"kind": "Role", "name": "viewer", "apiGroup": group},
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "viewer"}}
    program = f"namespace = {mk.namespace!r}\n{IN_CLUSTER[library]}"
    mk.apply(account, role, binding, python_pod("client", program))
    eventually(lambda: mk.get("pod", "client")["status"]["phase"] in ("Succeeded", "Failed"), "the end of the client")
    assert mk.run("logs", "client").splitlines()[-2:] == ["['client']", "403"]


def python_pod(name: str, program: str) -> Dict:
    """A pod that runs a program with this environment's Python, which it has from its host."""
    folders = {"/usr", "/lib", "/lib64", sys.prefix, sys.base_prefix}
    folders = {str(folder) for folder in folders if Path(folder).is_dir()}
    volumes = [{"name": f"v{n}", "hostPath": {"path": path}} for n, path in enumerate(sorted(folders))]
    mounts = [{"name": each["name"], "mountPath": each["hostPath"]["path"], "readOnly": True} for each in volumes]  # type: ignore[index]
    main = container(sys.executable, "-c", program, volumeMounts=mounts)
    return pod(name, main, volumes=volumes, restartPolicy="Never", serviceAccountName="viewer")


def test_the_token_of_a_pod_ends_with_the_pod(cluster: ClusterHandle, mk: CommandLine) -> None:
    mk.apply(pod("short"))
    mk.run("wait", "--for=condition=Ready", "pod/short", "--timeout=120s")
    token = mk.run("exec", "short", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    with connect(cluster, "") as client:
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/api", headers=headers).status_code == 200
        assert client.get(f"/api/v1/namespaces/{mk.namespace}/pods", headers=headers).status_code == 403
        mk.run("delete", "pod", "short")
        eventually(lambda: client.get("/api", headers=headers).status_code == 401, "the end of the token")


def test_no_process_was_refused_what_it_needs(cluster: ClusterHandle, mk: CommandLine) -> None:
    """After work for each of them, no log has the words of a refusal by the authorizer."""
    mk.apply(deployment("web", 2, web_container()), service("web"))
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    mk.run("delete", "deployment", "web")
    eventually(lambda: mk.items("pods") == [], "the end of the pods")
    logs = sorted(cluster.logs.glob("*.log"))
    assert {"kube-scheduler.log", "kube-controller-manager.log", "kubelet-worker-1.log"} <= {log.name for log in logs}
    refusals = [
        f"{log.name}: {line}"
        for log in logs
        for line in log.read_text(errors="replace").splitlines()
        if re.search(r'User \\*"[^"]*" cannot |forbidden: User|Unauthorized', line)
    ]
    assert refusals == []


def test_keys_and_kubeconfigs_are_their_owners_alone(cluster: ClusterHandle) -> None:
    layout = cluster.cluster.layout
    private = [layout.kubeconfig, *layout.pki.rglob("*.key"), *layout.conf.glob("*kubeconfig")]
    assert len(private) > 10
    assert {path: oct(path.stat().st_mode & 0o777) for path in private} == dict.fromkeys(private, "0o600")
