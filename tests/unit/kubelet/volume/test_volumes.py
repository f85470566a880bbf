"""Volumes on real folders: content, modes, atomic updates, mounts."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from kubelet.container.downward import NodeFacts
from kubelet.runtime.configs import Mount
from kubelet.volume.container_mounts import MountPlace, container_mounts
from kubelet.volume.interface import Mounted, ObjectRef, VolumeError
from kubelet.volume.manager import VolumeFailure, VolumeManager
from kubelet.volume.types import _atomic
from kubelet.volume.types._atomic import File
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.kubelet import Objects, make_pod

NODE = NodeFacts("worker-1", ("192.168.0.5",), {})
NO_MOUNTS = MountPlace("/nowhere", can_mount=False)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Volumes:
    """A volume manager on a temporary folder, and one pod with one volume."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = Objects()
        self.runtime = FakeRuntime()
        self.manager = VolumeManager(str(root), self.objects, self.runtime)

    def use(self, objects: Objects) -> None:
        """The API has these now."""
        self.objects.config_maps, self.objects.secrets = objects.config_maps, objects.secrets

    async def set_up(self, source: dict[str, Any], spec: dict[str, Any] | None = None, **metadata: Any) -> Mounted:
        pod = make_pod({"volumes": [{"name": "v"} | source], **(spec or {})}, **metadata)
        return (await self.manager.set_up(pod, NODE, ("10.244.1.5",)))["v"]


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path)


async def tally(volumes: Volumes) -> dict[str, str]:
    return dict(await volumes.runtime.memory_volumes())


def content(mounted: Mounted) -> dict[str, str]:
    """What a container sees: names through `..data`, without the machinery."""
    root = Path(mounted.path)
    files: dict[str, str] = {}
    for name in os.listdir(root):
        if not name.startswith(".."):
            paths = (root / name).rglob("*") if (root / name).is_dir() else [root / name]
            files |= {str(path.relative_to(root)): path.read_text() for path in paths if path.is_file()}
    return files


class TestAtomicWriter:
    def test_writes_nested_files_with_modes(self, tmp_path: Path) -> None:
        assert _atomic.write(str(tmp_path), {"a": File(b"1"), "dir/b": File(b"2", 0o400)})
        assert (tmp_path / "a").read_bytes() == b"1"
        assert (tmp_path / "dir" / "b").stat().st_mode & 0o777 == 0o400
        assert os.readlink(tmp_path / "a") == "..data/a"
        assert os.readlink(tmp_path / "dir") == "..data/dir"

    def test_an_unchanged_folder_is_left_alone(self, tmp_path: Path) -> None:
        _atomic.write(str(tmp_path), {"a": File(b"1")})
        before = os.readlink(tmp_path / "..data")
        assert not _atomic.write(str(tmp_path), {"a": File(b"1")})
        assert os.readlink(tmp_path / "..data") == before

    def test_a_reader_sees_all_old_or_all_new(self, tmp_path: Path) -> None:
        _atomic.write(str(tmp_path), {"a": File(b"1"), "b": File(b"1")})
        held = os.open(tmp_path / "..data", os.O_RDONLY | os.O_DIRECTORY)
        _atomic.write(str(tmp_path), {"a": File(b"2"), "b": File(b"2")})
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"2"
        assert os.listdir(held) == []
        os.close(held)

    def test_old_content_is_removed(self, tmp_path: Path) -> None:
        for number in range(3):
            _atomic.write(str(tmp_path), {f"f{number}": File(b"x")})
        assert [name for name in os.listdir(tmp_path) if not name.startswith("..")] == ["f2"]
        assert sum(name.startswith("..20") for name in os.listdir(tmp_path)) == 1

    def test_goes_on_after_a_kill_in_the_middle(self, tmp_path: Path) -> None:
        (tmp_path / "..data_tmp").symlink_to("..gone")
        (tmp_path / "..2020_01_01_00_00_00.half").mkdir()
        _atomic.write(str(tmp_path), {"a": File(b"1")})
        assert (tmp_path / "a").read_bytes() == b"1"
        assert not (tmp_path / "..2020_01_01_00_00_00.half").exists()

    @pytest.mark.parametrize("path", ["/abs", "../out", "a/../../b", "..data", ""])
    def test_paths_stay_inside(self, tmp_path: Path, path: str) -> None:
        with pytest.raises(ValueError, match="invalid path"):
            _atomic.write(str(tmp_path), {path: File(b"")})

    def test_an_emptied_folder_shows_nothing(self, tmp_path: Path) -> None:
        _atomic.write(str(tmp_path), {"a": File(b"1")})
        _atomic.write(str(tmp_path), {})
        assert [name for name in os.listdir(tmp_path) if not name.startswith("..")] == []


class TestConfigMap:
    async def test_every_key_is_a_file(self, volumes: Volumes) -> None:
        volumes.use(Objects({"cm": {"data": {"a": "1"}, "binaryData": {"b": encoded("2")}}}))
        mounted = await volumes.set_up({"configMap": {"name": "cm"}})
        assert mounted.read_only
        assert mounted.path == str(volumes.root / "pods/uid-1/volumes/kubernetes.io~configmap/v")
        assert content(mounted) == {"a": "1", "b": "2"}

    async def test_items_modes_and_default_mode(self, volumes: Volumes) -> None:
        volumes.use(Objects({"cm": {"data": {"a": "1", "b": "2", "c": "3"}}}))
        items = [{"key": "a", "path": "x/y"}, {"key": "b", "path": "z", "mode": 0o400}]
        mounted = await volumes.set_up({"configMap": {"name": "cm", "items": items, "defaultMode": 0o640}})
        assert content(mounted) == {"x/y": "1", "z": "2"}
        assert (Path(mounted.path) / "x/y").stat().st_mode & 0o777 == 0o640
        assert (Path(mounted.path) / "z").stat().st_mode & 0o777 == 0o400

    async def test_a_change_shows(self, volumes: Volumes) -> None:
        volumes.use(Objects({"cm": {"data": {"a": "1"}}}))
        await volumes.set_up({"configMap": {"name": "cm"}})
        volumes.use(Objects({"cm": {"data": {"b": "2"}}}))
        assert content(await volumes.set_up({"configMap": {"name": "cm"}})) == {"b": "2"}

    @pytest.mark.parametrize(
        ("source", "why"),
        [
            ({"configMap": {"name": "no"}}, 'configmap "no" not found'),
            ({"secret": {"secretName": "no"}}, 'secret "no" not found'),
            (
                {"configMap": {"name": "cm", "items": [{"key": "no", "path": "p"}]}},
                "references non-existent config key: no",
            ),
        ],
    )
    async def test_what_is_missing(self, volumes: Volumes, source: dict[str, Any], why: str) -> None:
        volumes.use(Objects({"cm": {"data": {"a": "1"}}}))
        with pytest.raises(VolumeFailure) as caught:
            await volumes.set_up(source)
        assert str(caught.value) == f'MountVolume.SetUp failed for volume "v" : {why}'
        ((kind, given),) = source.items()
        assert content(await volumes.set_up({kind: given | {"optional": True}})) == {}


async def test_a_secret_is_files_with_its_mode(volumes: Volumes) -> None:
    volumes.use(Objects(secrets={"s": {"data": {"pw": encoded("geheim")}}}))
    mounted = await volumes.set_up({"secret": {"secretName": "s", "defaultMode": 0o400}})
    assert content(mounted) == {"pw": "geheim"}
    assert (Path(mounted.path) / "pw").stat().st_mode & 0o777 == 0o400


async def test_fields_of_the_pod_are_files(volumes: Volumes) -> None:
    app = {"name": "app", "image": "i", "resources": {"limits": {"memory": "64Mi"}}}
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "mem", "resourceFieldRef": {"containerName": "app", "resource": "limits.memory", "divisor": "1Mi"}},
    ]
    mounted = await volumes.set_up(
        {"downwardAPI": {"items": items}}, {"containers": [app]}, labels={"b": 'qu"ote', "a": "1"}
    )
    assert content(mounted) == {"labels": 'a="1"\nb="qu\\"ote"', "mem": "64"}


class TestProjected:
    async def test_sources_come_together(self, volumes: Volumes) -> None:
        volumes.use(Objects({"cm": {"data": {"a": "1"}}}, {"s": {"data": {"b": encoded("2")}}}))
        sources = [
            {"configMap": {"name": "cm"}},
            {"secret": {"name": "s", "items": [{"key": "b", "path": "secret/b"}]}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        ]
        mounted = await volumes.set_up({"projected": {"sources": sources}})
        assert content(mounted) == {"a": "1", "secret/b": "2", "name": "web"}

    async def test_what_can_not_be_had_is_refused_by_name(self, volumes: Volumes) -> None:
        with pytest.raises(VolumeFailure, match="podCertificate is not supported"):
            await volumes.set_up({"projected": {"sources": [{"podCertificate": {"signerName": "a/b"}}]}})


class TestEmptyDir:
    async def test_is_a_folder_for_everyone(self, volumes: Volumes) -> None:
        mounted = await volumes.set_up({"emptyDir": {}})
        assert Path(mounted.path).stat().st_mode & 0o7777 == 0o777
        (Path(mounted.path) / "file").write_text("kept")
        assert content(await volumes.set_up({"emptyDir": {}})) == {"file": "kept"}

    async def test_is_for_everyone_also_when_making_it_was_cut_short(
        self, volumes: Volumes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "chmod", lambda *_: (_ for _ in ()).throw(OSError("killed")))
            with pytest.raises(VolumeFailure, match="killed"):
                await volumes.set_up({"emptyDir": {}})
        mounted = await volumes.set_up({"emptyDir": {}})
        assert Path(mounted.path).stat().st_mode & 0o7777 == 0o777

    async def test_belongs_to_the_fs_group(self, volumes: Volumes) -> None:
        mounted = await volumes.set_up({"emptyDir": {}}, {"securityContext": {"fsGroup": os.getgid()}})
        assert Path(mounted.path).stat().st_mode & 0o7777 == 0o2777

    async def test_memory_is_a_volume_of_the_runtime(self, volumes: Volumes) -> None:
        mounted = await volumes.set_up({"emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}})
        assert mounted == Mounted(memory_volume="k8s-uid-1-v")
        assert volumes.runtime.calls == [f"create_memory_volume k8s-uid-1-v {8 << 20}"]

    @pytest.mark.parametrize("medium", ["HugePages", "HugePages-2Mi"])
    async def test_huge_pages_are_of_the_size_that_the_pod_requests(self, volumes: Volumes, medium: str) -> None:
        await volumes.set_up({"emptyDir": {"medium": medium, "sizeLimit": "8Mi"}}, huge("hugepages-2Mi"))
        assert volumes.runtime.calls == [f"create_memory_volume k8s-uid-1-v {8 << 20} of {2 << 20}"]

    @pytest.mark.parametrize(
        ("medium", "resources", "words"),
        [
            ("HugePages", (), "there is no resource request for huge pages"),
            ("HugePages-1Gi", ("hugepages-2Mi",), "there is no resource request for huge pages"),
            ("HugePages", ("hugepages-2Mi", "hugepages-1Gi"), "can't be used if container requests multiple"),
        ],
    )
    async def test_huge_pages_must_be_requested(
        self, volumes: Volumes, medium: str, resources: tuple[str, ...], words: str
    ) -> None:
        with pytest.raises(VolumeFailure, match=words):
            await volumes.set_up({"emptyDir": {"medium": medium}}, huge(*resources))

    async def test_unknown_medium(self, volumes: Volumes) -> None:
        with pytest.raises(VolumeFailure, match="unknown storage medium"):
            await volumes.set_up({"emptyDir": {"medium": "Gold"}})


class TestHostPath:
    @pytest.mark.parametrize("kind", ["", "DirectoryOrCreate"])
    async def test_a_missing_folder_is_made(self, volumes: Volumes, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "new/dir"
        mounted = await volumes.set_up({"hostPath": {"path": str(path), "type": kind}})
        assert path.is_dir()
        assert mounted == Mounted(str(path))

    async def test_a_missing_file_is_made(self, volumes: Volumes, tmp_path: Path) -> None:
        mounted = await volumes.set_up({"hostPath": {"path": str(tmp_path / "f"), "type": "FileOrCreate"}})
        assert mounted.file
        assert (tmp_path / "f").is_file()

    @pytest.mark.parametrize(
        ("kind", "complaint"),
        [
            ("Directory", "is not a directory"),
            ("File", "is not a file"),
            ("Socket", "is not a socket file"),
            ("CharDevice", "is not a character device"),
            ("BlockDevice", "is not a block device"),
        ],
    )
    async def test_a_missing_path(self, volumes: Volumes, tmp_path: Path, kind: str, complaint: str) -> None:
        with pytest.raises(VolumeFailure, match=f"hostPath type check failed: .*gone {complaint}"):
            await volumes.set_up({"hostPath": {"path": str(tmp_path / "gone"), "type": kind}})

    async def test_the_right_kinds(self, volumes: Volumes, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s"))
            for path, kind in ((tmp_path / "f", "File"), (tmp_path, "Directory"), (tmp_path / "s", "Socket")):
                mounted = await volumes.set_up({"hostPath": {"path": str(path), "type": kind}})
                assert mounted.path == str(path)
        await volumes.set_up({"hostPath": {"path": "/dev/null", "type": "CharDevice"}})

    async def test_the_wrong_kind(self, volumes: Volumes, tmp_path: Path) -> None:
        with pytest.raises(VolumeFailure, match="is not a file"):
            await volumes.set_up({"hostPath": {"path": str(tmp_path), "type": "File"}})


async def test_other_volume_types_are_refused_by_name(volumes: Volumes) -> None:
    with pytest.raises(VolumeFailure) as caught:
        await volumes.set_up({"cephfs": {"monitors": ["m"]}})
    assert str(caught.value) == 'MountVolume.SetUp failed for volume "v" : volume type cephfs is not supported'


def test_every_reference_of_a_pod_is_found(volumes: Volumes) -> None:
    app = {
        "name": "app",
        "image": "i",
        "env": [
            {"name": "a", "valueFrom": {"configMapKeyRef": {"name": "c1", "key": "k"}}},
            {"name": "b", "valueFrom": {"secretKeyRef": {"name": "s1", "key": "k"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "c2"}}, {"secretRef": {"name": "s2"}}],
    }
    pod_volumes = [
        {"name": "v1", "configMap": {"name": "c3"}},
        {"name": "v2", "secret": {"secretName": "s3"}},
        {"name": "v3", "projected": {"sources": [{"configMap": {"name": "c4"}}, {"secret": {"name": "s4"}}]}},
    ]
    pod = make_pod({"containers": [app], "volumes": pod_volumes, "imagePullSecrets": [{"name": "s5"}]})
    names = {(ref.kind, ref.name) for ref in volumes.manager.references(pod)}
    assert names == {("ConfigMap", f"c{i}") for i in range(1, 5)} | {("Secret", f"s{i}") for i in range(1, 6)}
    assert ObjectRef("Secret", "default", "s5") in volumes.manager.references(pod)


async def test_a_volume_that_no_container_mounts_is_left_out(volumes: Volumes) -> None:
    lacking = [{"name": "v", "configMap": {"name": "none"}}, {"name": "w", "emptyDir": {}}]
    pod = make_pod({"volumes": lacking})
    for container in pod.spec.containers:
        container.volumeMounts = [mount for mount in container.volumeMounts or () if mount.name == "w"]
    assert list(await volumes.manager.set_up(pod, NODE)) == ["w"]
    assert volumes.manager.references(pod) == set()
    assert not volumes.manager.has_live(pod)


async def test_tear_down_leaves_nothing(volumes: Volumes) -> None:
    await volumes.set_up({"emptyDir": {"medium": "Memory"}})
    await volumes.set_up({"emptyDir": {}})
    assert volumes.manager.pod_uids() == ["uid-1"]
    await volumes.manager.tear_down("uid-1")
    assert volumes.manager.pod_uids() == []
    assert await tally(volumes) == {}
    await volumes.manager.tear_down("uid-1")


class TestMounts:
    def mounts(self, mount: dict[str, Any], volume: Mounted, env: dict[str, str] | None = None) -> list[Mount]:
        pod = make_pod({"containers": [{"name": "app", "image": "i", "volumeMounts": [{"name": "v"} | mount]}]})
        return container_mounts(pod.spec.containers[0], {"v": volume}, env or {}, NO_MOUNTS)

    def test_a_mount_takes_source_and_mode_of_its_volume(self) -> None:
        assert self.mounts({"mountPath": "/data"}, Mounted("/vol")) == [Mount("/data", source="/vol")]
        assert self.mounts({"mountPath": "/data", "readOnly": True}, Mounted("/vol"))[0].read_only
        assert self.mounts({"mountPath": "/data"}, Mounted("/vol", read_only=True))[0].read_only
        assert self.mounts({"mountPath": "/m"}, Mounted(memory_volume="m")) == [Mount("/m", memory_volume="m")]

    def test_sub_path_is_made(self, tmp_path: Path) -> None:
        mounts = self.mounts({"mountPath": "/d", "subPath": "a/b"}, Mounted(str(tmp_path)))
        assert mounts == [Mount("/d", source=str(tmp_path / "a/b"))]
        assert (tmp_path / "a/b").is_dir()

    def test_sub_path_expression(self, tmp_path: Path) -> None:
        mount = {"mountPath": "/d", "subPathExpr": "$(POD)/x"}
        assert self.mounts(mount, Mounted(str(tmp_path)), {"POD": "web"})[0].source == str(tmp_path / "web/x")
        for environment in ({}, {"POD": ""}):
            with pytest.raises(VolumeError, match="missing value for POD"):
                self.mounts(mount, Mounted(str(tmp_path)), environment)
        with pytest.raises(VolumeError, match="stays in its volume"):
            self.mounts(mount, Mounted(str(tmp_path)), {"POD": ".."})

    def test_a_link_does_not_lead_out(self, tmp_path: Path) -> None:
        (tmp_path / "vol").mkdir()
        (tmp_path / "vol/evil").symlink_to("/etc")
        with pytest.raises(VolumeError, match="leads out of its volume"):
            self.mounts({"mountPath": "/d", "subPath": "evil/passwd"}, Mounted(str(tmp_path / "vol")))

    def test_a_link_inside_is_followed(self, tmp_path: Path) -> None:
        _atomic.write(str(tmp_path), {"key": File(b"1")})
        source = self.mounts({"mountPath": "/f", "subPath": "key"}, Mounted(str(tmp_path), read_only=True))[0].source
        assert Path(source).read_bytes() == b"1"

    def test_missing_volume(self) -> None:
        pod = make_pod(
            {"containers": [{"name": "app", "image": "i", "volumeMounts": [{"name": "x", "mountPath": "/"}]}]}
        )
        with pytest.raises(VolumeError, match='cannot find volume "x" to mount into container "app"'):
            container_mounts(pod.spec.containers[0], {}, {}, NO_MOUNTS)


def huge(*resources: str) -> dict[str, Any]:
    """The spec of a pod that requests pages of these sizes."""
    amounts = dict.fromkeys(resources, "1Gi")
    return {"containers": [{"name": "app", "resources": {"requests": amounts, "limits": amounts}}]}
