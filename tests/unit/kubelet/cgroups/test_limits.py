"""Which group a pod has, and what the kernel holds it to."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from apimachinery.model import from_dict
from kubeapi.core.pod.model import Pod
from kubelet.cgroups.limits import node_limits, page_size, pod_group, pod_limits, wider
from kubelet.runtime.configs import Resources

MIB = 1 << 20


def pod(*resources: dict[str, Any], **spec: Any) -> Pod:
    containers = [{"name": f"c{number}", "resources": item} for number, item in enumerate(resources)]
    return from_dict(Pod, {"metadata": {"name": "x", "uid": "1"}, "spec": {"containers": containers} | spec})


def amounts(cpu: str, memory: str) -> dict[str, str]:
    return {"cpu": cpu, "memory": memory}


FULL = {"requests": amounts("100m", "32Mi"), "limits": amounts("100m", "32Mi")}
HALF = {"requests": {"cpu": "200m"}, "limits": {"memory": "64Mi"}}


@pytest.mark.parametrize(
    ("resources", "group"),
    [
        ((FULL, FULL), "/kubepods/pod1"),
        ((FULL, HALF), "/kubepods/burstable/pod1"),
        (({},), "/kubepods/besteffort/pod1"),
    ],
)
def test_the_group_lies_in_that_of_the_class(resources: tuple[dict[str, Any], ...], group: str) -> None:
    assert pod_group(pod(*resources)) == group


WHOLE = {"requests": amounts("500m", "64Mi"), "limits": amounts("1", "100Mi")}
INIT = [{"name": "i", "resources": {"limits": amounts("2", "8Mi")}}]


@pytest.mark.parametrize(
    ("subject", "shares", "quota", "memory"),
    [
        (pod({}), 2, 0, 0),
        (pod(FULL, FULL), 204, 20_000, 64 * MIB),
        (pod(FULL, HALF), 307, 0, 96 * MIB),  # one has no CPU limit, so that the pod has none
        (pod(FULL, {}), 102, 0, 0),
        (pod({}, {}, resources=WHOLE), 512, 100_000, 100 * MIB),
        (pod(FULL, {}, resources={"limits": {"memory": "50Mi"}}), 102, 0, 50 * MIB),
        (pod(FULL, initContainers=INIT), 102, 200_000, 32 * MIB),
        (pod(FULL, initContainers=[{"name": "i"}]), 102, 0, 0),
        (pod(FULL, overhead=amounts("50m", "1Mi")), 153, 15_000, 33 * MIB),
        (pod({}, overhead=amounts("50m", "1Mi")), 51, 0, 0),
        (pod({"limits": {"cpu": "0"}}), 2, 0, 0),
    ],
)
def test_limits_are_those_that_all_containers_or_the_pod_have(
    subject: Pod, shares: int, quota: int, memory: int
) -> None:
    limits = pod_limits(subject)
    assert (limits.cpu_shares, limits.cpu_quota_us, limits.memory_limit_bytes) == (shares, quota, memory)


def test_a_pod_with_cpus_of_its_own_is_not_held_back_on_them() -> None:
    assert pod_limits(pod(FULL), own_cpus=True).cpu_quota_us == 0


def test_huge_pages_are_those_requested_and_processes_those_of_the_node() -> None:
    huge = {"limits": {"hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi"}}
    huge["requests"] = huge["limits"]
    limits = pod_limits(pod(huge, huge), pids_limit=9)
    assert limits.huge_pages == {"2MB": 8 * MIB, "1GB": 2 << 30}
    assert limits.pids_limit == 9
    assert pod_limits(pod({})).huge_pages == {}


@pytest.mark.parametrize(("name", "size"), [("64Ki", "64KB"), ("2Mi", "2MB"), ("32Mi", "32MB"), ("1Gi", "1GB")])
def test_sizes_of_pages_have_the_kernels_names(name: str, size: str) -> None:
    assert page_size(f"hugepages-{name}") == size


def test_all_pods_have_what_is_not_reserved() -> None:
    capacity = {"cpu": Fraction(4), "memory": Fraction(8 << 30), "pods": Fraction(110)}
    assert node_limits(capacity, {}) == Resources(cpu_shares=4096, memory_limit_bytes=8 << 30)
    reserved = {"cpu": Fraction(1, 2), "memory": Fraction(1 << 30)}
    assert node_limits(capacity, reserved) == Resources(cpu_shares=3584, memory_limit_bytes=7 << 30)
    pids = node_limits(capacity | {"pid": Fraction(4096)}, {"pid": Fraction(96)})
    assert pids == Resources(cpu_shares=4096, memory_limit_bytes=8 << 30, pids_limit=4000)


def test_the_wider_of_two_holds_neither_back() -> None:
    small, large = Resources(10, 100, 1, 1000), Resources(20, 200, 1, 500)
    assert wider(small, large) == wider(large, small) == Resources(20, 200, 1, 1000)
    assert wider(small, Resources(5, 0, 1, 0)) == Resources(10, 0, 1, 0)
