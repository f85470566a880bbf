"""`docker compose up` as a user runs it: images built here, both workers Ready, the guestbook through both of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.compose import EngineHost

pytestmark = [pytest.mark.cluster, pytest.mark.compose, pytest.mark.timeout(600)]

PROJECT = Path(__file__).parents[2]
WORKERS = {"worker-1": "172.31.240.11", "worker-2": "172.31.240.12"}
NODE_PORT = 30080
DEADLINE_SECONDS = 90.0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git does not ignore: compose writes a kubeconfig into its project's folder."""
    folder = tmp_path_factory.mktemp("compose") / "mini-kubernetes"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target)
    wheels = Path("deploy") / "wheels"
    shutil.copytree(PROJECT / wheels, folder / wheels, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def host(project: Path) -> Iterator[EngineHost]:
    """The compose cluster, up, on a machine of its own."""
    with EngineHost(project.parent) as machine:
        machine.environment["KUBECONFIG"] = str(project / ".cluster" / "kubeconfig")
        try:
            machine.run(str(project / "deploy" / "compose.sh"), "up")
            yield machine
        finally:
            machine.run(str(project / "deploy" / "compose.sh"), "purge")


def test_both_workers_are_ready(host: EngineHost) -> None:
    nodes = json.loads(kubectl(host, "get", "nodes", "-o", "json"))["items"]
    addresses = {node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in nodes}
    assert addresses == WORKERS


def test_the_kubeconfig_belongs_to_the_project_s_owner(host: EngineHost, project: Path) -> None:
    kubeconfig = project / ".cluster" / "kubeconfig"
    assert kubeconfig.stat().st_uid == project.stat().st_uid
    assert kubeconfig.stat().st_mode & 0o077 == 0


def test_the_guestbook_is_served_through_both_workers(host: EngineHost, project: Path) -> None:
    archive = project.parent / "guestbook.tar"
    subprocess.run([sys.executable, PROJECT / "examples/guestbook/build_image.py", archive], check=True)
    for worker in WORKERS:
        load = "docker --host=unix:///run/node/docker.sock load < /dev/stdin"
        compose = [str(project / "deploy" / "compose.sh"), "exec", "-T", worker, "sh", "-c", load]
        host.run("sh", "-c", f'"$@" < {archive}', "sh", *compose)
    kubectl(host, "apply", "-f", str(project / "examples" / "guestbook"))
    kubectl(host, "rollout", "status", "deployment/guestbook", "--timeout=90s")
    pods = json.loads(kubectl(host, "get", "pods", "-l", "app=guestbook", "-o", "json"))["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == set(WORKERS)
    for address in WORKERS.values():
        assert names_in_pages(host, address) == {pod["metadata"]["name"] for pod in pods}
    for pod in pods:
        page = kubectl(host, "get", "--raw", f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/proxy/")
        assert pod["metadata"]["name"] in page, "the API server reaches pods on both workers"


def test_objects_survive_down_and_up(host: EngineHost, project: Path) -> None:
    before = kubectl(host, "get", "deployment", "guestbook", "-o", "jsonpath={.metadata.uid}")
    host.run(str(project / "deploy" / "compose.sh"), "down")
    host.run(str(project / "deploy" / "compose.sh"), "up")
    assert kubectl(host, "get", "deployment", "guestbook", "-o", "jsonpath={.metadata.uid}") == before
    for address in WORKERS.values():
        assert len(names_in_pages(host, address)) == 3


def names_in_pages(host: EngineHost, address: str) -> set[str]:
    """The pods that answer on a worker's NodePort, asked until three have, or the deadline."""
    found: set[str] = set()
    deadline = time.monotonic() + DEADLINE_SECONDS
    read = f"import urllib.request as r; print(r.urlopen('http://{address}:{NODE_PORT}/', timeout=3).read().decode())"
    while len(found) < 3 and time.monotonic() < deadline:
        page = host.run(sys.executable, "-c", read, check=False).stdout
        found |= {word for word in page.split() if word.startswith("guestbook-")}
    return found


def kubectl(host: EngineHost, *arguments: str) -> str:
    return host.run(str(Path(sys.executable).parent / "mini-kubectl"), *arguments).stdout
