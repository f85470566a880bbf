"""Requests and limits become what the kernel enforces."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import ResourceRequirements
from kubelet.container.limits import container_resources, cpu_quota_us, cpu_shares, qos_class
from kubelet.runtime.configs import Resources
from tests.kits.node.kubelet import make_pod

GIB = 1 << 30


def resources(*containers: dict[str, Any]) -> Any:
    listed = [{"name": f"c{n}", "image": "i", "resources": item} for n, item in enumerate(containers)]
    return make_pod({"containers": listed})


BOTH = {"cpu": "100m", "memory": "64Mi"}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"ephemeral-storage": "1Gi"}}], "BestEffort"),
        ([{"requests": {"cpu": "1m"}}], "Burstable"),
        ([{"limits": BOTH}], "Guaranteed"),
        ([{"limits": BOTH, "requests": {"cpu": "0.1", "memory": "65536Ki"}}], "Guaranteed"),
        ([{"limits": BOTH, "requests": {"cpu": "50m", "memory": "64Mi"}}], "Burstable"),
        ([{"limits": {"cpu": "1"}}], "Burstable"),
        ([{"limits": BOTH}, {}], "Burstable"),
    ],
)
def test_quality_of_service(containers: list[dict[str, Any]], expected: str) -> None:
    assert qos_class(resources(*containers)) == expected


@pytest.mark.parametrize(("millis", "shares"), [(0, 2), (1, 2), (250, 256), (1000, 1024), (10_000_000, 262_144)])
def test_cpu_requests_are_weights(millis: int, shares: int) -> None:
    assert cpu_shares(millis) == shares


@pytest.mark.parametrize(("millis", "quota"), [(0, 0), (1, 1000), (500, 50_000), (2000, 200_000)])
def test_cpu_limits_are_time_per_period(millis: int, quota: int) -> None:
    assert cpu_quota_us(millis) == quota


def test_a_containers_limits() -> None:
    pod = resources({"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "500m", "memory": "1Gi"}})
    assert container_resources(pod, pod.spec.containers[0], GIB) == Resources(
        cpu_shares=256, cpu_quota_us=50_000, cpu_period_us=100_000, memory_limit_bytes=GIB, oom_score_adj=750
    )


def test_without_a_request_the_limit_is_the_weight() -> None:
    pod = resources({"limits": {"cpu": "2"}})
    assert container_resources(pod, pod.spec.containers[0], GIB).cpu_shares == 2048


@pytest.mark.parametrize(
    ("item", "priority", "score"),
    [
        ({}, None, 1000),
        ({"limits": BOTH}, None, -997),
        ({"requests": {"cpu": "1"}}, None, 999),
        ({"requests": {"memory": "512Mi"}}, None, 500),
        ({"requests": {"memory": "100Gi"}}, None, 3),
        ({}, 2_000_001_000, -997),
    ],
)
def test_who_the_kernel_kills_first(item: dict[str, Any], priority: int | None, score: int) -> None:
    pod = resources(item)
    pod.spec.priority = priority
    assert container_resources(pod, pod.spec.containers[0], GIB).oom_score_adj == score


def test_a_sidecar_is_not_killed_before_the_containers_that_lean_on_it() -> None:
    pod = resources({"requests": {"memory": "512Mi"}}, {"requests": {"memory": "256Mi"}})
    pod.spec.initContainers = from_dict(
        Pod, {"spec": {"containers": [], "initContainers": [{"name": "side", "image": "i", "restartPolicy": "Always"}]}}
    ).spec.initContainers
    assert pod.spec.initContainers is not None
    assert container_resources(pod, pod.spec.initContainers[0], GIB).oom_score_adj == 750


def test_the_kubelets_limit_of_processes_is_every_containers() -> None:
    pod = resources({})
    assert container_resources(pod, pod.spec.containers[0], GIB, 100).pids_limit == 100


def test_what_the_pod_has_as_a_whole() -> None:
    pod = resources({"requests": {"memory": "256Mi"}}, {"limits": {"cpu": "250m"}})
    amounts = {"requests": {"memory": "512Mi"}, "limits": {"cpu": "1", "memory": "768Mi"}}
    pod.spec.resources = from_dict(ResourceRequirements, amounts)
    first, second = (container_resources(pod, container, GIB) for container in pod.spec.containers)
    assert (first.cpu_quota_us, second.cpu_quota_us) == (100_000, 25_000)
    assert first.memory_limit_bytes == second.memory_limit_bytes == 768 << 20
    assert (first.oom_score_adj, second.oom_score_adj) == (625, 875)
