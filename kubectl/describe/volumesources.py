"""How `describe` names the sources of volumes and their fields."""

from __future__ import annotations

SOURCES: dict[str, tuple[str, str]] = {
    "awsElasticBlockStore": (
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        "VolumeID=volumeID, FSType=fsType, Partition=partition:0, ReadOnly=readOnly:false",
    ),
    "azureDisk": (
        "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        "DiskName=diskName, DiskURI=diskURI, Kind=kind, FSType=fsType, CachingMode=cachingMode, "
        "ReadOnly=readOnly:false",
    ),
    "azureFile": (
        "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        "SecretName=secretName, ShareName=shareName, ReadOnly=readOnly:false",
    ),
    "cephfs": (
        "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        "Monitors=monitors:[], Path=path, User=user, SecretFile=secretFile, SecretRef=secretRef:nil, "
        "ReadOnly=readOnly:false",
    ),
    "cinder": (
        "Cinder (a Persistent Disk resource in OpenStack)",
        "VolumeID=volumeID, FSType=fsType, ReadOnly=readOnly:false, SecretRef=secretRef:nil",
    ),
    "configMap": ("ConfigMap (a volume populated by a ConfigMap)", "Name=name, Optional=optional:false"),
    "csi": (
        "CSI (a Container Storage Interface (CSI) volume source)",
        "Driver=driver, FSType=fsType, ReadOnly=readOnly:false",
    ),
    "downwardAPI": ("DownwardAPI (a volume populated by information about the pod)", ""),
    "emptyDir": (
        "EmptyDir (a temporary directory that shares a pod's lifetime)",
        "Medium=medium, SizeLimit=sizeLimit:<unset>",
    ),
    "ephemeral": (
        "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        "",
    ),
    "fc": (
        "FC (a Fibre Channel disk)",
        "TargetWWNs=targetWWNs, LUN=lun:<none>, FSType=fsType, ReadOnly=readOnly:false",
    ),
    "flexVolume": (
        "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)",
        "Driver=driver, FSType=fsType, SecretRef=secretRef:nil, ReadOnly=readOnly:false, Options=options:map[]",
    ),
    "flocker": (
        "Flocker (a Flocker volume mounted by the Flocker agent)",
        "DatasetName=datasetName, DatasetUUID=datasetUUID",
    ),
    "gcePersistentDisk": (
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        "PDName=pdName, FSType=fsType, Partition=partition:0, ReadOnly=readOnly:false",
    ),
    "gitRepo": (
        "GitRepo (a volume that is pulled from git when the pod is created)",
        "Repository=repository, Revision=revision",
    ),
    "glusterfs": (
        "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        "EndpointsName=endpoints, Path=path, ReadOnly=readOnly:false",
    ),
    "hostPath": ("HostPath (bare host directory volume)", "Path=path, HostPathType=type"),
    "image": ("Image (a container image or OCI artifact)", "Reference=reference, PullPolicy=pullPolicy"),
    "iscsi": (
        "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        "TargetPortal=targetPortal, IQN=iqn, Lun=lun:0, ISCSIInterface=iscsiInterface, FSType=fsType, "
        "ReadOnly=readOnly:false, Portals=portals:[], DiscoveryCHAPAuth=chapAuthDiscovery:false, "
        "SessionCHAPAuth=chapAuthSession:false, SecretRef=secretRef:nil, InitiatorName=initiatorName:<none>",
    ),
    "local": ("LocalVolume (a persistent volume backed by local storage on a node)", "Path=path"),
    "nfs": ("NFS (an NFS mount that lasts the lifetime of a pod)", "Server=server, Path=path, ReadOnly=readOnly:false"),
    "persistentVolumeClaim": (
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        "ClaimName=claimName, ReadOnly=readOnly:false",
    ),
    "photonPersistentDisk": (
        "PhotonPersistentDisk (a Persistent Disk resource in photon platform)",
        "PdID=pdID, FSType=fsType",
    ),
    "portworxVolume": ("PortworxVolume (a Portworx Volume resource)", "VolumeID=volumeID"),
    "projected": ("Projected (a volume that contains injected data from multiple sources)", ""),
    "quobyte": (
        "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        "Registry=registry, Volume=volume, ReadOnly=readOnly:false",
    ),
    "rbd": (
        "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        "CephMonitors=monitors:[], RBDImage=image, FSType=fsType, RBDPool=pool, RadosUser=user, "
        "Keyring=keyring, SecretRef=secretRef:nil, ReadOnly=readOnly:false",
    ),
    "scaleIO": (
        "ScaleIO (a persistent volume backed by a block device in ScaleIO)",
        "Gateway=gateway, System=system, Protection Domain=protectionDomain, Storage Pool=storagePool, "
        "Storage Mode=storageMode, VolumeName=volumeName, FSType=fsType, ReadOnly=readOnly:false",
    ),
    "secret": ("Secret (a volume populated by a Secret)", "SecretName=secretName, Optional=optional:false"),
    "storageos": (
        "StorageOS (a StorageOS Persistent Disk resource)",
        "VolumeName=volumeName, VolumeNamespace=volumeNamespace, FSType=fsType, ReadOnly=readOnly:false",
    ),
    "vsphereVolume": (
        "vSphereVolume (a Persistent Disk resource in vSphere)",
        "VolumePath=volumePath, FSType=fsType, StoragePolicyName=storagePolicyName",
    ),
}
"""Source -> its type in words, and its fields: each as LABEL=FIELD, with the text for a field that is not set after a
colon."""

PERSISTENT: dict[str, tuple[str, str]] = {
    "azureFile": (
        SOURCES["azureFile"][0],
        "SecretName=secretName, SecretNamespace=secretNamespace, ShareName=shareName, ReadOnly=readOnly:false",
    ),
    "csi": (SOURCES["csi"][0], "Driver=driver, FSType=fsType, VolumeHandle=volumeHandle, ReadOnly=readOnly:false"),
    "glusterfs": (
        SOURCES["glusterfs"][0],
        "EndpointsName=endpoints, EndpointsNamespace=endpointsNamespace:<unset>, Path=path, ReadOnly=readOnly:false",
    ),
    "scaleIO": (
        SOURCES["scaleIO"][0],
        "Gateway=gateway, System=system, Protection Domain=protectionDomain, Storage Pool=storagePool, "
        "Storage Mode=storageMode, VolumeName=volumeName, SecretName=secretRef.name, "
        "SecretNamespace=secretRef.namespace, FSType=fsType, ReadOnly=readOnly:false",
    ),
}
"""The sources of which a persistent volume says more."""

PROJECTED: dict[str, str] = {
    "configMap": "ConfigMapName=name, Optional=optional:false",
    "downwardAPI": "DownwardAPI=:true",
    "secret": "SecretName=name, Optional=optional:false",
    "serviceAccountToken": "TokenExpirationSeconds=expirationSeconds:3600",
}
"""The parts of a projected volume."""
