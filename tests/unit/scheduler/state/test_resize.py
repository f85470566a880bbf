"""A pod that is being resized takes the most of what it asks for, was granted and runs with."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from scheduler.events import Change, pod_change
from scheduler.state.resources import counted_spec, pod_requests
from scheduler.state.shape import Shapes
from scheduler.views.pod import Pod


def pod(asked: str, granted: str = "", running: str = "", *, pending: str = "", sidecar: bool = False) -> Pod:
    container = {"name": "app", "resources": {"requests": {"cpu": asked, "memory": "1Gi"}}}
    status: dict[str, Any] = {"name": "app"}
    if granted:
        status["allocatedResources"] = {"cpu": granted, "memory": "1Gi"}
    if running:
        status["resources"] = {"requests": {"cpu": running, "memory": "1Gi"}}
    statuses: dict[str, Any] = {"initContainerStatuses" if sidecar else "containerStatuses": [status]}
    if pending:
        statuses["conditions"] = [{"type": "PodResizePending", "status": "True", "reason": pending}]
    spec: dict[str, Any] = {"containers": [container]}
    if sidecar:
        spec = {"containers": [{"name": "main"}], "initContainers": [container | {"restartPolicy": "Always"}]}
    return from_dict(Pod, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec, "status": statuses})


@pytest.mark.parametrize("sidecar", [False, True])
@pytest.mark.parametrize(
    ("found", "cpu"),
    [
        (("100m",), 100),
        (("100m", "100m", "100m"), 100),
        (("300m", "100m", "100m"), 300),
        (("100m", "300m", "200m"), 300),
        (("100m", "100m", "300m"), 300),
        (("1", "900m", ""), 1000),
    ],
)
def test_the_most_counts(found: tuple[str, ...], cpu: int, sidecar: bool) -> None:
    assert pod_requests(counted_spec(pod(*found, sidecar=sidecar))) == {"cpu": cpu, "memory": 2**30}


def test_what_a_node_refused_for_good_does_not_count() -> None:
    assert pod_requests(counted_spec(pod("64", "100m", "100m", pending="Infeasible")))["cpu"] == 100
    assert pod_requests(counted_spec(pod("3", "100m", "100m", pending="Deferred")))["cpu"] == 3000


def test_a_pod_that_is_not_resized_keeps_its_shape_and_no_statuses() -> None:
    shapes, settled = Shapes(), pod("100m", "100m", "100m")
    assert settled.status.containerStatuses is None
    assert shapes.of(settled) is shapes.of(pod("100m"))
    resized = pod("100m", "300m", "300m")
    assert shapes.key(resized) != shapes.key(settled)
    assert shapes.of(resized).requests["cpu"] == 300


def test_room_that_a_resize_gives_back_is_noticed() -> None:
    """The spec said so long before: only the status tells when it is true."""
    before, after = pod("100m", "300m", "300m"), pod("100m", "100m", "100m")
    assert pod_change(before, after) == Change.SPEC
    assert pod_change(after, pod("100m")) == Change.NONE
    assert pod_change(before, pod("100m", "300m", "300m")) == Change.NONE
