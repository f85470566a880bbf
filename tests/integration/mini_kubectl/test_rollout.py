"""`rollout` on Deployments that controllers really roll out; the test plays the kubelet."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import MINI_KUBECTL, CommandLine
from tests.kits.eventually import eventually

Json = dict[str, Any]

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture
def mk(control_plane: ClusterHandle, request: pytest.FixtureRequest) -> Iterator[CommandLine]:
    name = "rollout-" + request.node.name.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    everywhere = CommandLine(control_plane.kubeconfig, "default")
    everywhere.run("create", "namespace", name)
    yield CommandLine(control_plane.kubeconfig, name)
    everywhere.run("delete", "namespace", name, "--wait=false")


def web(image: str, **spec: Any) -> Json:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": image}]},
    }
    whole = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": {"kubernetes.io/change-cause": f"take {image}"}},
        "spec": whole,
    }


def make_pods_ready(control_plane: ClusterHandle, mk: CommandLine) -> None:
    """What kubelets would say. A pod that changes or goes meanwhile is left to the next time."""
    from mini_cluster.api import AdminApi
    from mini_cluster.errors import ApiError

    api = AdminApi.local(control_plane.cluster.layout, control_plane.cluster.state().ports.api)
    try:
        for pod in mk.items("pods"):
            if pod["status"].get("phase") != "Running":
                path = f"/api/v1/namespaces/{mk.namespace}/pods/{pod['metadata']['name']}/status"
                pod["status"] |= READY
                with contextlib.suppress(ApiError):
                    api.request("PUT", path, pod)
    finally:
        api.close()


def roll_out(control_plane: ClusterHandle, mk: CommandLine) -> str:
    """Follows with `rollout status` until it is over; what it said."""
    command = [MINI_KUBECTL, "-n", mk.namespace, "rollout", "status", "deployment/web", "--timeout=60s"]
    environment = {**os.environ, "KUBECONFIG": str(mk.kubeconfig)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as following:

        def over() -> bool:
            if following.poll() is None:
                make_pods_ready(control_plane, mk)
            return following.poll() is not None

        eventually(over, "the rollout")
        assert following.returncode == 0
        assert following.stdout is not None
        return following.stdout.read()


def image(mk: CommandLine) -> str:
    return str(mk.get("deployment", "web")["spec"]["template"]["spec"]["containers"][0]["image"])


def test_status_history_and_undo(control_plane: ClusterHandle, mk: CommandLine) -> None:
    mk.apply(web("web:1"))
    said = roll_out(control_plane, mk).splitlines()
    assert all(line.startswith("Waiting for deployment ") for line in said[:-1])
    assert said[-1] == 'deployment "web" successfully rolled out'
    assert mk.fails("rollout", "undo", "deployment/web") == 'error: no rollout history found for deployment "web"\n'
    mk.apply(web("web:2"))
    roll_out(control_plane, mk)
    assert mk.run("rollout", "history", "deploy/web").splitlines() == [
        "deployment.apps/web ",
        "REVISION  CHANGE-CAUSE",
        "1         take web:1",
        "2         take web:2",
        "",
    ]
    template = mk.run("rollout", "history", "deploy/web", "--revision=1").splitlines()
    assert template[:2] == ["deployment.apps/web with revision #1", "Pod Template:"]
    assert ["Image:", "web:1"] in [line.split() for line in template]
    assert mk.fails("rollout", "history", "deploy/web", "--revision=9") == (
        "error: unable to find the specified revision\n"
    )
    assert mk.fails("rollout", "undo", "deploy/web", "--to-revision=9") == (
        "error: unable to find specified revision 9 in history\n"
    )
    assert mk.run("rollout", "undo", "deploy/web") == "deployment.apps/web rolled back\n"
    roll_out(control_plane, mk)
    assert image(mk) == "web:1"
    assert mk.run("rollout", "undo", "deploy/web", "--to-revision=2") == "deployment.apps/web rolled back\n"
    assert image(mk) == "web:2"
    skipped = mk.run("rollout", "undo", "deploy/web", "--to-revision=4")
    assert skipped == "deployment.apps/web skipped rollback (current template already matches revision 4)\n"


def test_pause_resume_and_restart(control_plane: ClusterHandle, mk: CommandLine) -> None:
    mk.apply(web("web:1"))
    roll_out(control_plane, mk)
    assert mk.run("rollout", "pause", "deploy/web") == "deployment.apps/web paused\n"
    mk.run("apply", "-f", "-", stdin=json.dumps(web("web:2")))
    paused = mk.run("rollout", "status", "deploy/web", "--watch=false")
    assert paused == 'Waiting for deployment "web" rollout to finish: 0 out of 2 new replicas have been updated...\n'
    assert "paused deployment" in mk.fails("rollout", "restart", "deploy/web")
    assert mk.run("rollout", "resume", "deploy/web") == "deployment.apps/web resumed\n"
    roll_out(control_plane, mk)
    before = {pod["metadata"]["name"] for pod in mk.items("pods")}
    assert mk.run("rollout", "restart", "deploy/web") == "deployment.apps/web restarted\n"
    roll_out(control_plane, mk)
    assert before.isdisjoint(pod["metadata"]["name"] for pod in mk.items("pods"))


def test_a_rollout_that_cannot_go_on(mk: CommandLine) -> None:
    mk.apply(web("web:1"))
    waiting = mk.try_run("rollout", "status", "deploy/web", "--timeout=1s")
    assert (waiting.returncode, waiting.stderr) == (1, "error: timed out waiting for the condition\n")
    mk.apply(web("web:1", progressDeadlineSeconds=1))
    late = mk.try_run("rollout", "status", "deploy/web", "--timeout=60s")
    assert (late.returncode, late.stderr) == (1, 'error: deployment "web" exceeded its progress deadline\n')


def test_describe_and_wait_see_what_controllers_did(control_plane: ClusterHandle, mk: CommandLine) -> None:
    mk.apply(web("web:1"))
    roll_out(control_plane, mk)
    assert mk.run("wait", "deploy/web", "--for=condition=Available") == "deployment.apps/web condition met\n"
    said = mk.run("describe", "deployment", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in said
    assert "(2/2 replicas created)" in said
    eventually(lambda: "ScalingReplicaSet" in mk.run("describe", "deploy/web"), "the event, which is written later")
    assert "ScalingReplicaSet" in mk.run("events", "--for", "deployment/web")
    assert mk.run("scale", "deploy/web", "--replicas=1", "--timeout=30s") == "deployment.apps/web scaled\n"
    assert mk.run("get", "deploy", "web", "--no-headers").split()[:4] == ["web", "1/1", "1", "1"]
    assert mk.run("delete", "deploy", "web", "--cascade=foreground").startswith('deployment.apps "web" deleted')
    assert mk.items("pods") == []
