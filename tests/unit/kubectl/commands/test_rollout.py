"""The state of a rollout."""

import pytest

from kubectl.commands.deploy.rollout import rollout_status
from kubectl.invocation.command import UsageError


def deployment(status, generation=2, replicas=3):
    meta = {"name": "web", "generation": generation}
    return {"metadata": meta, "spec": {"replicas": replicas}, "status": {"observedGeneration": 2, **status}}


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
