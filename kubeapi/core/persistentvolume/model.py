"""PersistentVolume: a piece of storage in the cluster."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Granular, Model, OneOf, Time
from apimachinery.quantity import ResourceList
from kubeapi.core._references import ObjectReference
from kubeapi.core.persistentvolume.sources import (
    AzureFilePersistentVolumeSource,
    CephFSPersistentVolumeSource,
    CinderPersistentVolumeSource,
    CSIPersistentVolumeSource,
    FlexPersistentVolumeSource,
    GlusterfsPersistentVolumeSource,
    ISCSIPersistentVolumeSource,
    LocalVolumeSource,
    RBDPersistentVolumeSource,
    ScaleIOPersistentVolumeSource,
    StorageOSPersistentVolumeSource,
)
from kubeapi.core.pod.scheduling.affinity import NodeSelector
from kubeapi.core.pod.storagevolumes import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    FCVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from kubeapi.core.pod.volumes import HostPathVolumeSource

PENDING, AVAILABLE, BOUND, RELEASED, FAILED = "Pending", "Available", "Bound", "Released", "Failed"
RETAIN, DELETE, RECYCLE = "Retain", "Delete", "Recycle"
PROTECTION_FINALIZER = "kubernetes.io/pv-protection"


class VolumeNodeAffinity(Model, protobuf="required"):
    """The nodes that can reach a volume."""

    required: NodeSelector | None = None
    """Selects those nodes; pods that use the volume run on them alone."""


class PersistentVolumeSource(Model):
    """A volume has exactly one source."""

    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    """A disk of Google Compute Engine."""
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    """A disk of Amazon's Elastic Block Store."""
    hostPath: HostPathVolumeSource | None = None
    """A directory of the node that the pod happens to run on; for tests on one node."""
    glusterfs: GlusterfsPersistentVolumeSource | None = None
    """A volume of a GlusterFS cluster."""
    nfs: NFSVolumeSource | None = None
    """A directory that an NFS server exports."""
    rbd: RBDPersistentVolumeSource | None = None
    """An image of a Ceph cluster."""
    iscsi: ISCSIPersistentVolumeSource | None = None
    """A disk of an iSCSI target."""
    cinder: CinderPersistentVolumeSource | None = None
    """A volume of OpenStack's Cinder."""
    cephfs: CephFSPersistentVolumeSource | None = None
    """A directory of a CephFS file system."""
    fc: FCVolumeSource | None = None
    """A disk on Fibre Channel."""
    flocker: FlockerVolumeSource | None = None
    """A dataset of Flocker."""
    flexVolume: FlexPersistentVolumeSource | None = None
    """A volume from a driver program on the node."""
    azureFile: AzureFilePersistentVolumeSource | None = None
    """A file share of Azure."""
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None
    """A disk of vSphere."""
    quobyte: QuobyteVolumeSource | None = None
    """A volume of Quobyte."""
    azureDisk: AzureDiskVolumeSource | None = None
    """A disk of Azure."""
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    """A disk of the Photon Controller."""
    portworxVolume: PortworxVolumeSource | None = None
    """A volume of Portworx."""
    scaleIO: ScaleIOPersistentVolumeSource | None = None
    """A volume of ScaleIO."""
    local: LocalVolumeSource | None = None
    """A directory or disk of one certain node."""
    storageos: StorageOSPersistentVolumeSource | None = None
    """A volume of StorageOS."""
    csi: CSIPersistentVolumeSource | None = None
    """A volume of a storage driver."""


class PersistentVolumeSpec(
    PersistentVolumeSource,
    protobuf="capacity (gcePersistentDisk awsElasticBlockStore hostPath glusterfs nfs rbd iscsi cinder cephfs fc "
    "flocker flexVolume azureFile vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO local "
    "storageos csi) accessModes claimRef persistentVolumeReclaimPolicy storageClassName mountOptions volumeMode* "
    "nodeAffinity volumeAttributesClassName*",
):
    """A piece of storage: where it lies, how large it is and how it may be used."""

    capacity: ResourceList | None = None
    """The size of the volume, as `storage`."""
    accessModes: list[str] | None = None
    """The ways in which the volume can be mounted: ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod."""
    claimRef: Annotated[ObjectReference, Granular()] | None = None
    """The claim that the volume is bound to. With a uid the binding is complete; without, the volume is reserved."""
    persistentVolumeReclaimPolicy: Annotated[str, OneOf("Delete", "Recycle", "Retain")] = RETAIN
    """What happens to the volume when its claim is gone: Retain (the default) keeps it for people to look after, Delete
    deletes it with its storage, Recycle is deprecated."""
    storageClassName: str | None = None
    """The name of the StorageClass that the volume belongs to. Absent: no class."""
    mountOptions: list[str] | None = None
    """Options for mounting, such as ro. They are not checked; a wrong one makes the mount fail."""
    volumeMode: Annotated[str, OneOf("Filesystem", "Block")] | None = "Filesystem"
    """Filesystem (the default), or Block for a device without one."""
    nodeAffinity: VolumeNodeAffinity | None = None
    """The nodes that the volume can be reached from. Default: all."""
    volumeAttributesClassName: str | None = None
    """The VolumeAttributesClass that the volume has."""


class PersistentVolumeStatus(Model, protobuf="phase message reason lastPhaseTransitionTime*"):
    """The observed state of a volume."""

    phase: str = PENDING
    """Pending, Available for claims, Bound to one, Released when that is gone, or Failed to be reclaimed."""
    message: str | None = None
    """Why the volume is in this phase, in a sentence."""
    reason: str | None = None
    """Why the volume is in this phase, in one CamelCase word."""
    lastPhaseTransitionTime: Time | None = None
    """The time at which the phase last changed; set by the server."""


class PersistentVolume(Object, protobuf="metadata spec status"):
    """A piece of storage in the cluster, which lives on when the pods that use it are gone."""

    spec: PersistentVolumeSpec = Field(default_factory=PersistentVolumeSpec)
    """The storage, and the claim that it is bound to."""
    status: PersistentVolumeStatus = Field(default_factory=PersistentVolumeStatus)
    """Whether the volume is in use, written by the controller."""
