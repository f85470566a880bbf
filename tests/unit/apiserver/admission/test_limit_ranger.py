"""What a LimitRange gives to containers, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.admission.limits._bounds import ANNOTATION, claim_refusals, pod_refusals, set_defaults
from kubeapi.core.limitrange import RESOURCE as RANGES
from kubeapi.core.limitrange import LimitRange
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import load, pod

Dict = dict[str, Any]


def limits(kind: str = "Container", **item: Dict) -> LimitRange:
    document = {"metadata": {"name": "l", "namespace": "ns"}, "spec": {"limits": [{"type": kind, **item}]}}
    limit_range: LimitRange = load(RANGES, document)
    return limit_range


def container(requests: Dict | None = None, maxima: Dict | None = None, name: str = "c", **fields: Any) -> Dict:
    resources = {key: value for key, value in (("requests", requests), ("limits", maxima)) if value}
    return {"name": name, "image": "i", "resources": resources, **fields}


def refusals(limit_range: LimitRange, *containers: Dict, **spec: Any) -> list[str]:
    return pod_refusals(limit_range, load(PODS, pod({"containers": list(containers), **spec})))


def test_containers_get_what_they_do_not_state() -> None:
    defaults = limits(default={"cpu": "1", "memory": "1Gi"}, defaultRequest={"cpu": "100m"})
    spec = {
        "containers": [container({"cpu": "200m"}, name="a"), container({"cpu": "1"}, {"cpu": "1", "memory": "1"})],
        "initContainers": [container(name="i")],
    }
    created = load(PODS, pod(spec))
    set_defaults(defaults, created)
    first, full = created.spec.containers
    assert first.resources.requests == {"cpu": "200m", "memory": "1Gi"}
    assert first.resources.limits == {"cpu": "1", "memory": "1Gi"}
    assert full.resources.limits == {"cpu": "1", "memory": "1"}
    assert created.spec.initContainers[0].resources.requests == {"cpu": "100m", "memory": "1Gi"}
    assert created.annotations[ANNOTATION] == (
        "LimitRanger plugin set: memory request for container a; cpu, memory limit for container a; "
        "cpu, memory request for init container i; cpu, memory limit for init container i"
    )


def test_a_complete_pod_gets_no_annotation() -> None:
    created = load(PODS, pod({"containers": [container({"cpu": "1"}, {"cpu": "1"})]}))
    set_defaults(limits(default={"cpu": "2"}), created)
    set_defaults(limits("Pod", max={"cpu": "2"}), created)
    assert ANNOTATION not in created.annotations


@pytest.mark.parametrize(
    ("requests", "maxima", "texts"),
    [
        ({"cpu": "100m"}, {"cpu": "1"}, []),
        (None, None, [
            "minimum cpu usage per Container is 50m.  No request is specified",
            "maximum cpu usage per Container is 1.  No limit is specified",
            "cpu max limit to request ratio per Container is 10, but no request is specified or request is 0",
        ]),
        ({"cpu": "100m"}, None, [
            "maximum cpu usage per Container is 1.  No limit is specified",
            "cpu max limit to request ratio per Container is 10, but no limit is specified or limit is 0",
        ]),
        ({"cpu": "10m"}, {"cpu": "50m"}, ["minimum cpu usage per Container is 50m, but request is 10m"]),
        ({"cpu": "50m"}, {"cpu": "1"}, [
            "cpu max limit to request ratio per Container is 10, but provided ratio is 20.000000",
        ]),
        ({"cpu": "2"}, {"cpu": "3"}, ["maximum cpu usage per Container is 1, but limit is 3"]),
    ],
)  # fmt: skip
def test_bounds_of_a_container(requests: Dict | None, maxima: Dict | None, texts: list[str]) -> None:
    limit_range = limits(min={"cpu": "50m"}, max={"cpu": "1"}, maxLimitRequestRatio={"cpu": "10"})
    assert refusals(limit_range, container(requests, maxima)) == texts


def test_a_pod_is_bounded_by_what_it_needs_at_its_peak() -> None:
    limit_range = limits("Pod", max={"cpu": "2"})
    side = container({"cpu": "1"}, {"cpu": "1"}, "side", restartPolicy="Always")
    one = container({"cpu": "1"}, {"cpu": "1"})
    assert refusals(limit_range, one, initContainers=[side]) == []
    assert refusals(limit_range, one, initContainers=[side, container(maxima={"cpu": "1500m"}, name="init")]) == [
        "maximum cpu usage per Pod is 2, but limit is 2500m"
    ]


def test_the_same_refusal_is_made_once() -> None:
    text = "minimum memory usage per Container is 1Mi.  No request is specified"
    assert refusals(limits(min={"memory": "1Mi"}), container(), container(name="d")) == [text]


@pytest.mark.parametrize(
    ("requests", "texts"),
    [
        ({"storage": "1Gi"}, []),
        ({"storage": "500Mi"}, [
            "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi",
        ]),
        ({"storage": "9Gi"}, ["maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 9Gi"]),
        ({}, [
            "minimum storage usage per PersistentVolumeClaim is 1Gi.  No request is specified",
            "maximum storage usage per PersistentVolumeClaim is 5Gi.  No request is specified",
        ]),
    ],
)  # fmt: skip
def test_bounds_of_a_claim(requests: Dict, texts: list[str]) -> None:
    limit_range = limits("PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "5Gi"})
    assert claim_refusals(limit_range, requests) == texts
    assert claim_refusals(limits(), requests) == []
