"""`top` beside the real kubectl's, where something measures, and `auth` where something authorizes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.scriptedapi import ScriptedApi, discovery, resource, serving
from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import Pair
from tests.kits.client.kubectlversions import KUBECTLS

Dict = dict[str, Any]

METRICS = "/apis/metrics.k8s.io/v1beta1"
TIME = "2026-01-01T00:00:00Z"


def listed(kind: str, *items: Dict) -> Dict:
    version = "metrics.k8s.io/v1beta1" if "Metrics" in kind else "v1"
    return {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": list(items)}


def node_metrics(name: str, cpu: str, memory: str) -> Dict:
    return {"metadata": {"name": name}, "timestamp": TIME, "window": "10s", "usage": {"cpu": cpu, "memory": memory}}


def pod_metrics(name: str, namespace: str, *containers: tuple[str, str, str]) -> Dict:
    used = [{"name": each, "usage": {"cpu": cpu, "memory": memory}} for each, cpu, memory in containers]
    meta = {"name": name, "namespace": namespace}
    return {"metadata": meta, "timestamp": TIME, "window": "10s", "containers": used}


def node(name: str, cpu: str, memory: str) -> Dict:
    have = {"cpu": cpu, "memory": memory}
    status = {"allocatable": have, "capacity": {"cpu": "8", "memory": "8Gi"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}


WEB = pod_metrics("web", "default", ("app", "12m", "20Mi"), ("side", "1m", "300Mi"))
DB = pod_metrics("db", "default", ("db", "1500m", "1Gi"))
N1 = node_metrics("n1", "123456789n", "1234567Ki")
RESOURCES = discovery(
    v1=[resource("pods", "Pod", "get", "list"), resource("nodes", "Node", "get", "list", namespaced=False)],
    metrics_k8s_io__v1beta1=[
        resource("pods", "PodMetrics", "get", "list"), resource("nodes", "NodeMetrics", "get", "list", namespaced=False)
    ],
)  # fmt: skip
OLD_POD = {"metadata": {"name": "p", "namespace": "old", "creationTimestamp": TIME}}


def review(answer: Dict) -> Any:
    return lambda body: {**body, "status": answer}


ANSWERS = RESOURCES | {
    f"{METRICS}/nodes": listed("NodeMetrics", node_metrics("n2", "1900m", "3Gi"), N1),
    f"{METRICS}/nodes/n1": {**N1, "kind": "NodeMetrics", "apiVersion": "metrics.k8s.io/v1beta1"},
    "/api/v1/nodes": listed("Node", node("n1", "2", "4Gi"), node("n2", "1900m", "3Gi"), node("n3", "1", "1Gi")),
    "/api/v1/nodes/n1": node("n1", "2", "4Gi"),
    f"{METRICS}/namespaces/default/pods": listed("PodMetrics", WEB, DB),
    f"{METRICS}/namespaces/default/pods/web": {**WEB, "kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1"},
    f"{METRICS}/pods": listed("PodMetrics", WEB, DB, pod_metrics("zz", "kube-system", ("c", "0", "0"))),
    f"{METRICS}/namespaces/empty/pods": listed("PodMetrics"),
    "/api/v1/namespaces/empty/pods": listed("Pod"),
    f"{METRICS}/namespaces/old/pods": listed("PodMetrics"),
    "/api/v1/namespaces/old/pods": listed("Pod", OLD_POD),
}


@pytest.fixture(scope="module")
def fake() -> Iterator[ScriptedApi]:
    with serving(dict(ANSWERS)) as api:
        yield api


def kubeconfig(api: ScriptedApi, folder: Path) -> Path:
    file = folder / "kubeconfig"
    file.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": api.url}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": ""}}],
    }))  # fmt: skip
    return file


@pytest.fixture(scope="module")
def pair(fake: ScriptedApi, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    if not KUBECTLS:
        pytest.skip("there is no kubectl")
    file = kubeconfig(fake, tmp_path_factory.mktemp("top"))
    return Pair(CommandLine(file, "default"), CommandLine(file, "default", str(KUBECTLS.get("1.33", KUBECTLS[""]))))


@pytest.mark.parametrize(
    "line",
    [
        "node", "nodes n1", "node n1 n2", "node --sort-by=memory", "node --sort-by=x",
        "node --no-headers --show-capacity", "po web", "pod web -l a=b", "pod -A --sum",
        "pod --containers --sum", "pod -A --containers --sort-by=memory", "pod --sort-by=cpu --no-headers --sum",
        "pod -n empty", "bad",
    ],
)  # fmt: skip
def test_usage_reads_the_same(pair: Pair, line: str) -> None:
    pair.same(f"top {line}")


def test_a_pod_that_nobody_has_measured(pair: Pair) -> None:
    assert "error: Metrics not available for pod old/p, age: " in pair.mini.fails("top", "pod", "-n", "old")


def test_nothing_measures_in_a_plain_cluster(tmp_path: Path) -> None:
    with serving(discovery(v1=[resource("pods", "Pod", "list")])) as api:
        mini = CommandLine(kubeconfig(api, tmp_path), "default")
        assert mini.fails("top", "pod") == "error: Metrics API not available\n"


# `auth`

ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES = {
    "incomplete": True,
    "evaluationError": "no webhook",
    "resourceRules": [
        {"verbs": ["get", "list"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"]},
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]},
    ],
    "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api"]}],
}
RULES_TEXT = """\
Resources          Non-Resource URLs   Resource Names   Verbs
*.*                []                  []               [*]
pods               []                  []               [get list]
deployments.apps   []                  [web]            [get list]
                   [/api]              []               [get]
                   [/healthz]          []               [get]
"""
JANE = {"username": "jane", "uid": "u1", "groups": ["a", "b"], "extra": {"x/y": ["1", "2"], "a": ["z"]}}
JANE_TEXT = """\
ATTRIBUTE    VALUE
Username     jane
UID          u1
Groups       [a b]
Extra: a     [z]
Extra: x/y   [1 2]
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedApi, CommandLine]]:
    def decide(body: Dict) -> Dict:
        verb = body["spec"].get("resourceAttributes", body["spec"].get("nonResourceAttributes"))["verb"]
        status = {"allowed": verb != "delete", "reason": "no role", "evaluationError": "no webhook"}
        return {**body, "status": status}

    answers = RESOURCES | {
        ACCESS: decide,
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews": review(RULES),
        "/apis/authentication.k8s.io/v1/selfsubjectreviews": review({"userInfo": JANE}),
    }
    with serving(answers) as api:
        yield api, CommandLine(kubeconfig(api, tmp_path_factory.mktemp("auth")), "shop")


@pytest.mark.parametrize(
    ("line", "asked", "printed"),
    [
        ("get pod", {"namespace": "shop", "verb": "get", "resource": "pods"}, "yes\n"),
        ("delete pods/web", {"namespace": "shop", "verb": "delete", "resource": "pods", "name": "web"},
         "no - no role - no webhook\n"),
        ("delete pods -A -q", {"verb": "delete", "resource": "pods"}, ""),
        ("get pods --subresource=log", {"namespace": "shop", "verb": "get", "resource": "pods", "subresource": "log"},
         "yes\n"),
    ],
)  # fmt: skip
def test_may_i(guarded: tuple[ScriptedApi, CommandLine], line: str, asked: Dict, printed: str) -> None:
    api, mini = guarded
    done = mini.try_run("auth", "can-i", *line.split())
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", int("delete" in line))
    assert api.posted[-1] == (ACCESS, {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("get /healthz", ""),
        ("frob /healthz", "Warning: verb 'frob' is not a known verb\n\n"),
        ("frob pods", "Warning: verb 'frob' is not a known verb\n\n"),
        (
            "get nopes.example.com",
            "Warning: the server doesn't have a resource type 'nopes' in group 'example.com'\n\n",
        ),
        ("get nodes", "Warning: resource 'nodes' is not namespace scoped\n\n"),
    ],
)
def test_odd_questions_are_asked_with_a_warning(guarded: tuple[ScriptedApi, CommandLine], line: str, said: str) -> None:
    done = guarded[1].try_run("auth", "can-i", *line.split())
    assert (done.stdout, done.stderr, done.returncode) == ("yes\n", said, 0)


@pytest.mark.parametrize("line", ["", "--list get pods", "--list -q", "get /x --subresource=y"])
def test_questions_that_are_none(pair: Pair, line: str) -> None:
    pair.same(f"auth can-i {line}")


def test_all_that_is_allowed(guarded: tuple[ScriptedApi, CommandLine]) -> None:
    done = guarded[1].try_run("auth", "can-i", "--list")
    assert (done.stdout, done.returncode) == (RULES_TEXT, 0)
    assert done.stderr == "warning: the list may be incomplete: no webhook\n"


def test_who_am_i(guarded: tuple[ScriptedApi, CommandLine]) -> None:
    mini = guarded[1]
    assert mini.run("auth", "whoami") == JANE_TEXT
    assert mini.run("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}") == "jane"
    assert json.loads(mini.run("auth", "whoami", "-o", "json"))["kind"] == "SelfSubjectReview"
