"""Volumes of claims: found through the API, set up by the type of their source, never mistaken for another's."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, cast

import pytest

from apimachinery.errors import NotFound
from apimachinery.model import from_dict
from componentbase.host.mountinfo import mounts_below
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeclient.rest import RestClient
from kubelet.container.downward import NodeFacts
from kubelet.volume.claims import Claims
from kubelet.volume.container_mounts import container_devices, volume_groups
from kubelet.volume.interface import Mounted, VolumeContext, VolumeError, VolumeHost
from kubelet.volume.manager import VolumeFailure, VolumeManager
from kubelet.volume.types import nfs
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.kubelet import Objects, make_pod

NODE = NodeFacts("worker-1", ("192.168.0.5",), {}, {"kubernetes.io/hostname": "worker-1"})


class Api:
    """Answers GETs of claims and volumes, and counts them."""

    def __init__(self) -> None:
        self.claims: dict[str, PersistentVolumeClaim] = {}
        self.volumes: dict[str, PersistentVolume] = {}
        self.asked: list[str] = []

    async def get(self, model: type[Any], name: str, namespace: str) -> Any:
        self.asked.append(name)
        objects: dict[str, Any] = self.claims if model is PersistentVolumeClaim else self.volumes
        if name not in objects:
            raise NotFound(f'{model.__name__} "{name}" not found')
        return objects[name]

    def bind(self, spec: dict[str, Any], claim: str = "data", **metadata: Any) -> None:
        meta = {"name": claim, "namespace": "default", "uid": "claim-1"}
        body = {"metadata": meta | metadata, "spec": {"volumeName": "pv-1"}, "status": {"phase": "Bound"}}
        self.claims[claim] = from_dict(PersistentVolumeClaim, body)
        annotations = spec.pop("annotations", {})
        spec = {"claimRef": {"namespace": "default", "name": claim, "uid": "claim-1"}} | spec
        meta = {"name": "pv-1", "annotations": annotations}
        self.volumes["pv-1"] = from_dict(PersistentVolume, {"metadata": meta, "spec": spec})


class World:
    def __init__(self, root: Path) -> None:
        self.api, self.runtime = Api(), FakeRuntime()
        claims = Claims(cast(RestClient, self.api))
        self.manager = VolumeManager(str(root / "kubelet"), Objects(), self.runtime, claims=claims)

    async def set_up(self, source: dict[str, Any] | None = None, **spec: Any) -> Mounted:
        volume = {"name": "v"} | (source or {"persistentVolumeClaim": {"claimName": "data"}})
        return (await self.manager.set_up(make_pod({"volumes": [volume]} | spec), NODE))["v"]

    async def why(self, source: dict[str, Any] | None = None) -> str:
        with pytest.raises(VolumeFailure) as refused:
            await self.set_up(source)
        return refused.value.why


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_claim_that_is_not_bound_is_waited_for(world: World) -> None:
    prefix = "error processing PVC default/data: "
    why = 'failed to fetch PVC from API server: PersistentVolumeClaim "data" not found'
    assert await world.why() == prefix + why
    pending = {"metadata": {"name": "data", "namespace": "default"}, "status": {"phase": "Pending"}}
    world.api.claims["data"] = from_dict(PersistentVolumeClaim, pending)
    assert await world.why() == prefix + "PVC is not bound"
    world.api.bind({"hostPath": {"path": "/"}}, deletionTimestamp="2026-01-01T00:00:00Z")
    assert await world.why() == prefix + "can't start pod because PVC is being deleted"
    world.api.bind({"hostPath": {"path": "/"}, "claimRef": {"name": "data", "uid": "another"}})
    assert await world.why() == prefix + "PV pv-1 is bound to another claim"
    world.api.volumes.clear()
    assert await world.why() == prefix + 'persistentvolume "pv-1" not found'


async def test_the_volume_s_source_is_set_up(world: World, tmp_path: Path) -> None:
    world.api.bind({"hostPath": {"path": str(tmp_path / "made"), "type": "DirectoryOrCreate"}})
    assert await world.set_up() == Mounted(str(tmp_path / "made"))
    assert (tmp_path / "made").is_dir()
    read_only = {"persistentVolumeClaim": {"claimName": "data", "readOnly": True}}
    assert await world.set_up(read_only) == Mounted(str(tmp_path / "made"), read_only=True)


async def test_where_claims_are_is_known_until_their_pod_is_forgotten(world: World, tmp_path: Path) -> None:
    world.api.bind({"local": {"path": str(tmp_path)}})
    await world.set_up()
    assert world.manager.claim_paths("uid-1") == {"v": str(tmp_path)}
    world.manager.forget("uid-1")
    assert world.manager.claim_paths("uid-1") == {}
    world.api.bind({"hostPath": {"path": str(tmp_path)}})
    await world.set_up()
    assert world.manager.claim_paths("uid-1") == {}


async def test_the_api_is_asked_once_for_each_pod(world: World, tmp_path: Path) -> None:
    world.api.bind({"local": {"path": str(tmp_path)}})
    for _ in range(3):
        await world.set_up()
    assert world.api.asked == ["data", "pv-1"]
    world.manager.forget("uid-1")
    await world.set_up()
    assert world.api.asked == ["data", "pv-1"] * 2


async def test_an_ephemeral_claim_must_be_the_pod_s_own(world: World, tmp_path: Path) -> None:
    ephemeral = {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
    world.api.bind({"local": {"path": str(tmp_path)}}, "web-v")
    foreign = "PVC default/web-v was not created for pod default/web (pod is not owner)"
    assert await world.why(ephemeral) == f"error processing PVC default/web-v: {foreign}"
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "uid-1", "controller": True}
    world.api.bind({"local": {"path": str(tmp_path)}}, "web-v", ownerReferences=[owner])
    assert (await world.set_up(ephemeral)).path == str(tmp_path)


@pytest.mark.parametrize(("host", "refused"), [("worker-1", False), ("worker-2", True)])
async def test_a_volume_of_another_node_is_not_touched(world: World, tmp_path: Path, host: str, refused: bool) -> None:
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}]
    affinity = {"required": {"nodeSelectorTerms": terms}}
    world.api.bind({"local": {"path": str(tmp_path)}, "nodeAffinity": affinity})
    if refused:
        assert await world.why() == 'NodeAffinity check failed for volume "pv-1": no matching NodeSelectorTerms'
    else:
        assert (await world.set_up()).path == str(tmp_path)


class TestRefusals:
    async def test_local(self, world: World, tmp_path: Path) -> None:
        world.api.bind({"local": {"path": str(tmp_path / "none")}})
        assert await world.why() == f'path "{tmp_path}/none" does not exist'
        world.manager.forget("uid-1")
        (tmp_path / "file").touch()
        world.api.bind({"local": {"path": str(tmp_path / "file")}})
        assert await world.why() == f'path "{tmp_path}/file" is not a directory'

    async def test_block_mode(self, world: World, tmp_path: Path) -> None:
        world.api.bind({"hostPath": {"path": "/dev/null"}, "volumeMode": "Block"})
        assert await world.why() == "volume type hostPath does not support volumeMode Block"
        world.manager.forget("uid-1")
        world.api.bind({"local": {"path": "/dev/null"}, "volumeMode": "Block"})
        assert await world.why() == 'path "/dev/null" is not a block device'
        device = {"name": "c", "volumeDevices": [{"name": "v", "devicePath": "/dev/disk"}]}
        with pytest.raises(
            VolumeFailure, match=r'^MapVolume\.SetUpDevice failed for volume "v" : path "/dev/null" is not'
        ):
            await world.set_up(containers=[device])

    async def test_mount_options(self, world: World) -> None:
        world.api.bind({"hostPath": {"path": "/"}, "mountOptions": ["ro"]})
        assert await world.why() == "Mount options are not supported for this volume type"

    async def test_types_that_nobody_serves(self, world: World) -> None:
        world.api.bind({"iscsi": {"targetPortal": "s", "iqn": "i"}})
        assert await world.why() == "volume type iscsi is not supported"

    async def test_mounts_that_the_engine_would_not_see(self, world: World) -> None:
        world.api.bind({"nfs": {"server": "s", "path": "/"}})
        assert "does not see what this kubelet mounts" in await world.why()


class TestGroups:
    async def test_the_pod_s_group_gets_a_local_volume_once(self, world: World, tmp_path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("gives files away: needs root")
        (tmp_path / "vol").mkdir()
        (tmp_path / "vol/file").touch(mode=0o600)
        (tmp_path / "secret").touch(mode=0o600)
        (tmp_path / "vol/link").symlink_to(tmp_path / "secret")
        world.api.bind({"local": {"path": str(tmp_path / "vol")}})
        await world.set_up(securityContext={"fsGroup": 2000})
        folder, file = (tmp_path / "vol").stat(), (tmp_path / "vol/file").stat()
        assert (folder.st_gid, folder.st_mode & 0o2770) == (2000, 0o2770)
        assert (file.st_gid, stat.S_IMODE(file.st_mode)) == (2000, 0o660)
        assert (tmp_path / "secret").stat().st_gid != 2000
        assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
        (tmp_path / "vol/later").touch(mode=0o600)
        await world.set_up(securityContext={"fsGroup": 2000})
        assert stat.S_IMODE((tmp_path / "vol/later").stat().st_mode) == 0o600

    async def test_a_right_root_is_enough_with_on_root_mismatch(self, world: World, tmp_path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("gives files away: needs root")
        context = {"fsGroup": 2000, "fsGroupChangePolicy": "OnRootMismatch"}
        (tmp_path / "vol").mkdir()
        os.chown(tmp_path / "vol", -1, 2000)
        (tmp_path / "vol").chmod(0o2770)
        (tmp_path / "vol/file").touch(mode=0o600)
        world.api.bind({"local": {"path": str(tmp_path / "vol")}})
        await world.set_up(securityContext=context)
        assert stat.S_IMODE((tmp_path / "vol/file").stat().st_mode) == 0o600
        (tmp_path / "vol").chmod(0o770)
        world.manager.forget("uid-1")
        await world.set_up(securityContext=context)
        assert stat.S_IMODE((tmp_path / "vol/file").stat().st_mode) == 0o660

    async def test_a_volume_names_the_group_that_it_belongs_to(self, world: World, tmp_path: Path) -> None:
        world.api.bind({"local": {"path": str(tmp_path)}, "annotations": {"pv.beta.kubernetes.io/gid": "1234"}})
        mounted = await world.set_up()
        assert volume_groups({"v": mounted, "w": Mounted("/x")}) == [1234]


def test_a_block_volume_is_a_device_of_its_containers() -> None:
    container = {"name": "app", "image": "i", "volumeDevices": [{"name": "v", "devicePath": "/dev/xvda"}]}
    spec = make_pod({"containers": [container]}).spec.containers[0]
    assert container_devices(spec, {"v": Mounted(device="/dev/sdb")}) == [("/dev/sdb", "/dev/xvda", "rwm")]
    assert container_devices(spec, {"v": Mounted(device="/dev/sdb", read_only=True)})[0][2] == "r"
    with pytest.raises(VolumeError, match='"v" has volumeMode Filesystem, but is specified in volumeDevices'):
        container_devices(spec, {"v": Mounted("/x")})
    with pytest.raises(VolumeError, match="cannot find volume"):
        container_devices(spec, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts: needs root")
class TestMounts:
    async def test_mount_options_of_a_local_volume_hold(self, world: World, tmp_path: Path) -> None:
        world.runtime.mounts_are_seen = True
        (tmp_path / "vol").mkdir()
        (tmp_path / "vol/data").touch()
        world.api.bind({"local": {"path": str(tmp_path / "vol")}, "mountOptions": ["ro"]})
        mounted = await world.set_up()
        assert mounted.path == str(tmp_path / "kubelet/pods/uid-1/volumes/kubernetes.io~local-volume/pv-1")
        with pytest.raises(OSError, match="Read-only"):
            Path(mounted.path, "new").touch()
        await world.manager.tear_down("uid-1")
        assert not Path(mounted.path).exists()
        assert os.listdir(tmp_path / "vol") == ["data"]

    async def test_shared_memory_is_mounted_and_sized(self, world: World) -> None:
        world.runtime.mounts_are_seen = True
        limits = {"resources": {"limits": {"memory": "1Mi"}}}
        containers = [{"name": "app", "image": "app:1"} | limits]
        source = {"emptyDir": {"medium": "Memory", "sizeLimit": "2Mi"}}
        for _ in range(2):
            mounted = await world.set_up(source, containers=containers, securityContext={"fsGroup": 2000})
        assert mounts_below(mounted.path) == [mounted.path]
        assert os.statvfs(mounted.path).f_blocks * os.statvfs(mounted.path).f_frsize == 1 << 20
        assert os.stat(mounted.path).st_gid == 2000
        assert await world.runtime.memory_volumes() == {}
        await world.manager.unmount("uid-1")
        assert mounts_below(mounted.path) == []
        await world.manager.tear_down("uid-1")

    async def test_a_restarted_kubelet_unmounts_what_it_left(self, world: World, tmp_path: Path) -> None:
        world.runtime.mounts_are_seen = True
        await world.set_up({"emptyDir": {"medium": "Memory"}})
        restarted = World(tmp_path)
        await restarted.manager.tear_down("uid-1")
        assert restarted.manager.pod_uids() == []
        assert mounts_below(str(tmp_path)) == []

    async def test_a_server_s_folder_is_mounted_with_its_options(
        self, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The node's `mount` is a stand-in that says what it was asked."""
        program = tmp_path / "bin/mount"
        program.parent.mkdir()
        program.write_text(
            '#!/bin/sh\necho "$@" >>"$0.log"\necho "bad option; need a /sbin/mount.<type> helper"\nexit 32\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        world.runtime.mounts_are_seen = True
        world.api.bind({"nfs": {"server": "fd00::1", "path": "/export"}, "mountOptions": ["vers=4.2"]})
        target = tmp_path / "kubelet/pods/uid-1/volumes/kubernetes.io~nfs/pv-1"
        arguments = f"-t nfs -o vers=4.2 [fd00::1]:/export {target}"
        assert await world.why() == (
            f"mount failed: exit status 32\nMounting command: mount\nMounting arguments: {arguments}\n"
            "Output: bad option; need a /sbin/mount.<type> helper\n"
        )
        assert (tmp_path / "bin/mount.log").read_text() == f"{arguments}\n"
        await world.manager.tear_down("uid-1")


def test_a_server_s_folder_may_be_read_only() -> None:
    pod = make_pod({"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/p", "readOnly": True}}]})
    volume = (pod.spec.volumes or [])[0]
    context = VolumeContext(pod, volume, "/pods/uid-1", VolumeHost(Objects(), FakeRuntime()), NODE)
    assert nfs.setup(context, volume.nfs) == Mounted("/pods/uid-1/volumes/kubernetes.io~nfs/v", read_only=True)
