"""`docker compose up` as a user runs it: images built here, both workers Ready, the guestbook through both of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini_cluster.pytest_plugin import leave_evidence
from tests.kits.eventually import eventually
from tests.kits.machine.compose import EngineHost
from tests.kits.net.dnsquery import dns_command

pytestmark = [pytest.mark.cluster, pytest.mark.compose, pytest.mark.timeout(600)]

PROJECT = Path(__file__).parents[2]
FILES = ["docker-compose.yml", *(f"deploy/compose.{name}.yml" for name in ("worker-3", "restricted"))]
WORKERS = {"worker-1": "172.31.240.11", "worker-2": "172.31.240.12"}
NODE_PORT = 30080
DEADLINE_SECONDS = 90.0


class ComposeCluster:
    """The cluster of the project in `folder`, on a machine of its own."""

    def __init__(self, host: EngineHost, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.kubeconfig = folder / ".cluster" / "kubeconfig"

    def collect_evidence(self, folder: Path) -> None:
        self.host.collect_evidence(folder)

    def compose(self, *arguments: str, workers: int = 2, check: bool = True) -> str:
        """What `docker compose` prints, given the files that fit this machine; "" when it fails and may."""
        command = ["env", f"WORKERS={workers}", str(self.folder / "deploy" / "compose.sh"), *arguments]
        done = self.host.run(*command, check=check)
        return done.stdout.strip() if done.returncode == 0 else ""

    def kubectl(self, *arguments: str) -> str:
        program = Path(sys.executable).parent / "mini-kubectl"
        return self.host.run(str(program), f"--kubeconfig={self.kubeconfig}", *arguments).stdout

    def ready_nodes(self) -> set[str]:
        ready = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}'
        states = self.kubectl("get", "nodes", "-o", f"jsonpath={ready}").split()
        return {state.removesuffix("=True") for state in states if state.endswith("=True")}

    def network_namespace(self, service: str) -> str:
        """A service's; "" while it doesn't run."""
        return self.compose("exec", "-T", service, "readlink", "/proc/self/ns/net", check=False)

    def running_containers(self) -> set[str]:
        return set(self.host.run("docker", "ps", "--quiet", "--no-trunc").stdout.split())

    def names_in_pages(self, address: str) -> set[str]:
        """The pods that answer on a worker's NodePort, asked until three have, or the deadline."""
        names: set[str] = set()
        deadline = time.monotonic() + DEADLINE_SECONDS
        url = f"http://{address}:{NODE_PORT}/"
        read = f"import urllib.request as r; print(r.urlopen('{url}', timeout=3).read().decode())"
        while len(names) < 3 and time.monotonic() < deadline:
            page = self.host.run(sys.executable, "-c", read, check=False).stdout
            names |= {word for word in page.split() if word.startswith("guestbook-")}
        return names


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
def up(project: Path) -> Iterator[ComposeCluster]:
    """The compose cluster, brought up by Compose v2."""
    with EngineHost(project.parent) as host:
        if host.run("docker", "compose", "version", check=False).returncode != 0:
            pytest.skip("there is no Compose v2 (the set-up has it for x86-64 alone)")
        cluster = ComposeCluster(host, project)
        try:
            try:
                cluster.compose("up")
            except AssertionError as error:
                error.add_note(f"state of the cluster: {leave_evidence('compose-up', cluster)}")
                raise
            yield cluster
        finally:
            cluster.compose("purge")


def test_both_workers_are_ready(up: ComposeCluster) -> None:
    nodes = json.loads(up.kubectl("get", "nodes", "-o", "json"))["items"]
    assert {node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in nodes} == WORKERS
    assert up.ready_nodes() == set(WORKERS)


def test_claims_have_a_class_and_hosts_a_folder_in_common(up: ComposeCluster) -> None:
    classes = json.loads(up.kubectl("get", "storageclasses", "-o", "json"))["items"]
    assert {item["metadata"]["name"] for item in classes} == {"standard", "shared"}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "common"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Mi"}},
            "storageClassName": "shared",
        },
    }
    (up.folder / "claim.json").write_text(json.dumps(claim))
    up.kubectl("apply", "-f", str(up.folder / "claim.json"))
    phase = "jsonpath={.status.phase}"
    eventually(lambda: up.kubectl("get", "pvc", "common", "-o", phase) == "Bound", "the claim is bound")
    volume = up.kubectl("get", "pvc", "common", "-o", "jsonpath={.spec.volumeName}")
    for kubelet in ("kubelet-1", "kubelet-2"):
        assert up.compose("exec", "-T", kubelet, "ls", "/var/lib/shared-volumes") == volume
    up.kubectl("delete", "pvc", "common")
    eventually(lambda: up.compose("exec", "-T", "kubelet-2", "ls", "/var/lib/shared-volumes") == "", "it is gone")


def test_the_kubeconfig_belongs_to_the_project_s_owner(up: ComposeCluster) -> None:
    assert up.kubeconfig.stat().st_uid == up.folder.stat().st_uid
    assert up.kubeconfig.stat().st_mode & 0o077 == 0


def test_the_guestbook_is_served_through_both_workers(up: ComposeCluster) -> None:
    archive = up.folder.parent / "guestbook.tar"
    subprocess.run([sys.executable, PROJECT / "examples/guestbook/build_image.py", archive], check=True)
    for worker in WORKERS:
        load = "docker --host=unix:///run/node/docker.sock load < /dev/stdin"
        compose = [str(up.folder / "deploy" / "compose.sh"), "exec", "-T", worker, "sh", "-c", load]
        up.host.run("sh", "-c", f'"$@" < {archive}', "sh", *compose)
    up.kubectl("apply", "-f", str(up.folder / "examples" / "guestbook"))
    up.kubectl("rollout", "status", "deployment/guestbook", "--timeout=90s")
    pods = json.loads(up.kubectl("get", "pods", "-l", "app=guestbook", "-o", "json"))["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == set(WORKERS)
    names = {pod["metadata"]["name"] for pod in pods}
    for address in WORKERS.values():
        assert up.names_in_pages(address) == names
    for name in names:
        page = up.kubectl("get", "--raw", f"/api/v1/namespaces/default/pods/{name}/proxy/")
        assert name in page, "the API server reaches pods on both workers"


def test_the_guestbook_is_reached_by_a_balancer_and_by_an_ingress(up: ComposeCluster) -> None:
    up.kubectl("patch", "service", "guestbook", "-p", '{"spec": {"type": "LoadBalancer"}}')
    shown = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    address = eventually(lambda: up.kubectl("get", "service", "guestbook", "-o", shown), "an address")
    assert address == "172.31.240.129"
    backend = {"service": {"name": "guestbook", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    rules = [{"host": "book.example.com", "http": {"paths": [path]}}]
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "book"}}
    (up.folder / "ingress.json").write_text(json.dumps(ingress | {"spec": {"rules": rules}}))
    up.kubectl("apply", "-f", str(up.folder / "ingress.json"))
    for url in (f"http://{address}/", "http://127.0.0.1:8080/"):
        ask = f"r.urlopen(r.Request('{url}', headers={{'host': 'book.example.com'}}), timeout=3)"
        read = [sys.executable, "-c", f"import urllib.request as r; print({ask}.read().decode())"]

        def is_served(read: list[str] = read) -> bool:
            return "guestbook-" in up.host.run(*read, check=False).stdout

        eventually(is_served, f"the guestbook at {url}")


def test_each_worker_has_a_dns_of_its_own(up: ComposeCluster) -> None:
    address = up.kubectl("get", "service", "guestbook", "-o", "jsonpath={.spec.clusterIP}")
    ask = dns_command("guestbook.default.svc.cluster.local")

    def is_answered() -> bool:
        services = ("kube-dns-1", "kube-dns-2")
        return {up.compose("exec", "-T", name, *ask, check=False) for name in services} == {address}

    eventually(is_answered, "an answer on both")


def test_a_worker_that_is_restarted_alone_heals_by_itself(up: ComposeCluster) -> None:
    abandoned = up.network_namespace("worker-1")
    up.compose("restart", "worker-1")
    namespace = up.network_namespace("worker-1")
    assert namespace not in ("", abandoned)

    def have_followed() -> bool:
        services = ("kubelet-1", "kube-proxy-1", "kube-dns-1", "netagent-1")
        return {up.network_namespace(service) for service in services} == {namespace}

    eventually(have_followed, "the daemons are where their host is", DEADLINE_SECONDS)
    list_tables = ("exec", "-T", "netagent-1", "nft", "list", "tables")
    eventually(lambda: "mini-kubernetes-policy" in up.compose(*list_tables, check=False), "policies are enforced")
    names = up.names_in_pages(WORKERS["worker-1"])
    assert len(names) == 3, "its kube-proxy serves, and its pods run again"
    for name in names:
        up.kubectl("exec", name, "--", "sh", "-c", ":")


def test_objects_survive_down_and_up(up: ComposeCluster) -> None:
    before = up.kubectl("get", "deployment", "guestbook", "-o", "jsonpath={.metadata.uid}")
    up.compose("down")
    up.compose("--ansi=never", "up", "-d", "--wait")
    assert up.kubectl("get", "deployment", "guestbook", "-o", "jsonpath={.metadata.uid}") == before
    for address in WORKERS.values():
        assert len(up.names_in_pages(address)) == 3


def test_a_third_worker_joins_while_the_others_work(up: ComposeCluster) -> None:
    before = up.running_containers()
    up.compose("--ansi=never", "up", "-d", "--wait", workers=3)
    assert up.ready_nodes() == {*WORKERS, "worker-3"}, "--wait waits for nodes"
    assert before < up.running_containers(), "nothing was restarted for it"


def test_compose_v1_reads_the_files() -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("there is no docker-compose")
    options = [word for file in FILES for word in ("-f", file)]
    done = subprocess.run(
        [program, *options, "config", "--quiet"],
        cwd=PROJECT,
        env=os.environ | {"API_PORT": "7443", "HTTP_PORT": "7080", "HTTPS_PORT": "7444", "SUBNET": "172.31.241"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
