"""Reads by revision: watch-lists, lists of the past, tokens that expire, answers in other shapes and formats."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest
import yaml

from apimachinery.catalogue import load_catalogue
from apiserver.codec.tables import transform_watch
from apiserver.http.negotiation import Representation
from apiserver.storage.cache.watchers import bookmark
from apiserver.storage.interface import BOOKMARK, WatchEvent
from tests.kits.control_plane.apiserver import ApiServer, as_item
from tests.kits.control_plane.etcd import EtcdServer

MERGE = {"content-type": "application/merge-patch+json"}
WATCH_LIST = {
    "watch": "1",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
    "timeoutSeconds": "30",
}
END = {"k8s.io/initial-events-end": "true"}


def shape(name: str, version: str = "v1", form: str = "json") -> dict[str, str]:
    return {"accept": f"application/{form};as={name};g=meta.k8s.io;v={version}"}


@pytest.fixture
def configmaps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def make(api: ApiServer, collection: str, name: str) -> dict[str, Any]:
    answer = api.http.post(collection, json={"metadata": {"name": name, "labels": {"n": name}}, "data": {"n": name}})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def revision(obj: dict[str, Any]) -> int:
    return int(obj["metadata"]["resourceVersion"])


def events(answer: httpx.Response, count: int) -> list[dict[str, Any]]:
    assert answer.status_code == 200
    lines = answer.iter_lines()
    return [json.loads(next(lines)) for _ in range(count)]


# Watch-lists


@pytest.mark.parametrize("version", ["", "0", "made"])
def test_a_watch_list_is_what_is_there_then_its_end_then_what_happens(
    api: ApiServer, configmaps: str, version: str
) -> None:
    made = [make(api, configmaps, name) for name in ("a", "b")]
    given = str(revision(made[1])) if version == "made" else version
    api.http.get(configmaps)  # the cache has both now
    with api.http.stream("GET", configmaps, params=WATCH_LIST | {"resourceVersion": given}) as answer:
        first, second, mark = events(answer, 3)
    assert [(event["type"], event["object"]) for event in (first, second)] == [("ADDED", obj) for obj in made]
    assert (mark["type"], mark["object"]["kind"], mark["object"]["metadata"]["annotations"]) == (
        BOOKMARK,
        "ConfigMap",
        END,
    )
    assert revision(mark["object"]) >= revision(made[1])


def test_only_who_takes_bookmarks_is_told_the_end(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, "a")
    query = WATCH_LIST | {"allowWatchBookmarks": "false", "timeoutSeconds": "1"}
    lines = api.http.get(configmaps, params=query).text.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["ADDED"]


def test_a_watch_list_of_a_selection(api: ApiServer, configmaps: str) -> None:
    for name in ("a", "b"):
        make(api, configmaps, name)
    with api.http.stream("GET", configmaps, params=WATCH_LIST | {"labelSelector": "n=b"}) as answer:
        first, mark = events(answer, 2)
    assert (first["object"]["metadata"]["name"], mark["type"]) == ("b", BOOKMARK)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_watch_list_of_metadata(api: ApiServer, configmaps: str, version: str) -> None:
    made = make(api, configmaps, "a")
    with api.http.stream(
        "GET", configmaps, params=WATCH_LIST, headers=shape("PartialObjectMetadata", version)
    ) as answer:
        first, mark = events(answer, 2)
    kind = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}"}
    assert first["object"] == kind | {"metadata": made["metadata"]}
    assert (mark["object"]["kind"], mark["object"]["metadata"]["annotations"]) == ("PartialObjectMetadata", END)


def test_a_watch_list_of_tables(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, "a")
    with api.http.stream("GET", configmaps, params=WATCH_LIST, headers=shape("Table")) as answer:
        first, mark = events(answer, 2)
    assert (first["object"]["kind"], first["object"]["rows"][0]["cells"][0]) == ("Table", "a")
    assert mark["object"]["rows"][0]["object"]["metadata"]["annotations"] == END


async def test_every_kind_has_a_table_row_for_a_bookmark() -> None:
    class One:
        def __init__(self, event: WatchEvent) -> None:
            self._event = event

        async def events(self) -> Any:
            yield [self._event]

    async def row(resource: Any) -> Any:
        watcher: Any = One(bookmark(resource, 7, initial_events_end=True))
        chunks = [chunk async for chunk in transform_watch(resource, watcher, Representation("Table"), "Metadata")]
        return json.loads(chunks[0])["object"]["rows"][0]

    for resource in load_catalogue():
        assert (await row(resource))["object"]["metadata"]["annotations"] == END


def test_a_watch_list_from_the_future_is_an_error_event(api: ApiServer, configmaps: str) -> None:
    text = api.http.get(configmaps, params=WATCH_LIST | {"resourceVersion": "999999999"}).text
    event = json.loads(text)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 504, "Timeout")
    assert event["object"]["message"].startswith("Timeout: Too large resource version: 999999999, current: ")
    assert event["object"]["details"] == {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }


# Revisions and pages


def test_what_etcd_no_longer_has_is_expired(tmp_path: Any) -> None:
    """Compaction, and a server started after it: the ring is empty, and etcd's history gone."""
    with EtcdServer(tmp_path) as etcd, ApiServer(tmp_path / "apiserver", etcd.url) as api:
        configmaps = "/api/v1/namespaces/default/configmaps"
        made = [make(api, configmaps, f"c{number}") for number in range(4)]
        page = api.http.get(configmaps, params={"limit": "2"}).json()
        then = page["metadata"]["resourceVersion"]
        last = api.http.delete(f"{configmaps}/c3")
        now = revision(api.http.get(configmaps).json())
        api.stop()
        compacted = httpx.post(f"{etcd.url}/v3/kv/compaction", json={"revision": now, "physical": True})
        assert (last.status_code, compacted.status_code) == (200, 200), compacted.text
        api.start()
        exact = api.http.get(configmaps, params={"resourceVersion": then, "resourceVersionMatch": "Exact"})
        assert exact.status_code == 410
        assert exact.json()["message"] == "The resourceVersion for the provided list is too old."
        expired = api.http.get(configmaps, params={"limit": "2", "continue": page["metadata"]["continue"]})
        status = expired.json()
        assert (expired.status_code, status["reason"]) == (410, "Expired")
        assert status["message"].startswith("The provided continue parameter is too old to display a consistent list")
        rest = api.http.get(configmaps, params={"continue": status["metadata"]["continue"]}).json()
        assert rest["items"] == [as_item(made[2])]
        assert revision(rest) > int(then)
        with api.watch(configmaps, resourceVersion=then) as watch:
            kind, gone = watch.next()
            assert (watch.status, kind, gone["code"], gone["reason"]) == (200, "ERROR", 410, "Expired")
            assert gone["message"].startswith(f"too old resource version: {then} (")
            with pytest.raises(StopIteration):
                watch.next()


def test_an_old_list_is_read_again_while_etcd_has_it(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, "a")
    then = api.http.get(configmaps).json()
    for number in range(3):
        api.http.patch(f"{configmaps}/a", json={"data": {"n": str(number)}}, headers=MERGE)
    query = {"resourceVersion": then["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    assert api.http.get(configmaps, params=query).json() == then
    del query["resourceVersionMatch"]
    assert api.http.get(configmaps, params=query | {"limit": "5"}).json() == then
    assert api.http.get(configmaps, params=query).json()["items"][0]["data"] == {"n": "2"}


def test_what_remains_is_counted_where_nothing_is_selected(api: ApiServer, configmaps: str) -> None:
    for name in ("a", "b", "c"):
        make(api, configmaps, name)
    for query, remaining in ({}, 2), ({"labelSelector": "n"}, None), ({"fieldSelector": "metadata.name!=z"}, None):
        meta = api.http.get(configmaps, params={"limit": "1", **query}).json()["metadata"]
        assert (bool(meta["continue"]), meta.get("remainingItemCount")) == (True, remaining)
    last = api.http.get(configmaps, params={"limit": "3"}).json()["metadata"]
    assert set(last) == {"resourceVersion"}


# Deleting collections


def test_a_collection_is_deleted_by_selection(api: ApiServer, configmaps: str) -> None:
    for name in ("a", "b", "c"):
        make(api, configmaps, name)
    tried = api.http.delete(configmaps, params={"dryRun": "All", "labelSelector": "n=a"}).json()
    assert [item["metadata"]["name"] for item in tried["items"]] == ["a"]
    gone = api.http.delete(configmaps, params={"labelSelector": "n in (a,b)", "propagationPolicy": "Background"}).json()
    assert (gone["kind"], [item["metadata"]["name"] for item in gone["items"]]) == ("ConfigMapList", ["a", "b"])
    assert [item["metadata"]["name"] for item in api.http.get(configmaps).json()["items"]] == ["c"]
    assert api.http.delete(configmaps, params={"fieldSelector": "metadata.name=z"}).json()["items"] == []
    table = api.http.delete(configmaps, params={"dryRun": "All"}, headers=shape("Table")).json()
    assert [row["cells"][0] for row in table["rows"]] == ["c"]
    body = {"propagationPolicy": "Orphan"}
    assert api.http.request("DELETE", configmaps, json=body).status_code == 200
    left = api.http.get(configmaps).json()["items"]
    assert [item["metadata"]["finalizers"] for item in left] == [["orphan"]]


# Formats


def test_answers_come_in_yaml(api: ApiServer, configmaps: str) -> None:
    made = make(api, configmaps, "a")
    form = {"accept": "application/yaml"}
    text = {
        "metadata": {"name": "b"},
        "data": {"text": "one\ntwo\n", "yes": "yes", "number": "1", "time": "2026-01-01"},
    }
    answer = api.http.post(configmaps, json=text, headers=form)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/yaml")
    assert yaml.safe_load(answer.text)["data"] == text["data"]
    assert "  text: |\n    one\n    two\n" in answer.text
    assert yaml.safe_load(api.http.get(f"{configmaps}/a", headers=form).text) == made
    assert yaml.safe_load(api.http.get(configmaps, headers=form).text)["items"][0] == as_item(made)
    assert yaml.safe_load(api.http.get(f"{configmaps}/none", headers=form).text)["reason"] == "NotFound"
    table = yaml.safe_load(api.http.get(configmaps, headers=shape("Table", form="yaml")).text)
    assert (table["kind"], len(table["rows"])) == ("Table", 2)


def test_readers_get_indented_json(api: ApiServer, configmaps: str) -> None:
    made = make(api, configmaps, "a")
    for query, agent in (("pretty=true", "x"), ("", "curl/7.88"), ("resourceVersion=0&pretty=1", "x")):
        answer = api.http.get(f"{configmaps}/a?{query}", headers={"user-agent": agent})
        assert (answer.text.startswith('{\n  "kind"'), answer.json()) == (True, made)
    assert "\n" not in api.http.get(f"{configmaps}/a?pretty=false", headers={"user-agent": "curl/7.88"}).text


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_shapes_of_either_version(api: ApiServer, configmaps: str, version: str) -> None:
    made = make(api, configmaps, "a")
    wanted = {"apiVersion": f"meta.k8s.io/{version}", "metadata": made["metadata"], "kind": "PartialObjectMetadata"}
    asked = shape("PartialObjectMetadata", version)["accept"]
    accept = {"accept": f"{asked.replace('json', 'vnd.kubernetes.protobuf')},{asked},application/json"}
    assert api.http.get(f"{configmaps}/a", headers=accept).json() == wanted
    listing = api.http.get(configmaps, headers=shape("PartialObjectMetadataList", version)).json()
    assert (listing["apiVersion"], listing["items"]) == (f"meta.k8s.io/{version}", [wanted])
    table = api.http.get(configmaps, headers=shape("Table", version), params={"includeObject": "Object"}).json()
    assert (table["apiVersion"], table["rows"][0]["object"]) == (f"meta.k8s.io/{version}", made)


def test_small_answers_are_not_compressed_and_large_ones_say_what_they_depend_on(
    api: ApiServer, configmaps: str
) -> None:
    accept = {"accept-encoding": "gzip"}
    assert "content-encoding" not in api.http.get(configmaps, headers=accept).headers
    for number in range(3):
        api.http.post(configmaps, json={"metadata": {"name": f"c{number}"}, "data": {"a": "words " * 10_000}})
    with api.http.stream("GET", configmaps, headers=accept) as answer:
        packed = b"".join(answer.iter_raw())
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert len(json.loads(gzip.decompress(packed))["items"]) == 3
