"""Which pods a node takes, and what a node says of itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.model import from_dict
from apimachinery.times import format_time
from kubeapi.core.node import Node, NodeAddress, NodeStatus
from kubeapi.core.pod.scheduling.affinity import Taint
from kubelet.eviction.thresholds import DEFAULT_HARD, EvictionPolicy, eviction_thresholds, parse_thresholds
from kubelet.node.reporter import NodeReporter
from kubelet.node.status import Machine, NodeInputs, heartbeat_due, node_status, significant
from kubelet.options import parse_options
from kubelet.pod.resources.admission import admit, pod_requests
from kubelet.pod.status.compute import Failure
from kubelet.runtime.interface import ImageInfo, RuntimeInfo
from tests.fakes.api import FakeApi, FakeRecorder
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.kubelet import NOW, make_pod

GIB = 1 << 30
MACHINE = Machine(
    cpus=4,
    memory_bytes=8 * GIB,
    disk_bytes=100 * GIB,
    huge_pages={"hugepages-2Mi": 0},
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


class TestCloud:
    """With --cloud-provider=external somebody else knows the machine."""

    def test_its_own_addresses_hold_until_the_cloud_s_come(self) -> None:
        cloudy = replace(FACTS, in_cloud=True)
        first = node_status(NodeStatus(), cloudy, NOW)
        assert [item.address for item in first.addresses or ()] == ["192.168.0.5", "worker-1"]
        first.addresses = [NodeAddress(type="ExternalIP", address="1.2.3.4")]
        assert node_status(first, cloudy, NOW).addresses == first.addresses
        assert node_status(first, FACTS, NOW).addresses != first.addresses

    def test_it_registers_with_a_taint_and_says_which_address_is_meant(self, tmp_path: Path) -> None:
        flags = ["--node-ip=192.168.0.5", f"--root-dir={tmp_path}", "--provider-id=cloud://7"]

        def fresh(*more: str) -> Node:
            api = FakeApi()
            options = parse_options([*flags, *more])
            reporter = NodeReporter(api, FakeRuntime(), options, api.clock, FakeRecorder(), tuple)  # type: ignore[arg-type]
            asyncio.run(reporter._create_or_adopt())
            (stored,) = api.all(Node)
            return stored

        cloudy, plain = fresh("--cloud-provider=external"), fresh()
        taint = Taint(key="node.cloudprovider.kubernetes.io/uninitialized", value="true", effect="NoSchedule")
        assert cloudy.spec.taints == [taint]
        assert cloudy.spec.providerID == plain.spec.providerID == "cloud://7"
        assert cloudy.annotations["alpha.kubernetes.io/provided-node-ip"] == "192.168.0.5"
        assert plain.spec.taints is None
        assert "alpha.kubernetes.io/provided-node-ip" not in plain.annotations


async def test_pods_get_the_ranges_of_the_node_and_keep_them_when_it_is_registered_again(tmp_path: Path) -> None:
    api, runtime = FakeApi(), FakeRuntime()
    runtime.set_pod_ranges(())
    options = parse_options(["--node-ip=192.168.0.5", f"--root-dir={tmp_path}"])
    reporter = NodeReporter(api, runtime, options, api.clock, FakeRecorder(), tuple)  # type: ignore[arg-type]
    reporter.node = await reporter._create_or_adopt()
    assert reporter.node.spec.podCIDRs is None
    given = reporter.node.clone()
    given.spec.podCIDR, given.spec.podCIDRs = "10.244.1.0/24", ["10.244.1.0/24"]
    reporter.observe(reporter.node, given)
    assert runtime.pod_ranges == ("10.244.1.0/24",)
    reporter.node = given
    assert reporter._spec().podCIDRs == ["10.244.1.0/24"]


class TestTaintsFlag:
    def test_taints_are_read_from_the_command_line_and_shown_as_a_configuration_has_them(self, tmp_path: Path) -> None:
        flags = ["--node-ip=192.168.0.5", f"--root-dir={tmp_path}", "--register-with-taints=a=b:NoSchedule,c:NoExecute"]
        options = parse_options(flags)
        assert options.register_with_taints == (
            Taint(key="a", value="b", effect="NoSchedule"), Taint(key="c", effect="NoExecute")
        )  # fmt: skip
        assert options.configuration["registerWithTaints"] == [
            {"key": "a", "value": "b", "effect": "NoSchedule"}, {"key": "c", "effect": "NoExecute"}
        ]  # fmt: skip

    def test_a_configuration_file_may_set_them(self, tmp_path: Path) -> None:
        file = tmp_path / "kubelet.yaml"
        file.write_text(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
            "registerWithTaints: [{key: a, value: b, effect: NoSchedule}, {key: c, effect: NoExecute}]\n"
        )
        options = parse_options(["--node-ip=192.168.0.5", f"--root-dir={tmp_path}", f"--config={file}"])
        assert [(taint.key, taint.value) for taint in options.register_with_taints] == [("a", "b"), ("c", None)]

    @pytest.mark.parametrize("text", ["a", "a=b:Never", ":NoSchedule"])
    def test_what_is_no_taint_is_refused(self, text: str) -> None:
        with pytest.raises(SystemExit):
            parse_options(["--node-ip=192.168.0.5", f"--register-with-taints={text}"])


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
        whole = {"containers": [of("a", "1")], "resources": {"requests": {"cpu": "2"}}, "overhead": {"cpu": "1"}}
        assert pod_requests(make_pod(whole))["cpu"] == 3


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
        assert (status.capacity["cpu"], status.capacity["memory"], status.capacity["pods"]) == ("4", "8Gi", "110")
        assert status.nodeInfo.containerRuntimeVersion == "docker://20.10"
        assert [(item.type, item.address) for item in status.addresses or ()] == [
            ("InternalIP", "192.168.0.5"),
            ("Hostname", "worker-1"),
        ]

    def test_reserved_resources_are_not_allocatable(self) -> None:
        status = node_status(NodeStatus(), replace(FACTS, reserved={"cpu": Fraction(1, 2)}), NOW)
        assert status.allocatable is not None
        assert status.allocatable["cpu"] == "3500m"

    def test_hard_thresholds_and_huge_pages_are_not_allocatable(self) -> None:
        thresholds = eviction_thresholds(parse_thresholds(DEFAULT_HARD), {}, {}, {})
        machine = replace(MACHINE, huge_pages={"hugepages-2Mi": GIB})
        facts = replace(
            FACTS, machine=machine, eviction=EvictionPolicy(thresholds), reserved={"memory": Fraction(100 << 20)}
        )
        status = node_status(NodeStatus(), facts, NOW)
        assert status.allocatable is not None
        assert status.allocatable["memory"] == f"{(7 << 10) - 200}Mi"
        assert status.allocatable["ephemeral-storage"] == "90Gi"
        assert status.allocatable["hugepages-2Mi"] == "1Gi"

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("MemoryPressure", "KubeletHasInsufficientMemory"),
            ("DiskPressure", "KubeletHasDiskPressure"),
            ("PIDPressure", "KubeletHasInsufficientPID"),
        ],
    )
    def test_pressure_shows_in_conditions(self, kind: str, reason: str) -> None:
        status = node_status(NodeStatus(), replace(FACTS, pressures=frozenset((kind,))), NOW)
        assert conditions(status)[kind] == ("True", reason)
        assert sum(value == "True" for value, _ in conditions(status).values()) == 2  # Ready is the other

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
        assert (options.node_name, options.node_ips, options.pod_cidrs) == (
            "worker-1",
            ("10.0.0.2",),
            ("10.244.1.0/24",),
        )
        assert (options.root_dir, options.node_labels) == ("/r", {"a": "1", "b": "2"})
        assert options.resources.reserved == {"cpu": Fraction(1, 2)}

    @pytest.mark.parametrize(
        "flag",
        [
            "--node-ip=x",
            "--pod-cidr=10.0.0.1/8",
            "--container-runtime-endpoint=tcp://x",
            "--system-reserved=cpu=x",
            "--kube-reserved=memory=-1",
            "--kube-reserved=pods=1",
            "--eviction-hard=memory.available>1Mi",
            "--eviction-hard=memory.free<1Mi",
            "--eviction-hard=memory.available<101%",
            "--eviction-soft=memory.available<1Mi",
            "--eviction-max-pod-grace-period=-1",
            "--image-gc-high-threshold=101",
            "--image-gc-low-threshold=85",
        ],
    )
    def test_bad_flags_end_with_usage(self, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            parse_options(["--node-ip=10.0.0.2", flag])
        assert caught.value.code == 2
        assert "usage: kubelet" in capsys.readouterr().err

    def test_a_configuration_file_sets_flags_and_flags_win(self, tmp_path: Path) -> None:
        file = tmp_path / "config.yaml"
        file.write_text(
            """
            apiVersion: kubelet.config.k8s.io/v1beta1
            kind: KubeletConfiguration
            maxPods: 20
            clusterDNS: [10.96.0.10]
            systemReserved: {cpu: 500m}
            evictionHard: {memory.available: 200Mi}
            evictionPressureTransitionPeriod: 1m
            imageGCHighThresholdPercent: 90
            authorization: {mode: Webhook}
            rotateCertificates: false
            """
        )
        options = parse_options(["--node-ip=10.0.0.2", f"--config={file}", "--max-pods=30"])
        assert (options.max_pods, options.cluster_dns, options.authorization_mode) == (30, ("10.96.0.10",), "Webhook")
        assert options.rotate_certificates is False
        resources = options.resources
        assert resources.reserved == {"cpu": Fraction(1, 2)}
        signals = [item.signal for item in resources.eviction.thresholds]
        assert signals == ["memory.available", "allocatableMemory.available"]
        assert (resources.eviction.transition_seconds, resources.garbage.high_percent) == (60, 90)
        shown = options.configuration
        assert (shown["maxPods"], shown["clusterDNS"], shown["evictionHard"]) == (
            30,
            ["10.96.0.10"],
            {"memory.available": "200Mi"},
        )
        assert (shown["authorization"], shown["evictionPressureTransitionPeriod"]) == ({"mode": "Webhook"}, "60s")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("maxPods: 1", "want kind: KubeletConfiguration"),
            ("noSuch: 1", 'unknown field "noSuch"'),
            ("maxPods: true", "maxPods: Invalid value"),
            ("rotateCertificates: 1", "rotateCertificates: Invalid value"),
            ("evictionHard: [a]", "evictionHard: Invalid value"),
            ("maxPods: many", "invalid int value"),
        ],
    )
    def test_a_bad_configuration_file_is_refused(
        self, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        head = "" if "want" in message else "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"
        file = tmp_path / "config.yaml"
        file.write_text(head + text)
        with pytest.raises(SystemExit):
            parse_options(["--node-ip=10.0.0.2", f"--config={file}"])
        assert message in capsys.readouterr().err
