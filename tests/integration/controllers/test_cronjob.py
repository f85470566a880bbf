"""CronJobs on a real API server: their controller killed at each of its writes in turn."""

from __future__ import annotations

from typing import Any

from apimachinery.times import format_time
from controller_manager.controllers.workloads.cronjob.cronjob import CONTROLLER
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.cuts import Step, Story, play_every_cut

Dict = dict[str, Any]
MERGE = {"content-type": "application/merge-patch+json"}


class World:
    """A CronJob that is due at once, and the Jobs that it makes."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        api.make_namespace(namespace)
        self._http = api.http
        self._path = f"/apis/batch/v1/namespaces/{namespace}"
        self._uids = set[str]()

    def create(self) -> None:
        """Its schedule comes round each second, and Forbid lets the first Job alone run."""
        pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}
        spec: Dict = {"schedule": "@every 1s", "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 0}
        spec["jobTemplate"] = {"spec": {"template": {"spec": pod}}}
        answer = self._http.post(f"{self._path}/cronjobs", json={"metadata": {"name": "c"}, "spec": spec})
        assert answer.status_code == 201, answer.text

    def status(self) -> Dict:
        found: Dict = self._http.get(f"{self._path}/cronjobs/c").json()["status"]
        return found

    def jobs(self) -> list[Dict]:
        found: list[Dict] = self._http.get(f"{self._path}/jobs").json()["items"]
        self._uids |= {job["metadata"]["uid"] for job in found}
        assert len(self._uids) <= 1, found
        return found

    def runs(self) -> bool:
        names = [job["metadata"]["name"] for job in self.jobs()]
        status = self.status()
        return (
            names != [] and names == [ref["name"] for ref in status.get("active", ())] and "lastScheduleTime" in status
        )

    def succeed(self) -> None:
        """Stops the schedule, then ends the Job as its own controller would."""
        self._patch("cronjobs/c", {"spec": {"suspend": True}})
        (job,) = self.jobs()
        now = format_time(1_800_000_000)
        conditions = [{"type": kind, "status": "True"} for kind in ("SuccessCriteriaMet", "Complete")]
        status = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
        self._patch(f"jobs/{job['metadata']['name']}/status", {"status": status})

    def is_over(self) -> bool:
        status = self.status()
        return not self.jobs() and "active" not in status and "lastSuccessfulTime" in status

    def _patch(self, path: str, body: Dict) -> None:
        answer = self._http.patch(f"{self._path}/{path}", json=body, headers=MERGE)
        assert answer.status_code == 200, answer.text


async def test_a_death_at_any_write_makes_no_second_job_and_forgets_none(api: ApiServer) -> None:
    def story(number: int) -> Story:
        world = World(api, f"cut-{number}")
        steps = (
            Step(world.create, world.runs, "one Job runs, and the CronJob knows it"),
            Step(world.succeed, world.is_over, "its success is noted, and it is deleted"),
        )
        return Story([CONTROLLER], steps)

    assert await play_every_cut(api, story) >= 4
