"""`debug`, `port-forward`, `exec` and their like beside the real kubectl, as far as no container is needed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import Pair, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="there is no kubectl")

Dict = dict[str, Any]

NAMESPACE = "shop"
PROBE = {"exec": {"command": ["a"]}}
OBJECTS: list[Dict] = [
    {"kind": "Node", "metadata": {"name": "n1"}},
    {"kind": "ConfigMap", "metadata": {"name": "cm"}},
    {"kind": "Service", "metadata": {"name": "svc"},
     "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http", "name": "web"}]}},
    {"kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}, "annotations": {"note": "x"}},
     "spec": {
         "nodeName": "n1",
         "containers": [
             {"name": "app", "image": "x:1", "ports": [{"containerPort": 80, "name": "http"}], "livenessProbe": PROBE},
             {"name": "side", "image": "y:1"},
         ],
         "initContainers": [{"name": "init", "image": "i"}],
     }},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "dep"},
     "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "dep"}},
              "template": {"metadata": {"labels": {"app": "dep"}},
                           "spec": {"containers": [{"name": "c", "image": "x"}]}}}},
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    kubeconfig = write_kubeconfig(api, tmp_path_factory.mktemp("debug") / "kubeconfig", NAMESPACE)
    api.make_namespace(NAMESPACE)
    mini = CommandLine(kubeconfig, NAMESPACE)
    for obj in OBJECTS:
        mini.run("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", **obj}))
    return Pair(mini, CommandLine(kubeconfig, NAMESPACE, str(KUBECTLS.get("1.33", KUBECTLS[""]))))


@pytest.mark.parametrize(
    "line",
    [
        "debug web", "debug deploy/dep --image=b --profile=general", "debug nope --image=b",
        "debug web --image=b --profile=bad", "debug web --copy-to=x", "debug web --image=b --replace",
        "debug web --image=b -t", "debug web --image=b --env=bad", "debug web --image=b --copy-to=x --target=app",
        "debug web --copy-to=x --set-image=bad", "debug web --copy-to=x --profile=general -- ls",
        "debug web --image=b -c d --target=nope --profile=general",
        "port-forward", "port-forward web 80:nope", "port-forward svc/svc 8080:81", "port-forward svc/svc 8080:80",
        "port-forward cm/cm 80", "port-forward deploy/dep 80 --pod-running-timeout=1ms",
        "exec", "exec web", "exec web ls", "exec nope -- ls", "attach", "attach web -c nope",
        "logs node/n1", "logs web -c nope", "logs web --tail=-2", "logs web --since-time=bad",
        "logs web -c app --all-containers", "logs web -l a=b", "logs web",
        "cp a b", "cp a", "cp web:/a web:/b", "cp a: b", "cp /nonexistent web:/x", "cp a/b/c:d x",
    ],
)  # fmt: skip
def test_what_cannot_be_reads_the_same(pair: Pair, line: str) -> None:
    pair.same(line)


def spec_of(at: CommandLine, name: str) -> Dict:
    pod = at.get("pod", name)
    volumes = [volume for volume in pod["spec"].get("volumes", ()) if not volume["name"].startswith("kube-api-access")]
    meta = {key: pod["metadata"].get(key) for key in ("labels", "annotations")}
    return {**meta, **pod["spec"], "volumes": volumes}


@pytest.mark.parametrize(
    "flags",
    [
        "--image=b -c dbg --profile=general",
        "--image=b -c dbg --profile=baseline --share-processes=false --keep-labels --keep-annotations --keep-liveness "
        "--same-node --keep-init-containers=false",
        "--set-image=*=z,side=q --profile=restricted",
        "-c app --profile=sysadmin -- sleep 1",
        "-c app --image=q --profile=netadmin --env=A=b",
        "--image=q -c dbg --profile=legacy --arguments-only -- a",
    ],
)
def test_copies_of_a_pod_are_the_same(pair: Pair, flags: str) -> None:
    found = []
    for at in (pair.real, pair.mini):
        done = at.try_run("debug", "web", "--copy-to=copy", *flags.split())
        assert done.returncode == 0, done.stderr
        found.append((done.stdout, done.stderr, spec_of(at, "copy")))
        at.run("delete", "pod", "copy", "--force", "--grace-period=0")
    assert found[0] == found[1]


@pytest.mark.parametrize("profile", ["general", "restricted", "netadmin", "sysadmin"])
def test_profiles_mean_the_same(pair: Pair, profile: str) -> None:
    """Beside the containers of a pod, and on a node."""
    for at, name in ((pair.real, f"real-{profile}"), (pair.mini, f"mini-{profile}")):
        at.run("debug", "web", "--image=b", "-c", name, f"--profile={profile}", "--target=app", "--", "sh")
        at.run("debug", "node/n1", "--image=b", "-c", name, f"--profile={profile}", "-q")
    beside = {c["name"]: c for c in pair.mini.get("pod", "web")["spec"]["ephemeralContainers"]}
    nodes = {pod["spec"]["containers"][0]["name"]: pod["spec"] for pod in pair.mini.items("pods")}
    for found in (beside, nodes):
        mini, real = (json.dumps(found[f"{who}-{profile}"]) for who in ("mini", "real"))
        assert mini.replace(f"mini-{profile}", "x") == real.replace(f"real-{profile}", "x")
