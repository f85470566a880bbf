"""The disk of a node is full: pods say so, the kubelet lives, and everything goes on once there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apimachinery.model import from_dict
from kubeapi.core.configmap import ConfigMap
from tests.kits.eventually import eventually_async
from tests.kits.node.kubeletbench import kubelet_bench

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system")

FILE_SYSTEM = "size=256k,nr_inodes=200"
NO_SPACE = "No space left on device"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The kubelet's --root-dir on a file system of its own, which `fill` and `make_room` change."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", FILE_SYSTEM, "small", tmp_path], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def fill(disk: Path) -> None:
    for number in range(1000):
        try:
            (disk / f"filler-{number}").write_bytes(b"x" * 4096)
        except OSError:
            return
    raise AssertionError("the disk is larger than it should be")


def make_room(disk: Path) -> None:
    for file in disk.glob("filler-*"):
        file.unlink()


async def test_pods_tell_that_the_disk_is_full_and_start_when_there_is_room(small_disk: Path) -> None:
    async with kubelet_bench(small_disk) as bench:
        bench.objects.config_maps["cm"] = from_dict(ConfigMap, {"data": {"k": "v" * 20_000}})
        bench.add(name="before", uid="uid-before")
        await eventually_async(lambda: bench.running(uid="uid-before"))
        fill(small_disk)
        bench.add({"volumes": [{"name": "v", "configMap": {"name": "cm"}}]}, name="volume", uid="uid-volume")
        bench.add(name="plain", uid="uid-plain")
        volume_fails = f'MountVolume.SetUp failed for volume "v" : [Errno 28] {NO_SPACE}'
        await eventually_async(lambda: any(text.startswith(volume_fails) for _, text in bench.events))
        await eventually_async(lambda: any(text.startswith(f"[Errno 28] {NO_SPACE}") for _, text in bench.events))
        assert bench.running(uid="uid-before")
        bench.api.ask_deletion("before")
        await eventually_async(lambda: "before" in bench.api.deleted)
        make_room(small_disk)
        await bench.clock.advance(60)
        await eventually_async(lambda: bench.running(uid="uid-volume") and bench.running(uid="uid-plain"))
