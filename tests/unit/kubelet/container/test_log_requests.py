"""Which log a request means, in upstream's words where there is none."""

from __future__ import annotations

import pytest

from apimachinery.model import from_dict
from kubeapi.core.pod.model import Pod
from kubelet.container.log_requests import BadLogRequest, log_container, parse_log_request
from kubelet.runtime.configs import PodRef
from kubelet.runtime.interface import ContainerState, ContainerStatus, LogOptions, PodRuntimeStatus

REF = PodRef("u", "default", "web")


def pod(**state: object) -> Pod:
    statuses = [{"name": "app", "state": state}] if state else None
    document = {
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {"containers": [{"name": "app", "image": "i"}]},
        "status": {"containerStatuses": statuses} if statuses else {},
    }
    return from_dict(Pod, document)


def runtime_status(*states: ContainerState) -> PodRuntimeStatus:
    """Attempts from the oldest on."""
    attempts = [
        ContainerStatus(f"c{n}", REF, "app", "regular", n, state, "i", "i", "", "s", float(n))
        for n, state in enumerate(states)
    ]
    return PodRuntimeStatus(REF, (), tuple(reversed(attempts)))


def test_all_options_are_read() -> None:
    query = {
        "follow": "true",
        "tailLines": "5",
        "sinceSeconds": "60",
        "timestamps": "1",
        "limitBytes": "9",
        "previous": "",
    }
    request = parse_log_request(query, now=1000.0)
    assert request.options == LogOptions(follow=True, tail_lines=5, since=940.0, timestamps=True)
    assert (request.limit_bytes, request.previous) == (9, True)
    assert parse_log_request({"sinceTime": "1970-01-01T00:01:00Z"}, now=0).options.since == 60.0
    assert parse_log_request({"stream": "Stderr"}, now=0).options.stream == "stderr"
    assert parse_log_request({"follow": "false", "stream": "All"}, now=0).options == LogOptions()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"tailLines": "x"}, 'tailLines: "x" is not a number'),
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"limitBytes": "0"}, "limitBytes: Invalid value: 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0"),
        ({"sinceSeconds": "1", "sinceTime": "1970-01-01T00:01:00Z"}, "at most one of"),
        ({"sinceTime": "yesterday"}, "is not an RFC 3339 time"),
        ({"stream": "Both"}, 'Unsupported value: "Both"'),
        ({"stream": "Stdout", "tailLines": "1"}, "mutually exclusive"),
    ],
)
def test_bad_options_are_refused(query: dict[str, str], words: str) -> None:
    with pytest.raises(BadLogRequest, match=words):
        parse_log_request(query, now=0)


def test_the_newest_attempt_that_ran_is_read() -> None:
    assert log_container(pod(), runtime_status("exited", "running"), "app", previous=False).id == "c1"
    assert log_container(pod(), runtime_status("exited", "exited"), "app", previous=False).id == "c1"
    assert log_container(pod(), runtime_status("exited", "created"), "app", previous=False).id == "c0"


def test_previous_is_the_attempt_before_or_the_one_that_just_crashed() -> None:
    assert log_container(pod(), runtime_status("exited", "exited", "running"), "app", previous=True).id == "c1"
    waiting = pod(waiting={"reason": "CrashLoopBackOff"})
    assert log_container(waiting, runtime_status("exited", "exited"), "app", previous=True).id == "c1"
    over = pod(terminated={"exitCode": 1})
    assert log_container(over, runtime_status("exited", "exited"), "app", previous=True).id == "c0"
    for states in ((), ("running",), ("exited",)):
        with pytest.raises(BadLogRequest, match='previous terminated container "app" in pod "web" not found'):
            log_container(pod(running={}), runtime_status(*states), "app", previous=True)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ContainerCreating", "is waiting to start: ContainerCreating"),
        ("ErrImagePull", "is waiting to start: image can't be pulled"),
        ("ImagePullBackOff", "is waiting to start: trying and failing to pull image"),
    ],
)
def test_a_container_that_waits_has_no_log_yet(reason: str, words: str) -> None:
    with pytest.raises(BadLogRequest, match=f'container "app" in pod "web" {words}'):
        log_container(pod(waiting={"reason": reason}), None, "app", previous=False)


def test_unknown_containers_are_refused() -> None:
    with pytest.raises(BadLogRequest, match="container other is not valid for pod web"):
        log_container(pod(), None, "other", previous=False)
