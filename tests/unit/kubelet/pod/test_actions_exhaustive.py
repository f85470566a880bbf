"""Rules that hold for every pod in every state: each combination of policies, states and probe verdicts is tried."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from kubeapi.core.pod.model import Pod
from kubelet.container.backoff import KeyedBackoff
from kubelet.pod.actions import PodActions, compute_actions, may_restart, should_restart
from kubelet.probe.state import Verdicts
from kubelet.runtime.configs import ContainerKind
from kubelet.runtime.interface import ContainerStatus, PodRuntimeStatus
from tests.kits.node.kubelet import NOW, container, make_pod, runtime_status, sandbox

STATES = ("absent", "created", "running", "succeeded", "failed")
POLICIES = ("Always", "OnFailure", "Never")
RULE = {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]}
APPS: tuple[dict[str, Any], ...] = ({}, {"restartPolicy": "Always"}, {"restartPolicy": "Never"} | RULE)
INITS: tuple[dict[str, Any], ...] = ({}, {"restartPolicy": "Never"} | RULE)
NO_BACKOFF = KeyedBackoff()
VERDICTS = (
    Verdicts(),
    Verdicts(liveness={"app-0": "failure"}),
    Verdicts(liveness={"side-0": "failure"}),
    Verdicts(startup={"side-0": "failure"}),
)


@dataclass(frozen=True)
class Case:
    """A pod with a sidecar, an init container and a regular one, and what the runtime says about it."""

    pod: Pod
    status: PodRuntimeStatus
    in_old_sandbox: bool
    actions: PodActions

    def state(self, name: str) -> ContainerStatus | None:
        return self.status.container(name)


@cache
def cases() -> list[Case]:
    return list(make_cases())


def make_cases() -> Iterator[Case]:
    for policy, app, init in itertools.product(POLICIES, APPS, INITS):
        image: dict[str, Any] = {"image": "app:1"}
        inits = [{"name": "side", "restartPolicy": "Always"} | image, {"name": "init"} | image | init]
        spec = {"restartPolicy": policy, "initContainers": inits, "containers": [{"name": "app"} | image | app]}
        pod = make_pod(spec)
        for side, init_state, app_state in itertools.product(STATES, repeat=3):
            kinds: tuple[tuple[str, str, ContainerKind], ...] = (
                ("side", side, "init"),
                ("init", init_state, "init"),
                ("app", app_state, "regular"),
            )
            containers = [status_of(*item) for item in kinds if item[1] != "absent"]
            ready, dead = runtime_status(*containers), runtime_status(*containers, ready=False)
            old = runtime_status(*containers, sandboxes=[sandbox(1), sandbox(0, ready=False)])
            for verdicts, status in itertools.product(VERDICTS, (ready, dead, old)):
                actions = compute_actions(pod, status, now=NOW, verdicts=verdicts, backoff=NO_BACKOFF)
                yield Case(pod, status, status is old, actions)


def status_of(name: str, state: str, kind: ContainerKind) -> ContainerStatus:
    if state in ("succeeded", "failed"):
        return container(name, "exited", exit_code=int(state == "failed"), kind=kind)
    return container(name, "running" if state == "running" else "created", kind=kind)


def test_a_pod_that_ends_starts_nothing() -> None:
    for case in cases():
        actions = case.actions
        assert not (actions.kill_pod and actions.start), case
        assert not (actions.create_sandbox and actions.start), case


def test_what_runs_is_started_only_after_it_was_killed() -> None:
    for case in cases():
        killed = {kill.name for kill in case.actions.kill}
        for start in case.actions.start:
            status = case.state(start.name)
            assert status is None or status.state != "running" or start.name in killed, (case, start)


def test_nothing_is_started_twice_and_attempts_only_grow() -> None:
    for case in cases():
        starts = case.actions.start
        assert len({start.name for start in starts}) == len(starts), case
        for start in starts:
            status = case.state(start.name)
            reused = status is not None and status.state == "created" and not case.in_old_sandbox
            assert start.attempt == (0 if status is None or reused else status.attempt + 1), (case, start)


def test_a_container_that_has_ended_starts_again_only_as_its_policy_says() -> None:
    for case in cases():
        specs = {item.name: item for item in (*(case.pod.spec.initContainers or ()), *case.pod.spec.containers)}
        for start in case.actions.start:
            status = case.state(start.name)
            if status is not None and status.state == "exited" and not (start.kind == "init" and case.in_old_sandbox):
                assert should_restart(case.pod, specs[start.name], status.exit_code), (case, start)


def test_regular_containers_wait_for_their_init_containers() -> None:
    for case in cases():
        if any(start.kind == "regular" for start in case.actions.start):
            app, init = case.state("app"), case.state("init")
            initialized = app is not None and not case.in_old_sandbox
            completed = init is not None and init.exit_code == 0 and init.state == "exited" and not case.in_old_sandbox
            assert initialized or completed, case


def test_a_pod_with_something_left_to_run_goes_on() -> None:
    for case in cases():
        app, init = case.state("app"), case.state("init")
        spec = case.pod.spec.containers[0]
        running = app is not None and app.state == "running" and case.status.sandboxes[0].ready
        if running and not case.in_old_sandbox and may_restart(case.pod, spec):
            assert not case.actions.finished, case
        exited = app is not None and app.state == "exited"
        init_failed = init is not None and init.state == "exited" and init.exit_code != 0
        if exited and case.status.sandboxes[0].ready and not case.in_old_sandbox and not init_failed:
            assert app is not None
            assert case.actions.finished is not should_restart(case.pod, spec, app.exit_code), case


def test_an_init_container_that_fails_for_good_ends_its_pod_before_anything_else_starts() -> None:
    for case in cases():
        app, init, ready = case.state("app"), case.state("init"), case.status.sandboxes[0].ready
        assert case.pod.spec.initContainers is not None
        if app is None and ready and not case.in_old_sandbox and init is not None and init.state == "exited":
            failed_for_good = init.exit_code != 0 and not should_restart(case.pod, case.pod.spec.initContainers[1], 1)
            assert case.actions.finished is failed_for_good, case


def test_sidecars_of_a_running_pod_are_kept_running() -> None:
    for case in cases():
        app, side = case.state("app"), case.state("side")
        going_on = app is not None and app.state == "running" and not case.actions.kill_pod
        if going_on and not case.in_old_sandbox and (side is None or side.state != "running"):
            assert "side" in {start.name for start in case.actions.start}, case
