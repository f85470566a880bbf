"""Pods come to their control groups, through resizes and restarts of the kubelet, and leave none behind."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from apimachinery.model import from_dict
from kubeapi.core.pod.model import Pod
from kubelet.cgroups.manager import GroupOptions, PodGroups
from kubelet.runtime.configs import Resources
from kubelet.runtime.interface import RuntimeInfo
from tests.fakes.runtime import FakeRuntime

BURSTABLE = "/top/kubepods/burstable"
ALL_PODS = Resources(cpu_shares=4096, memory_limit_bytes=1 << 30)


@dataclass
class FakeFiles:
    """Groups with the limits written last; `held` are those that have processes."""

    groups: dict[str, Resources] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    refused: bool = False

    def make(self, path: str) -> None:
        if self.refused:
            raise OSError(errno.EROFS, "Read-only file system")
        parts = path.split("/")
        for count in range(2, len(parts) + 1):
            self.groups.setdefault("/".join(parts[:count]), Resources())

    def exists(self, path: str) -> bool:
        return path in self.groups

    def write(self, path: str, limits: Resources, *, others_stay: bool = False) -> None:
        if path not in self.groups:
            raise FileNotFoundError(path)
        self.groups[path] = replace(limits, cpu_shares=limits.cpu_shares or self.groups[path].cpu_shares)

    def children(self, path: str) -> list[str]:
        return [group.rpartition("/")[2] for group in self.groups if group.rpartition("/")[0] == path]

    def remove(self, path: str) -> None:
        if path in self.held:
            raise OSError(errno.EBUSY, "Device or resource busy")
        self.groups.pop(path, None)


class SharingRuntime(FakeRuntime):
    async def info(self) -> RuntimeInfo:
        return replace(await super().info(), shares_cgroups=True)


def pod(uid: str = "1", memory: str = "64Mi", cpu: str = "200m") -> Pod:
    resources = {"requests": {"cpu": cpu, "memory": "1Mi"}, "limits": {"memory": memory}}
    spec = {"containers": [{"name": "app", "resources": resources}]}
    return from_dict(Pod, {"metadata": {"name": "x", "uid": uid}, "spec": spec})


async def started(files: FakeFiles, **options: Any) -> PodGroups:
    groups = PodGroups(GroupOptions(True, "/top", pids_limit=5, pods=lambda: ALL_PODS, **options), files=files)
    await groups.prepare(SharingRuntime())
    return groups


async def test_the_groups_of_the_classes_are_there_first() -> None:
    files = FakeFiles()
    await started(files)
    assert files.groups["/top/kubepods"] == ALL_PODS
    assert files.groups["/top/kubepods/besteffort"].cpu_shares == 2


async def test_a_pod_has_its_limits_before_its_containers_and_the_class_the_weight_of_all() -> None:
    files = FakeFiles()
    groups = await started(files)
    assert await groups.enter(pod("1")) == f"{BURSTABLE}/pod1"
    assert await groups.enter(pod("2", cpu="300m")) == groups.path("2") == f"{BURSTABLE}/pod2"
    limits = files.groups[f"{BURSTABLE}/pod1"]
    assert (limits.memory_limit_bytes, limits.pids_limit, limits.cpu_shares) == (64 << 20, 5, 204)
    assert files.groups[BURSTABLE].cpu_shares == 512
    await groups.leave("2")
    assert files.groups[BURSTABLE].cpu_shares == 204
    assert groups.path("2") == ""
    assert f"{BURSTABLE}/pod2" not in files.groups


@pytest.mark.parametrize(("before", "after"), [("64Mi", "128Mi"), ("128Mi", "64Mi")])
async def test_while_containers_are_resized_both_amounts_fit_in(before: str, after: str) -> None:
    files = FakeFiles()
    groups = await started(files)
    await groups.enter(pod(memory=before))
    await groups.fit(pod(memory=after), resizing=True)
    assert files.groups[f"{BURSTABLE}/pod1"].memory_limit_bytes == 128 << 20
    await groups.fit(pod(memory=after), resizing=False)
    assert files.groups[f"{BURSTABLE}/pod1"].memory_limit_bytes == int(after.removesuffix("Mi")) << 20


async def test_the_next_kubelet_takes_groups_over() -> None:
    files = FakeFiles()
    await (await started(files)).enter(pod())
    groups = await started(files)
    assert groups.path("1") == ""
    await groups.fit(pod(memory="32Mi"), resizing=True)
    assert groups.path("1") == f"{BURSTABLE}/pod1"
    assert files.groups[f"{BURSTABLE}/pod1"].memory_limit_bytes == 0, "what is in effect is not known"
    await groups.fit(pod(memory="32Mi"), resizing=False)
    assert files.groups[f"{BURSTABLE}/pod1"].memory_limit_bytes == 32 << 20


async def test_a_pod_that_began_without_a_group_goes_on_without() -> None:
    files = FakeFiles()
    groups = await started(files)
    await groups.fit(pod(), resizing=False)
    assert groups.path("1") == ""
    assert files.children(BURSTABLE) == []
    assert groups.container_pids_limit("1") == 5


async def test_a_group_still_in_use_is_removed_later_and_those_of_strangers_too() -> None:
    files = FakeFiles()
    groups = await started(files)
    for uid in ("1", "2", "3"):
        await groups.enter(pod(uid))
    files.held.add(f"{BURSTABLE}/pod1")
    await groups.leave("1")
    assert f"{BURSTABLE}/pod1" in files.groups
    files.held.clear()
    await groups.keep({"2"})
    assert files.children(BURSTABLE) == ["pod2"]


async def test_without_control_groups_pods_have_none() -> None:
    for files, runtime, per_pod in (
        (FakeFiles(), FakeRuntime(), True),
        (FakeFiles(), SharingRuntime(), False),
        (FakeFiles(refused=True), SharingRuntime(), True),
    ):
        groups = PodGroups(GroupOptions(per_pod, pids_limit=5), files=files)
        await groups.prepare(runtime)
        assert await groups.enter(pod()) == groups.path("1") == ""
        await groups.fit(pod(), resizing=False)
        await groups.leave("1")
        await groups.keep(())
        assert not files.groups
        assert groups.container_pids_limit("1") == 5
