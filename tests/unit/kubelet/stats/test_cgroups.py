"""Control groups are read alike from the files of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelet.stats.cgroups import CoreUsage, DiskIo, Pressure, ProcessCounts, V1Reader, V2Reader, group_of, reader_of

GROUP = "/docker/0123"

V1 = {
    "cpuacct/cpuacct.usage": "5000000000\n",
    "cpuacct/cpuacct.usage_user": "3000000000\n",
    "cpuacct/cpuacct.usage_sys": "2000000000\n",
    "cpu/cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 7000\n",
    "cpu/cpu.shares": "256\n",
    "cpu/cpu.cfs_quota_us": "50000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "memory/memory.usage_in_bytes": "1000\n",
    "memory/memory.stat": (
        "cache 1\ntotal_cache 600\ntotal_rss 300\ntotal_mapped_file 50\ntotal_swap 7\ntotal_pgfault 11\n"
        "total_pgmajfault 2\ntotal_inactive_file 400\n"
    ),
    "memory/memory.limit_in_bytes": "2000\n",
    "memory/memory.memsw.limit_in_bytes": "2500\n",
    "memory/memory.soft_limit_in_bytes": "9223372036854771712\n",
    "memory/memory.max_usage_in_bytes": "1500\n",
    "memory/memory.failcnt": "3\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "pids/pids.current": "4\n",
    "pids/pids.max": "max\n",
    "blkio/blkio.throttle.io_service_bytes": "8:0 Read 100\n8:0 Write 200\n8:0 Total 300\nTotal 300\n",
    "blkio/blkio.throttle.io_serviced": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
}
V2 = {
    "cpu.stat": (
        "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7\n"
    ),
    "cpu.max": "50000 100000\n",
    "cpu.weight": "10\n",
    "memory.current": "1000\n",
    "memory.stat": "anon 300\nfile 600\nfile_mapped 50\ninactive_file 400\npgfault 11\npgmajfault 2\n",
    "memory.swap.current": "7\n",
    "memory.swap.max": "500\n",
    "memory.max": "2000\n",
    "memory.low": "0\n",
    "memory.peak": "1500\n",
    "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n",
    "pids.current": "4\n",
    "pids.max": "max\n",
    "io.stat": "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n",
    "cpu.pressure": (
        "some avg10=1.50 avg60=0.20 avg300=0.01 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    ),
}
CORE = CoreUsage(
    cpu_nanoseconds=5_000_000_000,
    memory_bytes=1000,
    working_set_bytes=600,
    rss_bytes=300,
    cache_bytes=600,
    mapped_file_bytes=50,
    swap_bytes=7,
    page_faults=11,
    major_page_faults=2,
)


def write(root: Path, files: dict[str, str], *, version: int) -> str:
    for name, text in files.items():
        controller, _, file = name.rpartition("/")
        path = root / controller / GROUP.lstrip("/") / file if version == 1 else root / GROUP.lstrip("/") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if version == 2:
        (root / "cgroup.controllers").write_text("cpu memory pids io\n")
    return str(root)


@pytest.mark.parametrize(("files", "version"), [(V1, 1), (V2, 2)])
def test_both_versions_say_the_same(files: dict[str, str], version: int, tmp_path: Path) -> None:
    reader = reader_of(write(tmp_path, files, version=version))
    assert isinstance(reader, V1Reader if version == 1 else V2Reader)
    assert reader.core(GROUP) == CORE
    assert reader.cpu_nanoseconds(GROUP) == CORE.cpu_nanoseconds
    details = reader.detailed(GROUP)
    assert (details.cpu_user_nanoseconds, details.cpu_system_nanoseconds) == (3_000_000_000, 2_000_000_000)
    assert (details.periods, details.throttled_periods, details.throttled_nanoseconds) == (10, 4, 7000)
    assert (details.cpu_quota_us, details.cpu_period_us) == (50_000, 100_000)
    assert details.cpu_shares == (256 if version == 1 else 237)  # a weight has fewer steps
    assert (details.memory_limit_bytes, details.swap_limit_bytes, details.memory_reservation_bytes) == (2000, 500, 0)
    assert (details.memory_peak_bytes, details.memory_limit_hits, details.oom_kills) == (1500, 3, 1)
    assert (details.threads, details.threads_limit) == (4, 0)
    assert details.io == (DiskIo("8:0", 100, 200, 1, 2),)


@pytest.mark.parametrize("version", [1, 2])
def test_processes_are_counted_with_what_they_hold_open(version: int, tmp_path: Path) -> None:
    procs = "pids/cgroup.procs" if version == 1 else "cgroup.procs"
    root, proc = write(tmp_path / "cgroup", {procs: "7\n8\n0\n"}, version=version), tmp_path / "proc"
    (proc / "7/fd").mkdir(parents=True)
    for number, target in enumerate(("/dev/null", "socket:[123]", "socket:[124]")):
        (proc / f"7/fd/{number}").symlink_to(target)
    reader = reader_of(root, str(proc))  # 8 has just ended, and 0 is in another namespace
    assert reader.process_counts(GROUP) == ProcessCounts(processes=3, file_descriptors=3, sockets=2)


def test_pressure_is_known_in_version_2(tmp_path: Path) -> None:
    pressure = V2Reader(write(tmp_path, V2, version=2)).detailed(GROUP).pressure
    assert pressure == {"cpu": {"some": Pressure(1.5, 0.2, 0.01, 1234), "full": Pressure()}}


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_that_is_gone_is_an_error(version: int, tmp_path: Path) -> None:
    reader = reader_of(write(tmp_path, V1 if version == 1 else V2, version=version))
    for read in (reader.cpu_nanoseconds, reader.core, reader.detailed, reader.process_counts):
        with pytest.raises(FileNotFoundError):
            read("/docker/gone")


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("9:name=systemd:/\n4:memory:/docker/1\n2:cpu,cpuacct:/docker/1\n0::/\n", "/docker/1"),
        ("0::/system.slice/docker-1.scope\n", "/system.slice/docker-1.scope"),
    ],
)
def test_the_group_of_a_process(text: str, group: str, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(text)
    assert group_of(7, str(tmp_path)) == group
