"""Jobs survive the death of their controller at every write: each pod is counted once, none is made too many."""

from __future__ import annotations

from typing import Any

import pytest

from controller_manager.controllers.workloads.job.job import CONTROLLER
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.cuts import Step, Story, play_every_cut

Dict = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
MERGE = {"content-type": "application/merge-patch+json"}
LONG_AGO = "2024-01-01T00:00:00Z"  # so that no failure has to be waited for


class World:
    """One Job in a namespace of its own, whose pods end when the test says so."""

    def __init__(self, api: ApiServer, namespace: str, **spec: Any) -> None:
        api.make_namespace(namespace)
        self._http = api.http
        self._jobs, self._pods = (
            f"/apis/batch/v1/namespaces/{namespace}/jobs",
            f"/api/v1/namespaces/{namespace}/pods",
        )
        self._spec = spec

    def create(self) -> None:
        template = {"spec": {"containers": [{"name": "c", "image": "x"}], "restartPolicy": "Never"}}
        body = {"metadata": {"name": "j"}, "spec": {"template": template, **self._spec}}
        assert self._http.post(self._jobs, json=body).status_code == 201

    def suspend(self, *, suspended: bool) -> None:
        patch = {"spec": {"suspend": suspended}}
        assert self._http.patch(f"{self._jobs}/j", json=patch, headers=MERGE).status_code == 200

    def delete(self) -> None:
        assert self._http.delete(f"{self._jobs}/j", params={"propagationPolicy": "Background"}).status_code == 200

    def pods(self, *phases: str) -> list[Dict]:
        items: list[Dict] = self._http.get(self._pods).json()["items"]
        return [item for item in items if not phases or item["status"]["phase"] in phases]

    def end_pods(self, *failing_indexes: str) -> None:
        """Ends all pods that run; those of `failing_indexes` fail."""
        for pod in self.pods("Pending"):
            fails = pod["metadata"].get("labels", {}).get(INDEX) in failing_indexes
            ended = {"exitCode": int(fails), "finishedAt": LONG_AGO}
            status = {
                "phase": "Failed" if fails else "Succeeded",
                "containerStatuses": [{"name": "c", "image": "x", "imageID": "", "restartCount": 0, "ready": False,
                                       "state": {"terminated": ended}}],
            }  # fmt: skip
            self._http.patch(f"{self._pods}/{pod['metadata']['name']}/status", json={"status": status}, headers=MERGE)

    def status(self) -> Dict:
        status: Dict = self._http.get(f"{self._jobs}/j").json()["status"]
        return status

    def has(self, condition: str) -> bool:
        conditions = self.status().get("conditions") or []
        return any(each["type"] == condition and each["status"] == "True" for each in conditions)

    def tracked(self) -> list[Dict]:
        return [pod for pod in self.pods() if pod["metadata"].get("finalizers")]


async def test_a_plain_job(api: ApiServer) -> None:
    def story(number: int) -> Story:
        world = World(api, f"plain-{number}", completions=2, parallelism=2)

        def completes() -> bool:
            assert len(world.pods()) <= 2
            world.end_pods()
            return world.has("Complete") and world.status()["succeeded"] == 2 and not world.tracked()

        return Story([CONTROLLER], [Step(world.create, completes, "two pods, each counted once")])

    assert await play_every_cut(api, story) >= 7


@pytest.mark.slow
async def test_a_job_that_is_suspended_and_resumed(api: ApiServer) -> None:
    def story(number: int) -> Story:
        world = World(api, f"suspended-{number}", completions=3, parallelism=2)

        def completes() -> bool:
            assert len(world.pods("Pending")) <= 2
            world.end_pods()
            if not world.has("Complete"):
                return False
            counts = (world.status()["succeeded"], world.status().get("failed", 0), len(world.pods()))
            return counts == (3, 0, 3) and not world.tracked()

        return Story(
            [CONTROLLER],
            [
                Step(world.create, lambda: world.status().get("active") == len(world.pods()) == 2, "two pods"),
                Step(
                    lambda: world.suspend(suspended=True), lambda: world.has("Suspended") and not world.pods(), "none"
                ),
                Step(lambda: world.suspend(suspended=False), completes, "three pods have ended"),
                Step(
                    lambda: None,
                    lambda: (
                        (world.status()["succeeded"], world.status().get("failed", 0), len(world.pods())) == (3, 0, 3)
                    ),
                    "each pod counted once",
                ),
                Step(lambda: None, lambda: not world.tracked(), "no finalizer is left"),
            ],
        )

    assert await play_every_cut(api, story) >= 15


@pytest.mark.slow
async def test_indexes_that_fail_succeed_and_are_given_up(api: ApiServer) -> None:
    def story(number: int) -> Story:
        spec = {"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 1}
        world = World(api, f"indexed-{number}", **spec)

        def ends() -> bool:
            world.end_pods("1")
            return world.has("Failed")

        def is_counted() -> bool:
            status = world.status()
            counts = (status["completedIndexes"], status["failedIndexes"], status["succeeded"], status["failed"])
            return counts == ("0,2", "1", 2, 2) and len(world.pods()) == 4 and not world.tracked()

        return Story(
            [CONTROLLER],
            [
                Step(world.create, ends, "index 1 has failed twice"),
                Step(lambda: None, is_counted, "each pod counted once, one made again"),
            ],
        )

    assert await play_every_cut(api, story) >= 8


@pytest.mark.slow
async def test_pods_of_a_deleted_job_lose_their_finalizer(api: ApiServer) -> None:
    def story(number: int) -> Story:
        world = World(api, f"deleted-{number}", completions=2, parallelism=2)
        return Story(
            [CONTROLLER],
            [
                Step(world.create, lambda: len(world.pods()) == 2, "two pods"),
                Step(world.delete, lambda: not world.tracked(), "no finalizer is left"),
            ],
        )

    assert await play_every_cut(api, story) >= 4
