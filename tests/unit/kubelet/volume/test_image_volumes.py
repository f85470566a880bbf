"""Volumes with the files of an image."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from componentbase.image_archive import Entry, ImageConfig, image_archive, layer, program
from kubelet.container.downward import NodeFacts
from kubelet.container.images.pod_images import PodImages
from kubelet.runtime.configs import Mount
from kubelet.volume.container_mounts import MountPlace, container_mounts
from kubelet.volume.interface import Mounted, VolumeError
from kubelet.volume.manager import VolumeFailure, VolumeManager
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import FakeRuntime
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import Events, Objects, image_manager, make_pod
from tests.kits.node.kubeletbench import Bench

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="unpacks below a root directory of its own: needs root")

NODE = NodeFacts("worker-1", ("192.168.0.5",), {})
DATA = "docker.io/library/data:1"


class Volumes:
    """A volume manager on a temporary folder, and one pod with one image volume."""

    def __init__(self, root: Path) -> None:
        self.runtime = FakeRuntime()
        self.events = Events()
        images = PodImages(image_manager(self.runtime, self.events, FakeClock(), root), Objects(), self.events)
        self.manager = VolumeManager(str(root), Objects(), self.runtime, images=images)

    def add_image(self, *layers: Mapping[str, Entry | bytes]) -> None:
        image = self.runtime.add_image(DATA)
        self.runtime.archives[image.id] = image_archive(["data:1"], list(map(layer, layers)), ImageConfig())

    async def set_up(self, **source: str) -> Mounted:
        volume = {"name": "v", "image": {"reference": "data:1", "pullPolicy": "IfNotPresent"} | source}
        return (await self.manager.set_up(make_pod({"volumes": [volume]}), NODE))["v"]

    async def files(self) -> dict[str, str]:
        """The content of the volume: texts of files, aims of links."""
        root = Path((await self.set_up()).path)
        return {
            str(path.relative_to(root)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
            for path in sorted(root.rglob("*"))
            if path.is_symlink() or path.is_file()
        }


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path)


async def test_layers_lie_over_one_another(volumes: Volumes) -> None:
    volumes.add_image(
        {"/a/old": b"1", "/a/gone": b"1", "/b/hidden/x": b"1", "/link": Entry(link="a/old"), "/dir/x": b"1"},
        {"/a/old": b"2", "/a/.wh.gone": b"", "/b/.wh..wh..opq": b"", "/b/own": b"2", "/link": b"2", "/.wh.dir": b""},
    )
    assert await volumes.files() == {"a/old": "2", "b/own": "2", "link": "2"}


async def test_it_is_read_only_and_nothing_in_it_can_be_executed(volumes: Volumes) -> None:
    volumes.add_image({"/tool": program(b"#!/bin/sh"), "/secret": Entry(b"s", 0o4711, uid=12, gid=34)})
    mounted = await volumes.set_up()
    assert mounted.read_only
    status = Path(mounted.path, "secret").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o600, 12, 34)
    assert Path(mounted.path, "tool").stat().st_mode & 0o7777 == 0o644


async def test_an_image_cannot_reach_out_of_its_volume(volumes: Volumes, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    volumes.add_image(
        {"/out": Entry(link=str(outside)), "/up": Entry(link="../../../../../../../..")},
        {"/out/evil": b"1", f"/up/{outside}/evil": b"1", f"../../../..{outside}/evil": b"1"},
        {f"/up{outside}/.wh.kept": b"", "/more/.wh..wh..opq": b""},
    )
    await volumes.files()
    assert [path.name for path in outside.iterdir()] == ["kept"]


async def test_a_part_of_it_can_be_mounted_but_no_link_leads_out(volumes: Volumes) -> None:
    volumes.add_image({"/sub/file": b"1", "/etc": Entry(link="/etc")})
    mounted = await volumes.set_up()

    def mounts(sub_path: str) -> list[Mount]:
        mount = {"name": "v", "mountPath": "/m", "subPath": sub_path}
        pod = make_pod({"containers": [{"name": "c", "image": "i", "volumeMounts": [mount]}]})
        return container_mounts(pod.spec.containers[0], {"v": mounted}, {}, MountPlace("/nowhere", can_mount=False))

    assert mounts("sub") == [Mount("/m", f"{mounted.path}/sub", read_only=True)]
    for missing in ("none", "etc/passwd"):
        with pytest.raises(VolumeError):
            mounts(missing)


async def test_it_is_copied_once_and_leaves_nothing_beside_it(volumes: Volumes) -> None:
    volumes.add_image({"/file": b"1"})
    mounted = await volumes.set_up()
    volumes.runtime.calls.clear()
    assert await volumes.set_up(pullPolicy="Always") == mounted
    assert volumes.runtime.calls == []
    assert [path.name for path in Path(mounted.path).parent.iterdir()] == ["v"]


async def test_pull_policies_count(volumes: Volumes) -> None:
    with pytest.raises(VolumeFailure) as refused:
        await volumes.set_up(pullPolicy="Never")
    assert refused.value.image_reason == "ErrImageNeverPull"
    with pytest.raises(VolumeFailure) as refused:
        await volumes.set_up()
    assert refused.value.image_reason == "ErrImagePull"
    assert "Pulling" in volumes.events.reasons


async def test_an_archive_that_is_damaged_is_told(volumes: Volumes) -> None:
    image = volumes.runtime.add_image(DATA)
    volumes.runtime.archives[image.id] = b"no archive"
    with pytest.raises(VolumeFailure, match="cannot unpack the image: ") as refused:
        await volumes.set_up()
    assert refused.value.image_reason == ""


async def test_containers_that_mount_it_wait_for_its_image(bench: Bench) -> None:
    mounts = [{"name": "v", "mountPath": "/m"}]
    volume = {"name": "v", "image": {"reference": "data:1", "pullPolicy": "IfNotPresent"}}
    containers = [{"name": "app", "image": "app:1", "volumeMounts": mounts}, {"name": "other", "image": "app:1"}]
    bench.api.put(make_pod({"volumes": [volume], "containers": containers}))

    for reason in ("ErrImagePull", "ImagePullBackOff"):

        async def waits(reason: str = reason) -> bool:
            await bench.clock.advance(1)
            statuses = bench.api.get().status.containerStatuses or []
            waiting = [status.state.waiting.reason for status in statuses if status.state and status.state.waiting]
            return waiting == [reason, "ContainerCreating"]

        await eventually_async(waits)
