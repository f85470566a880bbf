"""The sources that a PersistentVolume has in another form than a pod's volumes: their Secrets lie in any namespace."""

from __future__ import annotations

from typing import Annotated

from apimachinery.model import Model, Required
from kubeapi.core._references import ObjectReference, SecretReference
from kubeapi.core.pod.storagevolumes import (
    AzureFileVolumeSource,
    CephFSDirectory,
    CinderDisk,
    FlexDisk,
    GlusterfsVolumeSource,
    ISCSIDisk,
    RBDImage,
    ScaleIODisk,
    StorageOSDisk,
)


class LocalVolumeSource(Model, protobuf="path fsType*"):
    """A disk, partition or directory that is mounted on a node already."""

    path: str = ""
    """The path on the node: a directory or, for a disk without a file system, its device."""
    fsType: str | None = None
    """The file system to make on a device. Default: found out, or ext4."""


class CSIPersistentVolumeSource(
    Model,
    protobuf="driver volumeHandle readOnly fsType volumeAttributes controllerPublishSecretRef nodeStageSecretRef "
    "nodePublishSecretRef controllerExpandSecretRef nodeExpandSecretRef",
):
    """A volume of a storage driver that speaks CSI."""

    driver: str = ""
    """The name of the driver."""
    volumeHandle: str = ""
    """The id that the driver knows the volume by."""
    readOnly: bool | None = None
    """Whether the volume is published read-only. Default: false."""
    fsType: str | None = None
    """The file system for the driver to mount. Default: the choice of the driver."""
    volumeAttributes: dict[str, str] | None = None
    """What the driver said of the volume when it was made."""
    controllerPublishSecretRef: SecretReference | None = None
    """The Secret for attaching the volume to a node."""
    nodeStageSecretRef: SecretReference | None = None
    """The Secret for staging the volume on a node."""
    nodePublishSecretRef: SecretReference | None = None
    """The Secret for publishing the volume to a pod."""
    controllerExpandSecretRef: SecretReference | None = None
    """The Secret for growing the volume."""
    nodeExpandSecretRef: SecretReference | None = None
    """The Secret for growing the file system on a node."""


class GlusterfsPersistentVolumeSource(GlusterfsVolumeSource, protobuf="endpoints path readOnly endpointsNamespace*"):
    """A volume of a GlusterFS cluster."""

    endpointsNamespace: str | None = None
    """The namespace of the Endpoints object. Default: the claim's."""


class AzureFilePersistentVolumeSource(AzureFileVolumeSource, protobuf="secretName shareName readOnly secretNamespace*"):
    """A file share of Azure."""

    secretNamespace: str | None = None
    """The namespace of the Secret. Default: the pod's."""


class ISCSIPersistentVolumeSource(
    ISCSIDisk,
    protobuf="targetPortal iqn lun iscsiInterface fsType readOnly portals chapAuthDiscovery - secretRef "
    "chapAuthSession initiatorName*",
):
    """A disk of an iSCSI target."""

    secretRef: SecretReference | None = None
    """The Secret with the CHAP credentials."""


class RBDPersistentVolumeSource(RBDImage, protobuf="monitors image fsType pool user keyring secretRef readOnly"):
    """A block image of a Ceph cluster."""

    secretRef: SecretReference | None = None
    """A Secret with the key, in place of `keyring`."""


class FlexPersistentVolumeSource(FlexDisk, protobuf="driver fsType secretRef readOnly options"):
    """A volume from a driver program that is installed on the node."""

    secretRef: SecretReference | None = None
    """A Secret that is passed to the program."""


class CinderPersistentVolumeSource(CinderDisk, protobuf="volumeID fsType readOnly secretRef"):
    """A volume of OpenStack's block storage."""

    secretRef: SecretReference | None = None
    """The Secret with the settings for reaching OpenStack."""


class CephFSPersistentVolumeSource(CephFSDirectory, protobuf="monitors path user secretFile secretRef readOnly"):
    """A directory of a CephFS file system."""

    secretRef: SecretReference | None = None
    """A Secret with the key, in place of `secretFile`."""


class ScaleIOPersistentVolumeSource(
    ScaleIODisk,
    protobuf="gateway system secretRef sslEnabled protectionDomain storagePool storageMode volumeName fsType readOnly",
):
    """A volume of ScaleIO."""

    secretRef: Annotated[SecretReference, Required()] | None = None
    """The Secret with the credentials for the gateway."""


class StorageOSPersistentVolumeSource(StorageOSDisk, protobuf="volumeName volumeNamespace fsType readOnly secretRef"):
    """A volume of StorageOS."""

    secretRef: ObjectReference | None = None
    """The Secret with the credentials for StorageOS."""
