"""How `describe` names the sources of volumes and their fields."""

from __future__ import annotations

Fields = tuple[tuple[str, str, object], ...]
"""Label, field, and the value where the field is not set."""

_READ_ONLY = ("ReadOnly", "readOnly", False)
_FILE_SYSTEM = ("FSType", "fsType", "")
_SECRET = ("SecretRef", "secretRef", "nil")
_PARTITION = ("Partition", "partition", 0)

SOURCES: dict[str, tuple[str, Fields]] = {
    "awsElasticBlockStore": (
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        (("VolumeID", "volumeID", ""), _FILE_SYSTEM, _PARTITION, _READ_ONLY),
    ),
    "azureDisk": (
        "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        (
            ("DiskName", "diskName", ""),
            ("DiskURI", "diskURI", ""),
            ("Kind", "kind", ""),
            _FILE_SYSTEM,
            ("CachingMode", "cachingMode", ""),
            _READ_ONLY,
        ),
    ),
    "azureFile": (
        "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        (("SecretName", "secretName", ""), ("ShareName", "shareName", ""), _READ_ONLY),
    ),
    "cephfs": (
        "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        (
            ("Monitors", "monitors", []),
            ("Path", "path", ""),
            ("User", "user", ""),
            ("SecretFile", "secretFile", ""),
            _SECRET,
            _READ_ONLY,
        ),
    ),
    "cinder": (
        "Cinder (a Persistent Disk resource in OpenStack)",
        (("VolumeID", "volumeID", ""), _FILE_SYSTEM, _READ_ONLY, _SECRET),
    ),
    "configMap": (
        "ConfigMap (a volume populated by a ConfigMap)",
        (("Name", "name", ""), ("Optional", "optional", False)),
    ),
    "csi": (
        "CSI (a Container Storage Interface (CSI) volume source)",
        (("Driver", "driver", ""), _FILE_SYSTEM, _READ_ONLY),
    ),
    "downwardAPI": ("DownwardAPI (a volume populated by information about the pod)", ()),
    "emptyDir": (
        "EmptyDir (a temporary directory that shares a pod's lifetime)",
        (("Medium", "medium", ""), ("SizeLimit", "sizeLimit", "<unset>")),
    ),
    "ephemeral": (
        "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        (),
    ),
    "fc": (
        "FC (a Fibre Channel disk)",
        (("TargetWWNs", "targetWWNs", ""), ("LUN", "lun", "<none>"), _FILE_SYSTEM, _READ_ONLY),
    ),
    "flexVolume": (
        "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)",
        (("Driver", "driver", ""), _FILE_SYSTEM, _SECRET, _READ_ONLY, ("Options", "options", {})),
    ),
    "flocker": (
        "Flocker (a Flocker volume mounted by the Flocker agent)",
        (("DatasetName", "datasetName", ""), ("DatasetUUID", "datasetUUID", "")),
    ),
    "gcePersistentDisk": (
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        (("PDName", "pdName", ""), _FILE_SYSTEM, _PARTITION, _READ_ONLY),
    ),
    "gitRepo": (
        "GitRepo (a volume that is pulled from git when the pod is created)",
        (("Repository", "repository", ""), ("Revision", "revision", "")),
    ),
    "glusterfs": (
        "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        (("EndpointsName", "endpoints", ""), ("Path", "path", ""), _READ_ONLY),
    ),
    "hostPath": ("HostPath (bare host directory volume)", (("Path", "path", ""), ("HostPathType", "type", ""))),
    "image": (
        "Image (a container image or OCI artifact)",
        (("Reference", "reference", ""), ("PullPolicy", "pullPolicy", "")),
    ),
    "iscsi": (
        "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        (
            ("TargetPortal", "targetPortal", ""),
            ("IQN", "iqn", ""),
            ("Lun", "lun", 0),
            ("ISCSIInterface", "iscsiInterface", ""),
            _FILE_SYSTEM,
            _READ_ONLY,
            ("Portals", "portals", []),
            ("DiscoveryCHAPAuth", "chapAuthDiscovery", False),
            ("SessionCHAPAuth", "chapAuthSession", False),
            _SECRET,
            ("InitiatorName", "initiatorName", "<none>"),
        ),
    ),
    "local": ("LocalVolume (a persistent volume backed by local storage on a node)", (("Path", "path", ""),)),
    "nfs": (
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        (("Server", "server", ""), ("Path", "path", ""), _READ_ONLY),
    ),
    "persistentVolumeClaim": (
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        (("ClaimName", "claimName", ""), _READ_ONLY),
    ),
    "photonPersistentDisk": (
        "PhotonPersistentDisk (a Persistent Disk resource in photon platform)",
        (("PdID", "pdID", ""), _FILE_SYSTEM),
    ),
    "portworxVolume": ("PortworxVolume (a Portworx Volume resource)", (("VolumeID", "volumeID", ""),)),
    "projected": ("Projected (a volume that contains injected data from multiple sources)", ()),
    "quobyte": (
        "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        (("Registry", "registry", ""), ("Volume", "volume", ""), _READ_ONLY),
    ),
    "rbd": (
        "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        (
            ("CephMonitors", "monitors", []),
            ("RBDImage", "image", ""),
            _FILE_SYSTEM,
            ("RBDPool", "pool", ""),
            ("RadosUser", "user", ""),
            ("Keyring", "keyring", ""),
            _SECRET,
            _READ_ONLY,
        ),
    ),
    "scaleIO": (
        "ScaleIO (a persistent volume backed by a block device in ScaleIO)",
        (
            ("Gateway", "gateway", ""),
            ("System", "system", ""),
            ("Protection Domain", "protectionDomain", ""),
            ("Storage Pool", "storagePool", ""),
            ("Storage Mode", "storageMode", ""),
            ("VolumeName", "volumeName", ""),
            _FILE_SYSTEM,
            _READ_ONLY,
        ),
    ),
    "secret": (
        "Secret (a volume populated by a Secret)",
        (("SecretName", "secretName", ""), ("Optional", "optional", False)),
    ),
    "storageos": (
        "StorageOS (a StorageOS Persistent Disk resource)",
        (("VolumeName", "volumeName", ""), ("VolumeNamespace", "volumeNamespace", ""), _FILE_SYSTEM, _READ_ONLY),
    ),
    "vsphereVolume": (
        "vSphereVolume (a Persistent Disk resource in vSphere)",
        (("VolumePath", "volumePath", ""), _FILE_SYSTEM, ("StoragePolicyName", "storagePolicyName", "")),
    ),
}
"""The sources of a pod's volumes and of persistent ones."""

PERSISTENT: dict[str, tuple[str, Fields]] = {
    "azureFile": (
        SOURCES["azureFile"][0],
        (
            ("SecretName", "secretName", ""),
            ("SecretNamespace", "secretNamespace", ""),
            ("ShareName", "shareName", ""),
            _READ_ONLY,
        ),
    ),
    "csi": (
        SOURCES["csi"][0],
        (("Driver", "driver", ""), _FILE_SYSTEM, ("VolumeHandle", "volumeHandle", ""), _READ_ONLY),
    ),
    "glusterfs": (
        SOURCES["glusterfs"][0],
        (
            ("EndpointsName", "endpoints", ""),
            ("EndpointsNamespace", "endpointsNamespace", "<unset>"),
            ("Path", "path", ""),
            _READ_ONLY,
        ),
    ),
}
"""The sources of which a persistent volume says more."""

PROJECTED: dict[str, Fields] = {
    "secret": (("SecretName", "name", ""), ("Optional", "optional", False)),
    "configMap": (("ConfigMapName", "name", ""), ("Optional", "optional", False)),
    "downwardAPI": (("DownwardAPI", "", True),),
    "serviceAccountToken": (("TokenExpirationSeconds", "expirationSeconds", 3600),),
}
"""The parts of a projected volume."""
