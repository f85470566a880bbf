"""Volumes that become larger, whatever dies in between."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
import pytest

from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim, PersistentVolumeClaimCondition
from kubelet.volume.csi.volumes import LOOK_SECONDS
from tests.kits.node.kubelet import make_pod
from tests.kits.plugins.csi_driver import EXPAND, STAGE, STATS, CsiDriver
from tests.kits.volumes import claim_ref, make_claim, make_volume
from tests.unit.kubelet.volume.csi._machine import NAME, Machine, persistent


def claimed_size(machine: Machine) -> str:
    status = machine.api.find(PersistentVolumeClaim, "team/c").status
    assert status.allocatedResourceStatuses is None or status.capacity["storage"] == "1Gi"
    return str(status.capacity["storage"])


async def driver_that_expands(machine: Machine) -> CsiDriver:
    """Makes a bound claim of 1Gi, whose volume's file system is to grow."""
    machine.settings()
    csi = {"driver": NAME, "volumeHandle": "h-1"}
    machine.api.put(make_volume("pv-1", size="1Gi", csi=csi, claimRef=claim_ref()))
    claim = make_claim(volumeName="pv-1")
    claim.status.capacity, claim.status.allocatedResourceStatuses = {"storage": "1Gi"}, {"storage": "NodeResizePending"}
    claim.status.conditions = [PersistentVolumeClaimCondition(type="FileSystemResizePending", status="True")]
    machine.api.put(claim)
    driver = await machine.driver(STAGE, EXPAND, STATS)
    driver.data("h-1").mkdir(parents=True)
    return driver


def enlarge(machine: Machine) -> None:
    def grow(volume: PersistentVolume) -> None:
        volume.spec.capacity = {"storage": "5Gi"}

    machine.api.change(PersistentVolume, "pv-1", grow)


@pytest.mark.parametrize(("claim_told", "expansions"), [(False, 2), (True, 1)])
async def test_a_kubelet_killed_in_an_expansion_leaves_what_its_successor_finishes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, claim_told: bool, expansions: int
) -> None:
    """`claim_told`: it dies after the write to the claim, else after the driver's work."""
    driver = await driver_that_expands(machine)
    volumes, pod = await machine.start_kubelet(), make_pod({"nodeName": "worker-1"})
    await volumes.set_up(pod, persistent(), "v")
    enlarge(machine)
    volumes = await machine.start_kubelet()
    growing = asyncio.create_task(volumes.set_up(pod, persistent(), "v"))
    loop, update_with = asyncio.get_running_loop(), machine.api.update_with

    async def last_write(*args: Any, **more: Any) -> Any:
        await update_with(*args, **more)
        growing.cancel()
        await asyncio.Future()

    if claim_told:
        monkeypatch.setattr(machine.api, "update_with", last_write)
    else:
        driver.after["NodeExpandVolume"] = lambda: cast(None, loop.call_soon_threadsafe(growing.cancel))
    with pytest.raises(asyncio.CancelledError):
        await growing
    monkeypatch.undo()
    assert claimed_size(machine) == ("5Gi" if claim_told else "1Gi")
    volumes = await machine.start_kubelet()
    await volumes.set_up(pod, persistent(), "v")
    assert claimed_size(machine) == "5Gi"
    assert not machine.api.find(PersistentVolumeClaim, "team/c").status.conditions
    assert driver.methods().count("NodeExpandVolume") == expansions
    await volumes.tear_down(machine.folder(pod, "pv-1"))
    await volumes.unstage_unused()
    assert machine.left() == []


async def test_a_volume_that_became_larger_is_grown(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = await driver_that_expands(machine)
    volumes, pod = await machine.start_kubelet(), make_pod({"nodeName": "worker-1"})
    await volumes.set_up(pod, persistent(), "v")
    assert "NodeExpandVolume" not in driver.methods()
    assert not volumes.is_due("uid-1")

    enlarge(machine)
    loop, now = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    monkeypatch.setattr(loop, "time", lambda: now + LOOK_SECONDS + 1)
    assert volumes.is_due("uid-1")
    driver.fail["NodeExpandVolume"] = [grpc.StatusCode.INTERNAL]
    await volumes.set_up(pod, persistent(), "v")
    assert claimed_size(machine) == "1Gi"
    monkeypatch.setattr(loop, "time", lambda: now + 2 * LOOK_SECONDS + 2)
    await volumes.set_up(pod, persistent(), "v")
    monkeypatch.undo()
    assert claimed_size(machine) == "5Gi"
    assert not machine.api.find(PersistentVolumeClaim, "team/c").status.conditions
    request = driver.last("NodeExpandVolume")
    assert request.capacity_range.required_bytes == 5 << 30
    assert request.volume_path == str(machine.folder(pod, "pv-1") / "mount")
    assert request.staging_target_path.endswith("globalmount")
    assert [event.split()[1] for event in machine.events] == [
        "VolumeResizeFailed",
        "FileSystemResizeSuccessful",
        "FileSystemResizeSuccessful",
    ]
    assert driver.methods() == ["NodeStageVolume", "NodePublishVolume", "NodeExpandVolume", "NodeExpandVolume"]
