"""Each pod of a Job is counted once, whatever the caches lack and wherever the controller is killed."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from apimachinery.conditions import is_true
from controller_manager.controllers.workloads.job._pods import index_of, is_tracked
from kubeapi.batch.job.model import Job, is_finished
from kubeapi.core.pod.model import Pod
from tests.fakes.clock import QuickClock
from tests.kits.control_plane.jobs import KEY, Bench, indexed, job, rule

SHAPES: dict[str, Callable[[], Job]] = {
    "plain": lambda: job(completions=4, parallelism=2, backoffLimit=3),
    "queue": lambda: job(parallelism=3, backoffLimit=3),
    "indexed": lambda: indexed(4, parallelism=3, backoffLimit=3),
    "per index": lambda: indexed(3, backoffLimitPerIndex=1),
    "success policy": lambda: indexed(4, successPolicy={"rules": [{"succeededCount": 2}]}, backoffLimit=3),
    "ended only": lambda: job(completions=3, parallelism=2, podReplacementPolicy="Failed", backoffLimit=3),
    "rules": lambda: job(completions=3, parallelism=2, podFailurePolicy={"rules": [rule("Ignore", 7)]}, backoffLimit=3),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
async def test_each_pod_counts_once_whatever_happens(shape: str, seed: int) -> None:
    """Caches lag, pods end, the controller is killed before and after its writes, all at random."""
    dice = random.Random(f"{shape} {seed}")
    bench = Bench(SHAPES[shape](), clock=QuickClock())
    ended: dict[str | None, tuple[int, object]] = {}
    """uid -> the exit code, and what a success counts for: the index, or the pod itself."""

    def end(pod: Pod, code: int) -> None:
        index = index_of(bench.job, pod) if bench.job.spec.completionMode == "Indexed" else None
        ended[pod.metadata.uid] = (code, pod.metadata.uid if index is None else index)
        bench.end(pod, code)

    def fault(request: str) -> None:
        if not request.startswith("GET") and dice.random() < 0.04:
            raise ConnectionError("killed before it was sent")

    bench.api.before = fault
    most = bench.job.spec.parallelism or 0
    for _ in range(3000):
        if is_finished(bench.job):
            break
        match dice.randrange(10):
            case 0 if bench.live:
                end(dice.choice(bench.live), dice.choice((0, 0, 1, 7)))
            case 1:
                bench.clock.step(60)
                bench.controller.queue.add(KEY)
            case 2 if dice.random() < 0.2:
                bench.restart()
            case 3 | 4 | 5 if bench.api.undelivered:
                bench.api.deliver(1)
            case _:
                for key in list(bench.controller.queue._delayed):
                    del bench.controller.queue._delayed[key]
                    bench.controller.queue.add(key)
                if bench.controller.waiting:
                    await bench.controller.step()
        assert len([pod for pod in bench.live if pod.metadata.deletionTimestamp is None]) <= most
        if bench.job.spec.completionMode == "Indexed":
            running = [index_of(bench.job, pod) for pod in bench.live if pod.metadata.deletionTimestamp is None]
            assert len(running) == len(set(running))
    bench.api.before = None
    for _ in range(40):
        await bench.later(1000)
        for pod in bench.live:
            end(pod, 0)
    assert is_finished(bench.job)
    assert not any(map(is_tracked, bench.pods))
    status, ignored = bench.job.status, (7,) if shape == "rules" else ()
    left = {pod.metadata.uid for pod in bench.pods}  # some that ended while they were being deleted are gone
    successes = {uid: unit for uid, (code, unit) in ended.items() if code == 0}
    assert len({successes[uid] for uid in successes.keys() & left}) <= (status.succeeded or 0)
    assert (status.succeeded or 0) <= len(set(successes.values()))
    failures = {uid for uid, (code, _) in ended.items() if code not in (0, *ignored)}
    if is_true(status.conditions, "Complete"):  # else those that were stopped count as failed, too
        assert len(failures & left) <= (status.failed or 0) <= len(failures)
