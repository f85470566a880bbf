"""The life of pods on a node: started, kept running, ended, cleaned up, through crashes of anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.model import from_dict
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.node import Node
from kubeapi.core.pod.status import ContainerStatus
from kubelet.runtime.interface import EngineError, RuntimeUnavailable
from tests.fakes.clock import idle
from tests.fakes.programs import Script
from tests.kits.eventually import eventually_async
from tests.kits.node.kubeletbench import Bench

APP = {"name": "app", "image": "app:1"}


def phase(bench: Bench) -> str | None:
    return bench.api.get().status.phase


def app_status(bench: Bench) -> ContainerStatus:
    return (bench.api.get().status.containerStatuses or [ContainerStatus()])[0]


def waiting_reason(bench: Bench) -> str | None:
    waiting = app_status(bench).state.waiting
    return waiting.reason if waiting else None


def ready(bench: Bench) -> bool:
    found = get_condition(bench.api.get().status.conditions, "Ready")
    return found is not None and found.status == "True"


async def started(bench: Bench, spec: dict[str, Any] | None = None) -> None:
    bench.add(spec)
    await eventually_async(lambda: phase(bench) == "Running")


async def test_a_pod_is_started_and_reported(bench: Bench) -> None:
    await started(bench)
    await eventually_async(lambda: ready(bench))
    status = bench.api.get().status
    assert status.podIP
    assert status.hostIP == "192.168.0.5"
    assert app_status(bench).containerID == f"docker://{bench.runtime.find('uid-1', 'app').status.id}"
    assert bench.reasons() == ["Pulled", "Created", "Started"]


async def test_nothing_is_written_or_asked_when_nothing_happens(bench: Bench) -> None:
    await started(bench)
    await eventually_async(lambda: ready(bench))
    await idle()
    patches, calls = len(bench.api.patches), len(bench.runtime.calls)
    await bench.clock.advance(600)
    assert (len(bench.api.patches), len(bench.runtime.calls)) == (patches, calls)


async def test_a_crashed_container_restarts_at_once_and_then_backs_off(bench: Bench) -> None:
    await started(bench)
    bench.runtime.exit(bench.runtime.find("uid-1", "app").status.id, 3)
    await eventually_async(lambda: app_status(bench).restartCount == 1 and bench.running())
    bench.runtime.exit(bench.runtime.find("uid-1", "app").status.id, 3)
    await eventually_async(lambda: waiting_reason(bench) == "CrashLoopBackOff")
    last = app_status(bench).lastState.terminated
    assert last is not None
    assert last.exitCode == 3
    await bench.clock.advance(9)
    assert not bench.running()
    await bench.clock.advance(1.5)
    await eventually_async(bench.running)
    await eventually_async(lambda: app_status(bench).restartCount == 2)
    assert bench.reasons().count("BackOff") == 1


@pytest.mark.parametrize(
    ("policy", "code", "end"), [("Never", 0, "Succeeded"), ("Never", 2, "Failed"), ("OnFailure", 0, "Succeeded")]
)
async def test_a_pod_that_runs_to_its_end(bench: Bench, policy: str, code: int, end: str) -> None:
    bench.runtime.programs["app"] = Script(exit_code=code)
    bench.add({"restartPolicy": policy})
    await eventually_async(lambda: phase(bench) == end)
    assert app_status(bench).state.terminated is not None
    assert not any(sandbox.ready for sandbox, _ in bench.runtime.sandboxes.values())
    assert [c.status.name for c in bench.runtime.containers.values()] == ["app"]  # kept for its logs


async def test_deletion_stops_the_pod_and_takes_it_out_of_the_api(bench: Bench) -> None:
    await started(bench, {"volumes": [{"name": "v", "emptyDir": {}}], "containers": [APP]})
    assert bench.volumes.pod_uids() == ["uid-1"]
    bench.api.ask_deletion()
    await eventually_async(lambda: bench.api.deleted == ["web"])
    await eventually_async(lambda: len(bench.table) == 0)
    assert (bench.runtime.containers, bench.runtime.sandboxes) == ({}, {})
    assert bench.volumes.pod_uids() == []
    assert "Killing" in bench.reasons()
    assert bench.objects.used["uid-1"] == set()


async def test_the_sandbox_holds_memory_volumes_so_that_they_outlive_a_crash(bench: Bench) -> None:
    volumes = [{"name": "m", "emptyDir": {"medium": "Memory"}}, {"name": "d", "emptyDir": {}}]
    await started(bench, {"volumes": volumes, "containers": [APP]})
    _, config = next(iter(bench.runtime.sandboxes.values()))
    assert config.memory_volumes == ("k8s-uid-1-m",)


async def test_a_memory_volume_that_cannot_be_removed_does_not_keep_the_pod(bench: Bench) -> None:
    await started(bench, {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}], "containers": [APP]})
    bench.runtime.fail_next("remove_memory_volume", EngineError("volume has active mounts"))
    bench.api.ask_deletion()
    await eventually_async(lambda: bench.api.deleted == ["web"])


async def test_a_pod_leaves_the_api_before_its_stopped_containers_are_removed(bench: Bench) -> None:
    await started(bench)
    bench.runtime.fail_next("remove_container", EngineError("device or resource busy"))
    bench.api.ask_deletion()
    await eventually_async(lambda: bench.api.deleted == ["web"])
    assert len(bench.runtime.containers) == 1
    await bench.clock.advance(2)
    await eventually_async(lambda: len(bench.table) == 0)
    assert (bench.runtime.containers, bench.runtime.sandboxes) == ({}, {})


async def test_a_pod_leaves_the_api_only_when_its_end_was_reported(bench: Bench) -> None:
    await started(bench)
    bench.api.failures = [ConnectionError("down")] * 3
    bench.api.ask_deletion()
    await idle()
    assert bench.api.deleted == []
    for _ in range(6):
        await bench.clock.advance(5)
    await eventually_async(lambda: bench.api.deleted == ["web"])
    assert any(patch.get("phase") in ("Succeeded", "Failed") for patch in bench.api.patches)


async def test_a_deaf_container_is_killed_after_the_grace_period(bench: Bench) -> None:
    bench.runtime.programs["app"] = Script(exit_code=None, ignores_sigterm=True)
    await started(bench)
    bench.api.ask_deletion(grace_seconds=20)
    await bench.clock.advance(19)
    assert bench.running()
    await bench.clock.advance(1)
    await eventually_async(lambda: bench.api.deleted == ["web"])


async def test_a_shorter_grace_period_applies_at_once(bench: Bench) -> None:
    bench.runtime.programs["app"] = Script(exit_code=None, ignores_sigterm=True)
    await started(bench)
    bench.api.ask_deletion(grace_seconds=600)
    await bench.clock.advance(5)
    bench.api.ask_deletion(grace_seconds=2)
    await bench.clock.advance(2)
    await eventually_async(lambda: bench.api.deleted == ["web"])
    assert bench.reasons().count("Killing") == 1


async def test_a_forced_deletion_ends_the_containers_too(bench: Bench) -> None:
    await started(bench)
    bench.api.remove()
    await eventually_async(lambda: len(bench.table) == 0)
    assert bench.runtime.containers == {}
    assert bench.api.deleted == []


async def test_an_ended_pod_that_disappears_while_the_runtime_is_down_is_cleaned_up_later(bench: Bench) -> None:
    bench.runtime.programs["app"] = Script(exit_code=0)
    bench.add({"restartPolicy": "Never"})
    await eventually_async(lambda: phase(bench) == "Succeeded")
    bench.runtime.available = False
    bench.api.remove()
    await idle()
    assert len(bench.table) == 1
    bench.runtime.available = True
    await bench.clock.advance(3)
    await eventually_async(lambda: len(bench.table) == 0)
    assert bench.runtime.containers == {}


async def test_deletion_does_not_wait_for_a_pull(bench: Bench) -> None:
    async def hanging_pull(*_: Any) -> Any:
        await asyncio.Future()

    bench.runtime.pull_image = hanging_pull  # type: ignore[method-assign, assignment]
    bench.add({"containers": [{"name": "app", "image": "slow:1"}]})
    await eventually_async(lambda: "Pulling" in bench.reasons())
    bench.api.ask_deletion()
    await eventually_async(lambda: bench.api.deleted == ["web"])


async def test_an_out_of_memory_event_after_the_end_of_the_pod_still_tells_its_reason(bench: Bench) -> None:
    bench.runtime.programs["app"] = Script(exit_code=137)
    bench.add({"restartPolicy": "Never"})
    await eventually_async(lambda: phase(bench) == "Failed")
    await idle()
    app = bench.runtime.find("uid-1", "app")
    app.status = replace(app.status, reason="OOMKilled")
    bench.table.wake("uid-1")
    await eventually_async(lambda: (app_status(bench).state.terminated or app).reason == "OOMKilled")


async def test_a_sidecar_that_waits_for_its_restart_holds_nothing_up(bench: Bench) -> None:
    sidecar = {"name": "side", "image": "app:1", "restartPolicy": "Always"}
    bench.add({"initContainers": [sidecar, {"name": "init", "image": "app:1"}], "containers": [APP]})
    await eventually_async(lambda: bench.running("init"))
    for attempt in range(2):
        side = bench.runtime.find("uid-1", "side").status
        assert (side.state, side.attempt) == ("running", attempt)
        bench.runtime.exit(side.id, 3)
        await idle()
    assert "BackOff" in bench.reasons()
    bench.runtime.exit(bench.runtime.find("uid-1", "init").status.id, 0)
    await eventually_async(bench.running)


class TestImages:
    async def test_a_failing_pull_backs_off_and_recovers(self, bench: Bench) -> None:
        bench.add({"containers": [{"name": "app", "image": "late:1"}]})
        await eventually_async(lambda: ("Failed", "Error: ErrImagePull") in bench.events)
        await bench.clock.advance(1)
        await eventually_async(lambda: waiting_reason(bench) == "ImagePullBackOff")
        bench.runtime.pullable["docker.io/library/late:1"] = bench.runtime.add_image("docker.io/library/late:1")
        await bench.clock.advance(10)
        await eventually_async(lambda: phase(bench) == "Running")

    async def test_an_absent_image_is_not_pulled_under_policy_never(self, bench: Bench) -> None:
        bench.add({"containers": [{"name": "app", "image": "none:1", "imagePullPolicy": "Never"}]})
        await eventually_async(lambda: waiting_reason(bench) == "ErrImageNeverPull")


class TestConfiguration:
    async def test_a_missing_config_map_is_waited_for(self, bench: Bench) -> None:
        reference = {"configMapKeyRef": {"name": "cm", "key": "k"}}
        bench.add({"containers": [APP | {"env": [{"name": "X", "valueFrom": reference}]}]})
        await eventually_async(lambda: waiting_reason(bench) == "CreateContainerConfigError")
        waiting = app_status(bench).state.waiting
        assert waiting is not None
        assert waiting.message == 'configmap "cm" not found'
        bench.objects.config_maps["cm"] = from_dict(ConfigMap, {"data": {"k": "v"}})
        bench.table.wake("uid-1")
        await eventually_async(lambda: phase(bench) == "Running")
        assert ("X", "v") in bench.runtime.find("uid-1", "app").config.env

    async def test_a_volume_that_cannot_be_mounted_is_told_and_retried(self, bench: Bench) -> None:
        bench.add({"volumes": [{"name": "v", "configMap": {"name": "cm"}}]})
        await eventually_async(lambda: waiting_reason(bench) == "ContainerCreating")
        failure = ("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "cm" not found')
        await eventually_async(lambda: failure in bench.events)
        bench.objects.config_maps["cm"] = from_dict(ConfigMap, {"data": {"k": "v"}})
        await bench.clock.advance(3)
        await eventually_async(lambda: phase(bench) == "Running")

    async def test_a_changed_config_map_shows_in_the_running_pod(self, bench: Bench) -> None:
        bench.objects.config_maps["cm"] = from_dict(ConfigMap, {"data": {"k": "old"}})
        await started(bench, {"volumes": [{"name": "v", "configMap": {"name": "cm"}}]})
        file = Path(bench.volumes.pod_dir("uid-1")) / "volumes/kubernetes.io~configmap/v/k"
        assert file.read_text() == "old"
        bench.objects.config_maps["cm"] = from_dict(ConfigMap, {"data": {"k": "new"}})
        bench.table.wake("uid-1")
        await eventually_async(lambda: file.read_text() == "new")

    async def test_command_and_environment_reach_the_container(self, bench: Bench) -> None:
        env = [{"name": "N", "value": "7"}]
        app = APP | {"command": ["sleep", "$(N)"], "args": ["$$(N)"], "env": env, "workingDir": "/w"}
        await started(bench, {"containers": [app]})
        config = bench.runtime.find("uid-1", "app").config
        assert (config.command, config.args, config.working_dir) == (("sleep", "7"), ("$(N)",), "/w")
        assert [mount.container_path for mount in config.mounts] == ["/etc/hosts"]


class TestStartFailures:
    async def test_a_command_that_does_not_exist(self, bench: Bench) -> None:
        bench.runtime.programs["app"] = Script(startable=False)
        bench.add({"containers": [APP | {"command": ["/none"]}]})
        await eventually_async(lambda: waiting_reason(bench) in ("RunContainerError", "CrashLoopBackOff"))
        await eventually_async(lambda: waiting_reason(bench) == "CrashLoopBackOff")
        last = app_status(bench).lastState.terminated
        assert last is not None
        assert (last.reason, last.exitCode) == ("StartError", 128)

    async def test_a_container_that_cannot_be_created(self, bench: Bench) -> None:
        bench.runtime.fail_next("create_container", EngineError("no space left"), times=3)
        bench.add()
        await eventually_async(lambda: waiting_reason(bench) == "CreateContainerError")
        assert ("Failed", "Error: no space left") in bench.events
        for _ in range(3):
            await bench.clock.advance(20)
        await bench.clock.advance(10)
        await eventually_async(lambda: phase(bench) == "Running")

    async def test_a_node_without_a_network_of_pods_runs_those_of_the_host_s_alone(self, bench: Bench) -> None:
        bench.runtime.set_pod_ranges(())
        bench.add()
        told = (
            "network is not ready: container runtime network not ready: NetworkReady=false "
            "reason:NetworkPluginNotReady message:Network plugin returns error: the Node has no podCIDR yet"
        )
        await eventually_async(lambda: ("NetworkNotReady", told) in bench.events)
        bench.runtime.set_pod_ranges(("10.244.1.0/24",))
        await bench.clock.advance(4)
        await eventually_async(lambda: phase(bench) == "Running")

    async def test_a_limit_that_is_none_is_told(self, bench: Bench) -> None:
        bench.add(annotations={"kubernetes.io/egress-bandwidth": "1"})
        message = (
            "Failed to create pod sandbox: failed to get pod bandwidth info from annotations: "
            "resource is unreasonably small (< 1kbit)"
        )
        await eventually_async(lambda: ("FailedCreatePodSandBox", message) in bench.events)

    async def test_a_sandbox_that_cannot_be_created(self, bench: Bench) -> None:
        bench.runtime.fail_next("create_sandbox", EngineError("no address left"))
        bench.add()
        await eventually_async(
            lambda: ("FailedCreatePodSandBox", "Failed to create pod sandbox: no address left") in bench.events
        )
        await bench.clock.advance(2)
        await eventually_async(lambda: phase(bench) == "Running")

    async def test_a_sandbox_that_cannot_be_created_is_not_tried_again_for_what_the_try_itself_did(
        self, bench: Bench
    ) -> None:
        bench.runtime.fail_next("create_sandbox", EngineError("cannot allocate memory"), times=100)
        bench.add()
        await bench.clock.advance(60)
        tries = sum(call.startswith("create_sandbox") for call in bench.runtime.calls)
        assert 4 <= tries <= 8

    async def test_a_failed_post_start_hook_kills_the_container(self, bench: Bench) -> None:
        hook = {"postStart": {"exec": {"command": ["sh", "-c", "exit 1"]}}}
        bench.add({"containers": [APP | {"lifecycle": hook}]})
        await eventually_async(lambda: ("FailedPostStartHook", "PostStartHook failed") in bench.events)
        await eventually_async(lambda: app_status(bench).lastState.terminated is not None)
        assert ("Killing", "FailedPostStartHook") in bench.events


class TestAdmission:
    async def test_a_pod_that_asks_for_too_much_cpu_fails(self, bench: Bench) -> None:
        bench.node = from_dict(Node, {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "4", "pods": "10"}}})
        bench.add({"containers": [APP | {"resources": {"requests": {"cpu": "5"}}}]})
        await eventually_async(lambda: phase(bench) == "Failed")
        status = bench.api.get().status
        assert status.reason == "OutOfcpu"
        assert status.message == (
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 5000, used: 0, capacity: 4000"
        )
        assert status.containerStatuses is None
        assert bench.runtime.sandboxes == {}

    async def test_a_pod_that_the_api_has_forgotten_holds_no_room(self, bench: Bench) -> None:
        bench.node = from_dict(Node, {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "4", "pods": "10"}}})
        large = {"containers": [APP | {"resources": {"requests": {"cpu": "3"}}}]}
        bench.add(large)
        await eventually_async(lambda: phase(bench) == "Running")
        bench.runtime.available = False  # the first pod cannot end yet
        bench.api.remove()
        await idle()
        assert (len(bench.table), list(bench.table.admitted())) == (1, [])
        bench.runtime.available = True

    async def test_a_rejected_pod_can_be_deleted(self, bench: Bench) -> None:
        bench.add({"nodeSelector": {"disk": "ssd"}})
        await eventually_async(lambda: phase(bench) == "Failed")
        bench.api.ask_deletion()
        await eventually_async(lambda: bench.api.deleted == ["web"])

    async def test_ended_pods_hold_nothing(self, bench: Bench) -> None:
        bench.node = from_dict(Node, {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "4", "pods": "1"}}})
        bench.runtime.programs["app"] = Script(exit_code=0)
        bench.add({"restartPolicy": "Never"})
        await eventually_async(lambda: phase(bench) == "Succeeded")
        bench.add(name="next", uid="uid-2")
        await eventually_async(lambda: bench.api.get("next").status.phase != "Pending")
        assert bench.api.get("next").status.reason is None


async def test_a_deadline_ends_the_pod(bench: Bench) -> None:
    await started(bench, {"activeDeadlineSeconds": 30, "containers": [APP]})
    await bench.clock.advance(29)
    assert phase(bench) == "Running"
    await bench.clock.advance(1)
    await eventually_async(lambda: phase(bench) == "Failed")
    assert bench.api.get().status.reason == "DeadlineExceeded"
    assert not bench.running()


async def test_a_dead_sandbox_is_replaced_with_all_its_containers(bench: Bench) -> None:
    await started(bench)
    bench.runtime.kill_sandbox("uid-1")
    await eventually_async(lambda: app_status(bench).restartCount == 1 and bench.running())
    ready = [status for status, _ in bench.runtime.sandboxes.values() if status.ready]
    assert [sandbox.attempt for sandbox in ready] == [1]
    assert bench.runtime.find("uid-1", "app").status.sandbox_id == ready[0].id
    assert "SandboxChanged" in bench.reasons()


async def test_init_containers_and_sidecars(bench: Bench) -> None:
    bench.runtime.programs["init"] = Script(exit_code=0)
    spec = {
        "initContainers": [
            {"name": "side", "image": "app:1", "restartPolicy": "Always"},
            {"name": "init", "image": "app:1"},
        ],
        "restartPolicy": "Never",
    }
    await started(bench, spec)
    created = [call for call in bench.runtime.calls if call.startswith("create_container")]
    assert created == ["create_container side/0", "create_container init/0", "create_container app/0"]
    bench.runtime.exit(bench.runtime.find("uid-1", "app").status.id, 0)
    await eventually_async(lambda: phase(bench) == "Succeeded")
    assert not bench.running("side")


class TestRestarts:
    """A kubelet that dies at any point leaves nothing that the next one cannot go on from."""

    async def test_running_containers_are_adopted(self, bench: Bench) -> None:
        await started(bench)
        await eventually_async(lambda: ready(bench))
        before, calls = bench.api.pods["web"], list(bench.runtime.calls)
        await bench.kill()
        bench.start()
        await idle()
        assert bench.runtime.calls == calls
        assert bench.api.pods["web"] == before

    @pytest.mark.parametrize("call", ["create_sandbox", "create_container", "start_container"])
    async def test_death_right_after_a_call(self, bench: Bench, call: str) -> None:
        """The call has happened; the kubelet never heard its answer."""

        original = getattr(bench.runtime, call)
        done = asyncio.Event()

        async def dies(*args: Any) -> Any:
            await original(*args)
            done.set()
            await asyncio.Future()

        setattr(bench.runtime, call, dies)
        bench.add()
        await done.wait()
        await bench.kill()
        setattr(bench.runtime, call, original)
        bench.start()
        await eventually_async(lambda: ready(bench))
        assert len(bench.runtime.sandboxes) == 1
        assert [c.status.attempt for c in bench.runtime.containers.values()] == [0]

    async def test_a_deletion_in_progress_goes_on(self, bench: Bench) -> None:
        bench.runtime.programs["app"] = Script(exit_code=None, ignores_sigterm=True)
        await started(bench)
        bench.api.ask_deletion(grace_seconds=30)
        await bench.clock.advance(5)
        await bench.kill()
        bench.start()
        await bench.clock.advance(31)
        await eventually_async(lambda: bench.api.deleted == ["web"])

    async def test_what_ended_meanwhile_is_restarted(self, bench: Bench) -> None:
        await started(bench)
        await bench.kill()
        bench.runtime.exit(bench.runtime.find("uid-1", "app").status.id, 1)
        bench.start()
        await eventually_async(lambda: app_status(bench).restartCount == 1 and bench.running())

    async def test_ended_pods_stay_ended(self, bench: Bench) -> None:
        bench.runtime.programs["app"] = Script(exit_code=0)
        bench.add({"restartPolicy": "Never"})
        await eventually_async(lambda: phase(bench) == "Succeeded")
        before = bench.api.pods["web"]
        await bench.kill()
        bench.runtime.containers.clear()
        bench.start()
        await idle()
        assert bench.api.pods["web"] == before
        assert bench.runtime.containers == {}


async def test_a_container_removed_behind_the_kubelets_back_comes_back(bench: Bench) -> None:
    await started(bench)
    await bench.runtime.remove_container(bench.runtime.find("uid-1", "app").status.id)
    await eventually_async(lambda: bench.running())
    await eventually_async(lambda: app_status(bench).restartCount == 1)


async def test_a_runtime_that_is_down_is_waited_for(bench: Bench) -> None:
    bench.runtime.fail_next("create_sandbox", RuntimeUnavailable("down"), times=2)
    bench.add()
    for _ in range(4):
        await bench.clock.advance(2)
    await eventually_async(lambda: phase(bench) == "Running")


async def test_pods_keep_running_while_the_api_is_away(bench: Bench) -> None:
    await started(bench)
    bench.api.failures = [ConnectionError("down")] * 4
    bench.runtime.exit(bench.runtime.find("uid-1", "app").status.id, 1)
    await eventually_async(bench.running)
    for _ in range(10):
        await bench.clock.advance(5)
    await eventually_async(lambda: app_status(bench).restartCount == 1)


async def test_conditions_of_others_are_kept(bench: Bench) -> None:
    await started(bench, {"readinessGates": [{"conditionType": "example.com/lb"}], "containers": [APP]})
    assert not ready(bench)
    document = bench.api.pods["web"]
    gate = {"type": "example.com/lb", "status": "True"}
    status = document["status"] | {"conditions": [*document["status"]["conditions"], gate]}
    bench.api._store(document | {"status": status})
    await eventually_async(lambda: ready(bench))
    assert get_condition(bench.api.get().status.conditions, "example.com/lb") is not None


async def test_a_status_that_somebody_else_wrote_is_put_right(bench: Bench) -> None:
    await started(bench)
    await eventually_async(lambda: ready(bench))
    document = bench.api.pods["web"]
    bench.api._store(document | {"status": document["status"] | {"podIP": "1.2.3.4"}})
    await eventually_async(lambda: bench.api.get().status.podIP != "1.2.3.4")


async def test_what_the_machine_cannot_give_is_told_once_a_container_is_made(bench: Bench) -> None:
    bench.runtime.unmet_texts = [("no SELinux here", lambda security: security.selinux)]
    context = {"seLinuxOptions": {"type": "spc_t"}}
    bench.add({"containers": [{"name": "app", "image": "app:1", "securityContext": context}]})
    await eventually_async(bench.running)
    assert ("SecurityContextNotEnforced", "no SELinux here") in bench.events
    bench.add(name="plain", uid="uid-2")
    await eventually_async(lambda: bench.running(uid="uid-2"))
    assert bench.reasons().count("SecurityContextNotEnforced") == 1


async def test_an_unsafe_sysctl_fails_the_pod(bench: Bench) -> None:
    bench.add({"securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}})
    await eventually_async(lambda: bench.api.get().status.phase == "Failed")
    status = bench.api.get().status
    assert status.reason == "SysctlForbidden"
    assert status.message == 'Pod was rejected: forbidden sysctl: "net.core.somaxconn" not allowlisted'
    assert bench.runtime.sandboxes == {}
