"""What a Job's rules and waits say, each by itself."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from apimachinery.times import format_time
from controller_manager.controllers.workloads.job._backoff import Failures
from controller_manager.controllers.workloads.job._policies import judge, met_success_rule
from kubeapi.batch.job.indexes import Indexes
from kubeapi.core.pod.model import Pod
from tests.kits.control_plane.jobs import indexed, job, rule


def test_waits_double_up_to_ten_minutes_and_a_success_forgives() -> None:
    waits = [Failures(count, 1000.0).wait_seconds(1000.0) for count in (0, 1, 2, 3, 6, 7, 8, 1000)]
    assert waits == [0, 10, 20, 40, 320, 600, 600, 600]

    def ended(at: float) -> Pod:
        return Pod(metadata=ObjectMeta(creationTimestamp=format_time(at)))

    assert Failures(4, 50.0).after([], [ended(60), ended(55)]) == Failures(6, 60.0)
    assert Failures(4, 50.0).after([ended(57)], [ended(60), ended(55)]) == Failures(1, 60.0)
    assert Failures(4, 50.0).after([], []) == Failures(4, 50.0)


@pytest.mark.parametrize(
    ("rules", "code", "action"),
    [
        ([rule("Ignore", 1, 2)], 2, "Ignore"),
        ([rule("Ignore", 1, 2)], 3, ""),
        ([rule("FailJob", 1, operator="NotIn")], 1, ""),
        ([rule("FailJob", 1, operator="NotIn")], 2, "FailJob"),
        ([rule("FailJob", 0, operator="NotIn")], 2, "FailJob"),
        ([rule("Ignore", 5, container="c"), rule("Count", 5)], 5, "Ignore"),
        ([rule("Ignore", 5), rule("Count", 5)], 5, "Ignore"),
        ([], 1, ""),
    ],
)
def test_the_first_rule_that_matches_decides(rules: list[dict[str, Any]], code: int, action: str) -> None:
    status = {"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": code}}}], "phase": "Failed"}
    pod = Pod.model_validate({"metadata": {"name": "p", "namespace": "a"}, "status": status})
    owner = job(podFailurePolicy={"rules": rules}) if rules else job()
    assert judge(owner, pod).action == action


@pytest.mark.parametrize(
    ("rules", "succeeded", "met"),
    [
        ([{"succeededCount": 2}], [0], None),
        ([{"succeededCount": 2}], [0, 4], 0),
        ([{"succeededIndexes": "1-2"}], [1], None),
        ([{"succeededIndexes": "1-2"}], [0, 1, 2], 0),
        ([{"succeededIndexes": "0,2-3", "succeededCount": 1}], [1], None),
        ([{"succeededIndexes": "0,2-3", "succeededCount": 1}], [3], 0),
        ([{"succeededIndexes": "4"}, {"succeededCount": 1}], [3], 1),
        ([{"succeededCount": 1}], [], None),
        ([{"succeededIndexes": "0-2147483645"}, {"succeededIndexes": "1-2147483646", "succeededCount": 1}], [3], 1),
    ],
)
def test_success_rules(rules: list[dict[str, Any]], succeeded: list[int], met: int | None) -> None:
    owner = indexed(2**31 - 1, parallelism=1, successPolicy={"rules": rules})
    assert met_success_rule(owner, Indexes.of(succeeded)) == met
