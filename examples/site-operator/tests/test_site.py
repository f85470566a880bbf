"""The operator against a real control plane; no worker hosts, so the test says which pods are ready."""

from __future__ import annotations

from importlib.resources import files

import yaml
from site_operator.site import CONTROLLER, RESOURCE, Site, deployment_for

from apimachinery.errors import NotFound
from apimachinery.meta import ObjectMeta
from kubeapi.apps.deployment import Deployment
from kubeapi.core.event import Event
from kubeclient.testing import eventually, installed, running
from mini_cluster.pytest_plugin import ClusterHandle

DEFINITION = yaml.safe_load((files("site_operator") / "site.yaml").read_text())


def site(namespace: str, **spec: object) -> Site:
    made = Site(metadata=ObjectMeta(name="shop", namespace=namespace))
    made.content = {"spec": {"image": "shop:1", "replicas": 1, **spec}}
    return made


def test_a_deployment_says_only_what_the_site_decides() -> None:
    spec = deployment_for(site("default", replicas=3))["spec"]
    assert (spec["replicas"], sorted(spec)) == (3, ["replicas", "selector", "template"])


async def test_a_site_is_run_and_its_status_follows(control_plane: ClusterHandle, namespace: str) -> None:
    async with control_plane.rest() as rest, installed(rest, DEFINITION), running(rest, CONTROLLER):
        await rest.create(site(namespace))
        made = await eventually(lambda: rest.get(Deployment, "shop", namespace))
        assert [reference.kind for reference in made.metadata.ownerReferences or ()] == [RESOURCE.kind]

        async def phase(expected: str) -> bool:
            return (await rest.get(Site, "shop", namespace)).content.get("status", {}).get("phase") == expected

        await eventually(lambda: phase("Starting"))
        await rest.patch(Site, "shop", namespace, {"spec": {"replicas": 0}})
        await eventually(lambda: phase("Ready"))
        reasons = {"Starting", "Ready"}

        async def told() -> bool:
            return reasons <= {event.reason for event in (await rest.list(Event, namespace)).items}

        await eventually(told)
        await rest.delete(Site, "shop", namespace)

        async def is_gone() -> bool:
            try:
                await rest.get(Deployment, "shop", namespace)
            except NotFound:
                return True
            return False

        await eventually(is_gone)
