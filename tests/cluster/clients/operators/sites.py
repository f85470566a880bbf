"""An operator as users write them with kopf: a ConfigMap labelled `site` gets a Deployment and a Service of its own."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config

from tests.kits.manifests import deployment, service, web_container

SITE = {"site": kopf.PRESENT}


@kopf.on.startup()
def connect(**_: Any) -> None:
    config.load_kube_config()


@kopf.index("configmaps", labels=SITE)
def sites(name: str, body: Any, **_: Any) -> dict[str, str]:
    return {name: body["data"]["replicas"]}


@kopf.on.create("configmaps", labels=SITE)
def create(name: str, namespace: str, body: Any, **_: Any) -> None:
    children = [deployment(name, int(body["data"]["replicas"]), web_container()), service(name)]
    kopf.adopt(children)
    client.AppsV1Api().create_namespaced_deployment(namespace, children[0])
    client.CoreV1Api().create_namespaced_service(namespace, children[1])
    kopf.info(body, reason="Made", message=f"made deployment {name}")


@kopf.on.update("configmaps", labels=SITE, field="data.replicas")
def scale(name: str, namespace: str, old: str, new: str, retry: int, **_: Any) -> None:
    if retry == 0:
        raise kopf.TemporaryError("not at the first try", delay=0.1)
    client.AppsV1Api().patch_namespaced_deployment_scale(name, namespace, {"spec": {"replicas": int(new)}})


@kopf.timer("configmaps", labels=SITE, interval=0.5, initial_delay=0.1)
def count(name: str, patch: kopf.Patch, sites: kopf.Index, **_: Any) -> None:
    patch.metadata.annotations["sites"] = str(len(sites))


@kopf.on.delete("configmaps", labels=SITE)
def leave(name: str, namespace: str, **_: Any) -> None:
    client.CoreV1Api().create_namespaced_config_map(namespace, {"metadata": {"name": f"gone-{name}"}})
