"""ResourceClaim, ResourceClaimTemplate, DeviceClass and ResourceSlice."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import to_dict
from kubeapi.resource.deviceclass import RESOURCE as CLASSES
from kubeapi.resource.resourceclaim.resource import RESOURCE as CLAIMS
from kubeapi.resource.resourceclaimtemplate import RESOURCE as TEMPLATES
from kubeapi.resource.resourceslice import RESOURCE as SLICES
from tests.kits.kinds import A_DAY_AGO, created, load, problems, row, status_problems, update_problems

Dict = dict[str, Any]

META = {"name": "x", "namespace": "ns", "creationTimestamp": A_DAY_AGO}
ONE_WAY = "exactly one of `exactly` or `firstAvailable` is required"
REFERENCE = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
NODES = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
CONFIG = {"opaque": {"driver": "d.example", "parameters": {"a": 1}}}
LABEL = "a lowercase RFC 1123 label must consist of"


def exactly(name: str = "r", **fields: Any) -> Dict:
    return {"name": name, "exactly": {"deviceClassName": "c", **fields}}


def claim(*requests: Dict, status: Dict | None = None, meta: Dict | None = None, **devices: Any) -> Dict:
    spec = {"devices": {"requests": list(requests or (exactly(),)), **devices}}
    return {"metadata": {**META, **(meta or {})}, "spec": spec, "status": status or {}}


def selecting(expression: str) -> Dict:
    return {"selectors": [{"cel": {"expression": expression}}]}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"name": "r"}, {"spec.devices.requests[0]": ONE_WAY}),
        (
            {**exactly(), "firstAvailable": [{"name": "a", "deviceClassName": "c"}]},
            {"spec.devices.requests[0]": ONE_WAY},
        ),
        (exactly("R"), {"spec.devices.requests[0].name": LABEL}),
        (exactly(deviceClassName=""), {"spec.devices.requests[0].exactly.deviceClassName": "Required"}),
        (exactly(deviceClassName="C"), {"spec.devices.requests[0].exactly.deviceClassName": "subdomain"}),
        (exactly(allocationMode="Some"), {"spec.devices.requests[0].exactly.allocationMode": '"All", "ExactCount"'}),
        (exactly(allocationMode="All", count=2), {"spec.devices.requests[0].exactly.count": "must not be specified"}),
        (exactly(count=-1), {"spec.devices.requests[0].exactly.count": "must be greater than zero"}),
        (exactly(selectors=[{}]), {"spec.devices.requests[0].exactly.selectors[0].cel": "Required"}),
        (
            exactly(selectors=[{"cel": {"expression": "true"}}] * 33),
            {"spec.devices.requests[0].exactly.selectors": "32"},
        ),
        (
            {"name": "r", "firstAvailable": [{"name": "a", "deviceClassName": "c"}, {"name": "a"}]},
            {
                "spec.devices.requests[0].firstAvailable[1].deviceClassName": "Required",
                "spec.devices.requests[0].firstAvailable[1]": 'Duplicate value: "a"',
            },
        ),
        (
            {"name": "r", "firstAvailable": [{"name": "a"}] * 9},
            {"spec.devices.requests[0].firstAvailable": "at most 8"},
        ),
    ],
)
def test_what_is_wrong_with_a_request(request_: Dict, expected: Dict) -> None:
    assert_problems(problems(CLAIMS, claim(request_)), expected)


def assert_problems(found: list[str], expected: Dict) -> None:
    paths = [problem.partition(": ")[0] for problem in found]
    assert set(paths) == expected.keys(), found
    for path, problem in zip(paths, found, strict=True):
        assert expected[path] in problem, problem


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ({"constraints": [{"matchAttribute": "d.example/numa"}]}, {}),
        ({"constraints": [{"requests": ["r", "q/a"], "matchAttribute": "d.example/numa"}]}, {}),
        ({"constraints": [{}]}, {"spec.devices.constraints[0].matchAttribute": "Required"}),
        ({"constraints": [{"matchAttribute": "numa"}]}, {"spec.devices.constraints[0].matchAttribute": "slash"}),
        (
            {"constraints": [{"matchAttribute": "d.example/1"}]},
            {"spec.devices.constraints[0].matchAttribute": "valid C"},
        ),
        (
            {"constraints": [{"matchAttribute": "/a"}]},
            {"spec.devices.constraints[0].matchAttribute": "domain must not"},
        ),
        ({"constraints": [{"matchAttribute": "d/"}]}, {"spec.devices.constraints[0].matchAttribute": "name must not"}),
        ({"constraints": [{"matchAttribute": "d/a/b"}]}, {"spec.devices.constraints[0].matchAttribute": "one slash"}),
        (
            {"constraints": [{"requests": ["z", "r/a", "r", "r"], "matchAttribute": "d.example/numa"}]},
            {
                "spec.devices.constraints[0].requests[0]": REFERENCE,
                "spec.devices.constraints[0].requests[1]": REFERENCE,
                "spec.devices.constraints[0].requests[3]": "Duplicate",
            },
        ),
        ({"config": [{**CONFIG, "requests": ["q/a/b"]}]}, {"spec.devices.config[0].requests[0]": REFERENCE}),
        ({"config": [{}]}, {"spec.devices.config[0].opaque": "Required"}),
        (
            {"config": [{"opaque": {}}]},
            {
                "spec.devices.config[0].opaque.driver": "Required",
                "spec.devices.config[0].opaque.parameters": "Required",
            },
        ),
        (
            {"config": [{"opaque": {"driver": "d.example", "parameters": {"a": "x" * 10240}}}]},
            {"spec.devices.config[0].opaque.parameters": "may not be more than 10240 bytes"},
        ),
    ],
)
def test_what_is_wrong_with_a_claim(devices: Dict, expected: Dict) -> None:
    alternatives = {"name": "q", "firstAvailable": [{"name": "a", "deviceClassName": "c"}]}
    assert_problems(problems(CLAIMS, claim(exactly(), alternatives, **devices)), expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("device.driver == 'd.example' && device.attributes['d.example'].model == 'x'", ""),
        ("device.capacity['d.example'].memory.compareTo(quantity('1Gi')) >= 0", ""),
        ("cel.bind(own, device.attributes['d.example'], own.fast && own.cores > 2)", ""),
        ("device.attributes['d.example'].version.isGreaterThan(semver('1.0.0'))", ""),
        ("device.attributes.exists(d, device.attributes[d].exists(n, n.matches('^a')))", ""),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        ("device.nope == 1", "compilation failed: ERROR: <input>"),
        ("device.driver ==", "compilation failed: ERROR: <input>"),
        ("true" + " " * 10240, "may not be more than 10240 bytes"),
        (
            "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, "
            "a + b + c + d != ''))))",
            "too complex, exceeds cost limit",
        ),
    ],
)
def test_selectors_are_compiled(expression: str, expected: str) -> None:
    found = problems(CLASSES, {"metadata": {"name": "c"}, "spec": selecting(expression)})
    assert_problems(found, {"spec.selectors[0].cel.expression": expected} if expected else {})


def test_defaults_and_fields_of_features_that_are_off() -> None:
    sent = claim(
        exactly(tolerations=[{"key": "a"}], capacity={"requests": {"m": "1"}}),
        {"name": "q", "firstAvailable": [{"name": "a", "deviceClassName": "c", "allocationMode": "All"}]},
        constraints=[{"matchAttribute": "d/a", "distinctAttribute": "d/b"}],
    )
    assert to_dict(created(CLAIMS, sent).spec) == {
        "devices": {
            "requests": [
                {"name": "r", "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}},
                {"name": "q", "firstAvailable": [{"deviceClassName": "c", "allocationMode": "All", "name": "a"}]},
            ],
            "constraints": [{"matchAttribute": "d/a"}],
        }
    }
    device = {
        "name": "d",
        "taints": [{"key": "a"}],
        "nodeName": "n",
        "capacity": {"m": {"value": "1", "requestPolicy": {}}},
    }
    stored = created(SLICES, slice_(devices=[device], perDeviceNodeSelection=True, sharedCounters=[{}]))
    assert to_dict(stored.spec)["devices"] == [{"name": "d", "capacity": {"m": {"value": "1"}}}]


def test_specs_of_claims_and_templates_stay() -> None:
    assert [text.partition(":")[0] for text in update_problems(CLAIMS, claim(), claim(exactly("z")))] == ["spec"]
    template, other = ({"metadata": META, "spec": {"spec": claim(exactly(name))["spec"]}} for name in "ab")
    assert problems(TEMPLATES, template) == []
    assert_problems(update_problems(TEMPLATES, template, other), {"spec": "field is immutable"})
    wrong = {"metadata": META, "spec": {"metadata": {"labels": {"a b": "c"}}, "spec": claim(exactly("R"))["spec"]}}
    assert_problems(
        problems(TEMPLATES, wrong), {"spec.metadata.labels": "a b", "spec.spec.devices.requests[0].name": LABEL}
    )


# Status

RESULT = {"request": "r", "driver": "d.example", "pool": "p", "device": "x"}
ALLOCATED = {"allocation": {"devices": {"results": [RESULT]}}}
USER = {"resource": "pods", "name": "p", "uid": "u"}
DEVICE = {"driver": "d.example", "pool": "p", "device": "x"}
CONDITION = {"type": "Ready", "status": "True", "reason": "Up", "message": "", "lastTransitionTime": A_DAY_AGO}


@pytest.mark.parametrize(
    ("status", "old", "expected"),
    [
        (ALLOCATED, {}, {}),
        ({**ALLOCATED, "reservedFor": [USER]}, {}, {}),
        ({}, {**ALLOCATED, "reservedFor": [USER]}, {}),
        ({"reservedFor": [USER]}, {}, {"status.reservedFor": "may not be specified when `allocated` is not set"}),
        (
            {**ALLOCATED, "reservedFor": [USER, USER, {}]},
            ALLOCATED,
            {
                "status.reservedFor[1]": "Duplicate",
                **dict.fromkeys(
                    [f"status.reservedFor[2].{field}" for field in ("resource", "name", "uid")], "Required"
                ),
            },
        ),
        (
            {"allocation": {"devices": {"results": [{**RESULT, "device": "y"}]}}},
            ALLOCATED,
            {"status.allocation": "field is immutable"},
        ),
        (
            {
                "allocation": {
                    "devices": {"results": [{**RESULT, "request": "z", "pool": "P", "driver": "", "device": ""}]}
                }
            },
            {},
            {
                "status.allocation.devices.results[0].request": REFERENCE,
                "status.allocation.devices.results[0].driver": "Required",
                "status.allocation.devices.results[0].pool": "subdomain",
                "status.allocation.devices.results[0].device": LABEL,
            },
        ),
        (
            {
                "allocation": {
                    "devices": {"config": [{**CONFIG, "source": "X"}]},
                    "nodeSelector": {"nodeSelectorTerms": []},
                }
            },
            {},
            {
                "status.allocation.devices.config[0].source": '"FromClaim", "FromClass"',
                "status.allocation.nodeSelector.nodeSelectorTerms": "Required",
            },
        ),
        ({**ALLOCATED, "devices": [{**DEVICE, "conditions": [CONDITION], "data": {"a": 1}}]}, ALLOCATED, {}),
        ({**ALLOCATED, "devices": [{**DEVICE, "device": "y"}]}, ALLOCATED, {"status.devices[0]": "allocated device"}),
        ({**ALLOCATED, "devices": [DEVICE, DEVICE]}, ALLOCATED, {"status.devices[1]": "Duplicate"}),
        (
            {**ALLOCATED, "devices": [{**DEVICE, "conditions": [CONDITION, {"type": "Ready", "reason": "-"}]}]},
            ALLOCATED,
            {
                "status.devices[0].conditions[1].status": "Unsupported value",
                "status.devices[0].conditions[1].lastTransitionTime": "Required",
                "status.devices[0].conditions[1].reason": "must start with alphabetic",
                "status.devices[0].conditions[1].type": "Duplicate",
            },
        ),
        (
            {
                **ALLOCATED,
                "devices": [
                    {
                        **DEVICE,
                        "data": {"a": "x" * 10240},
                        "networkData": {
                            "interfaceName": "x" * 257,
                            "hardwareAddress": "x" * 129,
                            "ips": ["10.0.0.1/24", "10.0.0.1", "FD00::1/64"],
                        },
                    }
                ],
            },
            ALLOCATED,
            {
                "status.devices[0].data": "10240",
                "status.devices[0].networkData.interfaceName": "256",
                "status.devices[0].networkData.hardwareAddress": "128",
                "status.devices[0].networkData.ips[1]": "CIDR form",
                "status.devices[0].networkData.ips[2]": 'canonical form ("fd00::1/64")',
            },
        ),
    ],
)
def test_what_may_stand_in_the_status(status: Dict, old: Dict, expected: Dict) -> None:
    assert_problems(status_problems(CLAIMS, claim(status=old), claim(status=status)), expected)


def test_a_deleted_claim_gets_no_new_users() -> None:
    leaving = {"deletionTimestamp": A_DAY_AGO}
    new = claim(status={**ALLOCATED, "reservedFor": [USER]}, meta=leaving)
    found = status_problems(CLAIMS, claim(status=ALLOCATED, meta=leaving), new)
    assert_problems(found, {"status.reservedFor": "new entries may not be added"})
    assert status_problems(CLAIMS, new, new) == []


def test_the_state_of_a_device_goes_with_its_allocation() -> None:
    old = load(CLAIMS, claim(status={**ALLOCATED, "devices": [DEVICE]}))
    new = load(CLAIMS, claim(status={"devices": [DEVICE]}))
    CLAIMS.strategy.prepare_status_update(new, old)
    assert new.status.devices is None


@pytest.mark.parametrize(
    ("status", "meta", "state"),
    [
        ({}, {}, "pending"),
        (ALLOCATED, {}, "allocated"),
        ({**ALLOCATED, "reservedFor": [USER]}, {}, "allocated,reserved"),
        ({}, {"deletionTimestamp": A_DAY_AGO}, "deleted"),
        (ALLOCATED, {"deletionTimestamp": A_DAY_AGO}, "deleted,allocated"),
    ],
)
def test_the_state_of_a_claim(status: Dict, meta: Dict, state: str) -> None:
    assert row(CLAIMS, claim(status=status, meta=meta)) == {"Name": "x", "State": state, "Age": "24h"}


# Slices


def slice_(**spec: Any) -> Dict:
    pool = {"name": "p", "resourceSliceCount": 1}
    return {"metadata": {"name": "s"}, "spec": {"driver": "d.example", "pool": pool, "nodeName": "n", **spec}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {}),
        ({"driver": ""}, {"spec.driver": "Required"}),
        ({"pool": {}}, {"spec.pool.name": "Required", "spec.pool.resourceSliceCount": "greater than zero"}),
        (
            {"pool": {"name": "a//b", "resourceSliceCount": 1, "generation": -1}},
            {"spec.pool.name": "subdomain", "spec.pool.generation": "equal to zero"},
        ),
        ({"pool": {"name": "a" * 254, "resourceSliceCount": 1}}, {"spec.pool.name": "253"}),
        ({"nodeName": None}, {"spec": NODES}),
        ({"nodeName": ""}, {"spec.nodeName": "non-empty", "spec": NODES}),
        ({"nodeName": "N"}, {"spec.nodeName": "subdomain"}),
        ({"allNodes": True}, {"spec": "{`nodeName`, `allNodes`}"}),
        ({"allNodes": False}, {"spec.allNodes": "must be either unset or set to true"}),
        (
            {"nodeName": None, "nodeSelector": {"nodeSelectorTerms": []}},
            {"spec.nodeSelector.nodeSelectorTerms": "one node selector term"},
        ),
        ({"devices": [{"name": "d"}] * 129}, {"spec.devices": "at most 128"}),
        ({"devices": [{"name": "d"}, {"name": "d"}]}, {"spec.devices[1]": 'Duplicate value: "d"'}),
        (
            {"devices": [{"name": "D", "attributes": {f"a{number}": {"int": 1} for number in range(33)}}]},
            {"spec.devices[0].name": LABEL, "spec.devices[0]": "must not exceed 32"},
        ),
        (
            {"devices": [{"name": "d", "attributes": {"a": {}, "b": {"int": 1, "bool": False}, "a-b": {"int": 0}}}]},
            {
                "spec.devices[0].attributes[a]": "exactly one value",
                "spec.devices[0].attributes[b]": "exactly one value",
                "spec.devices[0].attributes": "valid C identifier",
            },
        ),
        (
            {"devices": [{"name": "d", "attributes": {"a": {"version": "1.2"}, "b": {"string": "x" * 65}}}]},
            {"spec.devices[0].attributes[a].version": "semver.org", "spec.devices[0].attributes[b].string": "64"},
        ),
        (
            {"devices": [{"name": "d", "attributes": {"x/" + "a" * 33: {"bool": True}}}]},
            {"spec.devices[0].attributes": "32"},
        ),
        ({"devices": [{"name": "d", "capacity": {"9": {"value": "1"}}}]}, {"spec.devices[0].capacity": "valid C"}),
    ],
)
def test_what_is_wrong_with_a_slice(spec: Dict, expected: Dict) -> None:
    assert_problems(problems(SLICES, slice_(**spec)), expected)


def test_what_stays_in_a_slice() -> None:
    other = slice_(driver="e.example", nodeName="m", pool={"name": "q", "resourceSliceCount": 1})
    fixed = dict.fromkeys(["spec.driver", "spec.nodeName", "spec.pool.name"], "field is immutable")
    assert_problems(update_problems(SLICES, slice_(), other), fixed)
    assert update_problems(SLICES, slice_(), slice_(devices=[{"name": "d"}])) == []


def test_the_columns_and_fields_of_a_slice() -> None:
    old = {**slice_(), "metadata": {"name": "s", "creationTimestamp": A_DAY_AGO}}
    assert row(SLICES, old) == {"Name": "s", "Node": "n", "Driver": "d.example", "Pool": "p", "Age": "24h"}
    obj = load(SLICES, slice_())
    fields = {name: value(obj) for name, value in SLICES.fields.items()}
    assert fields == {"spec.nodeName": "n", "spec.driver": "d.example"}
