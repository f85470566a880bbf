"""Jobs: the text of indexes, what may be changed, what a status may say. The recorded answers cover the rest."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeapi.batch.job.indexes import Indexes, parse_indexes
from kubeapi.batch.job.model import Job
from kubeapi.batch.job.resource import RESOURCE

STRATEGY = RESOURCE.strategy
START, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def job(status: dict[str, Any] | None = None, **spec: Any) -> Job:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}
    obj = Job.model_validate(
        {
            "metadata": {"name": "j", "namespace": "a", "uid": "u"},
            "spec": {"template": template, **spec},
            "status": status or {},
        }
    )
    STRATEGY.default(obj)
    STRATEGY.prepare_create(obj)
    return obj


def indexed(status: dict[str, Any] | None = None, **spec: Any) -> Job:
    return job(status, **{"completionMode": "Indexed", "completions": 5, "parallelism": 5, **spec})


@pytest.mark.parametrize(
    ("indexes", "text"),
    [([], ""), ([3], "3"), ([3, 4], "3,4"), ([5, 3, 4], "3-5"), ([0, 1, 2, 4, 6, 7], "0-2,4,6,7")],
)
def test_indexes_are_written_as_short_as_may_be_and_read_back(indexes: list[int], text: str) -> None:
    assert str(Indexes.of(indexes)) == text
    assert Indexes.read(text, 100) == Indexes.of(indexes)
    assert [index for index in range(10) if index in Indexes.of(indexes)] == sorted(indexes)


def test_indexes_join_and_lose_what_a_smaller_job_does_not_have() -> None:
    assert str(Indexes.of([0, 1, 5]) | Indexes.of([2, 3, 9])) == "0-3,5,9"
    assert str(Indexes.of([]) | Indexes.of([1])) == "1"
    assert str(Indexes.read("0-3,5-9,12", 7)) == "0-3,5,6"
    assert len(Indexes.read("0-3,5-9", 100)) == 9
    assert str(Indexes.read("0-2,x,7", 10)) == "0-2"


@given(st.sets(st.integers(0, 12)), st.sets(st.integers(0, 12)))
def test_indexes_that_two_sets_share(some: set[int], others: set[int]) -> None:
    assert Indexes.of(some) & Indexes.of(others) == Indexes.of(some & others)


def test_no_set_of_indexes_is_too_large_to_be_compared() -> None:
    everything = Indexes.read("0-2147483646", 2**31 - 1)
    assert len(everything & Indexes.of([3])) == 1
    status = {"completedIndexes": "0-2147483645", "failedIndexes": "2147483646"}
    large = indexed(status, completions=2**31 - 1, parallelism=1, backoffLimitPerIndex=1, maxFailedIndexes=1)
    assert STRATEGY.validate_status_update(large, indexed(completions=2**31 - 1, backoffLimitPerIndex=1)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1-2-3", 'the fragment "1-2-3" violates the requirement'),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("1,", 'cannot convert string to integer for index: ""'),
        ("9", 'too large index: "9"'),
        ("0-9", 'too large index: "9"'),
        ("3-3", "non-increasing order, previous: 3, current: 3"),
        ("3,1", "non-increasing order, previous: 3, current: 1"),
        ("1-3,3", "non-increasing order, previous: 3, current: 3"),
    ],
)
def test_bad_indexes_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        parse_indexes(text, 9)


def test_labels_and_selector_are_made_of_the_uid() -> None:
    made = job()
    labels = {
        "batch.kubernetes.io/controller-uid": "u",
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": "u",
        "job-name": "j",
    }
    assert made.labels == made.spec.template.metadata.labels == labels
    assert made.spec.selector is not None
    assert made.spec.selector.matchLabels == {"batch.kubernetes.io/controller-uid": "u"}
    assert STRATEGY.validate_create(made) == []


def test_an_indexed_job_changes_its_size_as_a_whole_only() -> None:
    old = indexed()
    assert STRATEGY.validate_update(indexed(completions=3, parallelism=3), old) == []
    (error,) = STRATEGY.validate_update(indexed(completions=3), old)
    assert str(error) == "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism"
    (error,) = STRATEGY.validate_update(job(completions=3), job(completions=5))
    assert error.message.endswith("field is immutable")


def change_template(obj: Job, **spec: Any) -> Job:
    changed = obj.clone()
    changed.spec.template.spec = obj.spec.template.spec.model_validate(
        obj.spec.template.spec.model_dump(exclude_none=True) | spec
    )
    return changed


def test_a_suspended_job_that_never_ran_may_be_sent_elsewhere() -> None:
    rules = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": []}]}}
    pods = {"podAffinity": {}}
    waiting, ran = job(suspend=True), job({"startTime": START}, suspend=True)
    moved = change_template(waiting, nodeSelector={"a": "b"}, affinity={"nodeAffinity": rules})
    assert STRATEGY.validate_update(moved, waiting) == []
    assert STRATEGY.validate_update(waiting, moved) == []
    assert [error.field for error in STRATEGY.validate_update(moved, ran)] == ["spec.template"]
    together = change_template(waiting, affinity={"nodeAffinity": rules, **pods})
    assert [error.field for error in STRATEGY.validate_update(together, waiting)] == ["spec.template.spec"]


def condition(*kinds: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True"} for kind in kinds]}


COMPLETE = {**condition("SuccessCriteriaMet", "Complete"), "startTime": START, "completionTime": LATER}
FAILED = {**condition("FailureTarget", "Failed"), "startTime": START}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ({}, COMPLETE, ""),
        ({}, FAILED, ""),
        (COMPLETE, {**COMPLETE, "succeeded": 1}, ""),
        ({}, {**COMPLETE, "active": 1}, "active>0 is invalid for finished job"),
        ({}, {**FAILED, "terminating": 1}, "terminating>0 is invalid for finished job"),
        ({}, {**FAILED, "uncountedTerminatedPods": {"failed": ["u"]}}, "needs to be empty for finished job"),
        ({}, {"completionTime": LATER}, "cannot set completionTime when there is no Complete=True condition"),
        ({}, {"uncountedTerminatedPods": {"failed": ["u"], "succeeded": ["u"]}}, 'Duplicate value: "u"'),
        ({}, condition("FailureTarget", "SuccessCriteriaMet"), "SuccessCriteriaMet=True and FailureTarget=true"),
        (FAILED, {"startTime": START}, "cannot disable the terminal Failed=True condition"),
        (condition("SuccessCriteriaMet"), {}, "cannot disable the SuccessCriteriaMet=True condition"),
        ({"failed": 2}, {"failed": 1}, "cannot decrease the failed counter"),
        ({"succeeded": 2}, {"succeeded": 1}, "cannot decrease the succeeded counter"),
        ({"startTime": START}, {"startTime": LATER}, "startTime cannot be removed for unsuspended job"),
        ({"startTime": START, **condition("Suspended")}, {"startTime": LATER}, ""),
        (COMPLETE, {**COMPLETE, "completionTime": "2026-01-01T00:02:00Z"}, "completionTime cannot be mutated"),
    ],
)  # fmt: skip
def test_a_status_says_nothing_that_does_not_fit(old: dict[str, Any], new: dict[str, Any], message: str) -> None:
    errors = STRATEGY.validate_status_update(job(new), job(old))
    assert bool(errors) == bool(message)
    assert message in " ".join(map(str, errors))


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"completedIndexes": "0-2", "failedIndexes": "3"}, ""),
        ({"completedIndexes": "0-2", "failedIndexes": "2"}, "overlap at index: 2"),
        ({"completedIndexes": "3-1"}, "error parsing completedIndexes"),
        ({"failedIndexes": "7"}, 'error parsing failedIndexes: too large index: "7"'),
        ({"succeeded": 1}, ""),
    ],
)
def test_indexes_of_a_status(new: dict[str, Any], message: str) -> None:
    before = indexed({"succeeded": 3}, backoffLimitPerIndex=1)
    errors = STRATEGY.validate_status_update(indexed(new, backoffLimitPerIndex=1), before)
    assert bool(errors) == bool(message)
    assert message in " ".join(map(str, errors))
