"""pods/resize: which changes of CPU and memory a pod may ask for."""

from typing import Any

import pytest

from apimachinery.errors import StatusError
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import load, merged, pod, problems, update_problems

BURSTABLE = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
FIRST = "spec.containers[0].resources"
ONLY = "spec: Forbidden: only cpu and memory resources are mutable"


def sized(resources: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    return pod({"containers": [{"name": "app", "image": "app:1", "resources": resources or {}, **container}]})


def with_init(resources: dict[str, Any], **fields: Any) -> dict[str, Any]:
    init = {"name": "init", "image": "i:1", "resources": resources, **fields}
    return merged(sized(BURSTABLE), {"spec": {"initContainers": [init]}})


def write(old: dict[str, Any], new: dict[str, Any]) -> Any:
    before, after = load(PODS, old), load(PODS, new)
    PODS.strategy.prepare_subresource_update(after, before, "resize")
    return after


def errors(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    after = write(old, new)
    found = PODS.strategy.validate(after)
    return [str(error) for error in found + PODS.strategy.validate_subresource_update(after, load(PODS, old), "resize")]


MORE = merged(BURSTABLE, {"requests": {"cpu": "150m"}, "limits": {"memory": "256Mi"}})
CHANGES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    # (old resources, new resources, errors)
    (BURSTABLE, MORE, []),
    (MORE, BURSTABLE, []),
    (BURSTABLE, BURSTABLE, []),
    ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"}}, []),
    ({}, {"requests": {"cpu": "1"}}, ['spec: Invalid value: "": Pod QOS Class may not change as a result of resizing']),
    (
        BURSTABLE,
        merged(BURSTABLE, {"requests": {"cpu": "300m"}}),
        [f'{FIRST}.requests: Invalid value: "300m": must be less than or equal to cpu limit of 200m'],
    ),
    (
        BURSTABLE,
        {"requests": BURSTABLE["requests"], "limits": {"cpu": "200m"}},
        [f"{FIRST}.limits: Forbidden: resource limits cannot be removed"],
    ),
    (
        {"requests": BURSTABLE["requests"]},
        {"requests": {"cpu": "100m"}},
        [f"{FIRST}.requests: Forbidden: resource requests cannot be removed"],
    ),
    (BURSTABLE, merged(BURSTABLE, {"requests": {"ephemeral-storage": "1Gi"}}), [ONLY]),
]


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES)
def test_resources_of_a_container(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert errors(sized(old), sized(new)) == expected


def test_a_sidecar_is_resized_and_other_init_containers_are_not() -> None:
    sidecar = {"restartPolicy": "Always"}
    assert errors(with_init(BURSTABLE, **sidecar), with_init(MORE, **sidecar)) == []
    found = errors(with_init(BURSTABLE), with_init(MORE))
    assert found == ["spec: Forbidden: resources for non-sidecar init containers are immutable"]
    storage = merged(BURSTABLE, {"limits": {"ephemeral-storage": "1Gi"}})
    found = errors(with_init(BURSTABLE, **sidecar), with_init(storage, **sidecar))
    assert found == ["spec: Forbidden: only cpu and memory resources for sidecar containers are mutable"]


def test_containers_stay_the_same() -> None:
    two = pod({"containers": [{"name": "app", "image": "app:1"}, {"name": "b", "image": "b:1"}]})
    swapped = pod({"containers": [{"name": "b", "image": "b:1"}, {"name": "app", "image": "app:1"}]})
    moved = "Forbidden: containers may not be renamed or reordered on resize"
    assert errors(two, swapped) == [f"spec.containers[{index}].name: {moved}" for index in (0, 1)]
    assert errors(two, pod()) == ["spec.containers: Forbidden: containers may not be added or removed on resize"]
    assert errors(pod(), with_init({}))[-1] == (
        "spec.initContainers: Forbidden: initContainers may not be added or removed on resize"
    )


def test_a_policy_is_not_changed() -> None:
    policy = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    assert errors(sized(BURSTABLE), sized(BURSTABLE, resizePolicy=policy)) == [ONLY]
    assert errors(sized(BURSTABLE), sized(MORE, resizePolicy=[])) == []


def test_everything_else_stays_as_it_is() -> None:
    old = merged(sized(BURSTABLE), {"metadata": {"labels": {"a": "1"}}})
    new = merged(sized(MORE, image="other:1"), {"metadata": {"labels": {"a": "2"}}, "spec": {"nodeName": "n"}})
    after = write(old, new)
    assert (after.labels, after.spec.nodeName, after.spec.containers[0].image) == ({"a": "1"}, None, "app:1")
    assert after.spec.containers[0].resources.requests["cpu"] == "150m"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}}, "static pods cannot be resized"),
        ({"spec": {"os": {"name": "windows"}}}, "windows pods cannot be resized"),
        ({"spec": {"resources": {"limits": {"cpu": "4"}}}}, "pods with pod-level resources cannot be resized"),
    ],
)
def test_pods_that_cannot_be_resized(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StatusError) as caught:
        write(merged(sized(BURSTABLE), change), merged(sized(MORE), change))
    assert f": Forbidden: {message}" in caught.value.message


def test_the_node_must_know_how() -> None:
    status: dict[str, Any] = {"name": "app", "image": "app:1", "imageID": "x", "ready": True, "restartCount": 0}
    running = {**status, "state": {"running": {"startedAt": "2026-01-31T10:00:00Z"}}}
    old = merged(sized(BURSTABLE), {"status": {"containerStatuses": [running]}})
    assert errors(old, sized(MORE)) == ["spec: Forbidden: Pod running on node without support for resize"]
    able = merged(old, {"status": {"containerStatuses": [{**running, "resources": {}}]}})
    assert errors(able, sized(MORE)) == []
    waiting = {**status, "state": {"waiting": {"reason": "ContainerCreating"}}}
    assert errors(merged(old, {"status": {"containerStatuses": [waiting]}}), sized(MORE)) == []


def test_an_ordinary_update_changes_no_resources() -> None:
    (found,) = update_problems(PODS, sized(BURSTABLE), sized(MORE))
    assert found.endswith("changed: spec.containers")


def test_an_init_container_that_ends_has_no_policy() -> None:
    policy = [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]
    document = with_init(BURSTABLE, resizePolicy=policy)
    (found,) = problems(PODS, document)
    assert found.startswith("spec.initContainers[0].resizePolicy: Invalid value: ")
    assert found.endswith(": must not be set for init containers")
    assert problems(PODS, with_init(BURSTABLE, resizePolicy=policy, restartPolicy="Always")) == []
