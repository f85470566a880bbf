"""Control groups are made and limited alike in the files of both versions."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kubelet.cgroups.files import V1Files, V2Files, cpu_weight, group_files
from kubelet.runtime.configs import Resources

GROUP = "/kubepods/burstable/pod1"
LIMITS = Resources(
    cpu_shares=512, cpu_quota_us=50_000, cpu_period_us=100_000, memory_limit_bytes=1 << 20, pids_limit=7,
    huge_pages={"2MB": 4 << 20},
)  # fmt: skip
NO_LIMITS = Resources(cpu_shares=512, cpu_period_us=100_000, huge_pages={})


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    for controller in ("cpu", "memory", "pids", "hugetlb", "freezer"):
        (tmp_path / controller).mkdir()
    return tmp_path


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    """As the kernel shows the top; the groups below get their files from the test."""
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory\n")
    return tmp_path


def texts(folder: Path, *names: str) -> list[str]:
    return [(folder / name).read_text() for name in names]


def test_the_version_is_that_of_the_mount(v2: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert isinstance(group_files(str(v2)), V2Files)
    assert isinstance(group_files(str(tmp_path_factory.mktemp("v1"))), V1Files)


def test_v1_has_a_folder_and_a_file_in_each_hierarchy(v1: Path) -> None:
    files = V1Files(str(v1))
    assert not files.exists(GROUP)
    files.make(GROUP)
    files.make(GROUP)
    assert files.exists(GROUP)
    assert not (v1 / f"freezer{GROUP}").exists()
    for size in ("2MB", "1GB"):
        (v1 / f"hugetlb{GROUP}/hugetlb.{size}.limit_in_bytes").touch()
        (v1 / f"hugetlb{GROUP}/hugetlb.{size}.usage_in_bytes").write_text("0")
    files.write(GROUP, LIMITS)
    cpu = ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us")
    assert texts(v1 / f"cpu{GROUP}", *cpu) == ["512", "50000", "100000"]
    assert texts(v1, f"memory{GROUP}/memory.limit_in_bytes", f"pids{GROUP}/pids.max") == [str(1 << 20), "7"]
    huge = [f"hugetlb.{name}" for name in ("2MB.limit_in_bytes", "1GB.limit_in_bytes", "2MB.usage_in_bytes")]
    assert texts(v1 / f"hugetlb{GROUP}", *huge) == [str(4 << 20), "0", "0"]
    files.write(GROUP, NO_LIMITS)
    assert texts(v1 / f"cpu{GROUP}", *cpu) == ["512", "-1", "100000"]
    assert texts(v1, f"memory{GROUP}/memory.limit_in_bytes", f"pids{GROUP}/pids.max") == ["-1", "max"]


def test_v2_passes_controllers_down_and_has_all_files_in_one_folder(v2: Path) -> None:
    files = V2Files(str(v2))
    folder = v2
    for part in ("kubepods", "burstable"):  # as the kernel would
        folder /= part
        folder.mkdir()
        (folder / "cgroup.controllers").write_text("cpu memory hugetlb pids\n")
        (folder / "cgroup.subtree_control").write_text("cpu memory hugetlb pids\n")
    files.make(GROUP)
    assert files.exists(GROUP)
    assert (v2 / "cgroup.subtree_control").read_text() == "+pids +hugetlb"
    assert (v2 / "kubepods/cgroup.subtree_control").read_text() == "cpu memory hugetlb pids\n"
    (v2 / f".{GROUP}/hugetlb.2MB.max").touch()
    (v2 / f".{GROUP}/hugetlb.2MB.rsvd.max").touch()
    files.write(GROUP, LIMITS)
    names = ("cpu.weight", "cpu.max", "memory.max", "pids.max", "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max")
    group = v2 / GROUP.lstrip("/")
    assert texts(group, *names) == ["20", "50000 100000", str(1 << 20), "7", str(4 << 20), ""]
    files.write(GROUP, NO_LIMITS)
    assert texts(group, *names[:5]) == ["20", "max 100000", "max", "max", "0"]


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (1024, 39), (262_144, 10_000)])
def test_shares_become_weights_as_runtimes_have_them(shares: int, weight: int) -> None:
    assert cpu_weight(shares) == weight


@pytest.mark.parametrize("kind", [V1Files, V2Files])
def test_a_group_is_removed_wherever_it_is_and_only_when_empty(kind: type[V1Files | V2Files], tmp_path: Path) -> None:
    below = [GROUP, f"/freezer{GROUP}"] if kind is V1Files else [GROUP]
    folders = [tmp_path / (f"memory{GROUP}" if kind is V1Files else GROUP.lstrip("/"))]
    folders += [tmp_path / path.lstrip("/") for path in below[1:]]
    for folder in folders:
        folder.mkdir(parents=True)
    files = kind(str(tmp_path))
    assert files.children("/kubepods/burstable") == ["pod1"]
    (folders[0] / "container").mkdir()
    with pytest.raises(OSError, match="not empty") as refused:
        files.remove(GROUP)
    assert refused.value.errno == errno.ENOTEMPTY
    (folders[0] / "container").rmdir()
    files.remove(GROUP)
    files.remove(GROUP)
    assert not any(folder.exists() for folder in folders)
    assert files.children("/kubepods/burstable") == files.children("/none") == []
