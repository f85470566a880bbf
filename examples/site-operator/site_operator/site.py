"""The kind Site, of the definition beside this file, and the controller that runs a Deployment for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apimachinery.custom import CustomObject
from apimachinery.model import to_dict
from kubeapi.apps.deployment import Deployment
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, own, owner, owner_reference
from kubeclient.custom import custom_resource
from kubeclient.operator import run_operator

NAME = "site-operator"


class Site(CustomObject):
    """A web site: `content` has its `spec` and `status`, as the definition's schema allows them."""


RESOURCE = custom_resource(Path(__file__).with_name("site.yaml"), Site)


def deployment_for(site: Site) -> dict[str, Any]:
    """Returns what a Site's Deployment must say; the fields it leaves out are other people's."""
    labels, meta = {"site": site.name}, {"name": site.name, "namespace": site.namespace}
    container = {"name": "web", "image": site.content["spec"]["image"]}
    return {
        "metadata": {**meta, "ownerReferences": [to_dict(owner_reference(site))]},
        "spec": {
            "replicas": site.content["spec"]["replicas"],
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def status_for(site: Site, deployment: Deployment) -> dict[str, Any]:
    """Returns the status of a Site whose Deployment is this."""
    ready = deployment.status.readyReplicas or 0
    phase = "Ready" if ready >= site.content["spec"]["replicas"] else "Starting"
    return {"observedGeneration": site.metadata.generation, "ready": ready, "phase": phase}


class SiteReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder = context.rest, context.recorder
        self._sites = context.informers.of(Site)

    async def reconcile(self, key: str) -> Result:
        site = self._sites.get(key)
        if site is None or site.metadata.deletionTimestamp is not None:
            return DONE  # its Deployment, the garbage collector removes
        deployment = await self._rest.apply(Deployment, deployment_for(site), field_manager=NAME, force=True)
        old, status = site.content.get("status", {}), status_for(site, deployment)
        if status != old:
            meta = {"name": site.name, "namespace": site.namespace}
            await self._rest.apply(
                Site, {"metadata": meta, "status": status}, field_manager=NAME, force=True, subresource="status"
            )
        if status["phase"] != old.get("phase"):
            self._recorder.event(site, "Normal", status["phase"], f"{status['ready']} replicas are ready")
        return DONE


CONTROLLER = ControllerSpec(NAME, SiteReconciler, watches=[own(Site), owner(Deployment, "Site")])


def main() -> None:
    run_operator(NAME, [CONTROLLER], "Runs a Deployment for each Site.")
