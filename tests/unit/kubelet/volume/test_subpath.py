"""A path within a volume stays within it, whatever a pod does to its links and folders meanwhile."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from componentbase.host.mountinfo import mounts_below
from kubelet.runtime.configs import Mount
from kubelet.volume import mounts
from kubelet.volume.container_mounts import MountPlace, container_mounts
from kubelet.volume.interface import Mounted, VolumeError
from kubelet.volume.subpath import open_sub_path
from tests.kits.node.kubelet import make_pod

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts: needs root")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume beside a secret of the node."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o770)
    return volume


def opened(volume: Path, path: str, *, make: bool = True) -> str:
    """The real path of what was opened."""
    descriptor = open_sub_path(str(volume), path, make=make)
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


class TestOpen:
    def test_missing_folders_are_made_with_the_volume_s_mode(self, volume: Path) -> None:
        volume.chmod(0o2775)
        assert opened(volume, "a/b/c") == str(volume / "a/b/c")
        assert (volume / "a/b").stat().st_mode & 0o7777 == 0o2775
        assert opened(volume, "a//b/./c") == str(volume / "a/b/c")

    def test_files_and_links_within_are_found(self, volume: Path) -> None:
        (volume / "data").mkdir()
        (volume / "data/file").write_text("1")
        (volume / "link").symlink_to("data")
        (volume / "data/up").symlink_to("../data/file")
        assert opened(volume, "link/file") == opened(volume, "data/up") == str(volume / "data/file")

    @pytest.mark.parametrize(
        "aim", ["../outside", "/", "/etc", "/proc/self/root", "a/../../outside", "../../../../../../../.."]
    )
    def test_no_link_leads_out(self, volume: Path, aim: str) -> None:
        (volume / "a").mkdir()
        (volume / "evil").symlink_to(aim)
        for path in ("evil", "evil/secret", "evil/made"):
            with pytest.raises(VolumeError, match="leads out of its volume"):
                opened(volume, path)
        assert sorted(os.listdir(volume.parent / "outside")) == ["secret"]

    def test_a_link_to_nowhere_is_not_made_true(self, volume: Path) -> None:
        (volume / "evil").symlink_to("not-there")
        with pytest.raises(VolumeError, match="failed to create subPath directory"):
            opened(volume, "evil")
        (volume / "loop").symlink_to("loop")
        with pytest.raises(VolumeError):
            opened(volume, "loop/x")

    def test_what_is_not_to_be_made_must_be_there(self, volume: Path) -> None:
        with pytest.raises(VolumeError, match='subPath "a" does not exist in its volume'):
            opened(volume, "a", make=False)
        assert os.listdir(volume) == []

    def test_a_race_is_never_won(self, volume: Path) -> None:
        """A pod swaps a folder for a link to the outside as fast as it can, while the kubelet opens it."""
        outcomes = set()
        with Swapping(volume) as swapping:
            while outcomes != {"made", "refused"} or swapping.swaps < 10_000:
                try:
                    found = opened(volume, "x/y/secret", make=True)
                except VolumeError:
                    outcomes.add("refused")
                else:
                    outcomes.add("made")
                    assert "/outside" not in found, found
        assert sorted(os.listdir(volume.parent / "outside")) == ["secret"]
        assert (volume.parent / "outside/secret").read_text() == "secret"


class Swapping:
    """Makes volume/x/y, and exchanges x with a link to the outside, again and again until left."""

    def __init__(self, volume: Path) -> None:
        (volume / "x/y").mkdir(parents=True)
        (volume / "evil").symlink_to("../outside")
        (volume.parent / "outside/y").symlink_to(".")
        self._volume, self._over, self.swaps = volume, threading.Event(), 0
        self._thread = threading.Thread(target=self._swap)

    def _swap(self) -> None:
        libc, exchange = ctypes.CDLL(None), 2
        folder, link = os.fsencode(self._volume / "x"), os.fsencode(self._volume / "evil")
        while not self._over.is_set():
            assert libc.renameat2(-100, folder, -100, link, exchange) == 0
            self.swaps += 1

    def __enter__(self) -> Swapping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        (self._volume.parent / "outside/y").unlink()


@pytest.fixture
def pod_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "pods/uid-1"
    yield folder
    mounts.unmount_below(str(folder))


def mount(pod_dir: Path, volume: Mounted, can_mount: bool = True, **fields: Any) -> Mount:
    body = {"name": "v", "mountPath": "/m"} | fields
    container = {"name": "app", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/first"}, body]}
    pod = make_pod({"containers": [container]})
    place = MountPlace(str(pod_dir), can_mount)
    return container_mounts(pod.spec.containers[0], {"v": volume}, {}, place)[1]


@needs_root
class TestMounted:
    def test_what_was_checked_is_what_is_mounted(self, volume: Path, pod_dir: Path) -> None:
        made = mount(pod_dir, Mounted(str(volume)), subPath="data")
        assert made.source == str(pod_dir / "volume-subpaths/v/app/1")
        (volume / "data/file").write_text("1")
        (volume / "data").rename(volume / "old")
        (volume / "data").symlink_to("../outside")
        assert os.listdir(made.source) == ["file"]
        assert mounts_below(str(pod_dir)) == [made.source]

    def test_a_restarted_container_has_it_again_or_its_successor(self, volume: Path, pod_dir: Path) -> None:
        for _ in range(3):
            made = mount(pod_dir, Mounted(str(volume)), subPath="data")
        assert mounts_below(str(pod_dir)) == [made.source]
        (volume / "data").rename(volume / "old")
        (volume / "data").mkdir()
        (volume / "data/new").touch()
        assert os.listdir(mount(pod_dir, Mounted(str(volume)), subPath="data").source) == ["new"]
        assert mounts_below(str(pod_dir)) == [made.source]

    def test_a_file_can_be_mounted(self, volume: Path, pod_dir: Path) -> None:
        (volume / "file").write_text("1")
        made = mount(pod_dir, Mounted(str(volume)), subPath="file")
        assert Path(made.source).read_text() == "1"

    def test_a_folder_may_be_a_file_the_next_time(self, volume: Path, pod_dir: Path) -> None:
        assert Path(mount(pod_dir, Mounted(str(volume)), subPath="data").source).is_dir()
        (volume / "data").rmdir()
        (volume / "data").write_text("1")
        assert Path(mount(pod_dir, Mounted(str(volume)), subPath="data").source).read_text() == "1"
        (volume / "data").unlink()
        assert Path(mount(pod_dir, Mounted(str(volume)), subPath="data").source).is_dir()

    def test_files_that_the_kubelet_writes_need_no_mount(self, volume: Path, pod_dir: Path) -> None:
        (volume / "file").write_text("1")
        made = mount(pod_dir, Mounted(str(volume), read_only=True, managed=True), subPath="file")
        assert made.source == str(volume / "file")

    def test_without_mounts_the_path_is_checked(self, volume: Path, pod_dir: Path) -> None:
        made = mount(pod_dir, Mounted(str(volume)), can_mount=False, subPath="data")
        assert made.source == str(volume / "data")
        (volume / "evil").symlink_to("/etc")
        with pytest.raises(VolumeError, match="leads out"):
            mount(pod_dir, Mounted(str(volume)), can_mount=False, subPath="evil")

    def test_read_only_holds_for_what_is_mounted_below(self, volume: Path, pod_dir: Path) -> None:
        (volume / "inner").mkdir()
        mounts.mount_memory(str(volume / "inner"), 4096, 0o777)
        try:
            made = mount(pod_dir, Mounted(str(volume)), readOnly=True, recursiveReadOnly="Enabled")
            for folder in (made.source, f"{made.source}/inner"):
                with pytest.raises(OSError, match="Read-only"):
                    Path(folder, "file").touch()
            (volume / "inner/file").touch()
            with pytest.raises(VolumeError, match='"v" requested recursive read-only mode, but it is not supported'):
                mount(pod_dir, Mounted(str(volume)), can_mount=False, readOnly=True, recursiveReadOnly="Enabled")
            plain = mount(pod_dir, Mounted(str(volume)), can_mount=False, readOnly=True, recursiveReadOnly="IfPossible")
            assert plain.source == str(volume)
        finally:
            mounts.unmount_below(str(pod_dir))
            mounts.unmount(str(volume / "inner"))

    def test_mounts_below_a_shared_folder_reach_those_who_ask(self, volume: Path, pod_dir: Path) -> None:
        copy = pod_dir / "copy"
        copy.mkdir(parents=True)
        for _ in range(2):
            mounts.make_shared(str(volume))
        try:
            assert len(mounts_below(str(volume))) == 1
            subprocess.run(["mount", "--bind", volume, copy], check=True)
            (volume / "late").mkdir()
            mounts.mount_memory(str(volume / "late"), 4096, 0o777)
            (volume / "late/file").touch()
            assert (copy / "late/file").exists()
        finally:
            mounts.unmount_below(str(pod_dir))
            mounts.unmount_below(str(volume))

    def test_what_is_mounted_is_never_removed(self, volume: Path, pod_dir: Path) -> None:
        made = mount(pod_dir, Mounted(str(volume)), subPath="data")
        (volume / "data/kept").touch()
        with pytest.raises(OSError, match="is still mounted"):
            mounts.remove_tree(str(pod_dir))
        mounts.unmount_below(str(pod_dir))
        mounts.remove_tree(str(pod_dir))
        assert not Path(made.source).exists()
        assert (volume / "data/kept").exists()
