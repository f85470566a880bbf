"""Makes the storage classes of a new cluster, and gives their provisioners, which are controllers, their rights."""

from __future__ import annotations

from mini_cluster.api import AdminApi
from mini_cluster.objects.roles import EVENTS, READ, ROLES, Dict, account, grant, rule

STANDARD, SHARED = "standard", "shared"
ROLE = "mini-kubernetes:volume-provisioner"
ACCOUNTS = ("local-path-provisioner", "shared-folder-provisioner")
RULES = (
    rule([""], ["persistentvolumes"], ["create", "delete", "update", *READ]),
    rule([""], ["persistentvolumeclaims"], ["update", *READ]),
    rule([""], ["persistentvolumeclaims/status"], ["update"]),
    rule(["storage.k8s.io"], ["storageclasses"], READ),
    rule([""], ["nodes"], READ),
    rule([""], ["nodes/proxy"], ["delete", "update"]),  # PUT and DELETE, which a kubelet takes for folders alone
    EVENTS,
)


def ensure_storage_classes(api: AdminApi) -> None:
    """Makes what is missing in a new cluster; later the classes are the user's, who may want others. Raises: ApiError.

    The role is made last, and tells that all has been made.
    """
    if api.exists(f"{ROLES}/{ROLE}"):
        return
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    api.create_missing(classes, _class(STANDARD, "mini-kubernetes.io/local-path", "WaitForFirstConsumer", default))
    api.create_missing(classes, _class(SHARED, "mini-kubernetes.io/shared-folder", "Immediate", {}))
    grant(api, ROLE, RULES, [account(name) for name in ACCOUNTS])


def _class(name: str, provisioner: str, binding_mode: str, annotations: dict[str, str]) -> Dict:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": provisioner,
        "volumeBindingMode": binding_mode,
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
    }
