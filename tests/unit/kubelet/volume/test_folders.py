"""Folders of volumes: made and deleted by name below their root, whatever a name or a folder holds."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from componentbase.host import mountinfo
from componentbase.host.removal import remove_folder
from kubelet.volume import folders
from kubelet.volume.folders import LOCAL, LOCAL_FOLDER, SHARED, FolderKeeper, FolderRefusal, folder_roots
from kubelet.volume.ownership import give_to_group
from tests.kits.eventually import eventually_async


@pytest.fixture
def keeper(tmp_path: Path) -> FolderKeeper:
    return FolderKeeper(folder_roots(str(tmp_path / "kubelet"), str(tmp_path / "shared")))


def root(tmp_path: Path) -> Path:
    return tmp_path / "kubelet" / LOCAL_FOLDER


async def test_a_folder_is_made_once_for_anybody_to_write(keeper: FolderKeeper, tmp_path: Path) -> None:
    path = Path(await keeper.make(LOCAL, "pvc-1"))
    assert path == root(tmp_path) / "pvc-1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    (path / "data").write_text("kept")
    path.chmod(0o700)
    assert await keeper.make(LOCAL, "pvc-1") == str(path)
    assert (path / "data").read_text() == "kept"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700  # its users may have changed it
    assert Path(await keeper.make(SHARED, "pvc-1")) == tmp_path / "shared" / "pvc-1"


async def test_a_folder_that_was_being_made_is_made(keeper: FolderKeeper, tmp_path: Path) -> None:
    (root(tmp_path) / ".new-pvc-1").mkdir(parents=True, mode=0o700)
    path = Path(await keeper.make(LOCAL, "pvc-1"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    assert os.listdir(root(tmp_path)) == ["pvc-1"]


async def test_a_deletion_takes_all_and_may_be_repeated(keeper: FolderKeeper, tmp_path: Path) -> None:
    path = Path(await keeper.make(LOCAL, "pvc-1"))
    other = Path(await keeper.make(LOCAL, "pvc-2"))
    (path / "deep" / "er").mkdir(parents=True)
    (path / "deep" / "er" / "file").write_text("x")
    await keeper.delete(LOCAL, "pvc-1")
    await keeper.delete(LOCAL, "pvc-1")
    assert not path.exists()
    assert len(os.listdir(root(tmp_path))) == 2
    await keeper.remove_deleted()
    assert os.listdir(root(tmp_path)) == [other.name]


@pytest.mark.parametrize("name", ["..", ".", "", "../pvc-1", "/etc", "a/../../b", "pvc-1/x", ".deleted-x", "x\0y", "A"])
async def test_a_name_can_not_lead_out(keeper: FolderKeeper, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "pvc-1"
    outside.mkdir()
    await keeper.make(LOCAL, "pvc-1")
    for act in (keeper.make, keeper.delete):
        with pytest.raises(FolderRefusal) as refusal:
            await act(LOCAL, name)
        assert refusal.value.status == 400
    assert outside.is_dir()
    assert os.listdir(root(tmp_path)) == ["pvc-1"]


async def test_links_in_a_folder_are_removed_and_not_followed(keeper: FolderKeeper, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept")
    path = Path(await keeper.make(LOCAL, "pvc-1"))
    (path / "folder").symlink_to(outside)
    (path / "file").symlink_to(outside / "file")
    (path / "up").symlink_to("../..")
    await keeper.delete(LOCAL, "pvc-1")
    await keeper.remove_deleted()
    assert (outside / "file").read_text() == "kept"
    assert os.listdir(root(tmp_path)) == []


async def test_a_link_in_the_place_of_a_folder_is_neither_used_nor_followed(
    keeper: FolderKeeper, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept")
    root(tmp_path).mkdir(parents=True)
    (root(tmp_path) / "pvc-1").symlink_to(outside)
    with pytest.raises(FolderRefusal, match="not a directory"):
        await keeper.make(LOCAL, "pvc-1")
    await keeper.delete(LOCAL, "pvc-1")
    await keeper.remove_deleted()
    assert (outside / "file").read_text() == "kept"
    assert os.listdir(root(tmp_path)) == []


async def test_a_folder_with_a_mount_in_it_is_left_alone(
    keeper: FolderKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(await keeper.make(LOCAL, "pvc-1"))
    await keeper.make(LOCAL, "pvc-10")
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 98:0 / {path.resolve()}/a\\040b rw,noatime - ext4 /dev/x rw\n")
    monkeypatch.setattr(mountinfo, "MOUNT_TABLE", str(table))
    with pytest.raises(FolderRefusal, match="in use") as refusal:
        await keeper.delete(LOCAL, "pvc-1")
    assert refusal.value.status == 409
    assert path.is_dir()
    await keeper.delete(LOCAL, "pvc-10")
    await keeper.remove_deleted()
    assert os.listdir(root(tmp_path)) == ["pvc-1"]


async def test_a_deletion_that_was_cut_off_is_finished_and_its_data_is_out_of_sight(
    keeper: FolderKeeper, tmp_path: Path
) -> None:
    left = root(tmp_path) / ".deleted-pvc-1-0a0b0c0d"
    left.mkdir(parents=True)
    (left / "file").write_text("x")
    path = Path(await keeper.make(LOCAL, "pvc-1"))
    assert os.listdir(path) == []
    await keeper.remove_deleted()
    assert os.listdir(root(tmp_path)) == ["pvc-1"]


async def test_what_is_deleted_is_removed_while_the_kubelet_runs(keeper: FolderKeeper, tmp_path: Path) -> None:
    left = root(tmp_path) / ".deleted-pvc-0-0a0b0c0d"
    left.mkdir(parents=True)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(keeper.run())
        await eventually_async(lambda: not left.exists())
        await keeper.make(LOCAL, "pvc-1")
        await keeper.delete(LOCAL, "pvc-1")
        await eventually_async(lambda: os.listdir(root(tmp_path)) == [])
        running.cancel()


async def test_a_node_without_a_shared_folder_says_so(tmp_path: Path) -> None:
    keeper = FolderKeeper(folder_roots(str(tmp_path), ""))
    with pytest.raises(FolderRefusal) as refusal:
        await keeper.make(SHARED, "pvc-1")
    assert refusal.value.status == 404
    await keeper.remove_deleted()


async def test_folders_deeper_than_python_calls_go_like_any_other(keeper: FolderKeeper, tmp_path: Path) -> None:
    path = Path(await keeper.make(LOCAL, "pvc-1"))
    nest(path, levels=1500)
    await keeper.delete(LOCAL, "pvc-1")
    await keeper.remove_deleted()
    assert os.listdir(root(tmp_path)) == []


async def test_a_folder_that_can_not_be_removed_keeps_no_other(
    keeper: FolderKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pvc-1", "pvc-2", "pvc-3"):
        await keeper.make(LOCAL, name)
        await keeper.delete(LOCAL, name)

    def refuse(path: str) -> None:
        if "pvc-2" in path:
            raise PermissionError("immutable")
        os.rmdir(path)

    monkeypatch.setattr(folders, "remove_folder", refuse)
    await keeper.remove_deleted()
    assert [name.rpartition("-")[0] for name in os.listdir(root(tmp_path))] == [".deleted-pvc-2"]


def test_a_volume_too_deep_for_a_group_says_so(tmp_path: Path) -> None:
    nest(tmp_path, levels=1500)
    with pytest.raises(OSError, match="nested too deeply"):
        give_to_group(str(tmp_path), os.getgid(), policy=None)
    remove_folder(str(tmp_path))


def nest(path: Path, *, levels: int) -> None:
    """Makes folders in one another, also beyond the longest path that the kernel takes."""
    folder = os.open(path, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
