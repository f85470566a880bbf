"""Makes the storage classes of a new cluster, and gives their provisioners, which are controllers, their rights.

`python -m mini_cluster.storage_classes --server URL --pki FOLDER` does so for clusters that the launcher has not made.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from mini_cluster.api import AdminApi
from mini_cluster.errors import ApiError

STANDARD, SHARED = "standard", "shared"
ROLE = "mini-kubernetes:volume-provisioner"
ACCOUNTS = ("local-path-provisioner", "shared-folder-provisioner")
RBAC = "rbac.authorization.k8s.io"

Dict = dict[str, Any]


def ensure_storage_classes(api: AdminApi) -> None:
    """Makes what is missing in a new cluster; later the classes are the user's, who may want others. Raises: ApiError.

    The role is made last, and tells that all has been made.
    """
    roles = f"/apis/{RBAC}/v1/clusterroles"
    if _exists(api, f"{roles}/{ROLE}"):
        return
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    _create(api, classes, _class(STANDARD, "mini-kubernetes.io/local-path", "WaitForFirstConsumer", default))
    _create(api, classes, _class(SHARED, "mini-kubernetes.io/shared-folder", "Immediate", {}))
    _create(api, f"/apis/{RBAC}/v1/clusterrolebindings", _binding())
    _create(api, roles, _role())


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


def _role() -> Dict:
    """Returns the role. The verbs of nodes/proxy are PUT and DELETE, which a kubelet takes for folders alone."""
    read = ["get", "list", "watch"]
    rules = [
        ([""], ["persistentvolumes"], ["create", "delete", "update", *read]),
        ([""], ["persistentvolumeclaims"], ["update", *read]),
        ([""], ["persistentvolumeclaims/status"], ["update"]),
        (["storage.k8s.io"], ["storageclasses"], read),
        ([""], ["nodes"], read),
        ([""], ["nodes/proxy"], ["delete", "update"]),
        (["", "events.k8s.io"], ["events"], ["create", "patch", "update"]),
    ]
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": ROLE},
        "rules": [{"apiGroups": groups, "resources": kinds, "verbs": verbs} for groups, kinds, verbs in rules],
    }


def _binding() -> Dict:
    accounts = [{"kind": "ServiceAccount", "name": name, "namespace": "kube-system"} for name in ACCOUNTS]
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": ROLE},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": ROLE},
        "subjects": accounts,
    }


def _exists(api: AdminApi, path: str) -> bool:
    try:
        api.request("GET", path)
    except ApiError as error:
        if error.code == 404:
            return False
        raise
    return True


def _create(api: AdminApi, collection: str, obj: Dict) -> None:
    try:
        api.request("POST", collection, obj)
    except ApiError as error:
        if error.code != 409:  # of an earlier start that was cut off, or the user's own
            raise


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes the storage classes of a new cluster.")
    parser.add_argument("--server", required=True, metavar="URL", help="the API server")
    parser.add_argument("--pki", type=Path, required=True, metavar="DIR", help="folder of the administrator's key")
    options = parser.parse_args()
    with closing(AdminApi.at(options.server, options.pki)) as api:
        ensure_storage_classes(api)
    return 0


if __name__ == "__main__":
    sys.exit(main())
