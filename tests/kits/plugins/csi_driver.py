"""A small storage driver: a volume is a folder of the host, staged and published by bind mounts, or a file that a loop
device makes a disk of.

It serves the Identity, Controller and Node services of CSI, and refuses what the interface forbids: a path that is not
there, a volume that was never made, a publication without staging.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from tests.kits.plugins.proto import PluginServer, messages
from tests.kits.plugins.registrar import Registrar

pb = messages(
    "csi.v1",
    {
        "Empty": "",
        "GetPluginInfoResponse": "string name = 1; string vendor_version = 2",
        "ProbeResponse": "",
        "Topology": "map segments = 1",
        "TopologyRequirement": "Topology* requisite = 1; Topology* preferred = 2",
        "CapacityRange": "int64 required_bytes = 1; int64 limit_bytes = 2",
        "BlockVolume": "",
        "MountVolume": "string fs_type = 1; string* mount_flags = 2; string volume_mount_group = 3",
        "AccessMode": "int32 mode = 1",
        "VolumeCapability": "BlockVolume block = 1; MountVolume mount = 2; AccessMode access_mode = 3",
        "CreateVolumeRequest": "string name = 1; CapacityRange capacity_range = 2; "
        "VolumeCapability* volume_capabilities = 3; map parameters = 4; map secrets = 5; "
        "TopologyRequirement accessibility_requirements = 7",
        "Volume": "int64 capacity_bytes = 1; string volume_id = 2; map volume_context = 3; "
        "Topology* accessible_topology = 5",
        "CreateVolumeResponse": "Volume volume = 1",
        "DeleteVolumeRequest": "string volume_id = 1; map secrets = 2",
        "ControllerPublishVolumeRequest": "string volume_id = 1; string node_id = 2; "
        "VolumeCapability volume_capability = 3; bool readonly = 4; map secrets = 5; map volume_context = 6",
        "ControllerPublishVolumeResponse": "map publish_context = 1",
        "ControllerUnpublishVolumeRequest": "string volume_id = 1; string node_id = 2; map secrets = 3",
        "ControllerExpandVolumeRequest": "string volume_id = 1; CapacityRange capacity_range = 2",
        "ControllerExpandVolumeResponse": "int64 capacity_bytes = 1; bool node_expansion_required = 2",
        "NodeGetInfoResponse": "string node_id = 1; int64 max_volumes_per_node = 2; Topology accessible_topology = 3",
        "CapabilityRpc": "int32 type = 1",
        "NodeServiceCapability": "CapabilityRpc rpc = 1",
        "NodeGetCapabilitiesResponse": "NodeServiceCapability* capabilities = 1",
        "NodeStageVolumeRequest": "string volume_id = 1; map publish_context = 2; string staging_target_path = 3; "
        "VolumeCapability volume_capability = 4; map secrets = 5; map volume_context = 6",
        "NodeUnstageVolumeRequest": "string volume_id = 1; string staging_target_path = 2",
        "NodePublishVolumeRequest": "string volume_id = 1; map publish_context = 2; string staging_target_path = 3; "
        "string target_path = 4; VolumeCapability volume_capability = 5; bool readonly = 6; "
        "map secrets = 7; map volume_context = 8",
        "NodeUnpublishVolumeRequest": "string volume_id = 1; string target_path = 2",
        "NodeGetVolumeStatsRequest": "string volume_id = 1; string volume_path = 2; string staging_target_path = 3",
        "VolumeUsage": "int64 available = 1; int64 total = 2; int64 used = 3; int32 unit = 4",
        "NodeGetVolumeStatsResponse": "VolumeUsage* usage = 1",
        "NodeExpandVolumeRequest": "string volume_id = 1; string volume_path = 2; CapacityRange capacity_range = 3; "
        "string staging_target_path = 4; VolumeCapability volume_capability = 5; map secrets = 6",
        "NodeExpandVolumeResponse": "int64 capacity_bytes = 1",
    },
)

STAGE, STATS, EXPAND, MULTI_WRITER, MOUNT_GROUP = 1, 2, 3, 5, 6


class CsiDriver:
    """`folder` holds the volumes; `calls` is what it was asked, in order: (method, request).

    `fail[method]` is a list of gRPC status codes to answer first. `after[method]` runs once the work of a call is done,
    before its answer: the place to kill a kubelet. Without `mounts`, which need root, a file `volume` stands for a
    mount.
    """

    def __init__(
        self,
        name: str,
        node: str,
        folder: Path,
        *,
        capabilities: tuple[int, ...] = (STAGE, STATS, EXPAND),
        mounts: bool = True,
    ) -> None:
        self.name, self.node = name, node
        self.folder = folder
        self.calls: list[tuple[str, Any]] = []
        self.fail: dict[str, list[grpc.StatusCode]] = {}
        self.after: dict[str, Callable[[], object]] = {}
        self.topology: dict[str, str] = {}
        self.most_volumes = 0
        self._capabilities = capabilities
        self._mounts = mounts
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "csi.sock"

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        requests = {
            "NodeStageVolume": pb.NodeStageVolumeRequest,
            "NodeUnstageVolume": pb.NodeUnstageVolumeRequest,
            "NodePublishVolume": pb.NodePublishVolumeRequest,
            "NodeUnpublishVolume": pb.NodeUnpublishVolumeRequest,
            "NodeGetVolumeStats": pb.NodeGetVolumeStatsRequest,
            "NodeExpandVolume": pb.NodeExpandVolumeRequest,
            "NodeGetCapabilities": pb.Empty,
            "NodeGetInfo": pb.Empty,
            "CreateVolume": pb.CreateVolumeRequest,
            "DeleteVolume": pb.DeleteVolumeRequest,
            "ControllerPublishVolume": pb.ControllerPublishVolumeRequest,
            "ControllerUnpublishVolume": pb.ControllerUnpublishVolumeRequest,
            "ControllerExpandVolume": pb.ControllerExpandVolumeRequest,
            "GetPluginInfo": pb.Empty,
            "Probe": pb.Empty,
        }
        self._server = PluginServer(
            str(self.socket), {_path(name): (request, self._answer(name), False) for name, request in requests.items()}
        )
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        self.socket.unlink(missing_ok=True)

    def registrar(self, kubelet_root: Path) -> Registrar:
        """What node-driver-registrar does for this driver; start it."""
        return Registrar(kubelet_root / "plugins_registry", "CSIPlugin", self.name, str(self.socket), ["1.0.0"])

    def methods(self, prefix: str = "") -> list[str]:
        """The names of the calls that change something, in order."""
        quiet = ("NodeGetCapabilities", "NodeGetInfo", "Probe", "NodeGetVolumeStats", "GetPluginInfo")
        return [name for name, _ in self.calls if name.startswith(prefix) and name not in quiet]

    def last(self, method: str) -> Any:
        return next(request for name, request in reversed(self.calls) if name == method)

    def data(self, handle: str) -> Path:
        return self.folder / "volumes" / handle

    def _answer(self, name: str) -> Callable[[Any, Any], Any]:
        action = getattr(self, "_" + name)

        def answer(request: Any, context: Any) -> Any:
            self.calls.append((name, request))
            if self.fail.get(name):
                context.abort(self.fail[name].pop(0), f"{name} is to fail")
            done = action(request, context)
            if name in self.after:
                self.after.pop(name)()
            return done if done is not None else pb.Empty()

        return answer

    # Identity and controller

    def _GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802  # the protocol's names, here and below
        return pb.GetPluginInfoResponse(name=self.name, vendor_version="1")

    def _Probe(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ProbeResponse()

    def _CreateVolume(self, request: Any, context: Any) -> Any:  # noqa: N802
        handle, size = f"vol-{request.name}", request.capacity_range.required_bytes
        if any(item.HasField("block") for item in request.volume_capabilities):
            self.data(handle).parent.mkdir(parents=True, exist_ok=True)
            with self.data(handle).open("ab") as disk:
                disk.truncate(size)
        else:
            self.data(handle).mkdir(parents=True, exist_ok=True)
        self._note(handle, size)
        volume = pb.Volume(capacity_bytes=size, volume_id=handle, volume_context=dict(request.parameters))
        return pb.CreateVolumeResponse(volume=volume)

    def _DeleteVolume(self, request: Any, context: Any) -> None:  # noqa: N802
        subprocess.run(["rm", "-rf", "--one-file-system", self.data(request.volume_id)], check=True)

    def _ControllerPublishVolume(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._known(request, context)
        return pb.ControllerPublishVolumeResponse(publish_context={"device": f"disk-of-{request.node_id}"})

    def _ControllerUnpublishVolume(self, request: Any, context: Any) -> None: ...  # noqa: N802

    def _ControllerExpandVolume(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._note(request.volume_id, request.capacity_range.required_bytes)
        return pb.ControllerExpandVolumeResponse(
            capacity_bytes=request.capacity_range.required_bytes, node_expansion_required=EXPAND in self._capabilities
        )

    def _note(self, handle: str, size: int) -> None:
        (self.folder / f"{handle}.json").write_text(json.dumps({"size": size}))

    def _known(self, request: Any, context: Any) -> Path:
        data = self.data(request.volume_id)
        if not data.exists():
            context.abort(grpc.StatusCode.NOT_FOUND, f"volume {request.volume_id} not found")
        return data

    # Node

    def _NodeGetInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        topology = pb.Topology(segments=self.topology) if self.topology else None
        return pb.NodeGetInfoResponse(
            node_id=self.node, max_volumes_per_node=self.most_volumes, accessible_topology=topology
        )

    def _NodeGetCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802
        rpcs = [pb.NodeServiceCapability(rpc=pb.CapabilityRpc(type=item)) for item in self._capabilities]
        return pb.NodeGetCapabilitiesResponse(capabilities=rpcs)

    def _NodeStageVolume(self, request: Any, context: Any) -> None:  # noqa: N802
        data, staging = self._known(request, context), request.staging_target_path
        if not os.path.isdir(staging):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no staging path")
        if request.volume_capability.HasField("block"):
            self._disk(data)
        else:
            self._bind(data, staging)

    def _NodeUnstageVolume(self, request: Any, context: Any) -> None:  # noqa: N802
        self._unmount(request.staging_target_path)
        data = self.data(request.volume_id)
        if data.is_file() and self._mounts:
            subprocess.run(["losetup", "-d", self._disk(data)], check=True)

    def _NodePublishVolume(self, request: Any, context: Any) -> None:  # noqa: N802
        ephemeral = request.volume_context.get("csi.storage.k8s.io/ephemeral") == "true"
        if ephemeral:
            self.data(request.volume_id).mkdir(parents=True, exist_ok=True)
        source, block = self._known(request, context), request.volume_capability.HasField("block")
        if STAGE in self._capabilities and not ephemeral and not block:
            source = Path(request.staging_target_path)
            if not self.mounted(source):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the volume is not staged")
        if not os.path.isdir(os.path.dirname(request.target_path)):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no folder for the target path")
        if block:
            Path(request.target_path).touch()
            if self._mounts:
                self._bind(Path(self._disk(source)), request.target_path)
        else:
            os.makedirs(request.target_path, exist_ok=True)
            self._bind(source, request.target_path)

    def _NodeUnpublishVolume(self, request: Any, context: Any) -> None:  # noqa: N802
        self._unmount(request.target_path)
        if os.path.isdir(request.target_path):
            os.rmdir(request.target_path)
        else:
            Path(request.target_path).unlink(missing_ok=True)
        if request.volume_id.startswith("csi-"):  # of one pod alone
            subprocess.run(["rm", "-rf", "--one-file-system", self.data(request.volume_id)], check=True)

    def _NodeGetVolumeStats(self, request: Any, context: Any) -> Any:  # noqa: N802
        usage = [
            pb.VolumeUsage(available=7, total=10, used=3, unit=1),
            pb.VolumeUsage(available=5, total=9, used=4, unit=2),
        ]
        return pb.NodeGetVolumeStatsResponse(usage=usage)

    def _NodeExpandVolume(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.NodeExpandVolumeResponse(capacity_bytes=request.capacity_range.required_bytes)

    # Mounts

    def _disk(self, data: Path) -> str:
        """The loop device of a file, made if there is none."""
        if not self._mounts:
            return ""
        found = subprocess.run(["losetup", "-j", data], check=True, capture_output=True, text=True).stdout
        made = ["losetup", "--find", "--show", str(data)]
        return found.partition(":")[0] or subprocess.check_output(made, text=True).strip()

    def mounted(self, path: Path | str) -> bool:
        if not self._mounts:
            return os.path.exists(f"{path}/volume")
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            return any(line.split()[4] == os.path.realpath(path) for line in file)

    def _bind(self, source: Path, target: str) -> None:
        if self.mounted(target):
            return
        if self._mounts:
            subprocess.run(["mount", "--bind", source, target], check=True)
        else:
            Path(target, "volume").write_text(str(source))

    def _unmount(self, path: str) -> None:
        if not self.mounted(path):
            return
        if self._mounts:
            subprocess.run(["umount", path], check=True)
        else:
            Path(path, "volume").unlink()


def _path(name: str) -> str:
    if name.startswith("Node"):
        return f"/csi.v1.Node/{name}"
    return f"/csi.v1.{'Identity' if name in ('GetPluginInfo', 'Probe') else 'Controller'}/{name}"
