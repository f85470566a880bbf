"""The admission plugins that look at one pod alone, and are off unless they are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import Forbidden
from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Chain, Lookup, Plugin
from apiserver.admission.pods import alwayspullimages, extendedresourcetoleration, limitpodhardantiaffinitytopology
from apiserver.auth.authorization.authorizer import AlwaysAllow
from apiserver.request.user import ANONYMOUS
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import load, pod


def container(**fields: Any) -> dict[str, Any]:
    return {"name": "app", "image": "app:1", **fields}


IMAGES: dict[str, Any] = {
    "containers": [container(image="app:1", imagePullPolicy="Never")],
    "initContainers": [container(name="init", image="init:1")],
    "volumes": [{"name": "v", "image": {"reference": "files:1", "pullPolicy": "IfNotPresent"}}],
}


def chain(plugin: Plugin) -> Chain:
    return Chain([plugin], Lookup(None, {}, AlwaysAllow(), None))  # type: ignore[arg-type]


def attributes(document: dict[str, Any], old: dict[str, Any] | None = None) -> Attributes:
    operation = CREATE if old is None else UPDATE
    before = None if old is None else load(PODS, old)
    return Attributes(operation, PODS, "", "default", "web", load(PODS, document), before, ANONYMOUS)


def policies(request: Attributes) -> list[str]:
    spec = request.obj.spec
    return [
        *(item.imagePullPolicy for item in (*spec.containers, *(spec.initContainers or ()))),
        *(volume.image.pullPolicy for volume in spec.volumes or () if volume.image),
    ]


async def test_images_are_always_pulled() -> None:
    request = attributes(pod(IMAGES))
    await chain(alwayspullimages.ADMISSION).mutate(request)
    assert policies(request) == ["Always"] * 3
    await chain(alwayspullimages.ADMISSION).validate(request)


async def test_an_update_without_a_new_image_is_left_alone() -> None:
    labelled = pod(IMAGES, metadata={"labels": {"a": "b"}})
    request = attributes(labelled, pod(IMAGES))
    await chain(alwayspullimages.ADMISSION).mutate(request)
    assert policies(request) == ["Never", "IfNotPresent", "IfNotPresent"]
    request = attributes(pod({**IMAGES, "containers": [container(image="app:2")]}), pod(IMAGES))
    await chain(alwayspullimages.ADMISSION).mutate(request)
    assert policies(request) == ["Always"] * 3


async def test_a_policy_that_was_changed_back_is_refused() -> None:
    with pytest.raises(Forbidden) as refusal:
        await chain(alwayspullimages.ADMISSION).validate(attributes(pod(IMAGES)))
    assert refusal.value.message == (
        'pods "web" is forbidden: [spec.initContainers[0].imagePullPolicy: Unsupported value: "IfNotPresent": '
        'supported values: "Always", spec.containers[0].imagePullPolicy: Unsupported value: "Never": supported values: '
        '"Always", spec.volumes[0].image.pullPolicy: Unsupported value: "IfNotPresent": supported values: "Always"]'
    )


@pytest.mark.parametrize("key", ["kubernetes.io/hostname", "topology.kubernetes.io/zone"])
async def test_pods_keep_others_away_from_their_node_alone(key: str) -> None:
    terms = [{"topologyKey": key, "labelSelector": {}}]
    request = attributes(
        pod({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}})
    )
    step = chain(limitpodhardantiaffinitytopology.ADMISSION).validate(request)
    if key == limitpodhardantiaffinitytopology.HOSTNAME:
        await step
        return
    with pytest.raises(Forbidden) as refusal:
        await step
    assert refusal.value.message == (
        'pods "web" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey '
        "topology.kubernetes.io/zone but only key kubernetes.io/hostname is allowed"
    )


async def test_a_pod_tolerates_the_taint_of_a_vendors_resource() -> None:
    amounts = {"example.com/gpu": "1", "cpu": "1", "hugepages-2Mi": "2Mi"}
    request = attributes(pod({"containers": [container(resources={"limits": amounts})]}))
    await chain(extendedresourcetoleration.ADMISSION).mutate(request)
    added = [(item.key, item.operator, item.effect) for item in request.obj.spec.tolerations]
    assert added == [("example.com/gpu", "Exists", "NoSchedule")]
    request = attributes(pod())
    await chain(extendedresourcetoleration.ADMISSION).mutate(request)
    assert request.obj.spec.tolerations is None
