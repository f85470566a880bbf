"""Custom resources over HTTP: served once they are defined, by all API servers alike, until their definition goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.definitions import DEFINITIONS, GROUP, SPEC, collection, create, custom, definition, establish, version
from tests.kits.eventually import eventually
from tests.kits.net.protobuf import envelope, message

Dict = dict[str, Any]
SECONDS = 20  # that harm may take, on a busy machine
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, ApiServer]]:
    """Two API servers on one etcd."""
    folder = tmp_path_factory.mktemp("custom")
    for name in ("one", "other"):
        (folder / name).mkdir()
    with EtcdServer(folder) as etcd, ApiServer(folder / "one", etcd.url) as one:
        with ApiServer(folder / "other", etcd.url) as other:
            yield one, other


@pytest.fixture
def api(servers: tuple[ApiServer, ApiServer]) -> ApiServer:
    return servers[0]


def conditions(api: ApiServer, path: str) -> dict[str, tuple[str, str]]:
    status = api.http.get(path).json()["status"]
    return {item["type"]: (item["status"], item["reason"]) for item in status["conditions"] or ()}


def test_every_server_serves_a_kind_as_soon_as_one_says_so(servers: tuple[ApiServer, ApiServer]) -> None:
    one, other = servers
    for number in range(5):
        establish(one, definition(f"race{number}s"))
        create(other, collection(f"race{number}s"), custom(f"Race{number}", "a"))
        names = {item["name"] for item in other.http.get(f"/apis/{GROUP}/v1").json()["resources"]}
        assert f"race{number}s" in names
        assert len(one.http.get(collection(f"race{number}s")).json()["items"]) == 1


def test_a_write_by_one_server_reaches_watches_on_the_other(servers: tuple[ApiServer, ApiServer]) -> None:
    one, other = servers
    establish(one, definition("seens"))
    with other.watch(collection("seens"), timeoutSeconds="30") as events:
        create(one, collection("seens"), custom("Seen", "a"))
        kind, obj = events.next()
    assert (kind, obj["spec"]) == ("ADDED", {"name": "a", "size": 3})


def test_a_deleted_definition_waits_for_its_objects_and_takes_no_more(api: ApiServer) -> None:
    path = establish(api, definition("heldings"))
    objects = collection("heldings")
    create(api, objects, custom("Helding", "free"))
    create(api, objects, custom("Helding", "held", finalizers=["tests.example/hold"]))
    api.http.delete(path)
    eventually(lambda: [item["metadata"]["name"] for item in api.http.get(objects).json()["items"]] == ["held"])
    assert api.http.post(objects, json=custom("Helding", "late")).status_code == 405
    assert "customresourcecleanup.apiextensions.k8s.io" in api.http.get(path).json()["metadata"]["finalizers"]
    api.http.patch(f"{objects}/held", json={"metadata": {"finalizers": None}}, headers=MERGE)
    eventually(lambda: api.http.get(path).status_code == 404)
    eventually(lambda: api.http.get(objects).status_code == 404)
    establish(api, definition("heldings"))
    assert api.http.get(objects).json()["items"] == []


def test_names_go_to_the_first_and_when_it_is_gone_to_the_next(api: ApiServer) -> None:
    first = establish(api, definition("doubles", kind="Double"))
    create(api, DEFINITIONS, definition("twins", kind="Double"))
    second = f"{DEFINITIONS}/twins.{GROUP}"
    eventually(lambda: conditions(api, second).get("NamesAccepted") == ("False", "ListKindConflict"))
    assert conditions(api, second)["Established"] == ("False", "NotAccepted")
    api.http.delete(first)
    eventually(lambda: conditions(api, second).get("Established") == ("True", "InitialNamesAccepted"))


def test_a_changed_schema_counts_for_stored_objects_too(servers: tuple[ApiServer, ApiServer]) -> None:
    api, other = servers
    path = establish(api, definition("growings"))
    create(api, collection("growings"), custom("Growing", "a"))
    grown = {"type": "object", "properties": SPEC["properties"] | {"colour": {"type": "string", "default": "grey"}}}
    with api.watch(collection("growings"), timeoutSeconds="60") as events:
        assert events.next()[0] == "ADDED"
        api.http.patch(path, json={"spec": {"versions": [version("v1", grown)]}}, headers=MERGE)
        assert events.rest() == []  # it ends: what it showed was of another form
    for server in (api, other):
        eventually(
            lambda server=server: (
                server.http.get(f"{collection('growings')}/a").json()["spec"]
                == {"name": "a", "size": 3, "colour": "grey"}
            )
        )


def test_a_schema_that_is_taken_back_leaves_nothing_in_stored_objects(api: ApiServer) -> None:
    path = establish(api, definition("backs"))
    create(api, collection("backs"), custom("Back", "a"))
    other = {"type": "object", "properties": {"size": {"type": "integer"}, "hue": {"type": "string", "default": "red"}}}

    def shown(spec: Dict, wanted: Dict) -> None:
        api.http.patch(path, json={"spec": {"versions": [version("v1", spec)]}}, headers=MERGE)
        eventually(lambda: api.http.get(f"{collection('backs')}/a").json()["spec"] == wanted)

    shown(other, {"size": 3, "hue": "red"})
    shown(SPEC, {"name": "a", "size": 3})
    shown({**SPEC, "properties": SPEC["properties"] | {"hue": {"type": "string"}}}, {"name": "a", "size": 3})  # type: ignore[operator]


def test_generation_counts_changes_of_all_but_status_and_metadata(api: ApiServer) -> None:
    establish(api, definition("counteds"))
    path = f"{collection('counteds')}/a"
    create(api, collection("counteds"), custom("Counted", "a"))

    def patch(where: str, body: Dict) -> Dict:
        answer = api.http.patch(where, json=body, headers=MERGE)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    labelled = patch(path, {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    assert patch(path, {"spec": {"size": 3}}) == labelled  # nothing is written
    changed = patch(f"{path}/status", {"status": {"x": 1}, "spec": {"size": 9}, "metadata": {"labels": {"c": "d"}}})
    assert (changed["metadata"]["generation"], changed["status"], changed["spec"]["size"]) == (1, {"x": 1}, 3)
    assert changed["metadata"]["labels"] == {"a": "b"}
    assert patch(path, {"spec": {"size": 4}, "status": {"x": 2}})["status"] == {"x": 1}
    assert api.http.get(path).json()["metadata"]["generation"] == 2


def test_openapi_describes_kinds_while_they_are_served(api: ApiServer) -> None:
    path = establish(api, definition("describeds"))
    name = f"apis/{GROUP}/v1"

    def schemas() -> Dict:
        answer = api.http.get(f"/openapi/v3/{name}")
        return dict(answer.json()["components"]["schemas"]) if answer.status_code == 200 else {}

    described = schemas()["example.tests.v1.Described"]
    assert described["properties"]["spec"]["properties"]["size"] == {"type": "integer", "default": 3}
    assert set(described["properties"]) >= {"apiVersion", "kind", "metadata", "spec", "status"}
    assert described["properties"]["apiVersion"]["description"].startswith("APIVersion defines")  # conformance reads it
    both = api.http.get("/openapi/v2").json()
    assert "example.tests.v1.DescribedList" in both["definitions"]
    assert f"/apis/{GROUP}/v1/namespaces/{{namespace}}/describeds" in both["paths"]
    api.http.delete(path)
    eventually(lambda: "example.tests.v1.Described" not in schemas())
    assert "example.tests.v1.Described" not in api.http.get("/openapi/v2").json()["definitions"]


def test_a_change_of_the_storage_version_rewrites_objects_as_they_are_written(api: ApiServer) -> None:
    path = establish(api, definition("movings", [version("v1"), version("v2", storage=False)]))
    objects = collection("movings", "v2")
    create(api, objects, custom("Moving", "a", version="v2"))
    versions = [version("v1", storage=False), version("v2")]
    api.http.patch(path, json={"spec": {"versions": versions}}, headers=MERGE)
    assert api.http.get(path).json()["status"]["storedVersions"] == ["v1", "v2"]
    same = api.http.get(f"{objects}/a").json()
    assert same["apiVersion"] == f"{GROUP}/v2"

    def moved() -> bool:
        api.http.put(f"{objects}/a", json=api.http.get(f"{objects}/a").json())
        revision = api.http.get(f"{objects}/a").json()["metadata"]["resourceVersion"]
        return bool(revision != same["metadata"]["resourceVersion"])

    eventually(moved)  # once the server works by the new definition, a write without a change is one


def test_items_of_the_wrong_type_in_a_list_with_keys_are_refused(api: ApiServer) -> None:
    item = {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}}
    keyed = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"], "items": item}
    spec = {"type": "object", "properties": {**SPEC["properties"], "keyed": keyed}}
    establish(api, definition("keyeds", [version("v1", spec)]))
    obj = custom("Keyed", "a")
    obj["spec"]["keyed"] = ["text"]
    refused = api.http.post(collection("keyeds"), json=obj)
    assert refused.status_code == 422
    assert "spec.keyed[0]: Invalid value" in refused.json()["message"]


def test_objects_that_are_nested_too_deeply_are_refused(api: ApiServer) -> None:
    spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    establish(api, definition("deeps", [version("v1", spec)]))
    for depth, code in ((200, 201), (400, 400)):
        nested: Dict = {}
        for _ in range(depth):
            nested = {"a": nested}
        assert api.http.post(collection("deeps"), json=custom("Deep", f"d{depth}", nested)).status_code == code


def test_a_definition_may_come_as_protobuf(api: ApiServer) -> None:
    """As typed Go clients send it."""
    size = message((5, "integer"), (8, message((1, b"3"))))
    spec = message((5, "object"), (29, message((1, "size"), (2, size))))
    schema = message((5, "object"), (29, message((1, "spec"), (2, spec))))
    served = message((1, "v1"), (2, 1), (3, 1), (4, message((1, schema))))
    names = message((1, "gophers"), (4, "Gopher"))
    content = message((1, GROUP), (3, names), (4, "Namespaced"), (7, served))
    raw = message((1, message((1, f"gophers.{GROUP}"))), (2, content))
    body = envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", raw)
    made = api.http.post(DEFINITIONS, content=body, headers={"content-type": "application/vnd.kubernetes.protobuf"})
    assert made.status_code == 201, made.text
    eventually(lambda: api.http.get(collection("gophers")).status_code == 200)
    gopher = create(api, collection("gophers"), custom("Gopher", "a", {"colour": "blue"}))
    assert gopher["spec"] == {"size": 3}


def test_bodies_and_answers_are_json_or_yaml(api: ApiServer) -> None:
    establish(api, definition("papers", [version("v1", SPEC)]))
    text = f"apiVersion: {GROUP}/v1\nkind: Paper\nmetadata: {{name: yaml}}\n"
    made = api.http.post(collection("papers"), content=text, headers={"content-type": "application/yaml"})
    assert made.status_code == 201, made.text
    shown = api.http.get(f"{collection('papers')}/yaml", headers={"accept": "application/yaml"})
    assert (shown.headers["content-type"], "kind: Paper" in shown.text) == ("application/yaml", True)
    for content_type, body in (
        ("vnd.kubernetes.protobuf", envelope(f"{GROUP}/v1", "Paper", b"")),
        ("cbor", b"\xd9\xd9\xf7\xa0"),
    ):
        headers = {"content-type": f"application/{content_type}"}
        assert api.http.post(collection("papers"), content=body, headers=headers).status_code == 415
        assert api.http.get(collection("papers"), headers={"accept": f"application/{content_type}"}).status_code == 406


@pytest.mark.slow
def test_a_definition_that_means_harm_is_refused_or_bounded(api: ApiServer) -> None:
    """A schema of a megabyte is served; one that refers to itself and thousands of costly rules are refused."""
    members = {f"member{number}": {"type": "string", "description": "x" * 1000} for number in range(1000)}
    large = {"type": "object", "properties": members}
    begin = time.monotonic()
    establish(api, definition("larges", [version("v1", large)]))
    create(api, collection("larges"), custom("Large", "one"))
    assert time.monotonic() - begin < SECONDS
    rule = {"rule": "self.all(item, item.contains(self[0]))"}
    for name, spec, said in (
        ("selves", {"$ref": "#/properties/spec"}, "$ref"),
        ("rules", {"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [rule] * 10_000}, "cost"),
        ("defaults", {"type": "string", "maxLength": 1, "default": "long"}, "Too long"),
    ):
        begin = time.monotonic()
        answer = api.http.post(DEFINITIONS, json=definition(name, [version("v1", spec)]))
        assert (answer.status_code, said in answer.text) == (422, True), answer.text[:500]
        assert time.monotonic() - begin < SECONDS
