"""The static CPU policy: who gets which CPUs, and who shares the rest."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeapi.core.pod.model import Pod
from kubelet.cpus.manager import CpuError, CpuManager, check_no_state, reserved_cpus
from kubelet.cpus.topology import Place, format_cpus, parse_cpus, read_topology, take
from kubelet.devices.manager import DeviceManager
from kubelet.pod.resources.hardware import Hardware
from kubelet.pod.resources.shared_cpus import SharedCpus
from kubelet.runtime.configs import Resources
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import make_pod
from tests.kits.node.kubeletbench import Bench, BenchNode

TWO_SOCKETS = {cpu: Place(cpu // 4 % 2, cpu % 4) for cpu in range(16)}
"""Two sockets of four cores of two threads: 0-3 and 8-11, 4-7 and 12-15."""
FOUR = {cpu: Place(0, cpu) for cpu in range(4)}


def asks(cpu: str, name: str = "app", memory: str = "1Gi", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "app:1", "resources": {"limits": {"cpu": cpu, "memory": memory}}} | more


def pod(*containers: dict[str, Any], uid: str = "uid-1", **spec: Any) -> Pod:
    return make_pod({"containers": list(containers)} | spec, uid=uid, name=uid)


def manager(root: Path, **options: Any) -> CpuManager:
    made = CpuManager(str(root), FOUR, frozenset({0}), options.get("on_change", lambda: None))
    made.load()
    return made


@given(st.frozensets(st.integers(0, 300)))
def test_lists_of_cpus_are_read_back(cpus: frozenset[int]) -> None:
    assert parse_cpus(format_cpus(cpus)) == cpus


def test_lists_of_cpus() -> None:
    assert format_cpus({0, 1, 2, 8}) == "0-2,8"
    assert parse_cpus("0-3,8\n") == {0, 1, 2, 3, 8}
    with pytest.raises(ValueError, match="invalid literal"):
        parse_cpus("a-b")


@pytest.mark.parametrize(
    ("free", "count", "want"),
    [
        ("0-15", 8, "0-3,8-11"),  # a socket
        ("1-15", 8, "4-7,12-15"),  # the socket that is whole
        ("0-15", 2, "0,8"),  # a core
        ("1-15", 2, "1,9"),
        ("1-15", 3, "1,8-9"),  # a core, and the thread whose core is broken already
        ("1-7", 2, "1-2"),
        ("0-15", 16, "0-15"),
    ],
)
def test_cpus_are_taken_by_sockets_then_cores_then_threads(free: str, count: int, want: str) -> None:
    assert format_cpus(take(TWO_SOCKETS, parse_cpus(free), count)) == want


@given(st.frozensets(st.sampled_from(range(16))), st.integers(0, 16))
def test_as_many_as_asked_for_are_taken_of_the_free(free: frozenset[int], count: int) -> None:
    if count > len(free):
        with pytest.raises(ValueError, match="not enough cpus"):
            take(TWO_SOCKETS, free, count)
        return
    taken = take(TWO_SOCKETS, free, count)
    assert len(taken) == count
    assert taken <= free


def test_the_machine_is_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "online").write_text("0-1\n")
    folder = tmp_path / "cpu1" / "topology"
    folder.mkdir(parents=True)
    (folder / "physical_package_id").write_text("1\n")
    (folder / "core_id").write_text("5\n")
    assert read_topology(tmp_path) == {0: Place(0, 0), 1: Place(1, 5)}


def test_cpus_for_the_system() -> None:
    assert reserved_cpus(FOUR, frozenset({2}), Fraction(3)) == {2}
    assert reserved_cpus(FOUR, frozenset(), Fraction(3, 2)) == {0, 1}
    for named, amount in (
        (frozenset({9}), Fraction(1)),
        (frozenset[int](), Fraction(0)),
        (frozenset[int](), Fraction(9)),
    ):
        with pytest.raises(CpuError):
            reserved_cpus(FOUR, named, amount)


def test_only_whole_cpus_of_guaranteed_pods_are_given_away(tmp_path: Path) -> None:
    cpus = manager(tmp_path)
    assert cpus.concerns(pod(asks("1")))
    assert not cpus.concerns(pod(asks("1500m")))
    assert not cpus.concerns(pod({"name": "a", "image": "i", "resources": {"requests": {"cpu": "1"}}}))
    cpus.allocate(pod(asks("2"), asks("500m", "side")))
    assert cpus.own("uid-1", "app") == {1, 2}
    assert cpus.own("uid-1", "side") == frozenset()
    assert cpus.shared == {0, 3}  # the system's are shared, too
    with pytest.raises(CpuError, match=r"not enough cpus available to satisfy request: requested=2, available=1"):
        cpus.allocate(pod(asks("2"), uid="uid-2"))
    cpus.allocate(pod(asks("1"), uid="uid-2"))
    assert cpus.shared == {0}
    cpus.release("uid-1")
    assert cpus.shared == {0, 1, 2}
    cpus.keep(())
    assert cpus.shared == {0, 1, 2, 3}


def test_init_containers_leave_their_cpus_to_those_after_them(tmp_path: Path) -> None:
    cpus = manager(tmp_path)
    sidecar = asks("1", "side", restartPolicy="Always")
    cpus.allocate(pod(asks("2"), initContainers=[asks("1", "init"), sidecar]))
    assert cpus.own("uid-1", "init") == cpus.own("uid-1", "side") == {1}
    assert cpus.own("uid-1", "app") == {2, 3}


def test_a_kubelet_that_starts_again_knows_who_has_what(tmp_path: Path) -> None:
    manager(tmp_path).allocate(pod(asks("2")))
    state = json.loads((tmp_path / "cpu_manager_state").read_text())
    assert state == {"policyName": "static", "defaultCpuSet": "0,3", "entries": {"uid-1": {"app": "1-2"}}}
    again = manager(tmp_path)
    assert again.own("uid-1", "app") == {1, 2}
    again.allocate(pod(asks("2")))  # admitted again
    assert again.own("uid-1", "app") == {1, 2}
    with pytest.raises(CpuError, match='policy "none" differs from state checkpoint policy "static"'):
        check_no_state(str(tmp_path))
    small = CpuManager(str(tmp_path), {0: FOUR[0], 1: FOUR[1]}, frozenset({0}), lambda: None)
    with pytest.raises(CpuError, match="doesn't match with CPUs in state"):
        small.load()


async def test_running_containers_make_room(bench: Bench) -> None:
    """The bench's kubelet with the policy: a pod that shares, then one that has CPUs for itself."""
    bench.cpus = manager(bench.root, on_change=lambda: shared.poke())
    await bench.kill()
    bench.start()
    hardware = Hardware(bench.devices, bench.cpus)
    shared = SharedCpus(bench.runtime, bench.table, hardware, BenchNode(bench), bench.clock)
    bench.tasks.create_task(shared.run())
    bench.node.status.allocatable = {"cpu": "8", "memory": "8Gi"}
    bench.add({"containers": [asks("500m")]})
    await eventually_async(lambda: bench.api.get().status.phase == "Running")
    assert bench.runtime.find("uid-1", "app").config.resources.cpuset_cpus == "0-3"
    bench.api.put(pod(asks("2"), uid="uid-2"))
    await eventually_async(lambda: bench.api.get("uid-2").status.phase == "Running")
    own = bench.runtime.find("uid-2", "app").config.resources
    assert (own.cpuset_cpus, own.cpu_quota_us) == ("1-2", 0)
    await eventually_async(lambda: bench.runtime.find("uid-1", "app").config.resources.cpuset_cpus == "0,3")
    assert bench.runtime.find("uid-1", "app").config.resources.cpu_quota_us == 50_000
    bench.api.put(pod(asks("2"), uid="uid-3"))
    await eventually_async(lambda: bench.api.get("uid-3").status.phase == "Failed")
    assert bench.api.get("uid-3").status.reason == "UnexpectedAdmissionError"
    bench.api.ask_deletion("uid-2")
    await eventually_async(lambda: bench.runtime.find("uid-1", "app").config.resources.cpuset_cpus == "0-3")


def test_without_the_policy_nothing_is_set() -> None:
    devices: Any = DeviceManager
    resources = Resources(cpu_quota_us=5)
    assert Hardware(devices).with_cpus("uid-1", "app", resources) is resources
