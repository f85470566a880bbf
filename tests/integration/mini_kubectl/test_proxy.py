"""`proxy`, `cluster-info` and the lists of what there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kits.apiserver import ApiServer
from tests.kits.commandline import MINI_KUBECTL, CommandLine
from tests.kits.kubectlpair import Pair, write_kubeconfig
from tests.kits.kubectlversions import KUBECTLS


@pytest.fixture(scope="module")
def kubeconfig(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kubeconfig(api, tmp_path_factory.mktemp("proxy") / "kubeconfig")


@pytest.fixture(scope="module")
def proxy(kubeconfig: Path) -> Iterator[str]:
    command = [MINI_KUBECTL, "proxy", "--port=0", "--api-prefix=/k8s/", "--reject-methods=DELETE"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"Starting to serve on (127\.0\.0\.1:\d+)\n", line)
        assert found, line
        yield f"http://{found[1]}"
        process.terminate()


def test_requests_reach_the_server_as_the_user(proxy: str) -> None:
    with httpx.Client(base_url=proxy) as client:
        assert client.get("/k8s/version").json()["major"] == "1"
        made = client.post("/k8s/api/v1/namespaces", json={"metadata": {"name": "by-proxy"}})
        assert (made.status_code, made.json()["metadata"]["name"]) == (201, "by-proxy")
        assert client.get("/k8s/api/v1/namespaces/nope").status_code == 404
        with client.stream("GET", "/k8s/api/v1/namespaces", params={"watch": "true", "timeoutSeconds": "5"}) as answer:
            assert json.loads(next(answer.iter_lines()))["type"] == "ADDED"


def test_what_is_not_asked_for_does_not_pass(proxy: str) -> None:
    with httpx.Client(base_url=proxy) as client:
        assert client.get("/version").status_code == 404
        assert client.get("/k8snot/version").status_code == 404
        assert client.get("/k8s/version", headers={"Host": "evil.example.com"}).status_code == 403
        assert client.delete("/k8s/api/v1/namespaces/default").status_code == 403


def test_where_the_cluster_is(api: ApiServer, kubeconfig: Path) -> None:
    service = {
        "metadata": {"name": "dns", "labels": {"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "DNS"}},
        "spec": {"ports": [{"port": 53, "name": "dns", "protocol": "UDP"}, {"port": 53, "name": "dns-tcp"}]},
    }
    api.http.post("/api/v1/namespaces/kube-system/services", json=service)
    mini = CommandLine(kubeconfig, "default")
    dump = mini.run("cluster-info", "dump", "--namespaces=default", "-o", "json")
    kinds = re.findall(r'^    "kind": "(\w+)"', dump, re.MULTILINE)
    assert {"NodeList", "ServiceList", "DeploymentList", "PodList"} <= set(kinds)
    if KUBECTLS:
        real = CommandLine(kubeconfig, "kube-system", str(KUBECTLS.get("1.33", KUBECTLS[""])))
        pair = Pair(CommandLine(kubeconfig, "kube-system"), real)
        assert "DNS is running at" in pair.same("cluster-info").stdout
        pair.same("api-versions")


def test_the_flags_of_every_verb(kubeconfig: Path) -> None:
    text = CommandLine(kubeconfig, "default").run("options")
    assert "--kubeconfig FILE" in text
    assert "-n, --namespace NAME" in text
