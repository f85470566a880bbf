"""The end of a node's pods when its host is switched off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from apimachinery.conditions import get_condition
from kubelet.container.limits import SYSTEM_CRITICAL_PRIORITY
from kubelet.node.shutdown import NodeShutdown
from kubelet.options import Options, parse_options
from kubelet.shutdown_flags import ShutdownPeriod, shutdown_groups
from tests.fakes.clock import idle
from tests.fakes.programs import Script
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import make_pod
from tests.kits.node.kubeletbench import Bench

PERIODS = (ShutdownPeriod(0, 20), ShutdownPeriod(SYSTEM_CRITICAL_PRIORITY, 10))
APP = {"name": "app", "image": "app:1"}


def options(*flags: str) -> Options:
    return parse_options(["--kubeconfig=k", "--hostname-override=n", "--node-ip=127.0.0.1", *flags])


class TestPeriods:
    def test_without_a_flag_pods_lose_their_power(self) -> None:
        assert options().shutdown_periods == ()

    def test_critical_pods_have_the_last_part_of_the_time(self) -> None:
        given = options("--shutdown-grace-period=30s", "--shutdown-grace-period-critical-pods=10s")
        assert given.shutdown_periods == PERIODS
        assert given.configuration["shutdownGracePeriod"] == "30s"

    def test_each_priority_may_have_its_own_time(self, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nshutdownGracePeriodByPodPriority:\n"
            "- {priority: 1000, shutdownGracePeriodSeconds: 5}\n- {priority: 0, shutdownGracePeriodSeconds: 7}\n"
        )
        given = options(f"--config={file}")
        assert given.shutdown_periods == (ShutdownPeriod(0, 7), ShutdownPeriod(1000, 5))
        shown = given.configuration["shutdownGracePeriodByPodPriority"]
        assert shown[0] == {"priority": 1000, "shutdownGracePeriodSeconds": 5}

    @pytest.mark.parametrize(
        "flags",
        [
            ("--shutdown-grace-period=5s", "--shutdown-grace-period-critical-pods=6s"),
            ("--shutdown-grace-period=500ms",),
            ("--shutdown-grace-period-by-pod-priority=0=x",),
            ("--shutdown-grace-period-by-pod-priority=0=-1",),
            ("--shutdown-grace-period-by-pod-priority=0=1", "--shutdown-grace-period=5s"),
        ],
    )
    def test_times_that_contradict_each_other_are_refused(self, flags: tuple[str, ...]) -> None:
        with pytest.raises(SystemExit):
            options(*flags)

    def test_a_pod_is_in_the_last_period_that_its_priority_reaches(self) -> None:
        periods = (ShutdownPeriod(10, 1), ShutdownPeriod(100, 2), ShutdownPeriod(1000, 3))
        priorities = (-5, 10, 99, 100, 5000)
        groups = shutdown_groups(periods, [make_pod({"priority": value}, name=str(value)) for value in priorities])
        named = [(period.seconds, [pod.name for pod in pods]) for period, pods in groups]
        assert named == [(1, ["-5", "10", "99"]), (2, ["100"]), (3, ["5000"])]


def shutdown_of(bench: Bench) -> NodeShutdown:
    return NodeShutdown(PERIODS, bench.table, bench.pods.workers, bench.pods.statuses, lambda: None, bench.clock)


async def started(bench: Bench, name: str, **spec: Any) -> None:
    bench.add({"containers": [APP]} | spec, name=name, uid=f"uid-{name}")
    await eventually_async(lambda: bench.api.get(name).status.phase == "Running")


async def test_critical_pods_end_after_the_others_and_all_have_failed(bench: Bench) -> None:
    bench.runtime.programs["app"] = Script(exit_code=None, ignores_sigterm=True)
    await started(bench, "plain")
    await started(bench, "short", terminationGracePeriodSeconds=5)
    await started(bench, "critical", priority=SYSTEM_CRITICAL_PRIORITY)
    shutdown = shutdown_of(bench)
    assert shutdown.problem() == ""
    ending = asyncio.create_task(shutdown.end_pods())
    await idle()
    assert shutdown.problem() == "node is shutting down"
    await bench.clock.advance(5)
    await eventually_async(lambda: not bench.running(uid="uid-short"))
    assert bench.running(uid="uid-plain")
    await bench.clock.advance(15)
    await eventually_async(lambda: not bench.running(uid="uid-plain"))
    assert bench.running(uid="uid-critical")
    await bench.clock.advance(10)
    await ending
    for name in ("plain", "short", "critical"):
        status = bench.api.get(name).status
        assert (status.phase, status.reason) == ("Failed", "Terminated")
        assert status.message == "Pod was terminated in response to imminent node shutdown."
        condition = get_condition(status.conditions, "DisruptionTarget")
        assert condition is not None
        assert condition.reason == "TerminationByKubelet"


async def test_a_node_that_shuts_down_takes_no_pods(bench: Bench) -> None:
    await shutdown_of(bench).end_pods()
    bench.add()
    await eventually_async(lambda: bench.api.get().status.phase == "Failed")
    status = bench.api.get().status
    assert status.reason == "NodeShutdown"
    assert status.message == "Pod was rejected: Pod was rejected as the node is shutting down."


async def test_a_pod_that_is_being_deleted_has_no_more_time_than_the_others(bench: Bench) -> None:
    bench.runtime.programs["app"] = Script(exit_code=None, ignores_sigterm=True)
    await started(bench, "web", terminationGracePeriodSeconds=600)
    bench.api.ask_deletion(grace_seconds=600)
    await idle()
    ending = asyncio.create_task(shutdown_of(bench).end_pods())
    await idle()
    await bench.clock.advance(20)
    await ending
    await eventually_async(lambda: bench.api.deleted == ["web"])
