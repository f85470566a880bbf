"""PersistentVolumes: their checks, the Secrets they name, and their table rows."""

from __future__ import annotations

from typing import Any

import pytest

from kubeapi.core.persistentvolume.model import PersistentVolumeSource
from kubeapi.core.persistentvolume.references import volume_secrets
from kubeapi.core.persistentvolume.resource import RESOURCE as VOLUMES
from kubeapi.core.persistentvolume.validation import _REQUIRED_FIELDS
from tests.kits.kinds import A_DAY_AGO, created, load, merged, problems, row, update_problems

Dict = dict[str, Any]

FOLDER = {"hostPath": {"path": "/x"}}
CSI = {"driver": "d.example", "volumeHandle": "h"}
SECRET = {"name": "s", "namespace": "other"}
SOURCE_RULE = "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"
AFFINITY_RULE = "field is immutable, except for updating from beta label to GA"


def volume(spec: Dict | None = None, source: Dict | None = None, **meta: Any) -> Dict:
    base = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **(FOLDER if source is None else source)}
    meta = {"name": "v", "creationTimestamp": A_DAY_AGO, **meta}
    return {"metadata": meta, "spec": merged(base, spec or {})}


def on_nodes(key: str, operator: str = "Exists", **more: Any) -> Dict:
    expression = {"key": key, "operator": operator, **more}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}}


def test_every_source_is_checked() -> None:
    assert set(_REQUIRED_FIELDS) == set(PersistentVolumeSource.model_fields)


def test_a_volume_is_retained_and_knows_when_it_came() -> None:
    obj = created(VOLUMES, volume())
    assert (obj.spec.persistentVolumeReclaimPolicy, obj.spec.volumeMode) == ("Retain", "Filesystem")
    assert (obj.status.phase, obj.status.lastPhaseTransitionTime) == ("Pending", A_DAY_AGO)


@pytest.mark.parametrize(
    ("source", "spec", "expected"),
    [
        ({"local": {"path": "/d"}}, on_nodes("k"), []),
        ({"local": {"path": "/d/.."}}, on_nodes("k"), ["local.path: Invalid value: \"/d/..\": must not contain '..'"]),
        (
            {"local": {}},
            {},
            ["local.path: Required value", "nodeAffinity: Required value: Local volume requires node affinity"],
        ),
        ({"nfs": {"server": "s", "path": "p"}}, {}, ['nfs.path: Invalid value: "p": must be an absolute path']),
        ({"csi": {}}, {}, ["csi.driver: Required value", "csi.volumeHandle: Required value"]),
        ({"csi": {**CSI, "driver": "d" * 64}}, {}, ["csi.driver: Too long: may not be more than 63 bytes"]),
        (
            {"csi": {**CSI, "nodePublishSecretRef": {"name": "s"}}},
            {},
            ["csi.nodePublishSecretRef.namespace: Required value"],
        ),
        (
            {"csi": CSI},
            {"volumeAttributesClassName": ""},
            ["volumeAttributesClassName: Required value: an empty string is disallowed"],
        ),
        (
            FOLDER,
            {"volumeAttributesClassName": "a"},
            ["csi: Required value: has to be specified when using volumeAttributesClassName"],
        ),
        ({"cinder": {"volumeID": "i", "secretRef": {"name": "s"}}}, {}, ["cinder.secretRef.namespace: Required value"]),
        (
            {"glusterfs": {"endpoints": "e", "path": "p", "endpointsNamespace": ""}},
            {},
            [
                'glusterfs.endpointsNamespace: Invalid value: "": if the endpointnamespace is set, it must be a valid '
                "namespace name"
            ],
        ),
        (
            {"azureFile": {"secretName": "s", "shareName": "t", "secretNamespace": ""}},
            {},
            ["azureFile.secretNamespace: Required value"],
        ),
        (
            {"azureDisk": {"diskName": "d", "diskURI": "https://x", "kind": "Managed", "cachingMode": "X"}},
            {},
            [
                'azureDisk.cachingMode: Unsupported value: "X": supported values: "None", "ReadOnly", "ReadWrite"',
                'azureDisk.diskURI: Unsupported value: "https://x": supported values: "/subscriptions/{sub-id}/'
                'resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"',
            ],
        ),
        (
            {"flexVolume": {"driver": "d", "options": {"kubernetes.io/x": "y", "x": "y"}}},
            {},
            [
                'flexVolume.options[kubernetes.io/x]: Invalid value: "kubernetes.io/x": kubernetes.io and k8s.io '
                "namespaces are reserved"
            ],
        ),
        (
            {"iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.x", "chapAuthSession": True}},
            {},
            ["iscsi.secretRef: Required value"],
        ),
        (
            {"storageos": {"volumeName": "A", "secretRef": {"name": "s"}}},
            {},
            [
                'storageos.volumeName: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case '
                "alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. "
                "'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                "storageos.secretRef.namespace: Required value",
            ],
        ),
        (
            {"quobyte": {"registry": "a:1,b", "volume": "v"}},
            {},
            [
                'quobyte.registry: Invalid value: "a:1,b": must be a host:port pair or multiple pairs separated by '
                "commas"
            ],
        ),
        (
            {"gcePersistentDisk": {"pdName": "d", "partition": 256}},
            {},
            ["gcePersistentDisk.partition: Invalid value: 256: must be between 0 and 255, inclusive"],
        ),
        (
            {"flocker": {"datasetName": "a"}, "rbd": {"monitors": ["m"], "image": "i"}},
            {},
            ["rbd: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            FOLDER,
            on_nodes("k", "Odd"),
            [
                f'{on}.operator: Invalid value: "Odd": not a valid selector operator'
                for on in ["nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0]"]
            ],
        ),
    ],
)
def test_bad_volumes(source: Dict, spec: Dict, expected: list[str]) -> None:
    assert problems(VOLUMES, volume(spec, source)) == [f"spec.{text}" for text in expected]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (volume(), volume({"capacity": {"storage": "9Gi"}, "claimRef": {"name": "c", "namespace": "n"}}), []),
        (volume(), volume(source={"hostPath": {"path": "/y"}}), [SOURCE_RULE]),
        (volume(source={"csi": CSI}), volume(source={"csi": {**CSI, "controllerExpandSecretRef": SECRET}}), []),
        (
            volume(source={"csi": {**CSI, "controllerExpandSecretRef": SECRET}}),
            volume(source={"csi": CSI}),
            [SOURCE_RULE],
        ),
        (volume(), volume({"volumeMode": "Block"}), ['volumeMode: Invalid value: "Block": field is immutable']),
        (volume(), volume(on_nodes("k")), []),
        (volume(on_nodes("beta.kubernetes.io/os")), volume(on_nodes("kubernetes.io/os")), []),
        (
            volume(on_nodes("kubernetes.io/os")),
            volume(),
            [f"nodeAffinity: Invalid value: null: {AFFINITY_RULE}"],
        ),
        (
            volume({"volumeAttributesClassName": "a"}, {"csi": CSI}),
            volume(source={"csi": CSI}),
            ["spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden"],
        ),
    ],
)
def test_what_may_change(old: Dict, new: Dict, expected: list[str]) -> None:
    assert update_problems(VOLUMES, old, new) == expected


def test_an_affinity_may_not_move_to_another_label() -> None:
    [problem] = update_problems(
        VOLUMES, volume(on_nodes("beta.kubernetes.io/os")), volume(on_nodes("kubernetes.io/arch"))
    )
    assert problem.endswith(AFFINITY_RULE)


def test_the_row_of_a_volume() -> None:
    spec = {
        "claimRef": {"namespace": "ns", "name": "c"},
        "storageClassName": "gold",
        "accessModes": ["ReadWriteOncePod"],
    }
    cells = row(VOLUMES, {**volume(spec), "status": {"phase": "Failed", "reason": "Lost"}})
    assert cells == {
        "Name": "v",
        "Capacity": "1Gi",
        "Access Modes": "RWOP",
        "Reclaim Policy": "Retain",
        "Status": "Failed",
        "Claim": "ns/c",
        "StorageClass": "gold",
        "VolumeAttributesClass": "<unset>",
        "Reason": "Lost",
        "Age": "24h",
        "VolumeMode": "Filesystem",
    }
    assert row(VOLUMES, volume(deletionTimestamp=A_DAY_AGO))["Status"] == "Terminating"


def test_the_secrets_that_a_kubelet_reads() -> None:
    claim = {"claimRef": {"namespace": "ns", "name": "c"}}

    def secrets(source: Dict) -> set[tuple[str, str]]:
        return set(volume_secrets(load(VOLUMES, volume(claim, source))))

    assert secrets({"csi": {**CSI, "controllerPublishSecretRef": SECRET}}) == set()
    assert secrets({"csi": {**CSI, "nodeStageSecretRef": SECRET}}) == {("other", "s")}
    assert secrets({"rbd": {"monitors": ["m"], "image": "i", "secretRef": {"name": "s"}}}) == {("ns", "s")}
    azure = {"secretName": "s", "shareName": "t"}
    assert secrets({"azureFile": azure}) == {("ns", "s")}
    assert secrets({"azureFile": {**azure, "secretNamespace": "other"}}) == {("other", "s")}


def test_warnings_name_what_is_of_the_past() -> None:
    spec = {"persistentVolumeReclaimPolicy": "Recycle", **on_nodes("beta.kubernetes.io/os")}
    source = {"glusterfs": {"endpoints": "e", "path": "p"}}
    annotations = {"volume.beta.kubernetes.io/mount-options": "ro"}
    warnings = VOLUMES.strategy.create_warnings(created(VOLUMES, volume(spec, source, annotations=annotations)))
    assert warnings == [
        'metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use "mountOptions" '
        "attribute instead",
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
        "approach is to use dynamic provisioning.",
        "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/os is deprecated "
        'since v1.14; use "kubernetes.io/os" instead',
        "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+",
    ]
