"""Real kubectl against the API server: what people type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import HAS_KUBECTL, ApiServer

pytestmark = pytest.mark.skipif(not HAS_KUBECTL, reason="kubectl is not on PATH")

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web, labels: {app: web}}
data: {index.html: hello}
"""


def run(api: ApiServer, namespace: str, *arguments: str, stdin: str = "", code: int = 0) -> str:
    """Standard output, or standard error where failure is expected."""
    done = api.kubectl(*arguments, namespace=namespace, stdin=stdin)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def test_apply_creates_then_changes_what_differs(api: ApiServer, namespace: str) -> None:
    apply = ("apply", "-f", "-")
    first = run(api, namespace, *apply, stdin=DEPLOYMENT)
    assert first.splitlines() == ["deployment.apps/web created", "service/web created", "configmap/web created"]
    again = run(api, namespace, *apply, stdin=DEPLOYMENT)
    assert again.splitlines() == ["deployment.apps/web unchanged", "service/web unchanged", "configmap/web unchanged"]
    changed = DEPLOYMENT.replace("web:1", "web:2").replace("hello", "bye")
    assert "service/web unchanged" in run(api, namespace, *apply, stdin=changed)
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    assert run(api, namespace, "get", "deployment", "web", "-o", path) == "web:2"
    image = run(api, namespace, "get", "deployment/web", "-o", "json")
    assert json.loads(image)["metadata"]["generation"] == 2


def test_a_field_that_does_not_exist_is_refused(api: ApiServer, namespace: str) -> None:
    error = run(api, namespace, "apply", "-f", "-", stdin=DEPLOYMENT.replace("replicas", "replicaz"), code=1)
    assert 'strict decoding error: unknown field "spec.replicaz"' in error
    assert "configmap/web" in run(api, namespace, "get", "configmap", "web", "-o", "name")


def test_get_prints_tables(api: ApiServer, namespace: str) -> None:
    run(api, namespace, "apply", "-f", "-", stdin=DEPLOYMENT)
    lines = run(api, namespace, "get", "deploy,svc,cm").splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[1].split()[:2] == ["deployment.apps/web", "0/2"]
    wide = run(api, namespace, "get", "deploy", "-o", "wide").splitlines()[0].split()
    assert wide[-3:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert run(api, namespace, "get", "cm", "-l", "app=web", "-o", "name") == "configmap/web\n"
    assert run(api, namespace, "get", "cm", "--field-selector=metadata.name=none") == ""
    assert '"none" not found' in run(api, namespace, "get", "cm", "none", code=1)
    assert "doesn't have a resource type" in run(api, namespace, "get", "nothings", code=1)


def test_edit_commands(api: ApiServer, namespace: str) -> None:
    run(api, namespace, "apply", "-f", "-", stdin=DEPLOYMENT)
    assert run(api, namespace, "scale", "deploy/web", "--replicas=3") == "deployment.apps/web scaled\n"
    run(api, namespace, "label", "cm", "web", "tier=x", "app-")
    assert run(api, namespace, "annotate", "cm", "web", "note=1") == "configmap/web annotated\n"
    run(api, namespace, "patch", "cm", "web", "--type=json", "-p", '[{"op":"add","path":"/data/x","value":"y"}]')
    run(api, namespace, "set", "image", "deploy/web", "web=web:9")
    cm = json.loads(run(api, namespace, "get", "cm", "web", "-o", "json"))
    assert cm["metadata"]["labels"] == {"tier": "x"}
    assert cm["metadata"]["annotations"]["note"] == "1"
    assert cm["data"] == {"index.html": "hello", "x": "y"}
    deployment = json.loads(run(api, namespace, "get", "deploy", "web", "-o", "json"))
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "web:9"


def test_create_commands_send_what_the_server_reads(api: ApiServer, namespace: str) -> None:
    """Since 1.32 their bodies are protobuf."""
    run(api, namespace, "create", "configmap", "cm", "--from-literal=a=b")
    run(api, namespace, "create", "secret", "generic", "s", "--from-literal=a=b")
    run(api, namespace, "create", "deployment", "d", "--image=app:1", "--replicas=0", "--port=80", "--", "sleep", "5")
    run(api, namespace, "create", "service", "nodeport", "svc", "--tcp=80:8080")
    run(api, namespace, "create", "serviceaccount", "sa")
    run(api, namespace, "run", "p", "--image=app:1", "--restart=Never", "--env=A=1", "--labels=a=b")
    run(api, namespace, "create", "namespace", f"{namespace}-more")

    def spec(kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run(api, namespace, "get", kind, name, "-o", "json"))
        return found

    assert spec("cm", "cm")["data"] == {"a": "b"}
    assert spec("secret", "s")["data"] == {"a": "Yg=="}
    deployment = spec("deploy", "d")["spec"]
    assert deployment["replicas"] == 0
    container = deployment["template"]["spec"]["containers"][0]
    assert (container["command"], container["ports"]) == (["sleep", "5"], [{"containerPort": 80, "protocol": "TCP"}])
    port = spec("svc", "svc")["spec"]["ports"][0]
    assert (port["port"], port["targetPort"], port["nodePort"] >= 30000) == (80, 8080, True)
    pod = spec("pod", "p")
    assert (pod["spec"]["restartPolicy"], pod["metadata"]["labels"]) == ("Never", {"a": "b"})
    assert pod["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]


def test_replace_delete_and_diff(api: ApiServer, namespace: str) -> None:
    run(api, namespace, "create", "-f", "-", stdin=DEPLOYMENT)
    run(api, namespace, "replace", "-f", "-", stdin=DEPLOYMENT.replace("hello", "there"))
    assert run(api, namespace, "get", "cm", "web", "-o", r"jsonpath={.data.index\.html}") == "there"
    error = run(api, namespace, "create", "-f", "-", stdin=DEPLOYMENT, code=1)
    assert error.count("AlreadyExists") == 3
    deleted = run(api, namespace, "delete", "deploy,svc,cm", "--all")
    assert len(deleted.splitlines()) == 3


def test_explain_discovery_and_version(api: ApiServer, namespace: str) -> None:
    assert "FIELD: containers" in run(api, namespace, "explain", "deployment.spec.template.spec.containers")
    resources = run(api, namespace, "api-resources", "--no-headers", "-o", "name").split()
    assert {"pods", "deployments.apps", "leases.coordination.k8s.io", "namespaces"} <= set(resources)
    assert "apps/v1" in run(api, namespace, "api-versions")
    assert "v1.35" in run(api, namespace, "version")
    assert run(api, namespace, "get", "--raw", "/healthz") == "ok"


def test_describe_and_events(api: ApiServer, namespace: str) -> None:
    run(api, namespace, "apply", "-f", "-", stdin=DEPLOYMENT)
    text = run(api, namespace, "describe", "deploy", "web")
    assert "Replicas:" in text
    assert "web:1" in text
    assert "No resources found" in api.kubectl("get", "events", namespace=namespace).stderr


def test_a_watch_prints_changes(api: ApiServer, namespace: str) -> None:
    run(api, namespace, "apply", "-f", "-", stdin=DEPLOYMENT)
    printed = run(api, namespace, "get", "cm", "web", "--watch", "--request-timeout=2s", "--no-headers")
    assert printed.split()[:2] == ["web", "1"]


def test_wait_and_delete_of_a_namespaced_object(api: ApiServer, namespace: str) -> None:
    run(api, namespace, "apply", "-f", "-", stdin=DEPLOYMENT)
    done = api.kubectl("wait", "--for=delete", "cm/none", "--timeout=5s", namespace=namespace)
    assert done.returncode == 0, done.stderr
    error = run(api, namespace, "wait", "--for=condition=Available", "deploy/web", "--timeout=1s", code=1)
    assert "timed out waiting" in error
