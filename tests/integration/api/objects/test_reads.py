"""Lists, pages, selectors, resourceVersion, watches, Tables and discovery."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer, Watch, as_item
from tests.kits.eventually import eventually

TABLE = {"accept": "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"}
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture
def configmaps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def make(api: ApiServer, collection: str, name: str, **labels: str) -> dict[str, Any]:
    body: dict[str, Any] = {"metadata": {"name": name, "labels": labels}, "data": {"n": name}}
    answer = api.http.post(collection, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def revision(obj: dict[str, Any]) -> str:
    return str(obj["metadata"]["resourceVersion"])


def names(listing: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in listing["items"]]


def get_list(api: ApiServer, path: str, **query: str) -> dict[str, Any]:
    answer = api.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    listing: dict[str, Any] = answer.json()
    return listing


# Lists


def test_a_list_has_everything_written_before_it_in_order(api: ApiServer, configmaps: str) -> None:
    made = [make(api, configmaps, name) for name in ("b", "c", "a")]
    listing = get_list(api, configmaps)
    assert (listing["kind"], listing["apiVersion"]) == ("ConfigMapList", "v1")
    assert names(listing) == ["a", "b", "c"]
    assert int(revision(listing)) >= max(int(revision(obj)) for obj in made)
    assert sorted(listing["items"], key=revision) == sorted(map(as_item, made), key=revision)


def test_lists_over_all_namespaces(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, "here", where="all")
    make(api, "/api/v1/namespaces/default/configmaps", "there", where="all")
    assert set(names(get_list(api, "/api/v1/configmaps", labelSelector="where=all"))) == {"here", "there"}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("app=web", ["a", "b"]), ("app!=web", ["c", "d"]), ("app in (web, db),tier", ["b", "c"]), ("!app", ["d"]),
        ("app==web,tier=x", ["b"]), ("app notin (web)", ["c", "d"]), ("", ["a", "b", "c", "d"]),
    ],
)  # fmt: skip
def test_label_selectors(api: ApiServer, configmaps: str, selector: str, found: list[str]) -> None:
    make(api, configmaps, "a", app="web")
    make(api, configmaps, "b", app="web", tier="x")
    make(api, configmaps, "c", app="db", tier="y")
    make(api, configmaps, "d")
    for query in ({}, {"resourceVersion": "0"}):
        assert names(get_list(api, configmaps, labelSelector=selector, **query)) == found


def test_field_selectors(api: ApiServer, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for name, node in (("a", "n1"), ("b", "n2"), ("c", None)):
        spec = {"containers": [{"name": "c", "image": "i"}]} | ({"nodeName": node} if node else {})
        api.http.post(pods, json={"metadata": {"name": name}, "spec": spec})
    assert names(get_list(api, pods, fieldSelector="spec.nodeName=n1")) == ["a"]
    assert names(get_list(api, pods, fieldSelector="spec.nodeName!=n1,status.phase=Pending")) == ["b", "c"]
    assert names(get_list(api, pods, fieldSelector="spec.nodeName=")) == ["c"]
    assert names(get_list(api, pods, fieldSelector="metadata.name=b")) == ["b"]


def test_pages_are_one_snapshot(api: ApiServer, configmaps: str) -> None:
    for index in range(25):
        make(api, configmaps, f"c-{index:02}")
    page = get_list(api, configmaps, limit="10")
    first = revision(page)
    found = names(page)
    assert page["metadata"]["remainingItemCount"] == 15
    api.http.delete(f"{configmaps}/c-20")
    make(api, configmaps, "c-21-new")
    while token := page["metadata"].get("continue"):
        page = get_list(api, configmaps, limit="10", **{"continue": token})
        assert revision(page) == first
        found += names(page)
    assert found == [f"c-{index:02}" for index in range(25)]
    assert "c-21-new" in names(get_list(api, configmaps))


def test_an_exact_revision_is_the_list_as_it_was(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, "a")
    then = revision(get_list(api, configmaps))
    make(api, configmaps, "b")
    assert names(get_list(api, configmaps, resourceVersion=then, resourceVersionMatch="Exact")) == ["a"]
    assert names(get_list(api, configmaps, resourceVersion=then, resourceVersionMatch="NotOlderThan")) == ["a", "b"]
    answer = api.http.get(configmaps, params={"resourceVersion": "999999999"})
    assert (answer.status_code, answer.json()["reason"]) == (504, "Timeout")
    assert answer.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_revision_zero_takes_the_rest_of_a_list_at_once(api: ApiServer, configmaps: str) -> None:
    for name in "abcd":
        make(api, configmaps, name)
    token = get_list(api, configmaps, limit="1")["metadata"]["continue"]
    rest = get_list(api, configmaps, limit="1", **{"continue": token, "resourceVersion": "0"})
    assert (names(rest), "continue" in rest["metadata"]) == (["b", "c", "d"], False)
    watch = api.http.get(configmaps, params={"watch": "1", "timeoutSeconds": "1", "continue": token})
    assert (watch.status_code, watch.json()["details"]["causes"][0]["field"]) == (422, "resourceVersionMatch")


def test_a_read_after_a_write_sees_it(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, "a")
    for index in range(50):
        body = {"data": {"n": str(index)}}
        written = api.http.patch(f"{configmaps}/a", json=body, headers=MERGE).json()
        assert api.http.get(f"{configmaps}/a").json() == written
        assert get_list(api, configmaps)["items"] == [as_item(written)]
        assert api.http.get(f"{configmaps}/a", params={"resourceVersion": revision(written)}).json() == written


def test_large_lists_are_compressed_for_who_accepts_it(api: ApiServer, configmaps: str) -> None:
    for index in range(20):
        body = {"metadata": {"name": f"c-{index}"}, "data": {"text": "many words " * 1500}}
        assert api.http.post(configmaps, json=body).status_code == 201
    with api.http.stream("GET", configmaps, headers={"accept-encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join(answer.iter_raw())
    plain = api.http.get(configmaps, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed) == plain.content
    assert len(plain.json()["items"]) == 20


# Watches


def test_a_watch_continues_a_list(api: ApiServer, configmaps: str) -> None:
    make(api, configmaps, "before")
    start = revision(get_list(api, configmaps))
    with api.watch(configmaps, resourceVersion=start, timeoutSeconds="30") as watch:
        added = make(api, configmaps, "a")
        modified = api.http.patch(f"{configmaps}/a", json={"data": {"n": "2"}}, headers=MERGE).json()
        api.http.delete(f"{configmaps}/a")
        assert watch.next() == ("ADDED", added)
        assert watch.next() == ("MODIFIED", modified)
        kind, last = watch.next()
    assert (kind, last["data"]) == ("DELETED", {"n": "2"})
    assert int(revision(last)) > int(revision(modified))


def test_a_watch_resumes_from_any_revision_it_saw(api: ApiServer, configmaps: str) -> None:
    made = [make(api, configmaps, f"c-{index}") for index in range(10)]
    with api.watch(configmaps, resourceVersion=revision(made[4]), timeoutSeconds="30") as watch:
        assert [watch.next() for _ in range(5)] == [("ADDED", obj) for obj in made[5:]]


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
def test_a_watch_without_revision_starts_with_what_is_there(
    api: ApiServer, configmaps: str, query: dict[str, str]
) -> None:
    made = make(api, configmaps, "a")
    get_list(api, configmaps)
    with api.watch(configmaps, timeoutSeconds="30", **query) as watch:
        assert watch.next() == ("ADDED", made)
        later = make(api, configmaps, "b")
        assert watch.next() == ("ADDED", later)


def test_a_watch_with_initial_events_marks_their_end(api: ApiServer, configmaps: str) -> None:
    made = make(api, configmaps, "a")
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with api.watch(configmaps, timeoutSeconds="30", **query) as watch:
        assert watch.next() == ("ADDED", made)
        kind, mark = watch.next()
        assert kind == "BOOKMARK"
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(revision(mark)) >= int(revision(made))


def test_a_watch_sees_objects_enter_and_leave_its_selection(api: ApiServer, configmaps: str) -> None:
    start = revision(get_list(api, configmaps))
    with api.watch(configmaps, resourceVersion=start, labelSelector="on=yes", timeoutSeconds="30") as watch:
        make(api, configmaps, "a", on="no")
        for value in ("yes", "no"):
            api.http.patch(f"{configmaps}/a", json={"metadata": {"labels": {"on": value}}}, headers=MERGE)
        first, second = watch.next(), watch.next()
    assert (first[0], first[1]["metadata"]["labels"]) == ("ADDED", {"on": "yes"})
    assert (second[0], second[1]["metadata"]["labels"]) == ("DELETED", {"on": "yes"})


def test_a_watch_ends_when_its_time_is_over_with_a_bookmark(api: ApiServer, configmaps: str) -> None:
    start = revision(get_list(api, configmaps))
    make(api, "/api/v1/namespaces/default/configmaps", f"elsewhere-{start}")
    query = {"resourceVersion": start, "timeoutSeconds": "1", "allowWatchBookmarks": "true"}
    with api.watch(configmaps, **query) as watch:
        events = watch.rest()
    assert [kind for kind, _ in events] == ["BOOKMARK"]
    assert int(revision(events[0][1])) > int(start)


def test_one_object_is_watched_by_its_name(api: ApiServer, configmaps: str) -> None:
    start = revision(get_list(api, configmaps))
    with api.watch(configmaps, resourceVersion=start, fieldSelector="metadata.name=b", timeoutSeconds="30") as watch:
        make(api, configmaps, "a")
        made = make(api, configmaps, "b")
        assert watch.next() == ("ADDED", made)


def test_many_watchers_see_the_same_events_in_order(api: ApiServer, configmaps: str) -> None:
    start = revision(get_list(api, configmaps))
    count, seen = 60, []
    opened = threading.Barrier(9)

    def follow() -> None:
        with api.client("test-token") as http:
            query = {"watch": "1", "resourceVersion": start, "timeoutSeconds": "30"}
            with http.stream("GET", configmaps, params=query) as answer:
                opened.wait()
                watch = Watch(answer)
                seen.append([watch.next() for _ in range(count)])

    threads = [threading.Thread(target=follow) for _ in range(8)]
    for thread in threads:
        thread.start()
    opened.wait()
    made = [make(api, configmaps, f"c-{index}") for index in range(count)]
    for thread in threads:
        thread.join(30)
    assert seen == [[("ADDED", obj) for obj in made]] * 8


def test_a_client_that_leaves_frees_its_watch(api: ApiServer, configmaps: str) -> None:
    def open_watches() -> int:
        text = api.http.get("/metrics").text
        line = next(line for line in text.splitlines() if line.startswith("apiserver_longrunning_requests "))
        return int(float(line.split()[1]))

    before = open_watches()
    with api.watch(configmaps, timeoutSeconds="600"):
        eventually(lambda: open_watches() == before + 1)
    eventually(lambda: open_watches() == before)


# Tables, metadata


def test_a_table_has_columns_rows_and_metadata(api: ApiServer, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}]}
    made = [api.http.post(pods, json={"metadata": {"name": name}, "spec": spec}).json() for name in ("a", "b")]
    answer = api.http.get(pods, headers=TABLE)
    table = answer.json()
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    columns = [column["name"] for column in table["columnDefinitions"]]
    assert columns[:4] == ["Name", "Ready", "Status", "Restarts"]
    assert [row["cells"][0] for row in table["rows"]] == ["a", "b"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert [row["object"]["metadata"] for row in table["rows"]] == [obj["metadata"] for obj in made]
    one = api.http.get(f"{pods}/a", headers=TABLE, params={"includeObject": "Object"}).json()
    assert [row["object"] for row in one["rows"]] == [made[0]]
    bare = api.http.get(pods, headers=TABLE, params={"includeObject": "None"}).json()
    assert [row["object"] for row in bare["rows"]] == [None, None]
    assert api.http.get(pods, headers=TABLE, params={"includeObject": "x"}).status_code == 400


def test_a_watch_of_tables_sends_columns_once(api: ApiServer, configmaps: str) -> None:
    start = revision(get_list(api, configmaps))
    query = {"watch": "1", "resourceVersion": start, "timeoutSeconds": "30"}
    with api.http.stream("GET", configmaps, params=query, headers=TABLE) as answer:
        watch = Watch(answer)
        make(api, configmaps, "a")
        _, first = watch.next()
        make(api, configmaps, "b")
        _, second = watch.next()
    assert (first["kind"], bool(first["columnDefinitions"]), second["columnDefinitions"]) == ("Table", True, None)
    assert [table["rows"][0]["cells"][0] for table in (first, second)] == ["a", "b"]


def test_metadata_alone(api: ApiServer, configmaps: str) -> None:
    made = make(api, configmaps, "a")
    one = {"accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    many = {"accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    expected = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": made["metadata"]}
    assert api.http.get(f"{configmaps}/a", headers=one).json() == expected
    listing = api.http.get(configmaps, headers=many).json()
    assert (listing["kind"], listing["items"]) == ("PartialObjectMetadataList", [expected])


# Discovery


def test_discovery_lists_what_is_served(api: ApiServer) -> None:
    assert api.http.get("/api").json()["versions"] == ["v1"]
    groups = {group["name"]: group for group in api.http.get("/apis").json()["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert api.http.get("/apis/apps").json()["kind"] == "APIGroup"
    core = {entry["name"]: entry for entry in api.http.get("/api/v1").json()["resources"]}
    assert core["pods"]["shortNames"] == ["po"]
    assert core["pods"]["verbs"] == ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    assert core["pods/binding"] == {
        "name": "pods/binding", "singularName": "", "namespaced": True, "kind": "Binding", "verbs": ["create"],
    }  # fmt: skip
    assert core["nodes"]["namespaced"] is False
    apps = {entry["name"]: entry for entry in api.http.get("/apis/apps/v1").json()["resources"]}
    scale = apps["deployments/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    for path in ("/apis/none", "/apis/apps/v9", "/api/v9"):
        assert api.http.get(path).status_code == 404


def test_aggregated_discovery_is_one_document(api: ApiServer) -> None:
    kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    answer = api.http.get("/apis", headers={"accept": f"{kind},application/json"})
    assert answer.headers["content-type"].startswith(kind)
    groups = {item["metadata"]["name"]: item for item in answer.json()["items"]}
    version = groups["apps"]["versions"][0]
    deployments = next(entry for entry in version["resources"] if entry["resource"] == "deployments")
    assert {sub["subresource"] for sub in deployments["subresources"]} == {"scale", "status"}
    again = api.http.get("/apis", headers={"accept": kind, "if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_openapi_is_published_with_a_hash_to_cache_by(api: ApiServer) -> None:
    index = api.http.get("/openapi/v3").json()["paths"]
    answer = api.http.get(index["apis/apps/v1"]["serverRelativeURL"])
    assert "immutable" in answer.headers["cache-control"]
    assert "io.k8s.api.apps.v1.Deployment" in answer.json()["components"]["schemas"]
    assert api.http.get("/openapi/v3/apis/none/v1").status_code == 404


def test_version_health_and_metrics(api: ApiServer) -> None:
    assert api.http.get("/version").json()["gitVersion"].startswith("v1.35")
    assert "[+]etcd ok" in api.http.get("/readyz?verbose").text
    assert api.http.get("/livez/ping").text == "ok"
    assert api.http.get("/readyz/nothing").status_code == 404
    assert 'apiserver_request_total{code="200"' in api.http.get("/metrics").text


def test_answers_keep_the_connection(api: ApiServer, configmaps: str) -> None:
    with api.client("test-token", limits=httpx.Limits(max_connections=1)) as http:
        for path in (configmaps, f"{configmaps}/none", "/nothing", "/healthz"):
            answer = http.get(path)
            assert answer.headers.get("connection") != "close"
    assert json.loads(api.http.get(configmaps).content)["items"] == []
