"""The messages of the container storage interface that a node needs, v1: identity aside, the Node service.

Source: csi.proto, v1.
"""

from __future__ import annotations

from dataclasses import field

from kubelet.plugins.message import Empty, Message

SERVICE = "/csi.v1.Node"

STAGE_UNSTAGE_VOLUME = 1
GET_VOLUME_STATS = 2
EXPAND_VOLUME = 3
SINGLE_NODE_MULTI_WRITER = 5
VOLUME_MOUNT_GROUP = 6

UNIT_BYTES, UNIT_INODES = 1, 2


class Topology(Message):
    """The place of a node or volume: zone, rack and the like."""

    segments: dict[str, str] = field(default_factory=dict)


class NodeGetInfoResponse(Message):
    """The driver's own facts about the node. 0 volumes means no limit."""

    node_id: str = ""
    max_volumes_per_node: int = 0
    accessible_topology: Topology | None = None


class CapabilityRpc(Message):
    """One of the constants above."""

    type: int = 0


class NodeServiceCapability(Message):
    """A call, or a rule, that the driver serves."""

    rpc: CapabilityRpc | None = None


class NodeGetCapabilitiesResponse(Message):
    """All that the driver serves on a node."""

    capabilities: tuple[NodeServiceCapability, ...] = ()


class MountVolume(Message):
    """Asks for a file system. `volume_mount_group` is the group that shall own its files."""

    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()
    volume_mount_group: str = ""


class AccessMode(Message):
    """How many nodes and pods use the volume, and how."""

    mode: int = 0


class VolumeCapability(Message):
    """Asks for the volume as a block device, or as a file system."""

    block: Empty | None = None
    mount: MountVolume | None = None
    access_mode: AccessMode | None = None


class NodeStageVolumeRequest(Message):
    """Makes the volume ready on the node, once for all pods."""

    volume_id: str = ""
    publish_context: dict[str, str] = field(default_factory=dict)
    staging_target_path: str = ""
    volume_capability: VolumeCapability | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    volume_context: dict[str, str] = field(default_factory=dict)


class NodeUnstageVolumeRequest(Message):
    """Undoes the staging."""

    volume_id: str = ""
    staging_target_path: str = ""


class NodePublishVolumeRequest(Message):
    """Makes the volume appear at a path for one pod."""

    volume_id: str = ""
    publish_context: dict[str, str] = field(default_factory=dict)
    staging_target_path: str = ""
    target_path: str = ""
    volume_capability: VolumeCapability | None = None
    readonly: bool = False
    secrets: dict[str, str] = field(default_factory=dict)
    volume_context: dict[str, str] = field(default_factory=dict)


class NodeUnpublishVolumeRequest(Message):
    """Undoes the publishing."""

    volume_id: str = ""
    target_path: str = ""


class NodeGetVolumeStatsRequest(Message):
    """Asks how full the volume is."""

    volume_id: str = ""
    volume_path: str = ""
    staging_target_path: str = ""


class VolumeUsage(Message):
    """One figure, in bytes or inodes."""

    available: int = 0
    total: int = 0
    used: int = 0
    unit: int = 0


class VolumeCondition(Message):
    """Whether something is wrong with the volume."""

    abnormal: bool = False
    message: str = ""


class NodeGetVolumeStatsResponse(Message):
    """How full the volume is, and how well."""

    usage: tuple[VolumeUsage, ...] = ()
    volume_condition: VolumeCondition | None = None


class CapacityRange(Message):
    """The least and the greatest size, in bytes; 0 stands for unlimited."""

    required_bytes: int = 0
    limit_bytes: int = 0


class NodeExpandVolumeRequest(Message):
    """Grows the file system to the size that the volume has."""

    volume_id: str = ""
    volume_path: str = ""
    capacity_range: CapacityRange | None = None
    staging_target_path: str = ""
    volume_capability: VolumeCapability | None = None
    secrets: dict[str, str] = field(default_factory=dict)


class NodeExpandVolumeResponse(Message):
    """The size that the volume has now; 0 where the driver does not say."""

    capacity_bytes: int = 0
