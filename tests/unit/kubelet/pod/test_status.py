"""A pod's status: phase, conditions and container states."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.model import from_dict
from apimachinery.times import format_time
from kubeapi.core.pod.status import PodCondition, PodStatus
from kubelet.pod.status.compute import Failure, StatusInputs, Waiting, compute_status, rejected_status
from tests.kits.node.kubelet import NOW, container, make_pod, runtime_status

SIDECAR = {"name": "side", "image": "app:1", "restartPolicy": "Always"}
INIT = {"name": "init", "image": "app:1"}


def status_of(pod: Any, runtime: Any = None, **inputs: Any) -> PodStatus:
    return compute_status(pod, runtime, StatusInputs(now=NOW, node_ips=("192.168.0.5",), **inputs))


def condition(status: PodStatus, kind: str) -> PodCondition:
    found = get_condition(status.conditions, kind)
    assert found is not None
    return found


def seen(pod: Any, status: PodStatus) -> Any:
    return pod.model_copy(update={"status": status})


class TestPhase:
    @pytest.mark.parametrize(
        ("policy", "code", "terminal", "phase"),
        [
            ("Always", 1, False, "Running"),
            ("Never", 0, False, "Running"),
            ("Never", 0, True, "Succeeded"),
            ("Never", 1, True, "Failed"),
            ("OnFailure", 0, True, "Succeeded"),
        ],
    )
    def test_after_the_only_container_ended(self, policy: str, code: int, terminal: bool, phase: str) -> None:
        pod = make_pod({"restartPolicy": policy})
        ended = runtime_status(container(state="exited", exit_code=code))
        assert status_of(pod, ended, terminal=terminal).phase == phase

    def test_pending_until_every_container_has_started(self) -> None:
        pod = make_pod({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]})
        assert status_of(pod).phase == "Pending"
        assert status_of(pod, runtime_status(container("a"))).phase == "Pending"
        assert status_of(pod, runtime_status(container("a"), container("b"))).phase == "Running"

    def test_pending_during_init_containers(self) -> None:
        pod = make_pod({"initContainers": [INIT]})
        assert status_of(pod, runtime_status(container("init", kind="init"))).phase == "Pending"

    def test_failed_when_an_init_container_failed_for_good(self) -> None:
        pod = make_pod({"initContainers": [INIT], "restartPolicy": "Never"})
        status = status_of(pod, runtime_status(container("init", "exited", exit_code=1, kind="init")), terminal=True)
        assert status.phase == "Failed"

    def test_a_sidecar_killed_at_the_end_does_not_fail_the_pod(self) -> None:
        pod = make_pod({"initContainers": [SIDECAR], "restartPolicy": "Never"})
        side = container("side", "exited", exit_code=137, kind="init")
        assert status_of(pod, runtime_status(side, container(state="exited")), terminal=True).phase == "Succeeded"

    def test_a_final_phase_stays(self) -> None:
        pod = seen(make_pod(), PodStatus(phase="Failed"))
        assert status_of(pod, runtime_status(container())).phase == "Failed"

    def test_a_deadline_fails_the_pod(self) -> None:
        failure = Failure("DeadlineExceeded", "too long")
        over = container(state="exited")
        status = status_of(make_pod(), runtime_status(over), failure=failure, terminal=True)
        assert (status.phase, status.reason, status.message) == ("Failed", "DeadlineExceeded", "too long")

    def test_a_pod_has_not_failed_while_something_of_it_runs(self) -> None:
        """A Job would start its replacement beside it."""
        status = status_of(make_pod(), runtime_status(container()), failure=Failure("DeadlineExceeded", "too long"))
        assert (status.phase, status.reason) == ("Running", None)

    def test_a_disruption_is_no_fault_of_the_pod(self) -> None:
        failure = Failure("Terminated", "node shutdown", disruption=True)
        over = runtime_status(container(state="exited"), ready=False)
        conditions = status_of(make_pod(), over, failure=failure, terminal=True).conditions
        condition = get_condition(conditions, "DisruptionTarget")
        assert condition is not None
        assert (condition.status, condition.reason) == ("True", "TerminationByKubelet")


class TestContainerStates:
    def test_a_pod_runs_while_one_container_does(self) -> None:
        status = status_of(make_pod(), runtime_status(container()))
        app = (status.containerStatuses or [])[0]
        assert app.containerID == "docker://app-0"
        assert app.imageID == "sha256:0123"
        assert app.state.running is not None
        assert app.state.running.startedAt == format_time(NOW - 90)
        assert (app.ready, app.started, app.restartCount) == (True, True, 0)

    @pytest.mark.parametrize(
        ("spec", "reason"), [({}, "ContainerCreating"), ({"initContainers": [INIT]}, "PodInitializing")]
    )
    def test_not_yet_there(self, spec: dict[str, Any], reason: str) -> None:
        app = (status_of(make_pod(spec)).containerStatuses or [])[0]
        assert app.state.waiting is not None
        assert app.state.waiting.reason == reason
        assert (app.ready, app.started, app.containerID, app.image) == (False, False, None, "app:1")

    def test_waiting_for_its_image(self) -> None:
        waiting = {"app": Waiting("ImagePullBackOff", "Back-off pulling image")}
        app = (status_of(make_pod(), runtime_status(), waiting=waiting).containerStatuses or [])[0]
        assert app.state.waiting is not None
        assert (app.state.waiting.reason, app.state.waiting.message) == ("ImagePullBackOff", "Back-off pulling image")

    def test_crash_loop_shows_the_crash_as_last_state(self) -> None:
        crashed = runtime_status(container(state="exited", exit_code=3, attempt=2))
        app = (status_of(make_pod(), crashed, waiting={"app": Waiting("CrashLoopBackOff")}).containerStatuses or [])[0]
        assert app.state.waiting is not None
        assert app.state.terminated is None
        assert app.lastState.terminated is not None
        assert app.lastState.terminated.exitCode == 3
        assert app.restartCount == 2

    def test_a_running_container_is_not_waiting(self) -> None:
        app = (
            status_of(make_pod(), runtime_status(container()), waiting={"app": Waiting("X")}).containerStatuses or []
        )[0]
        assert app.state.running is not None

    def test_the_attempt_before_is_the_last_state(self) -> None:
        attempts = runtime_status(container(state="exited", exit_code=1), container(attempt=1))
        app = (status_of(make_pod(), attempts).containerStatuses or [])[0]
        assert app.lastState.terminated is not None
        assert app.lastState.terminated.containerID == "docker://app-0"

    def test_the_last_state_is_remembered_when_its_container_is_removed(self) -> None:
        pod = make_pod()
        both = runtime_status(container(state="exited", exit_code=7), container(attempt=1))
        pod = seen(pod, status_of(pod, both))
        app = (status_of(pod, runtime_status(container(attempt=1))).containerStatuses or [])[0]
        assert app.lastState.terminated is not None
        assert app.lastState.terminated.exitCode == 7

    def test_a_removed_container_waits_and_keeps_its_count(self) -> None:
        pod = make_pod()
        pod = seen(pod, status_of(pod, runtime_status(container(attempt=2))))
        status = status_of(pod, runtime_status())
        app = (status.containerStatuses or [])[0]
        assert app.state.waiting is not None
        assert app.lastState.terminated is not None
        assert (app.lastState.terminated.reason, app.lastState.terminated.exitCode) == ("ContainerStatusUnknown", 137)
        assert (app.restartCount, app.containerID) == (2, "docker://app-2")
        assert status_of(seen(pod, status), runtime_status()) == status

    def test_a_container_that_never_came_is_unknown_at_the_end(self) -> None:
        app = (status_of(make_pod(), None, terminal=True).containerStatuses or [])[0]
        assert app.state.terminated is not None
        assert app.state.terminated.reason == "ContainerStatusUnknown"

    def test_a_completed_init_container_is_ready(self) -> None:
        pod = make_pod({"initContainers": [INIT]})
        status = status_of(pod, runtime_status(container("init", "exited", kind="init")))
        init = (status.initContainerStatuses or [])[0]
        assert (init.ready, init.started) == (True, False)

    def test_mounts_and_resources_are_shown(self) -> None:
        app = {
            "name": "app",
            "image": "i",
            "resources": {"requests": {"cpu": "100m"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}],
        }
        shown = (status_of(make_pod({"containers": [app]})).containerStatuses or [])[0]
        assert shown.allocatedResources == {"cpu": "100m"}
        assert shown.volumeMounts is not None
        assert (shown.volumeMounts[0].readOnly, shown.volumeMounts[0].recursiveReadOnly) == (True, "Disabled")

    @pytest.mark.parametrize(
        ("asked", "can", "shown"),
        [
            (None, True, "Disabled"),
            ("Disabled", True, "Disabled"),
            ("IfPossible", True, "Enabled"),
            ("IfPossible", False, "Disabled"),
            ("Enabled", True, "Enabled"),
        ],
    )
    def test_how_far_read_only_reaches_is_shown(self, asked: str | None, can: bool, shown: str) -> None:
        mount = {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": asked}
        pod = make_pod({"containers": [{"name": "app", "image": "i", "volumeMounts": [mount]}]})
        (status,) = status_of(pod, recursive_read_only=can).containerStatuses or []
        assert [item.recursiveReadOnly for item in status.volumeMounts or ()] == [shown]


class TestReadiness:
    spec = {"containers": [{"name": "app", "image": "app:1", "readinessProbe": {"tcpSocket": {"port": 80}}}]}

    def test_needs_the_readiness_probe(self) -> None:
        pod, runtime = make_pod(self.spec), runtime_status(container())
        assert condition(status_of(pod, runtime), "Ready").status == "False"
        ready = status_of(pod, runtime, readiness={"app-0": "success"})
        assert condition(ready, "Ready").status == "True"

    def test_a_verdict_of_the_instance_before_does_not_count(self) -> None:
        status = status_of(make_pod(self.spec), runtime_status(container(attempt=1)), readiness={"app-0": "success"})
        assert condition(status, "Ready").status == "False"

    def test_needs_the_startup_probe(self) -> None:
        pod = make_pod({"containers": [{"name": "app", "image": "app:1", "startupProbe": {"tcpSocket": {"port": 80}}}]})
        app = (status_of(pod, runtime_status(container())).containerStatuses or [])[0]
        assert (app.started, app.ready) == (False, False)
        app = (status_of(pod, runtime_status(container()), startup={"app-0": "success"}).containerStatuses or [])[0]
        assert (app.started, app.ready) == (True, True)

    def test_names_the_unready_containers(self) -> None:
        pod = make_pod({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]})
        found = condition(status_of(pod, runtime_status()), "ContainersReady")
        assert (found.reason, found.message) == ("ContainersNotReady", "containers with unready status: [a b]")

    @pytest.mark.parametrize(("code", "reason"), [(0, "PodCompleted"), (1, "PodFailed")])
    def test_ends_with_the_pod(self, code: int, reason: str) -> None:
        pod = make_pod({"restartPolicy": "Never"})
        status = status_of(pod, runtime_status(container(state="exited", exit_code=code)), terminal=True)
        assert [
            (condition(status, kind).status, condition(status, kind).reason) for kind in ("Ready", "ContainersReady")
        ] == [("False", reason)] * 2

    def test_readiness_gates(self) -> None:
        pod = make_pod({"readinessGates": [{"conditionType": "example.com/lb"}]})
        missing = condition(status_of(pod, runtime_status(container())), "Ready")
        assert missing.reason == "ReadinessGatesNotReady"
        assert missing.message == 'corresponding condition of pod readiness gate "example.com/lb" does not exist.'
        gate = PodCondition(type="example.com/lb", status="False")
        closed = condition(status_of(seen(pod, PodStatus(conditions=[gate])), runtime_status(container())), "Ready")
        assert closed.message == 'the status of pod readiness gate "example.com/lb" is not "True", but False'
        gate = PodCondition(type="example.com/lb", status="True")
        opened = status_of(seen(pod, PodStatus(conditions=[gate])), runtime_status(container()))
        assert condition(opened, "Ready").status == "True"
        assert condition(opened, "example.com/lb").status == "True"

    def test_sidecars_count(self) -> None:
        pod = make_pod({"initContainers": [SIDECAR | {"readinessProbe": {"tcpSocket": {"port": 1}}}]})
        status = status_of(pod, runtime_status(container("side", kind="init"), container()))
        assert condition(status, "Ready").message == "containers with unready status: [side]"


class TestConditions:
    def test_initialized_follows_the_init_containers(self) -> None:
        pod = make_pod({"initContainers": [INIT]})
        found = condition(status_of(pod, runtime_status(container("init", kind="init"))), "Initialized")
        assert (found.status, found.reason) == ("False", "ContainersNotInitialized")
        assert found.message == "containers with incomplete status: [init]"
        done = status_of(pod, runtime_status(container("init", "exited", kind="init")))
        assert condition(done, "Initialized").status == "True"

    def test_initialized_stays_when_traces_of_init_containers_are_gone(self) -> None:
        pod = make_pod({"initContainers": [INIT]})
        assert condition(status_of(pod, runtime_status(container())), "Initialized").status == "True"

    def test_ready_to_start_containers_follows_the_sandbox(self) -> None:
        kind = "PodReadyToStartContainers"
        assert condition(status_of(make_pod()), kind).status == "False"
        assert condition(status_of(make_pod(), runtime_status()), kind).status == "True"
        assert condition(status_of(make_pod(), runtime_status(ready=False)), kind).status == "False"

    def test_transition_time_moves_only_with_the_status(self) -> None:
        pod = make_pod()
        first = compute_status(pod, runtime_status(container()), StatusInputs(now=NOW))
        later = StatusInputs(now=NOW + 60)
        same = compute_status(seen(pod, first), runtime_status(container()), later)
        assert condition(same, "Ready").lastTransitionTime == format_time(NOW)
        ended = compute_status(seen(pod, first), runtime_status(container(state="exited")), later)
        assert condition(ended, "Ready").lastTransitionTime == format_time(NOW + 60)

    def test_nothing_changes_without_a_reason(self) -> None:
        pod = make_pod()
        first = status_of(pod, runtime_status(container()))
        again = compute_status(
            seen(pod, first), runtime_status(container()), StatusInputs(now=NOW + 9, node_ips=("192.168.0.5",))
        )
        assert again == first


class TestAddresses:
    def test_addresses_of_pod_and_host(self) -> None:
        status = status_of(make_pod(), runtime_status(container()))
        assert (status.hostIP, status.podIP) == ("192.168.0.5", "10.244.1.5")
        assert [item.ip for item in status.podIPs or ()] == ["10.244.1.5"]

    def test_host_network_shows_the_nodes_address(self) -> None:
        assert status_of(make_pod({"hostNetwork": True}), runtime_status(container())).podIP == "192.168.0.5"

    def test_an_ended_pod_keeps_its_address(self) -> None:
        pod = seen(make_pod(), from_dict(PodStatus, {"podIP": "10.244.1.5", "podIPs": [{"ip": "10.244.1.5"}]}))
        assert status_of(pod, runtime_status(container(state="exited"), ready=False)).podIP == "10.244.1.5"


def test_start_time_is_set_once() -> None:
    first = status_of(make_pod())
    assert first.startTime == format_time(NOW)
    later = compute_status(seen(make_pod(), first), None, StatusInputs(now=NOW + 99))
    assert later.startTime == format_time(NOW)


def test_a_rejected_pod_has_failed() -> None:
    status = rejected_status(make_pod(generation=3), Failure("OutOfcpu", "Node didn't have enough resource: cpu"), NOW)
    assert (status.phase, status.reason, status.observedGeneration) == ("Failed", "OutOfcpu", 3)
    assert status.message == "Pod was rejected: Node didn't have enough resource: cpu"
    assert status.qosClass == "BestEffort"


class TestTheEnd:
    """Nothing of the pod runs any more."""

    def states(self, pod: Any, *containers: Any) -> dict[str, str | None]:
        status = status_of(pod, runtime_status(*containers, ready=False), terminal=True)
        items = (*(status.initContainerStatuses or ()), *(status.containerStatuses or ()))
        return {
            item.name: item.state.terminated.reason if item.state.terminated else (item.state.waiting or Any).reason
            for item in items
        }

    def test_containers_whose_turn_never_came_still_wait(self) -> None:
        inits = [{"name": name, "image": "app:1"} for name in ("i1", "i2")]
        pod = make_pod({"initContainers": inits, "restartPolicy": "Never"})
        failed = container("i1", "exited", exit_code=1, kind="init")
        assert self.states(pod, failed) == {"i1": "Error", "i2": "PodInitializing", "app": "PodInitializing"}
        condition = get_condition(
            status_of(pod, runtime_status(failed, ready=False), terminal=True).conditions, "Initialized"
        )
        assert condition is not None
        assert condition.message == "containers with incomplete status: [i1 i2]"

    def test_the_first_init_container_has_failed_though_none_started(self) -> None:
        pod = make_pod({"initContainers": [{"name": name, "image": "app:1"} for name in ("i1", "i2")]})
        assert self.states(pod) == {"i1": "ContainerStatusUnknown", "i2": "PodInitializing", "app": "PodInitializing"}

    def test_a_container_without_a_trace_has_failed_once_the_pod_was_initialized(self) -> None:
        assert self.states(make_pod()) == {"app": "ContainerStatusUnknown"}
        pod = make_pod({"initContainers": [{"name": "i1", "image": "app:1"}]})
        done = container("i1", "exited", kind="init")
        assert self.states(pod, done) == {"i1": "Completed", "app": "ContainerStatusUnknown"}


def test_termination_messages_share_what_a_pod_may_say() -> None:
    pod = make_pod({"containers": [{"name": f"c{number}", "image": "app:1"} for number in range(6)]})
    over = [container(f"c{number}", "exited", message="é" * 2048) for number in range(6)]
    statuses = status_of(pod, runtime_status(*over)).containerStatuses or []
    messages = [item.state.terminated.message or "" for item in statuses if item.state.terminated]
    assert [len(message.encode()) for message in messages] == [2048] * 6


def test_statuses_are_in_the_order_of_their_names() -> None:
    pod = make_pod({"containers": [{"name": name, "image": "app:1"} for name in ("zeta", "alpha")]})
    statuses = status_of(pod, runtime_status(container("zeta"), container("alpha"))).containerStatuses or []
    assert [item.name for item in statuses] == ["alpha", "zeta"]
