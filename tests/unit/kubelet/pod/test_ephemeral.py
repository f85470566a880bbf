"""Ephemeral containers: joined to a running pod once, and never in the way of its own life."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apimachinery.conditions import is_true
from apimachinery.model import from_dict
from kubeapi.core.pod.status import ContainerStatus, PodStatus
from kubelet.container.backoff import KeyedBackoff
from kubelet.pod.actions import Start, compute_actions
from kubelet.pod.status.compute import StatusInputs, compute_status
from kubelet.probe.state import Verdicts
from kubelet.runtime.configs import ContainerConfig, PodRef
from kubelet.runtime.docker.bodies import Host, container_body
from kubelet.runtime.interface import LinuxUser
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import NOW, container, make_pod, runtime_status
from tests.kits.node.kubeletbench import Bench

DEBUG = {"name": "debug", "image": "app:1", "targetContainerName": "app", "stdin": True, "tty": True}


def actions(*containers: Any) -> tuple[Start, ...]:
    pod = make_pod({"ephemeralContainers": [DEBUG]})
    status = runtime_status(*containers)
    return compute_actions(pod, status, now=NOW, verdicts=Verdicts(), backoff=KeyedBackoff()).start


def test_one_that_was_created_is_started_after_a_restart_of_the_kubelet() -> None:
    assert actions(container(), container("debug", "created", kind="ephemeral")) == (Start("debug", "ephemeral", 0),)
    assert actions(container(), container("debug", "created", kind="ephemeral", sandbox="old")) == ()
    assert actions(container(), container("debug", "exited", kind="ephemeral")) == ()


def test_it_joins_the_processes_of_its_target() -> None:
    config = ContainerConfig(PodRef("u", "default", "web"), "debug", "i", "i")
    root = LinuxUser(0, 0, (0,))
    host_config = container_body("sb", replace(config, pid_mode="pod"), Host(), root)["HostConfig"]
    assert (host_config["PidMode"], host_config["NetworkMode"]) == ("container:sb", "container:sb")
    host_config = container_body("sb", replace(config, pid_mode="host", pid_target="app-0"), Host(), root)["HostConfig"]
    assert (host_config["PidMode"], host_config["NetworkMode"]) == ("container:app-0", "container:sb")


def test_one_that_somebody_removed_has_ended() -> None:
    known = ContainerStatus(name="debug", containerID="docker://debug-0")
    known.state = from_dict(type(known.state), {"running": {"startedAt": "2026-01-31T10:00:00Z"}})
    pod = make_pod({"ephemeralContainers": [DEBUG]})
    pod = pod.model_copy(update={"status": PodStatus(ephemeralContainerStatuses=[known])})
    (found,) = compute_status(pod, runtime_status(container()), StatusInputs(now=NOW)).ephemeralContainerStatuses or []
    assert found.state.terminated is not None
    assert found.state.terminated.reason == "ContainerStatusUnknown"


def debug_status(bench: Bench) -> ContainerStatus:
    (status,) = bench.api.get().status.ephemeralContainerStatuses or [ContainerStatus()]
    return status


def add_debugger(bench: Bench, **fields: Any) -> None:
    document = bench.api.get().model_dump(mode="json", exclude_none=True)
    document["spec"]["ephemeralContainers"] = [DEBUG | fields]
    bench.api.put(from_dict(type(bench.api.get()), document))


async def test_its_end_changes_nothing_about_the_pod(bench: Bench) -> None:
    bench.add({"restartPolicy": "Always"})
    await eventually_async(lambda: is_true(bench.api.get().status.conditions, "Ready"))
    add_debugger(bench)
    await eventually_async(lambda: debug_status(bench).state.running is not None)
    made = bench.runtime.find("uid-1", "debug")
    assert made.config.kind == "ephemeral"
    assert made.config.pid_target == bench.runtime.find("uid-1", "app").status.id
    assert (made.config.stdin, made.config.tty) == (True, True)
    bench.runtime.exit(made.status.id, 3)
    await eventually_async(lambda: debug_status(bench).state.terminated is not None)
    status = bench.api.get().status
    ended = debug_status(bench).state.terminated
    assert (status.phase, ended is not None and ended.exitCode) == ("Running", 3)
    assert is_true(status.conditions, "Ready")
    await bench.clock.advance(600)
    assert (debug_status(bench).restartCount, bench.running("debug")) == (0, False)
    assert (debug_status(bench).ready, debug_status(bench).started) == (False, None)


async def test_a_restarted_kubelet_knows_it_and_leaves_it_alone(bench: Bench) -> None:
    bench.add()
    await eventually_async(bench.running)
    add_debugger(bench)
    await eventually_async(lambda: debug_status(bench).state.running is not None)
    before = debug_status(bench).containerID
    await bench.kill()
    bench.start()
    await eventually_async(lambda: len(list(bench.table.admitted())) == 1)
    assert (debug_status(bench).containerID, bench.running("debug")) == (before, True)
    bench.api.ask_deletion()
    await eventually_async(lambda: bench.api.deleted == ["web"])
    assert bench.runtime.containers == {}


async def test_it_waits_for_its_target(bench: Bench) -> None:
    bench.add({"containers": [{"name": "app", "image": "nowhere:1", "imagePullPolicy": "Never"}]})
    await eventually_async(lambda: bench.api.get().status.containerStatuses is not None)
    add_debugger(bench)

    def reason() -> str | None:
        waiting = debug_status(bench).state.waiting
        return waiting.reason if waiting else None

    await eventually_async(lambda: reason() == "CreateContainerConfigError")
    assert ("Failed", "Error: unable to find target container app") in bench.events
    bench.runtime.add_image("docker.io/library/nowhere:1")
    for _ in range(30):
        await bench.clock.advance(1)
    await eventually_async(lambda: debug_status(bench).state.running is not None)
