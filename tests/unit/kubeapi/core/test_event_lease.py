from typing import Any

import pytest

from apimachinery.model import to_dict
from kubeapi.coordination.lease import RESOURCE as LEASES
from kubeapi.core.event import RESOURCE as EVENTS
from tests.kits.kinds import AN_HOUR_AGO, FIVE_MINUTES_AGO, headers, load, merged, problems, row

QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
OTHER = "does not match event.namespace"
OLD: dict[str, Any] = {
    "metadata": {"name": "e", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default", "fieldPath": "spec.containers{app}"},
    "reason": "Started",
    "message": "Started container app\n",
    "type": "Normal",
    "source": {"component": "kubelet", "host": "worker-1"},
    "firstTimestamp": AN_HOUR_AGO,
    "lastTimestamp": FIVE_MINUTES_AGO,
    "count": 3,
}
NEW: dict[str, Any] = {
    "metadata": {"name": "e", "namespace": "default"},
    "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default"},
    "eventTime": "2027-01-15T07:00:00.000000Z",
    "reportingComponent": "example.com/own",
    "reportingInstance": "own-1",
    "action": "Binding",
    "reason": "Scheduled",
}


def at(namespace: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace}}


def about(namespace: str | None) -> dict[str, Any]:
    return {"involvedObject": {"namespace": namespace}}


EVENT_CASES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (OLD, {}, []),
    (OLD, about(None), []),
    (OLD, {**at("team"), **about(None)}, [f'involvedObject.namespace: Invalid value: "": {OTHER}']),
    (OLD, about("team"), [f'involvedObject.namespace: Invalid value: "team": {OTHER}']),
    (OLD, {**at("team"), **about("team")}, []),
    (NEW, {}, []),
    (NEW, {**at("kube-system"), **about(None)}, []),
    (NEW, {**at("team"), **about(None)}, [f'involvedObject.namespace: Invalid value: "": {OTHER}']),
    (NEW, about("elsewhere"), []),
    (
        NEW,
        {"reportingComponent": None},
        [
            "reportingComponent: Required value",
            'reportingComponent: Invalid value: "": name part must be non-empty',
            f'reportingComponent: Invalid value: "": {QUALIFIED}',
        ],
    ),
    (NEW, {"reportingComponent": "a b"}, [f'reportingComponent: Invalid value: "a b": {QUALIFIED}']),
    (NEW, {"reportingInstance": None}, ["reportingInstance: Required value"]),
    (NEW, {"action": None}, ["action: Required value"]),
    (NEW, {"reason": None}, ["reason: Required value"]),
    (NEW, {"action": "a" * 129}, ['action: Invalid value: "": can have at most 128 characters']),
    (NEW, {"message": "a" * 1025}, ['message: Invalid value: "": can have at most 1024 characters']),
]


@pytest.mark.parametrize(("base", "change", "expected"), EVENT_CASES)
def test_each_fault_of_an_event_is_named(base: dict[str, Any], change: dict[str, Any], expected: list[str]) -> None:
    assert problems(EVENTS, merged(base, change)) == expected


def test_event_columns() -> None:
    assert headers(EVENTS, wide=False) == ["Last Seen", "Type", "Reason", "Object", "Message"]
    assert headers(EVENTS, wide=True) == ["Subobject", "Source", "First Seen", "Count", "Name"]
    assert row(EVENTS, OLD) == {
        "Last Seen": "5m",
        "Type": "Normal",
        "Reason": "Started",
        "Object": "pod/web",
        "Subobject": "spec.containers{app}",
        "Source": "kubelet, worker-1",
        "Message": "Started container app",
        "First Seen": "60m",
        "Count": 3,
        "Name": "e",
    }


@pytest.mark.parametrize(
    ("change", "last", "first", "count"),
    [
        ({}, "60m", "60m", 1),
        ({"series": {"count": 7, "lastObservedTime": "2027-01-15T07:55:00.000000Z"}}, "5m", "60m", 7),
        ({"eventTime": None}, "<unknown>", "<unknown>", 1),
    ],
)
def test_newer_events_tell_their_times_otherwise(change: dict[str, Any], last: str, first: str, count: int) -> None:
    cells = row(EVENTS, merged(NEW, change))
    assert (cells["Last Seen"], cells["First Seen"], cells["Count"]) == (last, first, count)
    assert cells["Source"] == "example.com/own, own-1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("involvedObject.kind", "Pod"),
        ("involvedObject.name", "web"),
        ("involvedObject.namespace", "default"),
        ("involvedObject.fieldPath", "spec.containers{app}"),
        ("involvedObject.uid", ""),
        ("involvedObject.apiVersion", ""),
        ("involvedObject.resourceVersion", ""),
        ("reason", "Started"),
        ("type", "Normal"),
        ("source", "kubelet"),
        ("reportingComponent", ""),
    ],
)
def test_the_fields_that_events_are_selected_by(field: str, value: str) -> None:
    assert EVENTS.fields[field](load(EVENTS, OLD)) == value


LEASE: dict[str, Any] = {
    "metadata": {"name": "worker-1", "namespace": "kube-node-lease"},
    "spec": {"holderIdentity": "worker-1", "leaseDurationSeconds": 40, "renewTime": "2027-01-15T07:55:00.000000Z"},
}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"leaseDurationSeconds": 0}, ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]),
        ({"leaseTransitions": -1}, ["spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)
def test_each_fault_of_a_lease_is_named(spec: dict[str, Any], expected: list[str]) -> None:
    assert problems(LEASES, merged(LEASE, {"spec": spec})) == expected


def test_the_fields_of_coordinated_leader_election_are_dropped() -> None:
    lease = load(LEASES, merged(LEASE, {"spec": {"strategy": "OldestEmulationVersion", "preferredHolder": "b"}}))
    LEASES.strategy.prepare_create(lease)
    assert to_dict(lease.spec) == LEASE["spec"]


def test_leases_are_updated_with_a_revision_and_may_be_put_into_being() -> None:
    assert not LEASES.strategy.allow_unconditional_update
    assert LEASES.strategy.allow_create_on_update


def test_lease_columns() -> None:
    assert headers(LEASES, wide=False) == ["Name", "Holder", "Age"]
    assert row(LEASES, LEASE)["Holder"] == "worker-1"
