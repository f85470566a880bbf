"""What a DELETE does to an object."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.meta import DeleteOptions, Object, ObjectMeta
from apiserver.registry.deletion import Deletion, plan_deletion, removed_by_update

NOW = 1_700_000_000.0
LATER = "2023-11-14T22:13:50Z"  # 30 s after NOW


def obj(**meta: Any) -> Object:
    return Object(metadata=ObjectMeta(name="x", **meta))


def plan(target: Object, *, grace: int | None = None, held: bool = False, **options: Any) -> Deletion:
    return plan_deletion(target, DeleteOptions(**options), grace_period_seconds=grace, held=held, now=NOW)


def test_nothing_holds_it() -> None:
    assert plan(obj()) is Deletion.REMOVE
    assert plan(obj(), grace=0) is Deletion.REMOVE
    assert plan(obj(), propagationPolicy="Background") is Deletion.REMOVE


def test_a_grace_period_marks_it_and_raises_the_generation() -> None:
    target = obj(generation=3)
    assert plan(target, grace=30) is Deletion.MARK
    meta = target.metadata
    assert (meta.deletionTimestamp, meta.deletionGracePeriodSeconds, meta.generation) == (LATER, 30, 4)


def test_what_goes_at_once_after_all_is_marked_too_where_the_kind_knows_graceful_deletion() -> None:
    target = obj(generation=1)
    assert plan(target, grace=0) is Deletion.REMOVE
    meta = target.metadata
    assert (meta.deletionTimestamp, meta.deletionGracePeriodSeconds, meta.generation) == ("2023-11-14T22:13:20Z", 0, 2)


def test_a_kind_may_leave_dependents_alone_where_nothing_is_said() -> None:
    def planned(target: Object, **options: Any) -> Deletion:
        return plan_deletion(
            target, DeleteOptions(**options), grace_period_seconds=None, held=False, now=NOW, orphans=True
        )

    target = obj()
    assert (planned(target), target.metadata.finalizers) == (Deletion.MARK, ["orphan"])
    assert planned(obj(), propagationPolicy="Background") is Deletion.REMOVE
    waiting = obj(finalizers=["foregroundDeletion"])
    assert (planned(waiting), waiting.metadata.finalizers) == (Deletion.MARK, ["foregroundDeletion"])


def test_a_pending_grace_period_can_only_be_shortened() -> None:
    target = obj(deletionTimestamp=LATER, deletionGracePeriodSeconds=30)
    assert plan(target, grace=60, gracePeriodSeconds=60) is Deletion.PENDING
    assert plan(target, grace=30) is Deletion.PENDING
    assert plan(target, grace=10, gracePeriodSeconds=10) is Deletion.MARK
    assert target.metadata.deletionTimestamp == "2023-11-14T22:13:30Z"
    assert plan(target, grace=0, gracePeriodSeconds=0) is Deletion.REMOVE


def test_finalizers_hold_it() -> None:
    target = obj(finalizers=["a/b"])
    assert plan(target) is Deletion.MARK
    assert target.metadata.deletionGracePeriodSeconds == 0
    first = target.metadata.deletionTimestamp
    assert plan(target) is Deletion.MARK
    assert target.metadata.deletionTimestamp == first
    graceful = obj(finalizers=["a/b"])
    assert plan(graceful, grace=0) is Deletion.MARK


def test_something_else_may_hold_it() -> None:
    target = obj()
    assert plan(target, held=True) is Deletion.MARK
    assert target.metadata.deletionTimestamp
    assert target.metadata.deletionGracePeriodSeconds is None


@pytest.mark.parametrize(
    ("before", "options", "after"),
    [
        ([], {"propagationPolicy": "Orphan"}, ["orphan"]),
        ([], {"orphanDependents": True}, ["orphan"]),
        (["a/b"], {"propagationPolicy": "Foreground"}, ["a/b", "foregroundDeletion"]),
        (["orphan"], {"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        (["foregroundDeletion"], {"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        (["a/b", "orphan"], {"propagationPolicy": "Background"}, ["a/b"]),
        (["a/b", "orphan"], {"orphanDependents": False}, ["a/b"]),
        (["orphan"], {}, ["orphan"]),
    ],
)
def test_a_policy_becomes_a_finalizer(before: list[str], options: dict[str, Any], after: list[str]) -> None:
    target = obj(finalizers=before or None)
    assert plan(target, **options) is Deletion.MARK
    assert target.metadata.finalizers == after


def test_the_policy_of_a_later_request_can_let_it_go() -> None:
    target = obj(finalizers=["foregroundDeletion"], deletionTimestamp=LATER, deletionGracePeriodSeconds=0)
    assert plan(target, propagationPolicy="Background") is Deletion.REMOVE


def test_an_update_that_takes_the_last_finalizer_removes() -> None:
    marked = {"deletionTimestamp": LATER, "deletionGracePeriodSeconds": 0}
    old = obj(finalizers=["a/b"], **marked)
    assert removed_by_update(obj(**marked), old, held=False)
    assert not removed_by_update(obj(**marked), old, held=True)
    assert not removed_by_update(obj(finalizers=["a/b"], **marked), old, held=False)
    assert not removed_by_update(obj(), obj(finalizers=["a/b"]), held=False)
    running = obj(deletionTimestamp=LATER, deletionGracePeriodSeconds=30)
    assert not removed_by_update(running, running, held=False)
