"""OpenAPI, discovery, version and health over HTTP, and what every real kubectl makes of them."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.process import TOKEN

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
OLD_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"

every_kubectl = pytest.mark.parametrize("kubectl", KUBECTLS.values(), ids=[name or "path" for name in KUBECTLS])
BOTH_ENDS = dict(list(KUBECTLS.items())[:1] + list(KUBECTLS.items())[-2:])
oldest_and_newest = pytest.mark.parametrize("kubectl", BOTH_ENDS.values(), ids=[name or "path" for name in BOTH_ENDS])


def run(api: ApiServer, kubectl: Path, cache: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(kubectl), f"--server={api.url}", "--insecure-skip-tls-verify", f"--token={TOKEN}"]
    command += [f"--cache-dir={cache}", *words]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60, check=False)


# OpenAPI


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (PROTOBUF, PROTOBUF),
        (OLD_PROTOBUF, PROTOBUF),
        (f"{OLD_PROTOBUF}, application/json;q=0.5", PROTOBUF),
    ],
)
def test_openapi_v2_comes_in_the_form_asked_for(api: ApiServer, accept: str, content_type: str) -> None:
    answer = api.http.get("/openapi/v2", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    body = answer.content
    assert body.startswith(b"\n\x032.0" if content_type == PROTOBUF else b'{"swagger":"2.0"')
    again = api.http.get("/openapi/v2", headers={"accept": accept, "if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_openapi_v2_in_no_known_form_is_not_acceptable(api: ApiServer) -> None:
    assert api.http.get("/openapi/v2", headers={"accept": "text/html"}).status_code == 406


def test_documents_are_compressed_for_who_takes_it(api: ApiServer) -> None:
    for path in ("/openapi/v2", "/openapi/v3/api/v1"):
        with api.http.stream("GET", path, headers={"accept-encoding": "gzip"}) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            body = gzip.decompress(b"".join(answer.iter_raw()))
        plain = api.http.get(path, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == body


def test_a_document_of_v3_may_be_kept_for_ever_by_its_hash(api: ApiServer) -> None:
    url = api.http.get("/openapi/v3").json()["paths"]["apis/apps/v1"]["serverRelativeURL"]
    answer = api.http.get(url)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["etag"].strip('"') in url
    assert "immutable" not in api.http.get(url.partition("?")[0]).headers.get("cache-control", "")


def test_every_path_of_the_documents_is_served(api: ApiServer) -> None:
    """With a method that it names, each path is known: what is missing is the object, or the body."""
    for path, item in api.http.get("/openapi/v2").json()["paths"].items():
        method = next(method for method in ("put", "post", "get") if method in item)
        concrete = path.format(namespace="nowhere", name="none", path="none")
        if "/watch/" in path or path.endswith(("/exec", "/attach", "/portforward", "/proxy", "/proxy/{path}")):
            continue
        answer = api.http.request(method, concrete)
        message = answer.json().get("message", "")
        assert answer.status_code != 405, path
        assert "could not find the requested resource" not in message, path


def test_watches_go_on_while_the_documents_are_made(api: ApiServer, namespace: str) -> None:
    """A watcher gets its events with the documents not yet there, and both come out right."""
    config_maps = f"/api/v1/namespaces/{namespace}/configmaps"
    with api.watch(config_maps, timeoutSeconds="20") as watch:
        api.http.get("/openapi/v3")
        api.http.post(config_maps, json={"metadata": {"name": "a"}}).raise_for_status()
        assert watch.next()[1]["metadata"]["name"] == "a"


# Discovery


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1", "/version"])
def test_discovery_is_found_with_and_without_a_slash_at_the_end(api: ApiServer, path: str) -> None:
    assert api.http.get(path).json() == api.http.get(f"{path}/").json()


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_aggregated_discovery_tells_everything_at_once(api: ApiServer, version: str) -> None:
    kind = AGGREGATED.format(version)
    answer = api.http.get("/api", headers={"accept": f"{kind},application/json"})
    assert answer.headers["content-type"] == kind
    document = answer.json()
    assert document["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    resources = {entry["resource"]: entry for entry in document["items"][0]["versions"][0]["resources"]}
    subresources = {entry["subresource"]: entry for entry in resources["pods"]["subresources"]}
    assert subresources["eviction"]["responseKind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert subresources["exec"]["responseKind"] == {"group": "", "version": "", "kind": "PodExecOptions"}
    assert subresources["exec"]["verbs"] == ["create", "get"]
    assert document["items"][0]["metadata"] == {}
    kept = api.http.get("/api", headers={"accept": kind, "if-none-match": answer.headers["etag"]})
    assert kept.status_code == 304


@pytest.mark.parametrize(
    ("accept", "aggregated"),
    [
        (f"{AGGREGATED.format('v2')},{AGGREGATED.format('v2beta1')},application/json", "v2"),
        (f"{AGGREGATED.format('v2beta1')},application/json", "v2beta1"),
        (f"application/json,{AGGREGATED.format('v2')}", ""),
        (f"{AGGREGATED.format('v9')},application/json", ""),
        ("application/vnd.kubernetes.protobuf,application/json", ""),
        ("", ""),
    ],
)
def test_the_first_form_of_discovery_that_is_known_is_given(api: ApiServer, accept: str, aggregated: str) -> None:
    document = api.http.get("/apis", headers={"accept": accept}).json()
    wanted = ("APIGroupDiscoveryList", f"apidiscovery.k8s.io/{aggregated}") if aggregated else ("APIGroupList", "v1")
    assert (document["kind"], document["apiVersion"]) == wanted


def test_every_answer_has_the_headers_that_all_have(api: ApiServer) -> None:
    for path in ("/apis", "/openapi/v2", "/api/v1/nodes", "/none"):
        answer = api.http.get(path)
        assert answer.headers["cache-control"] == "no-cache, private", path
        assert len(answer.headers["audit-id"]) == 36, path


def test_discovery_is_readable_for_people(api: ApiServer) -> None:
    assert api.http.get("/apis/apps", params={"pretty": "true"}).text.startswith('{\n  "kind": "APIGroup"')
    curl = {"user-agent": "curl/8", "accept": "*/*"}
    assert api.http.get("/apis", headers=curl).text.startswith('{\n  "kind": "APIGroupList"')
    answer = api.http.get("/api/v1", headers={"accept": "application/yaml"})
    assert answer.headers["content-type"] == "application/yaml"
    assert "groupVersion: v1\n" in answer.text


def test_discovery_in_no_known_form_is_not_acceptable(api: ApiServer) -> None:
    for accept in ("application/vnd.kubernetes.protobuf", AGGREGATED.format("v9")):
        assert api.http.get("/apis", headers={"accept": accept}).status_code == 406


def test_resources_have_the_storage_hashes_that_clients_know(api: ApiServer) -> None:
    resources = {entry["name"]: entry for entry in api.http.get("/api/v1").json()["resources"]}
    assert resources["pods"]["storageVersionHash"] == "xPOwRZ+Yhw8="
    assert "storageVersionHash" not in resources["pods/log"]


def test_the_root_lists_where_to_go_on(api: ApiServer) -> None:
    paths = api.http.get("/").json()["paths"]
    assert {"/api/v1", "/apis/apps/v1", "/openapi/v2", "/readyz/etcd", "/version"} <= set(paths)
    for path in paths:
        assert api.http.get(path).status_code == 200, path


# Version and health


def test_the_version_says_what_it_is_and_runs_on(api: ApiServer) -> None:
    version = api.http.get("/version").json()
    assert (version["major"], version["minor"]) == ("1", "35")
    assert version["goVersion"].startswith("python3")


@pytest.mark.parametrize("probe", ["healthz", "livez", "readyz"])
def test_probes_tell_of_each_check(api: ApiServer, probe: str) -> None:
    assert api.http.get(f"/{probe}").text == "ok"
    assert api.http.head(f"/{probe}").status_code == 200
    assert api.http.get(f"/{probe}/ping").text == "ok"
    assert api.http.get(f"/{probe}/none").status_code == 404
    lines = api.http.get(f"/{probe}?verbose&exclude=ping&exclude=none").text.splitlines()
    assert lines[0] == "[+]ping excluded: ok"
    assert lines[-2:] == [
        'warn: some health checks cannot be excluded: no matches for "none"',
        f"{probe} check passed",
    ]


def test_a_check_with_a_slash_in_its_name_is_found(api: ApiServer) -> None:
    assert api.http.get("/readyz/poststarthook/bootstrap?verbose").text.startswith("[+]poststarthook/bootstrap ok\n")


# kubectl


@every_kubectl
def test_a_cold_kubectl_discovers_everything_in_two_requests(api: ApiServer, kubectl: Path, tmp_path: Path) -> None:
    done = run(api, kubectl, tmp_path, "get", "namespaces", "-v=6")
    assert done.returncode == 0
    asked = [line for line in done.stderr.splitlines() if "/api?" in line or "/apis" in line]
    assert len(asked) == 2, done.stderr


@oldest_and_newest
def test_resources_and_versions_are_listed(api: ApiServer, kubectl: Path, tmp_path: Path) -> None:
    wide = run(api, kubectl, tmp_path, "api-resources", "-o", "wide").stdout
    row = next(line for line in wide.splitlines() if line.startswith("deployments "))
    verbs = "create,delete,deletecollection,get,list,patch,update,watch"
    assert row.split() == ["deployments", "deploy", "apps/v1", "true", "Deployment", verbs, "all"]
    assert {"v1", "apps/v1"} <= set(run(api, kubectl, tmp_path, "api-versions").stdout.split())


@oldest_and_newest
def test_explain_reads_every_level(api: ApiServer, kubectl: Path, tmp_path: Path) -> None:
    field = run(api, kubectl, tmp_path, "explain", "pods.spec.containers.resources").stdout
    assert "FIELD: resources <ResourceRequirements>" in field
    assert "limits\t<map[string]Quantity>" in field
    assert "<no description>" not in field
    assert "<empty>" not in field
    tree = run(api, kubectl, tmp_path, "explain", "deployments", "--recursive").stdout
    assert "containerPort\t<integer> -required-" in tree
    old = run(api, kubectl, tmp_path, "explain", "pod.spec", "--output=plaintext-openapiv2").stdout
    assert "RESOURCE: spec <Object>" in old
    assert "<empty>" not in old


@every_kubectl
def test_apply_merges_lists_by_their_keys(api: ApiServer, kubectl: Path, tmp_path: Path, namespace: str) -> None:
    """What is in the cluster and not in the manifest stays: only the published merge key tells an apply how."""
    ports = [{"port": 80, "name": "a"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": namespace}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": namespace}}
    manifest = {"apiVersion": "v1", "kind": "List", "items": [{**service, "spec": {"ports": ports}}, config]}
    first = run(api, kubectl, tmp_path, "apply", "-f", "-", stdin=json.dumps(manifest))
    assert first.stdout.splitlines() == ["service/s created", "configmap/c created"], first.stderr
    path = f"/api/v1/namespaces/{namespace}/services/s"
    added = {"spec": {"ports": [*ports, {"port": 81, "name": "b"}]}}
    api.http.patch(
        path, content=json.dumps(added), headers={"content-type": "application/merge-patch+json"}
    ).raise_for_status()
    manifest["items"][0]["spec"]["ports"] = [{"port": 80, "name": "changed"}]  # type: ignore[index]
    second = run(api, kubectl, tmp_path, "apply", "-f", "-", stdin=json.dumps(manifest))
    assert second.returncode == 0, second.stderr
    assert {port["name"] for port in api.http.get(path).json()["spec"]["ports"]} == {"changed", "b"}


@oldest_and_newest
@pytest.mark.parametrize("version", ["v1", "example.com/v1"])
def test_apply_of_an_unknown_kind_says_so(api: ApiServer, kubectl: Path, tmp_path: Path, version: str) -> None:
    manifest = json.dumps({"apiVersion": version, "kind": "Widget", "metadata": {"name": "w"}})
    done = run(api, kubectl, tmp_path, "apply", "-f", "-", stdin=manifest)
    assert done.returncode == 1
    why = f'no matches for kind "Widget" in version "{version}"'
    assert f'resource mapping not found for name: "w" namespace: "" from "STDIN": {why}' in done.stderr
