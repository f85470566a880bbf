"""PersistentVolumeClaims: their defaults, checks, and table rows, and their templates in pods."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import to_dict
from kubeapi.core.persistentvolumeclaim.resource import RESOURCE as CLAIMS
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import (
    A_DAY_AGO,
    created,
    headers,
    load,
    merged,
    pod,
    problems,
    row,
    status_problems,
    update_problems,
)

Dict = dict[str, Any]

SNAPSHOT = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
CLAIM = {"kind": "PersistentVolumeClaim", "name": "c"}
FOREIGN = {"apiGroup": "x.example", "kind": "Foo", "name": "f"}
CLASS = "volume.beta.kubernetes.io/storage-class"
SPEC_RULE = (
    "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)
REQUEST = "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"


def claim(spec: Dict | None = None, status: Dict | None = None, **meta: Any) -> Dict:
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    meta = {"name": "c", "namespace": "ns", "creationTimestamp": A_DAY_AGO, **meta}
    return {"metadata": meta, "spec": merged(base, spec or {}), "status": status or {}}


def sized(storage: str, **spec: Any) -> Dict:
    return {"resources": {"requests": {"storage": storage}}, **spec}


def test_a_claim_has_a_mode_and_is_pending() -> None:
    obj = created(CLAIMS, claim())
    assert (obj.spec.volumeMode, obj.status.phase, obj.metadata.generation) == ("Filesystem", "Pending", None)


@pytest.mark.parametrize(
    ("sent", "source", "reference"),
    [
        ({}, None, None),
        ({"dataSource": CLAIM}, CLAIM, CLAIM),
        ({"dataSource": SNAPSHOT}, SNAPSHOT, SNAPSHOT),
        ({"dataSource": FOREIGN}, None, None),
        ({"dataSourceRef": FOREIGN}, FOREIGN, FOREIGN),
        ({"dataSourceRef": {**SNAPSHOT, "namespace": "other"}}, None, None),
        ({"dataSource": CLAIM, "dataSourceRef": {**SNAPSHOT, "namespace": "other"}}, CLAIM, CLAIM),
    ],
)
def test_both_data_sources_say_the_same(sent: Dict, source: Dict | None, reference: Dict | None) -> None:
    spec = to_dict(created(CLAIMS, claim(sent)))["spec"]
    for field, expected in (("dataSource", source), ("dataSourceRef", reference)):
        shown = spec.get(field)
        assert shown == (None if expected is None else {"apiGroup": None, **expected}), field


def test_an_update_that_knows_one_data_source_alone_keeps_both() -> None:
    old, new = created(CLAIMS, claim({"dataSourceRef": FOREIGN})), load(CLAIMS, claim({"dataSourceRef": FOREIGN}))
    CLAIMS.strategy.prepare_update(new, old)
    assert new.spec == old.spec


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"accessModes": None}, ["spec.accessModes: Required value: at least 1 access mode is required"]),
        ({"resources": None}, ["spec.resources[storage]: Required value"]),
        (sized("0"), ['spec.resources[storage]: Invalid value: "0": must be greater than zero']),
        (
            {"accessModes": ["ReadWriteOncePod", "ReadWriteMany"]},
            ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
        ),
        ({"accessModes": ["ReadWriteOncePod"], "storageClassName": "", "volumeAttributesClassName": ""}, []),
        ({"volumeMode": ""}, ['spec.volumeMode: Unsupported value: "": supported values: "Block", "Filesystem"']),
        (
            {"dataSourceRef": {"kind": "Foo", "name": "f"}},
            [
                f"spec.{field}: Invalid value: \"Foo\": must be 'PersistentVolumeClaim' when referencing the default "
                "apiGroup"
                for field in ("dataSource", "dataSourceRef")
            ],
        ),
        ({"dataSource": CLAIM, "dataSourceRef": FOREIGN}, ["spec: Invalid value: {}: must match dataSourceRef"]),
        ({"dataSource": FOREIGN, "dataSourceRef": SNAPSHOT}, ["spec: Invalid value: {}: must match dataSourceRef"]),
    ],
)
def test_bad_claims(spec: Dict, expected: list[str]) -> None:
    assert problems(CLAIMS, claim(spec)) == expected


BOUND = {"phase": "Bound", "capacity": {"storage": "1Gi"}}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (claim(), claim(labels={"a": "b"}), []),
        (claim(), claim(sized("3Gi")), [SPEC_RULE]),
        (claim(), claim({"volumeName": "v"}), []),
        (claim({"volumeName": "v"}), claim({"volumeName": "w"}), [SPEC_RULE]),
        (claim({"volumeName": "v"}), claim(), [SPEC_RULE]),
        (claim(), claim({"storageClassName": "x"}), []),
        (claim({"storageClassName": ""}), claim({"storageClassName": "x"}), [SPEC_RULE]),
        (claim({"storageClassName": "x"}), claim(), [SPEC_RULE]),
        (claim(annotations={CLASS: "x"}), claim({"storageClassName": "x"}), []),
        (claim(annotations={CLASS: "x"}), claim({"storageClassName": "x"}, annotations={CLASS: "x"}), []),
        (
            claim(annotations={CLASS: "x"}),
            claim({"storageClassName": "y"}, annotations={CLASS: "x"}),
            [SPEC_RULE],
        ),
        (
            claim(annotations={CLASS: "x"}),
            claim(annotations={CLASS: "y"}),
            [f'metadata.annotations[{CLASS}]: Invalid value: "y": field is immutable'],
        ),
        (claim(status=BOUND), claim(sized("3Gi"), BOUND), []),
        (claim(status=BOUND), claim(sized("1500Mi"), BOUND), []),
        (claim(status=BOUND), claim(sized("1Gi"), BOUND), [REQUEST]),
        (claim(status=BOUND), claim({"resources": {"limits": {"storage": "9Gi"}}}, BOUND), [SPEC_RULE]),
        (claim(status=BOUND), claim({"accessModes": ["ReadWriteMany"]}, BOUND), [SPEC_RULE]),
        (claim(), claim({"volumeAttributesClassName": "a"}), [SPEC_RULE]),
        (claim(status=BOUND), claim({"volumeAttributesClassName": "a"}, BOUND), []),
        (
            claim({"volumeAttributesClassName": "a"}, BOUND),
            claim({"volumeAttributesClassName": ""}, BOUND),
            ["spec.volumeAttributesClassName: Forbidden: update from non-nil value to an empty string is forbidden"],
        ),
        (
            claim(),
            claim({"volumeMode": "Block"}),
            [SPEC_RULE, 'volumeMode: Invalid value: "Block": field is immutable'],
        ),
    ],
)
def test_what_may_change(old: Dict, new: Dict, expected: list[str]) -> None:
    assert update_problems(CLAIMS, old, {**new, "status": old["status"]}) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Odd", "capacity": {"storage": "1Gi"}, "allocatedResources": {"storage": "2Gi"}}, []),
        (
            {"capacity": {"storage": "-1"}},
            ["status.capacity[storage]: Invalid value: -1: must be a valid resource quantity"],
        ),
        (
            {"allocatedResources": {"cpu": "1", "example.com/x": "1"}},
            ['status.allocatedResources: Unsupported value: "cpu": supported values: "storage"'],
        ),
        ({"allocatedResourceStatuses": {"storage": "NodeResizePending"}}, []),
        (
            {"allocatedResourceStatuses": {"storage": "Odd"}},
            [
                'status.allocatedResourceStatus: Unsupported value: "storage": supported values: '
                '"ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", '
                '"NodeResizeInfeasible", "NodeResizePending"'
            ],
        ),
    ],
)
def test_bad_statuses(status: Dict, expected: list[str]) -> None:
    found = status_problems(CLAIMS, claim(), claim(status=status))
    assert [_sorted_values(text) for text in found] == [_sorted_values(text) for text in expected]


def _sorted_values(text: str) -> list[str]:
    return sorted(text.split('"'))


def test_the_row_of_a_claim() -> None:
    cells = row(CLAIMS, claim({"storageClassName": "gold"}))
    assert cells == {
        "Name": "c",
        "Status": "Pending",
        "Volume": "",
        "Capacity": "",
        "Access Modes": "",
        "StorageClass": "gold",
        "VolumeAttributesClass": "<unset>",
        "Age": "24h",
        "VolumeMode": "Filesystem",
    }
    assert headers(CLAIMS, wide=True) == ["VolumeMode"]
    bound = claim({"volumeName": "v"}, {**BOUND, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]})
    cells = row(CLAIMS, merged(bound, {"metadata": {"annotations": {CLASS: "old"}, "deletionTimestamp": A_DAY_AGO}}))
    shown = [cells[name] for name in ("Status", "Volume", "Capacity", "Access Modes", "StorageClass")]
    assert shown == ["Terminating", "v", "1Gi", "RWO,RWX", "old"]


def test_warnings_name_the_old_annotation_and_fractions_of_bytes() -> None:
    warnings = CLAIMS.strategy.create_warnings(created(CLAIMS, claim(sized("100m"), annotations={CLASS: "x"})))
    assert warnings == [
        f'metadata.annotations[{CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead',
        'spec.resources.requests[storage]: fractional byte value "100m" is invalid, must be an integer',
    ]


def with_template(template: Dict, name: str = "p") -> Dict:
    volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": template}}
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
    return merged(pod(spec), {"metadata": {"name": name}})


def test_templates_in_pods_are_checked_as_claims_are() -> None:
    at = "spec.volumes[0].ephemeral.volumeClaimTemplate"
    assert problems(PODS, with_template({"spec": claim()["spec"]})) == []
    bad = {"metadata": {"name": "own", "labels": {"a": "b"}}, "spec": claim(sized("0", volumeMode="X"))["spec"]}
    assert problems(PODS, with_template(bad)) == [
        f"{at}.metadata.name: Forbidden: cannot be set",
        f'{at}.spec.resources[storage]: Invalid value: "0": must be greater than zero',
        f'{at}.spec.volumeMode: Unsupported value: "X": supported values: "Block", "Filesystem"',
    ]
    warnings = PODS.strategy.create_warnings(created(PODS, with_template({"spec": claim(sized("100m"))["spec"]})))
    assert warnings == [
        f'{at}.spec.resources.requests[storage]: fractional byte value "100m" is invalid, must be an integer'
    ]


def test_the_claim_of_a_pod_must_have_a_name_that_claims_can_have() -> None:
    name = "p" * 252
    [problem] = problems(PODS, with_template({"spec": claim()["spec"]}, name))
    text = "must be no more than 253 characters"
    assert problem == f'spec.volumes[0].name: Invalid value: "v": PVC name "{name}-v": {text}'
