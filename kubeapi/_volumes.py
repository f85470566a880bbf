"""A pod's volumes: one model per source."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import LabelSelector, ObjectMeta
from apimachinery.model import Model
from apimachinery.quantity import Quantity
from kubeapi._common import Int32, Int64, LocalObjectReference, TypedLocalObjectReference, TypedObjectReference
from kubeapi._env import ObjectFieldSelector, ResourceFieldSelector
from kubeapi._storagevolumes import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CephFSVolumeSource,
    CinderVolumeSource,
    FCVolumeSource,
    FlexVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GitRepoVolumeSource,
    GlusterfsVolumeSource,
    ISCSIVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
    VsphereVirtualDiskVolumeSource,
)

DEFAULT_FILE_MODE = 0o644


class KeyToPath(Model):
    key: str = ""
    path: str = ""
    mode: Int32 | None = None


class HostPathVolumeSource(Model):
    path: str = ""
    type: str = ""


class EmptyDirVolumeSource(Model):
    medium: str | None = None
    sizeLimit: Quantity | None = None


class SecretVolumeSource(Model):
    secretName: str | None = None
    items: list[KeyToPath] | None = None
    defaultMode: Int32 | None = DEFAULT_FILE_MODE
    optional: bool | None = None


class PersistentVolumeClaimVolumeSource(Model):
    claimName: str = ""
    readOnly: bool | None = None


class DownwardAPIVolumeFile(Model):
    path: str = ""
    fieldRef: ObjectFieldSelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    mode: Int32 | None = None


class DownwardAPIVolumeSource(Model):
    items: list[DownwardAPIVolumeFile] | None = None
    defaultMode: Int32 | None = DEFAULT_FILE_MODE


class ConfigMapVolumeSource(Model):
    name: str = ""
    items: list[KeyToPath] | None = None
    defaultMode: Int32 | None = DEFAULT_FILE_MODE
    optional: bool | None = None


class SecretProjection(Model):
    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool | None = None


class DownwardAPIProjection(Model):
    items: list[DownwardAPIVolumeFile] | None = None


class ConfigMapProjection(Model):
    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool | None = None


class ServiceAccountTokenProjection(Model):
    audience: str | None = None
    expirationSeconds: Int64 | None = 3600
    path: str = ""


class ClusterTrustBundleProjection(Model):
    name: str | None = None
    signerName: str | None = None
    labelSelector: LabelSelector | None = None
    optional: bool | None = None
    path: str = ""


class PodCertificateProjection(Model):
    signerName: str | None = None
    keyType: str | None = None
    maxExpirationSeconds: Int32 | None = 86400
    credentialBundlePath: str | None = None
    keyPath: str | None = None
    certificateChainPath: str | None = None
    userAnnotations: dict[str, str] | None = None


class VolumeProjection(Model):
    secret: SecretProjection | None = None
    downwardAPI: DownwardAPIProjection | None = None
    configMap: ConfigMapProjection | None = None
    serviceAccountToken: ServiceAccountTokenProjection | None = None
    clusterTrustBundle: ClusterTrustBundleProjection | None = None
    podCertificate: PodCertificateProjection | None = None


class ProjectedVolumeSource(Model):
    sources: list[VolumeProjection] | None = None
    defaultMode: Int32 | None = DEFAULT_FILE_MODE


class CSIVolumeSource(Model):
    driver: str = ""
    readOnly: bool | None = None
    fsType: str | None = None
    volumeAttributes: dict[str, str] | None = None
    nodePublishSecretRef: LocalObjectReference | None = None


class VolumeResourceRequirements(Model):
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class PersistentVolumeClaimSpec(Model):
    accessModes: list[str] | None = None
    selector: LabelSelector | None = None
    resources: VolumeResourceRequirements = Field(default_factory=VolumeResourceRequirements)
    volumeName: str | None = None
    storageClassName: str | None = None
    volumeMode: str | None = "Filesystem"
    dataSource: TypedLocalObjectReference | None = None
    dataSourceRef: TypedObjectReference | None = None
    volumeAttributesClassName: str | None = None


class PersistentVolumeClaimTemplate(Model):
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: PersistentVolumeClaimSpec = Field(default_factory=PersistentVolumeClaimSpec)


class EphemeralVolumeSource(Model):
    volumeClaimTemplate: PersistentVolumeClaimTemplate | None = None


class ImageVolumeSource(Model):
    reference: str | None = None
    pullPolicy: str | None = None


class Volume(Model):
    """A name and exactly one source."""

    name: str = ""
    hostPath: HostPathVolumeSource | None = None
    emptyDir: EmptyDirVolumeSource | None = None
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    gitRepo: GitRepoVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    persistentVolumeClaim: PersistentVolumeClaimVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    flexVolume: FlexVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    downwardAPI: DownwardAPIVolumeSource | None = None
    fc: FCVolumeSource | None = None
    azureFile: AzureFileVolumeSource | None = None
    configMap: ConfigMapVolumeSource | None = None
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azureDisk: AzureDiskVolumeSource | None = None
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    portworxVolume: PortworxVolumeSource | None = None
    scaleIO: ScaleIOVolumeSource | None = None
    storageos: StorageOSVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None


class VolumeMount(Model):
    name: str = ""
    readOnly: bool | None = None
    recursiveReadOnly: str | None = None
    mountPath: str = ""
    subPath: str | None = None
    mountPropagation: str | None = None
    subPathExpr: str | None = None


class VolumeDevice(Model):
    name: str = ""
    devicePath: str = ""
