"""pytest fixtures for tests against a real cluster; installed with the project, so any test suite can use them.

`api`: an API server inside the process of the tests, without a socket, on a real etcd. `control_plane`: etcd and the
control plane as processes, no worker hosts (neither root nor Docker). `cluster`: two worker hosts. All live as long as
the session and are made when a test first asks for them. `namespace`: a fresh one per test.
The launcher itself is imported only then: a plugin is loaded by every pytest run of the environment.

A test that fails leaves behind what the clusters among its fixtures looked like, in a folder that its report names.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pytest

if TYPE_CHECKING:
    from kubeclient.rest import RestClient
    from mini_cluster.inprocess import InProcessApi
    from mini_cluster.launcher import Cluster

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "test-"}}
KEEP = "MINI_CLUSTER_KEEP"
"""Environment variable: when set, a session's clusters are left running, for a look at what a test left there."""
EVIDENCE_FOLDER = Path(tempfile.gettempdir()) / f"mini-cluster-failures-{os.getuid()}"
EVIDENCE_KEPT = 20  # folders of failed tests; the oldest are deleted


@runtime_checkable
class LeavesEvidence(Protocol):
    """A fixture whose state is written down when a test that uses it fails."""

    def collect_evidence(self, folder: Path) -> None:
        """Fills `folder`, which is new, with what helps to find out why."""


class ClusterHandle:
    """A running cluster and ways to hurt it, for tests."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @property
    def kubeconfig(self) -> Path:
        """Returns the administrator's kubeconfig."""
        return self.cluster.layout.kubeconfig

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.cluster.state().ports.api}"

    @property
    def pki(self) -> Path:
        """Folder of certificates: `ca.crt`, `admin.crt`, `admin.key` …"""
        return self.cluster.layout.pki

    @property
    def logs(self) -> Path:
        """Folder of the components' logs."""
        return self.cluster.layout.logs

    @property
    def node_ips(self) -> dict[str, str]:
        """Node name -> address."""
        return self.cluster.node_addresses()

    def rest(self, user_agent: str = "tests") -> RestClient:
        """Returns a client with the administrator's rights; an async context manager."""
        from kubeclient.access.config import load_config
        from kubeclient.rest import RestClient

        return RestClient(load_config(str(self.kubeconfig)), user_agent=user_agent)

    def docker_socket(self, node: str) -> Path:
        """Returns the socket of the node's container engine."""
        return self.cluster.layout.node(node).docker_socket

    def pid(self, component: str) -> int:
        """Returns the process id of a component such as "kube-apiserver" or "kubelet-worker-1"."""
        return self.cluster.pid(component)

    def kill(self, component: str) -> int:
        """SIGKILL; the supervisor restarts it. Returns the id of the killed process."""
        return self.cluster.kill(component)

    def repair(self) -> None:
        """Waits until everything is up again, as `mini-cluster up` does."""
        self.cluster.up()

    def stop_node(self, name: str) -> None:
        """Cuts the worker host's power."""
        self.cluster.stop_node(name)

    def start_node(self, name: str) -> None:
        """Switches the worker host on, and waits until it is Ready."""
        self.cluster.start_node(name)

    def disconnect_node(self, name: str) -> None:
        """Pulls the worker host's cable."""
        self.cluster.disconnect_node(name)

    def connect_node(self, name: str) -> None:
        """Puts the cable back, and waits until the host is Ready."""
        self.cluster.connect_node(name)

    def load_archive(self, archive: Path) -> None:
        """Loads a `docker save` archive onto every node."""
        self.cluster.load_archive(archive)

    def collect_evidence(self, folder: Path) -> None:
        self.cluster.collect_evidence(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Writes down the state of the fixtures of a test that failed, while they are still there."""
    report = yield
    fixtures: dict[str, object] = getattr(item, "funcargs", {}) if report.failed else {}
    for name, fixture in fixtures.items():
        if isinstance(fixture, LeavesEvidence):
            report.sections.append((f"state of {name}", str(leave_evidence(item.name, fixture))))
    return report


def leave_evidence(name: str, fixture: LeavesEvidence, parent: Path = EVIDENCE_FOLDER) -> Path:
    """Returns a new folder with the fixture's evidence."""
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=re.sub(r"\W+", "-", name)[:80] + "-", dir=parent))
    fixture.collect_evidence(folder)
    by_age = sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in by_age[EVIDENCE_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
    return folder


@contextmanager
def running_cluster(nodes: int, ip_family: str = "ipv4") -> Iterator[ClusterHandle]:
    """Runs a cluster in a new folder; at the end, also when this process is killed, nothing of it remains."""
    from mini_cluster.console import Console
    from mini_cluster.launcher import Cluster

    folder = tempfile.mkdtemp(prefix="mini-cluster-")
    keep = bool(os.environ.get(KEEP))
    cluster = Cluster(folder, Console(quiet=True), owner_pid=0 if keep else os.getpid())
    try:
        try:
            cluster.up(nodes, api_port=None, ip_family=ip_family)
        except Exception as error:
            error.add_note(f"state of the cluster: {leave_evidence('up', cluster)}")
            raise
        yield ClusterHandle(cluster)
    finally:
        if not keep:
            cluster.down(purge=True)


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessApi]:
    """The API server alone: no controllers, no scheduler. Needs etcd's program, no root, and a second."""
    from mini_cluster.inprocess import in_process_api

    with in_process_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ClusterHandle]:
    """etcd, API server, controller-manager and scheduler."""
    with running_cluster(nodes=0) as handle:
        yield handle


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterHandle]:
    """A control plane and two worker hosts, worker-1 and worker-2."""
    with running_cluster(nodes=2) as handle:
        yield handle


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a new namespace where the test works: in `cluster`, `control_plane` or `api`, the first that it uses.

    A test that uses none of them gets `control_plane`. `api` comes last, as it may be a fixture of the test's own. The
    namespace is deleted after the test, without waiting for the end of the deletion.
    """
    served = next(
        (name for name in ("cluster", "control_plane", "api") if name in request.fixturenames), "control_plane"
    )
    if served == "api":
        api: InProcessApi = request.getfixturevalue("api")
        name = str(api.http.post("/api/v1/namespaces", json=NAMESPACE).raise_for_status().json()["metadata"]["name"])
        yield name
        api.http.delete(f"/api/v1/namespaces/{name}")
        return
    handle: ClusterHandle = request.getfixturevalue(served)
    with _temporary_namespace(handle) as created:
        yield created


@contextmanager
def _temporary_namespace(handle: ClusterHandle) -> Iterator[str]:
    from mini_cluster.api import AdminApi

    def connect() -> closing[AdminApi]:
        return closing(AdminApi.local(handle.cluster.layout, handle.cluster.state().ports.api))

    with connect() as api:
        name = str(api.request("POST", "/api/v1/namespaces", NAMESPACE)["metadata"]["name"])
    yield name
    with connect() as api:  # a new connection: the test may have restarted the server
        api.request("DELETE", f"/api/v1/namespaces/{name}")
