"""A kubelet that is cut short at any call goes on as if nothing had been: no orphan, no duplicate, a true status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apimachinery.conditions import is_true
from apimachinery.model import from_dict
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from tests.fakes.clock import InlineExecutor
from tests.fakes.programs import Script
from tests.kits.node.cuts import Cut, Fault, watch_for_duplicates
from tests.kits.node.kubeletbench import Bench, kubelet_bench

MOST_SECONDS = 900
HOOK = {"exec": {"command": ["true"]}}
SPEC: dict[str, Any] = {
    "volumes": [
        {"name": "config", "configMap": {"name": "cm"}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "scratch", "emptyDir": {}},
    ],
    "initContainers": [
        {"name": "init", "image": "late:1"},
        {"name": "side", "image": "app:1", "restartPolicy": "Always"},
    ],
    "containers": [
        {
            "name": "app",
            "image": "app:1",
            "resources": {"requests": {"cpu": "100m"}},
            "lifecycle": {"postStart": HOOK, "preStop": HOOK},
            "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("config", "memory", "scratch")],
        },
        {"name": "deaf", "image": "app:1"},
    ],
    "terminationGracePeriodSeconds": 7,
}


class Life:
    """A pod from its creation over a resize, a crash and its deletion, and its successor of the same name."""

    def __init__(self, bench: Bench, cut: Cut | None) -> None:
        self.bench = bench
        self.cut = cut

    async def lead(self) -> None:
        bench = self.bench
        bench.add(SPEC)
        await self.until(lambda: self.ready("uid-1"), "the pod is Ready")
        self.check_truth()
        self.leave_data("uid-1")
        self.resize("200m")
        await self.until(lambda: self.has_cpu("200m"), "the container is resized")
        before = self.restarts("app")
        bench.runtime.exit(bench.runtime.find("uid-1", "app").status.id, 1)
        await self.until(lambda: self.restarts("app") > before and self.ready("uid-1"), "the container runs again")
        self.check_truth()
        bench.api.ask_deletion(grace_seconds=7)
        await self.until(lambda: "web" not in bench.api.pods, "the pod is gone from the API")
        bench.add({"volumes": SPEC["volumes"]}, uid="uid-2")
        await self.until(lambda: self.ready("uid-2"), "its successor is Ready")
        assert not (self.scratch("uid-2") / "secret").exists()
        bench.api.ask_deletion()
        await self.until(lambda: len(bench.table) == 0 and not bench.api.pods, "nothing is left to do")
        assert (bench.runtime.containers, bench.runtime.sandboxes) == ({}, {})
        assert await bench.runtime.memory_volumes() == {}
        assert bench.volumes.pod_uids() == []
        assert bench.api.deleted == ["web", "web"]

    async def until(self, done: Callable[[], Any], what: str) -> None:
        for _ in range(MOST_SECONDS):
            if self.cut is not None and self.cut.hit.is_set():
                await self.cut.recover()
            if done():
                return
            await self.bench.clock.advance(1)
        raise AssertionError(f"not within {MOST_SECONDS} s of the pod's life: {what}")

    def pod(self) -> Pod:
        return self.bench.api.get()

    def ready(self, uid: str) -> bool:
        pods = self.bench.api.pods
        return "web" in pods and self.pod().metadata.uid == uid and is_true(self.pod().status.conditions, "Ready")

    def restarts(self, name: str) -> int:
        return next(item.restartCount for item in self.pod().status.containerStatuses or () if item.name == name)

    def has_cpu(self, amount: str) -> bool:
        statuses = {item.name: item for item in self.pod().status.containerStatuses or ()}
        resources = statuses["app"].resources
        progress = is_true(self.pod().status.conditions, "PodResizeInProgress")
        return not progress and resources is not None and (resources.requests or {}).get("cpu") == amount

    def resize(self, cpu: str) -> None:
        document = self.bench.api.pods["web"]
        app, *others = document["spec"]["containers"]
        app = app | {"resources": {"requests": {"cpu": cpu}}}
        metadata = document["metadata"] | {"generation": 2}
        spec = document["spec"] | {"containers": [app, *others]}
        self.bench.api._store(document | {"metadata": metadata, "spec": spec})

    def scratch(self, uid: str) -> Path:
        return Path(self.bench.volumes.pod_dir(uid)) / "volumes/kubernetes.io~empty-dir/scratch"

    def leave_data(self, uid: str) -> None:
        (self.scratch(uid) / "secret").write_text("of the first pod")

    def check_truth(self) -> None:
        """What the API says is what runs."""
        status = self.pod().status
        ready = [item for item, _ in self.bench.runtime.sandboxes.values() if item.ready]
        assert [list(item.ips) for item in ready] == [[item.ip for item in status.podIPs or ()]]
        for said in (*(status.initContainerStatuses or ()), *(status.containerStatuses or ())):
            newest = self.bench.runtime.find("uid-1", said.name).status
            assert (said.containerID, said.restartCount) == (f"docker://{newest.id}", newest.attempt)
            assert (said.state.running is not None) == (newest.state == "running")
            if newest.state == "running":
                assert newest.sandbox_id == ready[0].id


async def live(root: Path, fault: Fault, at: int, *, with_effect: bool) -> Cut:
    """Leads the life with one cut."""
    asyncio.get_running_loop().set_default_executor(InlineExecutor())
    async with kubelet_bench(root) as bench:
        allocatable = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        bench.node = from_dict(Node, {"metadata": {"name": "worker-1"}, "status": {"allocatable": allocatable}})
        bench.runtime.pullable["docker.io/library/late:1"] = bench.runtime.add_image("docker.io/library/late:1")
        bench.runtime._images.popitem()  # it has to be pulled
        bench.runtime.programs = {"init": Script(exit_code=0), "deaf": Script(exit_code=None, ignores_sigterm=True)}
        bench.objects.config_maps["cm"] = from_dict(ConfigMap, {"data": {"k": "v"}})
        watch_for_duplicates(bench)
        cut = Cut(bench, fault, at, with_effect)
        try:
            await Life(bench, cut).lead()
        except AssertionError as error:
            error.add_note(f"{fault} at call {at} ({cut.call}), with its effect: {with_effect}")
            raise
        return cut


@pytest.mark.parametrize(
    ("fault", "with_effect", "first", "step"),
    [("killed", True, 1, 1), ("power", True, 1, 1), ("engine", False, 1, 2), ("engine", True, 2, 2)],
)
async def test_every_call_may_be_the_last(
    tmp_path: Path, fault: Fault, with_effect: bool, first: int, step: int
) -> None:
    """A kubelet that dies before a call is one that has died after the call before. An engine fails by turns."""
    total = (await live(tmp_path / "0", fault, 0, with_effect=with_effect)).calls
    assert total > 30
    for at in range(first, total + 1, step):
        await live(tmp_path / str(at), fault, at, with_effect=with_effect)
