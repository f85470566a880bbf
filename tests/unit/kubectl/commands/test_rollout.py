"""The state of a rollout."""

import pytest

from kubectl.changes.rollouts import rollout_status
from kubectl.invocation.command import UsageError


def deployment(status, generation=2, replicas=3):
    meta = {"name": "web", "generation": generation}
    return {
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"observedGeneration": 1}, "Waiting for deployment spec update to be observed..."),
        ({"updatedReplicas": 1}, "1 out of 3 new replicas have been updated..."),
        ({"updatedReplicas": 3, "replicas": 4}, "1 old replicas are pending termination..."),
        ({"updatedReplicas": 3, "replicas": 3, "availableReplicas": 2}, "2 of 3 updated replicas are available..."),
    ],
)
def test_rollout_status_while_it_lasts(status, message):
    text, over = rollout_status(deployment(status))
    assert text.endswith(message)
    assert not over


def test_rollout_status_at_its_end():
    done = {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3}
    assert rollout_status(deployment(done)) == ('deployment "web" successfully rolled out', True)
    late = {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}
    with pytest.raises(UsageError, match="exceeded its progress deadline"):
        rollout_status(deployment(late))


def workload(kind, status, *, strategy="RollingUpdate", **rolling):
    strategy = {"type": strategy, "rollingUpdate": rolling}
    meta = {"name": "w", "generation": 2}
    status = {"observedGeneration": 2, **status}
    return {"kind": kind, "metadata": meta, "spec": {"replicas": 3, "updateStrategy": strategy}, "status": status}


DESIRED = {"desiredNumberScheduled": 3}
READY = {"readyReplicas": 3, "currentReplicas": 3}
SAME, OTHER = ({"updateRevision": "w-b", "currentRevision": each} for each in ("w-b", "w-a"))


@pytest.mark.parametrize(
    ("kind", "status", "message", "over"),
    [
        ("DaemonSet", {"observedGeneration": 1}, "Waiting for daemon set spec update to be observed...", False),
        ("DaemonSet", DESIRED | {"updatedNumberScheduled": 1}, "1 out of 3 new pods have been updated...", False),
        (
            "DaemonSet",
            DESIRED | {"updatedNumberScheduled": 3, "numberAvailable": 2},
            "2 of 3 updated pods are available...",
            False,
        ),
        (
            "DaemonSet",
            DESIRED | {"updatedNumberScheduled": 3, "numberAvailable": 3},
            'daemon set "w" successfully rolled out',
            True,
        ),
        ("StatefulSet", {"observedGeneration": 0}, "Waiting for statefulset spec update to be observed...", False),
        ("StatefulSet", {"readyReplicas": 1}, "Waiting for 2 pods to be ready...", False),
        ("StatefulSet", READY | OTHER | {"updatedReplicas": 2}, "to complete 2 pods at revision w-b...", False),
        ("StatefulSet", READY | SAME, "statefulset rolling update complete 3 pods at revision w-b...", True),
    ],
)
def test_rollout_status_of_other_workloads(kind, status, message, over):
    text, done = rollout_status(workload(kind, status))
    assert text.endswith(message)
    assert done == over


@pytest.mark.parametrize(("updated", "over"), [(1, False), (2, True)])
def test_a_partition_ends_a_rollout_early(updated, over):
    _, done = rollout_status(workload("StatefulSet", READY | OTHER | {"updatedReplicas": updated}, partition=1))
    assert done == over


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet"])
def test_what_is_replaced_by_hand_has_no_rollout(kind):
    with pytest.raises(UsageError, match="only available for RollingUpdate"):
        rollout_status(workload(kind, {}, strategy="OnDelete"))
