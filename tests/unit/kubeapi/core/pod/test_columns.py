from typing import Any

import pytest

from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import A_DAY_AGO, AN_HOUR_AGO, FIVE_MINUTES_AGO, headers, pod, row


def status(
    state: dict[str, Any] | None = None, *, name: str = "app", restarts: int = 0, ready: bool = False, **more: Any
) -> dict[str, Any]:
    return {
        "name": name,
        "image": "a",
        "imageID": "",
        "restartCount": restarts,
        "ready": ready,
        "state": state or {},
        **more,
    }


RUNNING = {"running": {"startedAt": AN_HOUR_AGO}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
ENDED = {"lastState": {"terminated": {"exitCode": 1, "finishedAt": FIVE_MINUTES_AGO}}}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def failed(**fields: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": 1, **fields}}


def condition(kind: str, value: str, reason: str = "") -> dict[str, str]:
    return {"type": kind, "status": value, "reason": reason}


def test_columns_are_kubectls() -> None:
    assert headers(PODS, wide=False) == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert headers(PODS, wide=True) == ["IP", "Node", "Nominated Node", "Readiness Gates"]


def test_a_running_pod() -> None:
    document = pod(
        {"nodeName": "n", "readinessGates": [{"conditionType": "a/b"}, {"conditionType": "a/c"}]},
        metadata={"creationTimestamp": A_DAY_AGO},
        status={
            "phase": "Running",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "nominatedNodeName": "m",
            "conditions": [condition("a/b", "True")],
            "containerStatuses": [status(RUNNING, ready=True)],
        },
    )
    assert row(PODS, document) == {
        "Name": "web",
        "Ready": "1/1",
        "Status": "Running",
        "Restarts": "0",
        "Age": "24h",
        "IP": "10.0.0.1",
        "Node": "n",
        "Nominated Node": "m",
        "Readiness Gates": "1/2",
    }


def test_a_pod_that_nobody_has_looked_at() -> None:
    assert row(PODS, pod(status={"phase": "Pending"})) == {
        "Name": "web",
        "Ready": "0/1",
        "Status": "Pending",
        "Restarts": "0",
        "Age": "<unknown>",
        "IP": "<none>",
        "Node": "<none>",
        "Nominated Node": "<none>",
        "Readiness Gates": "<none>",
    }


READY = condition("Ready", "True")
INITIALIZED = condition("Initialized", "True")
GONE = {"deletionTimestamp": AN_HOUR_AGO}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    # (what, status, metadata, the shown status)
    ("phase", {"phase": "Succeeded"}, {}, "Succeeded"),
    ("the pod's own reason", {"phase": "Failed", "reason": "Evicted"}, {}, "Evicted"),
    (
        "waiting",
        {"phase": "Pending", "containerStatuses": [status(waiting("ImagePullBackOff"))]},
        {},
        "ImagePullBackOff",
    ),
    (
        "crash loop",
        {"phase": "Running", "containerStatuses": [status(waiting("CrashLoopBackOff"))]},
        {},
        "CrashLoopBackOff",
    ),
    ("ended", {"phase": "Succeeded", "containerStatuses": [status(DONE)]}, {}, "Completed"),
    ("failed", {"phase": "Failed", "containerStatuses": [status(failed(reason="Error"))]}, {}, "Error"),
    ("killed", {"phase": "Failed", "containerStatuses": [status(failed(signal=9))]}, {}, "Signal:9"),
    ("exit code", {"phase": "Failed", "containerStatuses": [status(failed())]}, {}, "ExitCode:1"),
    (
        "one of two ended",
        {
            "phase": "Running",
            "conditions": [READY],
            "containerStatuses": [status(DONE), status(RUNNING, name="b", ready=True)],
        },
        {},
        "Running",
    ),
    (
        "one of two ended, not ready",
        {"phase": "Running", "containerStatuses": [status(DONE), status(RUNNING, name="b", ready=True)]},
        {},
        "NotReady",
    ),
    (
        "the first container's reason wins",
        {"phase": "Running", "containerStatuses": [status(waiting("A")), status(waiting("B"), name="b")]},
        {},
        "A",
    ),
    (
        "gated",
        {"phase": "Pending", "conditions": [condition("PodScheduled", "False", "SchedulingGated")]},
        {},
        "SchedulingGated",
    ),
    ("deleted", {"phase": "Running", "containerStatuses": [status(RUNNING, ready=True)]}, GONE, "Terminating"),
    ("deleted when done", {"phase": "Succeeded", "containerStatuses": [status(DONE)]}, GONE, "Completed"),
    ("deleted on a lost node", {"phase": "Running", "reason": "NodeLost"}, GONE, "Unknown"),
]


@pytest.mark.parametrize(("what", "given", "metadata", "shown"), CASES, ids=[case[0] for case in CASES])
def test_the_status_column_says_why(what: str, given: dict[str, Any], metadata: dict[str, Any], shown: str) -> None:
    assert row(PODS, pod(status=given, metadata=metadata))["Status"] == shown


INIT = [{"name": "one", "image": "i"}, {"name": "two", "image": "i"}]
INIT_CASES: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]], str]] = [
    # (what, init container statuses, conditions, the shown status)
    ("not begun", [status(name="one"), status(name="two")], [], "Init:0/2"),
    ("initializing", [status(waiting("PodInitializing"), name="one")], [], "Init:0/2"),
    ("one done", [status(DONE, name="one"), status(RUNNING, name="two")], [], "Init:1/2"),
    ("failed", [status(failed(reason="Error"), name="one")], [], "Init:Error"),
    ("exit code", [status(failed(), name="one")], [], "Init:ExitCode:1"),
    ("signal", [status(failed(signal=9), name="one")], [], "Init:Signal:9"),
    ("waiting", [status(waiting("CrashLoopBackOff"), name="one")], [], "Init:CrashLoopBackOff"),
    ("done", [status(DONE, name="one"), status(DONE, name="two")], [INITIALIZED], "Pending"),
]


@pytest.mark.parametrize(("what", "statuses", "conditions", "shown"), INIT_CASES, ids=[case[0] for case in INIT_CASES])
def test_status_while_initializing(
    what: str, statuses: list[dict[str, Any]], conditions: list[dict[str, Any]], shown: str
) -> None:
    document = pod(
        {"initContainers": INIT},
        status={"phase": "Pending", "initContainerStatuses": statuses, "conditions": conditions},
    )
    assert row(PODS, document)["Status"] == shown


def test_sidecars_count_as_containers() -> None:
    document = pod(
        {"initContainers": [{"name": "side", "image": "s", "restartPolicy": "Always"}]},
        status={
            "phase": "Running",
            "initContainerStatuses": [status(RUNNING, name="side", ready=True, started=True, restarts=2, **ENDED)],
            "containerStatuses": [status(RUNNING, ready=True, restarts=1)],
        },
    )
    cells = row(PODS, document)
    assert (cells["Ready"], cells["Status"], cells["Restarts"]) == ("2/2", "Running", "3 (5m ago)")


@pytest.mark.parametrize(
    ("statuses", "shown"),
    [
        ([status(RUNNING)], "0"),
        ([status(RUNNING, restarts=3)], "3"),
        ([status(RUNNING, restarts=3, **ENDED)], "3 (5m ago)"),
        ([status(RUNNING, restarts=3, **ENDED), status(RUNNING, name="b", restarts=1)], "4 (5m ago)"),
    ],
)
def test_restarts_are_counted_with_the_age_of_the_last(statuses: list[dict[str, Any]], shown: str) -> None:
    assert row(PODS, pod(status={"phase": "Running", "containerStatuses": statuses}))["Restarts"] == shown


def test_restarts_of_finished_init_containers_are_forgotten() -> None:
    document = pod(
        {"initContainers": INIT[:1]},
        status={
            "phase": "Running",
            "initContainerStatuses": [status(DONE, name="one", restarts=5)],
            "containerStatuses": [status(RUNNING, ready=True, restarts=1)],
        },
    )
    assert row(PODS, document)["Restarts"] == "1"
