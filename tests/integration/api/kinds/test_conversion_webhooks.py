"""Custom resources whose versions a webhook converts: what it may change, and what comes of one that lies or hangs."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

import pytest

from apiserver.apiextensions import webhook
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.definitions import DEFINITIONS, GROUP, collection, create, custom, definition, establish, version
from tests.kits.eventually import eventually
from tests.kits.identity.certificates import write_certificates
from tests.kits.net.httpserver import Quiet, serve_in_thread

Dict = dict[str, Any]


class Converter:
    """A webhook; `change` makes the answer to a review of the right one, or waits."""

    def __init__(self) -> None:
        self.config: Dict = {}
        self.change: Callable[[Dict], Dict] = lambda answer: answer
        self.asked = 0
        self.connections: list[bool] = []
        """Whether each is open, in the order of their beginning."""

    def answer(self, review: Dict) -> Dict:
        """`spec.name` of v1 is `spec.title` of v2."""
        self.asked += 1
        wanted = review["request"]["desiredAPIVersion"]
        converted = []
        for obj in review["request"]["objects"]:
            spec = dict(obj["spec"])
            before, after = ("name", "title") if wanted.endswith("v2") else ("title", "name")
            spec[after] = spec.pop(before)
            converted.append({**obj, "apiVersion": wanted, "spec": spec})
        response = {
            "uid": review["request"]["uid"],
            "result": {"status": "Success"},
            "convertedObjects": converted,
        }
        return self.change({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})


@pytest.fixture(scope="module")
def converter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Converter]:
    files = write_certificates(tmp_path_factory.mktemp("webhook"))
    converter = Converter()

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            number = len(converter.connections)
            converter.connections.append(True)
            try:
                super().handle()
            finally:
                converter.connections[number] = False

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(converter.answer(review)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files["server"], files["server-key"])
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    bundle = base64.b64encode(files["ca"].read_bytes()).decode()
    client = {"url": f"https://127.0.0.1:{http.server_port}/convert", "caBundle": bundle}
    converter.config = {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]}}
    with serve_in_thread(http):
        yield converter


TITLE = {"type": "object", "properties": {"title": {"type": "string"}, "size": {"type": "integer"}}}


@pytest.fixture
def v2(api: ApiServer, converter: Converter, request: pytest.FixtureRequest) -> Iterator[str]:
    """The path of an object that is stored in v1, in v2."""
    plural = f"papers{abs(hash(request.node.name)) % 10**9}s"
    versions = [version("v1"), version("v2", TITLE, storage=False)]
    kind = plural[:-1].title()
    establish(api, definition(plural, versions, conversion=converter.config))
    create(api, collection(plural), custom(kind, "a", {"name": "x"}, annotations={"own": "1"}))
    yield f"{collection(plural, 'v2')}/a"
    converter.change = lambda answer: answer


def changed(part: str, value: Any) -> Callable[[Dict], Dict]:
    """Puts a value into the metadata of the converted object."""

    def change(answer: Dict) -> Dict:
        for obj in answer["response"]["convertedObjects"]:
            obj["metadata"][part] = value
        return answer

    return change


def test_objects_are_read_written_listed_and_watched_in_both_versions(api: ApiServer, v2: str) -> None:
    read = api.http.get(v2).json()
    assert (read["apiVersion"], read["spec"]) == (f"{GROUP}/v2", {"title": "x", "size": 3})
    read["spec"]["title"] = "y"
    written = api.http.put(v2, json=read).json()
    assert written.get("spec") == {"title": "y", "size": 3}, written["message"]
    assert api.http.get(v2.replace("/v2/", "/v1/")).json()["spec"] == {"name": "y", "size": 3}
    objects = v2.removesuffix("/a")
    assert [item["spec"]["title"] for item in api.http.get(objects).json()["items"]] == ["y"]
    with api.watch(objects, timeoutSeconds="30") as events:
        kind, obj = events.next()
    assert (kind, obj["spec"]["title"]) == ("ADDED", "y")


def test_an_object_is_converted_once_for_all_that_read_it(api: ApiServer, v2: str, converter: Converter) -> None:
    api.http.get(v2)
    asked = converter.asked
    for _ in range(3):
        api.http.get(v2)
    assert converter.asked == asked


def test_a_conversion_may_change_labels_and_annotations_and_nothing_else_of_the_metadata(
    api: ApiServer, v2: str, converter: Converter
) -> None:
    def change(answer: Dict) -> Dict:
        (obj,) = answer["response"]["convertedObjects"]
        obj["metadata"] = {name: obj["metadata"][name] for name in ("name", "namespace", "uid")}
        obj["metadata"] |= {"labels": {"new": "1"}, "finalizers": ["tests.example/lie"]}
        return answer

    converter.change = change
    meta = api.http.get(v2).json()["metadata"]
    assert meta["labels"] == {"new": "1"}
    assert set(meta) == {
        "creationTimestamp", "generation", "labels", "managedFields", "name", "namespace", "resourceVersion", "uid",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("uid", "other"), "must have the same UID"),
        (changed("name", "b"), "must have the same name: a != b"),
        (changed("namespace", "c"), "must have the same namespace: default != c"),
        (changed("labels", {"bad key!": "x"}), "returned invalid metadata in object at index 0: metadata.labels"),
        (changed("labels", ["x"]), "returned invalid metadata in object at index 0"),
        (lambda answer: answer["response"].update(uid="x") or answer, 'expected response.uid="'),
        (lambda answer: answer["response"].update(convertedObjects=[]) or answer, "returned 0 objects, expected 1"),
        (lambda answer: answer["response"].update(convertedObjects=[1]) or answer, "missing metadata"),
        (lambda answer: answer["response"].update(result={"status": "Failure", "message": "no"}) or answer, "no"),
        (lambda answer: {**answer, "response": None}, "no response provided"),
        (lambda answer: {**answer, "kind": "Other"}, "expected webhook response of"),
        (
            lambda answer: answer["response"]["convertedObjects"][0].update(apiVersion="x/v9") or answer,
            "invalid groupV",
        ),
        (lambda answer: answer["response"]["convertedObjects"][0].update(kind="Other") or answer, "invalid kind"),
    ],
)
def test_what_a_conversion_may_not_do_is_refused(
    api: ApiServer, v2: str, converter: Converter, change: Callable[[Dict], Dict], message: str
) -> None:
    converter.change = change
    answer = api.http.get(v2)
    assert answer.status_code == 500
    assert answer.json()["message"].startswith(f"conversion webhook for {GROUP}/v1, Kind=")
    assert message in answer.json()["message"]


def test_a_webhook_that_hangs_holds_up_nothing_but_its_own_kind(
    api: ApiServer, v2: str, converter: Converter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert webhook.CALL_SECONDS <= 30
    released = Event()
    converter.change = lambda answer: (released.wait(60), answer)[1]
    try:
        with pytest.raises(Exception, match="timed out"):
            api.http.get(v2, timeout=0.5)
        assert api.http.get(v2.replace("/v2/", "/v1/")).status_code == 200
    finally:
        released.set()


def test_no_connection_to_a_webhook_outlives_its_definition(api: ApiServer, v2: str, converter: Converter) -> None:
    begun = len(converter.connections)
    api.http.get(v2)
    assert converter.connections[begun:] == [True]
    plural = v2.split("/")[-2]
    assert api.http.delete(f"{DEFINITIONS}/{plural}.{GROUP}").status_code == 200
    eventually(lambda: not any(converter.connections[begun:]))


def test_field_selectors_go_by_the_version_that_is_asked_for(api: ApiServer, converter: Converter) -> None:
    fields = {name: {"selectableFields": [{"jsonPath": f".spec.{name}"}]} for name in ("name", "title")}
    versions = [version("v1", **fields["name"]), version("v2", TITLE, storage=False, **fields["title"])]
    establish(api, definition("chosens", versions, conversion=converter.config))
    v1, v2 = collection("chosens"), collection("chosens", "v2")
    for name in ("a", "b"):
        create(api, v2, custom("Chosen", name, {"title": name}, "v2"))

    def names(path: str, selector: str) -> list[str]:
        items = api.http.get(path, params={"fieldSelector": selector}).json()["items"]
        return [item["metadata"]["name"] for item in items]

    assert (names(v1, "spec.name=a"), names(v2, "spec.title=a"), names(v2, "spec.title!=a")) == (["a"], ["a"], ["b"])
    assert names(v2, "spec.title=a,metadata.name=b") == []
    with api.watch(v2, fieldSelector="spec.title=a", timeoutSeconds="60") as events:
        assert events.next()[1]["metadata"]["name"] == "a"
        for name, title in (("b", "c"), ("b", "a"), ("b", "d"), ("a", "a")):
            patch = {"spec": {"title": title}, "metadata": {"labels": {"t": title}}}
            api.http.patch(f"{v2}/{name}", json=patch, headers={"content-type": "application/merge-patch+json"})
        seen = [events.next() for _ in range(3)]
        api.http.delete(v2, params={"fieldSelector": "spec.title=a"})
        seen.append(events.next())
    assert [(kind, obj["metadata"]["name"], obj["spec"]["title"]) for kind, obj in seen] == [
        ("ADDED", "b", "a"), ("DELETED", "b", "a"), ("MODIFIED", "a", "a"), ("DELETED", "a", "a"),
    ]  # fmt: skip
    assert names(v2, "spec.title!=x") == ["b"]
