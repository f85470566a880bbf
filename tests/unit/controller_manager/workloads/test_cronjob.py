"""CronJobs: which Jobs they make and when, what they know of them, and what a dead controller leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from apimachinery.times import format_time, parse_time
from controller_manager.controllers.workloads.cronjob.cronjob import CLOCK_SECONDS, CONTROLLER, CronJobReconciler
from kubeapi.batch.cronjob import SCHEDULED_TIME, CronJob
from kubeapi.batch.job.model import Job
from kubeclient.controller import Result, owner_reference
from kubeclient.workqueue import WorkQueue
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock
from tests.kits.tasks import background

MINUTE = 60.0
START = 1_700_000_040.0  # a whole minute


class World:
    """One CronJob named "c", made at a whole minute, and its controller."""

    def __init__(self, **spec: Any) -> None:
        self.clock = FakeClock(START)
        self.api = FakeApi(self.clock)
        self.restart()
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {}}}, **spec}
        self.api.put(CronJob.model_validate({"metadata": {"name": "c", "namespace": "n"}, "spec": spec}))

    def restart(self) -> None:
        self.controller = Running(self.api, CONTROLLER)

    @property
    def events(self) -> list[str]:
        return self.controller.recorder.events

    async def look(self, seconds: float = 0.0) -> None:
        """Lets time go by, and the controller look at what is then."""
        self.clock.step(seconds)
        self.controller.queue.add("n/c")
        await settle(self.api, self.controller)

    def cron_job(self) -> CronJob:
        found: CronJob = self.api.find(CronJob, "n/c")
        return found

    def jobs(self) -> list[str]:
        return sorted(job.name for job in self.api.all(Job))

    def active(self) -> list[str | None]:
        return [ref.name for ref in self.cron_job().status.active or ()]

    def end(self, name: str, how: str = "Complete") -> None:
        def edit(job: Job) -> None:
            now = format_time(self.clock.now())
            job.status = type(job.status).model_validate(
                {"startTime": now, "conditions": [{"type": how, "status": "True"}]}
            )
            job.status.completionTime = now if how == "Complete" else None

        self.api.change(Job, f"n/{name}", edit)

    def change(self, **spec: Any) -> None:
        def edit(cron_job: CronJob) -> None:
            for name, value in spec.items():
                setattr(cron_job.spec, name, value)

        self.api.change(CronJob, "n/c", edit)


class Death(Exception):
    """The end of a controller."""


def _die_at_status(request: str) -> None:
    if request.startswith("PUT cronjobs"):
        raise Death


def job(minutes: int) -> str:
    """The name of the Job that is planned so many minutes after the start."""
    return f"c-{int(START) // 60 + minutes}"


async def test_it_makes_a_job_when_the_minute_comes() -> None:
    world = World()
    await world.look()
    assert world.jobs() == []
    assert world.controller.delays["n/c"] == MINUTE
    await world.look(MINUTE)
    assert world.jobs() == [job(1)]
    assert world.active() == [job(1)]
    assert world.cron_job().status.lastScheduleTime == format_time(START + MINUTE)
    assert world.events == [f"Normal SuccessfulCreate Created job {job(1)}"]


async def test_a_job_has_what_its_template_says_and_its_planned_time() -> None:
    template = {"metadata": {"labels": {"a": "b"}, "annotations": {"v": "w"}}, "spec": {"parallelism": 3}}
    world = World(jobTemplate=template, timeZone="Asia/Kathmandu")
    await world.look(MINUTE + 20)
    made = world.api.find(Job, f"n/{job(1)}")
    assert made.metadata.labels["a"] == "b"
    assert made.metadata.annotations == {"v": "w", SCHEDULED_TIME: "2023-11-15T04:00:00+05:45"}
    assert made.metadata.ownerReferences == [owner_reference(world.cron_job())]
    assert made.spec.parallelism == 3


async def test_utc_is_written_as_z() -> None:
    world = World()
    await world.look(MINUTE)
    assert world.api.find(Job, f"n/{job(1)}").metadata.annotations[SCHEDULED_TIME] == "2023-11-14T22:15:00Z"


async def test_of_several_missed_times_the_last_counts() -> None:
    world = World()
    await world.look(5 * MINUTE + 1)
    assert world.jobs() == [job(5)]
    assert not any("TooMany" in event for event in world.events)


async def test_more_than_a_hundred_missed_times_are_told() -> None:
    world = World()
    await world.look(101 * MINUTE)
    assert world.jobs() == [job(101)]
    assert "TooManyMissedTimes" in world.events[0]


async def test_nothing_starts_after_the_deadline() -> None:
    world = World(schedule="0 * * * *", startingDeadlineSeconds=30)
    first = 46 * MINUTE  # 23:00
    await world.look(first + 31)
    assert world.jobs() == []
    await world.look(3600 - 2)
    assert world.jobs() == [job(46 + 60)]


async def test_the_deadline_keeps_old_times_from_being_counted() -> None:
    world = World(startingDeadlineSeconds=600)
    await world.look(1000 * MINUTE)
    assert world.jobs() == [job(1000)]
    assert not any("TooMany" in event for event in world.events)


async def test_a_suspended_one_makes_nothing_and_catches_up_once() -> None:
    world = World(suspend=True)
    await world.look(5 * MINUTE)
    assert world.jobs() == []
    world.change(suspend=False)
    await settle(world.api, world.controller)
    assert world.jobs() == [job(5)]


async def test_allow_lets_jobs_run_side_by_side() -> None:
    world = World()
    await world.look(MINUTE)
    await world.look(MINUTE)
    assert world.active() == [job(1), job(2)]


async def test_forbid_waits_for_the_job_of_before() -> None:
    world = World(concurrencyPolicy="Forbid")
    await world.look(MINUTE)
    await world.look(MINUTE)
    assert world.jobs() == [job(1)]
    assert any("JobAlreadyActive" in event for event in world.events)
    world.end(job(1))
    await settle(world.api, world.controller)
    assert world.jobs() == [job(1), job(2)]


async def test_replace_deletes_the_job_of_before() -> None:
    world = World(concurrencyPolicy="Replace")
    await world.look(MINUTE)
    await world.look(MINUTE)
    assert (world.jobs(), world.active()) == ([job(2)], [job(2)])
    assert f"Normal SuccessfulDelete Deleted job {job(1)}" in world.events
    assert not any("MissingJob" in event or "UnexpectedJob" in event for event in world.events)


async def test_ended_jobs_leave_the_list_and_successes_are_noted() -> None:
    world = World()
    await world.look(MINUTE)
    world.clock.step(10)
    world.end(job(1))
    await settle(world.api, world.controller)
    assert world.active() == []
    assert world.cron_job().status.lastSuccessfulTime == format_time(START + MINUTE + 10)
    assert f"Normal SawCompletedJob Saw completed job: {job(1)}, condition: Complete" in world.events


async def test_the_history_keeps_the_last_ones_of_each_sort() -> None:
    world = World(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=1)
    for minute, how in enumerate(["Failed", "Complete", "Complete", "Failed", "Complete"], start=1):
        await world.look(MINUTE)
        world.end(job(minute), how)
    await world.look()
    assert world.jobs() == [job(3), job(4), job(5)]


async def test_without_a_history_a_job_does_not_come_back() -> None:
    world = World(successfulJobsHistoryLimit=0)
    await world.look(MINUTE)
    world.end(job(1))
    await world.look(1)
    assert world.jobs() == []
    assert world.cron_job().status.lastSuccessfulTime
    await world.look(1)
    assert world.jobs() == []


async def test_a_job_that_someone_deleted_is_told_missing() -> None:
    world = World()
    await world.look(MINUTE)
    await world.api.delete(Job, job(1), "n")
    await settle(world.api, world.controller)
    assert world.active() == []
    assert world.events[-1] == f"Normal MissingJob Active job went missing: {job(1)}"


async def test_a_job_made_by_hand_is_unexpected_and_blocks_nothing() -> None:
    world = World(concurrencyPolicy="Forbid")
    meta = ObjectMeta(name="by-hand", namespace="n", ownerReferences=[owner_reference(world.cron_job())])
    world.api.put(Job(metadata=meta))
    await world.look(MINUTE)
    assert world.active() == [job(1)]
    assert any("UnexpectedJob" in event and "by-hand" in event for event in world.events)


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
async def test_a_job_that_a_dead_controller_did_not_note_runs_once(policy: str) -> None:
    world = World(concurrencyPolicy=policy)
    world.api.before = _die_at_status
    with pytest.raises(Death):
        await world.look(MINUTE)
    world.api.before = None
    world.restart()
    await world.look(20)
    assert (world.jobs(), world.active()) == ([job(1)], [job(1)])
    assert world.cron_job().status.lastScheduleTime == format_time(START + MINUTE)
    assert not any("Unexpected" in event for event in world.events)


async def test_forbid_counts_a_job_that_a_dead_controller_did_not_note() -> None:
    world = World(concurrencyPolicy="Forbid")
    world.api.before = _die_at_status
    with pytest.raises(Death):
        await world.look(MINUTE)
    world.api.before = None
    world.restart()
    await world.look(MINUTE)
    assert world.jobs() == [job(1)]


async def test_a_foreign_job_of_that_name_is_left_alone() -> None:
    world = World()
    world.api.put(Job(metadata=ObjectMeta(name=job(1), namespace="n")))
    await world.look(MINUTE)
    assert world.active() == []
    assert any("FailedCreate" in event for event in world.events)
    assert world.controller.delays["n/c"] == MINUTE


async def test_a_changed_schedule_does_not_count_what_came_round_before() -> None:
    world = World(schedule="0 0 1 1 *")
    await world.look(10 * MINUTE)
    world.change(schedule="* * * * *")
    await settle(world.api, world.controller)
    assert world.jobs() == []
    await world.look(MINUTE)
    assert world.jobs() == [job(11)]


@pytest.mark.parametrize(
    ("spec", "event"),
    [
        ({"schedule": "often"}, 'UnparseableSchedule unparseable schedule: "often" : expected exactly 5 fields'),
        ({"timeZone": "Mars/One"}, 'UnknownTimeZone invalid timeZone: "Mars/One": unknown time zone Mars/One'),
        ({"schedule": "0 0 31 2 *"}, "InvalidSchedule invalid schedule: 0 0 31 2 * : time difference between two"),
    ],
)
async def test_what_cannot_come_round_is_told(spec: dict[str, str], event: str) -> None:
    world = World(**spec)
    await world.look(MINUTE)
    assert world.jobs() == []
    assert world.events[0].startswith(f"Warning {event}")


async def test_a_clock_that_goes_back_starts_nothing_twice() -> None:
    world = World()
    await world.look(2 * MINUTE)
    world.clock._now -= 90
    world.restart()
    await world.look()
    await world.look(30)
    assert world.jobs() == [job(2)]
    assert parse_time(world.cron_job().status.lastScheduleTime or "") == START + 2 * MINUTE


async def test_a_clock_that_jumps_wakes_all() -> None:
    world = World(schedule="0 0 * * *")
    await world.look()
    queue, reconciler = WorkQueue(), world.controller.reconciler
    assert isinstance(reconciler, CronJobReconciler)
    async with background(reconciler.follow_clock(queue)):
        await world.clock.advance(CLOCK_SECONDS)
        assert len(queue) == 0
        world.clock._now += 86400
        await world.clock.advance(CLOCK_SECONDS)
        assert await queue.get() == "n/c"
    outcome = await reconciler.reconcile("n/c")
    assert isinstance(outcome, Result)
    assert len(world.jobs()) == 1
