"""pods/ephemeralcontainers: what a write to it may change, and what it leaves alone."""

from typing import Any

import pytest

from apimachinery.errors import StatusError
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import load, merged, pod, update_problems

DEBUG = {"name": "debug", "image": "d:1"}
LATER = {"name": "later", "image": "l:1", "stdin": True, "tty": True, "targetContainerName": "app"}


def with_debuggers(*containers: dict[str, Any]) -> dict[str, Any]:
    return pod({"ephemeralContainers": list(containers)})


def write(old: dict[str, Any], new: dict[str, Any]) -> Any:
    """The pod after a write to the subresource. Raises: StatusError."""
    before, after = load(PODS, old), load(PODS, new)
    PODS.strategy.prepare_subresource_update(after, before, "ephemeralcontainers")
    return after


def errors(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    after = write(old, new)
    found = PODS.strategy.validate(after)
    found += PODS.strategy.validate_subresource_update(after, load(PODS, old), "ephemeralcontainers")
    return [str(error) for error in found]


def test_containers_are_added_one_after_the_other() -> None:
    assert errors(pod(), with_debuggers(DEBUG)) == []
    assert errors(with_debuggers(DEBUG), with_debuggers(LATER, DEBUG)) == []


def test_what_was_added_stays() -> None:
    removed = 'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be removed\n'
    assert errors(with_debuggers(DEBUG), pod()) == [removed]
    assert errors(with_debuggers(DEBUG), with_debuggers(LATER)) == [removed]


def test_what_was_added_does_not_change() -> None:
    found = errors(with_debuggers(DEBUG), with_debuggers({**DEBUG, "image": "d:2", "command": ["sh"]}))
    text = 'existing ephemeral containers "debug" may not be changed\nchanged: command, image'
    assert found == [f"spec.ephemeralContainers: Forbidden: {text}"]


def test_everything_else_stays_as_it_is() -> None:
    old = pod(metadata={"labels": {"a": "1"}}, status={"phase": "Running"})
    changes = {
        "metadata": {"labels": {"a": "2"}, "annotations": {"b": "3"}, "finalizers": ["example.com/x"]},
        "spec": {"containers": [{"name": "app", "image": "other:1"}], "ephemeralContainers": [DEBUG]},
        "status": {"phase": "Failed"},
    }
    after = write(old, merged(old, changes))
    assert (after.labels, after.annotations, after.metadata.finalizers) == ({"a": "1"}, {}, None)
    assert (after.spec.containers[0].image, after.status.phase) == ("app:1", "Running")
    assert [item.name for item in after.spec.ephemeralContainers] == ["debug"]


def test_a_static_pod_has_none() -> None:
    mirror = pod(metadata={"annotations": {"kubernetes.io/config.mirror": "x"}})
    with pytest.raises(StatusError) as caught:
        write(mirror, merged(mirror, {"spec": {"ephemeralContainers": [DEBUG]}}))
    assert caught.value.code == 422
    assert ": Forbidden: static pods do not support ephemeral containers" in caught.value.message


def test_an_ordinary_update_leaves_them_alone() -> None:
    (found,) = update_problems(PODS, pod(), with_debuggers(DEBUG))
    assert found.startswith("spec: Forbidden: pod updates may not change fields other than")
    assert found.endswith("changed: spec.ephemeralContainers")


def test_an_image_is_checked_like_any_other() -> None:
    (found,) = errors(pod(), with_debuggers({**DEBUG, "image": " d:1"}))
    text = 'Invalid value: " d:1": must not have leading or trailing whitespace'
    assert found == f"spec.ephemeralContainers[0].image: {text}"
