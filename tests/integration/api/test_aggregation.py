"""A version of a group that another server answers for: a second API server of ours, behind the first one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.identity.certificates import write_certificates

SERVICES = "/api/v1/namespaces/default/services"
APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
BATCH = f"{APISERVICES}/v1.batch"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
MANIFEST = json.dumps(
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "far"},
        "spec": {
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1", "command": ["true"]}]}
            }
        },
    }
)


class Pair:
    """`front` is asked; `behind` answers for batch/v1 once `join` has been called."""

    def __init__(self, front: ApiServer, behind: ApiServer, authority: Path) -> None:
        self.front, self.behind, self._authority = front, behind, authority

    def join(self, **spec: Any) -> None:
        authority = base64.b64encode(self._authority.read_bytes()).decode()
        body = self.front.http.get(BATCH).json()
        service = {"namespace": "default", "name": "far", "port": self.behind.port}
        body["spec"] |= {"service": service, "caBundle": authority} | spec
        assert self.front.http.put(BATCH, json=body).status_code == 200

    def available(self) -> tuple[str, str, str]:
        (condition,) = self.front.http.get(BATCH).json()["status"]["conditions"]
        return condition["status"], condition["reason"], condition["message"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("aggregation")
    names = ("front", "behind", "proxies", "serving", "front-etcd", "behind-etcd")
    for name in names:
        (folder / name).mkdir()
    proxies = write_certificates(folder / "proxies", authority="proxies")
    serving = write_certificates(folder / "serving", "far.default.svc", authority="serving")
    front_flags = [f"--proxy-client-cert-file={proxies['client']}", f"--proxy-client-key-file={proxies['client-key']}"]
    behind_flags = [
        "--authorization-mode=RBAC",
        f"--requestheader-client-ca-file={proxies['ca']}",
        f"--tls-cert-file={serving['server']}",
        f"--tls-private-key-file={serving['server-key']}",
    ]
    with (
        EtcdServer(folder / "front-etcd") as front_etcd,
        EtcdServer(folder / "behind-etcd") as behind_etcd,
        ApiServer(folder / "front", front_etcd.url, *front_flags) as front,
        ApiServer(folder / "behind", behind_etcd.url, *behind_flags) as behind,
    ):
        yield Pair(front, behind, serving["ca"])


def test_requests_go_to_the_server_that_the_apiservice_names(pair: Pair) -> None:
    assert pair.available() == ("True", "Local", "Local APIServices are always available")
    pair.join()
    eventually(lambda: pair.available()[1] == "ServiceNotFound")
    assert pair.available()[2] == 'service/far in "default" is not present'
    refused = pair.front.http.get(JOBS)
    assert (refused.status_code, refused.text) == (503, "service unavailable\n")

    service = {"metadata": {"name": "far"}, "spec": {"type": "ExternalName", "externalName": "localhost"}}
    assert pair.front.http.post(SERVICES, json=service).status_code == 201
    eventually(lambda: pair.available() == ("True", "Passed", "all checks passed"))

    assert pair.front.kubectl("apply", "-f", "-", stdin=MANIFEST).stdout == "job.batch/far created\n"
    assert pair.behind.http.get(f"{JOBS}/far").status_code == 200
    with pair.front.watch(JOBS) as watch:
        assert watch.next()[1]["metadata"]["name"] == "far"
        assert "labeled" in pair.front.kubectl("label", "job", "far", "a=b").stdout
        assert watch.next()[0] == "MODIFIED"
    assert "NAME" in pair.front.kubectl("get", "jobs").stdout
    assert "deleted" in pair.front.kubectl("delete", "job", "far").stdout
    assert "FIELDS" in pair.front.kubectl("explain", "job").stdout


def test_discovery_tells_what_the_other_server_serves(pair: Pair) -> None:
    """A version that nobody serves here, and that is not in reach at first."""
    name, spec = "v1.other.example", {"group": "other.example", "version": "v1"}
    spec |= {"groupPriorityMinimum": 100, "versionPriority": 10, "insecureSkipTLSVerify": True}
    spec["service"] = {"namespace": "default", "name": "far", "port": pair.behind.port}
    assert pair.front.http.post(APISERVICES, json={"metadata": {"name": name}, "spec": spec}).status_code == 201
    accept = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}

    def freshness() -> str:
        items = pair.front.http.get("/apis", headers=accept).json()["items"]
        (item,) = [item for item in items if item["metadata"]["name"] == "other.example"] or [{"versions": [{}]}]
        return str(item["versions"][0].get("freshness"))

    eventually(lambda: freshness() == "Stale")
    names = {"plural": "things", "kind": "Thing"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    definition = {"group": "other.example", "scope": "Namespaced", "names": names, "versions": [version]}
    url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    body = {"metadata": {"name": "things.other.example"}, "spec": definition}
    assert pair.behind.http.post(url, json=body).status_code == 201
    eventually(lambda: freshness() == "Current", seconds=40)
    thing = json.dumps({"apiVersion": "other.example/v1", "kind": "Thing", "metadata": {"name": "one"}})
    assert pair.front.kubectl("apply", "-f", "-", stdin=thing).stdout == "thing.other.example/one created\n"
    assert "one" in pair.front.kubectl("get", "things").stdout
    assert "KIND:       Thing" in pair.front.kubectl("explain", "thing").stdout
    v2 = pair.front.http.get("/openapi/v2").json()
    assert "/apis/other.example/v1/namespaces/{namespace}/things/{name}" in v2["paths"]
    assert "example.other.v1.Thing" in v2["definitions"]
    assert pair.front.http.get("/apis/other.example").json()["preferredVersion"]["version"] == "v1"
    assert pair.front.http.delete(f"{APISERVICES}/{name}").status_code == 200
    eventually(lambda: freshness() == "None")


def test_the_user_is_the_one_that_the_first_server_has_identified(pair: Pair) -> None:
    """Whoever sends the headers of a front proxy himself is still who he is."""
    sent = {"x-remote-user": "mallory", "x-remote-group": "system:masters", "impersonate-user": "ann"}
    refused = pair.front.http.get(JOBS, headers=sent)
    assert refused.status_code == 403
    assert 'User "ann" cannot list resource "jobs"' in refused.json()["message"]


def test_a_server_that_is_gone_is_told_and_found_again(pair: Pair) -> None:
    pair.behind.stop()
    eventually(lambda: pair.front.http.get(JOBS).status_code == 503)
    body = pair.front.http.get(BATCH).json()
    body["metadata"]["labels"]["touched"] = "yes"  # asked again at once
    assert pair.front.http.put(BATCH, json=body).status_code == 200
    eventually(lambda: pair.available()[1] == "FailedDiscoveryCheck")
    assert "failing or missing response from https://localhost:" in pair.available()[2]
    pair.behind.start()
    eventually(lambda: pair.available()[1] == "Passed")
    assert pair.front.http.get(JOBS).status_code == 200


def test_a_certificate_of_nobodys_authority_is_refused(pair: Pair) -> None:
    other = base64.b64encode(pair.front.http.get("/version").content).decode()
    pair.join(caBundle=other)
    eventually(lambda: pair.available()[1] == "FailedDiscoveryCheck")
    pair.join()
    eventually(lambda: pair.available()[1] == "Passed")
