"""How `describe` names the sources of volumes and their fields."""

from __future__ import annotations

_SCALE_IO = (
    "gateway, system, Protection Domain=protectionDomain, Storage Pool=storagePool, "
    "Storage Mode=storageMode, volumeName"
)

SOURCES: dict[str, tuple[str, str]] = {
    "awsElasticBlockStore": (
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        "volumeID, fsType, partition:0, readOnly",
    ),
    "azureDisk": (
        "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        "diskName, diskURI, kind, fsType, cachingMode, readOnly",
    ),
    "azureFile": (
        "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        "secretName, shareName, readOnly",
    ),
    "cephfs": (
        "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        "monitors:[], path, user, secretFile, secretRef, readOnly",
    ),
    "cinder": ("Cinder (a Persistent Disk resource in OpenStack)", "volumeID, fsType, readOnly, secretRef"),
    "configMap": ("ConfigMap (a volume populated by a ConfigMap)", "name, optional"),
    "csi": ("CSI (a Container Storage Interface (CSI) volume source)", "driver, fsType, readOnly"),
    "downwardAPI": ("DownwardAPI (a volume populated by information about the pod)", ""),
    "emptyDir": ("EmptyDir (a temporary directory that shares a pod's lifetime)", "medium, sizeLimit:<unset>"),
    "ephemeral": (
        "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        "",
    ),
    "fc": ("FC (a Fibre Channel disk)", "targetWWNs, LUN=lun:<none>, fsType, readOnly"),
    "flexVolume": (
        "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)",
        "driver, fsType, secretRef, readOnly, options:map[]",
    ),
    "flocker": ("Flocker (a Flocker volume mounted by the Flocker agent)", "datasetName, datasetUUID"),
    "gcePersistentDisk": (
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        "PDName=pdName, fsType, partition:0, readOnly",
    ),
    "gitRepo": ("GitRepo (a volume that is pulled from git when the pod is created)", "repository, revision"),
    "glusterfs": (
        "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        "EndpointsName=endpoints, path, readOnly",
    ),
    "hostPath": ("HostPath (bare host directory volume)", "path, HostPathType=type"),
    "image": ("Image (a container image or OCI artifact)", "reference, pullPolicy"),
    "iscsi": (
        "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        "targetPortal, IQN=iqn, lun:0, ISCSIInterface=iscsiInterface, fsType, readOnly, portals:[], "
        "DiscoveryCHAPAuth=chapAuthDiscovery:false, SessionCHAPAuth=chapAuthSession:false, secretRef, "
        "initiatorName:<none>",
    ),
    "local": ("LocalVolume (a persistent volume backed by local storage on a node)", "path"),
    "nfs": ("NFS (an NFS mount that lasts the lifetime of a pod)", "server, path, readOnly"),
    "persistentVolumeClaim": (
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        "claimName, readOnly",
    ),
    "photonPersistentDisk": ("PhotonPersistentDisk (a Persistent Disk resource in photon platform)", "pdID, fsType"),
    "portworxVolume": ("PortworxVolume (a Portworx Volume resource)", "volumeID"),
    "projected": ("Projected (a volume that contains injected data from multiple sources)", ""),
    "quobyte": ("Quobyte (a Quobyte mount on the host that shares a pod's lifetime)", "registry, volume, readOnly"),
    "rbd": (
        "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        "CephMonitors=monitors:[], RBDImage=image, fsType, RBDPool=pool, RadosUser=user, keyring, secretRef, readOnly",
    ),
    "scaleIO": (
        "ScaleIO (a persistent volume backed by a block device in ScaleIO)",
        f"{_SCALE_IO}, fsType, readOnly",
    ),
    "secret": ("Secret (a volume populated by a Secret)", "secretName, optional"),
    "storageos": ("StorageOS (a StorageOS Persistent Disk resource)", "volumeName, volumeNamespace, fsType, readOnly"),
    "vsphereVolume": ("vSphereVolume (a Persistent Disk resource in vSphere)", "volumePath, fsType, storagePolicyName"),
}
"""Source -> its type in words, and its fields: FIELD, or LABEL=FIELD where the label isn't the capitalised field;
behind a colon the text for a field that is not set, where it isn't that of UNSET."""

UNSET = {"readOnly": "false", "optional": "false", "secretRef": "nil"}

PERSISTENT: dict[str, tuple[str, str]] = {
    "azureFile": (SOURCES["azureFile"][0], "secretName, secretNamespace, shareName, readOnly"),
    "csi": (SOURCES["csi"][0], "driver, fsType, volumeHandle, readOnly"),
    "glusterfs": (SOURCES["glusterfs"][0], "EndpointsName=endpoints, endpointsNamespace:<unset>, path, readOnly"),
    "scaleIO": (
        SOURCES["scaleIO"][0],
        f"{_SCALE_IO}, SecretName=secretRef.name, SecretNamespace=secretRef.namespace, fsType, readOnly",
    ),
}
"""The sources of which a persistent volume says more."""

PROJECTED: dict[str, str] = {
    "configMap": "ConfigMapName=name, optional",
    "downwardAPI": "DownwardAPI=:true",
    "secret": "SecretName=name, optional",
    "serviceAccountToken": "TokenExpirationSeconds=expirationSeconds:3600",
}
"""The parts of a projected volume."""
