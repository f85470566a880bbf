"""What a path and a method ask for."""

from __future__ import annotations

import pytest

from apiserver.request.info import RequestInfo, parse_request


def info(verb: str, **fields: str) -> dict[str, str]:
    return {"verb": verb, "version": "v1", **fields}


RESOURCES = [
    ("GET", "/api/v1/namespaces", info("list", resource="namespaces")),
    ("GET", "/api/v1/namespaces/", info("list", resource="namespaces")),
    ("POST", "/api/v1/namespaces", info("create", resource="namespaces")),
    ("GET", "/api/v1/namespaces/a", info("get", resource="namespaces", name="a", namespace="a")),
    ("PUT", "/api/v1/namespaces/a/status",
     info("update", resource="namespaces", name="a", namespace="a", subresource="status")),
    ("PUT", "/api/v1/namespaces/a/finalize",
     info("update", resource="namespaces", name="a", namespace="a", subresource="finalize")),
    ("GET", "/api/v1/namespaces/a/pods", info("list", resource="pods", namespace="a")),
    ("POST", "/api/v1/namespaces/a/pods", info("create", resource="pods", namespace="a")),
    ("DELETE", "/api/v1/namespaces/a/pods", info("deletecollection", resource="pods", namespace="a")),
    ("GET", "/api/v1/namespaces/a/pods/p", info("get", resource="pods", namespace="a", name="p")),
    ("HEAD", "/api/v1/namespaces/a/pods/p", info("get", resource="pods", namespace="a", name="p")),
    ("PATCH", "/api/v1/namespaces/a/pods/p", info("patch", resource="pods", namespace="a", name="p")),
    ("DELETE", "/api/v1/namespaces/a/pods/p", info("delete", resource="pods", namespace="a", name="p")),
    ("POST", "/api/v1/namespaces/a/pods/p/binding",
     info("create", resource="pods", namespace="a", name="p", subresource="binding")),
    ("GET", "/api/v1/namespaces/a/pods/p/proxy/x/y",
     info("get", resource="pods", namespace="a", name="p", subresource="proxy", rest="x/y")),
    ("GET", "/api/v1/pods", info("list", resource="pods")),
    ("GET", "/api/v1/nodes/n", info("get", resource="nodes", name="n")),
    ("GET", "/api/v1/nodes/namespaces", info("get", resource="nodes", name="namespaces")),
    ("GET", "/api/v1/watch/namespaces/a/pods/p", info("watch", resource="pods", namespace="a", name="p")),
    ("GET", "/api/v1/watch/pods", info("watch", resource="pods")),
    ("GET", "/apis/apps/v1/deployments", info("list", group="apps", resource="deployments")),
    ("GET", "/apis/apps/v1/namespaces/a/deployments/d/scale",
     info("get", group="apps", resource="deployments", namespace="a", name="d", subresource="scale")),
    ("OPTIONS", "/api/v1/pods", info("options", resource="pods")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "expected"), RESOURCES)
def test_resource_paths(method: str, path: str, expected: dict[str, str]) -> None:
    assert parse_request(method, path) == RequestInfo(path=path, is_resource=True, **expected)  # type: ignore[arg-type]


def test_a_query_turns_a_list_into_a_watch_and_nothing_else() -> None:
    assert parse_request("GET", "/api/v1/pods", watch=True).verb == "watch"
    assert parse_request("GET", "/api/v1/namespaces/a/pods/p", watch=True).verb == "get"
    assert parse_request("GET", "/api/v1/namespaces/a/pods/p/log", watch=True).verb == "get"
    assert parse_request("DELETE", "/api/v1/namespaces/a/pods", watch=True).verb == "deletecollection"


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/api", "/api/", "/api/v1", "/api/v1/", "/apis", "/apis/apps", "/apis/apps/v1", "/apis/apps/v1/",
        "/healthz", "/healthz/ping", "/version", "/openapi/v3/apis/apps/v1", "//api/v1/pods", "/api//pods/x",
        "/api/v1//pods", "/api/v1/namespaces//pods", "/apis//v1/pods", "api/v1/pods/x",
    ],
)  # fmt: skip
def test_paths_that_are_not_resources(path: str) -> None:
    assert parse_request("GET", path) == RequestInfo("get", path)
