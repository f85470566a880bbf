"""StorageClass, CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment and VolumeAttributesClass."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import to_dict
from apimachinery.resource import Resource
from kubeapi.storage.csidriver import RESOURCE as DRIVERS
from kubeapi.storage.csinode import RESOURCE as NODES
from kubeapi.storage.csistoragecapacity import RESOURCE as CAPACITIES
from kubeapi.storage.storageclass import RESOURCE as CLASSES
from kubeapi.storage.storageclass import is_default_class
from kubeapi.storage.volumeattachment import RESOURCE as ATTACHMENTS
from kubeapi.storage.volumeattributesclass import RESOURCE as ATTRIBUTES
from tests.kits.kinds import A_DAY_AGO, created, load, problems, row, status_problems, update_problems

Dict = dict[str, Any]

META = {"name": "x", "creationTimestamp": A_DAY_AGO}
IMMUTABLE = "field is immutable"
EXACTLY_ONE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
CSI = {"driver": "d.example", "volumeHandle": "h"}
INLINE = "may not be specified in the context of inline volumes"


def storage_class(**fields: Any) -> Dict:
    return {"metadata": META, "provisioner": "x.example/p", **fields}


def topology(*labels: tuple[str, list[str]]) -> Dict:
    return {"matchLabelExpressions": [{"key": key, "values": values} for key, values in labels]}


def driver(**spec: Any) -> Dict:
    return {"metadata": META, "spec": spec}


def node(*drivers: Dict) -> Dict:
    return {"metadata": META, "spec": {"drivers": [{"name": "d.example", "nodeID": "n", **item} for item in drivers]}}


def capacity(**fields: Any) -> Dict:
    return {"metadata": {**META, "namespace": "ns"}, "storageClassName": "c", **fields}


def attachment(status: Dict | None = None, **spec: Any) -> Dict:
    base = {"attacher": "a.example", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
    return {"metadata": META, "spec": {**base, **spec}, "status": status or {}}


def attributes(**fields: Any) -> Dict:
    return {"metadata": META, "driverName": "d.example", "parameters": {"iops": "1"}, **fields}


BAD: list[tuple[Resource[Any], Dict, list[str]]] = [
    (CLASSES, storage_class(), []),
    (CLASSES, storage_class(provisioner="KUBERNETES.io/p"), []),
    (CLASSES, storage_class(parameters={str(number): "" for number in range(512)}), []),
    (
        CLASSES,
        storage_class(parameters={str(number): "" for number in range(513)}),
        ["parameters: Too long: may not be more than 512 bytes"],
    ),
    (
        CLASSES,
        storage_class(parameters={"a": "b" * 256 * 1024}),
        [f"parameters: Too long: may not be more than {256 * 1024} bytes"],
    ),
    (
        CLASSES,
        storage_class(allowedTopologies=[topology(("a", ["1", "2"])), topology(("a", ["2", "1"]))]),
        ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
    ),
    (CLASSES, storage_class(allowedTopologies=[topology(("a", ["1"]), ("b", ["1"])), topology(("a", ["1"]))]), []),
    (
        CLASSES,
        storage_class(allowedTopologies=[topology(("a", ["1", "1"]), ("a", ["2"]))]),
        [
            'allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "1"',
            'allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: "a"',
        ],
    ),
    (DRIVERS, driver(nodeAllocatableUpdatePeriodSeconds=10, tokenRequests=[{"audience": ""}]), []),
    (
        DRIVERS,
        driver(nodeAllocatableUpdatePeriodSeconds=9),
        ["spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds"],
    ),
    (
        DRIVERS,
        driver(serviceAccountTokenInSecrets=True),
        [
            "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no "
            "tokenRequests are specified"
        ],
    ),
    (
        DRIVERS,
        driver(tokenRequests=[{"audience": "a", "expirationSeconds": 2**33}]),
        [
            f"spec.tokenRequests[0].expirationSeconds: Invalid value: {2**33}: may not specify a duration larger than "
            "2^32 seconds"
        ],
    ),
    (NODES, node({"allocatable": {"count": 0}, "topologyKeys": ["zone"]}), []),
    (
        NODES,
        node({"nodeID": "n" * 257}),
        [f'spec.drivers[0].nodeID: Invalid value: "{"n" * 257}": must be 256 characters or less'],
    ),
    (NODES, node({"topologyKeys": ["a", "a"]}), ['spec.drivers[0].topologyKeys: Duplicate value: "a"']),
    (NODES, node({"topologyKeys": [""]}), ["spec.drivers[0]: Required value"]),
    (CAPACITIES, capacity(capacity="1Gi", nodeTopology={}), []),
    (
        CAPACITIES,
        capacity(maximumVolumeSize="-1"),
        ['maximumVolumeSize: Invalid value: "-1": must be greater than or equal to 0'],
    ),
    (ATTACHMENTS, attachment(), []),
    (ATTACHMENTS, attachment(source={}), [f"spec.source: Required value: {EXACTLY_ONE}"]),
    (
        ATTACHMENTS,
        attachment(source={"persistentVolumeName": "v", "inlineVolumeSpec": {}}),
        [f"spec.source: Forbidden: {EXACTLY_ONE}"],
    ),
    (
        ATTACHMENTS,
        attachment(source={"persistentVolumeName": ""}),
        ["spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName"],
    ),
    (ATTACHMENTS, attachment(source={"inlineVolumeSpec": {"accessModes": ["ReadWriteOnce"], "csi": CSI}}), []),
    (
        ATTACHMENTS,
        attachment(
            source={
                "inlineVolumeSpec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "1Gi"},
                    "claimRef": {"name": "c"},
                    "nfs": {"server": "s", "path": "/"},
                    "persistentVolumeReclaimPolicy": "Delete",
                    "storageClassName": "c",
                    "volumeMode": "Block",
                }
            }
        ),
        [
            f"spec.source.inlineVolumeSpec.claimRef: Forbidden: {INLINE}",
            f"spec.source.inlineVolumeSpec.capacity: Forbidden: {INLINE}",
            "spec.source.inlineVolumeSpec.csi: Required value: has to be specified in the context of inline volumes",
            "spec.source.inlineVolumeSpec.persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context "
            "of inline volumes",
            f"spec.source.inlineVolumeSpec.storageClassName: Forbidden: {INLINE}",
            "spec.source.inlineVolumeSpec.volumeMode: Forbidden: may not specify volumeMode other than Filesystem in "
            "the context of inline volumes",
        ],
    ),
    (ATTRIBUTES, attributes(), []),
    (ATTRIBUTES, attributes(parameters={}), ["parameters: Required value: must contain at least one key/value pair"]),
]


@pytest.mark.parametrize(("resource", "document", "expected"), BAD)
def test_bad_objects(resource: Resource[Any], document: Dict, expected: list[str]) -> None:
    assert problems(resource, document) == expected


@pytest.mark.parametrize(
    ("resource", "old", "new", "expected"),
    [
        (CLASSES, storage_class(), storage_class(allowVolumeExpansion=True, mountOptions=["ro"]), []),
        (
            CLASSES,
            storage_class(),
            storage_class(parameters={"a": "b"}),
            ['parameters: Invalid value: {"a":"b"}: field is immutable'],
        ),
        (NODES, node({}), node({"allocatable": {"count": 3}}), []),
        (NODES, node({}), node({}, {"name": "e.example"}), []),
        (NODES, node({}), node(), []),
        (
            NODES,
            node({}),
            node({"nodeID": "m"}),
            ['CSINodeDriver: Invalid value: {"name":"d.example","nodeID":"m","topologyKeys":null}: field is immutable'],
        ),
        (
            CAPACITIES,
            capacity(nodeTopology={"matchLabels": {"a": "b"}}),
            capacity(),
            [f"nodeTopology: Invalid value: null: {IMMUTABLE}"],
        ),
        (CAPACITIES, capacity(), capacity(capacity="1Gi", maximumVolumeSize="1Gi"), []),
        (
            ATTRIBUTES,
            attributes(),
            attributes(driverName="e.example"),
            ["driverName: Forbidden: updates to driverName are forbidden."],
        ),
    ],
)
def test_what_may_change(resource: Resource[Any], old: Dict, new: Dict, expected: list[str]) -> None:
    assert update_problems(resource, old, new) == expected


def test_the_status_of_an_attachment_is_short() -> None:
    status = {"attached": False, "attachError": {"time": A_DAY_AGO, "message": "m" * 1024, "errorCode": 8}}
    assert status_problems(ATTACHMENTS, attachment(), attachment(status)) == []
    status["detachError"] = {"message": "m" * 1025}
    too_long = "status.detachError.message: Too long: may not be more than 1024 bytes"
    assert status_problems(ATTACHMENTS, attachment(), attachment(status)) == [too_long]


def test_the_generation_of_a_driver_counts_its_changes() -> None:
    old = created(DRIVERS, driver())
    assert old.metadata.generation is None
    same, changed = load(DRIVERS, driver()), load(DRIVERS, driver(podInfoOnMount=True))
    for obj in (same, changed):
        DRIVERS.strategy.prepare_update(obj, old)
    assert (same.metadata.generation, changed.metadata.generation) == (None, 1)


def test_absent_lists_of_a_node_are_null() -> None:
    assert to_dict(load(NODES, node({})))["spec"]["drivers"][0]["topologyKeys"] is None
    assert to_dict(load(NODES, node()))["spec"] == {"drivers": None}


@pytest.mark.parametrize("prefix", ["storageclass.kubernetes.io/", "storageclass.beta.kubernetes.io/"])
def test_a_class_is_marked_as_the_default(prefix: str) -> None:
    marked = {**META, "annotations": {f"{prefix}is-default-class": "true"}}
    assert is_default_class(load(CLASSES, storage_class(metadata=marked)))
    assert row(CLASSES, storage_class(metadata=marked))["Name"] == "x (default)"
    marked["annotations"] = {f"{prefix}is-default-class": "yes"}
    assert not is_default_class(load(CLASSES, storage_class(metadata=marked)))


def test_the_rows() -> None:
    assert row(DRIVERS, driver(tokenRequests=[{"audience": "a"}, {"audience": "b"}])) == {
        "Name": "x",
        "AttachRequired": True,
        "PodInfoOnMount": False,
        "StorageCapacity": False,
        "TokenRequests": "a,b",
        "RequiresRepublish": False,
        "Modes": "Persistent",
        "Age": "24h",
    }
    assert row(ATTACHMENTS, attachment({"attached": True})) == {
        "Name": "x",
        "Attacher": "a.example",
        "PV": "v",
        "Node": "n",
        "Attached": True,
        "Age": "24h",
    }
    assert row(NODES, node({}, {}))["Drivers"] == 2
    assert row(CAPACITIES, capacity()) == {"Name": "x", "Created At": A_DAY_AGO}
    assert row(ATTRIBUTES, attributes()) == {"Name": "x", "DriverName": "d.example", "Age": "24h"}
