"""Volumes on storage systems of one vendor or protocol each; drivers behind `csi` have taken the place of most."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.model import Int32, Model, Required
from kubeapi.core._references import LocalObjectReference


class _ReadOnlyOption(Model):
    """A volume that may be read-only."""

    readOnly: bool | None = None
    """Whether the volume is read-only. Default: false."""


class _FileSystem(Model):
    """A volume with a file system."""

    fsType: str | None = None
    """The file system of the volume. Default: ext4."""


class _Disk(_FileSystem, _ReadOnlyOption):
    """A volume with both options."""


class GCEPersistentDiskVolumeSource(_Disk, protobuf="pdName fsType partition readOnly"):
    """A disk of Google Compute Engine, in the node's project and zone."""

    pdName: str = ""
    """The name of the Compute Engine disk."""
    partition: Int32 | None = None
    """The partition to mount. Default: 0, the whole disk."""


class AWSElasticBlockStoreVolumeSource(_Disk, protobuf="volumeID fsType partition readOnly"):
    """A disk of Amazon's Elastic Block Store, in the node's zone."""

    volumeID: str = ""
    """The id of the Elastic Block Store disk."""
    partition: Int32 | None = None
    """The partition to mount. Default: 0, the whole disk."""


class GitRepoVolumeSource(Model, protobuf="repository revision directory"):
    """A Git repository that is cloned when the pod starts."""

    repository: str = ""
    """The URL of the repository."""
    revision: str | None = None
    """The commit to check out. Default: the newest of the default branch."""
    directory: str | None = None
    """The directory on the volume that the clone goes to, without ".."."""


class NFSVolumeSource(_ReadOnlyOption, protobuf="server path readOnly"):
    """A directory of an NFS server."""

    server: str = ""
    """The host name or address of the NFS server."""
    path: str = ""
    """The exported directory, as an absolute path."""


class ISCSIDisk(_Disk):
    """A disk of an iSCSI target, but for the Secret with the credentials."""

    targetPortal: str = ""
    """The target's portal: an address, with a port if it is not 3260."""
    iqn: str = ""
    """The target's qualified name."""
    lun: Int32 = 0
    """The number of the logical unit."""
    iscsiInterface: str = "default"
    """The interface of the initiator. Default: default, which is TCP."""
    portals: list[str] | None = None
    """Further portals of the target, for more than one path to it."""
    chapAuthDiscovery: bool | None = None
    """Whether discovery authenticates by CHAP."""
    chapAuthSession: bool | None = None
    """Whether sessions authenticate by CHAP."""
    initiatorName: str | None = None
    """The initiator's own qualified name. Default: the node's."""


class ISCSIVolumeSource(
    ISCSIDisk,
    protobuf="targetPortal iqn lun iscsiInterface fsType readOnly portals chapAuthDiscovery - secretRef "
    "chapAuthSession initiatorName*",
):
    """A disk of an iSCSI target."""

    secretRef: LocalObjectReference | None = None
    """The Secret with the CHAP credentials."""


class GlusterfsVolumeSource(_ReadOnlyOption, protobuf="endpoints path readOnly"):
    """A volume of a GlusterFS cluster."""

    endpoints: str = ""
    """The Endpoints object with the cluster's addresses."""
    path: str = ""
    """The name of the Gluster volume."""


class RBDImage(_Disk):
    """A block image of a Ceph cluster, but for the Secret with the key."""

    monitors: Annotated[list[str], Required()] = Field(default_factory=list)
    """The addresses of the Ceph monitors for the image."""
    image: str = ""
    """The name of the RADOS image."""
    pool: str = "rbd"
    """The pool that the image is in. Default: rbd."""
    user: str = "admin"
    """The Ceph user for the image. Default: admin."""
    keyring: str = "/etc/ceph/keyring"
    """The file on the node with the user's key. Default: /etc/ceph/keyring."""


class RBDVolumeSource(RBDImage, protobuf="monitors image fsType pool user keyring secretRef readOnly"):
    """A block image of a Ceph cluster."""

    secretRef: LocalObjectReference | None = None
    """A Secret with the key, in place of `keyring`."""


class FlexDisk(_ReadOnlyOption):
    """A volume from a driver program that is installed on the node, but for the Secret."""

    driver: str = ""
    """The name of the driver program."""
    fsType: str | None = None
    """The file system for the program to use. Default: the choice of the program."""
    options: dict[str, str] | None = None
    """Further settings for the program."""


class FlexVolumeSource(FlexDisk, protobuf="driver fsType secretRef readOnly options"):
    """A volume from a driver program that is installed on the node."""

    secretRef: LocalObjectReference | None = None
    """A Secret that is passed to the program."""


class CinderDisk(_Disk):
    """A volume of OpenStack's block storage, but for the Secret."""

    volumeID: str = ""
    """The id of the Cinder volume."""


class CinderVolumeSource(CinderDisk, protobuf="volumeID fsType readOnly secretRef"):
    """A volume of OpenStack's block storage."""

    secretRef: LocalObjectReference | None = None
    """The Secret with the settings for reaching OpenStack."""


class CephFSDirectory(_ReadOnlyOption):
    """A directory of a CephFS file system, but for the Secret with the key."""

    monitors: Annotated[list[str], Required()] = Field(default_factory=list)
    """The addresses of the Ceph monitors for the file system."""
    path: str | None = None
    """The directory that is mounted. Default: /."""
    user: str | None = None
    """The Ceph user for the file system. Default: admin."""
    secretFile: str | None = None
    """The file on the node with the key of that user. Default: /etc/ceph/user.secret."""


class CephFSVolumeSource(CephFSDirectory, protobuf="monitors path user secretFile secretRef readOnly"):
    """A directory of a CephFS file system."""

    secretRef: LocalObjectReference | None = None
    """A Secret with the key, in place of `secretFile`."""


class FlockerVolumeSource(Model, protobuf="datasetName datasetUUID"):
    """A dataset of Flocker."""

    datasetName: str | None = None
    """The name of the dataset."""
    datasetUUID: str | None = None
    """The id of the dataset, in place of its name."""


class FCVolumeSource(_Disk, protobuf="targetWWNs lun* fsType readOnly wwids"):
    """A disk on Fibre Channel."""

    targetWWNs: list[str] | None = None
    """The world wide names of the targets."""
    lun: Int32 | None = None
    """The number of the logical unit at the targets."""
    wwids: list[str] | None = None
    """World wide ids of the disk, in place of targetWWNs and lun."""


class AzureFileVolumeSource(_ReadOnlyOption, protobuf="secretName shareName readOnly"):
    """A file share of Azure."""

    secretName: str = ""
    """The Secret with the name and key of the storage account."""
    shareName: str = ""
    """The name of the share."""


class VsphereVirtualDiskVolumeSource(_FileSystem, protobuf="volumePath fsType storagePolicyName storagePolicyID"):
    """A virtual disk of vSphere."""

    volumePath: str = ""
    """The path of the virtual disk."""
    storagePolicyName: str | None = None
    """The name of the storage policy."""
    storagePolicyID: str | None = None
    """The id of the storage policy."""


class QuobyteVolumeSource(_ReadOnlyOption, protobuf="registry volume readOnly user group tenant"):
    """A volume of a Quobyte cluster."""

    registry: str = ""
    """The registries of the cluster, as HOST:PORT with commas between."""
    volume: str = ""
    """The name of the Quobyte volume."""
    user: str | None = None
    """The user that files belong to. Default: the service's."""
    group: str | None = None
    """The group that files belong to. Default: none."""
    tenant: str | None = None
    """The tenant that owns the volume."""


class AzureDiskVolumeSource(Model, protobuf="diskName diskURI cachingMode* fsType* readOnly* kind*"):
    """A disk of Azure."""

    diskName: str = ""
    """The name of the disk."""
    diskURI: str = ""
    """The URI of the disk."""
    cachingMode: str | None = "ReadWrite"
    """How the host caches: None, ReadOnly or ReadWrite (the default)."""
    fsType: str | None = "ext4"
    """The file system of the Azure disk. Default: ext4."""
    readOnly: bool | None = False
    """Whether the Azure disk is read-only. Default: false."""
    kind: str | None = "Shared"
    """Shared (the default) for several disks in a storage account, Dedicated for one, Managed for a managed disk."""


class PhotonPersistentDiskVolumeSource(_FileSystem, protobuf="pdID fsType"):
    """A disk of the Photon Controller."""

    pdID: str = ""
    """The id of the Photon disk."""


class PortworxVolumeSource(_Disk, protobuf="volumeID fsType readOnly"):
    """A volume of Portworx."""

    volumeID: str = ""
    """The id of the Portworx volume."""


class ScaleIODisk(_ReadOnlyOption):
    """A volume of ScaleIO, but for the Secret with the credentials."""

    gateway: str = ""
    """The address of the gateway."""
    system: str = ""
    """The name of the storage system."""
    sslEnabled: bool | None = None
    """Whether the gateway is reached over TLS. Default: false."""
    protectionDomain: str | None = None
    """The protection domain of the storage."""
    storagePool: str | None = None
    """The storage pool of that domain."""
    storageMode: str = "ThinProvisioned"
    """ThickProvisioned or ThinProvisioned (the default)."""
    volumeName: str | None = None
    """The name of a ScaleIO volume that exists."""
    fsType: str = "xfs"
    """The file system of the ScaleIO volume. Default: xfs."""


class ScaleIOVolumeSource(
    ScaleIODisk,
    protobuf="gateway system secretRef sslEnabled protectionDomain storagePool storageMode volumeName fsType readOnly",
):
    """A volume of ScaleIO."""

    secretRef: Annotated[LocalObjectReference, Required()] | None = None
    """The Secret with the credentials for the gateway."""


class StorageOSDisk(_Disk):
    """A volume of StorageOS, but for the Secret with the credentials."""

    volumeName: str | None = None
    """The name of the StorageOS volume."""
    volumeNamespace: str | None = None
    """The namespace within StorageOS. Default: the pod's."""


class StorageOSVolumeSource(StorageOSDisk, protobuf="volumeName volumeNamespace fsType readOnly secretRef"):
    """A volume of StorageOS."""

    secretRef: LocalObjectReference | None = None
    """The Secret with the credentials for StorageOS."""
