"""Figures become the documents and metrics that clients know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kubeapi.core.pod.model import Pod
from kubelet.stats.cadvisor import MachineFacts, cadvisor_metrics
from kubelet.stats.cgroups import CoreUsage, DetailedUsage, DiskIo, Pressure
from kubelet.stats.collector import Collector, CpuSamples
from kubelet.stats.disk import DiskUse, measure
from kubelet.stats.exposition import label_text
from kubelet.stats.figures import ContainerFigures, GroupFigures, NodeFigures, PodFigures, Snapshot, VolumeFigures
from kubelet.stats.host import (
    Filesystem,
    HostUsage,
    Interface,
    read_filesystem,
    read_host,
    read_interfaces,
    read_process,
)
from kubelet.stats.kubelet_metrics import kubelet_metrics
from kubelet.stats.resource_metrics import resource_metrics
from kubelet.stats.summary import summary
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.kubelet import NOW, container, make_pod, runtime_status, sandbox

GIB = 1 << 30
DISK = Filesystem(1, 100 * GIB, 40 * GIB, 45 * GIB, 1000, 600)
HOST = HostUsage(
    CoreUsage(9_000_000_000, 3 * GIB, 2 * GIB), NOW - 5000, 8 * GIB, 0, 321, 32768, (Interface("eth0", 5),)
)
NODE = NodeFigures(NOW, HOST, 250_000_000, CoreUsage(1_000_000_000, 80 << 20, 80 << 20), 10_000_000, DISK, DISK)
DETAILS = DetailedUsage(
    cpu_quota_us=50_000,
    cpu_period_us=100_000,
    throttled_nanoseconds=1_500_000_000,
    memory_limit_bytes=1000,
    threads=3,
    io=(DiskIo("8:0", 10, 20, 1, 2),),
    pressure={"cpu": {"some": Pressure(1.5, 0.5, 0.1, 2_000_000)}},
)


def the_pod() -> Pod:
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "claim-1"}},
    ]
    return make_pod({"containers": [{"name": "app", "image": "app:1"}], "volumes": volumes})


def snapshot() -> Snapshot:
    pod = the_pod()
    assert pod.spec.volumes is not None
    core = CoreUsage(2_000_000_000, 700, 600, 300, 100, 0, 0, 5, 1)
    app = ContainerFigures(
        container(), GroupFigures(NOW, core, 20_000_000, "/docker/app", DETAILS), DiskUse(4096, 2), DiskUse(100, 1)
    )
    pause = GroupFigures(NOW, CoreUsage(1_000_000, 50, 40), 0, "/docker/pause", DetailedUsage(threads=1))
    volumes = (VolumeFigures(pod.spec.volumes[0], DISK, DiskUse(1000, 3)), VolumeFigures(pod.spec.volumes[1], DISK))
    figures = PodFigures(pod, sandbox(), (app,), pause, (Interface("eth0", 11, 1, 0, 0, 22),), volumes, NOW)
    return Snapshot(NODE, (figures,))


def document(*, short: bool = False) -> Any:
    return json.loads(summary(snapshot(), "n1", 7000, only_cpu_and_memory=short))


class TestSummary:
    def test_the_node(self) -> None:
        node = document()["node"]
        assert node["cpu"]["usageNanoCores"] == 250_000_000
        assert node["memory"]["availableBytes"] == 6 * GIB
        assert (node["fs"]["usedBytes"], node["fs"]["inodesUsed"]) == (55 * GIB, 400)
        assert node["runtime"]["imageFs"]["usedBytes"] == 7000
        assert node["runtime"]["containerFs"]["usedBytes"] == 4096
        assert (node["rlimit"]["maxpid"], node["rlimit"]["curproc"]) == (32768, 321)
        assert node["network"]["name"] == "eth0"
        assert [item["name"] for item in node["systemContainers"]] == ["kubelet", "pods"]

    def test_a_pod_is_the_sum_of_its_containers_and_its_sandbox(self) -> None:
        (pod,) = document()["pods"]
        assert pod["podRef"] == {"name": "web", "namespace": "default", "uid": "uid-1"}
        assert pod["cpu"]["usageCoreNanoSeconds"] == 2_001_000_000
        assert pod["memory"]["workingSetBytes"] == 640
        assert (pod["network"]["rxBytes"], pod["network"]["txBytes"]) == (11, 22)
        assert pod["ephemeral-storage"]["usedBytes"] == 4096 + 100 + 1000
        assert pod["process_stats"] == {"process_count": 4}
        scratch, data = pod["volume"]
        assert (scratch["name"], scratch["usedBytes"]) == ("scratch", 1000)
        assert (data["pvcRef"], data["usedBytes"]) == ({"name": "claim-1", "namespace": "default"}, 55 * GIB)

    def test_a_container(self) -> None:
        (app,) = document()["pods"][0]["containers"]
        assert app["cpu"]["psi"]["some"] == {"total": 2_000_000_000, "avg10": 1.5, "avg60": 0.5, "avg300": 0.1}
        assert (app["memory"]["availableBytes"], app["memory"]["rssBytes"]) == (400, 300)
        assert (app["rootfs"]["usedBytes"], app["logs"]["usedBytes"]) == (4096, 100)

    def test_cpu_and_memory_alone(self) -> None:
        (pod,) = document(short=True)["pods"]
        assert {"cpu", "memory"} <= pod.keys()
        assert not {"network", "volume", "ephemeral-storage"} & pod.keys()
        assert "rootfs" not in pod["containers"][0]


def series(text: bytes) -> dict[str, str]:
    """Series -> value, without its time."""
    lines = (line for line in text.decode().splitlines() if not line.startswith("#"))
    return {line[: line.rindex("} ") + 1]: line[line.rindex("} ") + 2 :].split()[0] for line in lines if "} " in line}


class TestMetrics:
    def test_resource_metrics(self) -> None:
        text = resource_metrics(snapshot())
        found = series(text)
        assert found['pod_cpu_usage_seconds_total{namespace="default",pod="web"}'] == "2.001"
        labels = '{container="app",namespace="default",pod="web"}'
        assert found[f"container_memory_working_set_bytes{labels}"] == "600"
        assert float(found[f"container_start_time_seconds{labels}"]) == NOW - 90
        assert f"node_memory_working_set_bytes {2 * GIB} {int(NOW * 1000)}" in text.decode()
        assert "resource_scrape_error 0" in text.decode()
        assert "resource_scrape_error 1" in resource_metrics(None).decode()

    def test_the_series_of_dashboards(self) -> None:
        machine = MachineFacts(4, 8 * GIB, "m", "b", "s", "6.1", "Debian", "20.10", "v1.35.0", "pause:1")
        found = series(cadvisor_metrics(snapshot(), machine))
        ids = {"id": "/docker/app", "container": "app", "pod": "web", "namespace": "default", "name": "app-0"}
        labels = {**ids, "image": "app:1"}
        pod = {**labels, "id": "/docker/pause", "container": "", "name": "sb-0", "image": "pause:1"}
        root = dict.fromkeys(labels, "") | {"id": "/"}
        expected = {
            ("container_cpu_usage_seconds_total", "2.0", "app", "cpu=total"),
            ("container_cpu_cfs_throttled_seconds_total", "1.5", "app", ""),
            ("container_memory_working_set_bytes", "600", "app", ""),
            ("container_memory_working_set_bytes", "640", "pod", ""),
            ("container_memory_rss", "300", "app", ""),
            ("container_network_receive_bytes_total", "11", "pod", "interface=eth0"),
            ("container_network_transmit_bytes_total", "22", "pod", "interface=eth0"),
            ("container_network_receive_bytes_total", "5", "root", "interface=eth0"),
            ("container_fs_usage_bytes", "4196", "app", "device=1"),
            ("container_fs_writes_bytes_total", "20", "app", "device=8:0"),
            ("container_spec_cpu_quota", "50000", "app", ""),
            ("container_spec_memory_limit_bytes", "1000", "app", ""),
            ("container_pressure_cpu_waiting_seconds_total", "2.0", "app", ""),
        }
        of = {"app": labels, "pod": pod, "root": root}
        for name, value, whose, more in expected:
            key, _, item = more.partition("=")
            assert found[f"{name}{{{label_text(of[whose] | ({key: item} if key else {}))}}}"] == value, name
        assert found['machine_cpu_cores{boot_id="b",machine_id="m",system_uuid="s"}'] == "4"

    def test_the_kubelets_own_metrics(self) -> None:
        pod = snapshot().pods[0]
        listed = {"uid-1": runtime_status(container(), container(attempt=1, state="exited"))}
        text = kubelet_metrics("n1", listed, [("default", "claim-1", pod.volumes[1])]).decode()
        assert "kubelet_running_pods 1" in text
        assert 'kubelet_running_containers{container_state="exited"} 1' in text
        claim = '{namespace="default",persistentvolumeclaim="claim-1"}'
        assert f"kubelet_volume_stats_available_bytes{claim} {40 * GIB}" in text

    def test_labels_are_escaped(self) -> None:
        assert label_text({"b": 'x"y\\\n', "a": "1"}) == 'a="1",b="x\\"y\\\\\\n"'


class TestVolumes:
    async def test_a_claim_is_as_full_as_the_file_system_where_it_is(self, tmp_path: Path) -> None:
        pod, data = the_pod(), tmp_path / "data"
        data.mkdir()
        collector = Collector(
            FakeRuntime(), lambda: [pod], dict, str(tmp_path), FakeClock(), claim_paths=lambda uid: {"data": str(data)}
        )
        ((namespace, claim, item),) = await collector.claims()
        assert (namespace, claim, item.volume.name, item.use) == ("default", "claim-1", "data", None)
        assert item.filesystem.capacity_bytes == read_filesystem(str(tmp_path)).capacity_bytes

    async def test_the_folder_of_a_claim_is_not_walked(self, tmp_path: Path) -> None:
        pod, base = the_pod(), tmp_path / "pods/uid-1/volumes"
        for folder in ("kubernetes.io~empty-dir/scratch", "kubernetes.io~nfs/pv-1"):
            (base / folder).mkdir(parents=True)
        collector = Collector(FakeRuntime(), lambda: [pod], dict, str(tmp_path), FakeClock())
        await collector.measure_disk()
        assert list(collector._disk.paths) == [str(base / "kubernetes.io~empty-dir/scratch")]


class TestCpuRates:
    def test_a_first_reading_is_taken_over_the_time_since_the_start(self) -> None:
        assert CpuSamples().observe("c", NOW, 2_000_000_000, NOW - 4) == 500_000_000
        assert CpuSamples().observe("c", NOW, 2_000_000_000) is None

    def test_later_ones_over_the_time_between(self) -> None:
        samples = CpuSamples()
        samples.observe("c", NOW, 10, NOW - 10)
        assert samples.observe("c", NOW + 1, 10_000_000_000) == 1  # too soon: the old rate
        assert samples.observe("c", NOW + 10, 1_000_000_010) == 100_000_000

    def test_a_counter_that_began_anew_is_a_first_reading(self) -> None:
        samples = CpuSamples()
        samples.observe("c", NOW, 10_000_000_000, NOW - 10)
        assert samples.observe("c", NOW + 10, 2_000_000_000, NOW + 8) == 1_000_000_000

    def test_what_has_ended_is_forgotten(self) -> None:
        samples = CpuSamples()
        samples.observe("c", NOW, 10)
        samples.keep(["d"])
        assert samples.observe("c", NOW + 10, 20) is None


async def test_disk_use_is_measured_where_there_is_something(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_bytes(b"x" * 10_000)
    (tmp_path / "new\nline").mkdir()
    found = await measure([str(tmp_path / "a"), str(tmp_path / "new\nline"), str(tmp_path / "none"), ""])
    assert found[str(tmp_path / "a")].inodes == 2
    assert found[str(tmp_path / "a")].bytes >= 10_000
    assert found[str(tmp_path / "new\nline")].inodes == 1
    assert len(found) == 2


def test_this_machine_can_be_read() -> None:
    host = read_host()
    assert 0 < host.core.working_set_bytes <= host.core.memory_bytes < host.memory_bytes
    assert 0 < host.pids < host.pids_max
    assert read_process().memory_bytes > 0


def test_interfaces_without_loopback(tmp_path: Path) -> None:
    file = tmp_path / "dev"
    file.write_text(
        "Inter-|   Receive |  Transmit\n face |bytes packets|bytes packets\n"
        "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n"
    )
    assert read_interfaces(str(file)) == (Interface("eth0", 10, 2, 3, 4, 50, 6, 7, 8),)


async def test_a_claims_volume_named_like_one_of_the_pods_own_is_told_apart(tmp_path: Path) -> None:
    own = tmp_path / "pods/uid-1/volumes/kubernetes.io~empty-dir/scratch"
    claimed = tmp_path / "pods/uid-1/volumes/kubernetes.io~csi/scratch/mount"
    for folder, size in ((own, 8 << 10), (claimed, 1 << 20)):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * size)
    clock, pod = FakeClock(), the_pod()
    runtime = FakeRuntime(clock.now, clock.sleep)
    paths = {"data": str(claimed)}
    collector = Collector(runtime, lambda: [pod], dict, str(tmp_path), clock, claim_paths=lambda uid: paths)
    await collector.measure_disk()
    (scratch, data) = collector._read_volumes(pod)
    assert scratch.use is not None
    assert 8 << 10 <= scratch.use.bytes < 1 << 20
    assert data.use is None
