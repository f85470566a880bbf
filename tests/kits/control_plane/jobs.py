"""Jobs with their controller, on an API in memory; the kubelet is the test."""

from __future__ import annotations

from typing import Any

from apimachinery.times import format_time
from controller_manager.controllers.workloads.job._pods import INDEX_KEY
from controller_manager.controllers.workloads.job.job import CONTROLLER
from kubeapi.batch.job.model import Job
from kubeapi.batch.job.resource import RESOURCE
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodCondition
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock

KEY = "a/j"


def job(uid: str = "u", name: str = "j", **spec: Any) -> Job:
    obj = Job.model_validate(
        {
            "metadata": {"name": name, "namespace": "a", "uid": uid},
            "spec": {
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}},
                **spec,
            },
        }
    )
    RESOURCE.strategy.default(obj)
    RESOURCE.strategy.prepare_create(obj)
    assert not RESOURCE.strategy.validate_create(obj)
    return obj


def indexed(completions: int, **spec: Any) -> Job:
    return job(**{"completionMode": "Indexed", "completions": completions, "parallelism": completions, **spec})


class Bench:
    """A Job, its controller, and pods whose kubelet is the test."""

    def __init__(self, obj: Job | None = None, *, clock: FakeClock | None = None, **spec: Any) -> None:
        self.clock = clock or FakeClock()
        self.api = FakeApi(self.clock)
        self.api.put(obj or job(**spec))
        self.restart()

    def restart(self) -> None:
        self.api.deliver()
        self.api._informers.clear()
        self.controller = Running(self.api, CONTROLLER)

    async def settle(self) -> None:
        while True:
            for key, seconds in list(self.controller.queue._delayed.items()):
                if seconds:  # what waits for others of its kind waits no longer
                    self.controller.queue._delayed.pop(key)
                    self.controller.queue.add(key)
            self.api.deliver()
            if not self.controller.waiting and not self.api.undelivered and not self.controller.queue._delayed:
                return
            await settle(self.api, self.controller)

    async def later(self, seconds: float) -> None:
        self.clock.step(seconds)
        self.controller.queue.add(KEY)
        await self.settle()

    @property
    def job(self) -> Job:
        found: Job = self.api.find(Job, KEY)
        return found

    @property
    def pods(self) -> list[Pod]:
        return sorted(self.api.all(Pod), key=lambda pod: (pod.metadata.creationTimestamp or "", pod.name))

    @property
    def live(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.status.phase in (None, "", "Pending", "Running")]

    @property
    def conditions(self) -> dict[str, str]:
        return {each.type: each.reason or "" for each in self.job.status.conditions or () if each.status == "True"}

    def end(self, pod: Pod, code: int = 0, *conditions: str) -> None:
        now = format_time(self.clock.now())

        def edit(obj: Pod) -> None:
            obj.status.phase = "Failed" if code else "Succeeded"
            terminated = {"terminated": {"exitCode": code, "finishedAt": now}}
            statuses = {"containerStatuses": [{"name": "c", "state": terminated}]}
            obj.status.containerStatuses = type(obj.status).model_validate(statuses).containerStatuses
            obj.status.conditions = [PodCondition(type=kind, status="True") for kind in conditions]

        self.api.change(Pod, pod.key, edit)

    async def fail_one(self, code: int = 1, *conditions: str) -> None:
        self.end(self.live[0], code, *conditions)
        await self.settle()

    async def end_index(self, index: int, code: int = 0) -> None:
        self.end(next(pod for pod in self.live if pod.labels[INDEX_KEY] == str(index)), code)
        await self.settle()


def rule(action: str, *codes: int, operator: str = "In", condition: str = "", container: str = "") -> dict[str, Any]:
    if condition:
        return {"action": action, "onPodConditions": [{"type": condition}]}
    name = {"containerName": container} if container else {}
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(codes), **name}}
