"""Jobs: which pods they make and when they end."""

from __future__ import annotations

import pytest

from apimachinery.conditions import get_condition
from apimachinery.meta import ObjectMeta
from apimachinery.times import format_time
from controller_manager.controllers.workloads.job._pods import (
    FAILURES_KEY,
    FINALIZER,
    IGNORED_FAILURES_KEY,
    INDEX_KEY,
    is_tracked,
)
from controller_manager.controllers.workloads.ttlafterfinished import CONTROLLER as TTL
from kubeapi.batch.job.model import Job
from kubeapi.core.pod.model import Pod
from tests.fakes.api import Running, settle
from tests.kits.control_plane.jobs import KEY, Bench, indexed, job, rule


async def test_a_job_runs_its_pods_to_completion() -> None:
    bench = Bench(completions=3, parallelism=2)
    await bench.settle()
    assert (bench.job.status.active, len(bench.pods)) == (2, 2)
    assert all(pod.metadata.finalizers == [FINALIZER] for pod in bench.pods)
    for succeeded in (1, 2, 3):
        bench.end(bench.live[0])
        await bench.settle()
        assert bench.job.status.succeeded == succeeded
    assert bench.conditions == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    assert (len(bench.pods), bench.job.status.active, bench.job.status.completionTime) == (
        3, None, format_time(bench.clock.now()),
    )  # fmt: skip
    assert not any(map(is_tracked, bench.pods))
    assert bench.controller.recorder.events[-1] == "Normal Completed Job completed"


async def test_one_pod_costs_five_writes() -> None:
    bench = Bench()
    await bench.settle()
    bench.end(bench.live[0])
    await bench.settle()
    kinds = [request.split()[0] + request[-7:].replace("status", "") for request in bench.api.requests]
    writes = [request.split()[:2] for request in bench.api.requests if not request.startswith("GET")]
    assert writes == [["POST", "pods"], ["PUT", "jobs"], ["PUT", "jobs"], ["PATCH", "pods"], ["PUT", "jobs"]], kinds


async def test_a_queue_ends_when_all_pods_have_after_the_first_success() -> None:
    bench = Bench(parallelism=3)
    await bench.settle()
    bench.end(bench.live[0])
    await bench.settle()
    bench.end(bench.live[0], 1)
    await bench.settle()
    assert (len(bench.live), len(bench.pods), bench.conditions) == (1, 3, {})
    bench.end(bench.live[0])
    await bench.settle()
    assert (bench.job.status.succeeded, bench.job.status.failed) == (2, 1)
    assert "Complete" in bench.conditions


async def test_failures_are_answered_later_each_time_until_there_are_too_many() -> None:
    bench = Bench(backoffLimit=3)
    await bench.settle()
    for wait in (10, 20, 40):
        await bench.fail_one()
        assert (bench.live, bench.controller.delays[KEY]) == ([], wait)
        await bench.later(wait - 1)
        assert bench.live == []
        await bench.later(1)
        assert len(bench.live) == 1
    await bench.fail_one()
    assert bench.job.status.failed == 4
    assert bench.conditions == {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}
    assert "Warning BackoffLimitExceeded Job has reached the specified backoff limit" in (
        bench.controller.recorder.events
    )


async def test_a_new_controller_goes_on_with_the_wait() -> None:
    bench = Bench()
    await bench.settle()
    for wait in (10, 20):
        await bench.fail_one()
        bench.restart()
        await bench.settle()
        await bench.later(wait - 1)
        assert bench.live == []
        await bench.later(1)


async def test_containers_that_restart_too_often_fail_a_job() -> None:
    spec = job().spec.template
    spec.spec.restartPolicy = "OnFailure"
    bench = Bench(backoffLimit=2, template={"spec": spec.spec.model_dump(exclude_none=True)})
    await bench.settle()

    def restarts(count: int) -> None:
        def edit(pod: Pod) -> None:
            pod.status.phase = "Running"
            statuses = {"containerStatuses": [{"name": "c", "restartCount": count}]}
            pod.status.containerStatuses = type(pod.status).model_validate(statuses).containerStatuses

        bench.api.change(Pod, bench.pods[0].key, edit)

    restarts(1)
    await bench.settle()
    assert bench.conditions == {}
    restarts(2)
    await bench.settle()
    assert bench.conditions == {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}
    assert bench.pods == []


async def test_indexes_have_names_and_are_done_once_each() -> None:
    bench = Bench(indexed(3, parallelism=2))
    await bench.settle()
    first = bench.pods[0]
    assert (first.spec.hostname, first.metadata.generateName) == ("j-0", "j-0-")
    assert first.labels[INDEX_KEY] == first.annotations[INDEX_KEY] == "0"
    assert [variable.name for variable in first.spec.containers[0].env or ()] == ["JOB_COMPLETION_INDEX"]
    await bench.end_index(0, 1)
    await bench.end_index(1)
    await bench.later(10)
    assert sorted(pod.labels[INDEX_KEY] for pod in bench.live) == ["0", "2"]
    await bench.end_index(0)
    await bench.end_index(2)
    assert (bench.job.status.completedIndexes, bench.job.status.succeeded, bench.job.status.failed) == ("0-2", 3, 1)
    assert "Complete" in bench.conditions


async def test_an_elastic_job_forgets_indexes_that_it_lost() -> None:
    bench = Bench(indexed(4))
    await bench.settle()
    await bench.end_index(3)
    await bench.end_index(0)

    def shrink(obj: Job) -> None:
        obj.spec.completions = obj.spec.parallelism = 2

    bench.api.change(Job, KEY, shrink)
    await bench.settle()
    assert (bench.job.status.completedIndexes, bench.job.status.succeeded) == ("0", 1)
    assert [pod.labels[INDEX_KEY] for pod in bench.live] == ["1"]


async def test_an_index_fails_after_its_own_limit() -> None:
    bench = Bench(indexed(2, backoffLimitPerIndex=1))
    await bench.settle()
    await bench.end_index(1, 1)
    assert is_tracked(bench.pods[1])  # its successor takes over the count
    await bench.later(10)
    assert bench.live[1].annotations[FAILURES_KEY] == "1"
    assert not any(map(is_tracked, [pod for pod in bench.pods if pod.status.phase == "Failed"]))
    await bench.end_index(1, 1)
    assert (bench.job.status.failedIndexes, bench.job.status.failed) == ("1", 2)
    assert bench.conditions == {}
    await bench.end_index(0)
    assert bench.conditions == {"FailureTarget": "FailedIndexes", "Failed": "FailedIndexes"}
    assert bench.job.status.succeeded == 1


async def test_too_many_failed_indexes_end_the_job() -> None:
    bench = Bench(indexed(4, backoffLimitPerIndex=0, maxFailedIndexes=1))
    await bench.settle()
    await bench.end_index(2, 1)
    assert bench.conditions == {}
    await bench.end_index(3, 1)
    assert set(bench.conditions.values()) == {"MaxFailedIndexesExceeded"}
    assert (bench.live, bench.job.status.failed, bench.job.status.failedIndexes) == ([], 4, "2,3")


async def test_rules_ignore_count_and_fail() -> None:
    rules = [rule("Ignore", condition="DisruptionTarget"), rule("FailJob", 42), rule("Count", 1)]
    bench = Bench(podFailurePolicy={"rules": rules}, backoffLimit=1)
    await bench.settle()
    await bench.fail_one(1, "DisruptionTarget")
    assert bench.job.status.failed is None
    assert not any(map(is_tracked, bench.pods))
    await bench.later(10)
    await bench.fail_one(1)
    assert bench.job.status.failed == 1
    await bench.later(20)
    name = bench.live[0].name
    await bench.fail_one(42)
    assert set(bench.conditions.values()) == {"PodFailurePolicy"}
    condition = get_condition(bench.job.status.conditions, "Failed")
    assert condition is not None
    assert (
        condition.message == f"Container c for pod a/{name} failed with exit code 42 matching FailJob rule at index 1"
    )


async def test_a_rule_gives_up_an_index_and_another_keeps_its_count() -> None:
    rules = [rule("FailIndex", 42), rule("Ignore", 7)]
    bench = Bench(indexed(2, backoffLimitPerIndex=2, podFailurePolicy={"rules": rules}))
    await bench.settle()
    await bench.end_index(0, 42)
    assert bench.job.status.failedIndexes == "0"
    await bench.end_index(1, 7)
    await bench.later(10)
    replacement = bench.live[0]
    assert (replacement.annotations[FAILURES_KEY], replacement.annotations[IGNORED_FAILURES_KEY]) == ("0", "1")
    assert bench.job.status.failed == 1
    await bench.end_index(1, 1)
    assert bench.controller.delays[KEY] == 20  # the ignored one counts for the wait
    await bench.later(20)
    assert (bench.live[0].annotations[FAILURES_KEY], bench.live[0].annotations[IGNORED_FAILURES_KEY]) == ("1", "1")


async def test_a_success_policy_stops_the_rest_without_failures() -> None:
    bench = Bench(indexed(3, successPolicy={"rules": [{"succeededIndexes": "0"}]}))
    await bench.settle()
    await bench.end_index(0)
    assert (len(bench.pods), bench.job.status.succeeded, bench.job.status.failed) == (1, 1, None)
    assert set(bench.conditions.values()) == {"SuccessPolicy"}


async def test_suspension_deletes_pods_without_counting_and_restarts_the_deadline() -> None:
    bench = Bench(activeDeadlineSeconds=100, parallelism=2, completions=2)
    await bench.settle()

    def suspend(*, suspended: bool) -> None:
        bench.api.change(Job, KEY, lambda obj: setattr(obj.spec, "suspend", suspended))

    bench.clock.step(60)
    suspend(suspended=True)
    await bench.settle()
    status = bench.job.status
    assert (bench.pods, status.active, status.failed, status.startTime) == ([], None, None, None)
    assert bench.conditions == {"Suspended": "JobSuspended"}
    bench.clock.step(60)
    suspend(suspended=False)
    await bench.settle()
    assert (len(bench.pods), bench.job.status.startTime) == (2, format_time(bench.clock.now()))
    assert bench.conditions == {}
    await bench.later(99)
    assert len(bench.live) == 2
    await bench.later(1)
    assert set(bench.conditions.values()) == {"DeadlineExceeded"}
    assert (bench.pods, bench.job.status.failed) == ([], 2)


@pytest.mark.parametrize(("policy", "at_once"), [("TerminatingOrFailed", True), ("Failed", False)])
async def test_a_pod_that_is_being_deleted_is_replaced_as_the_policy_says(policy: str, at_once: bool) -> None:
    bench = Bench(podReplacementPolicy=policy, backoffLimit=5)
    await bench.settle()
    pod = bench.pods[0]
    await bench.api.delete(Pod, pod.name, "a")
    await bench.settle()
    await bench.later(1000)
    assert len([each for each in bench.pods if each.metadata.deletionTimestamp is None]) == at_once
    assert bench.job.status.terminating == (0 if at_once else 1)  # what is not tracked any more has gone
    if at_once:
        assert bench.job.status.failed == 1
        return
    bench.end(pod, 1)
    await bench.settle()
    await bench.later(1000)
    assert (len(bench.live), bench.job.status.failed) == (1, 1)


async def test_a_job_of_another_manager_is_left_alone() -> None:
    bench = Bench(managedBy="example.com/queue")
    await bench.settle()
    assert (bench.pods, bench.job.status.startTime) == ([], None)


async def test_pods_of_a_deleted_job_are_set_free() -> None:
    bench = Bench(parallelism=2, completions=2)
    await bench.settle()
    await bench.api.delete(Job, "j", "a")
    await bench.settle()
    assert len(bench.pods) == 2
    assert not any(map(is_tracked, bench.pods))


async def test_pods_without_owner_are_set_free_and_adopted_ones_are_tracked() -> None:
    spec = {"manualSelector": True, "selector": {"matchLabels": {"x": "y"}}, "completions": 2, "parallelism": 2}
    template = job().spec.template.model_dump(exclude_none=True) | {"metadata": {"labels": {"x": "y"}}}
    bench = Bench(job(template=template, **spec))
    bench.api.put(Pod(metadata=ObjectMeta(name="orphan", namespace="a", finalizers=[FINALIZER])))
    bench.api.put(Pod(metadata=ObjectMeta(name="mine", namespace="a", labels={"x": "y"})))
    await bench.settle()
    assert not is_tracked(bench.api.find(Pod, "a/orphan"))
    assert is_tracked(bench.api.find(Pod, "a/mine"))
    assert (len(bench.pods), bench.job.status.active) == (3, 2)
    bench.api.change(Pod, "a/mine", lambda pod: setattr(pod.metadata, "labels", None))
    await bench.settle()
    released = bench.api.find(Pod, "a/mine")
    assert (is_tracked(released), released.metadata.ownerReferences) == (False, None)


async def test_finished_jobs_go_after_their_time() -> None:
    bench = Bench(ttlSecondsAfterFinished=5)
    collector = Running(bench.api, TTL)
    await bench.settle()
    bench.end(bench.live[0])
    await bench.settle()
    await settle(bench.api, collector)
    assert collector.delays[KEY] == 5
    bench.clock.step(5)
    collector.queue.add(KEY)
    await settle(bench.api, collector)
    assert bench.api.all(Job) == []
