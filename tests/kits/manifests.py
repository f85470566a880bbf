"""Small manifests for tests."""

from __future__ import annotations

from typing import Any

Dict = dict[str, Any]

IMAGE = "mini-kubernetes/tests:1"
WEB = ["httpd", "-f", "-p", "8080", "-h", "/www"]


def container(*command: str, name: str = "app", **fields: Any) -> Dict:
    return {"name": name, "image": IMAGE, "command": list(command or ("sleep", "100000")), **fields}


def pod(name: str, *containers: Dict, **spec: Any) -> Dict:
    """Ends at once when it is deleted, unless told otherwise."""
    whole = {"terminationGracePeriodSeconds": 0, "containers": list(containers) or [container()], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": whole}


def web_container() -> Dict:
    probe = {"httpGet": {"path": "/ok", "port": 8080}, "periodSeconds": 1}
    return container(*WEB, ports=[{"containerPort": 8080}], readinessProbe=probe)


def deployment(name: str, replicas: int, *containers: Dict, strategy: Dict | None = None, **spec: Any) -> Dict:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(name, *containers, **spec)["spec"]}
    own: Dict = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    if strategy:
        own["strategy"] = strategy
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": own}


def service(name: str, **spec: Any) -> Dict:
    own = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": own}


def configmap(name: str, **data: str) -> Dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
