"""Events of the core group and of events.k8s.io: one store seen through two API versions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kits.control_plane.apiserver import HAS_KUBECTL, ApiServer

Dict = dict[str, Any]

TIME = "2026-01-01T00:00:00Z"
MICRO_TIME = "2026-01-01T00:00:00.000001Z"
MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}


def old(namespace: str, name: str = "old", **more: Any) -> Dict:
    return {
        "metadata": {"name": name, "labels": {"made": "old"}},
        "involvedObject": {"kind": "Pod", "apiVersion": "v1", "name": "web", "namespace": namespace, "uid": "u-1"},
        "reason": "Started",
        "message": "it has",
        "type": "Normal",
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": TIME,
        "lastTimestamp": TIME,
        "count": 2,
        **more,
    }


def new(namespace: str, name: str = "new", **more: Any) -> Dict:
    return {
        "metadata": {"name": name},
        "eventTime": MICRO_TIME,
        "reportingController": "example.com/own",
        "reportingInstance": "own-1",
        "action": "Binding",
        "reason": "Scheduled",
        "regarding": {"kind": "Pod", "apiVersion": "v1", "name": "web", "namespace": namespace},
        "note": "goes to n1",
        "type": "Normal",
        **more,
    }


@pytest.fixture
def core(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/events"


@pytest.fixture
def view(namespace: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def names(api: ApiServer, path: str, **query: str) -> list[str]:
    answer = api.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [item["metadata"]["name"] for item in answer.json()["items"]]


def test_an_old_event_shows_in_the_new_form(api: ApiServer, core: str, view: str, namespace: str) -> None:
    made = api.http.post(core, json=old(namespace)).json()
    seen = api.http.get(f"{view}/old").json()
    assert (seen["apiVersion"], seen["kind"]) == ("events.k8s.io/v1", "Event")
    assert seen["metadata"] == made["metadata"]
    assert (seen["regarding"], seen["note"]) == (made["involvedObject"], "it has")
    assert (seen["deprecatedSource"], seen["deprecatedCount"]) == ({"component": "kubelet", "host": "n1"}, 2)
    assert seen["deprecatedFirstTimestamp"] == seen["deprecatedLastTimestamp"] == TIME
    assert not {"involvedObject", "message", "source", "count", "firstTimestamp"} & set(seen)


def test_a_new_event_shows_in_the_old_form(api: ApiServer, core: str, view: str, namespace: str) -> None:
    series = {"count": 2, "lastObservedTime": MICRO_TIME}
    answer = api.http.post(view, json=new(namespace, series=series))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["apiVersion"], answer.json()["note"]) == ("events.k8s.io/v1", "goes to n1")
    seen = api.http.get(f"{core}/new").json()
    assert (seen["apiVersion"], seen["message"]) == ("v1", "goes to n1")
    assert seen["involvedObject"]["name"] == "web"
    assert (seen["reportingComponent"], seen["eventTime"]) == ("example.com/own", MICRO_TIME)
    assert seen["series"] == series
    assert seen["source"] == {}
    assert not {"regarding", "note", "reportingController"} & set(seen)


def test_both_versions_write_the_same_object(api: ApiServer, core: str, view: str, namespace: str) -> None:
    api.http.post(view, json=new(namespace))
    patch = {"series": {"count": 3, "lastObservedTime": MICRO_TIME}}
    answer = api.http.patch(f"{view}/new", json=patch, headers=STRATEGIC)
    assert answer.json()["series"]["count"] == 3, answer.text
    seen = api.http.get(f"{core}/new").json()
    assert seen["series"]["count"] == 3
    seen["metadata"]["labels"] = {"a": "b"}
    assert api.http.put(f"{core}/new", json=seen).status_code == 200
    now = api.http.get(f"{view}/new").json()
    assert now["metadata"]["labels"] == {"a": "b"}
    assert api.http.put(f"{view}/new", json=now).json()["metadata"]["uid"] == now["metadata"]["uid"]
    stale = seen | {"metadata": seen["metadata"] | {"resourceVersion": "1"}}
    assert api.http.put(f"{core}/new", json=stale).status_code == 409
    assert api.http.delete(f"{view}/new").json()["details"]["group"] == "events.k8s.io"
    assert api.http.get(f"{core}/new").status_code == 404
    gone = api.http.get(f"{view}/new").json()
    assert gone["message"] == 'events.events.k8s.io "new" not found'


def test_lists_and_field_selectors_of_both(api: ApiServer, core: str, view: str, namespace: str) -> None:
    api.http.post(core, json=old(namespace))
    api.http.post(view, json=new(namespace))
    assert names(api, core) == names(api, view) == ["new", "old"]
    answer = api.http.get(view).json()
    assert (answer["kind"], answer["apiVersion"]) == ("EventList", "events.k8s.io/v1")
    assert names(api, view, fieldSelector="regarding.uid=u-1,reason=Started") == ["old"]
    assert names(api, core, fieldSelector="involvedObject.uid=u-1") == ["old"]
    assert names(api, view, fieldSelector="reportingController=example.com/own") == ["new"]
    assert names(api, core, fieldSelector="reportingComponent=example.com/own") == ["new"]
    assert names(api, view, fieldSelector="metadata.name!=old") == ["new"]
    assert names(api, view, labelSelector="made=old") == ["old"]
    for path, selector in ((view, "involvedObject.uid=u"), (core, "regarding.uid=u"), (view, "source=x")):
        assert api.http.get(path, params={"fieldSelector": selector}).status_code == 400
    first = api.http.get(view, params={"limit": "1"}).json()
    following = {"limit": "1", "continue": first["metadata"]["continue"]}
    assert names(api, view, **following) == ["old"]
    api.http.delete(view)
    assert names(api, core) == []


def test_watches_of_both(api: ApiServer, core: str, view: str, namespace: str) -> None:
    api.http.post(core, json=old(namespace))
    query = {"fieldSelector": "regarding.name=web", "timeoutSeconds": "20", "allowWatchBookmarks": "true"}
    query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    with api.watch(view, **query) as seen, api.watch(core, timeoutSeconds="20") as seen_old:
        kind, obj = seen.next()
        assert (kind, obj["apiVersion"], obj["note"]) == ("ADDED", "events.k8s.io/v1", "it has")
        kind, obj = seen.next()
        assert (kind, obj["apiVersion"], obj["kind"]) == ("BOOKMARK", "events.k8s.io/v1", "Event")
        assert seen_old.next()[1]["message"] == "it has"
        api.http.post(view, json=new(namespace))
        api.http.patch(f"{core}/old", json={"count": 3}, headers=MERGE)
        api.http.delete(f"{view}/old")
        assert [seen.next()[0] for _ in range(3)] == ["ADDED", "MODIFIED", "DELETED"]
        kinds = [seen_old.next() for _ in range(3)]
        assert [kind for kind, _ in kinds] == ["ADDED", "MODIFIED", "DELETED"]
        assert kinds[0][1]["message"] == "goes to n1"


BAD: list[tuple[Dict, list[str]]] = [
    ({"eventTime": None}, ["eventTime: Required value"]),
    ({"reportingController": "/b"}, ['reportingController: Invalid value: "/b": prefix part must be non-empty']),
    ({"reportingInstance": ""}, ["reportingInstance: Required value"]),
    ({"action": ""}, ["action: Required value"]),
    ({"reason": ""}, ["reason: Required value"]),
    ({"type": "Odd"}, ['type: Invalid value: "": has invalid value: Odd']),
    ({"note": "x" * 1025}, ['message: Invalid value: "": can have at most 1024 characters']),
    ({"deprecatedCount": 1}, ['count: Invalid value: "": needs to be unset']),
    ({"deprecatedFirstTimestamp": TIME}, ['firstTimestamp: Invalid value: "": needs to be unset']),
    ({"deprecatedSource": {"host": "a"}}, ['source: Invalid value: "": needs to be unset']),
    (
        {"series": {"count": 1}},
        ['series.count: Invalid value: "": should be at least 2', "series.lastObservedTime: Required value"],
    ),
]


@pytest.mark.parametrize(("change", "expected"), BAD)
def test_new_events_are_checked_strictly(
    api: ApiServer, view: str, namespace: str, change: Dict, expected: list[str]
) -> None:
    answer = api.http.post(view, json=new(namespace, **change))
    assert answer.status_code == 422, answer.text
    causes = answer.json()["details"]["causes"]
    assert [f"{cause['field']}: {cause['message']}" for cause in causes] == expected
    assert names(api, view) == []


def test_what_an_update_through_the_new_version_may_not_change(
    api: ApiServer, core: str, view: str, namespace: str
) -> None:
    api.http.post(view, json=new(namespace))
    answer = api.http.patch(f"{view}/new", json={"note": "other", "action": "Moving"}, headers=MERGE)
    assert answer.json()["message"] == (
        'Event "new" is invalid: [message: Invalid value: "other": field is immutable, '
        'action: Invalid value: "Moving": field is immutable]'
    )
    assert api.http.patch(f"{core}/new", json={"message": "other"}, headers=MERGE).status_code == 200


@pytest.mark.skipif(not HAS_KUBECTL, reason="kubectl is not on PATH")
def test_kubectl_shows_both(api: ApiServer, view: str, core: str, namespace: str) -> None:
    api.http.post(core, json=old(namespace))
    api.http.post(view, json=new(namespace))
    tables = [api.kubectl("get", kind, "-o", "wide", namespace=namespace) for kind in ("ev", "events.events.k8s.io")]
    assert "example.com/own, own-1" in tables[0].stdout
    assert sorted(tables[0].stdout.split()) == sorted(tables[1].stdout.split()), tables[1].stderr
    shown = api.kubectl("events", namespace=namespace).stdout
    assert "goes to n1" in shown
    assert "it has" in shown
