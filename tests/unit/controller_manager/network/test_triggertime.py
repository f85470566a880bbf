"""When the change began that endpoints follow."""

from __future__ import annotations

from apimachinery.meta import ObjectMeta
from controller_manager.controllers.network._triggertime import TRIGGER_TIME, TriggerTimes, annotate
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodCondition, PodStatus
from kubeapi.core.service.model import Service


def at(minute: int) -> str:
    return f"2026-01-01T00:{minute:02}:00Z"


def pod(name: str, minute: int) -> Pod:
    ready = PodCondition(type="Ready", status="True", lastTransitionTime=at(minute))
    return Pod(metadata=ObjectMeta(name=name, namespace="n"), status=PodStatus(conditions=[ready]))


SERVICE = Service(metadata=ObjectMeta(name="s", namespace="n", creationTimestamp=at(5)))


def test_the_earliest_change_since_the_last_look_counts() -> None:
    times = TriggerTimes()
    assert times.next(SERVICE, [pod("a", 7)]) == at(5)
    assert times.next(SERVICE, [pod("a", 7)]) == ""
    assert times.next(SERVICE, [pod("a", 9), pod("b", 8)]) == at(8)
    assert times.next(SERVICE, [pod("b", 8)]) == "", "nobody says when a pod went"
    times.forget(SERVICE.key)
    assert times.next(SERVICE, [pod("b", 4)]) == at(4)


def test_an_older_time_does_not_stay() -> None:
    service = SERVICE.clone()
    service.metadata.annotations = {"other": "x", TRIGGER_TIME: at(1)}
    annotate(service, at(2))
    assert service.annotations == {"other": "x", TRIGGER_TIME: at(2)}
    annotate(service, "")
    assert service.annotations == {"other": "x"}
