"""What objects use of a quota, and which quotas are about them."""

from __future__ import annotations

from typing import Any

import pytest

from kubeapi._evaluators import evaluator_of, kinds_of
from kubeapi.core.persistentvolumeclaim.resource import RESOURCE as CLAIMS
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.core.resourcequota.amounts import exceeding, growth, same, total
from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.core.resourcequota.model import ScopedResourceSelectorRequirement
from kubeapi.core.resourcequota.resource import RESOURCE as QUOTAS
from kubeapi.core.service.resource import RESOURCE as SERVICES
from kubeapi.resource.resourceclaim.resource import RESOURCE as RESOURCE_CLAIMS
from tests.kits.kinds import FIVE_MINUTES_AGO, NOW, load, pod

Dict = dict[str, Any]


def evaluator(group: str, plural: str) -> Evaluator:
    found = evaluator_of(group, plural)
    assert found is not None
    return found


PODS_USE = evaluator("", "pods")


def container(requests: Dict | None = None, limits: Dict | None = None, **fields: Any) -> Dict:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    return {"name": "c", "image": "i", "resources": resources, **fields}


def used(spec: Dict, **top: Any) -> Dict:
    return PODS_USE.usage(load(PODS, pod(spec, **top)), NOW)


def test_a_pod_uses_what_its_containers_ask_for() -> None:
    spec = {
        "containers": [
            container({"cpu": "100m", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"}, name="a"),
            container({"cpu": "500m", "ephemeral-storage": "1G"}, {"example.com/gpu": "2"}, name="b"),
            container({"hugepages-2Mi": "4Mi", "cpu": "1"}, {"hugepages-2Mi": "4Mi"}, name="d"),
        ],
    }
    assert used(spec) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "1600m",
        "requests.cpu": "1600m",
        "limits.cpu": "2",
        "memory": "1Gi",
        "requests.memory": "1Gi",
        "limits.memory": "1Gi",
        "ephemeral-storage": "1G",
        "requests.ephemeral-storage": "1G",
        "requests.example.com/gpu": "2",
        "hugepages-2Mi": "4Mi",
        "requests.hugepages-2Mi": "4Mi",
    }


def test_init_containers_count_at_their_peak_and_sidecars_all_along() -> None:
    spec = {
        "containers": [container({"cpu": "1"})],
        "initContainers": [
            container({"cpu": "200m"}, name="side", restartPolicy="Always"),
            container({"cpu": "3"}, name="init"),
        ],
    }
    assert used(spec)["requests.cpu"] == "3200m"


def test_amounts_of_the_pod_as_a_whole_win_and_overhead_comes_on_top() -> None:
    spec = {
        "containers": [container({"cpu": "1"}, {"memory": "1Gi"})],
        "resources": {"requests": {"cpu": "2"}},
        "overhead": {"cpu": "250m", "memory": "64Mi"},
    }
    amounts = used(spec)
    assert amounts["requests.cpu"] == "2250m"
    assert amounts["requests.memory"] == "1088Mi"
    assert amounts["limits.memory"] == "1088Mi"
    assert "limits.cpu" not in amounts


@pytest.mark.parametrize(
    "top",
    [
        {"status": {"phase": "Succeeded"}},
        {"status": {"phase": "Failed"}},
        {"metadata": {"deletionTimestamp": FIVE_MINUTES_AGO, "deletionGracePeriodSeconds": 30}},
    ],
)
def test_a_pod_that_has_ended_is_only_an_object(top: Dict) -> None:
    assert used({"containers": [container({"cpu": "1"})]}, **top) == {"count/pods": "1"}


def test_a_pod_that_ends_still_counts() -> None:
    meta = {"deletionTimestamp": FIVE_MINUTES_AGO, "deletionGracePeriodSeconds": 600}
    assert used({"containers": [container({"cpu": "1"})]}, metadata=meta)["pods"] == "1"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["pods", "requests.ephemeral-storage", "services"], ""),
        (["requests.cpu"], "must specify requests.cpu for: b,init"),
        (["limits.memory", "requests.cpu"], "must specify limits.memory for: b; requests.cpu for: b,init"),
    ],
)
def test_containers_must_state_cpu_and_memory_that_are_limited(names: list[str], text: str) -> None:
    spec = {
        "containers": [container({"cpu": "1"}, {"memory": "1Gi"}, name="a"), container(name="b")],
        "initContainers": [container(limits={"memory": "1Gi"}, name="init")],
    }
    assert PODS_USE.missing(load(PODS, pod(spec)), names) == text


CLASS = {"priorityClassName": "high"}
FAR = {"topologyKey": "zone", "namespaces": ["other"]}


@pytest.mark.parametrize(
    ("spec", "scope", "operator", "values", "matches"),
    [
        ({"activeDeadlineSeconds": 5}, "Terminating", "Exists", None, True),
        ({}, "Terminating", "Exists", None, False),
        ({}, "NotTerminating", "Exists", None, True),
        ({}, "BestEffort", "Exists", None, True),
        ({"containers": [container({"cpu": "1"})]}, "BestEffort", "Exists", None, False),
        ({"containers": [container({"cpu": "1"})]}, "NotBestEffort", "Exists", None, True),
        (CLASS, "PriorityClass", "Exists", None, True),
        ({}, "PriorityClass", "Exists", None, False),
        ({}, "PriorityClass", "DoesNotExist", None, True),
        (CLASS, "PriorityClass", "In", ["low", "high"], True),
        ({}, "PriorityClass", "In", ["high"], False),
        (CLASS, "PriorityClass", "NotIn", ["high"], False),
        ({}, "PriorityClass", "NotIn", ["high"], True),
        ({}, "CrossNamespacePodAffinity", "Exists", None, False),
        (
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [FAR]}}},
            "CrossNamespacePodAffinity", "Exists", None, True,
        ),
        (
            {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "namespaceSelector": {}}}]}}},
            "CrossNamespacePodAffinity", "Exists", None, True,
        ),
        ({}, "VolumeAttributesClass", "Exists", None, False),
    ],
)  # fmt: skip
def test_scopes(spec: Dict, scope: str, operator: str, values: list[str] | None, matches: bool) -> None:
    condition = ScopedResourceSelectorRequirement(scopeName=scope, operator=operator, values=values)
    assert PODS_USE.in_scope(load(PODS, pod(spec)), condition) is matches


@pytest.mark.parametrize(
    ("spec", "node_ports", "balancers"),
    [
        ({}, "0", "0"),
        ({"type": "NodePort"}, "2", "0"),
        ({"type": "LoadBalancer"}, "2", "1"),
        ({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, "1", "1"),
    ],
)
def test_services_use_node_ports_and_balancers(spec: Dict, node_ports: str, balancers: str) -> None:
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2, "nodePort": 30001}]
    service = load(SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": ports, **spec}})
    assert evaluator("", "services").usage(service, NOW) == {
        "count/services": "1", "services": "1", "services.nodeports": node_ports, "services.loadbalancers": balancers,
    }  # fmt: skip


def test_other_kinds_are_counted() -> None:
    assert evaluator("apps", "deployments").usage(None, NOW) == {"count/deployments.apps": "1"}
    assert evaluator("", "secrets").usage(None, NOW) == {"count/secrets": "1", "secrets": "1"}
    assert evaluator("example.com", "pods").usage(None, NOW) == {"count/pods.example.com": "1"}
    assert evaluator_of("", "events") is None
    assert evaluator_of("events.k8s.io", "events") is None


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("pods", True),
        ("count/pods", True),
        ("limits.memory", True),
        ("requests.example.com/gpu", True),
        ("example.com/gpu", False),
        ("limits.example.com/gpu", False),
        ("requests.hugepages-1Gi", True),
        ("requests.storage", False),
        ("count/pods.example.com", False),
    ],
)
def test_what_pods_can_use(name: str, measured: bool) -> None:
    assert PODS_USE.measures(name) is measured


def test_the_kinds_that_use_a_quota() -> None:
    names = ["requests.cpu", "services.nodeports", "count/deployments.apps", "secrets", "count/events", "nonsense"]
    assert kinds_of(names) == {("", "pods"), ("", "services"), ("apps", "deployments"), ("", "secrets")}
    assert kinds_of(["count/pods"]) == {("", "pods")}
    assert kinds_of(["cpu", "count/pods.example.com"]) == {("", "pods"), ("example.com", "pods")}


def test_what_may_give_something_back() -> None:
    running, ended = (load(PODS, pod(status={"phase": phase})) for phase in ("Running", "Failed"))
    resized = load(PODS, pod(metadata={"generation": 2}))
    assert PODS_USE.may_free(running, None)
    assert PODS_USE.may_free(running, ended)
    assert PODS_USE.may_free(running, resized)
    assert not PODS_USE.may_free(running, running)
    assert not PODS_USE.may_free(ended, ended)


def test_a_quota_with_scopes_is_not_about_objects_that_are_only_counted() -> None:
    meta = {"name": "q", "namespace": "ns"}
    quota = load(QUOTAS, {"metadata": meta, "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}})
    assert PODS_USE.concerns(quota, load(PODS, pod()), ["pods"])
    assert not PODS_USE.concerns(quota, load(PODS, pod()), ["services"])
    assert not evaluator("", "secrets").concerns(quota, None, ["secrets"])


def test_amounts_keep_their_notation() -> None:
    assert total({"memory": "1Gi", "cpu": "0"}, {"memory": "512Mi", "cpu": "1500m", "pods": "1"}) == {
        "memory": "1536Mi", "cpu": "1500m", "pods": "1",
    }  # fmt: skip
    assert total({"memory": "0"}, {"memory": "512Mi"}) == {"memory": "512Mi"}
    assert growth({"cpu": "2", "memory": "1Gi"}, {"cpu": "500m", "memory": "2Gi"}) == {"cpu": "1500m", "memory": "0"}
    assert exceeding({"cpu": "2001m", "pods": "3", "other": "9"}, {"cpu": "2", "pods": "3"}) == ["cpu"]
    assert same({"memory": "1024Mi"}, {"memory": "1Gi"})
    assert not same({"memory": "1Gi"}, {"memory": "1Gi", "pods": "0"})
    assert not same({}, None)


def claim(spec: Dict | None = None, status: Dict | None = None, **meta: Any) -> Any:
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    document = {"metadata": {"name": "c", **meta}, "spec": {**storage, **(spec or {})}, "status": status or {}}
    return load(CLAIMS, document)


def test_a_claim_uses_storage_of_its_class() -> None:
    claims = evaluator("", "persistentvolumeclaims")
    assert claims.usage(claim(), NOW) == {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "1Gi",
    }
    assert claims.usage(claim({"storageClassName": "gold"}), NOW) == {
        "count/persistentvolumeclaims": "1",
        "persistentvolumeclaims": "1",
        "requests.storage": "1Gi",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
        "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
    }
    annotated = claim(annotations={"volume.beta.kubernetes.io/storage-class": "old"})
    assert "old.storageclass.storage.k8s.io/requests.storage" in claims.usage(annotated, NOW)


@pytest.mark.parametrize(("allocated", "storage"), [("3Gi", "3Gi"), ("500Mi", "1Gi")])
def test_a_claim_uses_the_larger_of_what_it_asks_for_and_is_being_given(allocated: str, storage: str) -> None:
    growing = claim(status={"allocatedResources": {"storage": allocated}})
    claims = evaluator("", "persistentvolumeclaims")
    assert claims.usage(growing, NOW)["requests.storage"] == storage
    assert claims.may_free(growing, claim()) is (storage != "1Gi")


def test_quotas_of_storage_are_about_claims_alone() -> None:
    names = ["requests.storage", "gold.storageclass.storage.k8s.io/persistentvolumeclaims", "persistentvolumeclaims"]
    for name in names:
        assert kinds_of([name]) == {("", "persistentvolumeclaims")}, name
    assert ("", "persistentvolumeclaims") not in kinds_of([".storageclass.storage.k8s.io/requests.storage"])


@pytest.mark.parametrize(
    ("operator", "values", "spec", "status", "fits"),
    [
        ("In", ["fast"], {"volumeAttributesClassName": "fast"}, {}, True),
        ("In", ["fast"], {"volumeAttributesClassName": "slow"}, {}, False),
        ("In", ["fast"], {"volumeAttributesClassName": "slow"}, {"currentVolumeAttributesClassName": "fast"}, True),
        ("In", ["fast"], {}, {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "fast", "status": "x"}}, True),
        ("NotIn", ["fast"], {}, {}, True),
        ("Exists", None, {}, {}, False),
        ("Exists", None, {"volumeAttributesClassName": "slow"}, {}, True),
        ("DoesNotExist", None, {}, {}, True),
    ],
)
def test_a_claim_is_in_the_scope_of_its_attributes_class(
    operator: str, values: list[str] | None, spec: Dict, status: Dict, fits: bool
) -> None:
    condition = ScopedResourceSelectorRequirement(scopeName="VolumeAttributesClass", operator=operator, values=values)
    assert evaluator("", "persistentvolumeclaims").in_scope(claim(spec, status), condition) is fits


def test_a_resource_claim_uses_the_most_devices_that_it_may_get() -> None:
    devices = ".deviceclass.resource.k8s.io/devices"
    either = [{"name": "a", "deviceClassName": "big"}, {"name": "b", "deviceClassName": "big", "count": 3}]
    requests = [
        {"name": "two", "exactly": {"deviceClassName": "small", "count": 2}},
        {"name": "one", "exactly": {"deviceClassName": "small"}},
        {
            "name": "either",
            "firstAvailable": [*either, {"name": "c", "deviceClassName": "all", "allocationMode": "All"}],
        },
    ]
    obj = load(RESOURCE_CLAIMS, {"metadata": {"name": "c"}, "spec": {"devices": {"requests": requests}}})
    claims = evaluator("resource.k8s.io", "resourceclaims")
    assert claims.usage(obj, NOW) == {
        "count/resourceclaims.resource.k8s.io": "1",
        f"small{devices}": "3",
        f"big{devices}": "3",
        f"all{devices}": "32",
    }
    assert kinds_of([f"gold{devices}"]) == {("resource.k8s.io", "resourceclaims")}
