"""A pod's volumes: one model per source."""

from __future__ import annotations

from typing import Annotated

from apimachinery.meta import LabelSelector
from apimachinery.model import OMIT_EMPTY, Int32, Int64, Model, OneOf, Required
from apimachinery.quantity import Quantity
from kubeapi.core._references import LocalObjectReference
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaimTemplate
from kubeapi.core.pod.env import ObjectFieldSelector, ResourceFieldSelector
from kubeapi.core.pod.storagevolumes import (
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


class KeyToPath(Model, protobuf="key path mode*"):
    """The path of one key on a volume."""

    key: str = ""
    """The key whose value becomes the file."""
    path: str = ""
    """The file's path on the volume, relative and without ".."."""
    mode: Int32 | None = None
    """The file's mode, 0 to 0777. Default: the volume's defaultMode. YAML takes 0644, JSON 420."""


class HostPathVolumeSource(Model, protobuf="path type"):
    """A file or directory of the node. It may expose sensitive files of the node."""

    path: str = ""
    """The path on the node; a symbolic link is followed."""
    type: Annotated[str, Required(False)] = ""
    """The required type: Directory, File, Socket, CharDevice or BlockDevice; DirectoryOrCreate and FileOrCreate create
    it. Default: no check."""


class EmptyDirVolumeSource(Model, protobuf="medium sizeLimit*"):
    """An empty directory that lives as long as the pod on its node."""

    medium: str | None = None
    """The storage medium: the node's disk (the default), Memory, or HugePages."""
    sizeLimit: Quantity | None = None
    """The maximum size; a pod that exceeds it is evicted. Default: no limit."""


class SecretVolumeSource(Model, protobuf="secretName items defaultMode* optional*"):
    """The keys of a Secret as files, kept up to date."""

    secretName: str | None = None
    """The Secret in the pod's namespace whose keys become files."""
    items: list[KeyToPath] | None = None
    """The keys to show and their paths. Default: every key, under its own name."""
    defaultMode: Int32 | None = DEFAULT_FILE_MODE
    """The mode of the files, 0 to 0777. Default: 0644."""
    optional: bool | None = None
    """Whether the Secret and the listed keys may be missing. Default: false; the pod then waits."""


class PersistentVolumeClaimVolumeSource(Model, protobuf="claimName readOnly"):
    """The storage of a PersistentVolumeClaim."""

    claimName: str = ""
    """The claim in the pod's namespace."""
    readOnly: bool | None = None
    """Whether all mounts of the claim are read-only. Default: false."""


class DownwardAPIVolumeFile(Model, protobuf="path fieldRef resourceFieldRef mode*"):
    """A file with information about the pod."""

    path: str = ""
    """The file's path within the volume, relative and without ".."."""
    fieldRef: ObjectFieldSelector | None = None
    """A field of the pod: its labels, annotations, name, namespace or uid."""
    resourceFieldRef: ResourceFieldSelector | None = None
    """A request or limit of one of the containers."""
    mode: Int32 | None = None
    """The mode of this file, 0 to 0777. Default: the volume's defaultMode."""


class DownwardAPIVolumeSource(Model, protobuf="items defaultMode*"):
    """Files with information about the pod, kept up to date."""

    items: list[DownwardAPIVolumeFile] | None = None
    """The files."""
    defaultMode: Int32 | None = DEFAULT_FILE_MODE
    """The mode of files that do not set one, 0 to 0777. Default: 0644."""


class ConfigMapVolumeSource(Model, protobuf="(name) items defaultMode* optional*"):
    """The keys of a ConfigMap as files, kept up to date."""

    name: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The ConfigMap in the pod's namespace whose keys become files."""
    items: list[KeyToPath] | None = None
    """The keys to show and their paths. Default: every key, under its own name."""
    defaultMode: Int32 | None = DEFAULT_FILE_MODE
    """The mode of the files, 0 to 0777. Default: 0644."""
    optional: bool | None = None
    """Whether the ConfigMap and the listed keys may be missing. Default: false; the pod then waits."""


class SecretProjection(Model, protobuf="(name) items - optional*"):
    """The keys of a Secret as files of a projected volume."""

    name: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The Secret whose keys are shown."""
    items: list[KeyToPath] | None = None
    """The keys to show and their paths. Default: every key, under its own name."""
    optional: bool | None = None
    """Whether the Secret and the listed keys may be missing. Default: false."""


class DownwardAPIProjection(Model, protobuf="items"):
    """Information about the pod as files of a projected volume."""

    items: list[DownwardAPIVolumeFile] | None = None
    """The files of the projection."""


class ConfigMapProjection(Model, protobuf="(name) items - optional*"):
    """The keys of a ConfigMap as files of a projected volume."""

    name: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The ConfigMap whose keys are shown."""
    items: list[KeyToPath] | None = None
    """The keys to show and their paths. Default: every key, under its own name."""
    optional: bool | None = None
    """Whether the ConfigMap and the listed keys may be missing. Default: false."""


class ServiceAccountTokenProjection(Model, protobuf="audience expirationSeconds* path"):
    """A token of the pod's service account as a file, renewed before it expires."""

    audience: str | None = None
    """The audience of the token. Default: the API server."""
    expirationSeconds: Int64 | None = 3600
    """Seconds for which a token is valid, at least 600. Default: 3600."""
    path: str = ""
    """The token's file, relative to the volume."""


class ClusterTrustBundleProjection(Model, protobuf="name* signerName* labelSelector path optional*"):
    """Certificates that a cluster trusts, in one file."""

    name: str | None = None
    """The name of a single ClusterTrustBundle, in place of signerName."""
    signerName: str | None = None
    """The signer of the bundles, which labelSelector narrows down."""
    labelSelector: LabelSelector | None = None
    """Selects bundles of the signer by their labels. Empty selects all, absent selects none."""
    optional: bool | None = None
    """Whether the bundle may be missing. Default: false."""
    path: str = ""
    """The file with the certificates, relative to the volume."""


class PodCertificateProjection(
    Model,
    protobuf="signerName keyType maxExpirationSeconds* credentialBundlePath keyPath certificateChainPath "
    "userAnnotations",
):
    """A key and a certificate for the pod, renewed before it expires."""

    signerName: Annotated[str, Required()] | None = None
    """The signer that issues the certificate."""
    keyType: Annotated[str, Required()] | None = None
    """The kind of key: ED25519, ECDSAP256, ECDSAP384, ECDSAP521, RSA3072 or RSA4096."""
    maxExpirationSeconds: Int32 | None = 86400
    """The maximum number of seconds for which the certificate is valid, at least 3600. Default: 86400."""
    credentialBundlePath: str | None = None
    """The file for the key followed by the certificate chain, in PEM."""
    keyPath: str | None = None
    """The file for the key alone."""
    certificateChainPath: str | None = None
    """The file for the certificate chain alone."""
    userAnnotations: dict[str, str] | None = None
    """Keys and values that are passed to the signer."""


class VolumeProjection(
    Model, protobuf="secret downwardAPI configMap serviceAccountToken clusterTrustBundle podCertificate"
):
    """One source of a projected volume: exactly one of these."""

    secret: SecretProjection | None = None
    """Keys of a Secret."""
    downwardAPI: DownwardAPIProjection | None = None
    """Fields of the pod."""
    configMap: ConfigMapProjection | None = None
    """Keys of a ConfigMap."""
    serviceAccountToken: ServiceAccountTokenProjection | None = None
    """A token of the pod's service account."""
    clusterTrustBundle: ClusterTrustBundleProjection | None = None
    """Certificates that the cluster trusts."""
    podCertificate: PodCertificateProjection | None = None
    """A key and certificate of the pod's own."""


class ProjectedVolumeSource(Model, protobuf="sources defaultMode*"):
    """Several sources in one directory."""

    sources: list[VolumeProjection] | None = None
    """The sources. Their files must not collide."""
    defaultMode: Int32 | None = DEFAULT_FILE_MODE
    """The mode of files whose source does not set one, 0 to 0777. Default: 0644."""


class CSIVolumeSource(Model, protobuf="driver readOnly* fsType* volumeAttributes nodePublishSecretRef"):
    """A volume that a storage driver creates for this pod alone."""

    driver: str = ""
    """The name under which the driver is registered in the cluster."""
    readOnly: bool | None = None
    """Whether the driver mounts the volume read-only. Default: false."""
    fsType: str | None = None
    """The file system for the driver to use. Default: the choice of the driver."""
    volumeAttributes: dict[str, str] | None = None
    """Further settings for the driver."""
    nodePublishSecretRef: LocalObjectReference | None = None
    """A Secret that is passed to the driver."""


class EphemeralVolumeSource(Model, protobuf="volumeClaimTemplate"):
    """A claim that is created for the pod and deleted with it."""

    volumeClaimTemplate: PersistentVolumeClaimTemplate | None = None
    """The template of the pod's claim."""


class ImageVolumeSource(Model, protobuf="reference pullPolicy"):
    """The files of an image, read-only."""

    reference: str | None = None
    """The image whose files the volume has."""
    pullPolicy: Annotated[str, OneOf("Always", "IfNotPresent", "Never")] | None = None
    """When to pull the image: Always, IfNotPresent or Never. Default: as for containers."""


class Volume(
    Model,
    protobuf="name (hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs "
    "persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap vsphereVolume "
    "quobyte azureDisk photonPersistentDisk portworxVolume scaleIO projected storageos csi ephemeral image)",
):
    """A name and exactly one source."""

    name: str = ""
    """The volume's name, unique in the pod, by which containers mount it."""
    hostPath: HostPathVolumeSource | None = None
    """A file or directory of the node itself."""
    emptyDir: EmptyDirVolumeSource | None = None
    """An empty directory that lives as long as the pod."""
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    """A disk of Google Compute Engine."""
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    """A disk of Amazon's Elastic Block Store."""
    gitRepo: GitRepoVolumeSource | None = None
    """A clone of a Git repository."""
    secret: SecretVolumeSource | None = None
    """The content of a Secret."""
    nfs: NFSVolumeSource | None = None
    """A directory that an NFS server exports."""
    iscsi: ISCSIVolumeSource | None = None
    """A disk of an iSCSI target."""
    glusterfs: GlusterfsVolumeSource | None = None
    """A volume of a GlusterFS cluster."""
    persistentVolumeClaim: PersistentVolumeClaimVolumeSource | None = None
    """The storage of a claim."""
    rbd: RBDVolumeSource | None = None
    """An image of a Ceph cluster."""
    flexVolume: FlexVolumeSource | None = None
    """A volume from a driver program on the node."""
    cinder: CinderVolumeSource | None = None
    """A volume of OpenStack's Cinder."""
    cephfs: CephFSVolumeSource | None = None
    """A directory of a CephFS file system."""
    flocker: FlockerVolumeSource | None = None
    """A dataset of Flocker."""
    downwardAPI: DownwardAPIVolumeSource | None = None
    """Information about the pod, as files."""
    fc: FCVolumeSource | None = None
    """A disk on Fibre Channel."""
    azureFile: AzureFileVolumeSource | None = None
    """A file share of Azure."""
    configMap: ConfigMapVolumeSource | None = None
    """The content of a ConfigMap."""
    vsphereVolume: VsphereVirtualDiskVolumeSource | None = None
    """A disk of vSphere."""
    quobyte: QuobyteVolumeSource | None = None
    """A volume of Quobyte."""
    azureDisk: AzureDiskVolumeSource | None = None
    """A disk of Azure."""
    photonPersistentDisk: PhotonPersistentDiskVolumeSource | None = None
    """A disk of the Photon Controller."""
    projected: ProjectedVolumeSource | None = None
    """Several sources in one directory."""
    portworxVolume: PortworxVolumeSource | None = None
    """A volume of Portworx."""
    scaleIO: ScaleIOVolumeSource | None = None
    """A volume of ScaleIO."""
    storageos: StorageOSVolumeSource | None = None
    """A volume of StorageOS."""
    csi: CSIVolumeSource | None = None
    """A volume that a storage driver creates for this pod."""
    ephemeral: EphemeralVolumeSource | None = None
    """A claim that is created for this pod and deleted with it."""
    image: ImageVolumeSource | None = None
    """The files of an image."""


class VolumeMount(Model, protobuf="name readOnly mountPath subPath mountPropagation* subPathExpr recursiveReadOnly*"):
    """A mount of a volume in a container."""

    name: str = ""
    """The volume of the pod that is mounted."""
    readOnly: bool | None = None
    """Whether the volume is read-only for the container. Default: false."""
    recursiveReadOnly: str | None = None
    """Whether mounts below this one are read-only too: Disabled (the default), IfPossible or Enabled."""
    mountPath: str = ""
    """The absolute path of the mount in the container, without ":"."""
    subPath: str | None = None
    """A path within the volume to mount in place of its root."""
    mountPropagation: Annotated[str, OneOf("None", "HostToContainer", "Bidirectional")] | None = None
    """The propagation of later mounts: None (the default), HostToContainer or Bidirectional."""
    subPathExpr: str | None = None
    """A subPath in which $(NAME) stands for a variable of the environment."""


class VolumeDevice(Model, protobuf="name devicePath"):
    """A block volume as a device of a container."""

    name: str = ""
    """The volume of the pod; its claim must be in Block mode."""
    devicePath: str = ""
    """The absolute path of the device in the container."""
