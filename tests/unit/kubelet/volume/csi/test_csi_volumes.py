"""Volumes of storage drivers: staged once, published for each pod, given back, whatever dies in between."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from apimachinery.model import from_dict
from kubeapi.core.node import Node
from kubeapi.core.secret.model import Secret
from kubeapi.storage.csidriver import CSIDriver
from kubeapi.storage.csinode import CSINode
from kubeapi.storage.volumeattachment import VolumeAttachment, attachment_name
from kubelet.plugins.rpc import RpcError
from kubelet.plugins.watcher import PluginInfo, PluginRefused
from kubelet.volume.csi.drivers import NODE_ID_ANNOTATION, CsiError
from kubelet.volume.csi.volume import owns_files, selinux_option
from kubelet.volume.csi.volumes import CsiMount
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import make_pod
from tests.kits.plugins.csi_driver import MOUNT_GROUP, MULTI_WRITER, STAGE, STATS
from tests.unit.kubelet.volume.csi._machine import NAME, Machine, inline, inline_pod, mounted, persistent


async def test_a_volume_is_staged_once_and_published_for_each_pod(machine: Machine) -> None:
    machine.settings()
    driver = await machine.driver(STAGE)
    driver.data("h-1").mkdir(parents=True)
    volumes = await machine.start_kubelet()
    one, two = make_pod(), make_pod(name="two", uid="uid-2")
    mount = await mounted(volumes, one, persistent(mountOptions=["noatime"]))
    target = machine.folder(one, "pv-1") / "mount"
    assert mount == CsiMount(str(target), read_only=False, owns_files=True)
    await volumes.set_up(two, persistent(read_only=True), "v")
    await volumes.set_up(two, persistent(read_only=True), "v")  # a later look at the pod asks nobody
    assert driver.methods() == ["NodeStageVolume", "NodePublishVolume", "NodePublishVolume"]
    staged = driver.last("NodeStageVolume")
    assert staged.staging_target_path.startswith(f"{machine.root}/plugins/kubernetes.io/csi/{NAME}/")
    assert staged.staging_target_path.endswith("/globalmount")
    assert staged.volume_capability.mount.fs_type == "ext4"
    assert list(staged.volume_capability.mount.mount_flags) == ["noatime"]
    assert staged.volume_capability.access_mode.mode == 1
    assert dict(staged.volume_context) == {"tier": "fast"}
    published = driver.last("NodePublishVolume")
    assert published.readonly
    assert published.staging_target_path == staged.staging_target_path
    data = json.loads((target.parent / "vol_data.json").read_text())
    assert (data["driverName"], data["volumeHandle"], data["specVolID"]) == (NAME, "h-1", "pv-1")

    await volumes.tear_down(machine.folder(one, "pv-1"))
    assert driver.methods()[3:] == ["NodeUnpublishVolume"]
    await volumes.tear_down(machine.folder(two, "pv-1"))
    assert driver.methods()[3:] == ["NodeUnpublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume"]
    assert machine.left() == []
    await volumes.tear_down(machine.folder(two, "pv-1"))  # nothing is there any more


async def test_a_driver_without_staging_is_only_asked_to_publish(machine: Machine) -> None:
    machine.settings()
    driver = await machine.driver()
    driver.data("h-1").mkdir(parents=True)
    volumes = await machine.start_kubelet()
    await volumes.set_up(make_pod(), persistent(), "v")
    await volumes.tear_down(machine.folder(make_pod(), "pv-1"))
    assert driver.methods() == ["NodePublishVolume", "NodeUnpublishVolume"]
    assert machine.left() == []


async def test_a_block_volume_is_asked_for_as_a_device_and_given_back(machine: Machine) -> None:
    machine.settings(fsGroupPolicy="File")
    driver = await machine.driver(STAGE, MOUNT_GROUP)
    driver.data("h-1").parent.mkdir(parents=True)
    driver.data("h-1").touch()
    volumes = await machine.start_kubelet()
    pod, volume = (
        make_pod({"securityContext": {"fsGroup": 7}}),
        persistent(volumeMode="Block", mountOptions=["noatime"]),
    )
    mount = await mounted(volumes, pod, volume)
    assert (mount.owns_files, Path(mount.path).is_file()) == (False, True)
    for method in ("NodeStageVolume", "NodePublishVolume"):
        capability = driver.last(method).volume_capability
        assert (capability.HasField("block"), capability.HasField("mount")) == (True, False)
    volumes = await machine.start_kubelet()
    await volumes.tear_down(machine.folder(pod, "pv-1"))
    assert driver.methods()[2:] == ["NodeUnpublishVolume", "NodeUnstageVolume"]
    assert machine.left() == []


@pytest.mark.parametrize(
    ("labelled", "settings", "spec", "option"),
    [
        (True, {"seLinuxMount": True}, {}, ('context="system_u:object_r:container_file_t:s0:c1,c2"',)),
        (True, {"seLinuxMount": True}, {"accessModes": ["ReadWriteOnce"]}, ()),
        (True, {"seLinuxMount": True}, {"volumeMode": "Block"}, ()),
        (True, {}, {}, ()),
        (False, {"seLinuxMount": True}, {}, ()),
    ],
)
def test_a_volume_of_one_pod_is_mounted_with_its_label(
    labelled: bool, settings: dict[str, bool], spec: dict[str, Any], option: tuple[str, ...]
) -> None:
    labels = {"seLinuxOptions": {"level": "s0:c1,c2"}} if labelled else {}
    driver = from_dict(CSIDriver, {"metadata": {"name": NAME}, "spec": settings})
    volume = persistent(**{"accessModes": ["ReadWriteOncePod"], **spec})
    assert selinux_option(make_pod({"securityContext": labels}), volume, driver) == option


async def test_a_volume_of_one_pod_gets_its_secret_pod_and_tokens(machine: Machine) -> None:
    token = {"audience": "vault", "expirationSeconds": 700}
    machine.settings(
        volumeLifecycleModes=["Ephemeral"], podInfoOnMount=True, tokenRequests=[token], requiresRepublish=True
    )
    machine.api.put(from_dict(Secret, {"metadata": {"name": "s", "namespace": "default"}, "data": {"key": "d29yZA=="}}))
    driver = await machine.driver(STAGE)
    volumes = await machine.start_kubelet()
    pod = inline_pod()
    mount = await mounted(volumes, pod, inline(pod))
    assert mount.path == str(machine.folder(pod, "v") / "mount")
    assert driver.methods() == ["NodePublishVolume"]
    request = driver.last("NodePublishVolume")
    assert request.volume_id.startswith("csi-")
    assert dict(request.secrets) == {"key": "word"}
    context = dict(request.volume_context)
    tokens = json.loads(context.pop("csi.storage.k8s.io/serviceAccount.tokens"))
    assert tokens == {"vault": {"token": "ey", "expirationTimestamp": "2040-01-01T00:00:00Z"}}
    assert context == {
        "size": "1Gi",
        "csi.storage.k8s.io/pod.name": "web",
        "csi.storage.k8s.io/pod.namespace": "default",
        "csi.storage.k8s.io/pod.uid": "uid-1",
        "csi.storage.k8s.io/serviceAccount.name": "robot",
        "csi.storage.k8s.io/ephemeral": "true",
    }
    await volumes.tear_down(machine.folder(pod, "v"))
    assert driver.methods() == ["NodePublishVolume", "NodeUnpublishVolume"]
    assert machine.left() == []


async def test_what_a_driver_does_not_offer_is_an_error(machine: Machine) -> None:
    pod = inline_pod()
    volumes = await machine.start_kubelet()
    with pytest.raises(CsiError, match=r'volume mode "Ephemeral" not supported by driver .* \(no CSIDriver object\)'):
        await volumes.set_up(pod, inline(pod), "v")
    machine.settings(volumeLifecycleModes=["Persistent"])
    with pytest.raises(CsiError, match=r'\(only supports \["Persistent"\]\)'):
        await volumes.set_up(pod, inline(pod), "v")
    with pytest.raises(CsiError, match=f"driver name {NAME} not found in the list of registered CSI drivers"):
        await volumes.set_up(pod, persistent(), "v")
    await machine.driver()
    volumes = await machine.start_kubelet()
    reference = {"name": "none", "namespace": "kube-system"}
    with pytest.raises(CsiError, match='failed to get secret "kube-system/none"'):
        await volumes.set_up(pod, persistent(csi={"nodePublishSecretRef": reference}), "v")


async def test_an_attached_volume_is_waited_for_and_told_of_as_in_use(machine: Machine) -> None:
    driver = await machine.driver(STAGE)  # without a CSIDriver, a driver attaches
    driver.data("h-1").mkdir(parents=True)
    volumes = await machine.start_kubelet()
    pod, name = make_pod(), f"kubernetes.io/csi/{NAME}^h-1"
    setting_up = asyncio.create_task(volumes.set_up(pod, persistent(), "v"))
    await eventually_async(lambda: machine.node.current().status.volumesInUse == [name])
    assert driver.methods() == []
    document = {
        "metadata": {"name": attachment_name(NAME, "h-1", "worker-1")},
        "spec": {"attacher": NAME, "nodeName": "worker-1", "source": {"persistentVolumeName": "pv-1"}},
        "status": {"attached": True, "attachmentMetadata": {"device": "sdx"}},
    }
    machine.api.put(from_dict(VolumeAttachment, document))
    attached = from_dict(Node, {"status": {"volumesAttached": [{"name": name, "devicePath": ""}]}})
    machine.node.change(volumesAttached=attached.status.volumesAttached)
    await setting_up
    assert dict(driver.last("NodeStageVolume").publish_context) == {"device": "sdx"}
    assert dict(driver.last("NodePublishVolume").publish_context) == {"device": "sdx"}
    again = await machine.start_kubelet()
    assert again.in_use() == [name]
    await again.tear_down(machine.folder(pod, "pv-1"))
    assert not machine.node.current().status.volumesInUse


async def test_a_failure_of_the_driver_is_told_and_staging_undone_where_it_is_final(machine: Machine) -> None:
    machine.settings()
    driver = await machine.driver(STAGE)
    driver.data("h-1").mkdir(parents=True)
    volumes = await machine.start_kubelet()
    driver.fail["NodeStageVolume"] = [grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED]
    staging = machine.root / "plugins/kubernetes.io/csi" / NAME
    with pytest.raises(RpcError, match="rpc error: code = Internal desc = NodeStageVolume is to fail"):
        await volumes.set_up(make_pod(), persistent(), "v")
    assert list(staging.iterdir()) == []
    with pytest.raises(RpcError, match="DeadlineExceeded"):
        await volumes.set_up(make_pod(), persistent(), "v")
    assert len(list(staging.iterdir())) == 1  # it may have happened
    await volumes.set_up(make_pod(), persistent(), "v")
    driver.fail["NodeUnpublishVolume"] = [grpc.StatusCode.INTERNAL]
    with pytest.raises(RpcError, match="code = Internal"):
        await volumes.tear_down(machine.folder(make_pod(), "pv-1"))
    await volumes.tear_down(machine.folder(make_pod(), "pv-1"))
    assert machine.left() == []


@pytest.mark.parametrize("method", ["NodeStageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeUnstageVolume"])
@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_kubelet_killed_after_any_call_leaves_what_its_successor_finishes(
    machine: Machine, method: str, goes_on: bool
) -> None:
    """`goes_on`: the pod is still wanted afterwards."""
    machine.settings()
    driver = await machine.driver(STAGE)
    driver.data("h-1").mkdir(parents=True)
    (driver.data("h-1") / "precious").write_text("data")
    volumes, pod = await machine.start_kubelet(), make_pod()

    async def life() -> None:
        await volumes.set_up(pod, persistent(), "v")
        await volumes.tear_down(machine.folder(pod, "pv-1"))

    living, loop = asyncio.create_task(life()), asyncio.get_running_loop()
    driver.after[method] = lambda: cast(None, loop.call_soon_threadsafe(living.cancel))
    with pytest.raises(asyncio.CancelledError):
        await living
    assert driver.methods()[-1] == method
    volumes = await machine.start_kubelet()
    if goes_on:
        mount = await mounted(volumes, pod, persistent())
        assert (Path(mount.path) / "volume").exists()
    await volumes.tear_down(machine.folder(pod, "pv-1"))
    await volumes.unstage_unused()
    assert machine.left() == []
    assert (driver.data("h-1") / "precious").read_text() == "data"


async def test_staging_without_a_pod_is_undone(machine: Machine) -> None:
    machine.settings()
    driver = await machine.driver(STAGE)
    driver.data("h-1").mkdir(parents=True)
    volumes, pod = await machine.start_kubelet(), make_pod()
    await volumes.set_up(pod, persistent(), "v")
    folder = machine.folder(pod, "pv-1")
    for file in (folder / "mount/volume", folder / "vol_data.json"):
        file.unlink()
    volumes = await machine.start_kubelet()
    driver.fail["NodeUnstageVolume"] = [grpc.StatusCode.UNAVAILABLE]
    await volumes.unstage_unused()
    assert machine.left() != []
    await volumes.unstage_unused()
    assert machine.left() == []


async def test_nothing_is_removed_that_the_driver_left_there(machine: Machine) -> None:
    machine.settings()
    driver = await machine.driver()
    driver.data("h-1").mkdir(parents=True)
    volumes, pod = await machine.start_kubelet(), make_pod()
    await volumes.set_up(pod, persistent(), "v")
    target = machine.folder(pod, "pv-1") / "mount"
    (target / "file").write_text("still here")
    with pytest.raises(RpcError):  # the driver can't remove its folder
        await volumes.tear_down(target.parent)
    assert (target / "file").read_text() == "still here"
    (target / "file").unlink()
    await volumes.tear_down(target.parent)


async def test_access_modes_and_the_group_of_a_mount(machine: Machine) -> None:
    machine.settings()
    driver = await machine.driver(MULTI_WRITER, MOUNT_GROUP)
    driver.data("h-1").mkdir(parents=True)
    volumes = await machine.start_kubelet()
    for number, (mode, want) in enumerate(
        [("ReadWriteOnce", 7), ("ReadWriteOncePod", 6), ("ReadOnlyMany", 3), ("ReadWriteMany", 5)]
    ):
        pod = make_pod({"securityContext": {"fsGroup": 5000}}, uid=f"uid-{number}")
        mount = await mounted(volumes, pod, persistent(accessModes=[mode]))
        assert not mount.owns_files  # the driver does
        capability = driver.last("NodePublishVolume").volume_capability
        assert (capability.access_mode.mode, capability.mount.volume_mount_group) == (want, "5000")


async def test_volumes_that_an_earlier_kubelet_published_are_looked_at_once_their_driver_is_there(
    machine: Machine,
) -> None:
    machine.settings(requiresRepublish=True)
    driver = await machine.driver(STAGE)
    driver.data("h-1").mkdir(parents=True)
    volumes, pod = await machine.start_kubelet(), make_pod()
    await volumes.set_up(pod, persistent(), "v")
    machine.running.clear()  # at first
    machine.woken.clear()
    volumes = await machine.start_kubelet()
    assert not volumes.is_due("uid-1")
    machine.running.append(driver)
    await machine.drivers.register(PluginInfo("CSIPlugin", NAME, "", ("1.0.0",)), str(driver.socket))
    assert machine.woken == ["uid-1"]
    assert volumes.is_due("uid-1")
    assert not volumes.is_due("uid-2")
    await volumes.set_up(pod, persistent(), "v")
    assert not volumes.is_due("uid-1")
    assert driver.methods()[-1] == "NodePublishVolume"


async def test_figures(machine: Machine) -> None:
    machine.settings()
    driver = await machine.driver(STATS)
    driver.data("h-1").mkdir(parents=True)
    volumes = await machine.start_kubelet()
    await volumes.set_up(make_pod(), persistent(), "v")
    found = (await volumes.figures("uid-1"))["v"]
    assert (found.capacity_bytes, found.available_bytes, found.inodes, found.inodes_free) == (10, 7, 9, 5)
    assert await volumes.figures("uid-2") == {}


@pytest.mark.parametrize(
    ("policy", "fs_type", "mode", "want"),
    [
        (None, "ext4", "ReadWriteOnce", True),
        ("ReadWriteOnceWithFSType", "", "ReadWriteOnce", False),
        ("ReadWriteOnceWithFSType", "ext4", "ReadWriteMany", False),
        ("File", "", "ReadWriteMany", True),
        ("None", "ext4", "ReadWriteOnce", False),
    ],
)
def test_who_owns_the_files(policy: str | None, fs_type: str, mode: str, want: bool) -> None:
    settings = from_dict(CSIDriver, {"metadata": {"name": NAME}, "spec": {"fsGroupPolicy": policy}})
    volume = persistent(accessModes=[mode], csi={"fsType": fs_type})
    assert owns_files(volume, settings) is want


# Drivers


async def test_the_cluster_learns_of_a_driver_and_of_its_end(machine: Machine) -> None:
    driver = await machine.driver()
    driver.topology, driver.most_volumes = {"topology.example.com/rack": "r1"}, 8
    await machine.start_kubelet()
    (entry,) = machine.api.find(CSINode, "worker-1").spec.drivers
    assert (entry.name, entry.nodeID, entry.topologyKeys) == (NAME, "node-7", ["topology.example.com/rack"])
    assert entry.allocatable is not None
    assert entry.allocatable.count == 8
    assert machine.api.find(CSINode, "worker-1").metadata.ownerReferences[0].uid == "node-uid"
    node = machine.node.current()
    assert node.labels["topology.example.com/rack"] == "r1"
    assert json.loads(node.annotations[NODE_ID_ANNOTATION]) == {NAME: "node-7"}
    await machine.drivers.deregister(NAME, "another socket")
    machine.drivers.get(NAME)
    await machine.drivers.deregister(NAME, str(driver.socket))
    await eventually_async(lambda: machine.api.find(CSINode, "worker-1").spec.drivers == [])
    await eventually_async(lambda: NODE_ID_ANNOTATION not in machine.node.current().annotations)
    with pytest.raises(CsiError):
        machine.drivers.get(NAME)


async def test_a_driver_that_does_not_fit_is_refused(machine: Machine) -> None:
    driver = await machine.driver()
    await machine.start_kubelet()
    with pytest.raises(PluginRefused, match=r"none of the versions 1\.x, but 0\.3"):
        await machine.drivers.register(PluginInfo("CSIPlugin", NAME, "", ("0.3",)), str(driver.socket))
    driver.topology = {"rack": "r1"}
    node = machine.node.current().clone()
    node.metadata.labels = {"rack": "r2"}
    machine.api.put(node)
    with pytest.raises(PluginRefused, match='driver reported "rack":"r1" but existing label is "rack":"r2"'):
        await machine.drivers.register(PluginInfo("CSIPlugin", NAME, "", ("1.0.0",)), str(driver.socket))
    driver.node = ""
    with pytest.raises(PluginRefused, match="nodeID must not be empty"):
        await machine.drivers.register(PluginInfo("CSIPlugin", NAME, "", ("1.0.0",)), str(driver.socket))
