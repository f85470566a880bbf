"""mini-kubectl beside the real kubectl, on the same API server: what users see is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import Pair, write_kubeconfig
from tests.kits.control_plane.apiserver import HAS_KUBECTL, ApiServer
from tests.kits.definitions import GROUP, custom, definition, establish, version
from tests.kits.net.requests import encoded_request

pytestmark = pytest.mark.skipif(not HAS_KUBECTL, reason="kubectl is not on PATH")

NAMESPACE = "shop"
TIME = "2026-01-01T00:00:00Z"
CONTAINER = {
    "name": "web",
    "image": "web:1",
    "command": ["sh", "-c", "sleep 1"],
    "ports": [{"containerPort": 80, "name": "http"}],
    "env": [
        {"name": "A", "value": "b"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "web", "key": "mode"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "web"}}, {"secretRef": {"name": "web", "optional": True}, "prefix": "X_"}],
    "resources": {"requests": {"cpu": "150m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "1Gi"}},
    "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 5},
    "readinessProbe": {"tcpSocket": {"port": 80}},
    "startupProbe": {"exec": {"command": ["cat", "/tmp/x"]}},
    "volumeMounts": [{"name": "conf", "mountPath": "/etc/conf", "readOnly": True}, {"name": "tmp", "mountPath": "/a"}],
}
POD_SPEC = {
    "containers": [CONTAINER],
    "initContainers": [{"name": "init", "image": "init:1"}],
    "volumes": [
        {"name": "conf", "configMap": {"name": "web", "optional": True}},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "host", "hostPath": {"path": "/var/log", "type": "Directory"}},
    ],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}, {"operator": "Exists"}],
}
TEMPLATE = {"metadata": {"labels": {"app": "web"}, "annotations": {"note": "x"}}, "spec": POD_SPEC}
POD_STATUS = {
    "phase": "Running",
    "podIP": "10.1.2.3",
    "podIPs": [{"ip": "10.1.2.3"}],
    "startTime": TIME,
    "conditions": [{"type": "Ready", "status": "True"}],
    "containerStatuses": [
        {
            "name": "c",
            "image": "x",
            "imageID": "sha256:1",
            "containerID": "docker://1",
            "ready": True,
            "restartCount": 2,
            "state": {"running": {"startedAt": TIME}},
            "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "startedAt": TIME, "finishedAt": TIME}},
        }
    ],
}
NODE_STATUS = {
    "capacity": {"cpu": "2", "memory": "4Gi", "pods": "110"},
    "allocatable": {"cpu": "1900m", "memory": "3Gi", "pods": "110"},
    "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}],
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "fine",
            "lastHeartbeatTime": TIME,
            "lastTransitionTime": TIME,
        }
    ],
    "nodeInfo": {"machineID": "m", "osImage": "Debian", "kubeletVersion": "v1.35.0", "architecture": "amd64"},
}
QUOTA_STATUS = {  # no controller counts here, so what is used only grows
    "hard": {"configmaps": "100", "limits.memory": "4Gi", "requests.cpu": "2"},
    "used": {"configmaps": "3", "limits.memory": "1073741824", "requests.cpu": "150m"},
}
CRON_JOB = {
    "schedule": "0 3 * * *",
    "startingDeadlineSeconds": 30,
    "jobTemplate": {
        "metadata": {"labels": {"t": "u"}, "annotations": {"v": "w"}},
        "spec": {"activeDeadlineSeconds": 60, "template": {"spec": TEMPLATE["spec"] | {"restartPolicy": "Never"}}},
    },
}
LIMITS = [
    {"type": "Container", "max": {"memory": "2Gi"}, "maxLimitRequestRatio": {"memory": "4"}},
    {"type": "Pod", "min": {"cpu": "10m"}},
]


CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
HITS = {"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "10"}}}
AUTOSCALER_SPEC = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "maxReplicas": 5,
    "metrics": [CPU, HITS],
    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
}
AUTOSCALER_STATUS = {
    "currentReplicas": 2,
    "desiredReplicas": 3,
    "currentMetrics": [
        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12, "averageValue": "18m"}}}
    ],
    "conditions": [{"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "it is"}],
}
POLICY = {
    "podSelector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]},
    "policyTypes": ["Ingress", "Egress"],
    "ingress": [
        {
            "from": [
                {"podSelector": {"matchLabels": {"a": "b"}}, "namespaceSelector": {}},
                {"namespaceSelector": {"matchLabels": {"c": "d"}}},
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}},
            ],
            "ports": [{"port": 80}, {"port": "dns", "protocol": "UDP"}, {"port": 8000, "endPort": 8010}],
        },
        {},
    ],
}
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS = {
    "ingressClassName": "web",
    "tls": [{"hosts": ["a.example", "b.example"], "secretName": "web"}, {"hosts": ["c.example"]}],
    "defaultBackend": {"resource": {"apiGroup": "x.example", "kind": "Bucket", "name": "b"}},
    "rules": [
        {"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}},
        {"host": "b.example"},
        {
            "http": {
                "paths": [
                    {
                        "path": "/long",
                        "pathType": "Exact",
                        "backend": {"service": {"name": "no", "port": {"name": "p"}}},
                    },
                    {"pathType": "ImplementationSpecific", "backend": BACKEND},
                ]
            }
        },
    ],
}
CLASS = {"controller": "x.example/c", "parameters": {"apiGroup": "x.example", "kind": "P", "name": "p"}}
NETWORKING = "networking.k8s.io/v1"


def labelled(kind: str, name: str, api_version: str = "v1", **fields: object) -> dict[str, object]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": {"app": name}}, **fields}


def certificate_request(name: str) -> dict[str, object]:
    request = encoded_request("jane", ["dev", "ops"], dns=["jane.example", "j.example"], ips=["10.0.0.1"])
    spec = {"request": request, "signerName": "example.com/s", "usages": ["client auth"], "expirationSeconds": 7200}
    return labelled("CertificateSigningRequest", name, "certificates.k8s.io/v1", spec=spec)


def objects() -> list[dict[str, object]]:
    selector = {"matchLabels": {"app": "web"}}
    ports = [{"name": "http", "port": 80, "targetPort": "http"}, {"name": "b", "port": 81}]
    lone = {"nodeName": "n1", "containers": [{"name": "c", "image": "x:1"}, {"name": "d", "image": "y:1"}]}
    endpoint = {"addresses": ["1.1.1.1"], "conditions": {"ready": True}, "nodeName": "n1", "zone": "z"}
    return [
        labelled("Node", "n1", spec={"taints": [{"key": "t", "value": "v", "effect": "NoSchedule"}]}),
        labelled("Deployment", "web", "apps/v1", spec={"replicas": 2, "selector": selector, "template": TEMPLATE}),
        labelled("ReplicaSet", "web", "apps/v1", spec={"replicas": 1, "selector": selector, "template": TEMPLATE}),
        labelled("Service", "web", spec={"type": "NodePort", "selector": {"app": "web"}, "ports": ports}),
        labelled("ConfigMap", "web", data={"index.html": "hello\nworld\n"}, binaryData={"blob": "aGVsbG8="}),
        labelled("Secret", "web", stringData={"password": "word"}),
        labelled("ServiceAccount", "web"),
        labelled("Pod", "lone", spec=lone),
        labelled("Endpoints", "web", subsets=[{"addresses": [{"ip": "1.1.1.1"}], "ports": [{"port": 80}]}]),
        labelled("EndpointSlice", "web-1", "discovery.k8s.io/v1", addressType="IPv4", endpoints=[endpoint]),
        labelled("Lease", "web", "coordination.k8s.io/v1", spec={"holderIdentity": "x"}),
        certificate_request("web"),
        certificate_request("db"),
        labelled("ResourceQuota", "web", spec={"hard": QUOTA_STATUS["hard"]}),
        labelled("ResourceQuota", "a", spec={"hard": {"pods": "0"}}),
        labelled("LimitRange", "web", spec={"limits": LIMITS}),
        labelled("CronJob", "nightly", "batch/v1", spec=CRON_JOB),
        labelled("NetworkPolicy", "web", NETWORKING, spec=POLICY),
        labelled("NetworkPolicy", "isolated", NETWORKING, spec={"podSelector": {}}),
        labelled("Ingress", "web", NETWORKING, spec=INGRESS),
        labelled("Ingress", "plain", NETWORKING, spec={"defaultBackend": BACKEND}),
        labelled("IngressClass", "web", NETWORKING, spec=CLASS),
        labelled("HorizontalPodAutoscaler", "web", "autoscaling/v2", spec=AUTOSCALER_SPEC),
    ]


@pytest.fixture(scope="module")
def pair(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """With an object of each kind in the namespace, none of which anything acts on: there are no controllers."""
    folder = tmp_path_factory.mktemp("kubectl")
    api.make_namespace(NAMESPACE)
    kubeconfig = write_kubeconfig(api, folder / "kubeconfig", NAMESPACE)
    mini = CommandLine(kubeconfig, NAMESPACE)
    columns = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]
    columns.append({"name": "Phase", "type": "string", "jsonPath": ".status.phase"})
    establish(api, definition("robots", [version("v1", additionalPrinterColumns=columns)]))
    mini.run("create", "-f", "-", stdin="\n---\n".join(map(json.dumps, [*objects(), custom("Robot", "web")])))
    patch = "application/merge-patch+json"
    autoscalers = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers"
    for path, status in (
        (f"/api/v1/namespaces/{NAMESPACE}/pods/lone", POD_STATUS),
        (f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/web", QUOTA_STATUS),
        ("/api/v1/nodes/n1", NODE_STATUS),
        (f"{autoscalers}/web", AUTOSCALER_STATUS),
    ):
        body = json.dumps({"status": status})
        answer = api.http.patch(f"{path}/status", content=body, headers={"Content-Type": patch})
        assert answer.status_code == 200, answer.text
    subject = {"kind": "Pod", "apiVersion": "v1", "name": "lone", "namespace": NAMESPACE}
    event: dict[str, object] = {"involvedObject": subject, "metadata": {"name": "e1"}}
    event |= {"reason": "Started", "message": "it has", "type": "Normal", "count": 3}
    event |= {"firstTimestamp": TIME, "lastTimestamp": "2026-01-01T00:05:00Z"}
    assert api.http.post(f"/api/v1/namespaces/{NAMESPACE}/events", json=event).status_code == 201
    return Pair(mini, CommandLine(kubeconfig, NAMESPACE, program="kubectl"))


@pytest.mark.parametrize(
    "line",
    [
        "get pods",
        "get deploy,rs,svc,cm,secret,sa,ep,endpointslice,lease,node,events -o wide",
        "get all",
        "get pod/lone deploy/web",
        "get svc -A --no-headers",
        "get po -L app,tier --show-labels",
        "get cm,deploy -l app=web --show-kind",
        "get pods --field-selector metadata.name=lone,spec.nodeName=n1 -o name",
        "get cm --sort-by=.metadata.name -o name",
        "get pod lone -oyaml",
        "get deploy web -o json",
        "get svc -o yaml",
        "get -n kube-system pods",
        "get csr",
        "get cronjobs -o wide",
        "get quota,limits",
        "get netpol,ing,ingressclass",
        "get pods -A -l none=none",
        "get cm nope --ignore-not-found",
        "get pod lone nope -o name",
        "get deploy web --subresource=scale -o yaml",
        "get --raw /healthz",
        "get deployments.v1.apps web",
        "get robots --show-labels",
        "api-resources --categories=all",
    ],
)
def test_get(pair: Pair, line: str) -> None:
    pair.same(line)


@pytest.mark.parametrize(
    "template",
    [
        "jsonpath={.items[*].metadata.name}",
        'jsonpath={range .items[*]}{.metadata.name}{"\\t"}{.metadata.labels.app}{"\\n"}{end}',
        'jsonpath={.items[?(@.metadata.name=="web")].data.index\\.html}',
        "jsonpath={.items[0].metadata.labels}",
        "jsonpath={.items[-1:].kind}",
        "jsonpath={.nope}",
        "jsonpath={.items[}",
        "jsonpath=.metadata.name",
        "jsonpath-as-json={.items[0].metadata.labels}",
        "custom-columns=NAME:.metadata.name,LABELS:metadata.labels,NONE:{.x.y}",
        "custom-columns=NAME",
        "custom-columns=",
        "jsonpath",
    ],
)
def test_templates(pair: Pair, template: str) -> None:
    pair.same("get cm", "-o", template)


@pytest.mark.parametrize(
    "kind", ["pod lone", "deploy", "rs web", "svc", "cm web", "secret web", "node n1", "ns kube-system", "sa web",
             "ep web", "endpointslice", "lease", "csr web", "po -l none=none", "quota web", "quota", "limits", "cj",
             "netpol", "ing", "ingressclass", "hpa web", f"ns {NAMESPACE}", "robot web", f"crd robots.{GROUP}"],
)  # fmt: skip
def test_describe(pair: Pair, kind: str) -> None:
    pair.same(f"describe {kind}")


@pytest.mark.parametrize(
    "line",
    [
        "get nothing",
        "get cm nope",
        "get pod/lone/x",
        "get pod/",
        "get pod lone -l a=b",
        "get pods lone -A",
        "get pods,nothing",
        "get pods --field-selector foo=bar",
        "describe",
        "describe pod nope",
        "describe nothing",
        "delete",
        "delete pods",
        "delete cm nope",
        "delete cm x -l a=b",
        "delete cm x --all",
        "delete cm -l none=none",
        "delete cm nope --ignore-not-found",
        "delete cm web --cascade=bogus",
        "delete cm web -o yaml",
        "create cm",
        "create cm a b",
        "create bogus x",
        "create cm Bad_Name",
        "create cm web",
        "create cm web --from-literal=k",
        "create cm web --from-literal=k=v --from-literal=k=w",
        "create cm web --dry-run=bogus",
        "create job j",
        "create job j --image=x --from=cronjob/nightly",
        "create job j --from=deploy/web",
        "create job j --from=cronjob/nope",
        "create secret generic web",
        "create service clusterip s",
        "create ns default",
        "scale deploy/web --replicas=-1",
        "scale deploy nope --replicas=1",
        "scale deploy/web --replicas=3 --current-replicas=9",
        "scale pod lone --replicas=1",
        "label pod lone",
        "label pod nope a=b",
        "label pod lone app=other",
        "label pod lone a=b a-",
        "label pods a=b",
        "annotate pod lone",
        "cordon",
        "cordon nope",
        "drain nope",
        "uncordon n1",
        "wait pod lone",
        "wait pod lone --for=bogus",
        "wait pod lone --for=condition=Never --timeout=1s",
        "wait pods -l none=none --for=delete --timeout=1s",
        "wait pod nope --for=condition=Ready --timeout=1s",
        "wait pod nope --for=create --timeout=1s",
        "wait pod nope --for=delete --timeout=1s",
        "rollout status",
        "rollout status deploy/nope",
        "rollout status pod/lone",
        "rollout history pod/lone",
        "rollout restart pod/lone",
        "rollout undo deploy/web",
        "rollout resume deploy/web",
        "logs",
        "logs nope",
        "logs lone -c bogus",
        "exec",
        "exec lone",
        "exec nope -- ls",
        "apply -f nope.yaml",
        "create -f nope.yaml",
        "api-resources --sort-by=bogus",
        "api-resources -o bogus",
        "api-resources extra",
        "version --client -o name",
        "config bogus",
        "events --types=Bogus",
        "--kubeconfig=/nonexistent get pods",
    ],
)
def test_refusals(pair: Pair, line: str) -> None:
    done = pair.same(line)
    assert done.returncode in (0, 1)


def test_labels_with_characters_they_cannot_have(pair: Pair) -> None:
    pair.same("label pod lone", "bad key=1")
    pair.same("label pod lone", "key=bad value")


@pytest.mark.parametrize(
    "line",
    [
        "create deployment d --image=nginx:1 --replicas=3 --port=80 --dry-run=client -o yaml",
        "create deployment d --image=busybox --dry-run=client -o yaml -- sh -c date",
        "create cm c --from-literal=k=v --from-literal=n=1 --dry-run=client -o yaml",
        "create secret generic s --from-literal=a=b --dry-run=client -o yaml",
        "create secret docker-registry s --docker-username=u --docker-password=p --dry-run=client -o yaml",
        "create ns x --dry-run=client -o yaml",
        "create sa s --dry-run=client -o yaml",
        "create svc clusterip s --tcp=80:8080 --tcp=81 --dry-run=client -o yaml",
        "create service clusterip s --clusterip=None --dry-run=client -o yaml",
        "create service nodeport s --tcp=80:http --node-port=30001 --dry-run=client -o yaml",
        "create service loadbalancer s --tcp=80 --dry-run=client -o yaml",
        "create service externalname s --external-name=x.y --dry-run=client -o yaml",
        "create job j --image=busybox:1 --dry-run=client -o jsonpath={.spec.template.spec} -- sh -c date",
        "create job j --from=cronjob/nightly --dry-run=client",
        "create job j --from=cj/nightly --dry-run=server -o jsonpath={.metadata.annotations}{.spec.template.spec}",
        "create cj j --image=x --schedule @hourly --restart=Never --dry-run=client -o jsonpath={..containers} -- date",
        "create cj j --image=x:1 --schedule @daily --dry-run=client -o jsonpath={.spec.jobTemplate.spec.template.spec}",
        "create cm c --from-literal=k=v --dry-run=server",
        "create cm c --dry-run=client",
    ],
)
def test_create_generators(pair: Pair, line: str) -> None:
    pair.same(line)


@pytest.mark.parametrize(
    ("reset", "line"),
    [
        ("label pod lone x-", "label pod lone x=y"),
        ("label pod lone x=y --overwrite", "label pod lone x=y"),
        ("label pod lone x=y --overwrite", "label pod lone x=z --overwrite"),
        ("label pod lone x=y --overwrite", "label pod lone x-"),
        ("label pod lone x-", "label pod lone x-"),
        ("label pod lone x=y --overwrite", "label cm web --list"),
        ("label pod lone x-", "label pods --all x=y --dry-run=server"),
        ("annotate pod lone x=y --overwrite", "annotate pod lone x=z"),
        ("annotate pod lone x=y --overwrite", "annotate pod lone x-"),
        ("scale deploy web --replicas=2", "scale deploy web --replicas=3"),
        ("scale deploy web --replicas=2", "scale deploy,cm web --replicas=3 --dry-run=client"),
        ("delete hpa x", "autoscale deploy web --name=x --max=4 --min=2 --cpu-percent=70"),
        ("delete hpa x", "autoscale deploy web --max=3 --dry-run=client -o name"),
        ("delete hpa x", "autoscale deploy web --min=3 --max=2"),
        ("delete hpa x", "autoscale cm web --max=2"),
        ("uncordon n1", "cordon n1"),
        ("cordon n1", "cordon n1"),
        ("cordon n1", "uncordon node/n1"),
        ("uncordon n1", "drain n1"),
        ("uncordon n1", "drain n1 --force --dry-run=client"),
        ("create cm gone", "delete cm gone nope"),
        ("create cm gone", "delete cm/gone -o name"),
        ("create cm gone", "delete cm gone --now --dry-run=server"),
        ("create cm gone", "delete cm gone --grace-period=0 --force"),
        ("rollout resume deploy/web", "rollout pause deploy/web"),
        ("rollout pause deploy/web", "rollout pause deploy/web"),
        ("rollout pause deploy/web", "rollout restart deploy/web"),
        ("rollout pause deploy/web", "rollout resume deploy/web"),
        ("rollout resume deploy/web", "rollout restart deploy/web"),
        ("rollout resume deploy/web", "rollout status deploy/web --watch=false"),
        ("certificate approve web", "certificate approve web"),
        ("certificate approve web", "certificate approve csr/web --force"),
        ("certificate approve web", "certificate deny web"),
        ("certificate deny db", "certificate deny db"),
        ("certificate deny db", "certificate approve nope db"),
        ("certificate deny db", "certificate deny"),
    ],
)
def test_changes(pair: Pair, reset: str, line: str) -> None:
    pair.same_after(reset, line)


@pytest.mark.parametrize(
    "line",
    [
        "api-resources",
        "api-resources -o wide",
        "api-resources -o name --namespaced=false",
        "api-resources --api-group=apps --no-headers",
        "api-resources --verbs=list,bogus",
        "events",
        "events --for pod/lone",
        "events -A --no-headers",
        "config view",
        "config view --minify -o yaml",
        "config current-context",
        "config get-contexts",
        "config get-contexts -o name",
        "config get-clusters",
    ],
)
def test_about_the_cluster(pair: Pair, line: str) -> None:
    pair.same(line)


BAD_MANIFESTS = {
    "empty": "",
    "an unknown field": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndaata: {a: b}\n",
    "a bad name": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n",
    "no name": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
    "another namespace": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: other}\n",
    "several bad fields": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: A}]}\n",
}


@pytest.mark.parametrize("manifest", BAD_MANIFESTS.values(), ids=BAD_MANIFESTS.keys())
@pytest.mark.parametrize("verb", ["apply", "create"])
def test_bad_manifests(pair: Pair, verb: str, manifest: str) -> None:
    assert pair.same(f"{verb} -f -", stdin=manifest).returncode == 1


def test_apply_takes_no_generated_names(pair: Pair) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: one-}\n"
    assert pair.same("apply -f -", stdin=manifest).returncode == 1


def test_a_refused_patch_is_shown(pair: Pair) -> None:
    pair.mini.apply(labelled("ConfigMap", "patched"))
    pair.same("apply -f -", stdin=json.dumps(labelled("ConfigMap", "patched", daata={"a": "b"})))


def test_apply(pair: Pair, tmp_path: Path) -> None:
    """Created, unchanged, configured; and the warning for what was not applied before."""
    (tmp_path / "more").mkdir()
    for file, name in (("a.json", "one"), ("b.yaml", "two"), ("more/c.yml", "three")):
        (tmp_path / file).write_text(json.dumps(labelled("ConfigMap", name, data={"a": "1"})))
    (tmp_path / "d.txt").write_text("nothing of ours")
    clean = "delete cm one two three --ignore-not-found"
    pair.same_after(clean, f"apply -f {tmp_path}")
    pair.same_after(clean, f"apply -R -f {tmp_path}")
    pair.same(f"apply -R -f {tmp_path}")
    pair.same(f"apply -f {tmp_path} -o name")
    pair.same(f"apply -f {tmp_path} --dry-run=client")
    pair.same(f"apply -f {tmp_path} --dry-run=server")
    pair.same(f"apply -f {tmp_path} -l app=nothing")
    changed = tmp_path / "a.json"
    reset = f"apply -f {tmp_path / 'more' / '..' / 'first.json'}"
    (tmp_path / "first.json").write_text(changed.read_text())
    changed.write_text(json.dumps(labelled("ConfigMap", "one", data={"b": "2"})))
    pair.same_after(reset, f"apply -f {changed}")
    pair.same_after("replace --force -f " + str(tmp_path / "first.json"), f"apply -f {changed}")
    pair.same_after(reset, f"delete -f {changed}")
    pair.same(f"delete -f {changed}")
    pair.same(f"delete -f {changed} --ignore-not-found")


def test_a_folder_without_manifests(pair: Pair, tmp_path: Path) -> None:
    pair.same(f"apply -f {tmp_path}")


def test_no_server_behind_the_address(pair: Pair) -> None:
    done = pair.same("-s http://127.0.0.1:1 get pods")
    assert done.stderr.startswith("The connection to the server 127.0.0.1:1 was refused - ")
    pair.same("-s https://127.0.0.1:1 get pods")
    pair.same("--token=wrong get pods")
