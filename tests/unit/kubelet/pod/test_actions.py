"""What the kubelet decides to do next for a pod."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubeapi.core.pod.status import ContainerState, ContainerStatus, PodStatus
from kubelet.container.backoff import KeyedBackoff
from kubelet.pod.actions import PodActions, backoff_key, compute_actions, deadline_remaining, should_restart
from kubelet.probe.state import Verdicts
from tests.kits.node.kubelet import NOW, container, make_pod, runtime_status, sandbox

SIDECAR = {"name": "side", "image": "app:1", "restartPolicy": "Always"}
INIT = {"name": "init", "image": "app:1"}


def actions(pod: Any, status: Any = None, **more: Any) -> PodActions:
    given: dict[str, Any] = {"now": NOW, "verdicts": Verdicts(), "backoff": KeyedBackoff()} | more
    return compute_actions(pod, status, **given)


def starts(result: PodActions) -> list[tuple[str, int]]:
    return [(start.name, start.attempt) for start in result.start]


def test_new_pod_gets_a_sandbox_first() -> None:
    assert actions(make_pod()) == PodActions(create_sandbox=True)


def test_containers_start_together_in_a_ready_sandbox() -> None:
    pod = make_pod({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]})
    assert starts(actions(pod, runtime_status())) == [("a", 0), ("b", 0)]


def test_running_pod_needs_nothing() -> None:
    result = actions(make_pod(), runtime_status(container()))
    assert result == PodActions()
    assert not result.finished


def test_created_container_is_started_not_created_again() -> None:
    """The kubelet died between create and start."""
    assert starts(actions(make_pod(), runtime_status(container(state="created")))) == [("app", 0)]


@pytest.mark.parametrize(
    ("policy", "exit_code", "restarts"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_restart_policy(policy: str, exit_code: int, restarts: bool) -> None:
    pod = make_pod({"restartPolicy": policy})
    result = actions(pod, runtime_status(container(state="exited", exit_code=exit_code)))
    assert starts(result) == ([("app", 1)] if restarts else [])
    assert result.finished is not restarts


def test_pod_goes_on_while_any_container_runs() -> None:
    pod = make_pod(
        {"restartPolicy": "Never", "containers": [{"name": "a", "image": "app:1"}, {"name": "b", "image": "app:1"}]}
    )
    assert actions(pod, runtime_status(container("a", "exited"), container("b"))) == PodActions()


def test_first_crash_restarts_at_once_and_the_next_waits() -> None:
    pod, backoff = make_pod(), KeyedBackoff()
    crashed = runtime_status(container(state="exited", exit_code=1, finished_at=NOW))
    first = actions(pod, crashed, backoff=backoff).start[0]
    assert first.wait_seconds == 0
    backoff.advance(first.backoff_key, first.failed_at)
    again = runtime_status(container(state="exited", exit_code=1, attempt=1, finished_at=NOW + 2))
    result = actions(pod, again, backoff=backoff, now=NOW + 3)
    assert result.start[0].wait_seconds == pytest.approx(9)
    assert not result.finished


def test_new_image_replaces_the_running_container_at_once() -> None:
    pod, backoff = make_pod({"containers": [{"name": "app", "image": "app:2"}]}), KeyedBackoff()
    result = actions(pod, runtime_status(container()), backoff=backoff)
    assert [(kill.name, kill.reason) for kill in result.kill] == [("app", "changed")]
    assert result.kill[0].message == "Container app definition changed, will be restarted"
    assert starts(result) == [("app", 1)]


def test_changed_container_restarts_even_with_policy_never() -> None:
    pod = make_pod({"restartPolicy": "Never", "containers": [{"name": "app", "image": "app:2"}]})
    assert starts(actions(pod, runtime_status(container()))) == [("app", 1)]


@pytest.mark.parametrize("probe", ["liveness", "startup"])
def test_failed_probe_kills_and_restarts(probe: str) -> None:
    verdicts = Verdicts(**{probe: {"app-0": "failure"}})  # type: ignore[arg-type]
    result = actions(make_pod(), runtime_status(container()), verdicts=verdicts)
    assert result.kill[0].message == f"Container app failed {probe} probe, will be restarted"
    assert starts(result) == [("app", 1)]


def test_failed_liveness_probe_ends_a_pod_that_never_restarts() -> None:
    pod = make_pod({"restartPolicy": "Never"})
    result = actions(pod, runtime_status(container()), verdicts=Verdicts(liveness={"app-0": "failure"}))
    assert result.finished
    assert result.kill[0].message == "Container app failed liveness probe"


def test_verdict_about_an_older_instance_is_ignored() -> None:
    verdicts = Verdicts(liveness={"app-0": "failure"})
    assert actions(make_pod(), runtime_status(container(attempt=1)), verdicts=verdicts) == PodActions()


def test_dead_sandbox_is_replaced() -> None:
    result = actions(make_pod(), runtime_status(container(), ready=False))
    assert result == PodActions(kill_pod=True, create_sandbox=True, sandbox_attempt=1)


def test_a_sandbox_that_has_lost_its_network_is_replaced() -> None:
    lost = replace(sandbox(), ips=())
    assert actions(make_pod(), runtime_status(container(), sandboxes=[lost])).create_sandbox
    on_host = replace(lost, host_network=True)
    assert not actions(make_pod(), runtime_status(container(), sandboxes=[on_host])).create_sandbox


def test_dead_sandbox_of_a_pod_that_never_restarts_ends_it() -> None:
    pod = make_pod({"restartPolicy": "Never"})
    assert actions(pod, runtime_status(container(), ready=False)).finished


def test_dead_sandbox_before_any_container_is_replaced_whatever_the_policy() -> None:
    pod = make_pod({"restartPolicy": "Never"})
    assert actions(pod, runtime_status(ready=False)).create_sandbox


def test_completed_pod_gets_no_new_sandbox() -> None:
    pod = make_pod({"restartPolicy": "OnFailure"})
    assert actions(pod, runtime_status(container(state="exited"), ready=False)).finished


def test_two_ready_sandboxes_are_both_replaced() -> None:
    status = runtime_status(container(), sandboxes=[sandbox(1), sandbox(0)])
    assert actions(make_pod(), status) == PodActions(kill_pod=True, create_sandbox=True, sandbox_attempt=2)


def test_container_of_an_old_sandbox_is_replaced() -> None:
    status = runtime_status(container(sandbox="sb-0"), sandboxes=[sandbox(1), sandbox(0, ready=False)])
    result = actions(make_pod(), status)
    assert [kill.reason for kill in result.kill] == ["sandbox"]
    assert starts(result) == [("app", 1)]


class TestInitContainers:
    def test_they_run_one_after_the_other(self) -> None:
        pod = make_pod({"initContainers": [{"name": "i1", "image": "app:1"}, {"name": "i2", "image": "app:1"}]})
        assert starts(actions(pod, runtime_status())) == [("i1", 0)]
        running = container("i1", kind="init")
        assert actions(pod, runtime_status(running)) == PodActions()
        done = container("i1", "exited", kind="init")
        assert starts(actions(pod, runtime_status(done))) == [("i2", 0)]
        both = container("i2", "exited", kind="init")
        assert starts(actions(pod, runtime_status(done, both))) == [("app", 0)]

    def test_a_failed_one_is_repeated(self) -> None:
        pod = make_pod({"initContainers": [INIT], "restartPolicy": "OnFailure"})
        status = runtime_status(container("init", "exited", exit_code=1, kind="init"))
        assert starts(actions(pod, status)) == [("init", 1)]

    def test_a_failed_one_ends_a_pod_that_never_restarts(self) -> None:
        pod = make_pod({"initContainers": [INIT], "restartPolicy": "Never"})
        status = runtime_status(container("init", "exited", exit_code=1, kind="init"))
        assert actions(pod, status).finished

    def test_they_do_not_run_again_beside_regular_containers(self) -> None:
        """Their traces may have been removed."""
        pod = make_pod({"initContainers": [INIT]})
        assert actions(pod, runtime_status(container())) == PodActions()

    def test_they_run_again_in_a_new_sandbox(self) -> None:
        pod = make_pod({"initContainers": [INIT]})
        old = [container("init", "exited", kind="init"), container(state="exited", exit_code=137)]
        status = runtime_status(*old, sandboxes=[sandbox(1), sandbox(0, ready=False)])
        assert starts(actions(pod, status)) == [("init", 1)]


class TestSidecars:
    def test_the_next_container_starts_when_the_sidecar_runs(self) -> None:
        pod = make_pod({"initContainers": [SIDECAR, INIT]})
        assert starts(actions(pod, runtime_status())) == [("side", 0)]
        side = container("side", kind="init")
        assert starts(actions(pod, runtime_status(side))) == [("init", 0)]

    def test_the_next_container_waits_for_the_startup_probe(self) -> None:
        pod = make_pod({"initContainers": [SIDECAR | {"startupProbe": {"tcpSocket": {"port": 1}}}]})
        side = runtime_status(container("side", kind="init"))
        assert actions(pod, side) == PodActions()
        started = Verdicts(startup={"side-0": "success"})
        assert starts(actions(pod, side, verdicts=started)) == [("app", 0)]

    @pytest.mark.parametrize("policy", ["Always", "Never"])
    def test_an_exited_sidecar_is_restarted_whatever_the_policy(self, policy: str) -> None:
        pod = make_pod({"initContainers": [SIDECAR], "restartPolicy": policy})
        status = runtime_status(container("side", "exited", kind="init"), container())
        assert starts(actions(pod, status)) == [("side", 1)]

    def test_an_earlier_sidecar_is_restarted_while_a_later_init_container_runs(self) -> None:
        pod = make_pod({"initContainers": [SIDECAR, INIT]})
        status = runtime_status(container("side", "exited", kind="init"), container("init", kind="init"))
        assert starts(actions(pod, status)) == [("side", 1)]

    def test_sidecars_do_not_keep_a_finished_pod_alive(self) -> None:
        pod = make_pod({"initContainers": [SIDECAR], "restartPolicy": "Never"})
        status = runtime_status(container("side", kind="init"), container(state="exited"))
        assert actions(pod, status).finished

    def test_a_sidecar_that_fails_its_liveness_probe_is_replaced(self) -> None:
        pod = make_pod({"initContainers": [SIDECAR], "restartPolicy": "Never"})
        status = runtime_status(container("side", kind="init"), container())
        result = actions(pod, status, verdicts=Verdicts(liveness={"side-0": "failure"}))
        assert result.kill[0].message == "Init container side failed liveness probe"
        assert starts(result) == [("side", 1)]


class TestLostContainers:
    """Somebody removed a container behind the kubelet's back."""

    def reported(self, pod: Any, restarts: int = 2) -> Any:
        state = ContainerState()
        known = ContainerStatus(name="app", containerID=f"docker://app-{restarts}", restartCount=restarts, state=state)
        return pod.model_copy(update={"status": PodStatus(containerStatuses=[known])})

    def test_the_restart_count_goes_on(self) -> None:
        assert starts(actions(self.reported(make_pod()), runtime_status())) == [("app", 3)]

    def test_the_restart_count_goes_on_when_only_the_newest_is_gone(self) -> None:
        older = runtime_status(container(state="exited", exit_code=1, attempt=1))
        assert starts(actions(self.reported(make_pod()), older)) == [("app", 3)]

    def test_a_newer_container_than_reported_is_not_lost(self) -> None:
        assert actions(self.reported(make_pod()), runtime_status(container(attempt=3))) == PodActions()

    def test_it_is_not_started_again_with_policy_never(self) -> None:
        pod = self.reported(make_pod({"restartPolicy": "Never"}), restarts=0)
        assert actions(pod, runtime_status()).finished

    def test_a_lost_ephemeral_container_stays_away(self) -> None:
        pod = make_pod({"ephemeralContainers": [{"name": "debug", "image": "app:1"}]})
        known = ContainerStatus(name="debug", containerID="docker://debug-0")
        pod = pod.model_copy(update={"status": PodStatus(ephemeralContainerStatuses=[known])})
        assert actions(pod, runtime_status(container())) == PodActions()


class TestEphemeralContainers:
    def test_one_is_started_beside_what_runs_and_never_again(self) -> None:
        pod = make_pod({"ephemeralContainers": [{"name": "debug", "image": "app:1"}]})
        assert starts(actions(pod, runtime_status(container()))) == [("debug", 0)]
        over = container("debug", "exited", exit_code=1, kind="ephemeral")
        assert actions(pod, runtime_status(container(), over)) == PodActions()

    def test_one_starts_before_the_pod_is_initialized(self) -> None:
        pod = make_pod({"initContainers": [INIT], "ephemeralContainers": [{"name": "debug", "image": "app:1"}]})
        assert starts(actions(pod, runtime_status(container("init", kind="init")))) == [("debug", 0)]


class TestContainerRestartRules:
    def test_the_containers_own_policy_wins(self) -> None:
        spec = {
            "restartPolicy": "Never",
            "containers": [{"name": "app", "image": "app:1", "restartPolicy": "OnFailure"}],
        }
        pod = make_pod(spec)
        assert should_restart(pod, pod.spec.containers[0], 1)
        assert not should_restart(pod, pod.spec.containers[0], 0)

    @pytest.mark.parametrize(("operator", "code", "restarts"), [("In", 42, True), ("In", 1, False), ("NotIn", 1, True)])
    def test_exit_codes_decide_over_restarts(self, operator: str, code: int, restarts: bool) -> None:
        rule = {"action": "Restart", "exitCodes": {"operator": operator, "values": [42]}}
        app = {"name": "app", "image": "app:1", "restartPolicy": "Never", "restartPolicyRules": [rule]}
        pod = make_pod({"restartPolicy": "Never", "containers": [app]})
        assert should_restart(pod, pod.spec.containers[0], code) is restarts


def test_backoff_key_changes_with_the_image() -> None:
    first, second = make_pod(), make_pod({"containers": [{"name": "app", "image": "app:2"}]})
    assert backoff_key(first, first.spec.containers[0]) != backoff_key(second, second.spec.containers[0])


def test_the_seconds_until_the_active_deadline() -> None:
    pod = make_pod({"activeDeadlineSeconds": 30})
    assert deadline_remaining(pod, None, NOW) is None
    assert deadline_remaining(pod, NOW - 10, NOW) == 20
    assert deadline_remaining(pod, NOW - 31, NOW) == 0
    assert deadline_remaining(make_pod(), NOW - 31, NOW) is None


class TestKillsAndRestartRules:
    def test_rules_do_not_speak_about_a_container_that_still_runs(self) -> None:
        rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [143]}}
        app = {"name": "app", "image": "app:1", "restartPolicy": "Never", "restartPolicyRules": [rule]}
        pod = make_pod({"restartPolicy": "Always", "containers": [app]})
        result = actions(pod, runtime_status(container()), verdicts=Verdicts(liveness={"app-0": "failure"}))
        assert [kill.message for kill in result.kill] == ["Container app failed liveness probe"]
        assert (result.start, result.finished) == ((), False)
        assert starts(actions(pod, runtime_status(container(state="exited", exit_code=143)))) == [("app", 1)]
        assert actions(pod, runtime_status(container(state="exited", exit_code=1))).finished

    def test_an_init_container_is_repeated_as_its_own_rules_say(self) -> None:
        rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
        init = INIT | {"restartPolicy": "Never", "restartPolicyRules": [rule]}
        pod = make_pod({"initContainers": [init], "restartPolicy": "Never"})
        assert starts(actions(pod, runtime_status(container("init", "exited", exit_code=42, kind="init")))) == [
            ("init", 1)
        ]
        assert actions(pod, runtime_status(container("init", "exited", exit_code=1, kind="init"))).finished

    def test_an_unhealthy_sidecar_does_not_hold_up_the_next_container(self) -> None:
        pod = make_pod({"initContainers": [SIDECAR]})
        unhealthy = Verdicts(liveness={"side-0": "failure"})
        result = actions(pod, runtime_status(container("side", kind="init")), verdicts=unhealthy)
        assert starts(result) == [("side", 1), ("app", 0)]
