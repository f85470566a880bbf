"""The launcher on a real machine: repeatable, repairs what was killed or torn, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.registry import registry_host
from mini_cluster.cluster.state import ClusterState, Ports
from mini_cluster.errors import ClusterError
from mini_cluster.hosts import network as hosts
from mini_cluster.hosts.engine import HostEngineError
from mini_cluster.hosts.sweep import what_is_left
from mini_cluster.launcher import Cluster
from mini_cluster.machine.processes import snapshot
from tests.kits.eventually import eventually

pytestmark = pytest.mark.cluster

LAUNCHER = Path(sys.executable).parent / "mini-cluster"
OTHER_CLUSTERS = re.compile(r"\b(mk|mini-kubernetes-)[0-9a-f]{6}\b|\bcompose-\d+\b|^unreachable .*metric")


def launcher(folder: Path, *arguments: str, wrapper: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*wrapper, str(LAUNCHER), *arguments, "--dir", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)


def pids(cluster: Cluster) -> dict[str, int]:
    return {status.name: status.pid for status in cluster.view().components}


def machine_state(layout: Layout) -> dict[str, list[str]]:
    """What `down` of this cluster must leave as it was before `up`; other clusters come and go."""
    commands = {
        "links": ["ip", "-br", "link"],
        "namespaces": ["ip", "netns", "list"],
        "rules": ["iptables-save"],
        "routes": ["ip", "route"],
    }
    state = {}
    for name, argv in commands.items():
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        lines = [line.split("[")[0].strip() for line in lines if not line.startswith("#")]
        lines = [line.replace(f"metric {layout.route_metric}", "").replace(layout.key, "") for line in lines]
        state[name] = sorted(line for line in lines if not OTHER_CLUSTERS.search(line))
    state["forwarding"] = [hosts.FORWARDING.read_text()]
    return state


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with one worker host, which the tests of this file take apart in turn."""
    cluster = Cluster(tmp_path_factory.mktemp("one"), owner_pid=os.getpid())
    try:
        cluster.up(1, api_port=None)
        yield cluster
    finally:
        cluster.down(purge=True)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Cluster]:
    """Another cluster, for one test, which brings it up."""
    cluster = Cluster(tmp_path / "other", owner_pid=os.getpid())
    yield cluster
    cluster.down(purge=True)


def test_a_second_up_changes_nothing(one: Cluster) -> None:
    before = pids(one)
    one.up()
    assert pids(one) == before
    assert one.view().healthy


@pytest.mark.parametrize(
    "component",
    [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet-worker-1",
        "kube-proxy-worker-1",
        "kube-dns-worker-1",
    ],
)
def test_a_killed_component_is_restarted(one: Cluster, component: str) -> None:
    def kill() -> int:
        try:
            return one.kill(component)
        except ClusterError:  # just starting again, as it lost its lease while the API server was away
            return 0

    killed = eventually(kill, f"{component} is killed")
    eventually(lambda: pids(one)[component] not in (0, killed), f"{component} runs again")
    eventually(lambda: one.view().healthy, "all is well again")


def test_a_restart_sees_that_the_schedulers_configuration_came_or_went(one: Cluster) -> None:
    config = one.layout.scheduler_config

    def follows_it() -> bool:
        one.restart(["kube-scheduler"])
        return f"--config={config}" in snapshot()[pids(one)["kube-scheduler"]].argv

    config.write_text("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n")
    try:
        assert follows_it()
    finally:
        config.unlink()
    assert not follows_it()


def test_a_killed_engine_is_restarted_and_its_containers_live_on(one: Cluster, guestbook_archive: Path) -> None:
    one.load_archive(guestbook_archive)
    container = start_container(one, "worker-1", "survivor")
    killed = one.kill("dockerd-worker-1")
    eventually(lambda: pids(one)["dockerd-worker-1"] not in (0, killed), "the engine runs again")
    eventually(lambda: one.view().healthy, "all is well again")
    running = {item["Id"]: item["Names"] for item in one.engine("worker-1").containers()}
    assert container in running


def test_a_container_that_a_killed_engine_had_not_noted_as_running_is_ended(
    one: Cluster, guestbook_archive: Path
) -> None:
    """The next engine would not know of it, and give its address away while it still answers."""
    one.load_archive(guestbook_archive)
    noted, orphan = (start_container(one, "worker-1", name) for name in ("noted", "orphan"))
    config = one.layout.node("worker-1").docker_root / "containers" / orphan / "config.v2.json"
    document = json.loads(config.read_bytes())
    document["State"] |= {"Running": False, "Pid": 0}
    config.write_text(json.dumps(document))
    killed = one.kill("dockerd-worker-1")
    eventually(lambda: pids(one)["dockerd-worker-1"] not in (0, killed), "the engine runs again")
    eventually(lambda: one.view().healthy, "all is well again")
    shims = [process.argv for process in snapshot().values() if "-id" in process.argv]
    assert any(noted in argv for argv in shims)
    assert not any(orphan in argv for argv in shims)


def test_a_killed_supervisor_loses_nothing(one: Cluster) -> None:
    before = pids(one)
    one.kill("supervisor")
    assert not one.view().up
    one.up()
    assert pids(one) == before


def test_up_repairs_after_everything_was_killed(one: Cluster) -> None:
    one.kill("supervisor")
    for process in snapshot().values():
        if process.cluster == one.layout.key:
            with suppress(ProcessLookupError):  # some end with others
                os.kill(process.pid, signal.SIGKILL)
    one.up()
    assert one.view().healthy


@pytest.mark.parametrize(
    "torn", ["bridge", *(pytest.param(each, marks=pytest.mark.slow) for each in ("namespace", "cable"))]
)
def test_up_repairs_a_torn_network(one: Cluster, torn: str) -> None:
    layout = one.layout
    command = {
        "namespace": ["ip", "netns", "delete", layout.netns("worker-1")],
        "bridge": ["ip", "link", "delete", layout.bridge],
        "cable": ["ip", "link", "delete", layout.veth(1)],
    }[torn]
    subprocess.run(command, check=True)
    one.up()
    eventually(lambda: one.view().healthy, "all is well again")
    address = one.node_addresses()["worker-1"]
    with urllib.request.urlopen(f"http://{address}:10256/healthz", timeout=5) as health:
        assert health.status == 200


def test_a_host_without_power_runs_nothing_and_comes_back(one: Cluster, guestbook_archive: Path) -> None:
    one.load_archive(guestbook_archive)
    container = start_container(one, "worker-1", "victim")
    one.stop_node("worker-1")
    mine = [p for p in snapshot().values() if p.cluster == one.layout.key or container in p.cgroups]
    left = [p for p in mine if p.component.endswith("-worker-1") or container in p.cgroups]
    assert left == []
    assert not hosts.link_exists(one.layout.veth(1))
    assert one.view().nodes[0].stopped
    with pytest.raises(ClusterError, match="no node that is on"):
        one.load_archive(guestbook_archive)
    one.start_node("worker-1")
    assert one.view().healthy


def test_the_command_line_says_what_is_wrong(one: Cluster) -> None:
    unknown = launcher(one.layout.root, "node", "stop", "worker-9")
    assert unknown.returncode == 1
    assert "worker-9" in unknown.stderr
    assert "worker-1" in unknown.stderr
    missing = launcher(one.layout.root, "load", "archive", "/no/such/file")
    assert missing.returncode == 1
    assert "/no/such/file: no such file" in missing.stderr
    log = launcher(one.layout.root, "logs", "etcdd")
    assert log.returncode == 1
    assert "etcd" in log.stderr
    assert "Traceback" not in unknown.stderr + missing.stderr + log.stderr


def test_status_and_logs_are_for_people_and_programs(one: Cluster) -> None:
    table = launcher(one.layout.root, "status")
    assert table.returncode == 0, table.stdout
    assert "kubelet-worker-1" in table.stdout
    assert "\033[" not in table.stdout
    assert '"healthy"' not in launcher(one.layout.root, "status", "-o", "json").stderr
    log = launcher(one.layout.root, "logs", "kube-apiserver", "--tail", "1")
    assert len(log.stdout.splitlines()) == 1


def test_down_leaves_the_machine_as_it_was(other: Cluster, guestbook_archive: Path) -> None:
    before = machine_state(other.layout)
    other.up(2, api_port=None)
    other.load_archive(guestbook_archive)
    start_container(other, "worker-2", "left-running")
    other.down()
    assert machine_state(other.layout) == before
    assert what_is_left(other.layout) == []
    other.down()


def test_clusters_that_choose_networks_at_once_choose_different_ones(tmp_path: Path) -> None:
    layouts = [Layout.of(tmp_path / str(number)) for number in range(4)]
    state = ClusterState("", "", Ports(1, 2, 3, ()), ip_family="dual")
    try:
        with ThreadPoolExecutor() as pool:
            states = list(pool.map(partial(hosts.claim_networks, state=state), layouts))
    finally:
        for layout in layouts:
            hosts.remove_machine(layout)
    for name in ("subnet", "pod_network", "subnet6", "pod_network6"):
        assert len({getattr(state, name) for state in states}) == len(layouts)


def test_the_folder_of_namespaces_is_unmounted_unless_somebody_uses_it(tmp_path: Path) -> None:
    """Another cluster may make its first namespace just when the last one of this has gone."""
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
    user = os.open(tmp_path, os.O_RDONLY)
    hosts.release_netns_folder(tmp_path)
    os.close(user)
    assert hosts.is_mounted(tmp_path)
    hosts.release_netns_folder(tmp_path)
    assert not hosts.is_mounted(tmp_path)


def test_data_survives_down_and_nothing_survives_a_purge(other: Cluster) -> None:
    other.up(0, api_port=None)
    kubectl(other, "create", "configmap", "kept", "--from-literal=a=b")
    other.down()
    other.up()
    assert kubectl(other, "get", "configmap", "kept", "-o", "name").strip() == "configmap/kept"
    other.down(purge=True)
    assert not other.layout.root.exists()
    assert what_is_left(other.layout) == []


@pytest.mark.parametrize("seconds", [0.8, *(pytest.param(each, marks=pytest.mark.slow) for each in (0.3, 1.5))])
def test_down_after_a_start_that_came_half_way(tmp_path: Path, seconds: float) -> None:
    layout = Layout.of(tmp_path)
    starting = subprocess.Popen([LAUNCHER, "up", "--nodes", "1", "--api-port", "0", "--dir", tmp_path], stderr=-3)
    with pytest.raises(subprocess.TimeoutExpired):
        starting.wait(seconds)
    for process in snapshot().values():
        if process.component == "supervisor" and process.cluster == layout.key:
            os.kill(process.pid, signal.SIGKILL)
    starting.kill()
    starting.wait()
    down = launcher(tmp_path, "down")
    assert down.returncode == 0, down.stderr
    assert what_is_left(layout) == []


def test_clusters_live_side_by_side(
    one: Cluster, other: Cluster, guestbook_archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.up(1, api_port=None, registry=True)
    assert other.state().subnet != one.state().subnet
    assert other.view().healthy
    assert one.view().healthy
    # The other cluster's host plays the machine's own engine, from which images are copied.
    other.load_archive(guestbook_archive)
    engine = f"unix://{other.layout.node('worker-1').docker_socket}"
    copy = ["docker", f"--host={engine}", "tag", "mini-kubernetes/guestbook:1.0", "mini-kubernetes/copy:1"]
    subprocess.run(copy, check=True)
    monkeypatch.setenv("DOCKER_HOST", engine)
    (loaded,) = one.load_image("mini-kubernetes/copy:1")["worker-1"]
    # The node may have the image by its other name.
    assert loaded in ("Loaded image: mini-kubernetes/copy:1", "Named: mini-kubernetes/copy:1")
    assert one.load_image("mini-kubernetes/copy:1") == {"worker-1": ["Present already: mini-kubernetes/copy:1"]}
    with pytest.raises(HostEngineError, match="mini-kubernetes/none:1"):
        one.load_image("mini-kubernetes/none:1")
    pushes_and_pulls(other, ["docker", f"--host={engine}"])
    other.down(purge=True)
    assert one.view().healthy


def pushes_and_pulls(cluster: Cluster, docker: list[str]) -> None:
    """A node pushes an image to the registry and forgets it, the machine sees it, and a pod pulls it."""
    name = f"{registry_host(cluster.state())}/team/guestbook:1.0"
    for command in (["tag", "mini-kubernetes/guestbook:1.0", name], ["push", "-q", name], ["rmi", name]):
        subprocess.run([*docker, *command], check=True, capture_output=True)
    with urllib.request.urlopen(f"http://{registry_host(cluster.state())}/v2/_catalog", timeout=5) as catalog:
        assert json.load(catalog) == {"repositories": ["team/guestbook"]}
    kubectl(cluster, "run", "pulls", f"--image={name}", "--image-pull-policy=Always")
    kubectl(cluster, "wait", "--for=condition=Ready", "pod/pulls", "--timeout=60s")
    told = rf'Successfully pulled image "{name}" in .* \(.* including waiting\)\. Image size: \d+ bytes\.'
    events = ("get", "events", "--field-selector=reason=Pulled", "-o", "jsonpath={..message}")
    eventually(lambda: re.match(told, kubectl(cluster, *events)), "the event of the pull")


@pytest.mark.slow
def test_fewer_nodes_are_forgotten_wholly(other: Cluster) -> None:
    other.up(2, api_port=None)
    other.up(1)
    assert kubectl(other, "get", "nodes", "-o", "name").split() == ["node/worker-1"]
    assert not other.layout.node("worker-2").root.exists()
    assert not hosts.link_exists(other.layout.veth(2))
    other.up(0)
    assert not hosts.link_exists(other.layout.bridge)


def test_a_control_plane_needs_no_root(tmp_path: Path) -> None:
    """In a user namespace without mappings: not root, and without any capability on the machine."""
    folder = tmp_path / "cluster"
    nobody = ("unshare", "--user")
    try:
        up = launcher(folder, "up", "--nodes", "0", "--api-port", "0", wrapper=nobody)
        assert up.returncode == 0, up.stderr
        status = launcher(folder, "status", wrapper=nobody)
        assert status.returncode == 0, status.stdout
    finally:
        down = launcher(folder, "down", "--purge", wrapper=nobody)
    assert down.returncode == 0, down.stderr
    assert not folder.exists()


def test_a_cluster_does_not_outlive_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    program = (
        "import os, sys; from mini_cluster.launcher import Cluster; "
        "Cluster(sys.argv[1], owner_pid=os.getpid()).up(1, api_port=None); os.kill(os.getpid(), 9)"
    )
    owner = subprocess.run([sys.executable, "-c", program, str(folder)], timeout=120, check=False)
    assert owner.returncode == -signal.SIGKILL
    eventually(lambda: not folder.exists(), "the folder is gone")
    eventually(lambda: what_is_left(Layout.of(folder)) == [], "its supervisor is gone, too")


def test_worker_hosts_without_root_are_refused_with_a_way_out(tmp_path: Path) -> None:
    refused = launcher(tmp_path, "up", "--nodes", "1", wrapper=("unshare", "--user"))
    assert refused.returncode == 1
    assert "sudo" in refused.stderr
    assert "--nodes 0" in refused.stderr


def start_container(cluster: Cluster, node: str, name: str) -> str:
    """A container that nobody but this test knows about; its id."""
    socket = cluster.layout.node(node).docker_socket
    image = ("--entrypoint=/bin/sleep", "mini-kubernetes/guestbook:1.0", "3600")
    command = ["docker", f"--host=unix://{socket}", "run", "-d", f"--name={name}", *image]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def kubectl(cluster: Cluster, *arguments: str) -> str:
    program = Path(sys.executable).parent / "mini-kubectl"
    environment = os.environ | {"KUBECONFIG": str(cluster.layout.kubeconfig)}
    return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=True).stdout
