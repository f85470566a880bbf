"""Device plugins, spoken to over grpcio: registration, health, allocation, restarts of either side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from kubelet.devices.allocation import Allocations, DeviceError, choose
from kubelet.devices.cdi import CdiError, cdi_edits
from kubelet.devices.manager import GRACE_SECONDS, DeviceCount, DeviceManager
from kubelet.pod.resources import hardware
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import make_pod
from tests.kits.node.kubeletbench import Bench
from tests.kits.plugins.device_plugin import DevicePlugin
from tests.kits.tasks import Tasks

RESOURCE = "example.com/dongle"


def dongles(count: int, name: str = "app") -> dict[str, Any]:
    return {"name": name, "image": "app:1", "resources": {"limits": {RESOURCE: str(count)}}}


class Node:
    """A device manager that can be killed and started again, and a plugin beside it."""

    def __init__(self, root: Path, tasks: Tasks) -> None:
        self.root, self.tasks, self.changes = root, tasks, 0
        self.plugins: list[DevicePlugin] = []

    def start(self) -> None:
        self.manager = DeviceManager(str(self.root), self._changed, cast(asyncio.TaskGroup, self.tasks))
        self.manager.load()
        self.running = self.tasks.create_task(self.manager.run())

    async def kill(self) -> None:
        self.running.cancel()
        await asyncio.wait((self.running,))

    async def plugin(self, devices: list[str], **options: Any) -> DevicePlugin:
        folder = self.root / "device-plugins"
        await eventually_async((folder / "kubelet.sock").exists)
        plugin = DevicePlugin(folder, RESOURCE, devices, **options)
        self.plugins.append(plugin)
        await asyncio.to_thread(plugin.register)
        await eventually_async(lambda: self.count().allocatable == len(devices))
        return plugin

    def count(self) -> DeviceCount:
        return self.manager.counts().get(RESOURCE, DeviceCount(-1, -1))

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    tasks = Tasks()
    node = Node(tmp_path, tasks)
    node.start()
    try:
        yield node
    finally:
        for plugin in node.plugins:
            await asyncio.to_thread(plugin.stop)
        await tasks.end()


async def test_the_node_counts_the_healthy_devices_of_a_plugin(node: Node) -> None:
    plugin = await node.plugin(["a", "b", "c"])
    assert node.count() == DeviceCount(3, 3)
    plugin.health({"a": "Healthy", "b": "Unhealthy", "c": "Healthy"})
    await eventually_async(lambda: node.count() == DeviceCount(3, 2))
    assert node.changes >= 2


async def test_a_plugin_of_another_version_or_a_wrong_name_is_told_so(node: Node) -> None:
    plugin = await node.plugin(["a"])
    with pytest.raises(grpc.RpcError, match="Supported version is 'v1beta1'"):
        await asyncio.to_thread(plugin.register, "v1alpha1")
    plugin.resource = "cpu"
    with pytest.raises(grpc.RpcError, match="the ResourceName 'cpu' is invalid"):
        await asyncio.to_thread(plugin.register)


async def test_containers_get_different_devices_and_the_plugin_says_how(node: Node) -> None:
    plugin = await node.plugin(["a", "b", "c"])
    pod = make_pod({"containers": [dongles(1), dongles(2, "two")]})
    assert node.manager.concerns(pod)
    await node.manager.allocate(pod)
    assert plugin.allocated == [["a"], ["b", "c"]]
    (response,) = node.manager.responses("uid-1", "two")
    assert response.envs == {"DEVICES": "b,c"}
    assert [(item.host_path, item.container_path, item.permissions) for item in response.devices] == [
        ("/dev/null", "/dev/b", "rw"),
        ("/dev/null", "/dev/c", "rw"),
    ]
    assert (response.mounts[0].container_path, response.mounts[0].read_only) == ("/lib/device", True)
    await node.manager.before_start("uid-1", "two")
    assert plugin.started == [["b", "c"]]
    with pytest.raises(DeviceError, match=r"Requested: 1, Available: 0"):
        await node.manager.allocate(make_pod({"containers": [dongles(1)]}, uid="uid-2"))
    node.manager.release("uid-1")
    await node.manager.allocate(make_pod({"containers": [dongles(1)]}, uid="uid-2"))


async def test_the_plugin_may_choose(node: Node) -> None:
    plugin = await node.plugin(["a", "b", "c"], prefers=True)
    await node.manager.allocate(make_pod({"containers": [dongles(2)]}))
    assert plugin.allocated == [["c", "b"]]


async def test_devices_of_init_containers_are_used_again_but_not_those_of_sidecars(node: Node) -> None:
    plugin = await node.plugin(["a", "b", "c"])
    sidecar = dongles(1, "side") | {"restartPolicy": "Always"}
    pod = make_pod({"initContainers": [dongles(1, "init"), sidecar], "containers": [dongles(2)]})
    await node.manager.allocate(pod)
    assert plugin.allocated == [["a"], ["a"], ["b", "c"]]


async def test_what_the_plugin_refuses_leaves_nothing_taken(node: Node) -> None:
    plugin = await node.plugin(["a", "b"])
    plugin.refusal = "out of magic"
    with pytest.raises(DeviceError, match="rpc error: code = ResourceExhausted desc = out of magic"):
        await node.manager.allocate(make_pod({"containers": [dongles(1)]}))
    plugin.refusal = ""
    await node.manager.allocate(make_pod({"containers": [dongles(2)]}))


async def test_devices_by_their_cdi_names_are_looked_up_at_the_start(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "cdi_edits", partial(cdi_edits, folders=[str(tmp_path / "cdi")]))
    plugin = await node.plugin(["a"])
    plugin.cdi = f"{RESOURCE}=a"
    pod = make_pod({"containers": [dongles(1)]})
    await node.manager.allocate(pod)
    parts = hardware.Hardware(node.manager)
    with pytest.raises(CdiError, match="unresolvable CDI devices"):
        await parts.options(pod, pod.spec.containers[0])
    (tmp_path / "cdi").mkdir()
    edits = {"env": ["CDI=yes"], "deviceNodes": [{"path": "/dev/null"}], "additionalGids": [44]}
    spec = {"kind": RESOURCE, "devices": [{"name": "a", "containerEdits": edits}]}
    (tmp_path / "cdi" / "v.json").write_text(json.dumps(spec))
    given = await parts.options(pod, pod.spec.containers[0])
    assert (given.env["CDI"], given.devices[-1], given.groups) == ("yes", ("/dev/null", "/dev/null", "rwm"), (44,))


async def test_a_kubelet_that_starts_again_knows_the_devices_in_use(node: Node) -> None:
    plugin = await node.plugin(["a", "b"])
    pod = make_pod({"containers": [dongles(1)]})
    await node.manager.allocate(pod)
    await node.kill()
    node.start()
    assert node.count() == DeviceCount(2, 0)  # until the plugin is back
    assert node.manager.responses("uid-1", "app")[0].envs == {"DEVICES": "a"}
    socket = node.root / "device-plugins" / plugin.endpoint
    await eventually_async(lambda: not socket.exists())  # that is how the plugin knows
    again = await node.plugin(["a", "b"])
    await node.manager.allocate(pod)  # admitted again: keeps what it has
    assert again.allocated == []
    await node.manager.allocate(make_pod({"containers": [dongles(1)]}, uid="uid-2"))
    assert again.allocated == [["b"]]
    node.manager.keep({"uid-2"})
    assert node.manager.responses("uid-1", "app") == []


async def test_a_plugin_that_stops_has_no_healthy_devices_and_is_forgotten_in_the_end(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def later(delay: float, action: Any, *args: Any, **more: Any) -> Any:
        if delay == GRACE_SECONDS:
            delays.append(delay)
            forget.append(lambda: action(*args))
            return call_later(3600, lambda: None)
        return call_later(delay, action, *args, **more)

    forget: list[Any] = []
    plugin = await node.plugin(["a"])
    monkeypatch.setattr(loop, "call_later", later)
    await asyncio.to_thread(plugin.stop)
    await eventually_async(lambda: node.count() == DeviceCount(1, 0))
    assert delays == [GRACE_SECONDS]
    with pytest.raises(DeviceError, match="no healthy devices present"):
        await node.manager.allocate(make_pod({"containers": [dongles(1)]}))
    forget[0]()
    assert node.count() == DeviceCount(0, 0)


async def test_a_pod_runs_with_its_device_and_another_fails(bench: Bench) -> None:
    bench.tasks.create_task(bench.devices.run())
    folder = bench.root / "device-plugins"
    bench.devices.load()
    await eventually_async((folder / "kubelet.sock").exists)
    plugin = DevicePlugin(folder, RESOURCE, ["a"])
    try:
        await asyncio.to_thread(plugin.register)
        await eventually_async(lambda: RESOURCE in bench.devices.counts() and bench.devices.counts()[RESOURCE].capacity)
        bench.node.status.allocatable = {RESOURCE: "2"}
        bench.add({"containers": [dongles(1) | {"env": [{"name": "OWN", "value": "1"}]}]})
        await eventually_async(lambda: bench.api.get().status.phase == "Running")
        config = bench.runtime.find("uid-1", "app").config
        assert dict(config.env) == {"DEVICES": "a", "OWN": "1"} | dict(config.env)
        assert config.devices == (("/dev/null", "/dev/a", "rw"),)
        assert config.annotations == {"example.com/devices": "a"}
        assert ("/etc", "/lib/device") in [(mount.source, mount.container_path) for mount in config.mounts]
        assert plugin.started == [["a"]]
        bench.api.put(make_pod({"containers": [dongles(1)]}, name="late", uid="uid-2"))
        await eventually_async(lambda: bench.api.get("late").status.phase == "Failed")
        status = bench.api.get("late").status
        assert status.reason == "UnexpectedAdmissionError"
        assert status.message == (
            "Pod was rejected: Allocate failed due to requested number of devices unavailable for example.com/dongle. "
            "Requested: 1, Available: 0, which is unexpected"
        )
        bench.api.ask_deletion()
        await eventually_async(lambda: bench.devices.responses("uid-1", "app") == [])
    finally:
        await asyncio.to_thread(plugin.stop)


def test_a_file_that_is_not_one_of_ours_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("")
    with pytest.raises(ValueError, match="Expecting value"):
        Allocations(tmp_path / "bad").load()


@pytest.mark.parametrize(
    ("needed", "used", "again", "want"),
    [
        (1, "", "", ("a",)),
        (2, "a", "", ("b", "c")),
        (1, "ab", "b", ("b",)),
        (2, "ab", "b", ("b", "c")),
        (3, "", "c", ("c", "a", "b")),
    ],
)
def test_a_choice(needed: int, used: str, again: str, want: tuple[str, ...]) -> None:
    choice = choose("r", needed, healthy=set("abc"), used=set(used) | set(again), again=set(again))
    assert choice.first() == want
