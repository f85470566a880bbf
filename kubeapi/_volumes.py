"""A pod's volumes: one model per source."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import LabelSelector, ObjectMeta
from apimachinery.model import Model
from apimachinery.quantity import Quantity
from kubeapi._common import Int32, Int64, LocalObjectReference, TypedLocalObjectReference, TypedObjectReference
from kubeapi._env import ObjectFieldSelector, ResourceFieldSelector

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


class SecretVolumeSource(Model):
    secretName: str | None = None
    items: list[KeyToPath] | None = None
    defaultMode: Int32 | None = DEFAULT_FILE_MODE
    optional: bool | None = None


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


class PersistentVolumeClaimVolumeSource(Model):
    claimName: str = ""
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


class DownwardAPIVolumeFile(Model):
    path: str = ""
    fieldRef: ObjectFieldSelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    mode: Int32 | None = None


class DownwardAPIVolumeSource(Model):
    items: list[DownwardAPIVolumeFile] | None = None
    defaultMode: Int32 | None = DEFAULT_FILE_MODE


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


class ConfigMapVolumeSource(Model):
    name: str = ""
    items: list[KeyToPath] | None = None
    defaultMode: Int32 | None = DEFAULT_FILE_MODE
    optional: bool | None = None


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
