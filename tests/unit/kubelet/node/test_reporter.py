"""Which pods a node takes, and what a node says of itself."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.model import from_dict
from apimachinery.times import format_time
from kubeapi.core.node import Node, NodeStatus
from kubelet.node.status import Machine, NodeInputs, heartbeat_due, node_status, significant
from kubelet.options import parse_options
from kubelet.pod.admission import admit, pod_requests
from kubelet.pod.status.compute import Failure
from kubelet.runtime.interface import ImageInfo, RuntimeInfo
from tests.kits.node.kubelet import NOW, make_pod

GIB = 1 << 30
MACHINE = Machine(
    cpus=4,
    memory_bytes=8 * GIB,
    memory_available_bytes=4 * GIB,
    disk_bytes=100 * GIB,
    disk_free_bytes=50 * GIB,
    inodes=1000,
    inodes_free=900,
    pids_max=32768,
    pids=100,
    kernel="6.1",
)
RUNTIME = RuntimeInfo("docker", "20.10")
FACTS = NodeInputs("worker-1", ("192.168.0.5",), 10250, 110, MACHINE, RUNTIME)


def pod(requests: dict[str, str] | None = None, **more: Any) -> Any:
    uid = more.pop("uid", "uid-1")
    return make_pod(
        {"containers": [{"name": "app", "image": "i", "resources": {"requests": requests or {}}}], **more}, uid=uid
    )


def node(labels: dict[str, str] | None = None, **allocatable: str) -> Node:
    allocatable = {"cpu": "2", "memory": "1Gi", "pods": "3"} | allocatable
    return from_dict(
        Node, {"metadata": {"name": "worker-1", "labels": labels or {}}, "status": {"allocatable": allocatable}}
    )


class TestAdmission:
    def test_a_pod_that_fits_is_admitted(self) -> None:
        assert admit(pod({"cpu": "1"}), [pod({"cpu": "1"}, uid="2")], node()) is None

    @pytest.mark.parametrize(
        ("requests", "reason", "numbers"),
        [
            ({"cpu": "1500m"}, "OutOfcpu", "cpu, requested: 1500, used: 1000, capacity: 2000"),
            ({"memory": "1025Mi"}, "OutOfmemory", "memory, requested: 1074790400, used: 0, capacity: 1073741824"),
            ({"example.com/gpu": "1"}, "OutOfexample.com/gpu", "example.com/gpu, requested: 1, used: 0, capacity: 0"),
        ],
    )
    def test_a_pod_that_does_not_fit_is_refused(self, requests: dict[str, str], reason: str, numbers: str) -> None:
        failure = admit(pod(requests), [pod({"cpu": "1"}, uid="2")], node())
        assert failure == Failure(reason, f"Node didn't have enough resource: {numbers}")

    def test_too_many_pods(self) -> None:
        failure = admit(pod(), [pod(uid=str(i)) for i in range(3)], node())
        assert failure is not None
        assert failure.reason == "OutOfpods"

    def test_it_does_not_count_itself(self) -> None:
        assert admit(pod({"cpu": "2"}), [pod({"cpu": "2"})], node()) is None

    def test_ended_pods_do_not_count(self) -> None:
        ended = pod({"cpu": "2"}, uid="2")
        ended.status.phase = "Succeeded"
        assert admit(pod({"cpu": "2"}), [ended], node()) is None

    @pytest.mark.parametrize(
        ("mine", "theirs", "conflict"),
        [
            ({"hostPort": 80}, {"hostPort": 80}, True),
            ({"hostPort": 80}, {"hostPort": 81}, False),
            ({"hostPort": 80, "protocol": "UDP"}, {"hostPort": 80}, False),
            ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "10.0.0.2"}, False),
            ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, True),
        ],
    )
    def test_host_ports_are_given_once(self, mine: dict[str, Any], theirs: dict[str, Any], conflict: bool) -> None:
        def with_port(port: dict[str, Any], uid: str) -> Any:
            return make_pod(
                {"containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 1} | port]}]}, uid=uid
            )

        failure = admit(with_port(mine, "1"), [with_port(theirs, "2")], node())
        assert (failure is not None and failure.reason == "NodePorts") is conflict

    def test_node_selector(self) -> None:
        wants = pod(nodeSelector={"disk": "ssd"})
        assert admit(wants, [], node({"disk": "ssd"})) is None
        failure = admit(wants, [], node({"disk": "hdd"}))
        assert failure is not None
        assert failure.reason == "NodeAffinity"

    @pytest.mark.parametrize(
        ("expression", "fits"),
        [
            ({"key": "disk", "operator": "In", "values": ["ssd"]}, True),
            ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, False),
            ({"key": "none", "operator": "NotIn", "values": ["ssd"]}, True),
            ({"key": "disk", "operator": "Exists"}, True),
            ({"key": "disk", "operator": "DoesNotExist"}, False),
            ({"key": "size", "operator": "Gt", "values": ["4"]}, True),
            ({"key": "size", "operator": "Lt", "values": ["4"]}, False),
            ({"key": "disk", "operator": "Gt", "values": ["4"]}, False),
        ],
    )
    def test_node_affinity(self, expression: dict[str, Any], fits: bool) -> None:
        required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        assert (admit(pod(affinity=affinity), [], node({"disk": "ssd", "size": "5"})) is None) is fits

    def test_requests_of_init_containers_and_sidecars(self) -> None:
        def of(name: str, cpu: str, **more: Any) -> dict[str, Any]:
            return {"name": name, "image": "i", "resources": {"requests": {"cpu": cpu}}} | more

        plain = make_pod({"initContainers": [of("i", "3")], "containers": [of("a", "1"), of("b", "1")]})
        assert pod_requests(plain)["cpu"] == 3
        sidecar = of("s", "1", restartPolicy="Always")
        assert (
            pod_requests(make_pod({"initContainers": [sidecar, of("i", "3")], "containers": [of("a", "1")]}))["cpu"]
            == 4
        )
        assert (
            pod_requests(make_pod({"initContainers": [of("i", "1"), sidecar], "containers": [of("a", "1")]}))["cpu"]
            == 2
        )
        overhead = make_pod({"containers": [of("a", "1")], "overhead": {"cpu": "500m"}})
        assert pod_requests(overhead)["cpu"] == Fraction(3, 2)


def conditions(status: NodeStatus) -> dict[str, tuple[str, str | None]]:
    return {item.type: (item.status, item.reason) for item in status.conditions or ()}


class TestNodeStatus:
    def test_everything_well(self) -> None:
        status = node_status(NodeStatus(), FACTS, NOW)
        assert conditions(status) == {
            "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
            "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
            "PIDPressure": ("False", "KubeletHasSufficientPID"),
            "Ready": ("True", "KubeletReady"),
        }
        assert status.capacity is not None
        assert status.allocatable is not None
        assert (status.capacity["cpu"], status.capacity["memory"], status.capacity["pods"]) == ("4", "8388608Ki", "110")
        assert status.nodeInfo.containerRuntimeVersion == "docker://20.10"
        assert [(item.type, item.address) for item in status.addresses or ()] == [
            ("InternalIP", "192.168.0.5"),
            ("Hostname", "worker-1"),
        ]

    def test_reserved_resources_are_not_allocatable(self) -> None:
        status = node_status(NodeStatus(), replace(FACTS, reserved={"cpu": Fraction(1, 2)}), NOW)
        assert status.allocatable is not None
        assert status.allocatable["cpu"] == "3500m"

    @pytest.mark.parametrize(
        ("machine", "kind", "reason"),
        [
            ({"memory_available_bytes": 50 << 20}, "MemoryPressure", "KubeletHasInsufficientMemory"),
            ({"disk_free_bytes": 5 * GIB}, "DiskPressure", "KubeletHasDiskPressure"),
            ({"inodes_free": 10}, "DiskPressure", "KubeletHasDiskPressure"),
            ({"pids": 32000}, "PIDPressure", "KubeletHasInsufficientPID"),
        ],
    )
    def test_pressure_shows_in_conditions_and_taints(self, machine: dict[str, Any], kind: str, reason: str) -> None:
        status = node_status(NodeStatus(), replace(FACTS, machine=replace(MACHINE, **machine)), NOW)
        assert conditions(status)[kind] == ("True", reason)

    def test_a_file_system_without_inode_counts_is_no_pressure(self) -> None:
        status = node_status(NodeStatus(), replace(FACTS, machine=replace(MACHINE, inodes=0, inodes_free=0)), NOW)
        assert conditions(status)["DiskPressure"][0] == "False"

    def test_a_runtime_that_is_down(self) -> None:
        first = node_status(NodeStatus(), FACTS, NOW)
        down = replace(FACTS, runtime=None, problems=("container runtime is down: no socket",))
        status = node_status(first, down, NOW + 60)
        ready = get_condition(status.conditions, "Ready")
        assert ready is not None
        assert (ready.status, ready.reason, ready.message) == (
            "False",
            "KubeletNotReady",
            "container runtime is down: no socket",
        )
        assert ready.lastTransitionTime == format_time(NOW + 60)
        assert status.nodeInfo.containerRuntimeVersion == "docker://20.10"

    def test_only_heartbeats_move_when_nothing_changes(self) -> None:
        first = node_status(NodeStatus(), FACTS, NOW)
        second = node_status(first, FACTS, NOW + 60)
        assert significant(first) == significant(second)
        ready = get_condition(second.conditions, "Ready")
        assert ready is not None
        assert (ready.lastTransitionTime, ready.lastHeartbeatTime) == (format_time(NOW), format_time(NOW + 60))
        assert not heartbeat_due(first, NOW + 299, 300)
        assert heartbeat_due(first, NOW + 300, 300)
        assert heartbeat_due(NodeStatus(), NOW, 300)

    def test_foreign_conditions_stay(self) -> None:
        old = from_dict(NodeStatus, {"conditions": [{"type": "NetworkUnavailable", "status": "False"}]})
        assert "NetworkUnavailable" in conditions(node_status(old, FACTS, NOW))

    def test_only_the_largest_images_are_listed(self) -> None:
        images = tuple(ImageInfo(f"sha256:{i}", (f"i:{i}",), size_bytes=i) for i in range(60))
        status = node_status(NodeStatus(), replace(FACTS, images=(*images, ImageInfo("sha256:untagged"))), NOW)
        assert status.images is not None
        assert (len(status.images), status.images[0].names) == (50, ["i:59"])


class TestOptions:
    def test_flags_shape_the_node(self) -> None:
        given = ["--hostname-override=Worker-1", "--node-ip=10.0.0.2", "--pod-cidr=10.244.1.0/24", "--root-dir=/r/"]
        options = parse_options([*given, "--node-labels=a=1,b=2", "--system-reserved=cpu=500m"])
        assert (options.node_name, options.node_ips, options.pod_cidr) == ("worker-1", ("10.0.0.2",), "10.244.1.0/24")
        assert (options.root_dir, options.node_labels) == ("/r", {"a": "1", "b": "2"})
        assert options.system_reserved == {"cpu": Fraction(1, 2)}

    @pytest.mark.parametrize(
        "flag",
        ["--node-ip=x", "--pod-cidr=10.0.0.1/8", "--container-runtime-endpoint=tcp://x", "--system-reserved=cpu=x"],
    )
    def test_bad_flags_end_with_usage(self, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            parse_options(["--node-ip=10.0.0.2", flag])
        assert caught.value.code == 2
        assert "usage: kubelet" in capsys.readouterr().err
