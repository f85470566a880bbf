"""Volumes on storage systems of one vendor or protocol each; drivers behind `csi` have taken the place of most."""

from __future__ import annotations

from pydantic import Field

from apimachinery.model import Model
from kubeapi._common import Int32, LocalObjectReference


class GCEPersistentDiskVolumeSource(Model):
    pdName: str = ""
    fsType: str | None = None
    partition: Int32 | None = None
    readOnly: bool | None = None


class AWSElasticBlockStoreVolumeSource(Model):
    volumeID: str = ""
    fsType: str | None = None
    partition: Int32 | None = None
    readOnly: bool | None = None


class GitRepoVolumeSource(Model):
    repository: str = ""
    revision: str | None = None
    directory: str | None = None


class NFSVolumeSource(Model):
    server: str = ""
    path: str = ""
    readOnly: bool | None = None


class ISCSIVolumeSource(Model):
    targetPortal: str = ""
    iqn: str = ""
    lun: Int32 = 0
    iscsiInterface: str = "default"
    fsType: str | None = None
    readOnly: bool | None = None
    portals: list[str] | None = None
    chapAuthDiscovery: bool | None = None
    chapAuthSession: bool | None = None
    secretRef: LocalObjectReference | None = None
    initiatorName: str | None = None


class GlusterfsVolumeSource(Model):
    endpoints: str = ""
    path: str = ""
    readOnly: bool | None = None


class RBDVolumeSource(Model):
    monitors: list[str] = Field(default_factory=list)
    image: str = ""
    fsType: str | None = None
    pool: str = "rbd"
    user: str = "admin"
    keyring: str = "/etc/ceph/keyring"
    secretRef: LocalObjectReference | None = None
    readOnly: bool | None = None


class FlexVolumeSource(Model):
    driver: str = ""
    fsType: str | None = None
    secretRef: LocalObjectReference | None = None
    readOnly: bool | None = None
    options: dict[str, str] | None = None


class CinderVolumeSource(Model):
    volumeID: str = ""
    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None


class CephFSVolumeSource(Model):
    monitors: list[str] = Field(default_factory=list)
    path: str | None = None
    user: str | None = None
    secretFile: str | None = None
    secretRef: LocalObjectReference | None = None
    readOnly: bool | None = None


class FlockerVolumeSource(Model):
    datasetName: str | None = None
    datasetUUID: str | None = None


class FCVolumeSource(Model):
    targetWWNs: list[str] | None = None
    lun: Int32 | None = None
    fsType: str | None = None
    readOnly: bool | None = None
    wwids: list[str] | None = None


class AzureFileVolumeSource(Model):
    secretName: str = ""
    shareName: str = ""
    readOnly: bool | None = None


class VsphereVirtualDiskVolumeSource(Model):
    volumePath: str = ""
    fsType: str | None = None
    storagePolicyName: str | None = None
    storagePolicyID: str | None = None


class QuobyteVolumeSource(Model):
    registry: str = ""
    volume: str = ""
    readOnly: bool | None = None
    user: str | None = None
    group: str | None = None
    tenant: str | None = None


class AzureDiskVolumeSource(Model):
    diskName: str = ""
    diskURI: str = ""
    cachingMode: str | None = "ReadWrite"
    fsType: str | None = "ext4"
    readOnly: bool | None = False
    kind: str | None = "Shared"


class PhotonPersistentDiskVolumeSource(Model):
    pdID: str = ""
    fsType: str | None = None


class PortworxVolumeSource(Model):
    volumeID: str = ""
    fsType: str | None = None
    readOnly: bool | None = None


class ScaleIOVolumeSource(Model):
    gateway: str = ""
    system: str = ""
    secretRef: LocalObjectReference | None = None
    sslEnabled: bool | None = None
    protectionDomain: str | None = None
    storagePool: str | None = None
    storageMode: str = "ThinProvisioned"
    volumeName: str | None = None
    fsType: str = "xfs"
    readOnly: bool | None = None


class StorageOSVolumeSource(Model):
    volumeName: str | None = None
    volumeNamespace: str | None = None
    fsType: str | None = None
    readOnly: bool | None = None
    secretRef: LocalObjectReference | None = None
