"""`run`, `expose` and `taint` of mini-kubectl beside those of the real kubectl."""

from __future__ import annotations

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import Pair, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="there is no kubectl")

NAMESPACE = "shop"
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
PORTS = [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}]
OBJECTS: list[dict[str, object]] = [
    {"kind": "Node", "metadata": {"name": "n1", "labels": {"disk": "ssd"}}},
    {"kind": "Node", "metadata": {"name": "n2"}},
    {"kind": "ConfigMap", "metadata": {"name": "cm"}},
    {"kind": "Service", "metadata": {"name": "svc", "labels": {"a": "b"}},
     "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}},
    {"kind": "Pod", "metadata": {"name": "bare"}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
    {"kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web", "tier": "front"}},
     "spec": {"containers": [{"name": "c", "image": "x", "ports": PORTS}]}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "dep", "labels": {"l": "m"}},
     "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}},
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("generators")
    kubeconfig = write_kubeconfig(api, folder / "kubeconfig", NAMESPACE)
    api.make_namespace(NAMESPACE)
    mini = CommandLine(kubeconfig, NAMESPACE)
    mini.apply(*({"apiVersion": "v1", **obj} for obj in OBJECTS))
    return Pair(mini, CommandLine(kubeconfig, NAMESPACE, str(KUBECTLS.get("1.33", KUBECTLS[""]))))


YAML = "--dry-run=client -o yaml"

RUN = [
    f"run a --image=nginx:1 --port=80 {YAML}",
    "run a --image=nginx:1 --port=80 --expose --dry-run=client",
    f"run a --image=x --env A=b --env C=d=e --labels a=b,c=d --annotations x=y --annotations z=w {YAML}",
    f"run a --image=x --restart=Never --command --image-pull-policy=Always --privileged {YAML} -- sh -c true",
    f"run a --image=x --restart=OnFailure {YAML} one two",
    "run a --image=x --dry-run=server -o name",
    "run web --image=x --dry-run=server",
    "run",
    "run --image=x",
    "run a --image=Nginx:1",
    "run a --image=x --restart=Sometimes",
    "run a --image=x --port=abc --dry-run=client",
    "run a --image=x --expose --dry-run=client",
    "run a --image=x --env=bad --dry-run=client",
    "run a --image=x --labels=bad --dry-run=client",
    "run a --image=x -t",
    "run a --image=x -i --dry-run=client",
    'run a --image=x --overrides={"spec":{"nodeName":"n"}} ' + YAML,
    'run a --image=x --overrides={"spec": ' + YAML,
    'run a --image=x --override-type=json --overrides=[{"op":"add","path":"/spec/nodeName","value":"n"}] ' + YAML,
    'run a --image=x --override-type=strategic --overrides={"spec":{"containers":[{"name":"a","tty":true}]}} ' + YAML,
]
EXPOSE = [
    f"expose pod web {YAML}",
    f"expose pod/web --port=53,80 --target-port=http {YAML}",
    "expose pod bare --port=80",
    f"expose deploy dep --port=80 --target-port=8080 {YAML}",
    f"expose deploy dep --port=80 --cluster-ip=None --protocol=UDP {YAML}",
    "expose deploy dep --port=80 --type=NodePort --session-affinity=ClientIP --external-ip=1.2.3.4 "
    f"--load-balancer-ip=1.1.1.1 --labels=x=y --selector=q=w --name=nn {YAML}",
    f"expose svc svc --name=new --type=LoadBalancer --load-balancer-ip=1.1.1.1 {YAML}",
    "expose cm cm --port=80",
    "expose deploy dep nope --port=80 --dry-run=client",
    "expose deploy dep --port=80 --dry-run=server",
    "expose svc svc",
    "expose deploy dep --port=abc",
    "expose deploy dep --port=80 --session-affinity=Bad",
    "expose deploy dep --port=80 --selector=a",
    'expose deploy dep --port=80 --overrides={"spec":{"type":"NodePort"}} ' + YAML,
    "expose",
]
AUTOSCALE = []
BAD_TAINTS = [
    "taint", "taint node n1", "taint pod web a=b:NoSchedule", "taint node n1 b=c", "taint node n1 b=c:Bad",
    "taint node n1 b=c=d:NoSchedule", "taint node n1 b=c!:NoSchedule", "taint node n1 x=y:NoSchedule x=z:NoSchedule",
    "taint node n1 x=y:NoSchedule x:NoSchedule-", "taint nodes -l disk=ssd --all a=b:NoSchedule", "taint node n1 a-",
]  # fmt: skip


@pytest.mark.parametrize("line", [*RUN, *EXPOSE, *AUTOSCALE, *BAD_TAINTS])
def test_what_changes_nothing_reads_the_same(pair: Pair, line: str) -> None:
    pair.same(line)


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("taint node n1 a-", "taint node n1 a=b:NoSchedule"),
        ("taint node n1 a=b:NoSchedule --overwrite", "taint node n1 a=c:NoSchedule"),
        ("taint node n1 a=b:NoSchedule --overwrite", "taint node n1 a=c:NoSchedule b=:NoExecute --overwrite"),
        ("taint node n1 a=b:NoSchedule --overwrite", "taint node n1 a:NoSchedule-"),
        ("taint node n1 a=b:NoSchedule c:NoExecute --overwrite", "taint node n1 c- a=d:NoSchedule --overwrite"),
        ("taint nodes --all a-", "taint nodes --all a=b:PreferNoSchedule"),
        ("taint nodes --all a-", "taint nodes -l disk=ssd a=b:PreferNoSchedule -o name"),
        ("taint nodes --all a-", "taint nodes n1 n2 a=b:NoSchedule --dry-run=server"),
        ("delete svc new", "expose deploy dep --port=80 --name=new"),
        ("delete pod new --now", "run new --image=x"),
    ],
)
def test_changes_read_the_same(pair: Pair, before: str, line: str) -> None:
    pair.same_after(before, line)


def test_taints_are_set_and_removed(pair: Pair) -> None:
    def taints() -> list[str]:
        found = pair.mini.get("node", "n2")["spec"]["taints"]
        return [f"{t['key']}={t.get('value', '')}:{t['effect']}" for t in found if t["key"] in ("x", "y")]

    pair.mini.run("taint", "node", "n2", "x=1:NoSchedule", "x=2:NoExecute", "y:NoSchedule")
    assert taints() == ["x=1:NoSchedule", "x=2:NoExecute", "y=:NoSchedule"]
    pair.mini.run("taint", "node", "n2", "x:NoExecute-", "y=3:NoSchedule", "--overwrite")
    assert taints() == ["y=3:NoSchedule", "x=1:NoSchedule"]
    pair.mini.run("taint", "node", "n2", "x-", "--dry-run=server")
    pair.mini.run("taint", "node", "n2", "x-", "y-")
    assert taints() == []


def test_a_pod_and_its_service_are_one_yaml_stream(pair: Pair) -> None:
    text = pair.mini.run("run", "both", "--image=x", "--port=80", "--expose", "-o", "yaml")
    service, pod = text.split("---\n")
    assert "kind: Service" in service
    assert "kind: Pod" in pod
    assert pair.mini.get("service", "both")["spec"]["selector"] == {"run": "both"}
