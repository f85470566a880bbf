"""Jobs in mini-kubectl beside the real kubectl."""

from __future__ import annotations

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import Pair, write_kubeconfig
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="there is no kubectl")

NAMESPACE = "batch"
START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:05:10Z"
TEMPLATE = {"spec": {"containers": [{"name": "c", "image": "x:1"}], "restartPolicy": "Never"}}
ENDED = {"ready": 0, "terminating": 0, "startTime": START, "completionTime": END}
SUCCESS = {"conditions": [{"type": kind, "status": "True"} for kind in ("SuccessCriteriaMet", "Complete")]}
JOBS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "fresh": ({}, {}),
    "ended": ({"ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 600}, {**ENDED, **SUCCESS, "succeeded": 1}),
    "indexed": (
        {"completionMode": "Indexed", "completions": 40, "parallelism": 3, "backoffLimitPerIndex": 1, "suspend": True},
        {"completedIndexes": ",".join(map(str, range(0, 40, 2))), "succeeded": 20, "failed": 1, "active": 2},
    ),
    "queue": ({"parallelism": 4}, {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """With Jobs. No controller runs, so nothing acts on them."""
    kubeconfig = write_kubeconfig(api, tmp_path_factory.mktemp("jobs") / "kubeconfig", NAMESPACE)
    api.make_namespace(NAMESPACE)
    mini = CommandLine(kubeconfig, NAMESPACE)
    for name, (spec, status) in JOBS.items():
        mini.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": {"l": "m"}},
                    "spec": {"template": TEMPLATE, **spec}})  # fmt: skip
        if status:
            path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}/status"
            headers = {"content-type": "application/merge-patch+json"}
            answer = api.http.patch(path, json={"status": status}, headers=headers)
            assert answer.status_code == 200, answer.text
    return Pair(mini, CommandLine(kubeconfig, NAMESPACE, str(KUBECTLS.get("1.33", KUBECTLS[""]))))


@pytest.mark.parametrize(
    "words",
    [
        "describe jobs",
        "get job -o wide",
        "get jobs --field-selector status.successful=1 -o name",
        "wait job/ended --for=condition=complete --timeout=5s",
        "scale job/queue --replicas=2",
        "delete job fresh --dry-run=server",
    ],
)
def test_both_say_the_same(pair: Pair, words: str) -> None:
    pair.same(words)
